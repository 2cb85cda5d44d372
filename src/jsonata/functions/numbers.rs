//! Numbers.

use super::arguments::{arg, number as as_number, text};
use crate::jsonata::error::Error;
use crate::jsonata::number as numbers;
use crate::jsonata::picture::{integer, number as pictures};
use crate::jsonata::value::{Evaluator, Res, Val};

/// The numbers of an argument; none where it is undefined.
fn all<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Result<Option<Vec<f64>>, Error> {
    if arg(arguments, 0).is_undefined() {
        return Ok(None);
    }
    let items = arg(arguments, 0).items();
    evaluator.charge(items.len())?;
    let number = |item: &Val<'e>| if let Val::Num(number) = item { Some(*number) } else { None };
    Ok(Some(items.iter().filter_map(number).collect()))
}

pub(super) fn sum<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    // Not `sum`, which begins with a negative zero.
    Ok(all(evaluator, arguments)?
        .map_or(Val::Undefined, |all| Val::Num(all.into_iter().fold(0.0, |sum, one| sum + one))))
}

pub(super) fn average<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let all = all(evaluator, arguments)?.filter(|all| !all.is_empty());
    #[allow(clippy::cast_precision_loss)]
    Ok(all.map_or(Val::Undefined, |all| Val::Num(all.iter().sum::<f64>() / all.len() as f64)))
}

pub(super) fn max<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let all = all(evaluator, arguments)?.unwrap_or_default();
    Ok(all.into_iter().reduce(f64::max).map_or(Val::Undefined, Val::Num))
}

pub(super) fn min<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let all = all(evaluator, arguments)?.unwrap_or_default();
    Ok(all.into_iter().reduce(f64::min).map_or(Val::Undefined, Val::Num))
}

fn mapped<'e>(arguments: &[Val<'e>], change: impl Fn(f64) -> f64) -> Res<'e> {
    Ok(as_number(arguments, 0)?.map_or(Val::Undefined, |number| Val::Num(change(number))))
}

pub(super) fn floor<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    mapped(arguments, f64::floor)
}

pub(super) fn ceil<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    mapped(arguments, f64::ceil)
}

pub(super) fn abs<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    mapped(arguments, f64::abs)
}

pub(super) fn round<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let places = places(as_number(arguments, 1)?.unwrap_or(0.0));
    mapped(arguments, |number| numbers::round(number, places))
}

/// No double has more places than these.
#[allow(clippy::cast_possible_truncation)]
fn places(places: f64) -> i32 {
    places.clamp(-400.0, 400.0) as i32
}

pub(super) fn sqrt<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    if let Some(number) = as_number(arguments, 0)?.filter(|number| *number < 0.0) {
        let message = format!("The sqrt function cannot be applied to a negative number: {}", numbers::print(number));
        return Err(Error::new("D3060", message));
    }
    mapped(arguments, f64::sqrt)
}

pub(super) fn power<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(base) = as_number(arguments, 0)? else { return Ok(Val::Undefined) };
    let exponent = as_number(arguments, 1)?.unwrap_or(f64::NAN);
    let result = base.powf(exponent);
    if !result.is_finite() {
        let message = format!(
            "The power function has resulted in a value that cannot be represented as a JSON number: base={}, exponent={}",
            numbers::print(base),
            numbers::print(exponent)
        );
        return Err(Error::new("D3061", message));
    }
    Ok(Val::Num(result))
}

pub(super) fn number<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let value = arg(arguments, 0);
    Ok(match value {
        Val::Undefined | Val::Num(_) => value.clone(),
        Val::Bool(value) => Val::Num(f64::from(u8::from(*value))),
        Val::Str(text) => match from_text(text) {
            Some(number) => Val::Num(number),
            None => return Err(not_a_number(evaluator, value)?),
        },
        _ => return Err(not_a_number(evaluator, value)?),
    })
}

fn not_a_number<'e>(evaluator: &mut Evaluator<'e>, value: &Val<'e>) -> Result<Error, Error> {
    let shown = evaluator.shown(value)?;
    Ok(Error::new("D3030", format!("Unable to cast value to a number: {shown}")))
}

/// `-1.5e3`, `0x1f`, `0o17`, `0b11`
fn from_text(text: &str) -> Option<f64> {
    let radix = match text.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o" | "0O") => 8,
        Some("0b" | "0B") => 2,
        _ => return decimal(text),
    };
    let digits = &text[2..];
    let value = |sum: f64, digit: char| Some(sum * f64::from(radix) + f64::from(digit.to_digit(radix)?));
    if digits.is_empty() { None } else { digits.chars().try_fold(0.0, value) }
}

fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    let is_right = digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(digits);
    if !is_right {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

pub(super) fn format_base<'e>(_: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(value) = as_number(arguments, 0)? else { return Ok(Val::Undefined) };
    let base = numbers::round(as_number(arguments, 1)?.unwrap_or(10.0), 0);
    if !(2.0..=36.0).contains(&base) {
        let base = numbers::print(base);
        let message = format!("The radix of the formatBase function must be between 2 and 36.  It was given {base}");
        return Err(Error::new("D3100", message));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 2 and 36.
    Ok(Val::str(numbers::in_base(numbers::round(value, 0), base as u32)))
}

pub(super) fn format_number<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(value) = as_number(arguments, 0)? else { return Ok(Val::Undefined) };
    let picture = text(arguments, 1)?.unwrap_or_else(|| "".into());
    evaluator.grow(picture.len())?;
    // A picture is read once for each of its rules.
    evaluator.charge(picture.len() * 4)?;
    let mut symbols = pictures::Symbols::default();
    if let Val::Object(options) = arg(arguments, 2) {
        for (name, option) in &options.map {
            evaluator.step()?;
            if let Val::Str(option) = option {
                symbols.set(name, option);
            }
        }
    }
    pictures::format(value, &picture, &symbols).map(Val::str)
}

pub(super) fn format_integer<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(value) = as_number(arguments, 0)? else { return Ok(Val::Undefined) };
    let picture = text(arguments, 1)?.unwrap_or_else(|| "".into());
    evaluator.grow(picture.len())?;
    let picture = integer::Picture::read(&picture)?;
    picture.format(value.floor()).map(Val::str)
}

pub(super) fn parse_integer<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(value) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    let picture = text(arguments, 1)?.unwrap_or_else(|| "".into());
    evaluator.grow(picture.len() + value.len())?;
    Ok(integer::Picture::read(&picture)?.parse(&value)?.map_or(Val::Undefined, Val::Num))
}
