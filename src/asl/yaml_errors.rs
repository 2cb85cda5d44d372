//! What the YAML parser meets, in the words of people who write YAML, at the line that they have to change.

use std::borrow::Cow;

/// Parts of what the parser says, and what that means. The first that fits counts.
const WORDS: &[(&str, &str)] = &[
    ("tab", "a tab stands here, and YAML is indented by spaces alone; replace it by spaces"),
    (
        "mapping values are not allowed",
        "a colon with a space behind it stands where no key can be: correct the indentation, or put a text that has a colon in quotes",
    ),
    ("illegal placement of ':'", "a colon stands where no key can be; put a text that has a colon in quotes"),
    (
        "expected key",
        "a key is wanted here: the line is indented otherwise than its neighbours, or something before it is not closed",
    ),
    (
        "expected '-' indicator",
        "an entry of the list (\"- \") is wanted here; correct the indentation of this line, or begin it with \"- \"",
    ),
    ("expected ',' or ']'", "a comma or ] is missing before this"),
    ("expected ',' or '}'", "a comma or } is missing before this"),
    ("misplaced bracket", "a bracket is closed here that was not opened"),
    (
        "block sequence entries are not allowed",
        "an entry of a list (\"- \") stands where none can be; begin it in a line of its own",
    ),
    ("'-' must be followed", "a space is missing behind the - of a list"),
    ("only valid inside a block", "an entry of a list (\"- \") cannot stand within [ ] or { }"),
    ("':' must be followed", "a space is missing behind the colon"),
    (
        "indentation in quoted scalar",
        "the quotation that begins here is not closed before a line that is indented less; close it",
    ),
    ("found unexpected end of stream", "the quotation that begins here is not closed"),
    ("unexpected document indicator", "the quotation that begins here is not closed"),
    (
        "invalid trailing content",
        "something stands behind the closing quotation mark; remove it, or put all of it in quotes",
    ),
    (
        "escape character",
        "in double quotes \\ begins an escape, and this is none that YAML has; write \\\\, or take single quotes",
    ),
    (
        "unknown anchor",
        "* begins an alias, and no anchor (&) of this name stands before it; put a text that begins with * in quotes",
    ),
    (
        "anchor or alias",
        "& and * begin an anchor and an alias, and a name is missing behind it; put a text that begins with either in quotes",
    ),
    ("unexpected character", "no text begins with this character (@ ` %) unless it is in quotes"),
    ("unprintable character", "a character stands here that is no text; remove it"),
    ("byte order mark", "a byte order mark stands here, and only the beginning of a text has one; remove it"),
    ("indentation", "this line is indented otherwise than what it belongs to"),
    ("indented line in block scalar", "this line is indented less than the text after | or > that it belongs to"),
    ("recursion limit", "brackets are nested deeper than can be read"),
    ("handle wasn't declared", "! begins a tag, and nobody declared this one; put a text that begins with ! in quotes"),
    ("document start", "a document begins here; write --- before it"),
];

/// A key without its colon.
const NO_COLON: [&str; 2] = ["simple key expect ':'", "simple key expected"];

/// Line and column, from 1, and words for what the parser met there.
pub(super) fn in_words(text: &str, line: usize, column: usize, info: &str) -> (usize, usize, Cow<'static, str>) {
    if let Some((line, found)) = without_colon(text, line, column, info) {
        let column = 1 + found.chars().take_while(|c| c.is_whitespace()).count();
        let message = format!(
            "\"{}\" has no colon, and a key is wanted here: write key: value, with a space behind the colon",
            shortened(found.trim())
        );
        return (line, column, message.into());
    }
    let words = WORDS.iter().find(|(part, _)| info.contains(part)).map(|(_, words)| Cow::Borrowed(*words));
    (line, column, words.unwrap_or_else(|| format!("this cannot be read as YAML: {info}").into()))
}

/// The nearest line that has something and is no `key: value`, where that is what the parser stumbled over.
fn without_colon<'a>(text: &'a str, line: usize, column: usize, info: &str) -> Option<(usize, &'a str)> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let has_colon = |text: &str| text.trim_end().ends_with(':') || text.contains(": ");
    let is_one = |text: &str| !has_colon(text) && !text.trim_start().starts_with('-');
    let has_something = |text: &str| !text.trim().is_empty() && !text.trim_start().starts_with('#');
    let before = lines.iter().copied().enumerate().rev().take(50).map(|(at, one)| (at + 1, one));
    let mut before = before.filter(|(_, one)| has_something(one));
    if NO_COLON.contains(&info) {
        return before.find(|(_, one)| is_one(one));
    }
    // A key with its colon, which the parser takes for the end of the text before.
    let (_, own) = before.next().filter(|(at, _)| *at == line && info.contains("mapping values"))?;
    let key: String = own.chars().take(column.saturating_sub(1)).collect();
    before.next().filter(|(_, one)| is_one(one) && !has_colon(&key))
}

fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use crate::asl::parse_all;

    #[test]
    fn what_is_no_yaml_is_told_in_words_at_the_line_to_change() {
        let mut wrong = Vec::new();
        for (text, line, words) in [
            ("StartAt: A\nStates\n  A: {}\n", 2, "\"States\" has no colon"),
            ("kind Workflow\nmetadata:\n  name: a\n", 1, "\"kind Workflow\" has no colon"),
            ("apiVersion: v1\nkind Workflow\nmetadata:\n", 2, "\"kind Workflow\" has no colon"),
            ("a: 1\nb\n", 2, "\"b\" has no colon"),
            ("States:\n\tA:\n\t\tType: Pass\n", 2, "a tab stands here"),
            ("a: b: c\n", 1, "a colon with a space behind it"),
            ("Comment: first: second\n", 1, "put a text that has a colon in quotes"),
            ("a: [1, 2\nb: 3\n", 2, ""),
            ("a: {b: 1\n", 2, "a comma or } is missing"),
            ("a: \"open\nb: 1\n", 1, "is not closed"),
            ("a: \"open\n b\n", 1, "is not closed"),
            ("a: 'x' y\n", 1, ""),
            ("a: \"\\d\"\n", 1, "is none that YAML has"),
            ("a: *b\n", 1, "put a text that begins with * in quotes"),
            ("a: @b\n", 1, "unless it is in quotes"),
            ("a: - b\n", 1, "in a line of its own"),
            ("a:\n  - b\n c: 1\n", 3, ""),
            ("a: ]\n", 1, ""),
        ] {
            let error = parse_all(text).unwrap_err();
            let is_raw = ["simple key", "while ", "did not find", "disallowed", "expected"]
                .iter()
                .any(|raw| error.message.contains(raw));
            if !error.message.contains(words) || error.line != line || is_raw {
                wrong.push(format!("{text:?}: {error}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
