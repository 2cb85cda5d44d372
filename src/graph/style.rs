//! How wide texts are, and what a state looks like.

use super::flow::{Shape, Vertex};
use super::history::Outcome;

/// Width of a text in a font of this size, a little generous: no font is at hand to measure with.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// Share of the font's size that a character takes in a common sans-serif face.
fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '(' | ')' | '[' | ']' | ' ' => 0.34,
        'f' | 't' | 'r' | '-' | '/' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
        '$' | '_' | '=' | '<' | '>' | '≤' | '≥' | '×' | '+' => 0.62,
        _ if character.is_ascii_uppercase() => 0.72,
        _ if character.is_ascii() => 0.59,
        // Pictures are wider than the square, and scripts such as Chinese fill it.
        _ if is_picture(character) => 1.4,
        _ if is_wide(character) => 1.05,
        _ => 0.66,
    }
}

/// True of a character that takes two columns of a terminal.
pub(super) fn is_wide(character: char) -> bool {
    character as u32 >= 0x2E80 || matches!(character, '\u{1100}'..='\u{115f}') || is_picture(character)
}

/// Pictures in colour: those beyond the first plane, and those of the first that are shown as such (Unicode, `emoji-data.txt`,
/// `Emoji_Presentation`).
fn is_picture(character: char) -> bool {
    matches!(character, '\u{1f000}'..='\u{1faff}' | '⌚'..='⌛' | '⏩'..='⏬' | '⏰' | '⏳' | '◽'..='◾' | '☔'..='☕' | '♈'..='♓' | '♿'
        | '⚓' | '⚡' | '⚪'..='⚫' | '⚽'..='⚾' | '⛄'..='⛅' | '⛎' | '⛔' | '⛪' | '⛲'..='⛳' | '⛵' | '⛺' | '⛽' | '✅' | '✊'..='✋' | '✨'
        | '❌' | '❎' | '❓'..='❕' | '❗' | '➕'..='➗' | '➰' | '➿' | '⬛'..='⬜' | '⭐' | '⭕')
}

/// The word that says what a state is.
pub(super) fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Task => "Task",
        Shape::Pass => "Pass",
        Shape::Choice => "Choice",
        Shape::Wait => "Wait",
        Shape::Succeed => "Succeed",
        Shape::Fail => "Fail",
        Shape::Parallel => "Parallel",
        Shape::Map => "Map",
        Shape::Missing => "?",
    }
}

/// The second line of a state: what it is and what it does.
pub(super) fn subtitle(vertex: &Vertex) -> String {
    let kind = kind(vertex.shape);
    if vertex.detail.is_empty() { kind.to_owned() } else { format!("{kind} · {}", vertex.detail) }
}

/// The sign that says what became of a state.
pub(super) fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "✔",
        Outcome::Caught => "↷",
        Outcome::Running => "…",
        Outcome::Aborted => "■",
        Outcome::Failed => "✘",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Widths of `Noto Color Emoji` and of a face of Chinese, in shares of the font's size, are 1.25 and 1.
    #[test]
    fn no_character_is_wider_than_it_is_taken_for() {
        for (text, least) in [("😀", 1.25), ("✅", 1.25), ("⚡", 1.25), ("注", 1.0), ("한", 1.0), ("é", 0.6)] {
            assert!(width(&text.repeat(80), 10.0) >= 800.0 * least, "{text}");
        }
        assert!(is_wide('✅') && is_wide('注') && is_wide('😀') && !is_wide('✔') && !is_wide('↷') && !is_wide('é'));
    }
}
