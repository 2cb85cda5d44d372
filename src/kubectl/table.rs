//! Tables as kubectl prints them: columns as wide as their widest value, three spaces apart.

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
        self.rows.push(values.iter().map(|value| printable(value)).collect());
    }

    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|value| value.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded: String = row.iter().zip(widths).map(|(value, width)| format!("{value:<width$}   ")).collect();
    format!("{}\n", padded.trim_end())
}

/// The text without characters that a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}
