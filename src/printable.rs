//! Text of others as it may be shown. A terminal obeys some characters, a reader of text is turned about or fooled by others, and
//! XML and YAML have no place for some; whoever names a state or ends an execution with an error chooses them.

use std::borrow::Cow;
use std::fmt::Write;

/// What stands for a character that is not shown.
const INSTEAD: char = '\u{fffd}';

/// True of a character that does something instead of being seen: controls (C0, DEL, C1), those that turn the direction of text, and
/// those that have no width. Ends of lines and tabs are such characters too.
pub fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

fn is_obeyed_in_a_text(char: char) -> bool {
    is_obeyed(char) && char != '\n' && char != '\t'
}

fn replaced(text: &str, is_obeyed: fn(char) -> bool) -> String {
    text.chars().map(|char| if is_obeyed(char) { INSTEAD } else { char }).collect()
}

/// A value as it may be shown in a line.
pub fn printable(text: &str) -> String {
    replaced(text, is_obeyed)
}

/// The same of a text of several lines.
pub fn printable_lines(text: &str) -> String {
    replaced(text, is_obeyed_in_a_text)
}

/// The same of a text of several lines of which none begins a line of what is printed: there stand our own words alone.
pub fn indented(text: &str) -> String {
    printable_lines(text).replace('\n', "\n  ")
}

/// True of a text that nobody needs to change to show it.
pub fn is_printable(text: &str) -> bool {
    !text.contains(is_obeyed_in_a_text)
}

/// JSON that says the same and can be shown: within its texts such characters are written as escapes. Outside of them it has none.
pub fn json(text: &str) -> String {
    if is_printable(text) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if is_obeyed_in_a_text(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(char);
        }
    }
    escaped
}

/// What is printed, in the end: with `colour`, our own colours stay.
pub fn shown(text: &str, colour: bool) -> Cow<'_, str> {
    if is_printable(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let code = if colour && char == '\u{1b}' { colour_code(rest) } else { None };
        let length = code.unwrap_or(char.len_utf8());
        match code {
            Some(length) => shown.push_str(&rest[..length]),
            None if is_obeyed_in_a_text(char) => shown.push(INSTEAD),
            None => shown.push(char),
        }
        rest = &rest[length..];
    }
    Cow::Owned(shown)
}

/// Length of a code of a terminal with which this begins, where it is for a colour, bold, or the end of either. One that hides text
/// is none.
fn colour_code(text: &str) -> Option<usize> {
    let (codes, _) = text.strip_prefix("\u{1b}[")?.split_once('m')?;
    let is_ours = |code: &str| {
        matches!(code, "" | "0" | "1" | "2") || code.parse().is_ok_and(|code: u8| (30..=37).contains(&code))
    };
    codes.split(';').all(is_ours).then_some("\u{1b}[".len() + codes.len() + "m".len())
}

/// A text between tags and in quoted attributes, of HTML and of XML.
pub fn markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char if is_obeyed_in_a_text(char) => escaped.push(INSTEAD),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// One of each kind that is obeyed.
    const OBEYED: &str =
        "\u{1b}\u{7}\u{7f}\u{9b}\u{85}\u{202e}\u{2066}\u{2069}\u{200b}\u{200f}\u{2028}\u{feff}\u{e0041}";

    #[test]
    fn nothing_is_obeyed_and_letters_stay() {
        let many = "\u{fffd}".repeat(OBEYED.chars().count());
        assert_eq!(printable(&format!("注文 é😀{OBEYED}\n\t")), format!("注文 é😀{many}\u{fffd}\u{fffd}"));
        assert_eq!(printable_lines(&format!("a\n\tb\r{OBEYED}")), format!("a\n\tb\u{fffd}{many}"));
        assert_eq!(markup(&format!("<a b=\"&\">\n{OBEYED}")), format!("&lt;a b=&quot;&amp;&quot;&gt;\n{many}"));
        assert_eq!(indented("a\r\nNext: rm\nb"), "a\u{fffd}\n  Next: rm\n  b");
    }

    #[test]
    fn of_codes_for_a_terminal_our_colours_stay_where_there_are_colours() {
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J \u{1b}[8mhidden \u{1b}]0;title\u{7} \u{1b}[31";
        assert_eq!(
            shown(text, true),
            "\u{1b}[1;31mred\u{1b}[0m \u{fffd}[2J \u{fffd}[8mhidden \u{fffd}]0;title\u{fffd} \u{fffd}[31"
        );
        assert_eq!(shown("\u{1b}[31mred\u{1b}[0m\n", false), "\u{fffd}[31mred\u{fffd}[0m\n");
        assert!(matches!(shown("plain\n\ttext", true), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn json_says_the_same_and_nothing_in_it_is_obeyed(text in any::<String>(), seasoned in any::<bool>()) {
            let value = Value::String(if seasoned { format!("{text}{OBEYED}") } else { text });
            let shown = json(&format!("{value:#}"));
            prop_assert!(is_printable(&shown), "{shown:?}");
            prop_assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }

        #[test]
        fn what_is_printed_holds_nothing_that_is_obeyed(text in any::<String>()) {
            let seasoned = format!("{text}{OBEYED}");
            prop_assert!(is_printable(&shown(&seasoned, false)));
            prop_assert!(is_printable(&markup(&seasoned)));
        }
    }
}
