//! The functions that Step Functions adds.
//!
//! Source: Step Functions developer guide, "Transforming data with JSONata", "JSONata functions provided by Step Functions".
#![allow(clippy::unnecessary_wraps, reason = "all functions have one form")]

use md5::Md5;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::arguments::{arg, length, number, text};
use crate::jsonata::error::Error;
use crate::jsonata::random::Random;
use crate::jsonata::value::{Evaluator, Res, Val};

fn refused<'e>(message: impl Into<String>) -> Res<'e> {
    Err(Error::new("T0410", message))
}

/// `$partition([1, 2, 3], 2)` is `[[1, 2], [3]]`.
pub(super) fn partition<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    if arg(arguments, 0).is_undefined() {
        return Ok(Val::Undefined);
    }
    let size = number(arguments, 1)?.unwrap_or(0.0);
    if size < 1.0 || size.fract() != 0.0 {
        return refused("The second argument of the partition function must be a positive integer");
    }
    let items = arg(arguments, 0).items();
    evaluator.grow_items(items.len())?;
    Ok(Val::array(items.chunks(length(size)).map(|chunk| Val::array(chunk.to_vec())).collect()))
}

/// `$range(1, 10, 4)` is `[1, 5, 9]`.
pub(super) fn range<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let (first, last, step) = (number(arguments, 0)?, number(arguments, 1)?, number(arguments, 2)?);
    let (Some(first), Some(last), Some(step)) = (first, last, step) else { return Ok(Val::Undefined) };
    if step == 0.0 || [first, last, step].iter().any(|number| !number.is_finite() || number.fract() != 0.0) {
        return refused("The arguments of the range function must be integers, and the third may not be 0");
    }
    let count = ((last - first) / step).floor() + 1.0;
    evaluator.grow_items(length(count))?;
    let mut items = Vec::new();
    let mut at = 0.0;
    while at < count {
        items.push(Val::Num(first + at * step));
        at += 1.0;
    }
    Ok(Val::array(items))
}

/// `$hash('text', 'SHA-256')`, in hexadecimal.
pub(super) fn hash<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(data) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(data.len())?;
    evaluator.charge(data.len() / 4)?;
    let Some(algorithm) = text(arguments, 1)? else { return Ok(Val::Undefined) };
    let digest = match &*algorithm {
        "MD5" => Md5::digest(data.as_bytes()).to_vec(),
        "SHA-1" => Sha1::digest(data.as_bytes()).to_vec(),
        "SHA-256" => Sha256::digest(data.as_bytes()).to_vec(),
        "SHA-384" => Sha384::digest(data.as_bytes()).to_vec(),
        "SHA-512" => Sha512::digest(data.as_bytes()).to_vec(),
        other => {
            return refused(format!(
                "The hash function has no algorithm {other:?}; it has MD5, SHA-1, SHA-256, SHA-384 and SHA-512"
            ));
        }
    };
    let hex = |text: String, byte: &u8| text + &format!("{byte:02x}");
    Ok(Val::str(digest.iter().fold(String::new(), hex)))
}

/// `$random()`, or the same number for the same seed.
pub(super) fn random<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    Ok(Val::Num(match number(arguments, 0)? {
        Some(seed) => Random::new(seed.to_bits()).unit(),
        None => evaluator.random.unit(),
    }))
}

/// A version 4 UUID.
pub(super) fn uuid<'e>(evaluator: &mut Evaluator<'e>, _: &[Val<'e>]) -> Res<'e> {
    let (high, low) = (evaluator.random.next(), evaluator.random.next());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    let text = format!("{high:016x}{low:016x}");
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    Ok(Val::str(parts.join("-")))
}

/// The value of a text that is JSON.
pub(super) fn parse<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    // What it reads takes more than the text itself.
    evaluator.charge(text.len() / 4)?;
    match serde_json::from_str::<Value>(&text) {
        Ok(json) => evaluator.read_json(&json),
        Err(error) => refused(format!("The argument of the parse function is no JSON: {error}")),
    }
}
