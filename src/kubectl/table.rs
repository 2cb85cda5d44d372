//! Tables as kubectl prints them: columns as wide as their widest value, three spaces apart.

pub(super) use crate::printable::{printable, printable_lines};

/// A table.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|&column| column.to_owned()).collect()] }
    }

    /// Control characters of values are not printed: a terminal would obey them.
    pub fn row(&mut self, values: Vec<String>) {
        self.rows.push(values.into_iter().map(|value| printable(&value)).collect());
    }

    pub fn text(&self) -> String {
        let widths = self.widths();
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }

    /// Without the columns that can be done without, the first of them first, until its lines are no longer than this. Lines
    /// that a terminal breaks are a table no more.
    pub fn fit(mut self, columns: usize, without: &[&str]) -> Self {
        for name in without {
            let widths = self.widths();
            if self.rows.iter().all(|row| width(line(row, &widths).trim_end()) <= columns) {
                break;
            }
            if let Some(at) = self.rows[0].iter().position(|column| column == name) {
                for row in &mut self.rows {
                    row.remove(at);
                }
            }
        }
        self
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|value| width(value)).max().unwrap_or(0)
        };
        (0..columns).map(widest).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded: String = row.iter().zip(widths).map(|(value, width)| pad(value, *width + 3)).collect();
    format!("{}\n", padded.trim_end())
}

/// The text with spaces behind it up to a width.
pub(super) fn pad(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// Columns that a terminal takes for the text. Colours take none, and scripts such as Chinese two for each character.
pub(super) fn width(text: &str) -> usize {
    let mut inside = false;
    let mut columns = 0;
    for character in text.chars() {
        match character {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            _ if inside => {}
            _ => columns += columns_of(character),
        }
    }
    columns
}

fn columns_of(character: char) -> usize {
    let is_wide = matches!(character as u32,
        0x1100..=0x115F | 0x2E80..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F | 0x1F900..=0x1F9FF | 0x20000..=0x3FFFD);
    if is_wide { 2 } else { 1 }
}

/// As much of the text as fits, with an ellipsis where something is missing. Colours are kept, and ended.
pub(super) fn clip(text: &str, to: usize) -> String {
    if width(text) <= to {
        return text.to_owned();
    }
    let (mut clipped, mut inside, mut columns, mut has_colour) = (String::new(), false, 0, false);
    for character in text.chars() {
        if character == '\u{1b}' {
            (inside, has_colour) = (true, true);
        }
        if inside {
            inside = character != 'm';
        } else {
            columns += columns_of(character);
            if columns >= to {
                break;
            }
        }
        clipped.push(character);
    }
    let end = if has_colour { "\u{1b}[0m" } else { "" };
    let dots = if to == 0 { "" } else { "…" };
    format!("{clipped}{dots}{end}")
}

/// The text in lines of at most so many columns, broken between words; all but the first begin with so many spaces. A word that
/// is longer than a line is broken where the line ends.
pub(super) fn wrap(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let indent = if indent * 2 > columns { 0 } else { indent };
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut is_empty = true;
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let space = usize::from(!is_empty);
            let room = columns.max(1).saturating_sub(width(&line) + space);
            if width(word) <= room {
                line.push_str(if is_empty { "" } else { " " });
                line.push_str(word);
                is_empty = false;
                break;
            }
            if is_empty {
                let at = cut(word, room.max(1));
                line.push_str(&word[..at]);
                word = &word[at..];
            }
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            is_empty = true;
        }
    }
    lines.push(line);
    lines
}

/// Where a word is broken that is longer than the room for it; a character is taken at least.
fn cut(word: &str, room: usize) -> usize {
    let mut columns = 0;
    let fits = |(_, character): &(usize, char)| {
        columns += columns_of(*character);
        columns <= room
    };
    let first = word.chars().next().map_or(0, char::len_utf8);
    word.char_indices().take_while(fits).last().map_or(first, |(at, character)| at + character.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_whatever_is_in_them_and_nothing_is_obeyed() {
        let mut table = Table::new(&["NAME", "PHASE"]);
        table.row(vec!["注文".into(), "a".into()]);
        table.row(vec!["e\u{1b}[31m\u{202e}vil".into(), "b".into()]);
        assert_eq!(table.text(), "NAME         PHASE\n注文         a\ne\u{fffd}[31m\u{fffd}vil   b\n");
        assert_eq!(width("\u{1b}[32mok\u{1b}[0m"), 2);
        for (text, to, clipped) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("注文", 3, "注…"),
            ("\u{1b}[32mmmmm\u{1b}[0m", 3, "\u{1b}[32mmm…\u{1b}[0m"),
            ("abc", 0, ""),
        ] {
            assert_eq!(clip(text, to), clipped, "{text} {to}");
        }
        assert_eq!(printable_lines("a\nb\r\u{7}"), "a\nb\u{fffd}\u{fffd}");
    }

    #[test]
    fn text_is_broken_between_words_and_long_words_where_the_line_ends() {
        for (text, columns, indent, lines) in [
            ("a bc def", 80, 2, &["a bc def"][..]),
            ("a bc def", 4, 2, &["a bc", "  de", "  f"]),
            ("Queued: it is third", 10, 2, &["Queued: it", "  is third"]),
            ("注文注文", 5, 0, &["注文", "注文"]),
            ("abcdef", 3, 2, &["abc", "def"]),
            ("", 3, 2, &[""]),
            ("ab", 0, 2, &["a", "b"]),
        ] {
            assert_eq!(wrap(text, columns, indent), lines, "{text} {columns}");
        }
    }

    #[test]
    fn a_table_goes_without_what_it_can_do_without_where_it_would_be_broken() {
        let fitted = |columns: usize| {
            let mut table = Table::new(&["NAME", "WHO", "PHASE", "AGE"]);
            table.row(vec!["order".into(), "alice".into(), "Failed".into(), "3h".into()]);
            table.fit(columns, &["WHO", "AGE", "NONE"]).text()
        };
        assert_eq!(fitted(28), "NAME    WHO     PHASE    AGE\norder   alice   Failed   3h\n");
        assert_eq!(fitted(27), "NAME    PHASE    AGE\norder   Failed   3h\n");
        assert_eq!(fitted(19), "NAME    PHASE\norder   Failed\n");
        assert_eq!(fitted(5), fitted(19), "names are not cut: they are typed again");
    }
}
