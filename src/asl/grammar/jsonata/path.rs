//! What follows an expression and belongs to it: steps, brackets, groups, orders, bindings, arguments.

use super::super::GrammarError;
use super::ast::{Expr, Kind, Path, SortTerm, Stage, Step};
use super::lexer::Token;
use super::parser::{Parsed, Parser};

impl<'a> Parser<'a> {
    /// `left.right`
    pub(super) fn join(&self, left: Expr<'a>, right: Expr<'a>) -> Parsed<'a> {
        let (start, inside) = (left.span.start, height_of_steps(&left).max(height_of_steps(&right)));
        let known = if let Kind::Path(path) = &left.kind { path.steps.len() } else { 0 };
        let mut path = left.into_path();
        let rest = as_steps(right);
        path.keeps_array |= rest.keeps_array;
        path.steps.extend(rest.steps);
        for step in &mut path.steps[known..] {
            match &mut step.expr.kind {
                Kind::Number(_) | Kind::Boolean(_) | Kind::Null => {
                    let message = "a number, true, false or null cannot be a step of a path";
                    return Err(GrammarError::new(step.expr.span.start, message));
                }
                Kind::Text(text) => step.expr.kind = Kind::Name(std::mem::take(text)),
                _ => {}
            }
        }
        self.node(Kind::Path(path), start, inside)
    }

    /// `left[predicate]`, or `left[]`
    pub(super) fn bracket(&mut self, left: Expr<'a>) -> Parsed<'a> {
        let (at, start, height, steps) = (self.at, left.span.start, left.height, height_of_steps(&left));
        self.step(false)?;
        if self.is("]") {
            self.step(true)?;
            return match left.kind {
                Kind::Path(path) => self.node(Kind::Path(Path { keeps_array: true, ..path }), start, steps),
                _ => self.node(Kind::KeepArray(Box::new(left)), start, height),
            };
        }
        if matches!(left.kind, Kind::Group { .. }) {
            return Err(GrammarError::new(at, "a predicate cannot follow a group; put the group in parentheses"));
        }
        let predicate = self.expression(0)?;
        self.expect("]", true)?;
        if let Kind::Path(mut path) = left.kind {
            let inside = steps.max(predicate.height);
            if let Some(last) = path.steps.last_mut() {
                last.stages.push(Stage::Filter(predicate));
            }
            return self.node(Kind::Path(path), start, inside);
        }
        let inside = height.max(predicate.height);
        self.node(Kind::Filter { of: Box::new(left), predicate: Box::new(predicate) }, start, inside)
    }

    /// `left{key: value}`
    pub(super) fn group(&mut self, left: Expr<'a>) -> Parsed<'a> {
        let (at, start, height, steps) = (self.at, left.span.start, left.height, height_of_steps(&left));
        if matches!(left.kind, Kind::Group { .. } | Kind::Path(Path { group: Some(_), .. })) {
            return Err(GrammarError::new(at, "a step can have one group only"));
        }
        let (pairs, inside) = self.pairs()?;
        match left.kind {
            Kind::Path(path) => self.node(Kind::Path(Path { group: Some(pairs), ..path }), start, inside.max(steps)),
            _ => self.node(Kind::Group { of: Box::new(left), pairs }, start, inside.max(height)),
        }
    }

    /// `left^(>amount, name)`
    pub(super) fn order(&mut self, left: Expr<'a>) -> Parsed<'a> {
        let (at, start, mut inside) = (self.at, left.span.start, height_of_steps(&left));
        self.step(false)?;
        self.expect("(", false)?;
        let mut terms = Vec::new();
        loop {
            let is_descending = self.is(">");
            if is_descending || self.is("<") {
                self.step(false)?;
            }
            let expr = self.expression(0)?;
            inside = inside.max(expr.height + 1);
            terms.push(SortTerm { is_descending, expr });
            if !self.eat(",")? {
                break;
            }
        }
        self.expect(")", true)?;
        let sort = self.node(Kind::Sort(terms), at, 0)?;
        let mut path = left.into_path();
        path.steps.push(Step::of(sort));
        self.node(Kind::Path(path), start, inside)
    }

    /// `left@$name`, `left#$name`
    pub(super) fn binding(&mut self, left: Expr<'a>, sign: &str) -> Parsed<'a> {
        let (at, start, inside) = (self.at, left.span.start, height_of_steps(&left));
        self.step(false)?;
        let Token::Variable(name) = self.token else {
            return Err(GrammarError::new(self.at, format!("the right side of {sign} must be a variable")));
        };
        self.step(true)?;
        let mut path = as_steps(left);
        if let Some(last) = path.steps.last_mut() {
            let wrong = |message| Err(GrammarError::new(at, message));
            match sign {
                "@" if !last.stages.is_empty() => return wrong("@ must come before the predicates of its step"),
                "@" if matches!(last.expr.kind, Kind::Sort(_)) => return wrong("@ must come before an order"),
                "@" => last.focus = Some(name),
                _ if last.stages.is_empty() => last.index = Some(name),
                _ => last.stages.push(Stage::Index(name)),
            }
        }
        self.node(Kind::Path(path), start, inside)
    }

    /// A call, or the definition of a function.
    pub(super) fn call(&mut self, left: Expr<'a>) -> Parsed<'a> {
        let start = left.span.start;
        let defines = matches!(left.as_plain_name(), Some("function" | "λ"));
        self.step(false)?;
        let (mut arguments, mut inside) = (Vec::new(), left.height);
        while !self.is(")") || !arguments.is_empty() {
            // A place that is left open: a function of the rest.
            let argument = if self.eat("?")? { None } else { Some(self.expression(0)?) };
            inside = inside.max(argument.as_ref().map_or(0, |argument| argument.height));
            arguments.push(argument);
            if !self.eat(",")? {
                break;
            }
        }
        self.expect(")", true)?;
        if defines {
            return self.lambda(start, arguments);
        }
        self.node(Kind::Call { function: Box::new(left), arguments }, start, inside)
    }

    fn lambda(&mut self, start: usize, arguments: Vec<Option<Expr<'a>>>) -> Parsed<'a> {
        let parameters = arguments.into_iter().map(|argument| match argument {
            Some(Expr { kind: Kind::Variable(name), .. }) => Ok(name),
            other => {
                let at = other.map_or(start, |other| other.span.start);
                Err(GrammarError::new(at, "a parameter of a function must be a variable"))
            }
        });
        let parameters = parameters.collect::<Result<_, _>>()?;
        let signature = if self.is("<") { Some(self.signature()?) } else { None };
        self.expect("{", false)?;
        let body = Box::new(self.expression(0)?);
        self.expect("}", true)?;
        let inside = body.height;
        self.node(Kind::Lambda { parameters, signature, body }, start, inside)
    }

    /// `<n-n:n>`
    fn signature(&mut self) -> Result<&'a str, GrammarError> {
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
            let end = self.at + 1;
            self.step(true)?;
            if depth == 0 {
                return Ok(&self.text[start..end]);
            }
        }
    }
}

/// The height of the highest step, where the expression becomes a path.
fn height_of_steps(expr: &Expr<'_>) -> u16 {
    if matches!(expr.kind, Kind::Path(_)) { expr.height - 1 } else { expr.height }
}

/// Steps of an expression that follows a point or that a name is bound to: predicates are stages of its step then.
fn as_steps(expr: Expr<'_>) -> Path<'_> {
    match expr.kind {
        Kind::Filter { of, predicate } => {
            let mut path = as_steps(*of);
            if let Some(last) = path.steps.last_mut() {
                last.stages.push(Stage::Filter(*predicate));
            }
            path
        }
        Kind::KeepArray(inner) => Path { keeps_array: true, ..as_steps(*inner) },
        _ => expr.into_path(),
    }
}
