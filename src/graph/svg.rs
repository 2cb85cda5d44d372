//! SVG that reads in light and in dark.

use std::fmt::Write;

use super::Drawing;
use super::flow::{Edge, EdgeKind, Flow, Shape, Vertex};
use super::history::History;
use super::layered::Point;
use super::picture::{Level, Measure, Padding, Placed, Way, picture};
use super::ranked::{Gaps, Size};
use super::style::{subtitle, width};
use crate::printable::markup;

const MARGIN: f64 = 24.0;
const NAME: f64 = 14.0;
const SMALL: f64 = 11.5;
const RADIUS: f64 = 8.0;

/// Where `<name>` stands a colour of the palette. Custom properties would be shorter, and not every viewer has them.
const RULES: &str = "\
text{font-family:ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:<ink>}\
.paper{fill:<paper>}.name{font-size:14px;font-weight:600}.small{font-size:11.5px;fill:<soft>}\
.box{fill:<box>;stroke:<line>;stroke-width:1.3}.nest{fill:<nest>;stroke:<line>;stroke-width:1.3}\
.divide{stroke:<line>;stroke-width:1;stroke-dasharray:2 4;opacity:.7}\
.bar{stroke:none}.task>.bar{fill:<task>}.pass>.bar{fill:<pass>}.wait>.bar{fill:<wait>}.choice>.bar{fill:<choice>}\
.succeed>.bar{fill:<good>}.fail>.bar{fill:<bad>}.parallel>.bar{fill:<parallel>}.map>.bar{fill:<map>}\
.choice>.box{stroke:<choice>}.fail>.box{stroke:<bad>}.succeed>.box{stroke:<good>}\
.parallel>.nest{stroke:<parallel>}.map>.nest{stroke:<map>;stroke-dasharray:7 4}\
.way{fill:none;stroke:<line>;stroke-width:1.5}.way.catch{stroke:<catch>;stroke-dasharray:5 4}\
.way.retry{stroke:<warn>;stroke-dasharray:1.5 3;stroke-linecap:round}\
.label{font-size:11.5px;fill:<soft>}.label.catch{fill:<catch>}.label.retry{fill:<warn>}\
.behind{fill:<paper>;opacity:.92}g .behind{fill:<nest>}.head{fill:<line>}.head.catch{fill:<catch>}.head.retry{fill:<warn>}.dot{fill:<ink>}.ring{fill:none;stroke:<ink>;stroke-width:1.5}\
.succeeded>.box,.succeeded>.nest{stroke:<good>;stroke-width:2.4;stroke-dasharray:none}\
.failed>.box,.failed>.nest{stroke:<bad>;stroke-width:2.8;stroke-dasharray:none}\
.caught>.box,.caught>.nest,.aborted>.box,.aborted>.nest{stroke:<warn>;stroke-width:2.4;stroke-dasharray:none}\
.running>.box,.running>.nest{stroke:<run>;stroke-width:2.8;stroke-dasharray:none}.idle{opacity:.5}\
.mark{font-size:11px;font-weight:600}.succeeded>.mark{fill:<good>}.failed>.mark{fill:<bad>}.running>.mark{fill:<run>}\
.caught>.mark,.aborted>.mark{fill:<warn>}";

/// Colours by name, in light and in dark.
const PALETTE: [(&str, &str, &str); 17] = [
    ("<paper>", "#ffffff", "#0f141b"),
    ("<ink>", "#1b2330", "#e8edf4"),
    ("<soft>", "#5b6675", "#9aa7b8"),
    ("<line>", "#8a94a3", "#6c7888"),
    ("<box>", "#ffffff", "#1a212b"),
    ("<nest>", "#f5f7fa", "#141a22"),
    ("<task>", "#2f6fde", "#6ea1ff"),
    ("<choice>", "#b7791f", "#e0aa4e"),
    ("<wait>", "#7a5af0", "#a891ff"),
    ("<pass>", "#64748b", "#94a3b8"),
    ("<good>", "#1a8a4f", "#4cc98a"),
    ("<bad>", "#d1373f", "#ff7b80"),
    ("<catch>", "#d1373f", "#ff7b80"),
    ("<parallel>", "#0f8f9c", "#43c6d3"),
    ("<map>", "#0f8f9c", "#43c6d3"),
    ("<warn>", "#b7791f", "#e0aa4e"),
    ("<run>", "#2f6fde", "#6ea1ff"),
];

/// The rules of a drawing, in light and in dark, for whoever puts a drawing of [`svg_without_rules`] into a page.
pub fn svg_rules() -> String {
    style()
}

/// The rules in light, and those of the dark for viewers that prefer it.
fn style() -> String {
    let in_colours = |colour: fn(&(&'static str, &'static str, &'static str)) -> &'static str| {
        PALETTE.iter().fold(RULES.to_owned(), |rules, one| rules.replace(one.0, colour(one)))
    };
    format!("{}@media(prefers-color-scheme:dark){{{}}}", in_colours(|one| one.1), in_colours(|one| one.2))
}

struct Pixels;

impl Measure for Pixels {
    fn gaps(&self) -> Gaps {
        Gaps { beside: 36.0, edge: 22.0, layer: 19.0 }
    }

    fn state(&self, vertex: &Vertex) -> Size {
        let widest = width(&vertex.name, NAME).max(width(&subtitle(vertex), SMALL));
        Size { width: (widest + 44.0).max(124.0).ceil(), height: 50.0 }
    }

    fn label(&self, edge: &Edge) -> Option<Size> {
        (!edge.label.is_empty()).then(|| Size { width: (width(&edge.label, SMALL) + 10.0).ceil(), height: 18.0 })
    }

    fn retry(&self, vertex: &Vertex) -> f64 {
        if vertex.retry.is_empty() { 0.0 } else { (width(&retry_label(vertex), SMALL) + 34.0).ceil() }
    }

    fn padding(&self) -> Padding {
        Padding { side: 22.0, above: 6.0, below: 22.0, between: 36.0 }
    }

    fn terminal(&self) -> Option<Size> {
        Some(Size { width: 22.0, height: 22.0 })
    }
}

fn retry_label(vertex: &Vertex) -> String {
    match vertex.retry.as_slice() {
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one} +{}", rest.len()),
        [] => String::new(),
    }
}

/// Draws a graph; with a history, each state by what became of it. What the drawing leaves out is said in it too.
pub fn svg(flow: &Flow, title: &str, history: Option<&History>) -> Drawing {
    drawn(flow, title, history, &format!("<style>{}</style>\n", style()))
}

/// The same without its rules, which a page has once for all of its drawings: see [`svg_rules`].
pub fn svg_without_rules(flow: &Flow, title: &str, history: Option<&History>) -> Drawing {
    drawn(flow, title, history, "")
}

fn drawn(flow: &Flow, title: &str, history: Option<&History>, rules: &str) -> Drawing {
    let level = picture(flow, &Pixels);
    let note = level.note();
    let (width, height) = (level.size.width + 2.0 * MARGIN, level.size.height + 2.0 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" aria-label=\"{2}\">\n<title>{2}</title>\n{rules}<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        number(width),
        number(height),
        markup(title),
    );
    if let Some(note) = &note {
        let _ = writeln!(text, "<text class=\"small\" x=\"{MARGIN}\" y=\"15\">{}</text>", markup(note));
    }
    draw(&mut text, &level, Point { x: MARGIN, y: MARGIN }, history);
    text.push_str("</svg>\n");
    Drawing { text, note }
}

fn draw(text: &mut String, level: &Level<'_>, at: Point, history: Option<&History>) {
    for way in &level.ways {
        way_of(text, way, level, at);
    }
    for one in &level.boxes {
        state(text, one, at, history);
    }
    for way in &level.ways {
        label_of(text, way, at);
    }
    if let Some(start) = level.start {
        let _ = writeln!(
            text,
            "<circle class=\"dot\" cx=\"{}\" cy=\"{}\" r=\"8\"/>",
            number(at.x + start.x),
            number(at.y + start.y)
        );
    }
    if let Some(end) = level.end {
        let (x, y) = (number(at.x + end.x), number(at.y + end.y));
        let _ = writeln!(
            text,
            "<circle class=\"ring\" cx=\"{x}\" cy=\"{y}\" r=\"9\"/><circle class=\"dot\" cx=\"{x}\" cy=\"{y}\" r=\"5\"/>"
        );
    }
}

fn state(text: &mut String, one: &Placed<'_>, at: Point, history: Option<&History>) {
    let vertex = one.vertex;
    let (x, y) = (at.x + one.at.x, at.y + one.at.y);
    let became = history.map(|history| history.states.get(&vertex.name));
    let class = match became {
        None => String::new(),
        Some(None) => " idle".into(),
        Some(Some((outcome, _))) => format!(" {}", outcome.name()),
    };
    let _ = writeln!(text, "<g class=\"{}{class}\">", class_of(vertex.shape));
    let _ = writeln!(
        text,
        "<title>{}</title>",
        markup(&hover(one, became.flatten().map(|(outcome, times)| (outcome.name(), *times))))
    );
    shape(text, one, x, y);
    let nested = !vertex.inner.is_empty();
    let left = x + if nested { 18.0 } else { one.size.width / 2.0 };
    let anchor = if nested { "start" } else { "middle" };
    let (name, small) = if nested { (y + 22.0, y + 38.0) } else { (y + 22.0, y + 38.5) };
    let _ = writeln!(
        text,
        "<text class=\"name\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
        number(left),
        number(name),
        markup(&vertex.name)
    );
    let _ = writeln!(
        text,
        "<text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
        number(left),
        number(small),
        markup(&subtitle(vertex))
    );
    if !one.untold.is_empty() {
        let _ = writeln!(
            text,
            "<text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"end\">+{}</text>",
            number(x + one.size.width - 8.0),
            number(y + 15.0),
            one.untold.len()
        );
    }
    if let Some(Some((outcome, times))) = became {
        let times = if *times > 1 { format!(" ×{times}") } else { String::new() };
        let _ = writeln!(
            text,
            "<text class=\"mark\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}{times}</text>",
            number(x + one.size.width - 4.0),
            number(y - 5.0),
            outcome.name()
        );
    }
    for (corner, level) in &one.inner {
        draw(text, level, Point { x: x + corner.x, y: y + corner.y }, history);
    }
    for pair in one.inner.windows(2) {
        let middle = f64::midpoint(pair[0].0.x + pair[0].1.size.width, pair[1].0.x);
        let top = y + pair[0].0.y;
        let _ = writeln!(
            text,
            "<line class=\"divide\" x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\"/>",
            number(x + middle),
            number(top),
            number(y + one.size.height - 14.0)
        );
    }
    text.push_str("</g>\n");
    if !vertex.retry.is_empty() {
        retry(text, one, x, y);
    }
}

fn class_of(shape: Shape) -> String {
    super::style::kind(shape).to_lowercase()
}

fn hover(one: &Placed<'_>, became: Option<(&str, usize)>) -> String {
    let vertex = one.vertex;
    let mut lines = vec![vertex.name.clone(), subtitle(vertex)];
    lines.extend(vertex.retry.iter().map(|retry| format!("retry {retry}")));
    lines.extend(became.map(|(outcome, times)| format!("{outcome}, entered {times} ×")));
    lines.extend(one.told());
    lines.join("\n")
}

/// A box with a bar of its colour; a Choice has slanted sides, ends are round.
fn shape(text: &mut String, one: &Placed<'_>, x: f64, y: f64) {
    let Size { width, height } = one.size;
    let place = |radius: f64| {
        format!(
            "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"",
            number(x),
            number(y),
            number(width),
            number(height),
            number(radius)
        )
    };
    let bar = |text: &mut String, height: f64| {
        let _ = writeln!(
            text,
            "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"4\" height=\"{}\" rx=\"2\"/>",
            number(x + 7.0),
            number(y + 10.0),
            number(height)
        );
    };
    match one.vertex.shape {
        Shape::Parallel | Shape::Map => {
            let _ = writeln!(text, "<rect class=\"nest\" {}/>", place(RADIUS + 2.0));
            bar(text, 30.0);
        }
        Shape::Choice => {
            let slant = 14.0;
            let points = [
                (x + slant, y),
                (x + width - slant, y),
                (x + width, y + height / 2.0),
                (x + width - slant, y + height),
                (x + slant, y + height),
                (x, y + height / 2.0),
            ];
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
            let _ = writeln!(text, "<polygon class=\"box\" points=\"{}\"/>", points.join(" "));
        }
        Shape::Succeed | Shape::Fail => {
            let _ = writeln!(text, "<rect class=\"box\" {}/>", place(height / 2.0));
        }
        Shape::Missing => {
            let _ = writeln!(text, "<rect class=\"box\" stroke-dasharray=\"4 3\" {}/>", place(RADIUS));
        }
        Shape::Task | Shape::Pass | Shape::Wait => {
            let _ = writeln!(text, "<rect class=\"box\" {}/>", place(RADIUS));
            bar(text, height - 20.0);
        }
    }
}

/// The loop at the right side of a state that is tried again.
fn retry(text: &mut String, one: &Placed<'_>, x: f64, y: f64) {
    let right = x + one.size.width;
    let (from, to) = (y + 35.0, y + 15.0);
    let _ = writeln!(
        text,
        "<path class=\"way retry\" d=\"M{0} {1}C{2} {3} {2} {4} {5} {6}\"/>",
        number(right),
        number(from),
        number(right + 24.0),
        number(from + 4.0),
        number(to - 4.0),
        number(right + 6.0),
        number(to)
    );
    head(text, Point { x: right + 8.0, y: to - 0.5 }, Point { x: right, y: to + 1.0 }, "retry");
    let _ = writeln!(
        text,
        "<text class=\"label retry\" x=\"{}\" y=\"{}\">{}</text>",
        number(right + 23.0),
        number(y + 29.0),
        markup(&retry_label(one.vertex))
    );
}

fn way_class(way: &Way<'_>) -> &'static str {
    match way.edge.map(|edge| edge.kind) {
        Some(EdgeKind::Catch) => "catch",
        Some(EdgeKind::Rule) => "rule",
        Some(EdgeKind::Default) => "default",
        _ => "next",
    }
}

/// Straight through layers, curved between them; the head at the end.
fn way_of(text: &mut String, way: &Way<'_>, level: &Level<'_>, at: Point) {
    let class = way_class(way);
    if way.is_loop {
        let Some(one) = way.ends.0.and_then(|index| level.boxes.get(index)) else { return };
        let (left, y) = (at.x + one.at.x, at.y + one.at.y);
        let _ = writeln!(
            text,
            "<path class=\"way {class}\" d=\"M{0} {1}C{2} {1} {2} {3} {4} {3}\"/>",
            number(left),
            number(y + 36.0),
            number(left - 30.0),
            number(y + 14.0),
            number(left - 7.0)
        );
        return head(text, Point { x: left - 8.0, y: y + 14.0 }, Point { x: left, y: y + 14.0 }, class);
    }
    let mut points: Vec<Point> =
        way.points.iter().map(|point| Point { x: at.x + point.x, y: at.y + point.y }).collect();
    points.dedup();
    let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) else { return };
    let up = last.y < first.y;
    // The line ends where the head begins.
    let tip = Point { x: last.x, y: if up { last.y + 7.0 } else { last.y - 7.0 } };
    let mut path = format!("M{} {}", number(first.x), number(first.y));
    for pair in points.windows(2) {
        let (from, mut to) = (pair[0], pair[1]);
        if to == last {
            to = tip;
        }
        if (from.x - to.x).abs() < 0.05 {
            let _ = write!(path, "L{} {}", number(to.x), number(to.y));
        } else {
            let middle = f64::midpoint(from.y, to.y);
            let _ = write!(
                path,
                "C{} {} {} {} {} {}",
                number(from.x),
                number(middle),
                number(to.x),
                number(middle),
                number(to.x),
                number(to.y)
            );
        }
    }
    let _ = writeln!(text, "<path class=\"way {class}\" d=\"{path}\"/>");
    head(text, Point { x: last.x, y: tip.y }, last, class);
}

fn head(text: &mut String, from: Point, to: Point, class: &str) {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy).max(0.1);
    let (dx, dy) = (dx / length, dy / length);
    let back = Point { x: to.x - 8.0 * dx, y: to.y - 8.0 * dy };
    let _ = writeln!(
        text,
        "<path class=\"head {class}\" d=\"M{} {}L{} {}L{} {}Z\"/>",
        number(to.x),
        number(to.y),
        number(back.x - 4.0 * dy),
        number(back.y + 4.0 * dx),
        number(back.x + 4.0 * dy),
        number(back.y - 4.0 * dx),
    );
}

fn label_of(text: &mut String, way: &Way<'_>, at: Point) {
    let (Some(point), Some(edge)) = (way.label, way.edge) else { return };
    let width = width(&edge.label, SMALL) + 8.0;
    let (x, y) = (at.x + point.x, at.y + point.y);
    // The line runs behind its label.
    let _ = writeln!(
        text,
        "<rect class=\"behind\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"16\" rx=\"4\"/>",
        number(x - width / 2.0),
        number(y - 8.0),
        number(width)
    );
    let _ = writeln!(
        text,
        "<text class=\"label {}\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        way_class(way),
        number(x),
        number(y + 4.0),
        markup(&edge.label)
    );
}

/// At most one digit after the point: small files, and the same on every machine.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.to_owned() }
}
