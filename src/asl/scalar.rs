//! Plain scalars of YAML 1.1, read as `sigs.k8s.io/yaml` reads them, which is what kubectl and the API server use:
//! `yes` and `on` are booleans, `012` is octal, numbers of base 60 and dates are text.

use serde_json::{Number, Value};

/// A scalar that this schema gives no meaning that JSON has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

/// Reads a plain scalar without a tag.
///
/// # Errors
/// For `.inf` and `.nan`, which JSON cannot hold.
pub(super) fn plain(text: &str) -> Result<Value, NotJson> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(NotJson),
        _ => {}
    }
    let number = match text.as_bytes()[0] {
        b'0'..=b'9' | b'+' | b'-' => number(&text.replace('_', "")),
        b'.' if is_float(text) => float(text),
        _ => None,
    };
    Ok(number.map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// Reads a scalar as the number that its tag says it is.
pub(super) fn tagged_float(text: &str) -> Option<Value> {
    plain(text).ok()?.as_number().cloned().map(Value::Number)
}

/// True when a reader of YAML 1.2 takes the scalar for something else.
pub(super) fn is_ambiguous(text: &str) -> bool {
    match plain(text) {
        Ok(Value::Bool(_)) => !matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE"),
        Ok(Value::Number(_)) => {
            let digits = text.trim_start_matches(['+', '-']);
            let octal = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
            let binary = digits.starts_with("0b") || digits.starts_with("0B");
            text.contains('_') || octal || binary
        }
        _ => false,
    }
}

fn number(text: &str) -> Option<Number> {
    integer(text).or_else(|| is_float(text).then(|| float(text)).flatten())
}

/// Go's `strconv.ParseInt` with base 0, and `ParseUint` for what is too large for it.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(magnitude).map(Number::from);
    }
    // `ParseUint` takes no sign, so a signed number that `ParseInt` cannot hold is none.
    let fits = i64::try_from(magnitude).is_ok() || !text.starts_with('+');
    fits.then(|| Number::from(magnitude))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let exponent_fits = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    has_digits && digits(whole) && digits(fraction) && exponent_fits
}

/// A whole number is written as one, as Go does: AWS takes `1000` for a count and refuses `1000.0`.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::float_cmp)]
fn float(text: &str) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value: f64 = text.parse().ok()?;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

/// A key: JSON has text there only. `plain` is the text of a plain scalar without a tag; a float is written as Go's
/// `FormatFloat(value, 'g', -1, 32)` does.
pub(super) fn key(value: &Value, plain: Option<&str>) -> Option<String> {
    let as_float = plain.filter(|text| value.is_number() && integer(&text.replace('_', "")).is_none());
    if let Some(text) = as_float {
        return text.replace('_', "").parse().ok().map(short);
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => {
            let whole = number.as_i64().map(|whole| whole.to_string());
            whole.or_else(|| (!number.is_u64()).then(|| number.as_f64().map(short)).flatten())
        }
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation)]
fn short(value: f64) -> String {
    let single = value as f32;
    let scientific = format!("{single:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..6).contains(&exponent) => format!("{single}"),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        Err(_) => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_mean_what_kubectl_takes_them_for() {
        for (text, value) in [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!(true)),
            ("yEs", json!("yEs")),
            ("~", json!(null)),
            ("012", json!(10)),
            ("089", json!(89)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("-0b101", json!(-5)),
            ("1_000", json!(1000)),
            ("_1", json!("_1")),
            ("1e3", json!(1000)),
            ("1.", json!(1)),
            (".5", json!(0.5)),
            ("-1.25", json!(-1.25)),
            ("12:30:45", json!("12:30:45")),
            ("2001-12-14", json!("2001-12-14")),
            ("18446744073709551615", json!(18_446_744_073_709_551_615u64)),
            ("1.2.3", json!("1.2.3")),
            ("arn:aws:x", json!("arn:aws:x")),
            ("-", json!("-")),
            ("0x", json!("0x")),
        ] {
            assert_eq!(plain(text), Ok(value), "{text}");
        }
        assert_eq!(plain(".inf"), Err(NotJson));
    }

    #[test]
    fn what_the_two_versions_of_yaml_read_differently_is_ambiguous() {
        for text in ["yes", "no", "on", "off", "y", "012", "1_0", "0b1"] {
            assert!(is_ambiguous(text), "{text}");
        }
        for text in ["true", "False", "12", "0", "1.5", "0x1F", "text", "~"] {
            assert!(!is_ambiguous(text), "{text}");
        }
    }
}
