//! `$toMillis` with a picture.
//!
//! The reference implementation makes a regular expression of the picture; so does this, and the crate `regex` runs it in
//! linear time.

use std::collections::BTreeMap;

use regex::RegexBuilder;

use super::calendar::{DAY, Date, days_before};
use super::integer::{Case, Grouping, Primary};
use super::time::{DAYS, MONTHS, Marker, Part, no_name, read};
use super::words;
use crate::jsonata::error::Error;

/// The pattern of what a marker stands for.
fn pattern(marker: &Marker) -> Result<String, Error> {
    if "Zz".contains(marker.component) {
        let zone = if marker.component == 'z' { "GMT" } else { "" };
        return Ok(match separator(marker) {
            Some(separator) => format!("{zone}[-+][0-9]+{}[0-9]+", regex::escape(&separator.to_string())),
            None => format!("{zone}[-+][0-9]+"),
        });
    }
    let Some(integer) = &marker.integer else {
        return if "MxFP".contains(marker.component) { Ok("[a-zA-Z]+".into()) } else { Err(no_name(marker.component)) };
    };
    let is_upper = integer.case == Case::Upper;
    Ok(match &integer.primary {
        Primary::Letters => if is_upper { "[A-Z]+" } else { "[a-z]+" }.into(),
        Primary::Roman => if is_upper { "[MDCLXVI]+" } else { "[mdclxvi]+" }.into(),
        // Which words they are is seen when they are read.
        Primary::Words => "[a-zA-Z\\-, ]+?".into(),
        Primary::Sequence(_) => {
            integer.parse("")?;
            String::new()
        }
        Primary::Decimal { optional, .. } => {
            let suffix = if integer.is_ordinal { "(?:th|st|nd|rd)" } else { "" };
            match marker.digits.filter(|digits| *digits > 0) {
                Some(digits) => format!("[0-9]{{{},{digits}}}{suffix}", digits.saturating_sub(*optional)),
                None => format!("[0-9]+{suffix}"),
            }
        }
    })
}

fn separator(marker: &Marker) -> Option<char> {
    match marker.integer.as_ref().map(|integer| &integer.primary) {
        Some(Primary::Decimal { grouping: Grouping::Regular(_, separator), .. }) => Some(*separator),
        _ => None,
    }
}

/// The number that a text says in a marker's place; none where it says none.
fn value(marker: &Marker, text: &str) -> Result<Option<f64>, Error> {
    if "Zz".contains(marker.component) {
        let text = text.strip_prefix("GMT").unwrap_or(text);
        let number = |text: &str| text.parse::<i32>().ok().map(f64::from);
        let parts = match separator(marker).and_then(|separator| text.split_once(separator)) {
            Some((hours, minutes)) => (hours, minutes),
            None if text.len() > 3 => text.split_at(3),
            None => (text, "0"),
        };
        return Ok(number(parts.0).zip(number(parts.1)).map(|(hours, minutes)| hours * 60.0 + minutes));
    }
    if let Some(integer) = &marker.integer {
        let is_all = integer.primary != Primary::Words || words::words_length(text) == text.len();
        return if is_all { integer.parse(text) } else { Ok(None) };
    }
    let names: &[&str] = match marker.component {
        'M' | 'x' => &MONTHS,
        'F' => &DAYS,
        _ => &["am", "pm"],
    };
    let short = |name: &str| name.chars().take(marker.max_width.unwrap_or(usize::MAX)).collect::<String>();
    let is_it = |name: &str| match marker.component {
        'P' => name.eq_ignore_ascii_case(text),
        _ => short(name) == text,
    };
    #[allow(clippy::cast_precision_loss)]
    let number = |place: usize| (place + usize::from(marker.component != 'P')) as f64;
    Ok(names.iter().position(|name| is_it(name)).map(number))
}

/// Milliseconds since 1970; none where the text does not look like the picture.
pub(crate) fn parse(text: &str, picture: &str, now: f64) -> Result<Option<f64>, Error> {
    let parts = read(picture)?;
    let mut whole = String::from("^");
    let mut markers = Vec::new();
    for part in &parts {
        match part {
            Part::Literal(literal) => whole.push_str(&regex::escape(literal)),
            Part::Marker(marker) => {
                whole.extend(["(", &pattern(marker)?, ")"]);
                markers.push(marker);
            }
        }
    }
    whole.push('$');
    let regex = RegexBuilder::new(&whole).case_insensitive(true).size_limit(1 << 20).build();
    let regex = regex.map_err(|_| Error::new("U1002", "The date/time picture string is longer than it may be"))?;
    let Some(found) = regex.captures(text) else { return Ok(None) };
    let mut components = BTreeMap::new();
    for (marker, group) in markers.iter().zip(found.iter().skip(1)) {
        let text = group.map_or("", |group| group.as_str());
        if let Some(value) = value(marker, text)? {
            components.insert(marker.component, value);
        }
    }
    if markers.is_empty() { Ok(None) } else { total(components, now).map(Some) }
}

/// Which way of counting days and hours is meant, by the components that there are.
fn total(mut components: BTreeMap<char, f64>, now: f64) -> Result<f64, Error> {
    // A component that is nought counts as none here, as in the reference implementation.
    let mask = |order: &str, components: &BTreeMap<char, f64>| {
        let is_there = |component| components.get(&component).is_some_and(|value| *value != 0.0);
        order.chars().fold(0u32, |mask, component| (mask << 1) | u32::from(is_there(component)))
    };
    let is = |allowed: u32, mask: u32| mask & !allowed == 0 && mask & allowed != 0;
    let dates = mask("YXMxWwdD", &components);
    let by_day_of_year = !is(161, dates) && is(130, dates);
    let by_month_week = is(84, dates);
    let by_week = !by_month_week && is(72, dates);
    let times = mask("PHhmsf", &components);
    let by_half_day = !is(23, times) && is(47, times);
    let date = match (by_day_of_year, by_month_week, by_week) {
        (true, ..) => "YD",
        (_, true, _) => "XxwF",
        (_, _, true) => "XWF",
        _ => "YMD",
    };
    let time = if by_half_day { "Phmsf" } else { "Hmsf" };
    #[allow(clippy::cast_possible_truncation)]
    let today = Date::of(now as i64);
    let missing = || {
        let message = "The date/time picture string is missing specifiers required to parse the timestamp";
        Error::new("D3136", message)
    };
    let (mut has_begun, mut has_ended) = (false, false);
    for component in date.chars().chain(time.chars()) {
        if components.contains_key(&component) {
            has_begun = true;
            if has_ended {
                return Err(missing());
            }
            continue;
        }
        has_ended = has_begun;
        let usual =
            if has_begun { i64::from("MDd".contains(component)) } else { today.component(component).unwrap_or(0) };
        #[allow(clippy::cast_precision_loss)]
        components.insert(component, usual as f64);
    }
    if by_month_week || by_week {
        return Err(missing());
    }
    Ok(millis(&components, by_day_of_year, by_half_day))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // Pictures of a few digits; a cast saturates.
fn millis(components: &BTreeMap<char, f64>, by_day_of_year: bool, by_half_day: bool) -> f64 {
    let get = |component| components.get(&component).copied().unwrap_or(0.0);
    let whole = |component| get(component).clamp(-1e9, 1e9) as i64;
    let year = whole('Y').clamp(-300_000, 300_000);
    let days = if by_day_of_year {
        days_before(year, 0) + whole('d') - 1
    } else {
        let month = if whole('M') > 0 { whole('M') - 1 } else { 0 };
        days_before(year, month) + whole('D') - 1
    };
    let hours = match (by_half_day, whole('h')) {
        (false, _) => whole('H'),
        (true, 12) => whole('P') * 12,
        (true, hours) => hours + whole('P') * 12,
    };
    let zone = if get('Z') == 0.0 { whole('z') } else { whole('Z') };
    let minutes = hours * 60 + whole('m') - zone;
    (days as f64) * (DAY as f64) + ((minutes * 60 + whole('s')) * 1000 + whole('f')) as f64
}
