//! What functions are called with.

use std::sync::Arc;

use crate::jsonata::error::Error;
use crate::jsonata::value::Val;

/// An argument; undefined where there is none.
pub(super) fn arg<'a, 'e>(arguments: &'a [Val<'e>], place: usize) -> &'a Val<'e> {
    arguments.get(place).unwrap_or(&Val::Undefined)
}

/// An argument that is a text; none where it is undefined.
pub(super) fn text(arguments: &[Val<'_>], place: usize) -> Result<Option<Arc<str>>, Error> {
    match arg(arguments, place) {
        Val::Undefined => Ok(None),
        Val::Str(text) => Ok(Some(text.clone())),
        _ => Err(mismatch(place)),
    }
}

/// An argument that is a number; none where it is undefined.
pub(super) fn number(arguments: &[Val<'_>], place: usize) -> Result<Option<f64>, Error> {
    match arg(arguments, place) {
        Val::Undefined => Ok(None),
        Val::Num(number) => Ok(Some(*number)),
        _ => Err(mismatch(place)),
    }
}

pub(super) fn mismatch(place: usize) -> Error {
    let message = format!("Argument {} of function {{{{token}}}} does not match function signature", place + 1);
    Error::new("T0410", message)
}

#[allow(clippy::cast_precision_loss)] // Lengths are below 2^53.
pub(super) fn count<'e>(number: usize) -> Val<'e> {
    Val::Num(number as f64)
}

/// A number as a length: none is negative, and a cast saturates.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn length(number: f64) -> usize {
    number.max(0.0) as usize
}
