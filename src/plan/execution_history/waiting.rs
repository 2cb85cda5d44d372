//! Histories that have not begun: what each waits for, for how long at most, whose turn is next, and who is turned away where too
//! many wait. Whoever may `view` may ask, so whoever asks a thousand times must not keep the others from being answered.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::{ExecutionHistorySpec, ExecutionHistoryStatus};
use crate::outcome::{Class, Failure};
use crate::plan::execution_history::expires_at;
use crate::reason::Reason;
use crate::status::{READY, find};

/// Histories of one namespace that wait.
pub const WAITING: usize = 100;
/// Histories of one namespace that failed before anything was read, and are kept for as long as they ask for.
pub const FAILED_UNREAD: usize = 100;
/// A run may be created a moment after the wish for its history, as where one manifest has both.
const RUN_COMES_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// A run may wait long for its start, and a history for its place.
const WAITS_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Who is refused all that time is refused for good, unless a person mends it.
const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// What is turned away stays as long as whoever asked needs to see why.
const TURNED_AWAY_FOR: SignedDuration = SignedDuration::from_secs(60);

/// What a history waits for. The order is that in which they are turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitsFor {
    /// Its run, which is not there.
    Run,
    /// What it does not get: the start of its run, a session, an answer.
    Answer,
    /// A place, or the first look at it.
    Place,
}

/// What a history waits for, as its status says.
pub fn waits_for(status: Option<&ExecutionHistoryStatus>) -> WaitsFor {
    let ready = status.and_then(|status| find(&status.conditions, READY));
    let is = |reason: Reason| ready.is_some_and(|ready| ready.reason == reason.as_str());
    if ready.is_none() || is(Reason::TooManyHistories) {
        WaitsFor::Place
    } else if is(Reason::RunNotFound) {
        WaitsFor::Run
    } else {
        WaitsFor::Answer
    }
}

/// A history that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its UID.
    pub uid: String,
    /// The run that it names.
    pub run: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

impl Waiting {
    fn order(&self) -> (Option<Timestamp>, &str) {
        (self.created, &self.uid)
    }
}

/// How many of those that wait for a place come before this one. What waits for anything else holds up nobody. Runs take turns,
/// so that many wishes for one do not hold up the wish for another; otherwise who has waited longest is first.
pub fn before(own: &Waiting, others: &[Waiting]) -> usize {
    let mut all: Vec<&Waiting> = others.iter().filter(|one| one.waits_for == WaitsFor::Place).collect();
    all.push(own);
    all.sort_by_key(|one| one.order());
    let mut of_run: HashMap<&str, usize> = HashMap::new();
    let mut turns = Vec::with_capacity(all.len());
    for one in all {
        let turn = of_run.entry(&one.run).or_default();
        turns.push((*turn, one.order()));
        *turn += 1;
    }
    let own = turns.iter().find(|(_, order)| *order == own.order()).copied();
    turns.iter().filter(|turn| Some(**turn) < own).count()
}

/// True of a history that has to go, since more wait than may: first those without a run, then those that get no answer, then those
/// that wait for a place; of each the newest of the run that most of them name.
pub fn is_turned_away(own: &Waiting, others: &[Waiting]) -> bool {
    let Some(excess) = (others.len() + 1).checked_sub(WAITING).filter(|excess| *excess > 0) else { return false };
    let mut of_run: HashMap<&str, usize> = HashMap::new();
    for one in others.iter().chain([own]) {
        *of_run.entry(&one.run).or_default() += 1;
    }
    let rank = |one: &Waiting| (one.waits_for, std::cmp::Reverse(of_run[one.run.as_str()]));
    let goes_before =
        |one: &&Waiting| (rank(one), std::cmp::Reverse(one.order())) < (rank(own), std::cmp::Reverse(own.order()));
    others.iter().filter(goes_before).count() < excess
}

/// Why a history is turned away.
pub fn turned_away() -> Failure {
    let message = format!(
        "This namespace has {WAITING} histories that wait. Delete those that nobody needs, and create this one again; it is deleted in a minute."
    );
    Failure::new(Class::Terminal, Reason::TooManyHistories, message)
}

/// How long a history may go on waiting, created then; `None` once it was for long enough. `now` stands for a creation that is not told.
pub fn left_of(waits_for: WaitsFor, created: Option<Timestamp>, now: Timestamp) -> Option<SignedDuration> {
    let most = if waits_for == WaitsFor::Run { RUN_COMES_WITHIN } else { WAITS_FOR };
    left(most, created.unwrap_or(now), now)
}

/// How long a history may go on being refused, since then; `None` once it was for long enough.
pub fn left_of_refusal(since: Timestamp, now: Timestamp) -> Option<SignedDuration> {
    left(REFUSED_FOR, since, now)
}

fn left(most: SignedDuration, since: Timestamp, now: Timestamp) -> Option<SignedDuration> {
    Some(most.saturating_sub(now.duration_since(since))).filter(SignedDuration::is_positive)
}

/// The end of a wait that was too long: the same words, and what to do.
pub fn waited_too_long(failure: &Failure) -> Failure {
    let message =
        format!("{} No history waits longer for that: create another one once it has changed.", failure.message);
    Failure::new(Class::Terminal, failure.reason, message)
}

/// When a history is deleted that failed before anything was read, beside so many others of its namespace. There is nothing to
/// keep but the reason; so where there are many, and where it is told that there are, that is kept for a minute.
pub fn unread_expires_at(spec: &ExecutionHistorySpec, reason: Reason, others: usize, finished: Timestamp) -> Timestamp {
    let asked_for = expires_at(spec, finished);
    if reason != Reason::TooManyHistories && others < FAILED_UNREAD {
        return asked_for;
    }
    asked_for.min(finished.checked_add(TURNED_AWAY_FOR).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn one(run: &str, second: i64, waits_for: WaitsFor) -> Waiting {
        Waiting { uid: format!("{run}-{second:06}"), run: run.into(), created: Some(at(second)), waits_for }
    }

    fn many(run: &str, seconds: std::ops::Range<i64>, waits_for: WaitsFor) -> Vec<Waiting> {
        seconds.map(|second| one(run, second, waits_for)).collect()
    }

    /// Who stays where each decides for itself.
    fn stay(all: &[Waiting]) -> Vec<&Waiting> {
        let others = |own: &Waiting| all.iter().filter(|other| other.uid != own.uid).cloned().collect::<Vec<_>>();
        all.iter().filter(|own| !is_turned_away(own, &others(own))).collect()
    }

    #[test]
    fn what_waits_for_anything_but_a_place_holds_up_nobody() {
        let own = one("order", 5000, WaitsFor::Place);
        for waits_for in [WaitsFor::Run, WaitsFor::Answer] {
            assert_eq!(before(&own, &many("none", 0..1000, waits_for)), 0, "{waits_for:?}");
        }
        assert_eq!(before(&own, &many("order", 0..50, WaitsFor::Place)), 50, "in order of creation");
        assert_eq!(before(&own, &many("order", 5001..5050, WaitsFor::Place)), 0, "in order of creation");
        assert_eq!(before(&own, &many("other", 0..50, WaitsFor::Place)), 1, "runs take turns");
    }

    #[test]
    fn a_flood_turns_itself_away_and_nobody_else() {
        for waits_for in [WaitsFor::Run, WaitsFor::Answer, WaitsFor::Place] {
            let mut all = many("flood", 0..300, waits_for);
            all.push(one("order", 5000, WaitsFor::Place));
            all.push(one("queued", 5000, WaitsFor::Answer));
            let stay = stay(&all);
            assert_eq!(stay.len(), WAITING, "{waits_for:?}");
            assert!(stay.iter().any(|one| one.run == "order"), "{waits_for:?}");
            assert_eq!(stay.iter().any(|one| one.run == "queued"), waits_for != WaitsFor::Place, "{waits_for:?}");
            assert_eq!(stay[0].uid, "flood-000000", "the newest go: {waits_for:?}");
        }
        let mut names: Vec<Waiting> = (0..300).map(|at| one(&format!("none-{at}"), at, WaitsFor::Run)).collect();
        names.push(one("queued", 5000, WaitsFor::Answer));
        assert!(stay(&names).iter().any(|one| one.run == "queued"), "each names another run that is not there");
        assert_eq!(stay(&many("few", 0..100, WaitsFor::Place)).len(), 100);
    }

    proptest! {
        /// Each decides alone, and together they are as many as may wait; in the line each has its own place.
        #[test]
        fn as_many_stay_as_may_wait_and_nobody_shares_a_turn(wishes in prop::collection::vec((0..5u8, 0..20i64, 0..3u8), 0..200)) {
            let all: Vec<Waiting> = wishes.iter().enumerate().map(|(number, (run, second, kind))| {
                let waits_for = [WaitsFor::Run, WaitsFor::Answer, WaitsFor::Place][usize::from(*kind)];
                Waiting { uid: format!("{number}"), ..one(&format!("run-{run}"), *second, waits_for) }
            }).collect();
            prop_assert_eq!(stay(&all).len(), all.len().min(WAITING));
            let line: Vec<Waiting> = all.iter().filter(|one| one.waits_for == WaitsFor::Place).cloned().collect();
            let mut turns: Vec<usize> = line.iter().map(|own| {
                let others: Vec<Waiting> = all.iter().filter(|other| other.uid != own.uid).cloned().collect();
                before(own, &others)
            }).collect();
            turns.sort_unstable();
            prop_assert_eq!(turns, (0..line.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_wait_has_an_end() {
        for (waits_for, seconds, left) in [
            (WaitsFor::Run, 59, Some(1)),
            (WaitsFor::Run, 60, None),
            (WaitsFor::Answer, 60, Some(86_340)),
            (WaitsFor::Answer, 86_400, None),
            (WaitsFor::Place, 90_000, None),
        ] {
            let found = left_of(waits_for, Some(at(1000)), at(1000 + seconds));
            assert_eq!(found.map(|left| left.as_secs()), left, "{waits_for:?} after {seconds} s");
        }
        assert!(left_of_refusal(at(0), at(3599)).is_some() && left_of_refusal(at(0), at(3600)).is_none());
    }

    #[test]
    fn what_a_history_waits_for_stands_in_its_status() {
        let status = |reason: &str| -> ExecutionHistoryStatus {
            let ready = json!({"type": "Ready", "status": "False", "reason": reason, "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"});
            serde_json::from_value(json!({"conditions": [ready]})).unwrap()
        };
        assert_eq!(waits_for(None), WaitsFor::Place);
        for (reason, expected) in [
            ("TooManyHistories", WaitsFor::Place),
            ("RunNotFound", WaitsFor::Run),
            ("RunNotStarted", WaitsFor::Answer),
            ("AccessDenied", WaitsFor::Answer),
        ] {
            assert_eq!(waits_for(Some(&status(reason))), expected, "{reason}");
        }
    }

    #[test]
    fn what_failed_unread_goes_in_a_minute_where_there_are_many() {
        let spec: ExecutionHistorySpec =
            serde_json::from_value(json!({"workflowRunRef": {"name": "a"}, "ttlAfterFinished": "8760h"})).unwrap();
        for (reason, others, seconds) in
            [(Reason::RunNotFound, 99, 8760 * 3600), (Reason::RunNotFound, 100, 60), (Reason::TooManyHistories, 0, 60)]
        {
            assert_eq!(unread_expires_at(&spec, reason, others, at(0)), at(seconds), "{reason} {others}");
        }
        let soon =
            ExecutionHistorySpec { ttl_after_finished: crate::api::v1alpha1::DurationString("1s".into()), ..spec };
        assert_eq!(unread_expires_at(&soon, Reason::TooManyHistories, 500, at(0)), at(1));
    }
}
