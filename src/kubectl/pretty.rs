//! JSON with a line for each value, for whoever has to see just what is there.

use serde::de::IgnoredAny;

/// Deeper than this nothing is moved further to the right.
const DEEPEST: usize = 20;

/// JSON with a line for each value, and each of its words as it stands: a number that nothing here could hold, and a key that
/// stands twice, are seen. What is no JSON is shown as it is.
pub(super) fn pretty(text: &str) -> String {
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return text.to_owned();
    }
    let (mut out, mut depth) = (String::with_capacity(text.len() * 2), 0_usize);
    let mut rest = text.trim_matches(is_space).chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth.min(DEEPEST)));
    };
    let (mut in_text, mut is_escaped) = (false, false);
    while let Some(char) = rest.next() {
        if in_text {
            out.push(char);
            (in_text, is_escaped) = (is_escaped || char != '"', !is_escaped && char == '\\');
            continue;
        }
        match char {
            space if is_space(space) => {}
            '{' | '[' => {
                out.push(char);
                while rest.next_if(|next| is_space(*next)).is_some() {}
                if let Some(end) = rest.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(char);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => {
                in_text = other == '"';
                out.push(other);
            }
        }
    }
    out
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_word_stays_as_it_stands() {
        for (text, shown) in [
            ("{}", "{}"),
            (" [ ] ", "[]"),
            ("3", "3"),
            ("no json {", "no json {"),
            (r#"{"a":1e400,"a":12345678901234567890123}"#, "{\n  \"a\": 1e400,\n  \"a\": 12345678901234567890123\n}"),
            (
                r#"[{"k":"{,}:\" [","e":{ }},null]"#,
                "[\n  {\n    \"k\": \"{,}:\\\" [\",\n    \"e\": {}\n  },\n  null\n]",
            ),
            (r#"{"a":"\\","b":[1]}"#, "{\n  \"a\": \"\\\\\",\n  \"b\": [\n    1\n  ]\n}"),
        ] {
            assert_eq!(pretty(text), shown);
        }
    }

    #[test]
    fn depth_does_not_make_it_many_times_as_long() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(pretty(&deep).len() < deep.len() * 50);
    }

    proptest! {
        #[test]
        fn it_says_the_same(text in any::<String>(), number in any::<f64>()) {
            let value = serde_json::json!({"a": [text, {text.clone(): number}, {}], "b": text});
            prop_assert_eq!(serde_json::from_str::<Value>(&pretty(&value.to_string())).unwrap(), value);
        }
    }
}
