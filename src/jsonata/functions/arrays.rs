//! Arrays.
#![allow(clippy::unnecessary_wraps, reason = "all functions have one form")]

use super::arguments::{arg, count as as_count};
use crate::jsonata::value::{Array, Evaluator, Res, Val};

pub(super) fn count<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    Ok(as_count(arg(arguments, 0).items().len()))
}

pub(super) fn append<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    evaluator.append(arg(arguments, 0), arg(arguments, 1))
}

pub(super) fn reverse<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let items = arg(arguments, 0).items();
    if items.len() <= 1 {
        return Ok(arg(arguments, 0).clone());
    }
    evaluator.grow_items(items.len())?;
    Ok(Val::array(items.iter().rev().cloned().collect()))
}

pub(super) fn zip<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let length = |argument: &Val<'e>| argument.as_array().map_or(0, |array| array.items.len());
    let shortest = arguments.iter().map(length).min().unwrap_or(0);
    let mut rows = Vec::new();
    for row in 0..shortest {
        evaluator.charge(1 + arguments.len())?;
        rows.push(Val::array(arguments.iter().filter_map(|column| column.items().get(row).cloned()).collect()));
    }
    Ok(Val::array(rows))
}

pub(super) fn shuffle<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let items = arg(arguments, 0).items();
    if items.len() <= 1 {
        return Ok(arg(arguments, 0).clone());
    }
    evaluator.grow_items(items.len())?;
    let mut shuffled = items.to_vec();
    for place in (1..shuffled.len()).rev() {
        let other = evaluator.random.below(place + 1);
        shuffled.swap(place, other);
    }
    Ok(Val::array(shuffled))
}

pub(super) fn distinct<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(array) = arg(arguments, 0).as_array().filter(|array| array.items.len() > 1) else {
        return Ok(arg(arguments, 0).clone());
    };
    let mut kept: Vec<Val<'e>> = Vec::new();
    for item in &array.items {
        let mut is_known = false;
        for other in &kept {
            if evaluator.equal(item, other)? {
                is_known = true;
                break;
            }
        }
        if !is_known {
            kept.push(item.clone());
        }
    }
    Ok(Array { is_sequence: array.is_sequence, ..Array::new(kept) }.into())
}
