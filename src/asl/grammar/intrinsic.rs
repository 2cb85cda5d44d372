//! Intrinsic functions: `States.Format('{} of {}', $.a, States.ArrayLength($.b))`.
//!
//! Source: states-language.net/spec.html, "Intrinsic Functions", and the developer guide of Step Functions, which gives
//! each function's parameters.

use super::jsonpath::{self, Query, Root};
use super::{GrammarError, MAX_NESTING};

/// What a function takes at one place, as far as it can be seen in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Anything,
    Number,
    Text,
    /// An array or object, which has no literal form.
    Data,
    /// The word `false`: deep merges are not supported.
    False,
}

/// Name, fewest and most arguments, and what they are; the last stands for all that follow.
type Function = (&'static str, usize, usize, &'static [Takes]);

const FUNCTIONS: [Function; 18] = [
    ("Array", 0, usize::MAX, &[Takes::Anything]),
    ("ArrayContains", 2, 2, &[Takes::Data, Takes::Anything]),
    ("ArrayGetItem", 2, 2, &[Takes::Data, Takes::Number]),
    ("ArrayLength", 1, 1, &[Takes::Data]),
    ("ArrayPartition", 2, 2, &[Takes::Data, Takes::Number]),
    ("ArrayRange", 3, 3, &[Takes::Number]),
    ("ArrayUnique", 1, 1, &[Takes::Data]),
    ("Base64Decode", 1, 1, &[Takes::Text]),
    ("Base64Encode", 1, 1, &[Takes::Text]),
    ("Format", 1, usize::MAX, &[Takes::Text, Takes::Anything]),
    ("Hash", 2, 2, &[Takes::Anything, Takes::Text]),
    ("JsonMerge", 3, 3, &[Takes::Data, Takes::Data, Takes::False]),
    ("JsonToString", 1, 1, &[Takes::Data]),
    ("MathAdd", 2, 2, &[Takes::Number]),
    ("MathRandom", 2, 3, &[Takes::Number]),
    ("StringSplit", 2, 2, &[Takes::Text]),
    ("StringToJson", 1, 1, &[Takes::Text]),
    ("UUID", 0, 0, &[]),
];

/// Functions whose result differs from one evaluation to the next.
const RANDOM: [&str; 2] = ["UUID", "MathRandom"];

/// A call that is written well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// True when it, or a call inside it, gives another result each time.
    pub is_random: bool,
    /// True when it reads a variable.
    pub reads_variables: bool,
}

/// True for a text that its author means as a call.
pub fn is_call(text: &str) -> bool {
    text.starts_with("States.")
}

/// A call with its arguments, to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// `Format`, for example.
    pub name: &'static str,
    /// In their order.
    pub arguments: Vec<Argument>,
}

/// What stands as an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A path.
    Path(Query),
    /// Another call.
    Call(Tree),
    /// What is between the quotes, its backslashes as they are written, and the number of `{}` in it.
    Text(String, usize),
    /// A number.
    Number(serde_json::Number),
    /// `true`, `false`, `null`.
    Word(&'static str),
}

/// Reads a call that fills the text.
///
/// # Errors
/// The place where it stops to be one, an unknown function, or arguments that it does not take.
pub fn parse(text: &str) -> Result<Call, GrammarError> {
    Ok(read(text)?.0)
}

/// As [`parse`], with the arguments.
///
/// # Errors
/// As [`parse`].
pub fn tree(text: &str) -> Result<Tree, GrammarError> {
    Ok(read(text)?.1)
}

fn read(text: &str) -> Result<(Call, Tree), GrammarError> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, call: Call::default() };
    let tree = reader.call(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(GrammarError::new(reader.at, "unexpected text after the call"));
    }
    Ok((reader.call, tree))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    call: Call,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn call(&mut self, depth: usize) -> Result<Tree, GrammarError> {
        let start = self.at;
        if depth > MAX_NESTING {
            return Err(GrammarError::new(start, "calls are nested too deep"));
        }
        let rest = &self.text[start..];
        let name = &rest[..rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len())];
        let function = name.strip_prefix("States.").and_then(find);
        let Some((name, fewest, most, takes)) = function else {
            return Err(GrammarError::new(start, unknown(name)));
        };
        self.at += "States.".len() + name.len();
        self.space();
        if self.peek() != Some(b'(') {
            return Err(GrammarError::new(self.at, format!("\"(\" is missing after States.{name}")));
        }
        self.at += 1;
        self.call.is_random |= RANDOM.contains(&name);
        let arguments = self.arguments(depth, name, takes)?;
        if !(fewest..=most).contains(&arguments.len()) {
            let message = format!("States.{name} takes {}, and here are {}", count(fewest, most), arguments.len());
            return Err(GrammarError::new(start, message));
        }
        if let ("Format", Some(Argument::Text(_, holes))) = (name, arguments.first()) {
            let values = arguments.len() - 1;
            if *holes != values {
                let message = format!("the template has {holes} times {{}} and {values} values follow it");
                return Err(GrammarError::new(start, message));
            }
        }
        Ok(Tree { name, arguments })
    }

    /// From after the opening parenthesis to after the closing one.
    fn arguments(&mut self, depth: usize, name: &str, takes: &[Takes]) -> Result<Vec<Argument>, GrammarError> {
        let mut arguments = Vec::new();
        self.space();
        if self.peek() == Some(b')') {
            self.at += 1;
            return Ok(arguments);
        }
        loop {
            self.space();
            let start = self.at;
            let argument = self.argument(depth)?;
            let takes = takes.get(arguments.len()).or(takes.last()).copied().unwrap_or(Takes::Anything);
            if let Some(wanted) = refused(&argument, takes) {
                let message = format!("States.{name} takes {wanted} as argument {}", arguments.len() + 1);
                return Err(GrammarError::new(start, message));
            }
            arguments.push(argument);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b')') => {
                    self.at += 1;
                    return Ok(arguments);
                }
                _ => return Err(GrammarError::new(self.at, "\",\" or \")\" is missing here")),
            }
        }
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, GrammarError> {
        match self.peek() {
            Some(b'$') => {
                let (query, end) = jsonpath::prefix(self.text, self.at)?;
                self.at = end;
                self.call.reads_variables |= query.path.root == Root::Variable;
                Ok(Argument::Path(query))
            }
            Some(b'\'') => self.quoted(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.text[self.at..].starts_with("States.") => Ok(Argument::Call(self.call(depth + 1)?)),
            _ => {
                for word in ["true", "false", "null"] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(Argument::Word(word));
                    }
                }
                let message = "an argument is a path, a call, a number, true, false, null, or text in single quotes";
                Err(GrammarError::new(self.at, message))
            }
        }
    }

    fn quoted(&mut self) -> Result<Argument, GrammarError> {
        let start = self.at;
        let mut holes = 0;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'\'') => {
                    let text = self.text[start + 1..self.at].to_owned();
                    self.at += 1;
                    return Ok(Argument::Text(text, holes));
                }
                Some(b'\\') => {
                    if !matches!(self.bytes.get(self.at + 1), Some(b'\'' | b'{' | b'}' | b'\\')) {
                        let message = "a backslash in the text of a call escapes ' { } or \\ only";
                        return Err(GrammarError::new(self.at, message));
                    }
                    self.at += 2;
                }
                Some(b'{') if self.bytes.get(self.at + 1) == Some(&b'}') => {
                    holes += 1;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
                None => return Err(GrammarError::new(start, "this quote is not closed")),
            }
        }
    }

    fn number(&mut self) -> Result<Argument, GrammarError> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        let Ok(number) = serde_json::from_str::<serde_json::Number>(&rest[..length]) else {
            return Err(GrammarError::new(self.at, format!("\"{}\" is not a number", &rest[..length])));
        };
        self.at += length;
        Ok(Argument::Number(number))
    }
}

fn find(name: &str) -> Option<Function> {
    FUNCTIONS.into_iter().find(|function| function.0 == name)
}

fn unknown(name: &str) -> String {
    let name = name.strip_prefix("States.").unwrap_or(name);
    let near = FUNCTIONS.into_iter().find(|function| function.0.eq_ignore_ascii_case(name));
    match near {
        Some(function) => format!("there is no function States.{name}; did you mean States.{}?", function.0),
        None => format!("there is no function States.{name}"),
    }
}

fn count(fewest: usize, most: usize) -> String {
    let noun = if most == 1 { "argument" } else { "arguments" };
    match most {
        _ if fewest == most => format!("{fewest} {noun}"),
        usize::MAX => format!("at least {fewest} {noun}"),
        _ => format!("{fewest} to {most} {noun}"),
    }
}

/// What the function takes instead, where the argument can be seen to be wrong.
fn refused(argument: &Argument, takes: Takes) -> Option<&'static str> {
    match (takes, argument) {
        (Takes::Anything, _)
        | (_, Argument::Path(_) | Argument::Call(_))
        | (Takes::Number, Argument::Number(_))
        | (Takes::Text, Argument::Text(..))
        | (Takes::False, Argument::Word("false")) => None,
        (Takes::Number, _) => Some("a number, a path or a call"),
        (Takes::Text, _) => Some("text in single quotes, a path or a call"),
        (Takes::Data, _) => Some("a path or a call"),
        (Takes::False, _) => Some("false (deep merges are not supported)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_what_is_none() {
        for text in [
            r"States.Format('Welcome to {} {}\'s playlist.', $.firstName, $.lastName)",
            "States.Format('{}{}', $.field1, $field2)",
            "States.Format($.template, $$.Map.Item.Value)",
            r"States.Format('\{\}')",
            "States.Array('Foo', 2020, $.someJson, null)",
            "States.Array()",
            "States.ArrayRange(1, 9, 2)",
            "States.JsonMerge($.json1, $.json2, false)",
            "States.MathAdd(States.ArrayLength($$.Execution.Input.machines),-1)",
            "States.ArrayGetItem($.a[?(@.k == 'x)')].b, 0)",
            "States.StringSplit('Hello\nWorld', '\n')",
            "States.UUID()",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
        for (text, at, message) in [
            ("States.Formt('x')", 0, "no function"),
            ("States.uuid()", 0, "did you mean States.UUID?"),
            ("States.MathAdd(1,'-1')", 17, "a number"),
            ("States.MathAdd(1)", 0, "takes 2 arguments, and here are 1"),
            ("States.Format('{} {}', $.a)", 0, "2 times {} and 1 values"),
            ("States.JsonMerge($.a, $.b, true)", 27, "false"),
            (r#"States.StringToJson('{"a":"\"b\""}')"#, 27, "escapes"),
            ("States.Format('x", 14, "not closed"),
            ("States.UUID(", 12, "an argument is"),
            ("States.UUID() x", 14, "after the call"),
            ("States.ArrayLength($.a b)", 23, "missing here"),
            ("States.Hash($.a, 5)", 17, "text"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error:?}");
            assert!(error.message.contains(message), "{text}: {error:?}");
        }
    }

    #[test]
    fn randomness_inside_is_seen() {
        assert!(parse("States.Format('x-{}', States.UUID())").unwrap().is_random);
        assert!(!parse("States.Format('x-{}', $.a)").unwrap().is_random);
    }
}
