//! Points in time.
#![allow(clippy::unnecessary_wraps, reason = "all functions have one form")]

use super::arguments::{number, text};
use crate::jsonata::error::Error;
use crate::jsonata::picture::{iso, parse, time};
use crate::jsonata::value::{Evaluator, Res, Val};

#[allow(clippy::cast_precision_loss)] // Milliseconds of any year that there is.
fn now_of(evaluator: &Evaluator<'_>) -> f64 {
    evaluator.now as f64
}

pub(super) fn millis<'e>(evaluator: &mut Evaluator<'e>, _: &[Val<'e>]) -> Res<'e> {
    Ok(Val::Num(now_of(evaluator)))
}

pub(super) fn now<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    format(evaluator, now_of(evaluator), arguments, 0)
}

pub(super) fn from_millis<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    match number(arguments, 0)? {
        Some(millis) => format(evaluator, millis, arguments, 1),
        None => Ok(Val::Undefined),
    }
}

fn format<'e>(evaluator: &mut Evaluator<'e>, millis: f64, arguments: &[Val<'e>], place: usize) -> Res<'e> {
    let (picture, zone) = (text(arguments, place)?, text(arguments, place + 1)?);
    let picture = picture.as_deref().unwrap_or(time::ISO);
    evaluator.grow(picture.len())?;
    // Each marker of a few letters writes up to a name or words.
    evaluator.charge(picture.len())?;
    let text = time::format(millis, picture, zone.as_deref())?;
    evaluator.grow(text.len())?;
    Ok(Val::str(text))
}

pub(super) fn to_millis<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(written) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(written.len())?;
    let Some(picture) = text(arguments, 1)? else {
        return iso::parse(&written).map(Val::Num).ok_or_else(|| {
            let message = "The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given ";
            Error::new("D3110", format!("{message}{written:?}"))
        });
    };
    evaluator.grow(picture.len())?;
    evaluator.charge(picture.len() * 64)?;
    Ok(parse::parse(&written, &picture, now_of(evaluator))?.map_or(Val::Undefined, Val::Num))
}
