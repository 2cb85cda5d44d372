//! The grammar: operator precedence, as in the reference implementation.

use super::super::{GrammarError, MAX_NESTING};
use super::Uses;
use super::lexer::{Lexer, Token};

/// What the left side of an operator is, as far as the grammar asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Term<'a> {
    Literal,
    Name(&'a str),
    Variable(&'a str, usize),
    Other,
}

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    /// Where the token begins.
    at: usize,
    depth: usize,
    uses: Uses<'a>,
    /// Names that the expression binds: with `:=`, as parameters, with `@` and `#`.
    bound: Vec<&'a str>,
}

impl<'a> Parser<'a> {
    pub(super) fn read(text: &'a str) -> Result<Uses<'a>, GrammarError> {
        let mut lexer = Lexer::new(text);
        let (token, at) = lexer.next(false)?;
        let mut parser = Self { lexer, token, at, depth: 0, uses: Uses::default(), bound: Vec::new() };
        parser.expression(0)?;
        if parser.token != Token::End {
            return Err(parser.unexpected());
        }
        let (mut uses, bound) = (parser.uses, parser.bound);
        let bound: std::collections::HashSet<&str> = bound.into_iter().collect();
        uses.variables.retain(|(_, name)| !bound.contains(name));
        uses.calls.retain(|(_, name)| !bound.contains(name));
        Ok(uses)
    }

    fn unexpected(&self) -> GrammarError {
        let message = match self.token {
            Token::End => "the expression ends too early".to_owned(),
            Token::Operator("?:") => "?: is not in the version of JSONata that Step Functions has (2.0.6)".to_owned(),
            Token::Operator(operator) => format!("\"{operator}\" cannot stand here"),
            Token::Name(name) => format!("\"{name}\" cannot stand here; an operator is missing before it"),
            _ => "an operator is missing before this value".to_owned(),
        };
        GrammarError::new(self.at, message)
    }

    /// Steps over the current word.
    fn step(&mut self, after_value: bool) -> Result<(), GrammarError> {
        (self.token, self.at) = self.lexer.next(after_value)?;
        Ok(())
    }

    fn is(&self, operator: &str) -> bool {
        self.token == Token::Operator(operator)
    }

    /// Steps over an operator that must stand here.
    fn expect(&mut self, operator: &'static str, after_value: bool) -> Result<(), GrammarError> {
        if self.is(operator) {
            return self.step(after_value);
        }
        let found = match self.token {
            Token::End => "the expression ends".to_owned(),
            _ => "something else stands".to_owned(),
        };
        Err(GrammarError::new(self.at, format!("{found} where \"{operator}\" is expected")))
    }

    fn expression(&mut self, power: u8) -> Result<Term<'a>, GrammarError> {
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

    fn prefix(&mut self) -> Result<Term<'a>, GrammarError> {
        let (token, at) = (self.token, self.at);
        match token {
            Token::Name(name) => {
                self.step(true)?;
                Ok(Term::Name(name))
            }
            Token::Variable(name) => {
                self.step(true)?;
                if !self.is(":=") && !matches!(name, "" | "$") {
                    let list = if self.is("(") { &mut self.uses.calls } else { &mut self.uses.variables };
                    list.push((at, name));
                }
                Ok(Term::Variable(name, at))
            }
            Token::Number | Token::Value => {
                self.step(true)?;
                Ok(Term::Literal)
            }
            // The operators stand for names of fields here, and for wildcards.
            Token::Text | Token::Regex | Token::Operator("and" | "or" | "in" | "*" | "**" | "%") => {
                self.step(true)?;
                Ok(Term::Other)
            }
            Token::Operator("-") => {
                self.step(false)?;
                // A negative number is a literal, as a positive one is.
                let term = self.expression(70)?;
                Ok(if term == Term::Literal { Term::Literal } else { Term::Other })
            }
            Token::Operator("(") => self.block(),
            Token::Operator("[") => self.array(),
            Token::Operator("{") => self.object(),
            Token::Operator("|") => self.transform(),
            Token::Operator(_) | Token::End => Err(self.unexpected()),
        }
    }

    fn block(&mut self) -> Result<Term<'a>, GrammarError> {
        self.step(false)?;
        while !self.is(")") {
            self.expression(0)?;
            if !self.is(";") {
                break;
            }
            self.step(false)?;
        }
        self.expect(")", true)?;
        Ok(Term::Other)
    }

    fn array(&mut self) -> Result<Term<'a>, GrammarError> {
        self.step(false)?;
        if !self.is("]") {
            loop {
                self.expression(0)?;
                if self.is("..") {
                    self.step(false)?;
                    self.expression(0)?;
                }
                if !self.is(",") {
                    break;
                }
                self.step(false)?;
            }
        }
        self.expect("]", true)?;
        Ok(Term::Other)
    }

    fn object(&mut self) -> Result<Term<'a>, GrammarError> {
        self.step(false)?;
        if !self.is("}") {
            loop {
                self.expression(0)?;
                self.expect(":", false)?;
                self.expression(0)?;
                if !self.is(",") {
                    break;
                }
                self.step(false)?;
            }
        }
        self.expect("}", true)?;
        Ok(Term::Other)
    }

    fn transform(&mut self) -> Result<Term<'a>, GrammarError> {
        self.step(false)?;
        self.expression(0)?;
        self.expect("|", false)?;
        self.expression(0)?;
        if self.is(",") {
            self.step(false)?;
            self.expression(0)?;
        }
        self.expect("|", true)?;
        Ok(Term::Other)
    }

    fn infix(&mut self, left: Term<'a>) -> Result<Term<'a>, GrammarError> {
        let Token::Operator(operator) = self.token else { return Err(self.unexpected()) };
        let (at, power) = (self.at, self.power());
        match operator {
            "(" => return self.call(left),
            "{" => return self.object(),
            "[" => {
                self.step(false)?;
                if !self.is("]") {
                    self.expression(0)?;
                }
                self.expect("]", true)?;
            }
            "^" => self.order()?,
            "?" => {
                self.step(false)?;
                self.expression(0)?;
                if self.is(":") {
                    self.step(false)?;
                    self.expression(0)?;
                }
            }
            ":=" => {
                let Term::Variable(name, _) = left else {
                    return Err(GrammarError::new(at, "the left side of := must be a variable"));
                };
                self.bound.push(name);
                self.step(false)?;
                self.expression(power - 1)?;
            }
            "@" | "#" => {
                self.step(false)?;
                let Token::Variable(name) = self.token else {
                    return Err(GrammarError::new(self.at, format!("the right side of {operator} must be a variable")));
                };
                self.bound.push(name);
                self.step(true)?;
            }
            _ => {
                self.step(false)?;
                let start = self.at;
                let right = self.expression(power)?;
                if operator == "." && (left == Term::Literal || right == Term::Literal) {
                    let at = if right == Term::Literal { start } else { at };
                    return Err(GrammarError::new(at, "a number, true, false or null cannot be a step of a path"));
                }
            }
        }
        Ok(Term::Other)
    }

    /// `^(>amount, name)`
    fn order(&mut self) -> Result<(), GrammarError> {
        self.step(false)?;
        self.expect("(", false)?;
        loop {
            if self.is("<") || self.is(">") {
                self.step(false)?;
            }
            self.expression(0)?;
            if !self.is(",") {
                break;
            }
            self.step(false)?;
        }
        self.expect(")", true)
    }

    /// A call, or the definition of a function.
    fn call(&mut self, left: Term<'a>) -> Result<Term<'a>, GrammarError> {
        let defines = matches!(left, Term::Name("function" | "λ"));
        self.step(false)?;
        if !self.is(")") {
            loop {
                self.argument(defines)?;
                if !self.is(",") {
                    break;
                }
                self.step(false)?;
            }
        }
        self.expect(")", true)?;
        if defines {
            if self.is("<") {
                self.signature()?;
            }
            self.expect("{", false)?;
            self.expression(0)?;
            self.expect("}", true)?;
        }
        Ok(Term::Other)
    }

    fn argument(&mut self, defines: bool) -> Result<(), GrammarError> {
        if self.is("?") && !defines {
            // A place that is left open: a function of the rest.
            return self.step(false);
        }
        let at = self.at;
        let term = self.expression(0)?;
        if defines {
            let Term::Variable(name, _) = term else {
                return Err(GrammarError::new(at, "a parameter of a function must be a variable"));
            };
            self.bound.push(name);
        }
        Ok(())
    }

    /// `<n-n:n>`
    fn signature(&mut self) -> Result<(), GrammarError> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.token {
                Token::Operator("<") => depth += 1,
                Token::Operator(">") => depth -= 1,
                Token::Operator("{") | Token::End => {
                    return Err(GrammarError::new(start, "this signature is not closed"));
                }
                _ => {}
            }
            self.step(true)?;
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
