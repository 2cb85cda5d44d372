//! Lines that are drawn again in their place.

use super::super::KubectlError;
use super::super::show::draw;
use super::super::size::Size;

/// What was drawn last.
#[derive(Default)]
pub(super) struct Screen {
    drawn: Vec<String>,
    size: Option<Size>,
}

impl Screen {
    /// Draws what fits the terminal as it is now, where it differs from what stands there.
    pub fn draw(&mut self, frame: impl FnOnce(Size) -> Vec<String>) -> Result<(), KubectlError> {
        let size = Size::now();
        let lines = frame(size);
        let text = self.text(lines, size);
        if text.is_empty() { Ok(()) } else { draw(&text) }
    }

    fn text(&mut self, lines: Vec<String>, size: Size) -> String {
        if self.drawn == lines && self.size == Some(size) {
            return String::new();
        }
        // A terminal of another size has wrapped what stood there.
        let has_changed = self.size.replace(size).is_some_and(|before| before != size);
        let back = match self.drawn.len() {
            _ if has_changed => "\u{1b}[2J\u{1b}[H".to_owned(),
            0 => String::new(),
            rows => format!("\u{1b}[{rows}A\r"),
        };
        let text = lines.iter().fold(String::new(), |text, line| text + line + "\u{1b}[K\n");
        self.drawn = lines;
        format!("{back}{text}\u{1b}[J")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_drawn_over_those_before() {
        let mut screen = Screen::default();
        let (wide, narrow) = (Size { columns: 80, rows: 24 }, Size { columns: 40, rows: 24 });
        assert_eq!(screen.text(vec!["a".into(), "b".into()], wide), "a\u{1b}[K\nb\u{1b}[K\n\u{1b}[J");
        assert_eq!(screen.text(vec!["a".into(), "b".into()], wide), "", "nothing is new");
        assert_eq!(screen.text(vec!["c".into()], wide), "\u{1b}[2A\rc\u{1b}[K\n\u{1b}[J");
        assert_eq!(screen.text(vec!["c".into()], narrow), "\u{1b}[2J\u{1b}[Hc\u{1b}[K\n\u{1b}[J");
    }
}
