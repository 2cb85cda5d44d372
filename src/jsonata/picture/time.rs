//! Pictures of points in time: `[Y0001]-[M01]-[D01]`.

use super::MAX_WIDTH;
use super::calendar::Date;
use super::integer::{Case, Grouping, Picture, Primary};
use crate::jsonata::error::Error;

/// How a time is written where nothing else is asked for.
pub(crate) const ISO: &str = "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z01:01t]";

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(super) enum Part {
    Literal(String),
    Marker(Marker),
}

/// What stands in brackets.
pub(super) struct Marker {
    pub component: char,
    /// `t` behind the presentation: UTC is `Z`.
    pub is_traditional: bool,
    pub max_width: Option<usize>,
    /// Names instead of numbers.
    pub names: Option<Case>,
    pub integer: Option<Picture>,
    /// So many digits of a year, month or day.
    pub digits: Option<usize>,
}

/// Reads a picture.
pub(super) fn read(picture: &str) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut rest = picture;
    let literal = |text: &str, parts: &mut Vec<Part>| {
        if !text.is_empty() {
            parts.push(Part::Literal(text.replace("]]", "]")));
        }
    };
    while let Some(at) = rest.find('[') {
        literal(&rest[..at], &mut parts);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('[') {
            parts.push(Part::Literal("[".into()));
            rest = after;
            continue;
        }
        let Some(end) = rest.find(']') else {
            return Err(Error::new("D3135", "No matching closing bracket ']' in date/time picture string"));
        };
        let marker: String = rest[..end].split_whitespace().collect();
        parts.push(Part::Marker(Marker::read(&marker)?));
        rest = &rest[end + 1..];
    }
    literal(rest, &mut parts);
    Ok(parts)
}

impl Marker {
    fn read(text: &str) -> Result<Self, Error> {
        let component = text.chars().next().unwrap_or('?');
        let (text, width) = match text.rsplit_once(',') {
            Some((text, width)) => (text, Some(width)),
            None => (text, None),
        };
        let (min, max) = width.map_or((None, None), widths);
        let written = text.get(component.len_utf8()..).unwrap_or("");
        let unknown = || {
            let message = format!("Unknown component specifier {component:?} in date/time picture string");
            Error::new("D3132", message)
        };
        let (presentation, second) = match written.chars().count() {
            0 => (usual(component).ok_or_else(unknown)?, None),
            1 => (written, None),
            _ => match written.strip_suffix(['a', 't', 'c', 'o']) {
                Some(first) => (first, written.chars().last()),
                None => (written, None),
            },
        };
        let mut marker = Self {
            component,
            is_traditional: second == Some('t'),
            max_width: max,
            names: None,
            integer: None,
            digits: None,
        };
        let mut first = presentation.chars();
        match (first.next(), first.next()) {
            (Some('n'), _) => marker.names = Some(Case::Lower),
            (Some('N'), Some('n')) => marker.names = Some(Case::Title),
            (Some('N'), _) => marker.names = Some(Case::Upper),
            _ if "YMDdFWwXxHhmsf".contains(component) => {
                let pattern = second.map_or(presentation.to_owned(), |second| format!("{presentation};{second}"));
                let mut integer = Picture::read(&pattern)?;
                integer.mandatory = integer.mandatory.max(min.unwrap_or(0));
                if "YMD".contains(component) {
                    let optional = if let Primary::Decimal { optional, .. } = integer.primary { optional } else { 0 };
                    marker.digits = max.or(Some(integer.mandatory + optional).filter(|digits| *digits >= 2));
                    integer.mandatory = max.unwrap_or(integer.mandatory);
                }
                marker.integer = Some(integer);
            }
            _ if "Zz".contains(component) => marker.integer = Some(Picture::read(presentation)?),
            _ => {}
        }
        Ok(marker)
    }

    fn write(&self, date: Date, (hours, minutes): (i64, i64)) -> Result<String, Error> {
        let component = self.component;
        match component {
            'Z' | 'z' => return self.zone(hours, minutes),
            'P' => {
                let text = if date.component('P') == Some(1) { "pm" } else { "am" };
                return Ok(if self.names == Some(Case::Upper) { text.to_uppercase() } else { text.into() });
            }
            'C' | 'E' => return Ok("ISO".into()),
            _ => {}
        }
        // An unknown component is nothing that is written.
        let Some(mut value) = date.component(component) else { return Ok("undefined".into()) };
        if let (Some(case), true) = (self.names, component != 'f') {
            return self.name(value, case);
        }
        if let ('Y', Some(digits)) = (component, self.digits) {
            let power = u32::try_from(digits).ok().and_then(|digits| 10i64.checked_pow(digits));
            value = power.map_or(value, |power| value % power);
        }
        #[allow(clippy::cast_precision_loss)]
        self.integer.as_ref().map_or(Ok(String::new()), |integer| integer.format(value as f64))
    }

    fn name(&self, value: i64, case: Case) -> Result<String, Error> {
        let names: &[&str] = match self.component {
            'M' | 'x' => &MONTHS,
            'F' => &DAYS,
            _ => return Err(no_name(self.component)),
        };
        let name = usize::try_from(value - 1).ok().and_then(|place| names.get(place)).unwrap_or(&"");
        let name = match case {
            Case::Upper => name.to_uppercase(),
            Case::Lower => name.to_lowercase(),
            Case::Title => (*name).to_owned(),
        };
        Ok(name.chars().take(self.max_width.unwrap_or(MAX_WIDTH)).collect())
    }

    fn zone(&self, hours: i64, minutes: i64) -> Result<String, Error> {
        let offset = hours * 100 + minutes;
        if offset == 0 && self.is_traditional {
            return Ok("Z".into());
        }
        let Some(integer) = &self.integer else { return Ok(String::new()) };
        #[allow(clippy::cast_precision_loss)]
        let format = |value: i64| integer.format(value as f64);
        let is_regular = matches!(&integer.primary, Primary::Decimal { grouping: Grouping::Regular(..), .. });
        let text = match integer.mandatory {
            _ if is_regular => format(offset)?,
            1 | 2 if minutes == 0 => format(hours)?,
            1 | 2 => format!("{}:{minutes:02}", format(hours)?),
            3 | 4 => format(offset)?,
            _ => {
                let message = "The timezone integer format specifier cannot have more than four digits";
                return Err(Error::new("D3134", message));
            }
        };
        let sign = if offset >= 0 { "+" } else { "" };
        let zone = if self.component == 'z' { "GMT" } else { "" };
        Ok(format!("{zone}{sign}{text}"))
    }
}

pub(super) fn no_name(component: char) -> Error {
    let message = format!(
        "The 'name' modifier can only be applied to months and days in the date/time picture string, not {component:?}"
    );
    Error::new("D3133", message)
}

/// The presentation of a component that names none.
fn usual(component: char) -> Option<&'static str> {
    Some(match component {
        'Y' | 'M' | 'D' | 'd' | 'W' | 'w' | 'X' | 'x' | 'H' | 'h' | 'f' => "1",
        'F' | 'P' | 'C' | 'E' => "n",
        'm' | 's' => "01",
        'Z' | 'z' => "01:01",
        _ => return None,
    })
}

/// `3`, `3-5`, `*-5`
fn widths(text: &str) -> (Option<usize>, Option<usize>) {
    let width = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        // A width that does not fit is longer than anything too.
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH))
    };
    match text.split_once('-') {
        Some((min, max)) => (width(min), width(max)),
        None => (width(text), None),
    }
}

/// The offset that a text begins with, in hours and minutes: `+0530`.
fn offset(zone: &str) -> Option<(i64, i64)> {
    let (sign, rest) = match zone.as_bytes().first()? {
        b'-' => (-1, &zone[1..]),
        b'+' => (1, &zone[1..]),
        _ => (1, zone),
    };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).take(9).collect();
    let offset = sign * digits.parse::<i64>().ok()?;
    Some((offset.div_euclid(100), offset % 100))
}

/// The furthest point in time that there is, from 1970.
const FURTHEST: f64 = 8.64e15;

pub(crate) fn format(millis: f64, picture: &str, zone: Option<&str>) -> Result<String, Error> {
    let out_of_range = || Error::new("D3110", "The number of milliseconds is no point in time");
    if millis.is_nan() || millis.abs() > FURTHEST {
        return Err(out_of_range());
    }
    let (hours, minutes) = match zone {
        None => (0, 0),
        Some(zone) => offset(zone).ok_or_else(|| {
            Error::new("D3110", format!("The timezone {zone:?} is none; an offset such as \"+0100\" is expected"))
        })?,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // It is in range.
    let date = Date::of((millis + ((60 * hours + minutes) * 60_000) as f64).trunc() as i64);
    let mut text = String::new();
    for part in read(picture)? {
        match part {
            Part::Literal(literal) => text.push_str(&literal),
            Part::Marker(marker) => text.push_str(&marker.write(date, (hours, minutes))?),
        }
    }
    Ok(text)
}
