//! A drawing in characters: the same layout in columns and rows, its edges at right angles.

use super::Drawing;
use super::flow::{Edge, EdgeKind, Flow, Shape, Vertex};
use super::history::{History, Outcome};
use super::layered::Point;
use super::outline::outline;
use super::picture::{Level, Measure, Padding, Placed, Way, picture};
use super::ranked::{Gaps, Size};
use super::style::{is_wide, sign, subtitle};
use crate::printable::{is_obeyed, printable};

struct Characters;

fn columns(text: &str) -> f64 {
    // Names of a hundred thousand characters are refused long before.
    text.chars().map(|character| if is_wide(character) { 2.0 } else { 1.0 }).sum()
}

impl Measure for Characters {
    fn gaps(&self) -> Gaps {
        Gaps { beside: 4.0, edge: 2.0, layer: 2.0 }
    }

    fn state(&self, vertex: &Vertex) -> Size {
        let widest = columns(&vertex.name).max(columns(&subtitle(vertex))).max(columns(&retry(vertex)));
        let rows = if vertex.retry.is_empty() { 4.0 } else { 5.0 };
        Size { width: widest + 4.0, height: rows }
    }

    fn label(&self, edge: &Edge) -> Option<Size> {
        (!edge.label.is_empty()).then(|| Size { width: columns(&edge.label) + 2.0, height: 1.0 })
    }

    fn retry(&self, _: &Vertex) -> f64 {
        0.0
    }

    fn padding(&self) -> Padding {
        Padding { side: 3.0, above: 0.0, below: 2.0, between: 4.0 }
    }

    fn terminal(&self) -> Option<Size> {
        Some(Size { width: 3.0, height: 1.0 })
    }

    fn snap(&self, length: f64) -> f64 {
        length.round()
    }
}

fn retry(vertex: &Vertex) -> String {
    if vertex.retry.is_empty() { String::new() } else { format!("↻ {}", vertex.retry.join(", ")) }
}

/// Which of the four sides a line leaves a character on.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Nothing,
    /// Lines, and whether one of them is of a caught error.
    Lines(u8, bool),
    Text(char),
    /// The second column of a wide character.
    Covered,
}

struct Canvas {
    width: usize,
    rows: Vec<Vec<(Mark, Option<Outcome>)>>,
}

/// Characters of a drawing at most; nobody scrolls through a larger one, and it would take hundreds of megabytes.
const MOST_CHARACTERS: usize = 8_000_000;
/// Characters of all lines together at most, those over others too: a thousand ways side by side run over one another.
const MOST_OF_LINES: f64 = 10_000_000.0;

/// Draws a graph, or lists its states where it is too large to be drawn. `colour` writes ANSI colours, for terminals alone.
pub fn terminal(flow: &Flow, history: Option<&History>, colour: bool) -> Drawing {
    let level = picture(flow, &Characters);
    let (width, height) = (index(level.size.width) + 4, index(level.size.height) + 2);
    if width.saturating_mul(height) > MOST_CHARACTERS || lines(&level) > MOST_OF_LINES {
        let note = format!("a drawing would be {width} characters wide and {height} lines long; the states are listed");
        return Drawing { text: outline(flow, history), note: Some(note) };
    }
    let mut canvas = Canvas { width, rows: vec![vec![(Mark::Nothing, None); width]; height] };
    canvas.level(&level, Point::default(), history);
    Drawing { text: canvas.text(colour), note: level.note() }
}

/// How long the lines of a level are together, inner ones too.
fn lines(level: &Level<'_>) -> f64 {
    let length = |pair: &[Point]| (pair[1].x - pair[0].x).abs() + (pair[1].y - pair[0].y).abs();
    let own = level.ways.iter().flat_map(|way| way.points.windows(2)).map(length).sum::<f64>();
    let inner = level.boxes.iter().flat_map(|one| &one.inner).map(|(_, level)| lines(level));
    own + inner.sum::<f64>()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn index(value: f64) -> usize {
    value.max(0.0).round() as usize
}

impl Canvas {
    fn level(&mut self, level: &Level<'_>, at: Point, history: Option<&History>) {
        for way in &level.ways {
            self.way(way, level, at);
        }
        for one in &level.boxes {
            self.state(one, at, history);
        }
        for way in level.ways.iter().filter(|way| !way.is_loop) {
            self.ends(way, at);
        }
        for (point, sign) in [(level.start, '●'), (level.end, '◉')] {
            if let Some(point) = point {
                self.put(index((at.x + point.x).floor()), index((at.y + point.y - 0.5).floor()), sign, None);
            }
        }
    }

    fn line(&mut self, x: usize, y: usize, sides: u8, caught: bool) {
        let Some((mark, _)) = self.rows.get_mut(y).and_then(|row| row.get_mut(x)) else { return };
        match mark {
            Mark::Nothing => *mark = Mark::Lines(sides, caught),
            Mark::Lines(known, dashed) => *mark = Mark::Lines(*known | sides, *dashed && caught),
            Mark::Text(_) | Mark::Covered => {}
        }
    }

    fn put(&mut self, x: usize, y: usize, character: char, outcome: Option<Outcome>) {
        if let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(x)) {
            *cell = (Mark::Text(character), outcome);
        }
    }

    fn write(&mut self, x: usize, y: usize, text: &str, outcome: Option<Outcome>) {
        let mut at = x;
        // A joiner that may stay has no cell of its own: each sign stands for itself then.
        for character in printable(text).chars().filter(|character| !is_obeyed(*character)) {
            self.put(at, y, character, outcome);
            at += 1;
            if is_wide(character) {
                if let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(at)) {
                    *cell = (Mark::Covered, outcome);
                }
                at += 1;
            }
        }
    }

    /// Down, across in the row between the layers, and down again.
    fn way(&mut self, way: &Way<'_>, level: &Level<'_>, at: Point) {
        let caught = way.edge.is_some_and(|edge| edge.kind == EdgeKind::Catch);
        if way.is_loop {
            if let Some(one) = way.ends.0.and_then(|from| level.boxes.get(from)) {
                let (x, y) = (index(at.x + one.at.x + one.size.width), index(at.y + one.at.y) + 1);
                self.put(x, y, '↺', None);
            }
            return;
        }
        let mut points: Vec<(usize, usize)> =
            way.points.iter().map(|point| (index((at.x + point.x).floor()), index(at.y + point.y))).collect();
        if points.first().zip(points.last()).is_some_and(|(first, last)| first.1 > last.1) {
            points.reverse();
        }
        for pair in points.windows(2) {
            let ((from, top), (to, bottom)) = (pair[0], pair[1]);
            if bottom <= top {
                continue;
            }
            let across = if from == to { bottom } else { top + (bottom - top - 1) / 2 };
            for y in top..bottom {
                if from == to || y < across {
                    self.line(from, y, UP | DOWN, caught);
                } else if y > across {
                    self.line(to, y, UP | DOWN, caught);
                } else {
                    let (left, right) = (from.min(to), from.max(to));
                    self.line(from, y, UP | if to > from { RIGHT } else { LEFT }, caught);
                    self.line(to, y, DOWN | if to > from { LEFT } else { RIGHT }, caught);
                    (left + 1..right).for_each(|x| self.line(x, y, LEFT | RIGHT, caught));
                }
            }
        }
    }

    /// Heads and labels lie over lines.
    fn ends(&mut self, way: &Way<'_>, at: Point) {
        let Some((first, last)) = way.points.first().zip(way.points.last()) else { return };
        let up = last.y < first.y;
        let row = index(at.y + last.y);
        let row = if up { row } else { row.saturating_sub(1) };
        self.put(index((at.x + last.x).floor()), row, if up { '▲' } else { '▼' }, None);
        if let (Some(point), Some(edge)) = (way.label, way.edge) {
            let left = index(at.x + point.x - columns(&edge.label) / 2.0);
            self.write(left, index((at.y + point.y - 0.5).round()), &edge.label, None);
        }
    }

    fn state(&mut self, one: &Placed<'_>, at: Point, history: Option<&History>) {
        let (left, top) = (index(at.x + one.at.x), index(at.y + one.at.y));
        let (right, bottom) = (left + index(one.size.width) - 1, top + index(one.size.height) - 1);
        let became = history.and_then(|history| history.states.get(&one.vertex.name));
        let outcome = became.map(|(outcome, _)| *outcome);
        let round = matches!(one.vertex.shape, Shape::Succeed | Shape::Fail);
        let corners = match one.vertex.shape {
            Shape::Choice => ['╱', '╲', '╲', '╱'],
            _ if round => ['╭', '╮', '╰', '╯'],
            _ => ['┌', '┐', '└', '┘'],
        };
        let (level, side) = match one.vertex.shape {
            Shape::Missing => ('╌', '╎'),
            Shape::Map => ('─', '┆'),
            _ => ('─', '│'),
        };
        for x in left + 1..right {
            self.put(x, top, level, outcome);
            self.put(x, bottom, level, outcome);
        }
        for y in top + 1..bottom {
            self.put(left, y, side, outcome);
            self.put(right, y, side, outcome);
            if one.inner.is_empty() {
                (left + 1..right).for_each(|x| self.put(x, y, ' ', None));
            }
        }
        for ((x, y), corner) in [(left, top), (right, top), (left, bottom), (right, bottom)].into_iter().zip(corners) {
            self.put(x, y, corner, outcome);
        }
        let mark = became.map(
            |(outcome, times)| if *times > 1 { format!("{} ×{times}", sign(*outcome)) } else { sign(*outcome).into() },
        );
        if let Some(mark) = mark {
            self.write(right.saturating_sub(index(columns(&mark)) + 1), top, &mark, outcome);
        }
        for (row, text) in [one.vertex.name.clone(), subtitle(one.vertex), retry(one.vertex)].iter().enumerate() {
            let inside = right - left - 1;
            let start = if one.inner.is_empty() {
                left + 1 + (inside.saturating_sub(index(columns(text)))) / 2
            } else {
                left + 2
            };
            self.write(start, top + 1 + row, text, None);
        }
        if !one.untold.is_empty() {
            let more = format!("+{}", one.untold.len());
            self.write(right.saturating_sub(more.len() + 1), bottom, &more, None);
        }
        for (corner, level) in &one.inner {
            let corner = Point { x: at.x + one.at.x + corner.x, y: at.y + one.at.y + corner.y };
            self.level(level, corner, history);
        }
    }

    fn text(&self, colour: bool) -> String {
        let mut text = String::with_capacity(self.rows.len() * self.width);
        for row in &self.rows {
            let mut line = String::new();
            let mut painted = None;
            for (mark, outcome) in row {
                if *mark == Mark::Covered {
                    continue;
                }
                let paint = outcome.filter(|_| colour);
                if paint != painted {
                    line.push_str(paint.map_or("\u{1b}[0m", ansi));
                    painted = paint;
                }
                line.push(character(*mark));
            }
            if painted.is_some() {
                line.push_str("\u{1b}[0m");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        format!("{}\n", text.trim_end())
    }
}

fn ansi(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "\u{1b}[32m",
        Outcome::Failed => "\u{1b}[31m",
        Outcome::Caught | Outcome::Aborted => "\u{1b}[33m",
        Outcome::Running => "\u{1b}[34m",
    }
}

fn character(mark: Mark) -> char {
    match mark {
        Mark::Nothing | Mark::Covered => ' ',
        Mark::Text(character) => character,
        Mark::Lines(sides, caught) => match (sides, caught) {
            // One side alone is where a line meets a state.
            (1..=3, true) => '╎',
            (1..=3, false) => '│',
            (4 | 8 | 12, true) => '╌',
            (4 | 8 | 12, false) => '─',
            (9, _) => '╰',
            (5, _) => '╯',
            (10, _) => '╭',
            (6, _) => '╮',
            (11, _) => '├',
            (7, _) => '┤',
            (14, _) => '┬',
            (13, _) => '┴',
            _ => '┼',
        },
    }
}
