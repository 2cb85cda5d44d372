//! Values while an expression is evaluated, and what an evaluation holds and has taken.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::error::Error;
use super::limits::{Env, Limits};
use super::random::Random;
use super::signature::Signature;
use super::tree::{Lambda, Node, Regex};

/// Values may be nested so deep: whoever descends into one does not overflow the stack.
pub(super) const MAX_NESTING: u32 = 400;

/// A value. Parts are shared, not copied.
#[derive(Clone, Debug)]
pub(super) enum Val<'e> {
    Undefined,
    Null,
    Bool(bool),
    Num(f64),
    Str(Arc<str>),
    Array(Rc<Array<'e>>),
    Object(Rc<Object<'e>>),
    Func(Rc<Func<'e>>),
    /// Items on the way through a path, each with the names that were bound to it.
    Tuples(Rc<Vec<Tuple<'e>>>),
}

#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "marks that are independent, as in the reference implementation")]
pub(super) struct Array<'e> {
    pub items: Vec<Val<'e>>,
    /// It came out of a path or the like: one item stands for itself, and none is undefined.
    pub is_sequence: bool,
    /// Of a sequence: one item stays an array.
    pub keeps_one: bool,
    /// A path takes it as one item.
    pub is_cons: bool,
    /// It stands around an input that is an array.
    pub is_outer: bool,
    /// How deep it is nested: [`Array::new`] knows.
    pub nesting: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Object<'e> {
    pub map: IndexMap<Arc<str>, Val<'e>>,
    nesting: u32,
}

/// An item with what was bound to it: focus, index, or a parent's label.
#[derive(Clone, Debug)]
pub(super) struct Tuple<'e> {
    pub item: Val<'e>,
    pub bound: Vec<(&'e str, Val<'e>)>,
}

/// The number of a frame: see [`Evaluator`].
pub(super) type Frame = usize;

#[derive(Debug)]
pub(super) enum Func<'e> {
    Lambda {
        lambda: &'e Lambda,
        input: Val<'e>,
        frame: Frame,
        nesting: u32,
    },
    Builtin(&'static Builtin),
    Regex(&'e Regex),
    /// The matches after one of them: from this UTF-16 unit on.
    Next {
        regex: &'e Regex,
        text: Arc<str>,
        from: usize,
    },
    Partial {
        of: Val<'e>,
        arguments: Vec<Option<Val<'e>>>,
        nesting: u32,
    },
    /// First the one, then the other.
    Chain {
        first: Val<'e>,
        second: Val<'e>,
        nesting: u32,
    },
    Transform {
        parts: &'e (Node, Node, Option<Node>),
        frame: Frame,
        at: usize,
    },
}

impl<'e> Val<'e> {
    pub(super) fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// An array that a program wrote: it stays as it is.
    pub(super) fn array(items: Vec<Self>) -> Self {
        Array::new(items).into()
    }

    pub(super) fn sequence(items: Vec<Self>) -> Self {
        Array { is_sequence: true, ..Array::new(items) }.into()
    }

    pub(super) fn object(map: IndexMap<Arc<str>, Self>) -> Self {
        let nesting = 1 + map.values().map(Self::nesting).max().unwrap_or(0);
        Self::Object(Rc::new(Object { map, nesting }))
    }

    pub(super) fn func(func: Func<'e>) -> Self {
        Self::Func(Rc::new(func))
    }

    pub(super) fn nesting(&self) -> u32 {
        match self {
            Self::Array(array) => array.nesting,
            Self::Object(object) => object.nesting,
            Self::Func(func) => match &**func {
                Func::Partial { nesting, .. } | Func::Chain { nesting, .. } | Func::Lambda { nesting, .. } => *nesting,
                _ => 1,
            },
            Self::Tuples(tuples) => {
                let of = |tuple: &Tuple<'e>| {
                    tuple.bound.iter().map(|(_, value)| value.nesting()).fold(tuple.item.nesting(), u32::max)
                };
                1 + tuples.iter().map(of).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined)
    }

    pub(super) fn is_func(&self) -> bool {
        matches!(self, Self::Func(_))
    }

    pub(super) fn as_array(&self) -> Option<&Array<'e>> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    /// The items of an array; anything else is the one item. An undefined value is none.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::Array(array) => &array.items,
            Self::Undefined => &[],
            other => std::slice::from_ref(other),
        }
    }

    /// What it is to an `if` of the reference implementation's own language.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Bool(value) => *value,
            Self::Num(number) => *number != 0.0 && !number.is_nan(),
            Self::Str(text) => !text.is_empty(),
            _ => true,
        }
    }
}

impl<'e> Array<'e> {
    pub(super) fn new(items: Vec<Val<'e>>) -> Self {
        let nesting = 1 + items.iter().map(Val::nesting).max().unwrap_or(0);
        Self { items, nesting, ..Self::default() }
    }
}

impl<'e> From<Array<'e>> for Val<'e> {
    fn from(array: Array<'e>) -> Self {
        Self::Array(Rc::new(array))
    }
}

pub(super) type Run = for<'a, 'e> fn(&'a mut Evaluator<'e>, &'a [Val<'e>]) -> Res<'e>;

/// A function that needs no definition.
pub(super) struct Builtin {
    pub name: &'static str,
    pub signature: Signature,
    /// How many arguments it says it has: so many get those that `$map` and its like call.
    pub arity: usize,
    pub run: Run,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}", self.name)
    }
}

pub(super) type Res<'e> = Result<Val<'e>, Error>;

/// Names that are bound in one place, and where to look further.
pub(super) struct Names<'e> {
    pub parent: Option<Frame>,
    pub bound: Vec<(&'e str, Val<'e>)>,
}

/// One evaluation. Frames live as long as it does, so that functions which know themselves leave nothing behind.
pub(super) struct Evaluator<'e> {
    pub(super) frames: Vec<Names<'e>>,
    pub(super) labels: &'e [Box<str>],
    pub(super) variables: &'e BTreeMap<String, Value>,
    /// Variables that were read: JSON is turned into values when it is used.
    pub(super) read: HashMap<&'e str, Val<'e>>,
    /// `$$`
    pub(super) root: Val<'e>,
    pub(super) now: i64,
    pub(super) random: Random,
    limits: Limits,
    pub(super) steps: u64,
    depth: usize,
    max_depth: usize,
}

impl<'e> Evaluator<'e> {
    pub(super) fn new(labels: &'e [Box<str>], variables: &'e BTreeMap<String, Value>, env: &Env, depth: usize) -> Self {
        Self {
            frames: vec![Names { parent: None, bound: Vec::new() }],
            labels,
            variables,
            read: HashMap::new(),
            root: Val::Undefined,
            now: env.now,
            random: Random::new(env.seed),
            limits: env.limits,
            steps: 0,
            depth: 0,
            max_depth: depth.min(env.limits.depth),
        }
    }

    pub(super) fn step(&mut self) -> Result<(), Error> {
        self.charge(1)
    }

    /// Takes steps for work that depends on a length.
    pub(super) fn charge(&mut self, steps: usize) -> Result<(), Error> {
        self.steps += steps as u64;
        if self.steps > self.limits.steps {
            return Err(Error::limit("the expression takes more steps than an evaluation may"));
        }
        Ok(())
    }

    /// Takes steps for a text of this length, which may not be longer than a text may be.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes > self.limits.size {
            return Err(Error::limit("a text becomes longer than it may"));
        }
        self.charge(bytes / 16 + 1)
    }

    /// The same for an array.
    pub(super) fn grow_items(&mut self, items: usize) -> Result<(), Error> {
        if items > self.limits.size {
            return Err(Error::limit("an array becomes longer than it may"));
        }
        self.charge(items + 1)
    }

    pub(super) fn size(&self) -> usize {
        self.limits.size
    }

    pub(super) fn frame(&mut self, parent: Frame, bound: Vec<(&'e str, Val<'e>)>) -> Result<Frame, Error> {
        self.charge(2 + bound.len())?;
        self.frames.push(Names { parent: Some(parent), bound });
        Ok(self.frames.len() - 1)
    }

    pub(super) fn bind(&mut self, frame: Frame, name: &'e str, value: Val<'e>) {
        let bound = &mut self.frames[frame].bound;
        match bound.iter_mut().find(|(other, _)| *other == name) {
            Some(place) => place.1 = value,
            None => bound.push((name, value)),
        }
    }

    /// One level deeper, for as long as `work` takes.
    pub(super) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= self.max_depth {
            return Err(Error::depth());
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }
}

pub(super) fn nested() -> Error {
    Error::limit("values are nested too deep")
}
