//! The order within layers: sweeps by the mean place of the neighbours, the best of them kept (Sugiyama's barycentre
//! method).

use super::ranked::Ranked;

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
    // Where each cell stands in its layer. Neighbours are in the layers beside it, so one list serves all.
    let mut at = vec![0.0; count];
    for layer in &layers {
        stand(layer, &mut at);
    }
    for sweep in 0..SWEEPS {
        if fewest == 0 {
            break;
        }
        let downwards = sweep % 2 == 0;
        let neighbours = if downwards { &up } else { &down };
        let ranks: Vec<usize> =
            if downwards { (1..layers.len()).collect() } else { (0..layers.len() - 1).rev().collect() };
        for rank in ranks {
            let wish = |cell: usize| (mean(&neighbours[cell], &at).unwrap_or(at[cell]), at[cell], cell);
            let mut wishes: Vec<(f64, f64, usize)> = layers[rank].iter().map(|cell| wish(*cell)).collect();
            wishes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            layers[rank] = wishes.into_iter().map(|(.., cell)| cell).collect();
            stand(&layers[rank], &mut at);
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
fn stand(layer: &[usize], at: &mut [f64]) {
    layer.iter().enumerate().for_each(|(position, cell)| at[*cell] = position as f64);
}

#[allow(clippy::cast_precision_loss)]
fn mean(cells: &[usize], at: &[f64]) -> Option<f64> {
    (!cells.is_empty()).then(|| cells.iter().map(|cell| at[*cell]).sum::<f64>() / cells.len() as f64)
}

/// How many pairs of edges cross between neighbouring layers.
fn crossings(layers: &[Vec<usize>], down: &[Vec<usize>]) -> usize {
    let mut place = vec![0; down.len()];
    for layer in layers {
        layer.iter().enumerate().for_each(|(position, cell)| place[*cell] = position);
    }
    layers.windows(2).map(|pair| crossings_between(&pair[0], pair[1].len(), down, &place)).sum()
}

/// Inversions, counted by a tree of sums (Barth, Jünger and Mutzel, 2002).
fn crossings_between(above: &[usize], below: usize, down: &[Vec<usize>], place: &[usize]) -> usize {
    let mut sums = vec![0_usize; below + 1];
    let (mut seen, mut crossed) = (0, 0);
    for cell in above {
        let mut ends: Vec<usize> = down[*cell].iter().map(|to| place[*to]).collect();
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
