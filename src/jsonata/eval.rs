//! The evaluator: what each part of an expression gives.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::Error;
use super::functions;
use super::limits::Env;
use super::tree::{Kind, Node, Operator, sign};
use super::value::{Array, Evaluator, Frame, Func, MAX_NESTING, Res, Val, nested};

/// Evaluates, with at most `depth` evaluations that wait for each other.
pub(super) fn run<'e>(
    node: &'e Node,
    labels: &'e [Box<str>],
    input: Option<&Value>,
    variables: &'e BTreeMap<String, Value>,
    env: &mut Env,
    depth: usize,
    taken: &mut u64,
) -> Result<Option<Value>, Error> {
    let mut evaluator = Evaluator::new(labels, variables, env, depth);
    let result = evaluator.whole(node, input);
    env.seed = evaluator.random.seed();
    *taken += evaluator.steps;
    result
}

impl<'e> Evaluator<'e> {
    fn whole(&mut self, node: &'e Node, input: Option<&Value>) -> Result<Option<Value>, Error> {
        let input = input.map_or(Ok(Val::Undefined), |input| self.read_json(input))?;
        self.root = input.clone();
        let input = match input {
            Val::Array(_) => Array { is_sequence: true, is_outer: true, ..Array::new(vec![input]) }.into(),
            other => other,
        };
        let value = self.eval(node, &input, 0)?;
        if value.is_undefined() { Ok(None) } else { self.write(&value).map(Some) }
    }

    /// What a name stands for here: the nearest binding, else a variable, else a function.
    pub(super) fn variable(&mut self, name: &'e str, frame: Frame) -> Res<'e> {
        let mut place = Some(frame);
        while let Some(number) = place {
            self.step()?;
            let names = &self.frames[number];
            if let Some((_, value)) = names.bound.iter().find(|(other, _)| *other == name) {
                return Ok(value.clone());
            }
            place = names.parent;
        }
        if name == "$" {
            return Ok(self.root.clone());
        }
        if let Some(value) = self.read.get(name) {
            return Ok(value.clone());
        }
        let variables = self.variables;
        if let Some(json) = variables.get(name) {
            let value = self.read_json(json)?;
            self.read.insert(name, value.clone());
            return Ok(value);
        }
        Ok(functions::builtin(name).map_or(Val::Undefined, |builtin| Val::func(Func::Builtin(builtin))))
    }

    /// The JSON of a variable that nothing here hides, and that was not read yet.
    pub(super) fn untouched(&self, name: &str, frame: Frame) -> Option<&'e Value> {
        let mut place = Some(frame);
        while let Some(number) = place {
            let names = &self.frames[number];
            if names.bound.iter().any(|(other, _)| *other == name) {
                return None;
            }
            place = names.parent;
        }
        let variables = self.variables;
        variables.get(name).filter(|_| !self.read.contains_key(name))
    }

    pub(super) fn eval(&mut self, node: &'e Node, input: &Val<'e>, frame: Frame) -> Res<'e> {
        self.step()?;
        let mut value = self.deeper(|this| this.kind(node, input, frame))?;
        for predicate in &node.predicates {
            value = self.filter(predicate, &value, frame)?;
        }
        if let (Some(group), false) = (&node.group, matches!(node.kind, Kind::Path { .. })) {
            value = self.group(group, &value, frame, node.at)?;
        }
        if let Val::Array(array) = &mut value
            && array.is_sequence
        {
            if node.keeps_array && !array.keeps_one {
                self.charge(array.items.len())?;
                std::rc::Rc::make_mut(array).keeps_one = true;
            }
            match array.items.as_slice() {
                [] => return Ok(Val::Undefined),
                [one] if !array.keeps_one => return Ok(one.clone()),
                _ => {}
            }
        }
        if value.nesting() > MAX_NESTING {
            return Err(nested());
        }
        Ok(value)
    }

    fn kind(&mut self, node: &'e Node, input: &Val<'e>, frame: Frame) -> Res<'e> {
        match &node.kind {
            Kind::Text(text) => Ok(Val::Str(text.clone())),
            Kind::Number(number) => Ok(Val::Num(*number)),
            Kind::Boolean(value) => Ok(Val::Bool(*value)),
            Kind::Null => Ok(Val::Null),
            Kind::Regex(regex) => Ok(Val::func(Func::Regex(regex))),
            Kind::Variable(name) if name.is_empty() => Ok(match input.as_array() {
                Some(array) if array.is_outer => array.items.first().cloned().unwrap_or(Val::Undefined),
                _ => input.clone(),
            }),
            Kind::Variable(name) => self.variable(name, frame),
            Kind::Name(name) => self.lookup(input, name),
            Kind::Wildcard => self.wildcard(input),
            Kind::Descendants => self.descendants(input),
            Kind::Parent(slot) => {
                let labels = self.labels;
                self.variable(&labels[*slot], frame)
            }
            Kind::Path { steps, keeps_array } => self.path(node, steps, *keeps_array, input, frame),
            Kind::Sort(_) => Ok(Val::Undefined),
            Kind::Negative(inner) => match self.eval(inner, input, frame)? {
                Val::Undefined => Ok(Val::Undefined),
                Val::Num(number) => Ok(Val::Num(-Self::finite(number)?)),
                other => {
                    let shown = self.shown(&other)?;
                    Err(Error::new("D1002", format!("Cannot negate a non-numeric value: {shown}")).at(node.at))
                }
            },
            Kind::Array(items) => self.array(node, items, input, frame),
            Kind::Object(pairs) => self.group(pairs, input, frame, node.at),
            Kind::Binary(operator, left, right) => {
                self.binary(*operator, (left, right), input, frame).map_err(|error| error.at(node.at))
            }
            Kind::Apply(left, right) => self.chain(left, right, input, frame, node.at),
            Kind::Bind(name, value) => {
                let value = self.eval(value, input, frame)?;
                self.bind(frame, name, value.clone());
                Ok(value)
            }
            Kind::Condition(condition, then, otherwise) => {
                let condition = self.eval(condition, input, frame)?;
                if self.is_true(&condition)? {
                    return self.eval(then, input, frame);
                }
                otherwise.as_ref().map_or(Ok(Val::Undefined), |otherwise| self.eval(otherwise, input, frame))
            }
            Kind::Block(parts) => {
                let frame = self.frame(frame, Vec::new())?;
                let mut value = Val::Undefined;
                for part in parts {
                    value = self.eval(part, input, frame)?;
                }
                Ok(value)
            }
            Kind::Call(function, arguments) => self.call(node, function, arguments, None, input, frame),
            Kind::Partial(function, arguments) => self.partial(node, function, arguments, input, frame),
            Kind::Lambda(lambda) => {
                // A function holds what it was made on, which may be a part of another function.
                let nesting = input.nesting().saturating_add(1);
                Ok(Val::func(Func::Lambda { lambda, input: input.clone(), frame, nesting }))
            }
            Kind::Transform(parts) => Ok(Val::func(Func::Transform { parts, frame, at: node.at })),
        }
    }

    fn array(&mut self, node: &'e Node, items: &'e [Node], input: &Val<'e>, frame: Frame) -> Res<'e> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let value = self.eval(item, input, frame)?;
            let is_array = matches!(item.kind, Kind::Array(_));
            match value {
                Val::Undefined => {}
                Val::Array(array) if !is_array => {
                    self.grow_items(values.len() + array.items.len())?;
                    values.extend_from_slice(&array.items);
                }
                other => values.push(other),
            }
        }
        Ok(Array { is_cons: node.is_cons, ..Array::new(values) }.into())
    }

    fn binary(
        &mut self,
        operator: Operator,
        (left, right): (&'e Node, &'e Node),
        input: &Val<'e>,
        frame: Frame,
    ) -> Res<'e> {
        let left = self.eval(left, input, frame)?;
        match operator {
            Operator::And if !self.is_true(&left)? => return Ok(Val::Bool(false)),
            Operator::Or if self.is_true(&left)? => return Ok(Val::Bool(true)),
            _ => {}
        }
        let right = self.eval(right, input, frame)?;
        match operator {
            Operator::And | Operator::Or => Ok(Val::Bool(self.is_true(&right)?)),
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
                Self::arithmetic(operator, &left, &right)
            }
            Operator::Concatenate => self.concatenate(&left, &right),
            Operator::Equal | Operator::NotEqual => {
                if left.is_undefined() || right.is_undefined() {
                    return Ok(Val::Bool(false));
                }
                Ok(Val::Bool(self.equal(&left, &right)? == (operator == Operator::Equal)))
            }
            Operator::In => self.contained(&left, &right),
            Operator::Range => self.range(&left, &right),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                self.comparison(operator, &left, &right)
            }
        }
    }

    fn arithmetic(operator: Operator, left: &Val<'e>, right: &Val<'e>) -> Res<'e> {
        let sign = sign(operator);
        let numeric = |value: &Val<'e>, code, side: &str| match value {
            Val::Undefined => Ok(None),
            Val::Num(number) if !number.is_nan() => Self::finite(*number).map(Some),
            _ => Err(Error::new(code, format!("The {side} side of the \"{sign}\" operator must evaluate to a number"))),
        };
        let (left, right) = (numeric(left, "T2001", "left")?, numeric(right, "T2002", "right")?);
        let (Some(left), Some(right)) = (left, right) else { return Ok(Val::Undefined) };
        Ok(Val::Num(match operator {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide => left / right,
            _ => left % right,
        }))
    }

    fn concatenate(&mut self, left: &Val<'e>, right: &Val<'e>) -> Res<'e> {
        let mut text = String::new();
        for value in [left, right] {
            if !value.is_undefined() {
                let piece = self.string(value, false)?;
                self.grow(text.len() + piece.len())?;
                text.push_str(&piece);
            }
        }
        Ok(Val::str(text))
    }

    fn contained(&mut self, left: &Val<'e>, right: &Val<'e>) -> Res<'e> {
        if left.is_undefined() {
            return Ok(Val::Bool(false));
        }
        for item in right.items() {
            self.step()?;
            let is_same = match (left, item) {
                // Objects are never the same here; only values are.
                (Val::Object(left), Val::Object(item)) => std::rc::Rc::ptr_eq(left, item),
                (Val::Array(left), Val::Array(item)) => std::rc::Rc::ptr_eq(left, item),
                _ => self.equal(left, item)?,
            };
            if is_same {
                return Ok(Val::Bool(true));
            }
        }
        Ok(Val::Bool(false))
    }

    fn range(&mut self, left: &Val<'e>, right: &Val<'e>) -> Res<'e> {
        let integer = |value: &Val<'e>, code, side: &str| match value {
            Val::Undefined => Ok(None),
            Val::Num(number) if number.is_finite() && number.fract() == 0.0 => Ok(Some(*number)),
            _ => {
                let message = format!("The {side} side of the range operator (..) must evaluate to an integer");
                Err(Error::new(code, message))
            }
        };
        let (first, last) = (integer(left, "T2003", "left")?, integer(right, "T2004", "right")?);
        let (Some(first), Some(last)) = (first, last) else { return Ok(Val::Undefined) };
        if first > last {
            return Ok(Val::Undefined);
        }
        let size = last - first + 1.0;
        if size > 1e7 {
            let message = format!(
                "The size of the sequence allocated by the range operator (..) must not exceed 1e6.  Attempted to allocate {size}."
            );
            return Err(Error::new("D2014", message));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between one and ten millions.
        let size = size as u32;
        self.grow_items(size as usize)?;
        Ok(Val::sequence((0..size).map(|number| Val::Num(first + f64::from(number))).collect()))
    }

    fn wildcard(&mut self, input: &Val<'e>) -> Res<'e> {
        let input = match input.as_array() {
            Some(array) if array.is_outer => array.items.first().unwrap_or(input),
            _ => input,
        };
        let mut found = Vec::new();
        let mut take = |this: &mut Self, value: &Val<'e>| -> Result<(), Error> {
            this.step()?;
            if let Val::Array(_) = value {
                return this.flatten(value, &mut found);
            }
            found.push(value.clone());
            Ok(())
        };
        match input {
            Val::Object(object) => object.map.values().try_for_each(|value| take(self, value))?,
            Val::Array(array) => array.items.iter().try_for_each(|value| take(self, value))?,
            _ => {}
        }
        Ok(Val::sequence(found))
    }

    fn flatten(&mut self, value: &Val<'e>, found: &mut Vec<Val<'e>>) -> Result<(), Error> {
        self.step()?;
        if let Val::Array(array) = value {
            return array.items.iter().try_for_each(|item| self.flatten(item, found));
        }
        found.push(value.clone());
        Ok(())
    }

    fn descendants(&mut self, input: &Val<'e>) -> Res<'e> {
        let mut found = Vec::new();
        if !input.is_undefined() {
            self.descend(input, &mut found)?;
        }
        Ok(Val::sequence(found))
    }

    fn descend(&mut self, value: &Val<'e>, found: &mut Vec<Val<'e>>) -> Result<(), Error> {
        self.step()?;
        match value {
            Val::Array(array) => array.items.iter().try_for_each(|item| self.descend(item, found)),
            Val::Object(object) => {
                found.push(value.clone());
                object.map.values().try_for_each(|item| self.descend(item, found))
            }
            other => {
                found.push(other.clone());
                Ok(())
            }
        }
    }
}
