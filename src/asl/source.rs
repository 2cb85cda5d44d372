//! From text to a tree: JSON where it is JSON, else YAML.

use serde_json::Value;

use super::json::{self, JsonError};
use super::parsed::{Parsed, SyntaxError};
use super::position::Lines;
use super::yaml;
use crate::printable;

/// Reads JSON or YAML. A text that starts with a brace is taken for JSON when it comes to reporting an error, because
/// that is what its author meant.
///
/// # Errors
/// The place of the first error. A key that stands twice is one: JSON and YAML leave open which of the two counts.
pub fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    json::parse(text).or_else(|error| otherwise(text, &error, yaml::parse))
}

/// As [`parse`], for what nobody puts values into any more before it is read.
///
/// # Errors
/// As [`parse`], and for a `${…}` without quotes: such a text is no JSON, and what it will be nobody knows.
pub fn parse_whole(text: &str) -> Result<Parsed, SyntaxError> {
    let parsed = parse(text)?;
    let Some(span) = parsed.unquoted.first() else { return Ok(parsed) };
    let (line, column) = Lines::of(text).position(span.start);
    let message = format!(
        "{} stands outside of quotes, and values are put into texts alone; write the value itself",
        &text[span.start..span.end]
    );
    Err(SyntaxError { line, column, message, is_too_deep: false })
}

/// Reads JSON, or a stream of YAML documents as `kubectl apply` and Kustomize have them.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(text: &str) -> Result<Vec<Parsed>, SyntaxError> {
    json::parse(text).map(|parsed| vec![parsed]).or_else(|error| otherwise(text, &error, yaml::parse_all))
}

/// Why a text is no JSON, whatever else it may be. A `${…}` without quotes is let pass, for a value will stand there.
pub fn not_json(text: &str) -> Option<SyntaxError> {
    json::parse(text).err().map(|error| at_its_place(text, &error))
}

/// As [`parse_all`] of YAML, with a text instead of what is nested too deep.
///
/// # Errors
/// As [`parse`], but for what is nested too deep.
pub fn parse_cut(text: &str, instead: &str) -> Result<Vec<Parsed>, SyntaxError> {
    yaml::parse_cut(text, instead)
}

/// YAML that every reader takes for this value. The writer follows version 1.2, in which `n` is a text and in version 1.1 a
/// boolean: where the versions differ it is written as JSON, which is YAML too,
/// and so is what has characters that only the escapes of JSON show.
///
/// # Errors
/// When the value cannot be written.
pub fn to_yaml(value: &Value) -> Result<String, serde_yaml::Error> {
    let text = serde_yaml::to_string(value)?;
    let is_clear = printable::is_printable(&text)
        && parse(&text).is_ok_and(|read| read.value == *value && read.ambiguous.is_empty());
    Ok(if is_clear { text } else { printable::json(&format!("{value:#}\n")) })
}

/// What is no JSON may be YAML.
fn otherwise<T>(
    text: &str,
    error: &JsonError,
    as_yaml: impl Fn(&str) -> Result<T, SyntaxError>,
) -> Result<T, SyntaxError> {
    let json = || at_its_place(text, error);
    if error.is_json {
        return Err(json());
    }
    // A slash begins a comment of those who write JSON with comments, and a percent sign a directive of a template.
    as_yaml(text).map_err(|error| {
        let begins = text.trim_start();
        if begins.starts_with(['{', '/']) || begins.starts_with("%{") { json() } else { error }
    })
}

fn at_its_place(text: &str, error: &JsonError) -> SyntaxError {
    let (line, column) = Lines::of(text).position(error.at);
    SyntaxError { line, column, message: error.message.clone(), is_too_deep: error.is_too_deep }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::parsed::MAX_DEPTH;
    use proptest::prelude::*;

    /// What is submitted is read again with the bound of `serde_json`.
    #[test]
    fn json_and_yaml_are_read_to_the_depth_that_can_be_read_again() {
        for (levels, is_read) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let list = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
            let map = format!("{}1{}", "{a: ".repeat(levels), "}".repeat(levels));
            let empty = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            for text in [list, map.clone(), map.replace('a', "\"a\""), empty, format!("# YAML\n{map}")] {
                let read = parse(&text);
                assert_eq!(read.is_ok(), is_read, "{levels}: {text}");
                if let Ok(read) = read {
                    assert!(serde_json::from_str::<serde_json::Value>(&read.value.to_string()).is_ok(), "{text}");
                }
            }
        }
    }

    #[test]
    fn an_error_has_its_line_and_column() {
        let json = parse("{\n  \"StartAt\": \"A\",\n  ]\n}").unwrap_err();
        assert_eq!((json.line, json.column), (3, 3), "{json}");
        let yaml = parse("StartAt: A\nStates: [\n").unwrap_err();
        assert!(yaml.line >= 2, "{yaml}");
        assert!(!yaml.message.is_empty());
    }

    #[test]
    fn a_comment_in_json_is_told_as_such_at_its_place() {
        for (text, line, column) in [
            ("{\n  // first\n  \"StartAt\": \"A\"\n}", 2, 3),
            ("{\"StartAt\": \"A\", // why\n \"States\": {}}", 1, 18),
            ("{\"StartAt\": /* here */ \"A\"}", 1, 13),
            ("{\"States\": {\"A\": {\"End\": true // last\n}}}", 1, 31),
            ("// before\n{\"StartAt\": \"A\"}", 1, 1),
            ("{\"StartAt\": \"A\"}\n/* after */\n", 2, 1),
            ("// c\n{\n\"StartAt\": \"A\"\n}", 1, 1),
            ("/* c */\n{\"StartAt\": \"A\"}", 1, 1),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains("JSON has no comments"), "{text}: {error}");
            assert_eq!((error.line, error.column), (line, column), "{text}");
        }
        assert!(parse("{\"StartAt\": \"A\" # YAML has them\n}").is_ok());
        assert!(parse("{\"a\": \"https://example.com\"}").is_ok());
        assert!(parse("a: //server/share\n").is_ok());
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error_in_either() {
        let json = parse("{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert!(json.to_string().contains("line 2") && json.message.contains("\"a\""), "{json}");
        let yaml = parse("a: 1\nb:\n  c: 1\n  c: 2\n").unwrap_err();
        assert_eq!((yaml.line, yaml.column), (4, 3));
        assert!(yaml.message.contains("first is in line 3"), "{yaml}");
    }

    #[test]
    fn aliases_and_merges_are_followed_but_not_without_end() {
        let merged = parse("base: &base {a: 1, b: 2}\nover: {<<: *base, b: 3}\n").unwrap();
        assert_eq!(merged.value["over"], serde_json::json!({"a": 1, "b": 3}));
        let level = |at: usize| match at {
            0 => "a0: &a0 [x, x, x, x, x, x, x, x, x]".to_owned(),
            _ => format!("a{at}: &a{at} [{}]", vec![format!("*a{}", at - 1); 9].join(", ")),
        };
        let laughs = (0..12).map(level).collect::<Vec<_>>().join("\n");
        assert!(parse(&laughs).unwrap_err().message.contains("too much"));
    }

    #[test]
    fn aliases_nest_no_deeper_than_what_is_written_out() {
        let level = |at: usize, inner: &str| format!("a{at}: &a{at} {}{inner}{}", "[".repeat(60), "]".repeat(60));
        let two = format!("{}\n{}\n", level(0, "x"), level(1, "*a0"));
        assert!(parse(&two).is_ok(), "{:?}", parse(&two));
        let many: String = (1..200).map(|at| level(at, &format!("*a{}", at - 1)) + "\n").collect();
        let error = parse(&format!("{}\n{many}", level(0, "x"))).unwrap_err();
        assert!(error.is_too_deep, "{error}");
        let cut = parse_cut(&format!("{}\n{many}", level(0, "x")), "cut").unwrap();
        assert!(cut[0].value.to_string().contains("\"cut\""));
    }

    #[test]
    fn a_doubtful_scalar_is_told_with_its_place() {
        let parsed = parse("on: 1\nb: [012, 'yes', 12]\n").unwrap();
        let places: Vec<_> = parsed.ambiguous.iter().map(|one| (one.line, one.column, one.text.as_str())).collect();
        assert_eq!(places, [(1, 1, "on"), (2, 5, "012")]);
        assert_eq!(parsed.value, serde_json::json!({"true": 1, "b": [10, "yes", 12]}));
    }

    #[test]
    fn what_is_written_as_yaml_is_the_same_in_every_version() {
        assert_eq!(to_yaml(&serde_json::json!({"a": ["text", 1]})).unwrap(), "a:\n- text\n- 1\n");
        for text in
            ["n", "y", "on", "12:30", "012", "0o7", "1_0", "~", "", "2001-01-01", "=", "<<", "\u{85}", "\u{2028}"]
        {
            for value in [serde_json::json!(text), serde_json::json!({text: [text]})] {
                let read = parse(&to_yaml(&value).unwrap()).unwrap();
                assert_eq!((read.value, read.ambiguous), (value, Vec::new()), "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }
}
