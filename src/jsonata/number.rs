//! Numbers as the reference implementation writes and rounds them.

/// The digits of a positive number without a point, and where the point is: `0.digits * 10^place`.
fn digits(number: f64) -> (String, i32) {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let place = exponent.parse::<i32>().unwrap_or(0) + 1;
    (mantissa.chars().filter(char::is_ascii_digit).collect(), place)
}

/// A number as JavaScript prints it: the shortest digits that give it back.
pub(super) fn print(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number == 0.0 {
        return "0".into();
    }
    let sign = if number < 0.0 { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}Infinity");
    }
    let (digits, place) = digits(number.abs());
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let text = if !(-5..=21).contains(&place) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent = place - 1;
        let plus = if exponent > 0 { "+" } else { "" };
        format!("{first}{point}{rest}e{plus}{exponent}")
    } else if place >= count {
        digits + &zeros(place - count)
    } else if place > 0 {
        let (whole, fraction) = digits.split_at(usize::try_from(place).unwrap_or(0));
        format!("{whole}.{fraction}")
    } else {
        format!("0.{}{digits}", zeros(-place))
    };
    format!("{sign}{text}")
}

/// The nearest number of 15 digits.
pub(super) fn to_15_digits(number: f64) -> f64 {
    format!("{number:.14e}").parse().unwrap_or(number)
}

/// Half to even, at so many places behind the point; before it where they are negative.
pub(super) fn round(number: f64, places: i32) -> f64 {
    let scaled = shift(number, places);
    let mut rounded = (scaled + 0.5).floor();
    // Adding a half is not exact for every number.
    #[allow(clippy::float_cmp)] // Halves are.
    if (scaled + 0.5) - scaled != 0.5 {
        rounded = scaled.round();
    }
    #[allow(clippy::float_cmp)]
    if (rounded - scaled).abs() == 0.5 && (rounded % 2.0).abs() == 1.0 {
        rounded -= 1.0;
    }
    let result = shift(rounded, -places);
    if result == 0.0 { 0.0 } else { result }
}

/// The decimal point moved, without an error of its own.
fn shift(number: f64, places: i32) -> f64 {
    if places == 0 || !number.is_finite() {
        return number;
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0).saturating_add(places);
    format!("{mantissa}e{exponent}").parse().unwrap_or(number)
}

/// A number with this base, as JavaScript writes it.
pub(super) fn in_base(number: f64, base: u32) -> String {
    if base == 10 || !number.is_finite() {
        return print(number);
    }
    let mut rest = number.abs().trunc();
    let base_number = f64::from(base);
    let mut digits = Vec::new();
    while rest >= 1.0 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Below the base.
        let digit = (rest % base_number) as u32;
        digits.push(char::from_digit(digit, base).unwrap_or('0'));
        rest = (rest / base_number).trunc();
    }
    if digits.is_empty() {
        return "0".into();
    }
    if number < 0.0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}
