//! Lengths of time as Go writes them, which `@every` takes.

use jiff::SignedDuration;

/// Nanoseconds of a unit.
fn unit(name: &str) -> Option<i128> {
    Some(match name {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Reads `1h30m`, `1.5h`, `-5s` or `0`; `None` where it is none or longer than Go counts, 292 years.
pub(super) fn go_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (name, tail) = tail.split_at(unit_end);
        total = total.checked_add(decimal(number, unit(name)?)?)?;
        rest = tail;
    }
    let nanoseconds = i64::try_from(if negative { -total } else { total }).ok()?;
    Some(SignedDuration::from_nanos(nanoseconds))
}

/// A decimal number of units, cut to nanoseconds.
fn decimal(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    // Go stops to count digits of a fraction where they no longer matter.
    let fraction = &fraction[..fraction.len().min(18)];
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()?.into() };
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_go_reads_them() {
        let read = |text| go_duration(text).map(|length| length.as_nanos());
        assert_eq!(read("1h30m"), Some(5_400_000_000_000));
        assert_eq!(read("1.5h"), Some(5_400_000_000_000));
        assert_eq!(read(".5s"), Some(500_000_000));
        assert_eq!(read("-5s"), Some(-5_000_000_000));
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("1m1m"), Some(120_000_000_000));
        for bad in ["", "-", "1", "s", ".s", "1.2.3s", "1d", "1 h", "9999999h"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
