//! The words of an expression.

use std::borrow::Cow;

use super::super::GrammarError;

/// One word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// Also `and`, `or`, `in`.
    Operator(&'a str),
    /// `$name`, without the sign; empty for `$`, and `$` for `$$`.
    Variable(&'a str),
    /// A field's name, plain or in backticks; also `function` and `λ`.
    Name(&'a str),
    /// What stands between the quotes, with its escapes, which are right.
    Text(&'a str),
    Number(f64),
    Boolean(bool),
    Null,
    /// Pattern and flags.
    Regex(&'a str, &'a str),
    End,
}

const TWO: [&str; 8] = ["..", ":=", "!=", ">=", "<=", "**", "~>", "?:"];
const ONE: &str = ".[]{}(),@#;:?+-*/%|=<>^&!~";

pub(super) struct Lexer<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next word and where it begins. After a value a slash divides, elsewhere it begins a regular expression.
    pub(super) fn next(&mut self, after_value: bool) -> Result<(Token<'a>, usize), GrammarError> {
        self.space()?;
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok((Token::End, start)) };
        let token = match first {
            '/' if !after_value => self.regex()?,
            '"' | '\'' => self.string(first)?,
            '`' => {
                let Some(length) = rest[1..].find('`') else {
                    return Err(GrammarError::new(start, "this backtick is not closed"));
                };
                self.at += length + 2;
                Token::Name(&rest[1..=length])
            }
            '0'..='9' => self.number()?,
            _ => match operator(rest) {
                Some(operator) => {
                    self.at += operator.len();
                    Token::Operator(operator)
                }
                None => self.word(),
            },
        };
        Ok((token, start))
    }

    fn space(&mut self) -> Result<(), GrammarError> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}']).len();
            if !self.rest().starts_with("/*") {
                return Ok(());
            }
            let Some(length) = self.rest().find("*/") else {
                return Err(GrammarError::new(self.at, "this comment is not closed"));
            };
            self.at += length + 2;
        }
    }

    fn word(&mut self) -> Token<'a> {
        let rest = self.rest();
        let ends = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}') || ONE.contains(c);
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += word.len();
        match word {
            "and" | "or" | "in" => Token::Operator(word),
            "true" => Token::Boolean(true),
            "false" => Token::Boolean(false),
            "null" => Token::Null,
            _ => word.strip_prefix('$').map_or(Token::Name(word), Token::Variable),
        }
    }

    /// `0`, `12`, `1.5`, `2e10`. A point that no digit follows is the operator.
    fn number(&mut self) -> Result<Token<'a>, GrammarError> {
        let rest = self.rest().as_bytes();
        let digits = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut length = if rest[0] == b'0' { 1 } else { digits(0) };
        if rest.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            if digits(length + 1 + sign) > 0 {
                length += 1 + sign + digits(length + 1 + sign);
            }
        }
        let number = self.rest()[..length].parse::<f64>().ok().filter(|number| number.is_finite());
        let Some(number) = number else { return Err(GrammarError::new(self.at, "this number is out of range")) };
        self.at += length;
        Ok(Token::Number(number))
    }

    fn string(&mut self, quote: char) -> Result<Token<'a>, GrammarError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                None => return Err(GrammarError::new(start, "this quote is not closed")),
                Some(b'\\') => {
                    let at = self.at;
                    self.at += match bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u')
                            if bytes.get(at + 2..at + 6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) =>
                        {
                            6
                        }
                        Some(b'\'') => {
                            let message = "JSONata has no escape \\'; put the text in double quotes, or write \\u0027";
                            return Err(GrammarError::new(at, message));
                        }
                        _ => {
                            let message = "JSONata has no such escape; it has \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four digits";
                            return Err(GrammarError::new(at, message));
                        }
                    };
                }
                Some(byte) => {
                    self.at += 1;
                    if char::from(*byte) == quote {
                        return Ok(Token::Text(&self.text[start + 1..self.at - 1]));
                    }
                }
            }
        }
    }

    /// Ends at the first slash outside of brackets; then flags.
    fn regex(&mut self) -> Result<Token<'a>, GrammarError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut depth = 0i32;
        let mut at = start + 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' => at += 1,
                b'/' if depth == 0 => {
                    if at == start + 1 {
                        return Err(GrammarError::new(start, "an empty regular expression is not allowed"));
                    }
                    let flags = bytes[at + 1..].iter().take_while(|flag| matches!(flag, b'i' | b'm')).count();
                    self.at = at + 1 + flags;
                    return Ok(Token::Regex(&self.text[start + 1..at], &self.text[at + 1..self.at]));
                }
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        Err(GrammarError::new(start, "this regular expression is not closed"))
    }
}

/// A text as it is meant. Its escapes are right, which the lexer has seen to.
pub(super) fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let mut length = 2;
        text.push(match rest.as_bytes()[at + 1] {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = unit(rest, at);
                let second = unit(rest, at + 6);
                let pair =
                    first.zip(second).and_then(|(first, second)| char::decode_utf16([first, second]).next()?.ok());
                let is_pair = pair.is_some_and(|character| character.len_utf16() == 2);
                length = if is_pair { 12 } else { 6 };
                let alone = first.and_then(|first| char::from_u32(u32::from(first)));
                pair.filter(|_| is_pair).or(alone).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => char::from(other),
        });
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The four digits of `\uXXXX` at this byte.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    // `from_str_radix` takes a sign too.
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

fn operator(rest: &str) -> Option<&str> {
    // `?:` came with a later version; it is read as one to say so, but only where it is one.
    let two = TWO.iter().find(|operator| rest.starts_with(**operator));
    match two {
        Some(two) => Some(&rest[..two.len()]),
        None => rest.chars().next().filter(|first| ONE.contains(*first)).map(|_| &rest[..1]),
    }
}
