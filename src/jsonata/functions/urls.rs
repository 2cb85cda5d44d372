//! Base64 and what is percent-encoded.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::arguments::text;
use crate::jsonata::error::Error;
use crate::jsonata::value::{Evaluator, Res, Val};

const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
const URL: &AsciiSet = &COMPONENT
    .remove(b';')
    .remove(b'/')
    .remove(b'?')
    .remove(b':')
    .remove(b'@')
    .remove(b'&')
    .remove(b'=')
    .remove(b'+')
    .remove(b'$')
    .remove(b',')
    .remove(b'#');

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// In the reference implementation a character is a byte there; it is the text's UTF-8 in Step Functions.
pub(super) fn base64_encode<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len() * 2)?;
    Ok(Val::str(LENIENT.encode(text.as_bytes())))
}

pub(super) fn base64_decode<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    let decoded = LENIENT.decode(text.as_bytes());
    let decoded = decoded.map_err(|_| Error::new("D3137", "The argument of $base64decode is not base64"))?;
    Ok(Val::str(String::from_utf8_lossy(&decoded)))
}

pub(super) fn encode_component<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    encoded(evaluator, arguments, COMPONENT, "encodeUrlComponent")
}

pub(super) fn encode<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    encoded(evaluator, arguments, URL, "encodeUrl")
}

fn encoded<'e>(
    evaluator: &mut Evaluator<'e>,
    arguments: &[Val<'e>],
    set: &'static AsciiSet,
    function: &str,
) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len().saturating_mul(3))?;
    // Half of a pair of surrogates is read as this character, and is no character.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(malformed(&text, function));
    }
    Ok(Val::str(utf8_percent_encode(&text, set).to_string()))
}

fn malformed(text: &str, function: &str) -> Error {
    Error::new("D3140", format!("Malformed URL passed to ${function}(): {text:?}"))
}

pub(super) fn decode_component<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    decoded(&text, &|_| false).map_or_else(|| Err(malformed(&text, "decodeUrlComponent")), |text| Ok(Val::str(text)))
}

pub(super) fn decode<'e>(evaluator: &mut Evaluator<'e>, arguments: &[Val<'e>]) -> Res<'e> {
    let Some(text) = text(arguments, 0)? else { return Ok(Val::Undefined) };
    evaluator.grow(text.len())?;
    let stays = |byte: u8| b";/?:@&=+$,#".contains(&byte);
    decoded(&text, &stays).map_or_else(|| Err(malformed(&text, "decodeUrl")), |text| Ok(Val::str(text)))
}

/// The text that was encoded; none where it is malformed. Some bytes stay encoded.
fn decoded(text: &str, stays: &dyn Fn(u8) -> bool) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let digits = rest.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        kept.push_str(&rest[..at]);
        // Encoded once more, so that what stays is decoded to what it was.
        kept.push_str(if stays(byte) { "%25" } else { "%" });
        kept.push_str(digits);
        rest = &rest[at + 3..];
    }
    kept.push_str(rest);
    percent_decode_str(&kept).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
