//! Layered layout after Sugiyama, Tagawa and Toda (1981): loops are turned, states ranked, long edges cut into pieces, each
//! layer ordered for few crossings, and everything placed as straight above its neighbours as there is room.
//!
//! Every edge spans at least two ranks, so that each has a place of its own for its label: neither labels nor edges can
//! come to lie on a state.

use super::ranked::{Cell, Chain, Gaps, Ranked, Size};
use super::{order, place};

/// Ranks that every edge spans at least.
const SHORTEST: usize = 2;

/// A place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// An edge to be laid out: from, to, and the room for its label.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: Option<Size>,
}

/// The way of one edge.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Route {
    /// From the state it leaves to the one it reaches, layer by layer: where it leaves a layer and enters the next.
    pub(super) points: Vec<Point>,
    /// Middle of its label.
    pub(super) label: Option<Point>,
}

/// Where everything lies.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Middles of the vertices.
    pub(super) middles: Vec<Point>,
    /// Ways of the edges; none for an edge from a vertex to itself, and for one that there is no room for.
    pub(super) routes: Vec<Option<Route>>,
    /// Of the whole.
    pub(super) size: Size,
}

/// Lays out. Vertices that nothing leads to come first, `start` before all. `docks` are the widths along which edges may
/// meet each vertex. At most `most` cells are laid out, as long as vertices and shortest edges alone are not more: longer
/// edges have no route then.
pub(super) fn layout(
    sizes: &[Size],
    docks: &[f64],
    links: &[Link],
    start: Option<usize>,
    gaps: Gaps,
    most: usize,
) -> Layout {
    if sizes.is_empty() {
        return Layout::default();
    }
    let turned = turned(sizes.len(), links, start);
    let ranks = ranks(sizes.len(), links, &turned);
    let longest = longest(&ranks, links, most);
    let mut ranked = ranked(sizes, links, &turned, &ranks, longest);
    order::order(&mut ranked);
    let xs = place::across(&ranked, gaps);
    let (tops, heights, height) = down(&ranked, gaps);
    finish(&ranked, &Ports::of(&ranked, docks, &xs), links, &xs, &(tops, heights, height))
}

/// Edges that close a loop, found by depth-first search from the start.
fn turned(count: usize, links: &[Link], start: Option<usize>) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        Open,
        Done,
    }
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    links.iter().enumerate().for_each(|(index, link)| out[link.from].push(index));
    let mut seen = vec![Seen::No; count];
    let mut turned = vec![false; links.len()];
    for root in start.into_iter().chain(0..count) {
        if seen[root] != Seen::No {
            continue;
        }
        // A stack of its own: definitions may have thousands of states in a row.
        let mut stack = vec![(root, 0)];
        seen[root] = Seen::Open;
        while let Some((vertex, next)) = stack.last_mut() {
            let Some(index) = out[*vertex].get(*next).copied() else {
                seen[*vertex] = Seen::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            let to = links[index].to;
            match seen[to] {
                Seen::Open => turned[index] = true,
                Seen::Done => {}
                Seen::No => {
                    seen[to] = Seen::Open;
                    stack.push((to, 0));
                }
            }
        }
    }
    turned
}

/// Longest ways from the top, two ranks an edge.
fn ranks(count: usize, links: &[Link], turned: &[bool]) -> Vec<usize> {
    let downwards: Vec<(usize, usize)> = links
        .iter()
        .zip(turned)
        .filter(|(link, _)| link.from != link.to)
        .map(|(link, turned)| if *turned { (link.to, link.from) } else { (link.from, link.to) })
        .collect();
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waiting = vec![0_usize; count];
    for (from, to) in &downwards {
        out[*from].push(*to);
        waiting[*to] += 1;
    }
    let mut ranks = vec![0; count];
    let mut ready: Vec<usize> = (0..count).filter(|vertex| waiting[*vertex] == 0).collect();
    while let Some(vertex) = ready.pop() {
        for to in &out[vertex] {
            ranks[*to] = ranks[*to].max(ranks[vertex] + SHORTEST);
            waiting[*to] -= 1;
            if waiting[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    ranks
}

/// Ranks between the ends of an edge.
fn span(ranks: &[usize], link: &Link) -> usize {
    ranks[link.from].abs_diff(ranks[link.to])
}

/// The longest edges that there is room for: each takes a cell for every rank that it passes. The shortest always have it.
fn longest(ranks: &[usize], links: &[Link], most: usize) -> usize {
    let mut spans: Vec<usize> = links.iter().map(|link| span(ranks, link)).filter(|span| *span > 0).collect();
    spans.sort_unstable();
    let mut cells = ranks.len();
    for span in &spans {
        cells += span - 1;
        if cells > most {
            return (span - 1).max(SHORTEST);
        }
    }
    usize::MAX
}

fn ranked(sizes: &[Size], links: &[Link], turned: &[bool], ranks: &[usize], longest: usize) -> Ranked {
    let mut cells: Vec<Cell> =
        sizes.iter().zip(ranks).map(|(size, rank)| Cell { size: *size, rank: *rank, is_vertex: true }).collect();
    let mut chains = Vec::new();
    for (link, turned) in links.iter().zip(turned) {
        if link.from == link.to || span(ranks, link) > longest {
            chains.push(None);
            continue;
        }
        let (top, bottom) = if *turned { (link.to, link.from) } else { (link.from, link.to) };
        let mut chain = vec![top];
        // The label stands next to where the edge leaves.
        let label_at = if *turned { ranks[bottom] - 1 } else { ranks[top] + 1 };
        for rank in ranks[top] + 1..ranks[bottom] {
            let size = link.label.filter(|_| rank == label_at).unwrap_or_default();
            chain.push(cells.len());
            cells.push(Cell { size, rank, is_vertex: false });
        }
        chain.push(bottom);
        chains.push(Some(Chain { cells: chain, upwards: *turned }));
    }
    let mut layers = vec![Vec::new(); cells.iter().map(|cell| cell.rank).max().unwrap_or_default() + 1];
    cells.iter().enumerate().for_each(|(index, cell)| layers[cell.rank].push(index));
    Ranked { cells, layers, chains }
}

/// Tops and heights of the layers, and the height of all.
fn down(ranked: &Ranked, gaps: Gaps) -> (Vec<f64>, Vec<f64>, f64) {
    let height = |layer: &Vec<usize>| layer.iter().map(|cell| ranked.cells[*cell].size.height).fold(0.0, f64::max);
    let heights: Vec<f64> = ranked.layers.iter().map(height).collect();
    let mut top = 0.0;
    let mut tops = Vec::with_capacity(heights.len());
    for height in &heights {
        tops.push(top);
        top += height + gaps.layer;
    }
    (tops, heights, top - gaps.layer)
}

fn finish(ranked: &Ranked, ports: &Ports, links: &[Link], xs: &[f64], down: &(Vec<f64>, Vec<f64>, f64)) -> Layout {
    let (tops, heights, height) = down;
    let middle = |cell: usize| {
        let rank = ranked.cells[cell].rank;
        Point { x: xs[cell], y: tops[rank] + heights[rank] / 2.0 }
    };
    let vertices = ranked.cells.iter().take_while(|cell| cell.is_vertex).count();
    let routes = ranked.chains.iter().enumerate().map(|(index, chain)| {
        let chain = chain.as_ref()?;
        let mut points = Vec::new();
        let last = chain.cells.len() - 1;
        for (at, cell) in chain.cells.iter().enumerate() {
            let Cell { rank, size, is_vertex } = ranked.cells[*cell];
            let (top, bottom) = (tops[rank], tops[rank] + heights[rank]);
            if !is_vertex && heights[rank] <= 0.0 {
                // Nothing lies in this layer that the edge would have to go around.
                continue;
            }
            if at > 0 {
                let x = if is_vertex { ports.above(index) } else { xs[*cell] };
                points.push(Point { x, y: top });
                if is_vertex {
                    points.push(Point { x, y: middle(*cell).y - size.height / 2.0 });
                }
            }
            if at < last {
                let x = if is_vertex { ports.below(index) } else { xs[*cell] };
                if is_vertex {
                    points.push(Point { x, y: middle(*cell).y + size.height / 2.0 });
                }
                points.push(Point { x, y: bottom });
            }
        }
        let label = links[index].label.and_then(|_| {
            let at = if chain.upwards { last - 1 } else { 1 };
            (last > 1).then(|| middle(chain.cells[at]))
        });
        if chain.upwards {
            points.reverse();
        }
        Some(Route { points, label })
    });
    let routes = routes.collect();
    let right = ranked.cells.iter().zip(xs).map(|(cell, x)| x + cell.size.width / 2.0).fold(0.0, f64::max);
    Layout { middles: (0..vertices).map(middle).collect(), routes, size: Size { width: right, height: *height } }
}

/// Where edges meet a vertex: side by side, in the order of where they come from and go to.
struct Ports {
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Ports {
    fn of(ranked: &Ranked, docks: &[f64], xs: &[f64]) -> Self {
        let count = ranked.chains.len();
        let mut ports = Self { above: vec![0.0; count], below: vec![0.0; count] };
        let mut below: Vec<Vec<(f64, usize)>> = vec![Vec::new(); ranked.cells.len()];
        let mut above = below.clone();
        for (index, chain) in ranked.chains.iter().enumerate() {
            let Some(Chain { cells, .. }) = chain else { continue };
            let last = cells.len() - 1;
            below[cells[0]].push((xs[cells[1]], index));
            above[cells[last]].push((xs[cells[last - 1]], index));
        }
        for (cell, (width, x)) in docks.iter().zip(xs).enumerate() {
            spread(&mut below[cell], *x, *width, &mut ports.below);
            spread(&mut above[cell], *x, *width, &mut ports.above);
        }
        ports
    }

    fn above(&self, index: usize) -> f64 {
        self.above[index]
    }

    fn below(&self, index: usize) -> f64 {
        self.below[index]
    }
}

#[allow(clippy::cast_precision_loss)]
fn spread(edges: &mut [(f64, usize)], middle: f64, width: f64, ports: &mut [f64]) {
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let between = (width / (edges.len() as f64 + 1.0)).min(18.0);
    let first = middle - between * (edges.len() as f64 - 1.0) / 2.0;
    for (at, (_, index)) in edges.iter().enumerate() {
        ports[*index] = first + between * at as f64;
    }
}
