//! Places across: every cell wants to lie where its neighbours are, and none may overlap. One layer at a time that is a
//! problem of least squares with an order, solved exactly by pooling neighbours that collide.

use super::ranked::{Gaps, Ranked};

const PASSES: usize = 16;
/// Pieces of an edge pull harder than states, so that long edges are straight.
const STRAIGHT: f64 = 6.0;

pub(super) fn across(ranked: &Ranked, gaps: Gaps) -> Vec<f64> {
    let count = ranked.cells.len();
    let mut up: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut down = up.clone();
    for chain in ranked.chains.iter().flatten() {
        for pair in chain.cells.windows(2) {
            down[pair[0]].push(pair[1]);
            up[pair[1]].push(pair[0]);
        }
    }
    let mut xs = vec![0.0; count];
    for layer in &ranked.layers {
        settle(ranked, gaps, layer, &mut xs, &vec![None; layer.len()]);
    }
    for pass in 0..PASSES {
        let last = pass + 2 >= PASSES;
        let ranks: Vec<usize> =
            if pass % 2 == 0 { (0..ranked.layers.len()).collect() } else { (0..ranked.layers.len()).rev().collect() };
        for rank in ranks {
            // What a cell's place depends on lies in other layers.
            let wishes: Vec<Option<(f64, f64)>> = ranked.layers[rank]
                .iter()
                .map(|cell| {
                    let side = if pass % 2 == 0 { &up[*cell] } else { &down[*cell] };
                    let both = last || side.is_empty();
                    let (one, other): (&[usize], &[usize]) =
                        if both { (&up[*cell], &down[*cell]) } else { (side, &[]) };
                    wish(ranked, one, other, *cell, &xs)
                })
                .collect();
            settle(ranked, gaps, &ranked.layers[rank], &mut xs, &wishes);
        }
    }
    let left = ranked.cells.iter().zip(&xs).map(|(cell, x)| x - cell.size.width / 2.0).fold(f64::INFINITY, f64::min);
    for x in &mut xs {
        *x -= left;
    }
    xs
}

/// Where a cell wants to be, and how much: the mean of its neighbours.
fn wish(ranked: &Ranked, one: &[usize], other: &[usize], cell: usize, xs: &[f64]) -> Option<(f64, f64)> {
    let neighbours = || one.iter().chain(other);
    let weight = |other: usize| match (ranked.cells[cell].is_vertex, ranked.cells[other].is_vertex) {
        (true, true) => 1.0,
        (false, false) => STRAIGHT,
        _ => 2.0,
    };
    let total: f64 = neighbours().map(|other| weight(*other)).sum();
    let mean = neighbours().map(|other| xs[*other] * weight(*other)).sum::<f64>() / total;
    (total > 0.0).then_some((mean, total))
}

fn settle(ranked: &Ranked, gaps: Gaps, layer: &[usize], xs: &mut [f64], wishes: &[Option<(f64, f64)>]) {
    // With what must lie to the left of each taken away, "no overlap" reads "not decreasing".
    let mut offset = 0.0;
    let mut blocks: Vec<Block> = Vec::new();
    let mut offsets = Vec::with_capacity(layer.len());
    for (at, cell) in layer.iter().enumerate() {
        if at > 0 {
            offset += apart(ranked, gaps, layer[at - 1], *cell);
        }
        offsets.push(offset);
        let (wanted, weight) = wishes[at].unwrap_or((xs[*cell], 0.01));
        let mut block = Block { sum: (wanted - offset) * weight, weight, cells: 1 };
        while let Some(before) = blocks.pop_if(|before| before.at() > block.at()) {
            block = Block {
                sum: before.sum + block.sum,
                weight: before.weight + block.weight,
                cells: before.cells + block.cells,
            };
        }
        blocks.push(block);
    }
    let mut cells = layer.iter().zip(offsets);
    for block in &blocks {
        for (cell, offset) in cells.by_ref().take(block.cells) {
            xs[*cell] = block.at() + offset;
        }
    }
}

/// Cells that touch: they move as one.
struct Block {
    sum: f64,
    weight: f64,
    cells: usize,
}

impl Block {
    fn at(&self) -> f64 {
        self.sum / self.weight
    }
}

/// Least distance of the middles of two neighbours.
fn apart(ranked: &Ranked, gaps: Gaps, left: usize, right: usize) -> f64 {
    let (left, right) = (ranked.cells[left], ranked.cells[right]);
    let gap = if left.is_vertex && right.is_vertex { gaps.beside } else { gaps.edge };
    f64::midpoint(left.size.width, right.size.width) + gap
}
