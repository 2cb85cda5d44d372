//! Times after ISO 8601: what `$toMillis` reads without a picture.

use super::calendar::{DAY, days_before};

/// Milliseconds since 1970; none where the text is no time.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn parse(text: &str) -> Option<f64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let mut month = 1;
    let mut day = 1;
    if eat(&mut rest, '-') {
        month = digits(&mut rest, 2)?;
        if eat(&mut rest, '-') {
            day = digits(&mut rest, 2)?;
        }
    }
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut millis = (days_before(year, month - 1) + day - 1) * DAY;
    if eat(&mut rest, 'T') {
        let hours = digits(&mut rest, 2)?;
        let minutes = eat(&mut rest, ':').then(|| digits(&mut rest, 2))??;
        let seconds = eat(&mut rest, ':').then(|| digits(&mut rest, 2))??;
        if hours > 24 || minutes > 59 || seconds > 59 {
            return None;
        }
        millis += (hours * 3600 + minutes * 60 + seconds) * 1000;
        if eat(&mut rest, '.') {
            let fraction = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
            if fraction == 0 {
                return None;
            }
            let three: String = rest[..fraction].chars().chain("000".chars()).take(3).collect();
            millis += three.parse::<i64>().ok()?;
            rest = &rest[fraction..];
        }
        if !eat(&mut rest, 'Z') && !rest.is_empty() {
            let sign = if eat(&mut rest, '-') { -1 } else { 1 };
            let _ = eat(&mut rest, '+');
            let hours = digits(&mut rest, 2)?;
            let _ = eat(&mut rest, ':');
            millis -= sign * (hours * 60 + digits(&mut rest, 2)?) * 60_000;
        }
    }
    rest.is_empty().then_some(millis as f64)
}

fn eat(rest: &mut &str, sign: char) -> bool {
    let after = rest.strip_prefix(sign);
    *rest = after.unwrap_or(rest);
    after.is_some()
}

fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let digits = rest.get(..count).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
    *rest = &rest[count..];
    digits.parse().ok()
}
