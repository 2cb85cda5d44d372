//! Pictures of integers: `#,##0`, `Ww`, `i`, `A`, `1;o`.

use super::MAX_WIDTH;
use super::words;
use crate::jsonata::error::Error;
use crate::jsonata::number::print;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
    Title,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Primary {
    Decimal { zero: char, optional: usize, grouping: Grouping },
    Letters,
    Roman,
    Words,
    Sequence(String),
}

/// What stands between digits, counted from the right.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Grouping {
    Regular(usize, char),
    Irregular(Vec<(usize, char)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    pub(super) primary: Primary,
    pub(super) case: Case,
    pub(super) is_ordinal: bool,
    pub(super) mandatory: usize,
}

/// The zeros of the families of digits.
const ZEROS: [u32; 37] = [
    0x30, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

impl Picture {
    pub(crate) fn read(picture: &str) -> Result<Self, Error> {
        let (format, modifier) = picture.rsplit_once(';').unwrap_or((picture, ""));
        let is_ordinal = modifier.starts_with('o');
        let (primary, case) = match format {
            "A" => (Primary::Letters, Case::Upper),
            "a" => (Primary::Letters, Case::Lower),
            "I" => (Primary::Roman, Case::Upper),
            "i" => (Primary::Roman, Case::Lower),
            "W" => (Primary::Words, Case::Upper),
            "Ww" => (Primary::Words, Case::Title),
            "w" => (Primary::Words, Case::Lower),
            _ => return Self::decimal(format, is_ordinal),
        };
        Ok(Self { primary, case, is_ordinal, mandatory: 0 })
    }

    fn decimal(format: &str, is_ordinal: bool) -> Result<Self, Error> {
        let (mut zero, mut mandatory, mut optional, mut place) = (None, 0, 0, 0);
        let mut separators = Vec::new();
        for character in format.chars().rev() {
            let code = u32::from(character);
            if let Some(family) = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)) {
                mandatory += 1;
                place += 1;
                if *zero.get_or_insert(*family) != *family {
                    let message = "In a decimal digit pattern, all digits must be from the same decimal group";
                    return Err(Error::new("D3131", message));
                }
            } else if character == '#' {
                optional += 1;
                place += 1;
            } else {
                separators.push((place, character));
            }
        }
        if separators.len() > MAX_WIDTH {
            return Err(Error::new("D3131", "The picture string has more separators than it may"));
        }
        let primary = match zero.and_then(char::from_u32) {
            Some(zero) => Primary::Decimal { zero, optional, grouping: Grouping::of(separators) },
            None => Primary::Sequence(format.to_owned()),
        };
        Ok(Self { primary, case: Case::Lower, is_ordinal, mandatory: mandatory.min(MAX_WIDTH) })
    }

    /// A whole number.
    pub(crate) fn format(&self, number: f64) -> Result<String, Error> {
        let value = number.abs();
        let text = match &self.primary {
            Primary::Letters => words::to_letters(value, if self.case == Case::Upper { 'A' } else { 'a' }),
            Primary::Roman => {
                let roman = words::to_roman(value)
                    .ok_or_else(|| Error::new("D3130", "A number above a million is not written in Roman numerals"))?;
                if self.case == Case::Upper { roman.to_uppercase() } else { roman }
            }
            Primary::Words => {
                let text = words::to_words(value, self.is_ordinal);
                match self.case {
                    Case::Upper => text.to_uppercase(),
                    Case::Lower => text.to_lowercase(),
                    Case::Title => text,
                }
            }
            Primary::Decimal { zero, grouping, .. } => self.digits(value, *zero, grouping),
            Primary::Sequence(token) => return Err(sequence(token)),
        };
        Ok(if number < 0.0 { format!("-{text}") } else { text })
    }

    fn digits(&self, value: f64, zero: char, grouping: &Grouping) -> String {
        let printed = print(value);
        let missing = self.mandatory.saturating_sub(printed.len());
        let digits: String = std::iter::repeat_n('0', missing).chain(printed.chars()).collect();
        let shifted = digits.chars().map(|digit| match digit.to_digit(10) {
            Some(digit) => char::from_u32(u32::from(zero) + digit).unwrap_or(zero),
            None => digit,
        });
        let mut characters: Vec<char> = shifted.collect();
        let total = characters.len();
        let places: Vec<(usize, char)> = match grouping {
            Grouping::Regular(every, character) => (1..total)
                .map(|times| times * every)
                .filter(|place| *place < total)
                .map(|place| (place, *character))
                .collect(),
            Grouping::Irregular(places) => places.clone(),
        };
        // From the right, so that the places to the left stay what they are.
        for (inserted, (place, character)) in places.into_iter().enumerate() {
            let at = characters.len().saturating_sub(place + inserted);
            characters.insert(at, character);
        }
        if self.is_ordinal {
            let last = characters.last().copied();
            let is_teen = characters.len() > 1 && characters[characters.len() - 2] == '1';
            let suffix = match last {
                Some('1') if !is_teen => "st",
                Some('2') if !is_teen => "nd",
                Some('3') if !is_teen => "rd",
                _ => "th",
            };
            characters.extend(suffix.chars());
        }
        characters.into_iter().collect()
    }

    /// The number that is written so; none where it is none.
    pub(crate) fn parse(&self, text: &str) -> Result<Option<f64>, Error> {
        let value = match &self.primary {
            Primary::Letters => words::from_letters(text, if self.case == Case::Upper { 'A' } else { 'a' }),
            Primary::Roman => words::from_roman(text),
            Primary::Words => words::from_words(text).unwrap_or(f64::NAN),
            Primary::Sequence(token) => return Err(sequence(token)),
            Primary::Decimal { zero, grouping, .. } => {
                let text = if self.is_ordinal { text.get(..text.len().saturating_sub(2)).unwrap_or("") } else { text };
                let is_separator = |character: char| match grouping {
                    Grouping::Regular(..) => character == ',',
                    Grouping::Irregular(places) => places.iter().any(|(_, separator)| *separator == character),
                };
                let mut value = f64::NAN;
                let mut characters = text.chars().filter(|character| !is_separator(*character)).peekable();
                let sign = if characters.next_if_eq(&'-').is_some() { -1.0 } else { 1.0 };
                for character in characters {
                    let digit = u32::from(character).checked_sub(u32::from(*zero)).filter(|digit| *digit < 10);
                    let Some(digit) = digit else { break };
                    value = if value.is_nan() { 0.0 } else { value } * 10.0 + f64::from(digit);
                }
                sign * value
            }
        };
        Ok(Some(value).filter(|value| !value.is_nan()))
    }
}

impl Grouping {
    fn of(separators: Vec<(usize, char)>) -> Self {
        if let Some((_, character)) = separators.first() {
            let is_same = separators.iter().all(|(_, other)| other == character);
            let factor = separators.iter().map(|(place, _)| *place).fold(0, gcd);
            let has = |place: usize| separators.iter().any(|(other, _)| *other == place);
            if is_same
                && factor > 0
                && separators.len() <= MAX_WIDTH
                && (1..=separators.len()).all(|times| has(times * factor))
            {
                return Self::Regular(factor, *character);
            }
        }
        Self::Irregular(separators)
    }
}

pub(super) fn gcd(left: usize, right: usize) -> usize {
    if right == 0 { left } else { gcd(right, left % right) }
}

fn sequence(token: &str) -> Error {
    let message = format!(
        "Formatting or parsing an integer as a sequence starting with {token:?} is not supported by this implementation"
    );
    Error::new("D3130", message)
}
