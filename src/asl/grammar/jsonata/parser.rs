//! The grammar: operator precedence, as in the reference implementation, and what it makes of paths.

use super::super::super::position::Span;
use super::super::{GrammarError, MAX_NESTING};
use super::ast::{Expr, Kind, Operator};
use super::lexer::{Lexer, Token, unescaped};

/// More parts inside each other than any real expression has; a chain of operators nests to its left. AWS's own
/// implementation overflows at 200.
const MAX_HEIGHT: u16 = 500;

pub(super) type Parsed<'a> = Result<Expr<'a>, GrammarError>;

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    lexer: Lexer<'a>,
    pub(super) token: Token<'a>,
    /// Where the token begins.
    pub(super) at: usize,
    /// Where the word before it ends.
    end: usize,
    depth: usize,
}

/// An operator of a later JSONata (2.1), with what says the same in the one that Step Functions has.
fn newer(operator: &str, instead: &str) -> String {
    format!(
        "{operator} is not in the version of JSONata that Step Functions has (2.0.6); for a {operator} b write {instead}"
    )
}

impl<'a> Parser<'a> {
    pub(super) fn read(text: &'a str) -> Parsed<'a> {
        let mut lexer = Lexer::new(text);
        let (token, at) = lexer.next(false)?;
        let mut parser = Self { text, lexer, token, at, end: 0, depth: 0 };
        let expression = parser.expression(0)?;
        if parser.token != Token::End {
            return Err(parser.unexpected());
        }
        Ok(expression)
    }

    fn unexpected(&self) -> GrammarError {
        let message = match self.token {
            Token::End => "the expression ends too early".to_owned(),
            Token::Operator("?:") => newer("?:", "a ? a : b"),
            Token::Operator("?") if self.text[..self.at].ends_with('?') => newer("??", "$exists(a) ? a : b"),
            Token::Operator(operator) => format!("\"{operator}\" cannot stand here"),
            Token::Name(name) => format!("\"{name}\" cannot stand here; an operator is missing before it"),
            _ => "an operator is missing before this value".to_owned(),
        };
        GrammarError::new(self.at, message)
    }

    /// Steps over the current word.
    pub(super) fn step(&mut self, after_value: bool) -> Result<(), GrammarError> {
        self.end = self.lexer.at;
        (self.token, self.at) = self.lexer.next(after_value)?;
        Ok(())
    }

    pub(super) fn is(&self, operator: &str) -> bool {
        self.token == Token::Operator(operator)
    }

    /// Steps over an operator if it stands here.
    pub(super) fn eat(&mut self, operator: &str) -> Result<bool, GrammarError> {
        let found = self.is(operator);
        if found {
            self.step(false)?;
        }
        Ok(found)
    }

    /// Steps over an operator that must stand here.
    pub(super) fn expect(&mut self, operator: &'static str, after_value: bool) -> Result<(), GrammarError> {
        if self.is(operator) {
            return self.step(after_value);
        }
        // The parser of an operator that came later would not ask for another one here.
        if self.is("?:") {
            return Err(self.unexpected());
        }
        let found = match self.token {
            Token::End => "the expression ends".to_owned(),
            _ => "something else stands".to_owned(),
        };
        Err(GrammarError::new(self.at, format!("{found} where \"{operator}\" is expected")))
    }

    /// An expression that ends with the last word, around parts of which the highest has this height.
    pub(super) fn node(&self, kind: Kind<'a>, start: usize, inside: u16) -> Parsed<'a> {
        let height = inside + 1;
        if height > MAX_HEIGHT {
            return Err(GrammarError::new(start, "too many parts are nested in each other here"));
        }
        Ok(Expr { kind, span: Span::new(start, self.end), height })
    }

    pub(super) fn expression(&mut self, power: u8) -> Parsed<'a> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(GrammarError::new(self.at, "the expression is nested too deep"));
        }
        let mut left = self.prefix()?;
        while power < self.power() {
            left = self.infix(left)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// How strongly the current word binds to what is left of it.
    fn power(&self) -> u8 {
        let Token::Operator(operator) = self.token else { return 0 };
        match operator {
            "[" | "(" | "@" | "#" => 80,
            "." => 75,
            "{" => 70,
            "*" | "/" | "%" => 60,
            "+" | "-" | "&" => 50,
            "=" | "!=" | "<" | ">" | "<=" | ">=" | "in" | "^" | "~>" => 40,
            "and" => 30,
            "or" => 25,
            "?" => 20,
            ":=" => 10,
            _ => 0,
        }
    }

    fn prefix(&mut self) -> Parsed<'a> {
        let (token, start) = (self.token, self.at);
        let kind = match token {
            // The operators that are words stand for names of fields here.
            Token::Name(name) | Token::Operator(name @ ("and" | "or" | "in")) => {
                self.step(true)?;
                let name = self.node(Kind::Name(name.into()), start, 0)?;
                let path = name.into_path();
                return self.node(Kind::Path(path), start, 1);
            }
            Token::Variable(name) => Kind::Variable(name),
            Token::Text(raw) => Kind::Text(unescaped(raw)),
            Token::Number(number) => Kind::Number(number),
            Token::Boolean(value) => Kind::Boolean(value),
            Token::Null => Kind::Null,
            Token::Regex(pattern, flags) => {
                Kind::Regex { pattern, ignores_case: flags.contains('i'), is_multiline: flags.contains('m') }
            }
            Token::Operator("*") => Kind::Wildcard,
            Token::Operator("**") => Kind::Descendants,
            Token::Operator("%") => Kind::Parent,
            Token::Operator("-") => return self.negative(),
            Token::Operator("(") => return self.block(),
            Token::Operator("[") => return self.array(),
            Token::Operator("{") => {
                let (pairs, inside) = self.pairs()?;
                return self.node(Kind::Object(pairs), start, inside);
            }
            Token::Operator("|") => return self.transform(),
            Token::Operator(_) | Token::End => return Err(self.unexpected()),
        };
        self.step(true)?;
        self.node(kind, start, 0)
    }

    fn negative(&mut self) -> Parsed<'a> {
        let start = self.at;
        self.step(false)?;
        let inner = self.expression(70)?;
        let height = inner.height;
        match inner.kind {
            Kind::Number(number) => self.node(Kind::Number(-number), start, 0),
            _ => self.node(Kind::Negative(Box::new(inner)), start, height),
        }
    }

    fn block(&mut self) -> Parsed<'a> {
        let start = self.at;
        self.step(false)?;
        let (mut parts, mut inside) = (Vec::new(), 0);
        while !self.is(")") {
            let part = self.expression(0)?;
            inside = inside.max(part.height);
            parts.push(part);
            if !self.eat(";")? {
                break;
            }
        }
        self.expect(")", true)?;
        self.node(Kind::Block(parts), start, inside)
    }

    fn array(&mut self) -> Parsed<'a> {
        let start = self.at;
        self.step(false)?;
        let (mut items, mut inside) = (Vec::new(), 0);
        while !self.is("]") || !items.is_empty() {
            let mut item = self.expression(0)?;
            if self.eat("..")? {
                let to = self.expression(0)?;
                item = self.binary(Operator::Range, item, to)?;
            }
            inside = inside.max(item.height);
            items.push(item);
            if !self.eat(",")? {
                break;
            }
        }
        self.expect("]", true)?;
        self.node(Kind::Array(items), start, inside)
    }

    /// From `{` to `}`, with the height of the highest part.
    pub(super) fn pairs(&mut self) -> Result<(Vec<(Expr<'a>, Expr<'a>)>, u16), GrammarError> {
        self.step(false)?;
        let (mut pairs, mut inside) = (Vec::new(), 0);
        while !self.is("}") || !pairs.is_empty() {
            let key = self.expression(0)?;
            self.expect(":", false)?;
            let value = self.expression(0)?;
            inside = inside.max(key.height).max(value.height);
            pairs.push((key, value));
            if !self.eat(",")? {
                break;
            }
        }
        self.expect("}", true)?;
        Ok((pairs, inside))
    }

    fn transform(&mut self) -> Parsed<'a> {
        let start = self.at;
        self.step(false)?;
        let pattern = Box::new(self.expression(0)?);
        self.expect("|", false)?;
        let update = Box::new(self.expression(0)?);
        let delete = if self.eat(",")? { Some(Box::new(self.expression(0)?)) } else { None };
        self.expect("|", true)?;
        let inside = pattern.height.max(update.height).max(delete.as_ref().map_or(0, |delete| delete.height));
        self.node(Kind::Transform { pattern, update, delete }, start, inside)
    }

    fn binary(&self, operator: Operator, left: Expr<'a>, right: Expr<'a>) -> Parsed<'a> {
        let (start, inside) = (left.span.start, left.height.max(right.height));
        self.node(Kind::Binary { operator, left: Box::new(left), right: Box::new(right) }, start, inside)
    }

    fn infix(&mut self, left: Expr<'a>) -> Parsed<'a> {
        let Token::Operator(sign) = self.token else { return Err(self.unexpected()) };
        let (at, power, start, height) = (self.at, self.power(), left.span.start, left.height);
        match sign {
            "(" => return self.call(left),
            "[" => return self.bracket(left),
            "{" => return self.group(left),
            "^" => return self.order(left),
            "@" | "#" => return self.binding(left, sign),
            _ => self.step(false)?,
        }
        match sign {
            "?" => {
                let then = self.expression(0)?;
                let otherwise = if self.eat(":")? { Some(Box::new(self.expression(0)?)) } else { None };
                let inside = height.max(then.height).max(otherwise.as_ref().map_or(0, |other| other.height));
                let (condition, then) = (Box::new(left), Box::new(then));
                self.node(Kind::Condition { condition, then, otherwise }, start, inside)
            }
            ":=" => {
                let Kind::Variable(name) = left.kind else {
                    return Err(GrammarError::new(at, "the left side of := must be a variable"));
                };
                let value = Box::new(self.expression(power - 1)?);
                let inside = value.height;
                self.node(Kind::Bind { name, value }, start, inside)
            }
            "." => {
                let right = self.expression(power)?;
                self.join(left, right)
            }
            "~>" => {
                let right = self.expression(power)?;
                let inside = height.max(right.height);
                self.node(Kind::Apply { left: Box::new(left), right: Box::new(right) }, start, inside)
            }
            _ => match Operator::of(sign) {
                Some(operator) => {
                    let right = self.expression(power)?;
                    self.binary(operator, left, right)
                }
                None => Err(self.unexpected()),
            },
        }
    }
}
