//! From the tree of the grammar to the one that is evaluated: which arrays stay whole, and which step each `%` belongs to.

use std::sync::OnceLock;

use crate::asl::grammar::jsonata::ast::{self, Expr};

use super::error::Error;
use super::signature::Signature;
use super::tree::{Kind, Lambda, Node, Regex, Slot, Stage};

/// One `%`: how many steps up its step still is, and the label that it shares with others of that step.
struct Parent {
    level: i32,
    label: usize,
}

#[derive(Default)]
struct Lowering {
    parents: Vec<Parent>,
}

/// The tree, and for each slot the label that its value is bound to.
pub(super) fn lower(expr: &Expr<'_>) -> Result<(Node, Vec<Box<str>>), Error> {
    let mut lowering = Lowering::default();
    let root = lowering.node(expr)?;
    if !sought(&root).is_empty() {
        return Err(orphan(root.at));
    }
    let labels = lowering.parents.iter().map(|parent| format!("!{}", parent.label).into()).collect();
    Ok((root, labels))
}

impl Lowering {
    fn node(&mut self, expr: &Expr<'_>) -> Result<Node, Error> {
        let at = expr.span.start;
        let kind = match &expr.kind {
            ast::Kind::Text(text) => Kind::Text(text.as_ref().into()),
            ast::Kind::Number(number) => Kind::Number(*number),
            ast::Kind::Boolean(value) => Kind::Boolean(*value),
            ast::Kind::Null => Kind::Null,
            ast::Kind::Regex { pattern, ignores_case, is_multiline } => {
                let (pattern, compiled) = ((*pattern).to_owned(), OnceLock::new());
                Kind::Regex(Box::new(Regex {
                    pattern,
                    ignores_case: *ignores_case,
                    is_multiline: *is_multiline,
                    compiled,
                }))
            }
            ast::Kind::Variable(name) => Kind::Variable((*name).into()),
            ast::Kind::Name(name) => Kind::Name(name.as_ref().into()),
            ast::Kind::Wildcard => Kind::Wildcard,
            ast::Kind::Descendants => Kind::Descendants,
            ast::Kind::Parent => {
                self.parents.push(Parent { level: 1, label: self.parents.len() });
                Kind::Parent(self.parents.len() - 1)
            }
            ast::Kind::Path(path) => return self.path(path, at),
            ast::Kind::Filter { of, predicate } => {
                let mut node = self.node(of)?;
                let predicate = self.predicate(&mut node, predicate)?;
                node.predicates.push(predicate);
                return Ok(node);
            }
            ast::Kind::Group { of, pairs } => {
                let mut node = self.node(of)?;
                node.group = Some(self.pairs(pairs)?);
                return Ok(node);
            }
            ast::Kind::KeepArray(inner) => {
                let mut node = self.node(inner)?;
                node.keeps_array = true;
                return Ok(node);
            }
            ast::Kind::Lambda { parameters, signature, body } => {
                let signature = signature.map(Signature::parse).transpose().map_err(|error| error.at(at))?;
                let parameters = parameters.iter().map(|name| (*name).into()).collect();
                Kind::Lambda(Box::new(Lambda { parameters, signature, body: self.node(body)? }))
            }
            ast::Kind::Transform { pattern, update, delete } => {
                let delete = delete.as_ref().map(|delete| self.node(delete)).transpose()?;
                Kind::Transform(Box::new((self.node(pattern)?, self.node(update)?, delete)))
            }
            _ => return self.compound(expr),
        };
        Ok(Node::new(kind, at))
    }

    /// Those through which the search for a parent goes on.
    fn compound(&mut self, expr: &Expr<'_>) -> Result<Node, Error> {
        let mut seeking = Vec::new();
        let mut inner = |this: &mut Self, expr: &Expr<'_>| -> Result<Node, Error> {
            let node = this.node(expr)?;
            seeking.extend(sought(&node));
            Ok(node)
        };
        let mut is_cons = false;
        let mut keeps_array = false;
        let kind = match &expr.kind {
            ast::Kind::Sort(terms) => {
                let terms = terms.iter().map(|term| Ok((term.is_descending, inner(self, &term.expr)?)));
                Kind::Sort(terms.collect::<Result<_, Error>>()?)
            }
            ast::Kind::Negative(of) => Kind::Negative(Box::new(inner(self, of)?)),
            ast::Kind::Array(items) => {
                Kind::Array(items.iter().map(|item| inner(self, item)).collect::<Result<_, _>>()?)
            }
            ast::Kind::Object(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| Ok((inner(self, key)?, inner(self, value)?)));
                Kind::Object(pairs.collect::<Result<_, Error>>()?)
            }
            ast::Kind::Binary { operator, left, right } => {
                Kind::Binary(*operator, Box::new(inner(self, left)?), Box::new(inner(self, right)?))
            }
            ast::Kind::Apply { left, right } => {
                // A chain passes no search on.
                let (left, right) = (self.node(left)?, self.node(right)?);
                keeps_array = left.keeps_array || right.keeps_array;
                Kind::Apply(Box::new(left), Box::new(right))
            }
            ast::Kind::Bind { name, value } => Kind::Bind((*name).into(), Box::new(inner(self, value)?)),
            ast::Kind::Condition { condition, then, otherwise } => {
                let (condition, then) = (inner(self, condition)?, inner(self, then)?);
                let otherwise = otherwise.as_ref().map(|otherwise| inner(self, otherwise)).transpose()?;
                Kind::Condition(Box::new(condition), Box::new(then), otherwise.map(Box::new))
            }
            ast::Kind::Block(parts) => {
                let parts = parts.iter().map(|part| inner(self, part)).collect::<Result<Vec<_>, _>>()?;
                is_cons = parts.iter().any(begins_with_cons);
                Kind::Block(parts)
            }
            ast::Kind::Call { function, arguments } => {
                let mut places = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    places.push(argument.as_ref().map(|argument| inner(self, argument)).transpose()?);
                }
                let function = Box::new(self.node(function)?);
                if places.iter().any(Option::is_none) {
                    Kind::Partial(function, places)
                } else {
                    Kind::Call(function, places.into_iter().flatten().collect())
                }
            }
            _ => return Err(Error::syntax(expr.span.start, "this cannot stand here".into())),
        };
        Ok(Node { keeps_array, is_cons, seeking, ..Node::new(kind, expr.span.start) })
    }

    fn pairs(&mut self, pairs: &[(Expr<'_>, Expr<'_>)]) -> Result<Vec<(Node, Node)>, Error> {
        pairs.iter().map(|(key, value)| Ok((self.node(key)?, self.node(value)?))).collect()
    }

    /// A predicate of a step: its `%` begins at the step itself.
    fn predicate(&mut self, step: &mut Node, predicate: &Expr<'_>) -> Result<Node, Error> {
        let predicate = self.node(predicate)?;
        for slot in &predicate.seeking {
            if self.parents[*slot].level == 1 {
                self.seek(step, *slot)?;
            } else {
                self.parents[*slot].level -= 1;
            }
        }
        step.seeking.extend(sought(&predicate));
        Ok(predicate)
    }

    fn path(&mut self, path: &ast::Path<'_>, at: usize) -> Result<Node, Error> {
        let mut steps: Vec<Node> = Vec::with_capacity(path.steps.len());
        let mut seeking = Vec::new();
        for (number, step) in path.steps.iter().enumerate() {
            let mut node = self.node(&step.expr)?;
            for stage in &step.stages {
                let stage = match stage {
                    ast::Stage::Filter(predicate) => Stage::Filter(self.predicate(&mut node, predicate)?),
                    ast::Stage::Index(name) => {
                        node.is_tuple = true;
                        Stage::Index((*name).into())
                    }
                };
                node.stages.push(stage);
            }
            node.focus = step.focus.map(Into::into);
            node.index = step.index.map(Into::into);
            node.is_tuple |= node.focus.is_some() || node.index.is_some();
            if let (0, Kind::Parent(slot), true) = (number, &node.kind, path.steps.len() > 1) {
                seeking.push(*slot);
            }
            steps.push(node);
            if number > 0 {
                self.resolve(&mut steps, &mut seeking)?;
            }
        }
        // A name that is bound to what no step follows is never seen.
        if let ([only], None) = (steps.as_slice(), &path.group)
            && only.focus.is_some()
            && only.index.is_none()
            && !matches!(only.kind, Kind::Name(_))
        {
            return steps.pop().ok_or_else(|| orphan(at));
        }
        let is_joined = steps.iter().skip(1).any(|step| !matches!(step.kind, Kind::Sort(_)));
        for (number, step) in steps.iter_mut().enumerate() {
            step.is_cons |= matches!(step.kind, Kind::Array(_)) && (number > 0 || is_joined);
        }
        let keeps_array = path.keeps_array || steps.iter().any(|step| step.keeps_array);
        let group = path.group.as_ref().map(|group| self.pairs(group)).transpose()?;
        let alone = steps.len() == 1 && path.keeps_array;
        let is_tuple = false;
        let node = Node::new(Kind::Path { steps, keeps_array }, at);
        Ok(Node { group, seeking, keeps_array: alone, is_tuple, ..node })
    }

    /// Finds the steps that the last one's `%` stand for; what leads further up is left to whoever holds the path.
    fn resolve(&mut self, steps: &mut [Node], seeking: &mut Vec<Slot>) -> Result<(), Error> {
        let Some((last, before)) = steps.split_last_mut() else { return Ok(()) };
        if let Kind::Parent(slot) = last.kind {
            last.seeking.push(slot);
        }
        for slot in last.seeking.clone() {
            let mut index = before.len();
            while self.parents[slot].level > 0 {
                if index == 0 {
                    seeking.push(slot);
                    break;
                }
                index -= 1;
                // Steps that bind a name leave the context item as it was.
                while index > 0 && before[index].focus.is_some() && before[index - 1].focus.is_some() {
                    index -= 1;
                }
                self.seek(&mut before[index], slot)?;
            }
        }
        Ok(())
    }

    /// One step up.
    fn seek(&mut self, node: &mut Node, slot: Slot) -> Result<(), Error> {
        match &mut node.kind {
            Kind::Name(_) | Kind::Wildcard => {
                self.parents[slot].level -= 1;
                if self.parents[slot].level == 0 {
                    if let Some(other) = node.ancestor {
                        self.parents[slot].label = self.parents[other].label;
                    }
                    node.ancestor = Some(slot);
                    node.is_tuple = true;
                }
            }
            Kind::Parent(_) => self.parents[slot].level += 1,
            Kind::Block(parts) => {
                if let Some(last) = parts.last_mut() {
                    node.is_tuple = true;
                    self.seek(last, slot)?;
                }
            }
            Kind::Path { steps, .. } => {
                node.is_tuple = true;
                for (number, step) in steps.iter_mut().rev().enumerate() {
                    if number > 0 && self.parents[slot].level <= 0 {
                        break;
                    }
                    self.seek(step, slot)?;
                }
            }
            _ => return Err(orphan(node.at)),
        }
        Ok(())
    }
}

fn orphan(at: usize) -> Error {
    Error::new("S0217", "% stands for a parent, and nothing here leads to one").at(at)
}

/// What whoever holds this part has to look for.
fn sought(node: &Node) -> Vec<Slot> {
    let own = if let Kind::Parent(slot) = node.kind { Some(slot) } else { None };
    node.seeking.iter().copied().chain(own).collect()
}

fn begins_with_cons(part: &Node) -> bool {
    part.is_cons || matches!(&part.kind, Kind::Path { steps, .. } if steps.first().is_some_and(|step| step.is_cons))
}
