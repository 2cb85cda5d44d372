//! Where an alias routes next. Decided from the spec, what the status says of the alias, and how executions went.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::analysis::{Counts, Verdict};
use crate::api::v1alpha1::{Alias, AliasStatus, DurationString, Rollout, RolloutPhase, RolloutStrategy, Route};

/// What a decision starts from.
pub struct Situation<'a> {
    /// The alias as the spec has it.
    pub alias: &'a Alias,
    /// Its ARN.
    pub arn: String,
    /// The alias as the status has it; `None` where it was never made.
    pub status: Option<&'a AliasStatus>,
    /// Number of the newest version.
    pub latest: i64,
    /// Versions that were rolled back: none of them is rolled out again by itself.
    pub quarantined: &'a [i64],
    /// Somebody asks for this version to take over now.
    pub promote: Option<i64>,
    /// Somebody asks to hold.
    pub paused: bool,
    /// What the comparison of the two versions says, where it was made.
    pub verdict: Option<Verdict>,
    /// What it was made from.
    pub counts: Counts,
    /// What the rollout's alarms say.
    pub alarms: Alarms,
    /// The present time.
    pub now: Timestamp,
}

/// What the alarms of a rollout say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Alarms {
    /// None is named, or none speaks against the new version.
    #[default]
    Quiet,
    /// At least one does: it is in alarm, or does not exist. The text names each.
    Against(String),
    /// They could not be read, and why.
    Unknown(String),
}

/// What is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The alias as it is to be.
    pub status: AliasStatus,
    /// A version that has just failed.
    pub quarantine: Option<i64>,
    /// When to look again.
    pub look_again: Option<Duration>,
}

/// True while a rollout goes on, so that executions have to be compared.
pub fn is_under_way(status: Option<&AliasStatus>) -> bool {
    status.is_some_and(|status| matches!(status.phase, RolloutPhase::RollingOut | RolloutPhase::Paused))
}

/// True when the alarms have a say: the rollout is under way, or would begin if they were quiet.
pub fn asks_alarms(situation: &Situation<'_>) -> bool {
    let names_alarms = situation.alias.rollout.as_ref().is_some_and(|rollout| !rollout.alarms.is_empty());
    names_alarms && (is_under_way(situation.status) || is_under_way(Some(&decide(situation).status)))
}

/// Decides.
pub fn decide(situation: &Situation<'_>) -> Decision {
    let Situation { alias, status, latest, quarantined, .. } = situation;
    let current = status.map(heaviest_old);
    let goal = match (alias.version, current) {
        (Some(pinned), _) => pinned,
        (None, Some(current)) if quarantined.contains(latest) => current,
        _ => *latest,
    };
    let Some(status) = status else { return situation.stable(goal, "Created.") };
    let rollout = match &alias.rollout {
        Some(rollout) if rollout.strategy != RolloutStrategy::AllAtOnce => rollout,
        _ => return situation.stable(goal, ""),
    };
    let Some(current) = current.filter(|current| *current != goal) else {
        let rolled_back = status.phase == RolloutPhase::RolledBack && status.routes.len() == 1;
        return if rolled_back { situation.unchanged(status) } else { situation.stable(goal, "") };
    };
    if situation.promote == Some(goal) {
        return situation.stable(goal, "Promoted by annotation.");
    }
    if status.target == Some(goal) && is_under_way(Some(status)) {
        return situation.go_on(status, rollout, current, goal);
    }
    // A newer version supersedes one that is still being rolled out.
    match &situation.alarms {
        Alarms::Quiet => situation.shift(current, goal, rollout.percent.unwrap_or(100), situation.now),
        Alarms::Against(why) | Alarms::Unknown(why) => situation.wait(status, current, goal, why),
    }
}

impl Situation<'_> {
    fn go_on(&self, status: &AliasStatus, rollout: &Rollout, current: i64, goal: i64) -> Decision {
        let since =
            |time: &Option<Time>| time.as_ref().map_or(SignedDuration::ZERO, |time| self.now.duration_since(time.0));
        let verdict = self.verdict.unwrap_or(Verdict::TooFew);
        if verdict == Verdict::Bad {
            let told = self.counts.told(current, goal);
            let message =
                format!("Version {goal} fails more often than it may: {told}. Version {current} serves all again.");
            return self.roll_back(current, goal, message);
        }
        if verdict != Verdict::Good && since(&status.began_at) > span(&rollout.analysis_timeout) {
            let found = self.told(verdict, rollout, current, goal);
            let message =
                format!("Version {goal} has not proven itself in time: {found}. Version {current} serves all again.");
            return self.roll_back(current, goal, message);
        }
        match &self.alarms {
            Alarms::Quiet => {}
            Alarms::Against(why) => {
                return self.roll_back(current, goal, format!("{why}; version {current} serves all again."));
            }
            Alarms::Unknown(why) => {
                let phase = if self.paused { RolloutPhase::Paused } else { RolloutPhase::RollingOut };
                return self.held(status, phase, format!("Version {goal} is held: {why}."));
            }
        }
        if self.paused {
            let message = "Held by the annotation stepbound.dev/pause; remove it to go on.";
            return self.held(status, RolloutPhase::Paused, message.to_owned());
        }
        let interval = rollout.interval.as_ref().map_or(SignedDuration::ZERO, span);
        let left = interval - since(&status.shifted_at);
        let share = weight_of(status, goal);
        if verdict != Verdict::Good || left > SignedDuration::ZERO {
            let found = self.told(verdict, rollout, current, goal);
            let message = format!("Version {goal} gets {share} % of new executions: {found}.");
            return self.held(status, RolloutPhase::RollingOut, message);
        }
        let step = rollout.percent.unwrap_or(100);
        let next = if rollout.strategy == RolloutStrategy::Linear { share + step } else { 100 };
        if next >= 100 {
            return self.stable(goal, "Rolled out.");
        }
        let began = status.began_at.as_ref().map_or(self.now, |time| time.0);
        self.shift(current, goal, next, began)
    }

    /// What was counted and what it says, for people.
    fn told(&self, verdict: Verdict, rollout: &Rollout, old: i64, new: i64) -> String {
        let counted = self.counts.told(old, new);
        match verdict {
            Verdict::Good => format!("{counted}, which is well"),
            Verdict::Bad => format!("{counted}, which is more than may fail"),
            Verdict::TooFew => format!("{counted}; {} have to end before it goes on", rollout.min_executions),
            Verdict::Doubtful => format!("{counted}, which is more than may fail but may be chance"),
            Verdict::Slow => format!("{counted}, and some of version {new} are open for far longer than those took"),
        }
    }

    fn stable(&self, version: i64, message: &str) -> Decision {
        let unchanged = self.status.is_some_and(|status| {
            status.phase == RolloutPhase::Stable && status.routes == [Route { version, weight: 100 }]
        });
        if let (true, Some(status)) = (unchanged, self.status) {
            return self.unchanged(status);
        }
        self.decided(AliasStatus {
            name: self.alias.name.clone(),
            arn: self.arn.clone(),
            routes: vec![Route { version, weight: 100 }],
            phase: RolloutPhase::Stable,
            target: None,
            began_at: None,
            shifted_at: Some(Time(self.now)),
            message: message.to_owned(),
            ..AliasStatus::default()
        })
    }

    fn shift(&self, old: i64, new: i64, percent: i64, began: Timestamp) -> Decision {
        let routes = vec![Route { version: old, weight: 100 - percent }, Route { version: new, weight: percent }];
        self.decided(AliasStatus {
            name: self.alias.name.clone(),
            arn: self.arn.clone(),
            routes,
            phase: RolloutPhase::RollingOut,
            target: Some(new),
            began_at: Some(Time(began)),
            shifted_at: Some(Time(self.now)),
            message: format!("Version {new} gets {percent} % of new executions."),
            ..AliasStatus::default()
        })
    }

    /// The old version serves all until the alarms let the new one begin.
    fn wait(&self, status: &AliasStatus, old: i64, new: i64, why: &str) -> Decision {
        let message = format!("Version {new} waits: {why}. It begins by itself when that has ended.");
        if status.phase == RolloutPhase::Waiting && status.target == Some(new) {
            return self.held(status, RolloutPhase::Waiting, message);
        }
        let alone = self.stable(old, "").status;
        self.decided(AliasStatus { phase: RolloutPhase::Waiting, target: Some(new), message, ..alone })
    }

    fn roll_back(&self, old: i64, bad: i64, message: String) -> Decision {
        let status =
            AliasStatus { phase: RolloutPhase::RolledBack, target: Some(bad), message, ..self.stable(old, "").status };
        Decision { quarantine: Some(bad), ..self.decided(status) }
    }

    fn held(&self, status: &AliasStatus, phase: RolloutPhase, message: String) -> Decision {
        self.decided(AliasStatus { phase, message, ..status.clone() })
    }

    fn unchanged(&self, status: &AliasStatus) -> Decision {
        self.decided(status.clone())
    }

    /// What AWS may start besides the routes is not decided here, and stays.
    fn decided(&self, mut status: AliasStatus) -> Decision {
        const SHORTEST: Duration = Duration::from_secs(1);
        const LONGEST: Duration = Duration::from_secs(30);
        status.asked = self.status.map(|status| status.asked.clone()).unwrap_or_default();
        status.left = self.status.map(|status| status.left.clone()).unwrap_or_default();
        let interval = self.alias.rollout.as_ref().and_then(|rollout| rollout.interval.as_ref()?.to_std());
        let look_again = (is_under_way(Some(&status)) || status.phase == RolloutPhase::Waiting)
            .then(|| interval.map_or(LONGEST, |all| (all / 10).clamp(SHORTEST, LONGEST)));
        Decision { status, quarantine: None, look_again }
    }
}

/// The version that served before the rollout, or serves alone.
fn heaviest_old(status: &AliasStatus) -> i64 {
    let old = status.routes.iter().filter(|route| status.routes.len() == 1 || Some(route.version) != status.target);
    old.map(|route| route.version).next().unwrap_or_default()
}

fn weight_of(status: &AliasStatus, version: i64) -> i64 {
    status.routes.iter().find(|route| route.version == version).map_or(0, |route| route.weight)
}

fn span(duration: &DurationString) -> SignedDuration {
    duration.to_std().and_then(|span| SignedDuration::try_from(span).ok()).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn alias(rollout: &serde_json::Value) -> Alias {
        serde_json::from_value(json!({"name": "live", "rollout": rollout})).unwrap()
    }

    /// An alias that lives through events.
    struct Life {
        alias: Alias,
        status: Option<AliasStatus>,
        quarantined: Vec<i64>,
        alarms: Alarms,
        now: Timestamp,
    }

    impl Life {
        #[allow(clippy::needless_pass_by_value)] // reads as a literal
        fn new(rollout: serde_json::Value) -> Self {
            Self {
                alias: alias(&rollout),
                status: None,
                quarantined: vec![],
                alarms: Alarms::Quiet,
                now: Timestamp::from_second(1000).unwrap(),
            }
        }

        fn step(&mut self, latest: i64, verdict: Option<Verdict>, seconds: i64) -> String {
            self.with(latest, verdict, seconds, None, false)
        }

        fn with(
            &mut self,
            latest: i64,
            verdict: Option<Verdict>,
            seconds: i64,
            promote: Option<i64>,
            paused: bool,
        ) -> String {
            self.now += SignedDuration::from_secs(seconds);
            let situation = Situation {
                alias: &self.alias,
                arn: "arn:m:live".into(),
                status: self.status.as_ref(),
                latest,
                quarantined: &self.quarantined,
                promote,
                paused,
                verdict,
                counts: Counts { old: (2, 90), new: (1, 4) },
                alarms: Alarms::Quiet,
                now: self.now,
            };
            let alarms = if asks_alarms(&situation) { self.alarms.clone() } else { Alarms::Quiet };
            let decision = decide(&Situation { alarms, ..situation });
            self.quarantined.extend(decision.quarantine);
            let routes: Vec<String> =
                decision.status.routes.iter().map(|route| format!("{}:{}", route.version, route.weight)).collect();
            let said = format!("{:?} {}", decision.status.phase, routes.join(" "));
            self.status = Some(decision.status);
            said
        }
    }

    #[test]
    fn a_canary_waits_for_time_and_proof_and_then_takes_all() {
        let mut life = Life::new(json!({"strategy": "Canary", "percent": 10, "interval": "60s"}));
        assert_eq!(life.step(1, None, 0), "Stable 1:100");
        assert_eq!(life.step(2, None, 10), "RollingOut 1:90 2:10");
        assert_eq!(life.step(2, Some(Verdict::Good), 30), "RollingOut 1:90 2:10");
        assert_eq!(life.step(2, Some(Verdict::TooFew), 60), "RollingOut 1:90 2:10");
        assert_eq!(life.step(2, Some(Verdict::Good), 1), "Stable 2:100");
    }

    #[test]
    fn the_message_of_an_alias_has_the_tally_in_words() {
        let counted = "1 of 4 ended executions of version 2 failed, of version 1 2 of 90";
        for (verdict, seconds, said) in [
            (
                Verdict::TooFew,
                1,
                format!("Version 2 gets 10 % of new executions: {counted}; 10 have to end before it goes on."),
            ),
            (
                Verdict::Slow,
                1,
                format!(
                    "Version 2 gets 10 % of new executions: {counted}, and some of version 2 are open for far longer than those took."
                ),
            ),
            (
                Verdict::Bad,
                1,
                format!("Version 2 fails more often than it may: {counted}. Version 1 serves all again."),
            ),
            (
                Verdict::Doubtful,
                9999,
                format!(
                    "Version 2 has not proven itself in time: {counted}, which is more than may fail but may be chance. Version 1 serves all again."
                ),
            ),
        ] {
            let rollout = json!({"strategy": "Canary", "percent": 10, "interval": "60s", "minExecutions": 10, "analysisTimeout": "1h"});
            let mut life = Life::new(rollout);
            life.step(1, None, 0);
            life.step(2, None, 10);
            life.step(2, Some(verdict), seconds);
            assert_eq!(life.status.unwrap().message, said);
        }
    }

    #[test]
    fn a_linear_rollout_goes_step_by_step() {
        let mut life = Life::new(json!({"strategy": "Linear", "percent": 40, "interval": "60s"}));
        life.step(1, None, 0);
        assert_eq!(life.step(2, None, 10), "RollingOut 1:60 2:40");
        assert_eq!(life.step(2, Some(Verdict::Good), 60), "RollingOut 1:20 2:80");
        assert_eq!(life.step(2, Some(Verdict::Good), 59), "RollingOut 1:20 2:80");
        assert_eq!(life.step(2, Some(Verdict::Good), 1), "Stable 2:100");
    }

    #[test]
    fn a_bad_version_is_rolled_back_and_never_tried_again_by_itself() {
        let mut life = Life::new(json!({"strategy": "Canary", "percent": 10, "interval": "60s"}));
        life.step(1, None, 0);
        life.step(2, None, 10);
        assert_eq!(life.step(2, Some(Verdict::Bad), 1), "RolledBack 1:100");
        assert_eq!(life.step(2, None, 999_999), "RolledBack 1:100");
        assert_eq!(life.step(3, None, 1), "RollingOut 1:90 3:10");
        assert_eq!(life.step(3, Some(Verdict::Good), 60), "Stable 3:100");
    }

    #[test]
    fn a_version_that_does_not_prove_itself_in_time_is_rolled_back() {
        let mut life =
            Life::new(json!({"strategy": "Canary", "percent": 10, "interval": "60s", "analysisTimeout": "10m"}));
        life.step(1, None, 0);
        life.step(2, None, 10);
        assert_eq!(life.step(2, Some(Verdict::Slow), 600), "RollingOut 1:90 2:10");
        assert_eq!(life.step(2, Some(Verdict::TooFew), 1), "RolledBack 1:100");
    }

    #[test]
    fn people_pause_promote_and_supersede() {
        let mut life = Life::new(json!({"strategy": "Canary", "percent": 10, "interval": "60s"}));
        life.step(1, None, 0);
        life.step(2, None, 10);
        assert_eq!(life.with(2, Some(Verdict::Good), 120, None, true), "Paused 1:90 2:10");
        assert_eq!(life.with(2, Some(Verdict::Bad), 1, None, true), "RolledBack 1:100");
        assert_eq!(life.with(2, None, 1, Some(2), false), "RolledBack 1:100", "what was rolled back is not promoted");
        life.step(3, None, 1);
        assert_eq!(life.step(4, None, 1), "RollingOut 1:90 4:10");
        assert_eq!(life.with(4, None, 1, Some(3), false), "RollingOut 1:90 4:10");
        assert_eq!(life.with(4, None, 1, Some(4), false), "Stable 4:100");
    }

    #[test]
    fn an_alarm_keeps_a_rollout_from_beginning_and_ends_one_that_is_under_way() {
        let mut life = Life::new(json!({"strategy": "Canary", "percent": 10, "interval": "60s", "alarms": ["errors"]}));
        life.alarms = Alarms::Against("alarm \"errors\" is in alarm".into());
        assert_eq!(life.step(1, None, 0), "Stable 1:100", "the first version has no other to go back to");
        assert_eq!(life.step(2, None, 10), "Waiting 1:100");
        let waiting = life.status.clone();
        assert_eq!(life.step(2, None, 500), "Waiting 1:100");
        assert_eq!(life.status, waiting, "nothing changes while it waits");
        assert_eq!(life.step(3, None, 1), "Waiting 1:100");
        let waiting = life.status.clone();
        assert_eq!(
            life.with(3, None, 1, Some(3), false),
            "Stable 3:100",
            "who promotes is not kept waiting by an alarm"
        );
        life.status = waiting;
        life.alarms = Alarms::Quiet;
        assert_eq!(life.step(3, None, 1), "RollingOut 1:90 3:10");
        life.alarms = Alarms::Unknown("they cannot be read".into());
        assert_eq!(
            life.step(3, Some(Verdict::Good), 120),
            "RollingOut 1:90 3:10",
            "what is not known promotes nothing"
        );
        life.alarms = Alarms::Against("alarm \"errors\" is in alarm".into());
        assert_eq!(life.step(4, None, 1), "Waiting 1:100", "a newer version ends the old rollout and waits itself");
        life.alarms = Alarms::Quiet;
        assert_eq!(life.step(4, None, 1), "RollingOut 1:90 4:10");
        life.alarms = Alarms::Against("alarm \"errors\" is in alarm".into());
        assert_eq!(life.step(4, Some(Verdict::Good), 1), "RolledBack 1:100");
        assert_eq!(life.quarantined, [4]);
    }

    #[test]
    fn a_pinned_alias_and_one_that_moves_at_once_do_as_told() {
        let mut life = Life::new(json!({"strategy": "AllAtOnce"}));
        assert_eq!(life.step(1, None, 0), "Stable 1:100");
        assert_eq!(life.step(2, None, 0), "Stable 2:100");
        life.alias = serde_json::from_value(json!({"name": "live", "version": 1})).unwrap();
        assert_eq!(life.step(3, None, 0), "Stable 1:100");
        life.quarantined = vec![2];
        life.alias = serde_json::from_value(json!({"name": "live", "version": 2})).unwrap();
        assert_eq!(
            life.step(3, None, 0),
            "Stable 2:100",
            "a version that was rolled back serves where the spec names it"
        );
    }

    proptest! {
        #[test]
        fn weights_are_whole_and_the_decision_rests(
            steps in prop::collection::vec((1i64..6, 0usize..6, 0i64..4000, any::<bool>()), 1..40),
            percent in 1i64..99,
            linear in any::<bool>(),
        ) {
            let strategy = if linear { "Linear" } else { "Canary" };
            let mut life = Life::new(json!({"strategy": strategy, "percent": percent, "interval": "60s", "analysisTimeout": "1h"}));
            let mut latest = 1;
            for (more, verdict, seconds, paused) in steps {
                latest = latest.max(more);
                let verdicts =
                    [None, Some(Verdict::Good), Some(Verdict::Bad), Some(Verdict::TooFew), Some(Verdict::Doubtful), Some(Verdict::Slow)];
                life.with(latest, verdicts[verdict], seconds, None, paused);
                let status = life.status.clone().unwrap();
                prop_assert!((1..=2).contains(&status.routes.len()));
                prop_assert_eq!(status.routes.iter().map(|route| route.weight).sum::<i64>(), 100);
                prop_assert!(status.routes.iter().all(|route| route.weight > 0));
                prop_assert!(status.routes.iter().all(|route| !life.quarantined.contains(&route.version)), "{:?}", status);
                // Decided again at once, without proof, no version gains.
                life.with(latest, Some(Verdict::TooFew), 0, None, paused);
                let again = life.status.clone().unwrap();
                prop_assert!(again.routes == status.routes || again.phase == RolloutPhase::RolledBack);
            }
        }
    }
}
