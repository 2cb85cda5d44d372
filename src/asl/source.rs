//! From text to a tree: JSON where it is JSON, else YAML.

use serde_json::Value;

use super::unique::Unique;
use super::yaml;

/// Text that is neither JSON nor YAML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// What the parser met there.
    pub message: String,
}

/// A text as a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The tree.
    pub value: Value,
    /// Plain scalars of a YAML text that versions of YAML read differently.
    pub ambiguous: Vec<Ambiguous>,
}

/// A plain scalar that YAML 1.1, which kubectl and we read, and YAML 1.2 take for different values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ambiguous {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
    /// The scalar.
    pub text: String,
}

/// Reads JSON or YAML. A text that starts with a brace is taken for JSON when it comes to reporting an error, because
/// that is what its author meant.
///
/// # Errors
/// The place of the first error. A key that stands twice is one: JSON and YAML leave open which of the two counts.
pub fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    let json_error = match serde_json::from_str::<Unique>(text) {
        Ok(Unique(value)) => return Ok(Parsed { value, ambiguous: Vec::new() }),
        Err(error) => error,
    };
    let json = || SyntaxError {
        line: json_error.line(),
        column: json_error.column(),
        message: without_place(&json_error.to_string()),
    };
    if json_error.is_data() {
        return Err(json());
    }
    yaml::parse(text).map_err(|error| if text.trim_start().starts_with('{') { json() } else { error })
}

/// The parser ends its messages with the place, which is told apart from the message here.
fn without_place(message: &str) -> String {
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_has_its_line_and_column() {
        let json = parse("{\n  \"StartAt\": \"A\",\n  ]\n}").unwrap_err();
        assert_eq!((json.line, json.column), (3, 3), "{json}");
        let yaml = parse("StartAt: A\nStates: [\n").unwrap_err();
        assert!(yaml.line >= 2, "{yaml}");
        assert!(!yaml.message.is_empty());
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
    fn a_doubtful_scalar_is_told_with_its_place() {
        let parsed = parse("on: 1\nb: [012, 'yes', 12]\n").unwrap();
        let places: Vec<_> = parsed.ambiguous.iter().map(|one| (one.line, one.column, one.text.as_str())).collect();
        assert_eq!(places, [(1, 1, "on"), (2, 5, "012")]);
        assert_eq!(parsed.value, serde_json::json!({"true": 1, "b": [10, "yes", 12]}));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }
}
