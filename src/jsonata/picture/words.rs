//! Numbers in words, Roman numerals and letters.

const FEW: [&str; 20] = [
    "Zero",
    "One",
    "Two",
    "Three",
    "Four",
    "Five",
    "Six",
    "Seven",
    "Eight",
    "Nine",
    "Ten",
    "Eleven",
    "Twelve",
    "Thirteen",
    "Fourteen",
    "Fifteen",
    "Sixteen",
    "Seventeen",
    "Eighteen",
    "Nineteen",
];
const ORDINALS: [&str; 20] = [
    "Zeroth",
    "First",
    "Second",
    "Third",
    "Fourth",
    "Fifth",
    "Sixth",
    "Seventh",
    "Eighth",
    "Ninth",
    "Tenth",
    "Eleventh",
    "Twelfth",
    "Thirteenth",
    "Fourteenth",
    "Fifteenth",
    "Sixteenth",
    "Seventeenth",
    "Eighteenth",
    "Nineteenth",
];
const DECADES: [&str; 8] = ["Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety"];
const MAGNITUDES: [&str; 4] = ["Thousand", "Million", "Billion", "Trillion"];
const ROMAN: [(f64, &str); 13] = [
    (1000.0, "m"),
    (900.0, "cm"),
    (500.0, "d"),
    (400.0, "cd"),
    (100.0, "c"),
    (90.0, "xc"),
    (50.0, "l"),
    (40.0, "xl"),
    (10.0, "x"),
    (9.0, "ix"),
    (5.0, "v"),
    (4.0, "iv"),
    (1.0, "i"),
];

/// An index into one of the lists above.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small and not negative.
fn index(number: f64) -> usize {
    number as usize
}

/// `Twenty-One`, `One Hundred and First`
pub(super) fn to_words(number: f64, is_ordinal: bool) -> String {
    words(number, false, is_ordinal)
}

fn words(number: f64, follows: bool, is_ordinal: bool) -> String {
    let and = |text: &str| format!("{}{text}", if follows { " and " } else { "" });
    let comma = if follows { ", " } else { "" };
    let rest = |rest: f64, text: String| match (rest > 0.0, is_ordinal) {
        (true, _) => text + &words(rest, true, is_ordinal),
        (false, true) => text + "th",
        (false, false) => text,
    };
    if number <= 19.0 {
        return and(if is_ordinal { ORDINALS[index(number)] } else { FEW[index(number)] });
    }
    if number < 100.0 {
        let (tens, ones) = ((number / 10.0).floor(), number % 10.0);
        let text = and(DECADES[index(tens) - 2]);
        return match (ones > 0.0, is_ordinal) {
            (true, _) => format!("{text}-{}", words(ones, false, is_ordinal)),
            (false, true) => format!("{}ieth", &text[..text.len() - 1]),
            (false, false) => text,
        };
    }
    if number < 1000.0 {
        let text = format!("{comma}{} Hundred", FEW[index((number / 100.0).floor())]);
        return rest(number % 100.0, text);
    }
    let magnitude = index((number.log10() / 3.0).floor()).clamp(1, MAGNITUDES.len());
    let factor = 1000f64.powi(i32::try_from(magnitude).unwrap_or(1));
    let mantissa = (number / factor).floor();
    let remainder = number - mantissa * factor;
    let text = format!("{comma}{} {}", words(mantissa, false, false), MAGNITUDES[magnitude - 1]);
    rest(remainder, text)
}

/// The value of a word; none for one that is no number.
fn value(word: &str) -> Option<f64> {
    let place = |list: &[&str], word: &str| list.iter().position(|known| known.eq_ignore_ascii_case(word));
    #[allow(clippy::cast_precision_loss)]
    let number = |place: usize| place as f64;
    if let Some(place) = place(&FEW, word).or_else(|| place(&ORDINALS, word)) {
        return Some(number(place));
    }
    let tens = word.strip_suffix("ieth").map(|start| format!("{start}y"));
    if let Some(place) = place(&DECADES, tens.as_deref().unwrap_or(word)) {
        return Some(number(place + 2) * 10.0);
    }
    let plain = word.strip_suffix("th").unwrap_or(word);
    if plain.eq_ignore_ascii_case("hundred") {
        return Some(100.0);
    }
    place(&MAGNITUDES, plain).map(|place| 1000f64.powi(i32::try_from(place + 1).unwrap_or(1)))
}

/// The number that these words say; none where there is another word among them.
pub(super) fn from_words(text: &str) -> Option<f64> {
    let lower = text.to_lowercase();
    let parts = lower.split([',', ' ', '-', '\n', '\t']).filter(|part| !part.is_empty() && *part != "and");
    let mut segments = vec![0.0];
    for part in parts {
        let value = value(part)?;
        let last = segments.pop().unwrap_or(0.0);
        if value >= 100.0 {
            segments.push(last * value);
        } else if last >= 1000.0 {
            segments.extend([last, value]);
        } else {
            segments.push(last + value);
        }
    }
    Some(segments.into_iter().sum())
}

/// How much of the text is words of numbers.
pub(super) fn words_length(text: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let step = match rest.chars().next() {
            Some('-' | ',' | ' ') => 1,
            // The longest beginning that is a word: what follows may be a literal.
            Some(_) => (1..=letters)
                .rev()
                .find(|end| value(&rest[..*end]).is_some() || rest[..*end].eq_ignore_ascii_case("and"))
                .unwrap_or(0),
            None => 0,
        };
        if step == 0 {
            return length;
        }
        length += step;
    }
}

/// Nothing for a number that has no numeral of a sensible length.
pub(super) fn to_roman(number: f64) -> Option<String> {
    if number > 1_000_000.0 {
        return None;
    }
    let (mut rest, mut text) = (number, String::new());
    for (value, numeral) in ROMAN {
        while rest >= value {
            text.push_str(numeral);
            rest -= value;
        }
    }
    Some(text)
}

pub(super) fn from_roman(text: &str) -> f64 {
    let (mut sum, mut most) = (0.0, 1.0);
    for numeral in text.chars().rev() {
        let value = match numeral.to_ascii_uppercase() {
            'M' => 1000.0,
            'D' => 500.0,
            'C' => 100.0,
            'L' => 50.0,
            'X' => 10.0,
            'V' => 5.0,
            'I' => 1.0,
            _ => return f64::NAN,
        };
        if value < most {
            sum -= value;
        } else {
            most = value;
            sum += value;
        }
    }
    sum
}

/// `a`, `z`, `aa`
pub(super) fn to_letters(number: f64, first: char) -> String {
    let (mut rest, mut letters) = (number, Vec::new());
    while rest >= 1.0 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Below 26.
        let letter = ((rest - 1.0) % 26.0) as u32;
        letters.extend(char::from_u32(u32::from(first) + letter));
        rest = ((rest - 1.0) / 26.0).floor();
    }
    letters.iter().rev().collect()
}

pub(super) fn from_letters(text: &str, first: char) -> f64 {
    text.chars().fold(0.0, |sum, letter| sum * 26.0 + f64::from(u32::from(letter)) - f64::from(u32::from(first)) + 1.0)
}
