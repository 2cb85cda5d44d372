//! Functions that call functions.

use indexmap::IndexMap;

use super::arguments::{arg, count};
use crate::jsonata::error::Error;
use crate::jsonata::value::{Evaluator, Res, Val};

/// Calls with the item, and with as much of the rest as the function asks for.
fn call<'e>(evaluator: &mut Evaluator<'e>, function: &Val<'e>, item: &Val<'e>, key: Val<'e>, all: &Val<'e>) -> Res<'e> {
    let mut arguments = vec![item.clone()];
    let arity = Evaluator::arity(function);
    if arity >= 2 {
        arguments.push(key);
    }
    if arity >= 3 {
        arguments.push(all.clone());
    }
    evaluator.apply(function, arguments, &Val::Undefined)
}

pub(super) fn map<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (all, function) = (arg(arguments, 0), arg(arguments, 1));
    if all.is_undefined() {
        return Ok(Val::Undefined);
    }
    let mut results = Vec::new();
    for (place, item) in all.items().iter().enumerate() {
        let result = call(evaluator, function, item, count(place), all)?;
        if !result.is_undefined() {
            results.push(result);
        }
    }
    Ok(Val::sequence(results))
}

pub(super) fn filter<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (all, function) = (arg(arguments, 0), arg(arguments, 1));
    if all.is_undefined() {
        return Ok(Val::Undefined);
    }
    let mut kept = Vec::new();
    for (place, item) in all.items().iter().enumerate() {
        let holds = call(evaluator, function, item, count(place), all)?;
        if evaluator.is_true(&holds)? {
            kept.push(item.clone());
        }
    }
    Ok(Val::sequence(kept))
}

pub(super) fn single<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (all, function) = (arg(arguments, 0), arg(arguments, 1));
    if all.is_undefined() {
        return Ok(Val::Undefined);
    }
    let mut found = None;
    for (place, item) in all.items().iter().enumerate() {
        let holds = match function {
            Val::Undefined => Val::Bool(true),
            function => call(evaluator, function, item, count(place), all)?,
        };
        if evaluator.is_true(&holds)? && found.replace(item.clone()).is_some() {
            let message = "The $single() function expected exactly 1 matching result.  Instead it matched more.";
            return Err(Error::new("D3138", message));
        }
    }
    found.ok_or_else(|| {
        let message = "The $single() function expected exactly 1 matching result.  Instead it matched 0.";
        Error::new("D3139", message)
    })
}

pub(super) fn reduce<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (all, function) = (arg(arguments, 0), arg(arguments, 1));
    if all.is_undefined() {
        return Ok(Val::Undefined);
    }
    let arity = Evaluator::arity(function);
    if arity < 2 {
        let message = "The second argument of reduce function must be a function with at least two arguments";
        return Err(Error::new("D3050", message));
    }
    let mut items = all.items().iter().enumerate();
    let mut result = arg(arguments, 2).clone();
    if result.is_undefined() {
        result = items.next().map_or(Val::Undefined, |(_, first)| first.clone());
    }
    for (place, item) in items {
        let mut values = vec![result, item.clone()];
        if arity >= 3 {
            values.push(count(place));
        }
        if arity >= 4 {
            values.push(all.clone());
        }
        result = evaluator.apply(function, values, &Val::Undefined)?;
    }
    Ok(result)
}

pub(super) fn sift<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (all, function) = (arg(arguments, 0), arg(arguments, 1));
    let mut kept = IndexMap::new();
    if let Val::Object(object) = all {
        for (key, value) in &object.map {
            let holds = call(evaluator, function, value, Val::Str(key.clone()), all)?;
            if evaluator.is_true(&holds)? {
                kept.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(if kept.is_empty() { Val::Undefined } else { Val::object(kept) })
}

pub(super) fn each<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (all, function) = (arg(arguments, 0), arg(arguments, 1));
    let mut results = Vec::new();
    if let Val::Object(object) = all {
        for (key, value) in &object.map {
            let result = call(evaluator, function, value, Val::Str(key.clone()), all)?;
            if !result.is_undefined() {
                results.push(result);
            }
        }
    }
    Ok(Val::sequence(results))
}

pub(super) fn sort<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (all, function) = (arg(arguments, 0), arg(arguments, 1));
    let items = all.items();
    if items.len() <= 1 {
        return Ok(all.clone());
    }
    evaluator.grow_items(items.len())?;
    if !function.is_undefined() {
        let sorted = evaluator.merge_sort(items.to_vec(), &mut |evaluator, left, right| {
            let follows = evaluator.apply(function, vec![left.clone(), right.clone()], &Val::Undefined)?;
            Ok(follows.is_truthy())
        })?;
        return Ok(Val::array(sorted));
    }
    let are_numbers = items.iter().all(|item| matches!(item, Val::Num(_)));
    if !are_numbers && !items.iter().all(|item| matches!(item, Val::Str(_))) {
        let message = "The single argument form of the sort function can only be applied to an array of strings or an array of numbers.  Use the second argument to specify a comparison function";
        return Err(Error::new("D3070", message));
    }
    let greater = crate::jsonata::tree::Operator::Greater;
    let sorted = evaluator.merge_sort(items.to_vec(), &mut |evaluator, left, right| {
        Ok(evaluator.comparison(greater, left, right)?.is_truthy())
    })?;
    Ok(Val::array(sorted))
}
