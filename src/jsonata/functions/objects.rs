//! Objects, kinds of values, and errors.
#![allow(clippy::unnecessary_wraps, reason = "all functions have one form")]

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::arguments::{arg, text};
use crate::jsonata::error::Error;
use crate::jsonata::value::{Array, Evaluator, Res, Val};

pub(super) fn boolean<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    Ok(evaluator.boolean(arg(arguments, 0))?.map_or(Val::Undefined, Val::Bool))
}

pub(super) fn not<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    Ok(evaluator.boolean(arg(arguments, 0))?.map_or(Val::Undefined, |value| Val::Bool(!value)))
}

pub(super) fn exists<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    Ok(Val::Bool(!arg(arguments, 0).is_undefined()))
}

pub(super) fn type_of<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    Ok(Val::str(match arg(arguments, 0) {
        Val::Undefined => return Ok(Val::Undefined),
        Val::Null => "null",
        Val::Bool(_) => "boolean",
        Val::Num(number) => {
            Evaluator::finite(*number)?;
            "number"
        }
        Val::Str(_) => "string",
        Val::Array(_) | Val::Tuples(_) => "array",
        Val::Object(_) => "object",
        Val::Func(_) => "function",
    }))
}

pub(super) fn error<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let message = text(arguments, 0)?.filter(|message| !message.is_empty());
    Err(Error::new("D3137", message.as_deref().unwrap_or("$error() function evaluated")))
}

pub(super) fn assert<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    if arg(arguments, 0).is_truthy() {
        return Ok(Val::Undefined);
    }
    let message = text(arguments, 1)?.filter(|message| !message.is_empty());
    Err(Error::new("D3141", message.as_deref().unwrap_or("$assert() statement failed")))
}

pub(super) fn keys<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let mut found = IndexSet::new();
    collect_keys(evaluator, arg(arguments, 0), &mut found)?;
    Ok(Val::sequence(found.into_iter().map(Val::Str).collect()))
}

fn collect_keys<'e>(
    evaluator: &mut Evaluator<'e>,
    value: &Val<'e>,
    found: &mut IndexSet<Arc<str>>,
) -> Result<(), Error> {
    evaluator.step()?;
    match value {
        Val::Array(array) => array.items.iter().try_for_each(|item| collect_keys(evaluator, item, found)),
        Val::Object(object) => {
            evaluator.charge(object.map.len())?;
            found.extend(object.map.keys().cloned());
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(super) fn lookup<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(key) = text(arguments, 1)? else { return Ok(Val::Undefined) };
    evaluator.lookup(arg(arguments, 0), &key)
}

pub(super) fn spread<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let value = arg(arguments, 0);
    match value {
        Val::Array(_) | Val::Object(_) => {
            let mut found = Vec::new();
            collect_spread(evaluator, value, &mut found)?;
            // More than one piece were put together by `$append`, which makes no sequence.
            let is_sequence = value.as_array().is_none_or(|array| array.items.is_empty());
            Ok(Array { is_sequence, ..Array::new(found) }.into())
        }
        other => Ok(other.clone()),
    }
}

fn collect_spread<'e>(evaluator: &mut Evaluator<'e>, value: &Val<'e>, found: &mut Vec<Val<'e>>) -> Result<(), Error> {
    evaluator.step()?;
    match value {
        Val::Array(array) => array.items.iter().try_for_each(|item| collect_spread(evaluator, item, found)),
        Val::Object(object) => {
            evaluator.charge(object.map.len())?;
            let only =
                |(key, value): (&Arc<str>, &Val<'e>)| Val::object(IndexMap::from_iter([(key.clone(), value.clone())]));
            found.extend(object.map.iter().map(only));
            Ok(())
        }
        other => {
            found.push(other.clone());
            Ok(())
        }
    }
}

pub(super) fn merge<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    if arg(arguments, 0).is_undefined() {
        return Ok(Val::Undefined);
    }
    let mut merged = IndexMap::new();
    for item in arg(arguments, 0).items() {
        if let Val::Object(object) = item {
            evaluator.charge(1 + object.map.len())?;
            merged.extend(object.map.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    Ok(Val::object(merged))
}

/// A copy with values of its own, so that a change to it changes nothing else.
pub(super) fn clone<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    if arg(arguments, 0).is_undefined() {
        return Ok(Val::Undefined);
    }
    let value = match arg(arguments, 0) {
        Val::Array(array) if array.is_outer => array.items.first().cloned().unwrap_or(Val::Undefined),
        other => other.clone(),
    };
    copy(evaluator, &value)
}

fn copy<'e>(evaluator: &mut Evaluator<'e>, value: &Val<'e>) -> Res<'e> {
    evaluator.charge(4)?;
    Ok(match value {
        Val::Array(array) => {
            Val::array(array.items.iter().map(|item| copy(evaluator, item)).collect::<Result<_, _>>()?)
        }
        Val::Object(object) => {
            let mut fields = IndexMap::with_capacity(object.map.len());
            for (key, value) in &object.map {
                fields.insert(key.clone(), copy(evaluator, value)?);
            }
            Val::object(fields)
        }
        Val::Func(_) => Val::str(""),
        Val::Num(number) => Val::Num(crate::jsonata::number::to_15_digits(Evaluator::finite(*number)?)),
        other => other.clone(),
    })
}
