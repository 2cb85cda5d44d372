//! A graph laid out with everything inside it, for whatever draws it.

use std::collections::HashSet;

use super::flow::{Edge, Flow, Vertex};
use super::layered::{Layout, Link, Point, layout};
use super::ranked::{Gaps, Size};

/// What a drawing measures in.
pub(super) trait Measure {
    /// Distances.
    fn gaps(&self) -> Gaps;
    /// Room of a state without what is inside it.
    fn state(&self, vertex: &Vertex) -> Size;
    /// Room of an edge's label.
    fn label(&self, edge: &Edge) -> Option<Size>;
    /// Room that a state needs beside it for the loop of its retriers.
    fn retry(&self, vertex: &Vertex) -> f64;
    /// Around what is inside a state: left and right, above, below, and between branches.
    fn padding(&self) -> Padding;
    /// Room of the beginning and the end of the outermost machine; none where they are not drawn.
    fn terminal(&self) -> Option<Size>;
    /// A length as the drawing can have it.
    fn snap(&self, length: f64) -> f64 {
        length
    }
}

/// Around what is inside a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padding {
    pub(super) side: f64,
    pub(super) above: f64,
    pub(super) below: f64,
    pub(super) between: f64,
}

/// One machine, laid out. Lengths are from its own upper left corner.
pub(super) struct Level<'a> {
    pub(super) boxes: Vec<Placed<'a>>,
    pub(super) ways: Vec<Way<'a>>,
    /// Middles of the beginning and the end.
    pub(super) start: Option<Point>,
    pub(super) end: Option<Point>,
    pub(super) size: Size,
}

impl Level<'_> {
    /// Ways that are drawn, and those that lead too far.
    pub(super) fn ways(&self) -> (usize, usize) {
        let own = self.ways.iter().filter(|way| way.edge.is_some()).count();
        let untold: usize = self.boxes.iter().map(|one| one.untold.len()).sum();
        let inner = self.boxes.iter().flat_map(|one| &one.inner).map(|(_, level)| level.ways());
        inner.fold((own - untold, untold), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// What is said of a drawing that leaves ways out; none where it is whole.
    pub(super) fn note(&self) -> Option<String> {
        let (drawn, untold) = self.ways();
        (untold > 0).then(|| {
            format!(
                "drawn coarsely: {untold} of {} ways lead far and are not drawn; a state with +n has n of them",
                drawn + untold
            )
        })
    }
}

/// A state where it lies.
pub(super) struct Placed<'a> {
    pub(super) vertex: &'a Vertex,
    /// Upper left corner.
    pub(super) at: Point,
    pub(super) size: Size,
    /// Machines inside, each with its corner from the state's own.
    pub(super) inner: Vec<(Point, Level<'a>)>,
    /// Ways from here that lead too far to be drawn, each with the name of the state that it leads to.
    pub(super) untold: Vec<(&'a Edge, &'a str)>,
}

impl Placed<'_> {
    /// The ways that are not drawn, in words.
    pub(super) fn told(&self) -> Vec<String> {
        /// More than anybody reads at one state.
        const MOST: usize = 20;
        let line = |(edge, to): &(&Edge, &str)| match edge.label.as_str() {
            "" => format!("leads to {to}"),
            label => format!("leads to {to}: {label}"),
        };
        let mut lines: Vec<String> = self.untold.iter().take(MOST).map(line).collect();
        if self.untold.len() > MOST {
            lines.push(format!("and {} more", self.untold.len() - MOST));
        }
        lines
    }
}

/// An edge where it lies. Edges from the beginning and to the end have no edge of the graph behind them.
pub(super) struct Way<'a> {
    pub(super) edge: Option<&'a Edge>,
    /// Indices of the boxes at both ends, where they are states.
    pub(super) ends: (Option<usize>, Option<usize>),
    pub(super) points: Vec<Point>,
    pub(super) label: Option<Point>,
    /// From a state to itself.
    pub(super) is_loop: bool,
}

/// Cells that are laid out at most, states and pieces of ways alike, beside those of which there are no fewer: each costs
/// some microseconds, and a definition of the size that AWS takes shall be drawn within a second.
pub(super) const MOST_CELLS: usize = 60_000;

/// Lays out a graph with all that is inside it.
pub(super) fn picture<'a>(flow: &'a Flow, measure: &dyn Measure) -> Level<'a> {
    level(flow, measure, true, weight(flow).max(1))
}

/// States and ways, inner ones too.
fn weight(flow: &Flow) -> usize {
    let inner = flow.vertices.iter().flat_map(|vertex| &vertex.inner);
    flow.vertices.len() + flow.edges.len() + inner.map(weight).sum::<usize>()
}

/// Of the whole, which weighs `whole`, each machine has a part of the cells.
fn level<'a>(flow: &'a Flow, measure: &dyn Measure, outermost: bool, whole: usize) -> Level<'a> {
    let mut boxes: Vec<Placed<'a>> = flow.vertices.iter().map(|vertex| placed(vertex, measure, whole)).collect();
    // Room for the loop stands on both sides, so that the state is in the middle of it.
    let loops = flow.edges.iter().filter(|edge| edge.from == edge.to);
    let looped: HashSet<usize> = loops.map(|edge| edge.from).collect();
    let beside: Vec<f64> = (0..boxes.len())
        .map(|index| {
            let retry = measure.retry(boxes[index].vertex);
            if retry > 0.0 {
                retry
            } else if looped.contains(&index) {
                measure.gaps().beside
            } else {
                0.0
            }
        })
        .collect();
    let mut sizes: Vec<Size> = boxes
        .iter()
        .zip(&beside)
        .map(|(one, beside)| Size { width: one.size.width + 2.0 * beside, height: one.size.height })
        .collect();
    let mut docks: Vec<f64> = boxes.iter().map(|one| one.size.width).collect();
    let mut links: Vec<Link> =
        flow.edges.iter().map(|edge| Link { from: edge.from, to: edge.to, label: measure.label(edge) }).collect();
    let mut start = flow.start;
    let (mut first, mut last) = (None, None);
    if let Some(size) = measure.terminal().filter(|_| outermost) {
        let ends = flow.vertices.iter().enumerate().filter(|(_, vertex)| vertex.ends);
        let ends: Vec<usize> = ends.map(|(index, _)| index).collect();
        if let Some(to) = flow.start {
            first = Some(sizes.len());
            start = first;
            sizes.push(size);
            docks.push(size.width);
            links.push(Link { from: sizes.len() - 1, to, label: None });
        }
        if !ends.is_empty() {
            last = Some(sizes.len());
            sizes.push(size);
            docks.push(size.width);
            links.extend(ends.into_iter().map(|from| Link { from, to: sizes.len() - 1, label: None }));
        }
    }
    let own = flow.vertices.len() + flow.edges.len();
    let Layout { middles, routes, size } =
        layout(&sizes, &docks, &links, start, measure.gaps(), MOST_CELLS * own / whole);
    for (index, one) in boxes.iter_mut().enumerate() {
        let corner = |middle: f64, length: f64| measure.snap(middle - length / 2.0);
        one.at = Point { x: corner(middles[index].x, one.size.width), y: corner(middles[index].y, one.size.height) };
    }
    let count = boxes.len();
    let end_of = |index: usize| (index < count).then_some(index);
    let ways = links.iter().zip(routes).enumerate().map(|(index, (link, route))| {
        let (points, label) = route.map(|route| (route.points, route.label)).unwrap_or_default();
        Way {
            edge: flow.edges.get(index),
            ends: (end_of(link.from), end_of(link.to)),
            points,
            label,
            is_loop: link.from == link.to,
        }
    });
    let ways: Vec<Way<'a>> = ways.collect();
    for way in &ways {
        if let (Some(edge), true) = (way.edge, way.points.is_empty() && !way.is_loop) {
            boxes[edge.from].untold.push((edge, &flow.vertices[edge.to].name));
        }
    }
    Level { boxes, ways, start: first.map(|at| middles[at]), end: last.map(|at| middles[at]), size }
}

/// A state around what is inside it; its branches side by side.
fn placed<'a>(vertex: &'a Vertex, measure: &dyn Measure, whole: usize) -> Placed<'a> {
    let own = measure.state(vertex);
    let at = Point::default();
    if vertex.inner.is_empty() {
        return Placed { vertex, at, size: own, inner: Vec::new(), untold: Vec::new() };
    }
    let Padding { side, above, below, between } = measure.padding();
    let levels: Vec<Level<'a>> = vertex.inner.iter().map(|flow| level(flow, measure, false, whole)).collect();
    let mut x = side;
    let mut inner = Vec::new();
    let tall = levels.iter().map(|level| level.size.height).fold(0.0, f64::max);
    for level in levels {
        let width = level.size.width;
        inner.push((Point { x, y: own.height + above }, level));
        x += width + between;
    }
    let width = measure.snap((x - between + side).max(own.width));
    // What is narrower than the title stands in the middle.
    let spare = (width - (x - between + side)) / 2.0;
    for (corner, _) in &mut inner {
        corner.x = measure.snap(corner.x + spare);
    }
    let height = measure.snap(own.height + above + tall + below);
    Placed { vertex, at, size: Size { width, height }, inner, untold: Vec::new() }
}
