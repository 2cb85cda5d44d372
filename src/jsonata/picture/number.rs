//! `$formatNumber`: pictures of numbers with a fraction and an exponent.

use super::MAX_WIDTH;
use super::integer::gcd;
use crate::jsonata::error::Error;
use crate::jsonata::number::round;

/// The signs that a picture is written with; most can be exchanged.
pub(crate) struct Symbols {
    decimal: char,
    grouping: char,
    exponent: char,
    minus: String,
    percent: String,
    per_mille: String,
    zero: char,
    digit: char,
    pattern: char,
}

impl Default for Symbols {
    fn default() -> Self {
        Self {
            decimal: '.',
            grouping: ',',
            exponent: 'e',
            minus: "-".into(),
            percent: "%".into(),
            per_mille: "\u{2030}".into(),
            zero: '0',
            digit: '#',
            pattern: ';',
        }
    }
}

impl Symbols {
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let place = match name {
            "minus-sign" => return self.minus = value.chars().take(MAX_WIDTH).collect(),
            "percent" => return self.percent = value.into(),
            "per-mille" => return self.per_mille = value.into(),
            "decimal-separator" => &mut self.decimal,
            "grouping-separator" => &mut self.grouping,
            "exponent-separator" => &mut self.exponent,
            "zero-digit" => &mut self.zero,
            "digit" => &mut self.digit,
            "pattern-separator" => &mut self.pattern,
            _ => return,
        };
        *place = value.chars().next().unwrap_or(*place);
    }

    fn is_digit(&self, character: char) -> bool {
        u32::from(character).checked_sub(u32::from(self.zero)).is_some_and(|digit| digit < 10)
    }

    fn is_active(&self, character: char) -> bool {
        self.is_digit(character)
            || [self.decimal, self.exponent, self.grouping, self.digit, self.pattern].contains(&character)
    }

    /// Mandatory and optional digits.
    fn is_place(&self, character: char) -> bool {
        self.is_digit(character) || character == self.digit
    }
}

/// A sub-picture, taken apart.
struct Parts {
    prefix: String,
    suffix: String,
    active: Vec<char>,
    mantissa: Vec<char>,
    exponent: Option<Vec<char>>,
    integer: Vec<char>,
    fraction: Vec<char>,
    whole: String,
}

/// What a sub-picture asks for.
#[derive(Clone)]
struct Format {
    prefix: String,
    suffix: String,
    integer_groups: Vec<usize>,
    regular: usize,
    fraction_groups: Vec<usize>,
    min_integer: usize,
    scaling: usize,
    min_fraction: usize,
    max_fraction: usize,
    min_exponent: usize,
    is_percent: bool,
    is_per_mille: bool,
    has_point: bool,
}

pub(crate) fn format(value: f64, picture: &str, symbols: &Symbols) -> Result<String, Error> {
    let pictures: Vec<&str> = picture.split(symbols.pattern).collect();
    if pictures.len() > 2 {
        return Err(Error::new("D3080", "The picture string must only contain a maximum of two sub-pictures"));
    }
    let mut formats = Vec::new();
    for picture in pictures {
        let parts = Parts::of(picture, symbols);
        parts.check(symbols)?;
        formats.push(Format::of(&parts, symbols));
    }
    let mut formats = formats.into_iter();
    let positive = formats.next();
    let format = match (value >= 0.0, positive, formats.next()) {
        (true, positive, _) => positive,
        (false, _, Some(negative)) => Some(negative),
        (false, positive, None) => {
            positive.map(|format| Format { prefix: format!("{}{}", symbols.minus, format.prefix), ..format })
        }
    };
    Ok(format.map(|format| format.write(value, symbols)).unwrap_or_default())
}

impl Parts {
    fn of(picture: &str, symbols: &Symbols) -> Self {
        let characters: Vec<char> = picture.chars().collect();
        let is_active = |character: &char| symbols.is_active(*character) && *character != symbols.exponent;
        let start = characters.iter().position(is_active).unwrap_or(characters.len());
        let end = characters.iter().rposition(is_active).map_or(start, |last| last + 1);
        let active = characters[start..end].to_vec();
        // The reference implementation looks behind the prefix and counts from there, not from where it looked.
        let exponent_at = active.iter().position(|character| *character == symbols.exponent);
        let (mantissa, exponent) = match exponent_at {
            Some(at) => (active[..at].to_vec(), Some(active[at + 1..].to_vec())),
            None => (active.clone(), None),
        };
        let suffix: Vec<char> = characters[end..].to_vec();
        let (integer, fraction) = match mantissa.iter().position(|character| *character == symbols.decimal) {
            Some(at) => (mantissa[..at].to_vec(), mantissa[at + 1..].to_vec()),
            None => (mantissa.clone(), suffix.clone()),
        };
        Self {
            prefix: characters[..start].iter().collect(),
            suffix: suffix.into_iter().collect(),
            active,
            mantissa,
            exponent,
            integer,
            fraction,
            whole: picture.to_owned(),
        }
    }

    /// The rules of a picture; the last one that is broken is told.
    fn check(&self, symbols: &Symbols) -> Result<(), Error> {
        let times = |sign: &str| if sign.is_empty() { 0 } else { self.whole.matches(sign).take(2).count() };
        let (percents, per_milles) = (times(&symbols.percent), times(&symbols.per_mille));
        let point = self.whole.find(symbols.decimal);
        let digits_before = |part: &[char], at: usize| part[..at].iter().any(|character| symbols.is_digit(*character));
        let digits_after = |part: &[char], at: usize| part[at..].iter().any(|character| symbols.is_digit(*character));
        let optional = |character: &char| *character == symbols.digit;
        let beside_point = point.is_some_and(|at| {
            let after = self.whole[at + symbols.decimal.len_utf8()..].chars().next();
            self.whole[..at].ends_with(symbols.grouping) || after == Some(symbols.grouping)
        });
        let doubled = [symbols.grouping; 2].iter().collect::<String>();
        let broken = [
            (
                self.whole.matches(symbols.decimal).take(2).count() > 1,
                "D3081",
                "The sub-picture must not contain more than one instance of the 'decimal-separator' character",
            ),
            (
                percents > 1,
                "D3082",
                "The sub-picture must not contain more than one instance of the 'percent' character",
            ),
            (
                per_milles > 1,
                "D3083",
                "The sub-picture must not contain more than one instance of the 'per-mille' character",
            ),
            (
                percents > 0 && per_milles > 0,
                "D3084",
                "The sub-picture must not contain both a 'percent' and a 'per-mille' character",
            ),
            (
                !self.mantissa.iter().any(|character| symbols.is_place(*character)),
                "D3085",
                "The mantissa part of a sub-picture must contain at least one character that is either an 'optional digit character' or a member of the 'decimal digit family'",
            ),
            (
                self.active.iter().any(|character| !symbols.is_active(*character)),
                "D3086",
                "The sub-picture must not contain a passive character that is preceded by an active character and that is followed by another active character",
            ),
            (
                beside_point,
                "D3087",
                "The sub-picture must not contain a 'grouping-separator' character that appears adjacent to a 'decimal-separator' character",
            ),
            (
                point.is_none() && self.integer.last() == Some(&symbols.grouping),
                "D3088",
                "The sub-picture must not contain a 'grouping-separator' at the end of the integer part",
            ),
            (
                self.whole.contains(&doubled),
                "D3089",
                "The sub-picture must not contain two adjacent instances of the 'grouping-separator' character",
            ),
            (
                self.integer.iter().position(optional).is_some_and(|at| digits_before(&self.integer, at)),
                "D3090",
                "The integer part of the sub-picture must not contain a member of the 'decimal digit family' that is followed by an instance of the 'optional digit character'",
            ),
            (
                self.fraction.iter().rposition(optional).is_some_and(|at| digits_after(&self.fraction, at)),
                "D3091",
                "The fractional part of the sub-picture must not contain an instance of the 'optional digit character' that is followed by a member of the 'decimal digit family'",
            ),
            (
                self.exponent.as_ref().is_some_and(|exponent| !exponent.is_empty()) && percents + per_milles > 0,
                "D3092",
                "A sub-picture that contains a 'percent' or 'per-mille' character must not contain a character treated as an 'exponent-separator'",
            ),
            (
                self.exponent.as_ref().is_some_and(|exponent| {
                    exponent.is_empty() || exponent.iter().any(|character| !symbols.is_digit(*character))
                }),
                "D3093",
                "The exponent part of the sub-picture must comprise only of one or more characters that are members of the 'decimal digit family'",
            ),
        ];
        match broken.into_iter().rev().find(|(is_broken, ..)| *is_broken) {
            Some((_, code, message)) => Err(Error::new(code, message)),
            None => Ok(()),
        }
    }
}

impl Format {
    fn of(parts: &Parts, symbols: &Symbols) -> Self {
        let places = |part: &[char]| part.iter().filter(|character| symbols.is_place(**character)).count();
        let digits = |part: &[char]| part.iter().filter(|character| symbols.is_digit(**character)).count();
        let separators = |part: &[char]| -> Vec<usize> {
            let at = part.iter().enumerate().filter(|(_, character)| **character == symbols.grouping);
            at.map(|(at, _)| at).take(MAX_WIDTH).collect()
        };
        let integer_groups: Vec<usize> =
            separators(&parts.integer).into_iter().map(|at| places(&parts.integer[at..])).collect();
        let fraction_groups = separators(&parts.fraction).into_iter().map(|at| places(&parts.fraction[..at])).collect();
        let factor = integer_groups.iter().copied().fold(0, gcd);
        let is_regular = (1..=integer_groups.len()).all(|times| integer_groups.contains(&(times * factor)));
        let mut min_integer = digits(&parts.integer).min(MAX_WIDTH);
        let scaling = min_integer;
        let mut min_fraction = digits(&parts.fraction).min(MAX_WIDTH);
        let mut max_fraction = places(&parts.fraction).min(MAX_WIDTH);
        if min_integer == 0 && max_fraction == 0 {
            if parts.exponent.is_some() {
                (min_fraction, max_fraction) = (1, 1);
            } else {
                min_integer = 1;
            }
        }
        if parts.exponent.is_some() && min_integer == 0 && parts.integer.contains(&symbols.digit) {
            min_integer = 1;
        }
        if min_integer == 0 && min_fraction == 0 {
            min_fraction = 1;
        }
        Self {
            prefix: parts.prefix.clone(),
            suffix: parts.suffix.clone(),
            regular: if is_regular { factor } else { 0 },
            integer_groups,
            fraction_groups,
            min_integer,
            scaling,
            min_fraction,
            max_fraction,
            min_exponent: parts.exponent.as_ref().map_or(0, |exponent| digits(exponent)).min(MAX_WIDTH),
            is_percent: !symbols.percent.is_empty() && parts.whole.contains(&symbols.percent),
            is_per_mille: !symbols.per_mille.is_empty() && parts.whole.contains(&symbols.per_mille),
            has_point: parts.whole.contains(symbols.decimal),
        }
    }

    fn write(&self, value: f64, symbols: &Symbols) -> String {
        let adjusted = match (self.is_percent, self.is_per_mille) {
            (true, _) => value * 100.0,
            (false, true) => value * 1000.0,
            _ => value,
        };
        let (mantissa, exponent) = self.scaled(adjusted);
        let places = i32::try_from(self.max_fraction).unwrap_or(0);
        let rounded = round(mantissa, places).abs();
        let printed = format!("{rounded:.*}", self.max_fraction);
        let (integer, fraction) = printed.split_once('.').unwrap_or((&printed, ""));
        let (integer, fraction) = (integer.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let integer = format!("{integer:0>width$}", width = self.min_integer);
        let fraction = format!("{fraction:0<width$}", width = self.min_fraction);
        let mut text = self.prefix.clone();
        text.push_str(&self.grouped(&integer, symbols));
        if self.has_point && !fraction.is_empty() {
            text.push(symbols.decimal);
            for (place, digit) in fraction.chars().enumerate() {
                if place > 0 && self.fraction_groups.contains(&place) {
                    text.push(symbols.grouping);
                }
                text.push(in_family(digit, symbols));
            }
        }
        if let Some(exponent) = exponent {
            text.push(symbols.exponent);
            if exponent < 0 {
                text.push_str(&symbols.minus);
            }
            let digits = format!("{:0>width$}", exponent.unsigned_abs(), width = self.min_exponent);
            text.extend(digits.chars().map(|digit| in_family(digit, symbols)));
        }
        text + &self.suffix
    }

    /// The mantissa in the range that the picture asks for, and the exponent that is left.
    fn scaled(&self, number: f64) -> (f64, Option<i32>) {
        if self.min_exponent == 0 {
            return (number, None);
        }
        let most = 10f64.powi(i32::try_from(self.scaling).unwrap_or(0));
        let least = most / 10.0;
        let (mut mantissa, mut exponent) = (number, 0);
        // The sign is no matter of the size: a negative number would never reach the least.
        while mantissa.abs() < least && mantissa != 0.0 {
            mantissa *= 10.0;
            exponent -= 1;
        }
        while mantissa.abs() > most && mantissa.is_finite() {
            mantissa /= 10.0;
            exponent += 1;
        }
        (mantissa, Some(exponent))
    }

    fn grouped(&self, integer: &str, symbols: &Symbols) -> String {
        let total = integer.len();
        let mut text = String::new();
        for (place, digit) in integer.chars().enumerate() {
            let left = total - place;
            let is_group =
                if self.regular > 0 { left.is_multiple_of(self.regular) } else { self.integer_groups.contains(&left) };
            if place > 0 && is_group {
                text.push(symbols.grouping);
            }
            text.push(in_family(digit, symbols));
        }
        text
    }
}

fn in_family(digit: char, symbols: &Symbols) -> char {
    digit.to_digit(10).and_then(|digit| char::from_u32(u32::from(symbols.zero) + digit)).unwrap_or(digit)
}
