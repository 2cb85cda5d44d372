//! The order within layers: sweeps by the mean place of the neighbours, the best of them kept (Sugiyama's barycentre
//! method).

use super::layered::Ranked;

const SWEEPS: usize = 12;

pub(super) fn order(ranked: &mut Ranked) {
    let count = ranked.cells.len();
    let mut up: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut down = up.clone();
    for chain in ranked.chains.iter().flatten() {
        for pair in chain.cells.windows(2) {
            down[pair[0]].push(pair[1]);
            up[pair[1]].push(pair[0]);
        }
    }
    let mut best = ranked.layers.clone();
    let mut fewest = crossings(&best, &down);
    let mut layers = best.clone();
    for sweep in 0..SWEEPS {
        if fewest == 0 {
            break;
        }
        let downwards = sweep % 2 == 0;
        let neighbours = if downwards { &up } else { &down };
        let ranks: Vec<usize> =
            if downwards { (1..layers.len()).collect() } else { (0..layers.len() - 1).rev().collect() };
        for rank in ranks {
            let beside = if downwards { rank - 1 } else { rank + 1 };
            let at = positions(&layers[beside], count);
            let own = positions(&layers[rank], count);
            let mean = |cell: usize| mean(&neighbours[cell], &at).unwrap_or(own[cell]);
            layers[rank].sort_by(|a, b| mean(*a).total_cmp(&mean(*b)).then(own[*a].total_cmp(&own[*b])));
        }
        let crossed = crossings(&layers, &down);
        if crossed < fewest {
            fewest = crossed;
            best.clone_from(&layers);
        }
    }
    ranked.layers = best;
}

#[allow(clippy::cast_precision_loss)]
fn positions(layer: &[usize], count: usize) -> Vec<f64> {
    let mut at = vec![0.0; count];
    layer.iter().enumerate().for_each(|(position, cell)| at[*cell] = position as f64);
    at
}

#[allow(clippy::cast_precision_loss)]
fn mean(cells: &[usize], at: &[f64]) -> Option<f64> {
    (!cells.is_empty()).then(|| cells.iter().map(|cell| at[*cell]).sum::<f64>() / cells.len() as f64)
}

/// How many pairs of edges cross between neighbouring layers.
fn crossings(layers: &[Vec<usize>], down: &[Vec<usize>]) -> usize {
    layers.windows(2).map(|pair| crossings_between(&pair[0], &pair[1], down)).sum()
}

/// Inversions, counted by a tree of sums (Barth, Jünger and Mutzel, 2002).
fn crossings_between(above: &[usize], below: &[usize], down: &[Vec<usize>]) -> usize {
    let place: std::collections::HashMap<usize, usize> =
        below.iter().enumerate().map(|(at, cell)| (*cell, at)).collect();
    let mut sums = vec![0_usize; below.len() + 1];
    let (mut seen, mut crossed) = (0, 0);
    for cell in above {
        let mut ends: Vec<usize> = down[*cell].iter().filter_map(|to| place.get(to).copied()).collect();
        ends.sort_unstable();
        for end in &ends {
            let mut at = end + 1;
            let mut before = 0;
            while at > 0 {
                before += sums[at];
                at &= at - 1;
            }
            crossed += seen - before;
        }
        for end in ends {
            seen += 1;
            let mut at = end + 1;
            while at < sums.len() {
                sums[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
    }
    crossed
}
