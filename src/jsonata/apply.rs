//! Calling functions: those of the expression, those that there are, parts of them, and changes to a copy.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::Error;
use super::tree::{Kind, Node};
use super::value::{Array, Evaluator, Frame, Func, Res, Val};

/// What the last act of a function leaves.
enum Last<'e> {
    Value(Val<'e>),
    /// A call, which takes the place of the function that ends with it: recursion of this kind takes no stack.
    Call(Val<'e>, Vec<Val<'e>>),
}

impl<'e> Evaluator<'e> {
    /// `$f(a, b)`, with what `~>` hands on before the other arguments.
    pub(super) fn call(
        &mut self,
        node: &'e Node,
        function: &'e Node,
        arguments: &'e [Node],
        first: Option<Val<'e>>,
        input: &Val<'e>,
        frame: Frame,
    ) -> Res<'e> {
        let (function_value, arguments) = self.prepare(node, function, arguments, first, input, frame)?;
        self.apply(&function_value, arguments, input).map_err(|error| error.of(function.name()).at(node.at))
    }

    /// The function of a call, and its arguments.
    fn prepare(
        &mut self,
        node: &'e Node,
        function: &'e Node,
        arguments: &'e [Node],
        first: Option<Val<'e>>,
        input: &Val<'e>,
        frame: Frame,
    ) -> Result<(Val<'e>, Vec<Val<'e>>), Error> {
        let called = self.eval(function, input, frame)?;
        self.check_name(&called, function, node.at, frame, ("T1005", "invoke"))?;
        let mut values: Vec<Val<'e>> = first.into_iter().collect();
        for argument in arguments {
            values.push(self.eval(argument, input, frame)?);
        }
        Ok((called, values))
    }

    /// `sum(…)` where `$sum(…)` was meant.
    fn check_name(
        &mut self,
        called: &Val<'e>,
        function: &'e Node,
        at: usize,
        frame: Frame,
        (code, act): (&'static str, &str),
    ) -> Result<(), Error> {
        if !called.is_undefined() || !matches!(function.kind, Kind::Path { .. }) {
            return Ok(());
        }
        let name = function.name();
        if !name.is_empty() && self.variable(name, frame)?.is_truthy() {
            let message = format!("Attempted to {act} a non-function. Did you mean ${name}?");
            return Err(Error::new(code, message).at(at));
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, function: &Val<'e>, arguments: Vec<Val<'e>>, input: &Val<'e>) -> Res<'e> {
        let (mut function, mut arguments) = (function.clone(), arguments);
        loop {
            self.charge(1 + arguments.len())?;
            let called = function.clone();
            let Val::Func(func) = &called else {
                return Err(Error::new("T1006", "Attempted to invoke a non-function"));
            };
            let Func::Lambda { lambda, input: own, frame, .. } = &**func else {
                return self.apply_other(func, arguments, input);
            };
            if let Some(signature) = &lambda.signature {
                arguments = self.check(signature, arguments, input)?;
            }
            let mut values = arguments.into_iter();
            let bound =
                lambda.parameters.iter().map(|name| (&**name, values.next().unwrap_or(Val::Undefined))).collect();
            let inner = self.frame(*frame, bound)?;
            match self.deeper(|this| this.last(&lambda.body, own, inner))? {
                Last::Value(value) => return Ok(value),
                Last::Call(next, values) => {
                    function = next;
                    arguments = values;
                }
            }
        }
    }

    fn apply_other(&mut self, func: &Func<'e>, arguments: Vec<Val<'e>>, input: &Val<'e>) -> Res<'e> {
        match func {
            Func::Builtin(builtin) => {
                let arguments =
                    self.check(&builtin.signature, arguments, input).map_err(|error| error.of(builtin.name))?;
                self.deeper(|this| (builtin.run)(this, &arguments)).map_err(|error| error.of(builtin.name))
            }
            Func::Regex(regex) => {
                let from = match arguments.get(1) {
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A cast saturates.
                    Some(Val::Num(from)) => *from as usize,
                    _ => 0,
                };
                match arguments.first() {
                    Some(Val::Str(text)) => self.found(regex, text, from),
                    _ => Ok(Val::Undefined),
                }
            }
            Func::Next { regex, text, from } => self.next_match(regex, text, *from),
            Func::Partial { of, arguments: places, .. } => {
                let mut given = arguments.into_iter();
                let place = |place: &Option<Val<'e>>| match place {
                    Some(value) => value.clone(),
                    None => given.next().unwrap_or(Val::Undefined),
                };
                let mut arguments: Vec<_> = places.iter().map(place).collect();
                // What is left open at the end was not given at all.
                while matches!(arguments.last(), Some(Val::Undefined)) {
                    arguments.pop();
                }
                self.deeper(|this| this.apply(of, arguments, &Val::Undefined))
            }
            Func::Chain { first, second, .. } => self.deeper(|this| {
                let between = this.apply(first, arguments.into_iter().take(1).collect(), &Val::Null)?;
                this.apply(second, vec![between], &Val::Null)
            }),
            Func::Transform { parts, frame, at } => {
                let object = arguments.into_iter().next().unwrap_or(Val::Undefined);
                self.transform(parts, &object, *frame, *at)
            }
            Func::Lambda { .. } => Err(Error::new("T1006", "Attempted to invoke a non-function")),
        }
    }

    /// The body of a function, down to a call that is its last act.
    fn last(&mut self, node: &'e Node, input: &Val<'e>, frame: Frame) -> Result<Last<'e>, Error> {
        let is_bare = node.predicates.is_empty() && node.group.is_none() && !node.keeps_array;
        match &node.kind {
            Kind::Call(function, arguments) if is_bare => {
                self.step()?;
                let (function, arguments) = self.prepare(node, function, arguments, None, input, frame)?;
                if function.is_func() {
                    return Ok(Last::Call(function, arguments));
                }
                Err(Error::new("T1006", "Attempted to invoke a non-function").at(node.at))
            }
            Kind::Condition(condition, then, otherwise) if is_bare => {
                self.step()?;
                let condition = self.eval(condition, input, frame)?;
                let holds = self.is_true(&condition)?;
                match if holds { Some(then) } else { otherwise.as_ref() } {
                    Some(branch) => self.last(branch, input, frame),
                    None => Ok(Last::Value(Val::Undefined)),
                }
            }
            Kind::Block(parts) if is_bare => {
                let frame = self.frame(frame, Vec::new())?;
                let Some((last, before)) = parts.split_last() else { return Ok(Last::Value(Val::Undefined)) };
                for part in before {
                    self.eval(part, input, frame)?;
                }
                self.last(last, input, frame)
            }
            _ => self.eval(node, input, frame).map(Last::Value),
        }
    }

    /// `a ~> $f`
    pub(super) fn chain(
        &mut self,
        left: &'e Node,
        right: &'e Node,
        input: &Val<'e>,
        frame: Frame,
        at: usize,
    ) -> Res<'e> {
        let value = self.eval(left, input, frame)?;
        if let (Kind::Call(function, arguments), true, None) =
            (&right.kind, right.predicates.is_empty(), right.group.as_ref())
        {
            return self.call(right, function, arguments, Some(value), input, frame);
        }
        let function = self.eval(right, input, frame)?;
        if !function.is_func() {
            let message = "The right side of the function application operator ~> must be a function";
            return Err(Error::new("T2006", message).at(at));
        }
        if value.is_func() {
            let nesting = 1 + value.nesting().max(function.nesting());
            return Ok(Val::func(Func::Chain { first: value, second: function, nesting }));
        }
        self.apply(&function, vec![value], &Val::Null).map_err(|error| error.of(right.name()).at(at))
    }

    /// `$f(a, ?)`
    pub(super) fn partial(
        &mut self,
        node: &'e Node,
        function: &'e Node,
        arguments: &'e [Option<Node>],
        input: &Val<'e>,
        frame: Frame,
    ) -> Res<'e> {
        let mut places = Vec::with_capacity(arguments.len());
        for argument in arguments {
            places.push(argument.as_ref().map(|argument| self.eval(argument, input, frame)).transpose()?);
        }
        let of = self.eval(function, input, frame)?;
        self.check_name(&of, function, node.at, frame, ("T1007", "partially apply"))?;
        if !of.is_func() {
            return Err(Error::new("T1008", "Attempted to partially apply a non-function").at(node.at));
        }
        let inside = places.iter().flatten().map(Val::nesting).fold(of.nesting(), u32::max);
        Ok(Val::func(Func::Partial { of, arguments: places, nesting: inside + 1 }))
    }

    /// How many arguments a function asks for.
    pub(super) fn arity(function: &Val<'e>) -> usize {
        let Val::Func(func) = function else { return 0 };
        match &**func {
            Func::Lambda { lambda, .. } => lambda.parameters.len(),
            Func::Builtin(builtin) => builtin.arity,
            Func::Regex(_) => 2,
            Func::Next { .. } => 0,
            Func::Partial { arguments, .. } => arguments.iter().filter(|place| place.is_none()).count(),
            Func::Chain { .. } | Func::Transform { .. } => 1,
        }
    }

    /// `|pattern|update, delete|` on a copy of this value.
    fn transform(
        &mut self,
        (pattern, update, delete): &'e (Node, Node, Option<Node>),
        object: &Val<'e>,
        frame: Frame,
        at: usize,
    ) -> Res<'e> {
        match object {
            Val::Undefined => return Ok(Val::Undefined),
            Val::Object(_) | Val::Array(_) => {}
            _ => {
                let message = "Argument 1 of function {{token}} does not match function signature";
                return Err(Error::new("T0410", message));
            }
        }
        let clone = self.variable("clone", frame)?;
        if !clone.is_func() {
            let message = "The transform expression clones the input object using the $clone() function.  This has been overridden in the current scope by a non-function.";
            return Err(Error::new("T2013", message).at(at));
        }
        let mut copy = self.apply(&clone, vec![object.clone()], &Val::Null)?;
        let matches = self.eval(pattern, &copy, frame)?;
        // Objects are known by where they are: `matches` and `copy` hold them, so that no place is used again.
        let mut changed: HashMap<usize, Val<'e>> = HashMap::new();
        for found in matches.items() {
            self.step()?;
            let place = address(found);
            let old = place.and_then(|place| changed.get(&place)).unwrap_or(found).clone();
            let new = self.changed(update, delete.as_ref(), &old, frame)?;
            changed.extend(place.map(|place| (place, new)));
        }
        if !changed.is_empty() {
            copy = self.rebuilt(&copy, &changed)?;
        }
        Ok(copy)
    }

    fn changed(&mut self, update: &'e Node, delete: Option<&'e Node>, found: &Val<'e>, frame: Frame) -> Res<'e> {
        let change = self.eval(update, found, frame)?;
        let mut fields = match found {
            Val::Object(object) => {
                self.charge(object.map.len())?;
                object.map.clone()
            }
            _ => IndexMap::new(),
        };
        match &change {
            Val::Undefined => {}
            Val::Object(change) => {
                self.charge(change.map.len())?;
                fields.extend(change.map.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            other => {
                let shown = self.shown(other)?;
                let message =
                    format!("The insert/update clause of the transform expression must evaluate to an object: {shown}");
                return Err(Error::new("T2011", message).at(update.at));
            }
        }
        if let Some(delete) = delete {
            // What was put in already is seen here.
            let with_change = if matches!(found, Val::Object(_)) { Val::object(fields.clone()) } else { found.clone() };
            let names = self.eval(delete, &with_change, frame)?;
            for name in names.items() {
                let Val::Str(name) = name else {
                    let shown = self.shown(&names)?;
                    let message = format!(
                        "The delete clause of the transform expression must evaluate to a string or array of strings: {shown}"
                    );
                    return Err(Error::new("T2012", message).at(delete.at));
                };
                self.charge(fields.len())?;
                fields.shift_remove(name);
            }
        }
        Ok(if matches!(found, Val::Object(_)) { Val::object(fields) } else { found.clone() })
    }

    /// A value in which objects were exchanged.
    fn rebuilt(&mut self, value: &Val<'e>, changed: &HashMap<usize, Val<'e>>) -> Res<'e> {
        self.charge(4)?;
        match value {
            Val::Array(array) => {
                let items =
                    array.items.iter().map(|item| self.rebuilt(item, changed)).collect::<Result<Vec<_>, _>>()?;
                Ok(Array { is_sequence: array.is_sequence, keeps_one: array.keeps_one, ..Array::new(items) }.into())
            }
            Val::Object(object) => {
                let Val::Object(new) = address(value).and_then(|old| changed.get(&old)).unwrap_or(value) else {
                    return Ok(value.clone());
                };
                let mut fields: IndexMap<Arc<str>, Val<'e>> = IndexMap::with_capacity(new.map.len());
                for (key, inner) in &new.map {
                    self.step()?;
                    // What was put in is no part of the copy that was searched.
                    let is_old = object.map.get(key).is_some_and(|old| same(old, inner));
                    let inner = if is_old { self.rebuilt(inner, changed)? } else { inner.clone() };
                    fields.insert(key.clone(), inner);
                }
                Ok(Val::object(fields))
            }
            other => Ok(other.clone()),
        }
    }
}

fn address(value: &Val<'_>) -> Option<usize> {
    match value {
        Val::Object(object) => Some(Rc::as_ptr(object).addr()),
        Val::Array(array) => Some(Rc::as_ptr(array).addr()),
        _ => None,
    }
}

/// The same part of the same value, or a plain value.
fn same(left: &Val<'_>, right: &Val<'_>) -> bool {
    match (address(left), address(right)) {
        (Some(left), Some(right)) => left == right,
        (None, None) => true,
        _ => false,
    }
}
