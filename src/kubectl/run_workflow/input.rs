//! The input of a run: JSON, from where the flag says.

use std::io::Read;

use serde_json::Value;

use super::super::KubectlError;
use super::super::table::{printable, width};
use crate::asl::{SyntaxError, not_json};

/// So much is read of a file or pipe: more than any input may have.
const MOST: u64 = 16 * 1024 * 1024;
/// Columns of a line that are shown around an error.
const SHOWN: usize = 60;

/// What `--input` means.
pub(super) fn read(given: &str) -> Result<Value, KubectlError> {
    let (name, text) = match given.strip_prefix('@') {
        Some(path) => {
            let file = std::fs::File::open(path);
            (path.to_owned(), file.and_then(whole).map_err(|error| unreadable(path, &error))?)
        }
        None if given == "-" => {
            ("<stdin>".to_owned(), whole(std::io::stdin()).map_err(|error| unreadable("standard input", &error))?)
        }
        None => ("--input".to_owned(), given.to_owned()),
    };
    parse(&name, &text)
}

fn unreadable(name: &str, error: &std::io::Error) -> KubectlError {
    KubectlError::Usage(format!("cannot read the input from {name}: {error}"))
}

fn whole(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    let read = from.take(MOST).read_to_string(&mut text)?;
    if read as u64 == MOST {
        return Err(std::io::Error::other("it has more than 16 MiB, and an input at most 256 KiB"));
    }
    Ok(text)
}

fn parse(name: &str, text: &str) -> Result<Value, KubectlError> {
    // Windows' editors put a mark before it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(KubectlError::Usage(format!("{name} is empty, and no JSON; leave --input out for {{}}")));
    }
    if let Some(error) = not_json(text) {
        return Err(refused(name, text, &error));
    }
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let message = said.split(" at line ").next().unwrap_or(&said).to_owned();
        refused(name, text, &SyntaxError { line: error.line(), column: error.column(), message, is_too_deep: false })
    })
}

/// What is wrong, and the line with a caret below the place.
fn refused(name: &str, text: &str, error: &SyntaxError) -> KubectlError {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let column = error.column.saturating_sub(1);
    let from = column.saturating_sub(SHOWN / 2);
    let shown: String = line.chars().skip(from).take(SHOWN).collect();
    let before: String = shown.chars().take(column - from).collect();
    let number = error.line.to_string();
    let margin = " ".repeat(number.len());
    KubectlError::Usage(format!(
        "{name} is no JSON: {error}\n  {number} | {}\n  {margin} | {}^",
        printable(&shown),
        " ".repeat(width(&printable(&before)))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_of_every_kind_is_an_input() {
        for (text, value) in [
            (r#"{"a": 1}"#, json!({"a": 1})),
            ("\u{feff}[1.5]\r\n", json!([1.5])),
            ("null", json!(null)),
            ("\"${a}\"", json!("${a}")),
        ] {
            assert_eq!(parse("--input", text).unwrap(), value);
        }
    }

    #[test]
    fn what_is_no_json_is_shown_with_its_place() {
        for (text, place, line, caret) in [
            ("{\"a\": nope}", "line 1, column 7", "  1 | {\"a\": nope}", "    |       ^"),
            ("{\n  'a': 1}", "line 2, column 3", "  2 |   'a': 1}", "    |   ^"),
            ("{\"a\": ${b}}", "line 1, column", "  1 | {\"a\": ${b}}", "^"),
            ("{\"a\": 1", "line 1, column", "  1 | {\"a\": 1", "^"),
            ("{\"注\": nope}", "line 1, column 7", "  1 | {\"注\": nope}", "    |        ^"),
        ] {
            let said = parse("--input", text).unwrap_err().to_string();
            assert!(said.starts_with("--input is no JSON: ") && said.contains(place), "{said}");
            assert!(said.contains(line) && said.ends_with(caret), "{said}");
        }
        let long = format!("{{\"a\": \"{}\", b}}", "x".repeat(300));
        let said = parse("--input", &long).unwrap_err().to_string();
        assert!(said.lines().all(|line| line.len() < 120), "{said}");
        assert!(parse("a.json", " \n").unwrap_err().to_string().starts_with("a.json is empty"));
        assert!(parse("a", "\u{1b}[2J").unwrap_err().to_string().find('\u{1b}').is_none());
    }
}
