//! The tracker that everybody writes first, for comparison: each open execution is described in turn. In simulated time,
//! with the same number of open executions, ends and quota as the detection of ours.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::{Bench, quantiles, rounded};

/// Half of a large region's descriptions a second.
const RATE: f64 = 7.5;

pub fn run(bench: &mut Bench) {
    for (open, horizon) in [(100, 120.0), (1_000, 600.0), (10_000, 2_000.0)] {
        let latencies = simulate(open, horizon);
        let count = latencies.len();
        let (median, worst, most) = quantiles(latencies);
        let values =
            json!({"ends": count, "p50 s": rounded(median), "p99 s": rounded(worst), "worst s": rounded(most)});
        bench.result(&format!("naive, simulated: one description a run, {open} open, from an empty bucket"), values);
    }
}

/// Seconds from end to description of every end, over three sweeps.
fn simulate(open: usize, horizon: f64) -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(1);
    let mut ends: Vec<f64> = (0..open).map(|_| random.random_range(0.0..horizon)).collect();
    let mut latencies = Vec::new();
    for look in 0..3 * open {
        let now = look as f64 / RATE;
        let end = &mut ends[look % open];
        if *end <= now {
            latencies.push(now - *end);
            // Replaced by one that was started when it ended.
            *end += random.random_range(0.5 * horizon..1.5 * horizon);
        }
    }
    latencies
}
