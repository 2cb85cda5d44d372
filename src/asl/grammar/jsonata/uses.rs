//! What an expression reads from outside of itself.

use std::borrow::Cow;
use std::collections::HashSet;

use super::ast::{Expr, Kind, Path, Stage, Step};
use super::functions::is_function;

/// What an expression reads, each with its place. What it binds itself is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses<'a> {
    /// Names of variables, without `$`, but for those that are functions.
    pub variables: Vec<(usize, &'a str)>,
    /// Functions that are called by name, without `$`.
    pub calls: Vec<(usize, &'a str)>,
    /// Fields, `$` and `$$` that are read at the top level, where there is no context item: each name once.
    pub context: Vec<(usize, Cow<'a, str>)>,
    /// `$$` elsewhere.
    pub roots: Vec<usize>,
    /// Fields of `$states`.
    pub states: Vec<(usize, Cow<'a, str>)>,
}

impl<'a> Uses<'a> {
    /// Looks at each part once.
    pub fn of(expression: &Expr<'a>) -> Self {
        let mut uses = Self::default();
        let mut bound = HashSet::new();
        uses.everywhere(expression, &mut bound);
        uses.top_level(expression);
        let top: HashSet<usize> = uses.context.iter().map(|(at, _)| *at).collect();
        uses.roots.retain(|at| !top.contains(at));
        uses.variables.retain(|(_, name)| !bound.contains(name) && !is_function(name));
        uses.calls.retain(|(_, name)| !bound.contains(name));
        if bound.contains("states") {
            uses.states.clear();
        }
        let mut seen = HashSet::new();
        uses.context.retain(|(_, name)| seen.insert(name.clone()));
        uses
    }

    /// True when it gives another result each time.
    pub fn is_random(&self) -> bool {
        self.calls.iter().any(|(_, name)| matches!(*name, "uuid" | "random" | "now" | "millis"))
    }

    fn everywhere(&mut self, expr: &Expr<'a>, bound: &mut HashSet<&'a str>) {
        let at = expr.span.start;
        match &expr.kind {
            Kind::Variable("") => {}
            Kind::Variable("$") => self.roots.push(at),
            Kind::Variable(name) => self.variables.push((at, *name)),
            Kind::Bind { name, .. } => {
                bound.insert(*name);
            }
            Kind::Lambda { parameters, .. } => bound.extend(parameters.iter().copied()),
            Kind::Call { function, .. } => {
                // `$f(…)` reads no variable that anybody assigned: those are data.
                if let Kind::Variable(name) = function.kind {
                    self.calls.push((function.span.start, name));
                }
            }
            Kind::Path(path) => {
                for step in &path.steps {
                    bound.extend(step.focus);
                    bound.extend(step.index);
                    bound.extend(step.stages.iter().filter_map(|stage| match stage {
                        Stage::Index(name) => Some(*name),
                        Stage::Filter(_) => None,
                    }));
                }
                self.states.extend(field_of_states(path));
            }
            _ => {}
        }
        let called = matches!(&expr.kind, Kind::Call { function, .. } if matches!(function.kind, Kind::Variable(_)));
        let mut index = 0;
        expr.each_inside(&mut |inner| {
            if index > 0 || !called {
                self.everywhere(inner, bound);
            }
            index += 1;
        });
    }

    /// Steps behind the first, predicates, orders and groups have a context item of their own; the body of a function has
    /// that of the place where it stands.
    fn top_level(&mut self, expr: &Expr<'a>) {
        match &expr.kind {
            Kind::Name(name) => self.context.push((expr.span.start, name.clone())),
            Kind::Variable("") => self.context.push((expr.span.start, Cow::Borrowed("$"))),
            Kind::Variable("$") => self.context.push((expr.span.start, Cow::Borrowed("$$"))),
            Kind::Path(path) => {
                if let Some(first) = path.steps.first() {
                    self.top_level(&first.expr);
                }
            }
            Kind::Filter { of, .. } | Kind::Group { of, .. } => self.top_level(of),
            Kind::Sort(_) | Kind::Transform { .. } => {}
            _ => expr.each_inside(&mut |inner| self.top_level(inner)),
        }
    }
}

/// `$states.field`
fn field_of_states<'a>(path: &Path<'a>) -> Option<(usize, Cow<'a, str>)> {
    let [Step { expr: Expr { kind: Kind::Variable("states"), .. }, stages, .. }, second, ..] = path.steps.as_slice()
    else {
        return None;
    };
    match &second.expr.kind {
        Kind::Name(name) if stages.is_empty() => Some((second.expr.span.start, name.clone())),
        _ => None,
    }
}

/// The place of a `%` whose parent no step before it leads to.
pub(super) fn orphan(expr: &Expr<'_>) -> Option<usize> {
    let inside = |parts: &[&Expr<'_>]| parts.iter().find_map(|part| orphan(part));
    match &expr.kind {
        Kind::Parent => Some(expr.span.start),
        Kind::Path(path) => path.steps.first().and_then(|first| orphan(&first.expr)),
        Kind::Negative(inner) | Kind::KeepArray(inner) | Kind::Bind { value: inner, .. } => orphan(inner),
        Kind::Filter { of, .. } | Kind::Group { of, .. } => orphan(of),
        Kind::Binary { left, right, .. } => inside(&[left, right]),
        Kind::Condition { condition, then, otherwise } => {
            inside(&[condition, then]).or_else(|| otherwise.as_deref().and_then(orphan))
        }
        Kind::Array(items) | Kind::Block(items) => items.iter().find_map(orphan),
        Kind::Object(pairs) => pairs.iter().find_map(|(key, value)| inside(&[key, value])),
        Kind::Call { arguments, .. } => arguments.iter().flatten().find_map(orphan),
        _ => None,
    }
}
