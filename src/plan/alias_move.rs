//! Versions that an execution by an alias may start as while AWS moves the alias. A move that was asked for may be made
//! although nobody heard the answer, and an execution that starts within seconds after the answer may still be routed as before
//! (`UpdateStateMachineAlias`: "eventually consistent").

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::v1alpha1::{AliasStatus, Route};

/// Whether AWS has to be asked: the alias is to route elsewhere, or nobody knows what came of the last time.
pub fn is_due(known: Option<&AliasStatus>, wanted: &[Route]) -> bool {
    known.is_none_or(|known| known.routes != wanted || !known.asked.is_empty())
}

/// Versions that get more executions than before, or that get any for the first time.
pub fn favoured(before: &[Route], after: &[Route]) -> Vec<i64> {
    let weight = |routes: &[Route], version: i64| {
        routes.iter().find(|route| route.version == version).map_or(0, |route| route.weight)
    };
    let grows = |route: &&Route| route.weight > weight(before, route.version);
    after.iter().filter(grows).map(|route| route.version).collect()
}

/// Notes where AWS is about to be asked to route. To be written before it is asked.
pub fn ask(status: &mut AliasStatus, wanted: &[Route]) {
    let versions = wanted.iter().map(|route| route.version).filter(|version| !routes_to(&status.routes, *version));
    add(&mut status.asked, versions);
}

/// The alias after AWS has moved it. Of one that is not known nobody knows where it routed before: there may have been one of its
/// name, and it may have routed to any of the `versions`.
pub fn moved(before: Option<&AliasStatus>, mut after: AliasStatus, versions: &[i64], now: Timestamp) -> AliasStatus {
    after.asked.clear();
    after.left.clear();
    let past = before.map_or_else(|| versions.to_vec(), may_start);
    let past = past.into_iter().filter(|version| !routes_to(&after.routes, *version)).collect::<Vec<i64>>();
    add(&mut after.left, past.into_iter());
    after.shifted_at = Some(Time(now));
    after
}

/// Forgets what the alias has left once AWS can be taken to have told it everywhere. Gives the time until then.
pub fn settle(status: &mut AliasStatus, now: Timestamp, settle_time: Duration) -> Option<Duration> {
    if status.left.is_empty() {
        return None;
    }
    let since = status.shifted_at.as_ref().map_or(now, |time| time.0);
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    let remaining = settle_time.checked_sub(passed).filter(|remaining| !remaining.is_zero());
    if remaining.is_none() {
        status.left.clear();
    }
    remaining
}

/// Versions that an execution by the alias may start as now.
pub fn may_start(status: &AliasStatus) -> Vec<i64> {
    let mut versions = Vec::new();
    let routes = status.routes.iter().map(|route| route.version);
    add(&mut versions, routes.chain(status.asked.iter().copied()).chain(status.left.iter().copied()));
    versions
}

/// Whether a version is among routes.
pub fn routes_to(routes: &[Route], version: i64) -> bool {
    routes.iter().any(|route| route.version == version)
}

fn add(to: &mut Vec<i64>, versions: impl Iterator<Item = i64>) {
    for version in versions {
        if !to.contains(&version) {
            to.push(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTLE_TIME: Duration = Duration::from_secs(60);

    fn route(version: i64) -> Vec<Route> {
        vec![Route { version, weight: 100 }]
    }

    fn status(routes: Vec<Route>) -> AliasStatus {
        AliasStatus { name: "live".into(), arn: "arn:m:live".into(), routes, ..AliasStatus::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_is_asked_counts_at_once_and_what_is_left_for_the_settle_time() {
        let mut known = status(route(1));
        assert!(!is_due(Some(&known), &route(1)) && is_due(Some(&known), &route(2)) && is_due(None, &route(1)));
        ask(&mut known, &route(2));
        assert_eq!(may_start(&known), [1, 2]);
        assert!(is_due(Some(&known), &route(1)), "nobody knows what came of it");
        let mut after = moved(Some(&known), status(route(2)), &[], at(100));
        assert_eq!(may_start(&after), [2, 1]);
        assert_eq!(settle(&mut after, at(130), SETTLE_TIME), Some(Duration::from_secs(30)));
        assert_eq!(may_start(&after), [2, 1]);
        assert_eq!(settle(&mut after, at(160), SETTLE_TIME), None);
        assert_eq!(may_start(&after), [2]);
        assert_eq!(
            may_start(&moved(None, status(route(2)), &[1, 2, 3], at(100))),
            [2, 1, 3],
            "one of its name was dropped"
        );
    }

    #[test]
    fn a_version_is_favoured_where_its_share_grows() {
        let half = [Route { version: 1, weight: 50 }, Route { version: 2, weight: 50 }];
        assert_eq!(favoured(&half, &route(2)), [2]);
        assert_eq!(favoured(&route(1), &half), [2]);
        assert_eq!(favoured(&half, &half), [0_i64; 0]);
        assert_eq!(favoured(&[], &route(1)), [1]);
    }

    /// What a try to move the alias comes to.
    #[derive(Clone, Copy, Debug)]
    enum Came {
        /// AWS answers.
        Answered,
        /// AWS does it, and the answer is lost.
        Lost,
        /// The operator dies before it asks.
        Died,
    }

    /// AWS: versions that an execution may start as, the later ones until when.
    struct Aws {
        routes: Vec<i64>,
        in_doubt: Vec<i64>,
        still: Vec<(i64, i64)>,
    }

    impl Aws {
        fn may_start(&self, now: i64) -> Vec<i64> {
            let still = self.still.iter().filter(|(_, until)| now < *until).map(|(version, _)| *version);
            self.routes.iter().copied().chain(self.in_doubt.iter().copied()).chain(still).collect()
        }
    }

    proptest! {
        #[test]
        fn whatever_aws_may_start_is_judged(steps in proptest::collection::vec((1..5_i64, 0..3_u8, 0..90_i64), 1..30)) {
            let mut known = status(route(1));
            let mut aws = Aws { routes: vec![1], in_doubt: vec![], still: vec![] };
            let mut now = 1000;
            for (version, came, wait) in steps {
                now += wait;
                let wanted = route(version);
                let mut decided = AliasStatus { routes: wanted.clone(), ..known.clone() };
                if is_due(Some(&known), &wanted) {
                    ask(&mut known, &wanted);
                    match [Came::Answered, Came::Lost, Came::Died][usize::from(came)] {
                        Came::Died => continue,
                        Came::Lost => {
                            aws.in_doubt.push(version);
                            continue;
                        }
                        Came::Answered => {
                            let before = aws.may_start(now);
                            aws.still.extend(before.into_iter().map(|version| (version, now + 60)));
                            (aws.routes, aws.in_doubt) = (vec![version], vec![]);
                            decided = moved(Some(&known), decided, &[], at(now));
                        }
                    }
                }
                settle(&mut decided, at(now), SETTLE_TIME);
                known = decided;
                for started in aws.may_start(now) {
                    prop_assert!(may_start(&known).contains(&started), "{started} of {known:?} at {now}");
                }
            }
        }
    }
}
