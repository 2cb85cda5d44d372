//! From text to a tree: JSON where it is JSON, else YAML.

use serde_json::Value;

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

/// Reads JSON or YAML. A text that starts with a brace is taken for JSON when it comes to reporting an error, because
/// that is what its author meant.
///
/// # Errors
/// The place of the first error.
pub fn parse(text: &str) -> Result<Value, SyntaxError> {
    let json_error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    match serde_yaml::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) if text.trim_start().starts_with('{') => Err(SyntaxError {
            line: json_error.line(),
            column: json_error.column(),
            message: without_place(&json_error.to_string()),
        }),
        Err(error) => {
            let place = error.location();
            Err(SyntaxError {
                line: place.as_ref().map_or(1, serde_yaml::Location::line),
                column: place.as_ref().map_or(1, serde_yaml::Location::column),
                message: without_place(&error.to_string()),
            })
        }
    }
}

/// The parsers end their messages with the place, which is told apart from the message here.
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

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }
}
