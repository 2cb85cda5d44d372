//! Texts.

use super::arguments::{arg, count, length as as_length, number, text};
use crate::jsonata::value::{Evaluator, Res, Val};

pub(super) fn string<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    if arg(arguments, 0).is_undefined() {
        return Ok(Val::Undefined);
    }
    let is_pretty = matches!(arg(arguments, 1), Val::Bool(true));
    evaluator.string(arg(arguments, 0), is_pretty).map(Val::str)
}

pub(super) fn substring<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    let characters: Vec<char> = text.chars().collect();
    #[allow(clippy::cast_precision_loss)]
    let total = characters.len() as f64;
    // An undefined start is no number, so that no end can be counted from it.
    let mut start = number(arguments, 1)?.unwrap_or(f64::NAN);
    if total + start < 0.0 {
        start = 0.0;
    }
    let end = match number(arguments, 2)? {
        None => total,
        Some(wanted) if wanted <= 0.0 => return Ok(Val::str("")),
        Some(wanted) if start >= 0.0 => start + wanted,
        Some(wanted) => total + start + wanted,
    };
    // As `slice` has it: whole numbers, the negative ones from the end.
    let place = |at: f64| {
        let at = at.trunc();
        as_length(if at < 0.0 { total + at } else { at }).min(characters.len())
    };
    let (start, end) = (place(start), place(end));
    Ok(Val::str(characters.get(start..end).unwrap_or_default().iter().collect::<String>()))
}

pub(super) fn substring_before<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(whole) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(whole.len())?;
    let mark = text(arguments, 1)?.unwrap_or_else(|| "undefined".into());
    Ok(Val::str(whole.find(&*mark).map_or(&*whole, |at| &whole[..at])))
}

pub(super) fn substring_after<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(whole) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(whole.len())?;
    let mark = text(arguments, 1)?.unwrap_or_else(|| "undefined".into());
    Ok(Val::str(whole.find(&*mark).map_or(&*whole, |at| &whole[at + mark.len()..])))
}

pub(super) fn lowercase<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    Ok(Val::str(text.to_lowercase()))
}

pub(super) fn uppercase<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    Ok(Val::str(text.to_uppercase()))
}

pub(super) fn length<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    Ok(count(text.chars().count()))
}

pub(super) fn trim<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
    Ok(Val::str(words.collect::<Vec<_>>().join(" ")))
}

pub(super) fn pad<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(whole) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    let width = number(arguments, 1)?.unwrap_or(f64::NAN);
    let filler = text(arguments, 2)?.filter(|filler| !filler.is_empty()).unwrap_or_else(|| " ".into());
    let missing = as_length(width.abs().ceil()).saturating_sub(whole.chars().count());
    evaluator.grow(whole.len().saturating_add(missing.saturating_mul(4)))?;
    let padding: String = filler.chars().cycle().take(missing).collect();
    Ok(Val::str(if width > 0.0 { format!("{whole}{padding}") } else { format!("{padding}{whole}") }))
}

pub(super) fn join<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    if arg(arguments, 0).is_undefined() {
        return Ok(Val::Undefined);
    }
    let separator = text(arguments, 1)?.unwrap_or_else(|| "".into());
    let mut joined = String::new();
    for (place, item) in arg(arguments, 0).items().iter().enumerate() {
        let piece = if let Val::Str(piece) = item { piece.clone() } else { evaluator.string(item, false)?.into() };
        evaluator.charge(1 + (piece.len() + separator.len()) / 16)?;
        if joined.len() + piece.len() + separator.len() > evaluator.size() {
            evaluator.grow(joined.len() + piece.len() + separator.len())?;
        }
        if place > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(&piece);
    }
    Ok(Val::str(joined))
}
