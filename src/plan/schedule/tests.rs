use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::reason::Reason;

const HOUR: i64 = 3600;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seconds(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn spec(more: &serde_json::Value) -> WorkflowScheduleSpec {
    let mut spec = json!({"schedule": "0 * * * *", "runTemplate": {"spec": {"workflowRef": {"name": "w"}}}});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn identity(created: &str) -> Identity<'static> {
    Identity { name: "nightly", uid: "uid", created_at: at(created) }
}

fn run(name: &str, phase: Phase) -> OwnedRun {
    OwnedRun {
        name: name.into(),
        uid: format!("uid of {name}"),
        phase,
        created_at: at("2026-01-01T00:00:00Z"),
        finished_at: phase.is_finished().then(|| at("2026-01-01T00:10:00Z")),
        cancelled: false,
        deleting: false,
    }
}

fn creations(plan: &Plan) -> Vec<&Tick> {
    plan.actions.iter().filter_map(|action| if let Action::Create(tick) = action { Some(tick) } else { None }).collect()
}

#[test]
fn names_follow_from_the_uid_and_the_scheduled_minute() {
    let now = at("2026-01-01T01:00:00.2Z");
    let planned =
        plan(identity("2026-01-01T00:30:00Z"), &spec(&json!({})), &WorkflowScheduleStatus::default(), &[], now);
    let minute = at("2026-01-01T01:00:00Z").as_second() / 60;
    let tick = creations(&planned)[0];
    assert_eq!((&*tick.run_name, &*tick.execution_name), (&*format!("nightly-{minute}"), &*format!("uid-{minute}")));
    assert_eq!(tick.start_deadline, at("2026-03-31T01:00:00Z"), "as long as AWS keeps the name");
    assert_eq!(planned.wake_at, Some(at("2026-01-01T02:00:00Z")));
}

#[test]
fn of_the_times_missed_only_the_latest_is_made_up_for_and_many_are_told() {
    let status = WorkflowScheduleStatus {
        last_schedule_time: Some(Time(at("2026-01-01T00:00:00Z"))),
        schedule: Some("0 * * * * UTC".into()),
        ..WorkflowScheduleStatus::default()
    };
    for (now, scheduled, told) in [
        ("2026-01-01T00:59:59Z", None, false),
        ("2026-01-01T01:00:00Z", Some("2026-01-01T01:00:00Z"), false),
        ("2026-01-05T04:30:00Z", Some("2026-01-05T04:00:00Z"), false),
        ("2026-01-05T05:30:00Z", Some("2026-01-05T05:00:00Z"), true),
        ("2036-01-05T05:30:00Z", Some("2036-01-05T05:00:00Z"), true),
    ] {
        let planned = plan(identity("2025-01-01T00:00:00Z"), &spec(&json!({})), &status, &[], at(now));
        assert_eq!(creations(&planned).first().map(|tick| tick.scheduled), scheduled.map(at), "{now}");
        assert_eq!(planned.news.iter().any(|news| news.reason == Reason::TooManyMissedTimes), told, "{now}");
    }
}

#[test]
fn what_is_later_than_its_deadline_is_missed_and_told_once() {
    let spec = spec(&json!({"startingDeadlineSeconds": 60}));
    let status = WorkflowScheduleStatus::default();
    let who = identity("2026-01-01T00:30:00Z");
    assert_eq!(creations(&plan(who, &spec, &status, &[], at("2026-01-01T01:01:00Z"))).len(), 1);
    let late = plan(who, &spec, &status, &[], at("2026-01-01T01:01:01Z"));
    assert_eq!((creations(&late).len(), late.news.len()), (0, 1));
    assert_eq!(late.status.last_missed_time, Some(Time(at("2026-01-01T01:00:00Z"))));
    let later = plan(who, &spec, &late.status, &[], at("2026-01-01T01:30:00Z"));
    assert_eq!(later.news, []);
}

#[test]
fn a_changed_schedule_does_not_run_for_times_before_its_change() {
    let who = identity("2026-01-01T00:30:00Z");
    let first = plan(who, &spec(&json!({})), &WorkflowScheduleStatus::default(), &[], at("2026-01-01T00:40:00Z"));
    let changed = spec(&json!({"schedule": "35 * * * *"}));
    let second = plan(who, &changed, &first.status, &[], at("2026-01-01T00:41:00Z"));
    assert_eq!(second.actions, []);
    assert_eq!(second.wake_at, Some(at("2026-01-01T01:35:00Z")));
    let third = plan(who, &changed, &second.status, &[], at("2026-01-01T01:35:00Z"));
    assert_eq!(creations(&third).len(), 1);
}

#[test]
fn a_suspended_schedule_starts_nothing_and_then_makes_up_for_the_latest() {
    let who = identity("2026-01-01T00:30:00Z");
    let suspended = spec(&json!({"suspend": true}));
    let planned = plan(who, &suspended, &WorkflowScheduleStatus::default(), &[], at("2026-01-01T04:00:00Z"));
    assert_eq!((planned.actions.len(), planned.wake_at, planned.failure), (0, None, None));
    let resumed = plan(who, &spec(&json!({})), &planned.status, &[], at("2026-01-01T04:30:00Z"));
    assert_eq!(creations(&resumed)[0].scheduled, at("2026-01-01T04:00:00Z"));
}

#[test]
fn forbid_waits_and_replace_cancels_first() {
    let who = identity("2026-01-01T00:30:00Z");
    let runs = [run("nightly-1", Phase::Running)];
    let status = WorkflowScheduleStatus::default();
    let now = at("2026-01-01T01:00:00Z");
    let forbid = plan(who, &spec(&json!({"concurrencyPolicy": "Forbid"})), &status, &runs, now);
    assert_eq!(forbid.actions, []);
    assert_eq!(forbid.waiting.as_ref().unwrap().reason, Reason::RunActive);
    let replace = spec(&json!({"concurrencyPolicy": "Replace"}));
    let replacing = plan(who, &replace, &status, &runs, now);
    assert!(matches!(&replacing.actions[..], [Action::Cancel(run, _)] if run.name == "nightly-1"));
    let cancelled = [OwnedRun { cancelled: true, ..runs[0].clone() }];
    assert_eq!(plan(who, &replace, &status, &cancelled, now).actions, []);
    let ended = [run("nightly-1", Phase::Aborted)];
    assert_eq!(creations(&plan(who, &replace, &status, &ended, now)).len(), 1);
}

fn labelled(metadata: &serde_json::Value) -> serde_json::Value {
    json!({"runTemplate": {"metadata": metadata, "spec": {"workflowRef": {"name": "fulfil"}}}})
}

#[test]
fn what_cannot_be_scheduled_says_why() {
    for (more, reason, word) in [
        (json!({"schedule": "61 * * * *"}), "ScheduleInvalid", "minute"),
        (json!({"schedule": "0 0 * * 7"}), "ScheduleInvalid", "Sunday is 0"),
        (json!({"schedule": "* * * *"}), "ScheduleInvalid", "five"),
        (json!({"schedule": "@every soon"}), "ScheduleInvalid", "1h30m"),
        (json!({"schedule": "TZ=UTC * * * * *"}), "ScheduleInvalid", "spec.timeZone"),
        (json!({"timeZone": "Europe/Atlantis"}), "TimeZoneUnknown", "Europe/Berlin"),
        (json!({"timeZone": "europe/paris"}), "TimeZoneUnknown", "Europe/Paris"),
        (json!({"timeZone": "Local"}), "TimeZoneUnknown", "IANA"),
        (json!({"schedule": "59 23 31 2 *"}), "ScheduleNeverDue", "five years"),
        (labelled(&json!({"labels": {"team": "my team"}})), "RunTemplateInvalid", "\"team\" has a value"),
        (labelled(&json!({"labels": {"Acme.example/a": ""}})), "RunTemplateInvalid", "no key of a label"),
        (labelled(&json!({"annotations": {"a/b/c": ""}})), "RunTemplateInvalid", "no key of an annotation"),
    ] {
        let planned = plan(
            identity("2026-01-01T00:30:00Z"),
            &spec(&more),
            &WorkflowScheduleStatus::default(),
            &[],
            at("2026-01-01T01:00:00Z"),
        );
        let failure = planned.failure.unwrap();
        assert_eq!((failure.reason.as_str(), planned.actions.len()), (reason, 0), "{more}");
        assert!(failure.message.contains(word), "{}", failure.message);
    }
}

#[test]
fn years_of_missed_minutes_cost_no_more_than_a_day() {
    let cron = Cron::parse("* * 1 * *").unwrap();
    let (since, until) = (at("1970-01-01T00:00:00Z"), at("2026-05-30T00:00:00Z"));
    assert_eq!(cron.latest(since, until, &TimeZone::UTC), Some(at("2026-05-01T23:59:00Z")));
    let every = Cron::parse("@every 90s").unwrap();
    assert_eq!(every.latest(since, until, &TimeZone::UTC), Some(at("2026-05-30T00:00:00Z")));
}

#[derive(Clone, Debug)]
enum Event {
    /// Time passes and the operator looks; it crashes after so many actions, or before the status is written.
    Look { seconds: i64, crash_after: Option<usize> },
    /// A run ends.
    End { index: usize, good: bool },
    /// A run is cancelled at AWS, where that was asked for.
    Stop,
    /// Somebody deletes a run.
    Delete { index: usize },
    /// Somebody restores a status from an hour ago.
    Forget,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let look = (1..3 * HOUR, prop::option::weighted(0.3, 0..4_usize))
        .prop_map(|(seconds, crash_after)| Event::Look { seconds, crash_after });
    let event = prop_oneof![
        5 => look,
        3 => (any::<usize>(), any::<bool>()).prop_map(|(index, good)| Event::End { index, good }),
        1 => Just(Event::Stop),
        1 => any::<usize>().prop_map(|index| Event::Delete { index }),
        1 => Just(Event::Forget),
    ];
    prop::collection::vec(event, 1..60)
}

/// The API server and AWS as far as they matter here.
struct World {
    spec: WorkflowScheduleSpec,
    now: i64,
    status: WorkflowScheduleStatus,
    older: WorkflowScheduleStatus,
    runs: BTreeMap<String, OwnedRun>,
    /// How often an execution was started: AWS refuses a second one of a name.
    executions: BTreeMap<String, u32>,
    scheduled: BTreeSet<Timestamp>,
    uids: u32,
}

impl World {
    fn new(spec: WorkflowScheduleSpec) -> Self {
        let (status, older) = (WorkflowScheduleStatus::default(), WorkflowScheduleStatus::default());
        let (runs, executions, scheduled) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { spec, now: at("2026-01-01T00:00:00Z").as_second(), status, older, runs, executions, scheduled, uids: 0 }
    }

    fn plan(&self) -> Plan {
        let runs: Vec<OwnedRun> = self.runs.values().cloned().collect();
        plan(identity("2026-01-01T00:00:00Z"), &self.spec, &self.status, &runs, seconds(self.now))
    }

    fn look(&mut self, crash_after: Option<usize>) {
        let planned = self.plan();
        let mut status = planned.status.clone();
        for (index, action) in planned.actions.iter().enumerate() {
            if crash_after == Some(index) {
                return;
            }
            self.apply(action, &mut status);
        }
        let rest = crash_after.map(|after| after - planned.actions.len());
        if rest == Some(0) {
            return;
        }
        self.older = std::mem::replace(&mut self.status, status);
        for run in planned.forget.iter().take(rest.map_or(usize::MAX, |rest| rest - 1)) {
            assert!(self.runs[&run.name].phase.is_finished());
            self.runs.remove(&run.name);
        }
        let again = self.plan();
        assert!(again.actions.is_empty() && again.news.is_empty(), "planning again finds nothing: {again:?}");
        assert!(rest.is_some() || again.forget.is_empty(), "{again:?}");
    }

    fn apply(&mut self, action: &Action, status: &mut WorkflowScheduleStatus) {
        match action {
            Action::Cancel(run, _) => self.runs.get_mut(&run.name).unwrap().cancelled = true,
            Action::Create(tick) => {
                let active = self.runs.values().filter(|run| !run.phase.is_finished()).count();
                assert!(self.spec.concurrency_policy == ConcurrencyPolicy::Allow || active == 0, "never two at a time");
                assert!(tick.scheduled <= seconds(self.now));
                self.uids += 1;
                let uid = format!("{}", self.uids);
                *self.executions.entry(tick.execution_name.clone()).or_default() += 1;
                let created =
                    OwnedRun { uid: uid.clone(), created_at: seconds(self.now), ..run(&tick.run_name, Phase::Running) };
                assert!(self.runs.insert(tick.run_name.clone(), created).is_none(), "a name is created once");
                self.scheduled.insert(tick.scheduled);
                super::created(status, tick, ActiveRun { name: tick.run_name.clone(), uid });
            }
        }
    }

    fn end(&mut self, name: &str, phase: Phase) {
        let now = seconds(self.now);
        let run = self.runs.get_mut(name).unwrap();
        if !run.phase.is_finished() {
            (run.phase, run.finished_at) = (phase, Some(now));
        }
    }

    fn nth(&self, index: usize) -> Option<String> {
        (!self.runs.is_empty()).then(|| self.runs.keys().nth(index % self.runs.len()).unwrap().clone())
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Look { seconds, crash_after } => {
                self.now += seconds;
                self.look(*crash_after);
            }
            Event::End { index, good } => {
                if let Some(name) = self.nth(*index) {
                    self.end(&name, if *good { Phase::Succeeded } else { Phase::Failed });
                }
            }
            Event::Stop => {
                let cancelled: Vec<String> =
                    self.runs.values().filter(|run| run.cancelled).map(|run| run.name.clone()).collect();
                for name in &cancelled {
                    self.end(name, Phase::Aborted);
                }
            }
            Event::Delete { index } => {
                if let Some(name) = self.nth(*index) {
                    self.runs.remove(&name);
                }
            }
            Event::Forget => self.status = self.older.clone(),
        }
    }
}

proptest! {
    /// Whatever crashes: the run of a minute is there once, the names are those of scheduled times, never two run where
    /// that is forbidden, and what was done last is within the limits.
    #[test]
    fn no_history_runs_a_time_twice_or_two_at_once(
        policy in prop::sample::select(vec!["Allow", "Forbid", "Replace"]),
        schedule in prop::sample::select(vec!["0 * * * *", "*/7 * * * *", "@every 25m", "30 1,2 * * *"]),
        limits in (0..3_i32, 0..3_i32),
        events in events(),
    ) {
        let spec = spec(&json!({
            "schedule": schedule, "concurrencyPolicy": policy, "timeZone": "Europe/Berlin",
            "successfulRunsHistoryLimit": limits.0, "failedRunsHistoryLimit": limits.1,
        }));
        let mut world = World::new(spec);
        let mut lost_or_deleted = false;
        for event in &events {
            lost_or_deleted |= matches!(event, Event::Forget | Event::Delete { .. });
            world.happen(event);
        }
        // A run that was created again is refused by AWS, by its name; without a loss none even is.
        prop_assert!(lost_or_deleted || world.executions.values().all(|count| *count == 1), "{:?}", world.executions);
        prop_assert_eq!(world.executions.len(), world.scheduled.iter().map(|time| time.as_second() / 60).collect::<BTreeSet<_>>().len());
        world.now += 3 * HOUR;
        let names: Vec<String> = world.runs.keys().cloned().collect();
        for name in &names {
            world.end(name, Phase::Succeeded);
        }
        world.look(None);
        world.look(None);
        for (good, limit) in [(true, limits.0), (false, limits.1)] {
            let kept = world.runs.values().filter(|run| run.phase.is_finished() && run.phase.is_good() == good).count();
            prop_assert!(kept <= usize::try_from(limit).unwrap(), "{kept} kept");
        }
        // Nothing stands in the way now, so the latest time has its run.
        let cron = Cron::parse(schedule).unwrap();
        if matches!(cron, Cron::Calendar(_)) {
            let zone = cron::time_zone("Europe/Berlin").unwrap();
            let latest = cron.latest(at("2026-01-01T00:00:00Z"), seconds(world.now), &zone);
            prop_assert_eq!(world.status.last_schedule_time.map(|time| time.0), latest);
        }
    }
}
