//! Text of others as it may be shown. A terminal obeys some characters, a reader of text is turned about or fooled by others, and
//! XML and YAML have no place for some; whoever names a state or ends an execution with an error chooses them.

use std::borrow::Cow;
use std::fmt::Write;

/// What stands for a character that is not shown.
const INSTEAD: char = '\u{fffd}';

/// True of a character that does something instead of being seen: controls (C0, DEL, C1), those that turn the direction of text, and
/// those that have no width. Ends of lines and tabs are such characters too, and so are joiners, which a text may need
/// ([`printable`]).
pub fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

fn is_end_or_tab(char: char) -> bool {
    matches!(char, '\n' | '\t')
}

const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';

/// True of a joiner where its script or a picture needs it (Unicode standard, chapter 23, "Cursive Connection and Ligatures"; UTS #51,
/// "Emoji ZWJ Sequences"): between Arabic or Indic letters, and a `JOINER` between the parts of a picture. Elsewhere nobody sees it.
fn is_needed(before: Option<char>, char: char, after: Option<char>) -> bool {
    let is = |of: fn(char) -> bool| [before, after].into_iter().all(|char| char.is_some_and(of));
    match char {
        NON_JOINER => is(is_joining_letter),
        JOINER => is(is_joining_letter) || is(is_picture),
        _ => false,
    }
}

/// Of a script whose letters change with their neighbours: Arabic and its like, those of India, Tibetan, Burmese, Khmer, Mongolian.
fn is_joining_letter(char: char) -> bool {
    matches!(char, '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        && !is_obeyed(char)
}

/// A picture, or what says how the one before it looks.
fn is_picture(char: char) -> bool {
    matches!(char, '\u{2190}'..='\u{21ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

/// Each character of a text, and whether it is obeyed where it stands.
fn judged(text: &str) -> impl Iterator<Item = (char, bool)> + '_ {
    let (mut before, mut chars) = (None, text.chars().peekable());
    std::iter::from_fn(move || {
        let char = chars.next()?;
        let is_harmful = is_obeyed(char) && !is_needed(before, char, chars.peek().copied());
        before = Some(char);
        Some((char, is_harmful))
    })
}

fn replaced(text: &str, stays: fn(char) -> bool) -> String {
    judged(text).map(|(char, is_obeyed)| if is_obeyed && !stays(char) { INSTEAD } else { char }).collect()
}

/// A value as it may be shown in a line.
pub fn printable(text: &str) -> String {
    replaced(text, |_| false)
}

/// The same of a text of several lines.
pub fn printable_lines(text: &str) -> String {
    replaced(text, is_end_or_tab)
}

/// The same of a text of several lines of which none begins a line of what is printed: there stand our own words alone.
pub fn indented(text: &str) -> String {
    printable_lines(text).replace('\n', "\n  ")
}

/// True of a text that nobody needs to change to show it.
pub fn is_printable(text: &str) -> bool {
    !judged(text).any(|(char, is_obeyed)| is_obeyed && !is_end_or_tab(char))
}

/// JSON that says the same and can be shown: within its texts such characters are written as escapes. Outside of them it has none.
pub fn json(text: &str) -> String {
    if is_printable(text) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for (char, is_obeyed) in judged(text) {
        if is_obeyed && !is_end_or_tab(char) {
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
    let (mut rest, mut before) = (text, None);
    while let Some(char) = rest.chars().next() {
        let code = if colour && char == '\u{1b}' { colour_code(rest) } else { None };
        let length = code.unwrap_or(char.len_utf8());
        match code {
            Some(length) => shown.push_str(&rest[..length]),
            None if is_end_or_tab(char) || is_needed(before, char, rest.chars().nth(1)) => shown.push(char),
            None => shown.push(if is_obeyed(char) { INSTEAD } else { char }),
        }
        before = Some(char);
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
    for (char, is_obeyed) in judged(text) {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char if is_obeyed && !is_end_or_tab(char) => escaped.push(INSTEAD),
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

    /// "I want" in Persian, "ksha" with a visible virama and an eyelash ra of Devanagari, a family and a rainbow flag.
    #[test]
    fn joiners_stay_where_their_script_or_picture_needs_them_and_nowhere_else() {
        for text in [
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "र्\u{200c}य",
            "👩\u{200d}👧",
            "🏳\u{fe0f}\u{200d}🌈",
            "🙋🏽\u{200d}♀\u{fe0f}",
        ] {
            assert_eq!((printable(text), markup(text), shown(text, true).as_ref()), (text.into(), text.into(), text));
            assert!(is_printable(text) && json(text) == text, "{text}");
        }
        for text in [
            "a\u{200d}b",
            "\u{200c}م",
            "م\u{200c}",
            "م\u{200c}\u{200c}م",
            "👩\u{200c}👧",
            "注\u{200d}文",
            "م\u{200d}\u{61c}",
        ] {
            assert!(!is_printable(text) && printable(text).contains('\u{fffd}'), "{text:?}");
            assert!(shown(text, false).contains('\u{fffd}') && !json(text).contains('\u{200d}'), "{text:?}");
        }
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
