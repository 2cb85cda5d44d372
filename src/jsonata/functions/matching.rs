//! Finding, replacing and splitting, with texts and with functions that find.

use std::sync::Arc;

use indexmap::IndexMap;

use super::arguments::{arg, count, number, text};
use crate::jsonata::error::Error;
use crate::jsonata::regexes::{Found, byte_at};
use crate::jsonata::value::{Evaluator, Res, Val};

/// How often at most: a limit that is no whole number allows for one more.
fn limit(arguments: &[Val<'_>], place: usize, code: &'static str, words: &str) -> Result<f64, Error> {
    match number(arguments, place)? {
        Some(limit) if limit < 0.0 => Err(Error::new(code, words)),
        limit => Ok(limit.unwrap_or(f64::INFINITY)),
    }
}

#[allow(clippy::cast_precision_loss)] // Below 2^53.
fn less(count: usize, limit: f64) -> bool {
    (count as f64) < limit
}

pub(super) fn contains<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(whole) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(whole.len())?;
    Ok(Val::Bool(match arg(arguments, 1) {
        Val::Str(part) => whole.contains(&**part),
        matcher => evaluator.matcher(matcher, Some(&whole))?.is_some(),
    }))
}

pub(super) fn find<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(whole) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    let limit = limit(arguments, 2, "D3040", "Third argument of match function must evaluate to a positive number")?;
    let mut results = Vec::new();
    let mut next = None;
    while less(results.len(), limit) {
        let Some(found) = step(evaluator, arg(arguments, 1), &whole, next.as_ref())? else { break };
        let fields = [("match", Val::Str(found.text)), ("index", count(found.start)), ("groups", found.groups)];
        results.push(Val::object(IndexMap::from_iter(fields.map(|(name, value)| (Arc::from(name), value)))));
        next = Some(found.next);
    }
    Ok(Val::sequence(results))
}

/// The first match, or the one after another.
fn step<'e>(
    evaluator: &mut Evaluator<'e>,
    matcher: &Val<'e>,
    whole: &Arc<str>,
    next: Option<&Val<'e>>,
) -> Result<Option<Found<'e>>, Error> {
    match next {
        None => evaluator.matcher(matcher, Some(whole)),
        Some(next) => evaluator.matcher(next, None),
    }
}

pub(super) fn split<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(whole) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    let limit = limit(arguments, 2, "D3020", "Third argument of split function must evaluate to a positive number")?;
    evaluator.grow(whole.len())?;
    let mut pieces: Vec<Val<'e>> = Vec::new();
    if let Val::Str(separator) = arg(arguments, 1) {
        evaluator.charge(whole.len())?;
        let limit = super::arguments::length(limit.trunc());
        if separator.is_empty() {
            let characters = whole.chars().take(limit);
            pieces.extend(characters.map(|character| Val::str(character.to_string())));
        } else {
            pieces.extend(whole.split(&**separator).take(limit).map(Val::str));
        }
        return Ok(Val::array(pieces));
    }
    let mut next = None;
    let mut start = 0;
    while less(pieces.len(), limit) {
        let Some(found) = step(evaluator, arg(arguments, 1), &whole, next.as_ref())? else { break };
        pieces.push(Val::str(piece(evaluator, &whole, start, Some(found.start))?));
        start = found.end;
        next = Some(found.next);
    }
    if less(pieces.len(), limit) {
        pieces.push(Val::str(piece(evaluator, &whole, start, None)?));
    }
    Ok(Val::array(pieces))
}

/// From one UTF-16 unit to another.
fn piece<'t>(
    evaluator: &mut Evaluator<'_>,
    whole: &'t str,
    start: usize,
    end: Option<usize>,
) -> Result<&'t str, Error> {
    evaluator.charge(1 + if whole.is_ascii() { 0 } else { whole.len() / 16 })?;
    let start = byte_at(whole, start).unwrap_or(whole.len());
    let end = end.and_then(|end| byte_at(whole, end)).unwrap_or(whole.len());
    Ok(whole.get(start.min(end)..end.max(start)).unwrap_or_default())
}

pub(super) fn replace<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(whole) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    let (pattern, replacement) = (arg(arguments, 1), arg(arguments, 2));
    if matches!(pattern, Val::Str(pattern) if pattern.is_empty()) {
        return Err(Error::new("D3010", "Second argument of replace function cannot be an empty string"));
    }
    let limit = limit(arguments, 3, "D3011", "Fourth argument of replace function must evaluate to a positive number")?;
    evaluator.grow(whole.len())?;
    if let Val::Str(pattern) = pattern {
        return replace_text(evaluator, &whole, pattern, replacement, limit);
    }
    let mut result = String::new();
    let mut next = None;
    let (mut start, mut done) = (0, 0.0);
    while done < limit {
        let Some(found) = step(evaluator, pattern, &whole, next.as_ref())? else { break };
        result.push_str(piece(evaluator, &whole, start, Some(found.start))?);
        let substitute = match replacement {
            Val::Str(template) => substitute(template, &found),
            function => replaced(evaluator, function, &found)?,
        };
        evaluator.charge(1 + substitute.len() / 16)?;
        if result.len() + substitute.len() > evaluator.size() {
            evaluator.grow(result.len() + substitute.len())?;
        }
        result.push_str(&substitute);
        start = found.end;
        done += 1.0;
        next = Some(found.next);
    }
    result.push_str(piece(evaluator, &whole, start, None)?);
    Ok(Val::str(result))
}

fn replace_text<'e>(
    evaluator: &mut Evaluator<'e>,
    whole: &str,
    pattern: &str,
    replacement: &Val<'e>,
    limit: f64,
) -> Res<'e> {
    let times = super::arguments::length(limit.ceil());
    let with = match replacement {
        Val::Str(with) => with.clone(),
        other => evaluator.string(other, false)?.into(),
    };
    let found = whole.matches(pattern).take(times).count();
    evaluator.grow(whole.len().saturating_add(found.saturating_mul(with.len())))?;
    Ok(Val::str(whole.replacen(pattern, &with, times)))
}

/// What a function makes of a match.
fn replaced<'e>(evaluator: &mut Evaluator<'e>, function: &Val<'e>, found: &Found<'e>) -> Result<Arc<str>, Error> {
    let fields = [
        ("match", Val::Str(found.text.clone())),
        ("start", count(found.start)),
        ("end", count(found.end)),
        ("groups", found.groups.clone()),
        ("next", found.next.clone()),
    ];
    let found = Val::object(IndexMap::from_iter(fields.map(|(name, value)| (Arc::from(name), value))));
    match evaluator.apply(function, vec![found], &Val::Undefined)? {
        Val::Str(text) => Ok(text),
        _ => Err(Error::new("D3012", "Attempted to replace a matched string with a non-string value")),
    }
}

/// `$0` is the match, `$1` its first group, `$$` the sign.
fn substitute(template: &str, found: &Found<'_>) -> Arc<str> {
    let groups = found.groups.items();
    let mut digits = groups.len().to_string().len();
    if groups.is_empty() {
        digits = 1;
    }
    let mut result = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('0') {
            result.push_str(&found.text);
            rest = after;
        } else {
            let length = rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
            let mut index = rest[..length].parse::<usize>().ok();
            if digits > 1 && index.is_some_and(|index| index > groups.len()) {
                index = rest[..length.min(digits - 1)].parse().ok();
            }
            let Some(index) = index else {
                result.push('$');
                continue;
            };
            if let Some(Val::Str(group)) = index.checked_sub(1).and_then(|index| groups.get(index)) {
                result.push_str(group);
            }
            rest = &rest[index.to_string().len()..];
        }
    }
    result.push_str(rest);
    result.into()
}
