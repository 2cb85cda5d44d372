//! Which visits are left out first, for room.

use super::paths::{is_in_iteration, outermost};
use crate::api::v1alpha1::{Timeline, Visit, VisitResult};

/// How much it matters that a visit is told. Those of the lowest rank go first; of failures the first tell most, of the rest
/// the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    class: u8,
    outside: bool,
    order: i64,
}

impl Rank {
    /// `counts` says that it tells how many iterations there were, `inside` that it was in an iteration; `order` is that of entry.
    pub(super) fn of(result: VisitResult, counts: bool, inside: bool, order: usize) -> Self {
        let class = match result {
            VisitResult::Succeeded if !counts => 0,
            VisitResult::Succeeded | VisitResult::Aborted => 1,
            VisitResult::Running => 2,
            VisitResult::Caught => 3,
            VisitResult::Failed | VisitResult::TimedOut => 4,
        };
        let order = i64::try_from(order).unwrap_or(i64::MAX);
        Self { class, outside: !inside, order: if class == 4 { -order } else { order } }
    }
}

/// The timeline in at most so many bytes of JSON: what matters least is left out and counted.
pub fn fitted(mut timeline: Timeline, bytes: usize) -> Timeline {
    let mut order: Vec<usize> = (0..timeline.visits.len()).collect();
    order.sort_by_key(|index| rank(&timeline.visits[*index], *index));
    let sizes: Vec<usize> = timeline.visits.iter().map(|visit| encoded(visit) + 1).collect();
    let mut left: usize = sizes.iter().sum();
    // The number of those left out may grow by digits.
    let around = encoded(&Timeline { visits: Vec::new(), omitted: i64::MAX, ..timeline });
    let mut dropped = vec![false; sizes.len()];
    for index in order {
        if left + around <= bytes {
            break;
        }
        left -= sizes[index];
        dropped[index] = true;
        timeline.omitted += 1;
    }
    let mut dropped = dropped.into_iter();
    timeline.visits.retain(|_| dropped.next() != Some(true));
    timeline
}

fn rank(visit: &Visit, order: usize) -> Rank {
    // Without the definition the pointer of a state inside another ends at the outermost one.
    let inside = is_in_iteration(&visit.path) || !visit.path.ends_with(&outermost(&visit.state));
    Rank::of(visit.result, visit.iterations.is_some(), inside, order)
}

fn encoded(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX / 1000, |text| text.len())
}
