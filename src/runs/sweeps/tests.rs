use serde_json::json;

use super::*;
use crate::aws::{ExecutionStatus, LogEvent};
use crate::outcome::Class;
use crate::reason::Reason;

const GROUP: &str = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/shop:*";

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000).unwrap() + jiff::SignedDuration::from_secs_f64(seconds)
}

fn arn(run: &str) -> String {
    format!("arn:aws:states:eu-west-1:111122223333:express:shop_orders:{run}:0f0e")
}

fn of(namespace: &str, group: &str, run: &str, started: f64) -> Followed {
    let machine = MachineKey { namespace: namespace.into(), binding: "orders".into(), arn: group.into() };
    Followed {
        machine: Arc::new(machine),
        run: run.into(),
        execution_arn: arn(run),
        started_at: at(started),
        redrive_count: 0,
        stopping: false,
    }
}

fn run(name: &str, started: f64) -> Followed {
    of("shop", GROUP, name, started)
}

/// Waits for it since its start.
fn wait(sweeps: &mut Sweeps, run: Followed) {
    let since = run.started_at;
    sweeps.await_end(run, since);
}

fn end(execution_arn: &str, kind: &str, ended: f64) -> LogEvent {
    let message = json!({"type": kind, "details": {"error": "E"}, "execution_arn": execution_arn,
        "event_timestamp": at(ended).as_millisecond().to_string()});
    LogEvent { timestamp: at(ended), message: message.to_string() }
}

fn page(events: Vec<LogEvent>, next: Option<&str>) -> Outcome<LogPage> {
    Outcome::Answer(LogPage { events, next_token: next.map(str::to_owned) })
}

/// Runs and what was found of them.
fn found(found: &[Found]) -> Vec<(&str, Option<ExecutionStatus>)> {
    let status = |evidence: &Evidence| if let Evidence::Logged(end) = evidence { Some(end.status) } else { None };
    found.iter().map(|one| (one.followed.run.as_str(), status(&one.evidence))).collect()
}

#[test]
fn one_sweep_finds_the_ends_of_all_that_log_to_a_group() {
    let mut sweeps = Sweeps::default();
    for number in 0..20 {
        wait(&mut sweeps, run(&format!("r{number:02}"), f64::from(number) * 0.01));
    }
    assert_eq!(sweeps.next(at(0.5)), None, "no execution ends so soon that it is worth a call");
    let sweep = sweeps.next(at(1.0)).unwrap();
    assert_eq!((sweep.from, &sweep.next_token), (at(-1.0), &None), "from the oldest start on");
    assert_eq!(sweeps.next(at(9.0)), None, "one call of a group at a time");
    let ends: Vec<LogEvent> =
        (0..20).map(|number| end(&arn(&format!("r{number:02}")), "ExecutionSucceeded", 0.7)).collect();
    assert_eq!(sweeps.swept(&sweep, page(ends, None), at(1.2)).len(), 20);
    assert!(sweeps.is_idle() && sweeps.next(at(60.0)).is_none(), "nothing is waited for, so nothing is asked");
    assert_eq!(sweeps.tidy().len(), 1);
}

/// Requirement 32 of docs/security.md: an end that is read from a log counts for just the execution that it names, and the log is read in a session that can read it alone.
#[test]
fn requirement_32_an_end_counts_for_the_run_that_is_waited_for_and_only_since_its_start() {
    use ExecutionStatus::{Failed, Succeeded};
    for (what, events, expected) in [
        ("its own", vec![end(&arn("r"), "ExecutionFailed", 3.0)], vec![("r", Some(Failed))]),
        ("another's", vec![end(&arn("x"), "ExecutionFailed", 3.0)], vec![]),
        ("one that begins alike", vec![end(&format!("{}0", arn("r")), "ExecutionFailed", 3.0)], vec![]),
        ("before the start", vec![end(&arn("r"), "ExecutionFailed", -5.0)], vec![]),
        ("in the future", vec![end(&arn("r"), "ExecutionFailed", 90.0)], vec![]),
        ("no end", vec![end(&arn("r"), "ExecutionStarted", 3.0)], vec![]),
        (
            "the earliest of two",
            vec![end(&arn("r"), "ExecutionFailed", 4.0), end(&arn("r"), "ExecutionSucceeded", 3.0)],
            vec![("r", Some(Succeeded))],
        ),
    ] {
        let mut sweeps = Sweeps::default();
        wait(&mut sweeps, run("r", 0.0));
        let sweep = sweeps.next(at(5.0)).unwrap();
        let told = sweeps.swept(&sweep, page(events, None), at(5.0));
        assert_eq!(found(&told), expected, "{what}");
    }
}

#[test]
fn pages_are_read_on_until_all_is_found_or_there_are_no_more_and_empty_ones_prove_nothing() {
    let mut sweeps = Sweeps::default();
    wait(&mut sweeps, run("a", 0.0));
    wait(&mut sweeps, run("b", 0.0));
    let sweep = sweeps.next(at(2.0)).unwrap();
    assert!(sweeps.swept(&sweep, page(vec![], Some("1")), at(2.1)).is_empty());
    let sweep = sweeps.next(at(2.1)).unwrap();
    assert_eq!(sweep.next_token.as_deref(), Some("1"), "it goes on at once");
    let ends = vec![end(&arn("a"), "ExecutionSucceeded", 1.0)];
    assert_eq!(sweeps.swept(&sweep, page(ends, Some("2")), at(2.2)).len(), 1);
    let sweep = sweeps.next(at(2.2)).unwrap();
    let ends = vec![end(&arn("b"), "ExecutionSucceeded", 1.0)];
    assert_eq!(sweeps.swept(&sweep, page(ends, Some("3")), at(2.3)).len(), 1);
    assert_eq!(sweeps.next(at(9.0)), None, "what else is in the log is nobody's here");
}

#[test]
fn a_late_end_is_found_and_one_that_never_comes_is_given_up_after_a_whole_reading() {
    let mut sweeps = Sweeps::default();
    wait(&mut sweeps, run("late", 0.0));
    wait(&mut sweeps, run("never", 0.0));
    let (mut now, mut calls, mut told) = (0.0, 0, Vec::new());
    while !sweeps.is_idle() && now < 900.0 {
        now += 0.2;
        let Some(sweep) = sweeps.next(at(now)) else { continue };
        calls += 1;
        // Each reading has two pages, the first of them empty.
        let outcome = match (sweep.next_token.is_some(), now > 320.0) {
            (false, _) => page(vec![], Some("1")),
            (true, true) => page(vec![end(&arn("late"), "ExecutionTimedOut", 290.0)], None),
            (true, false) => page(vec![], None),
        };
        for one in sweeps.swept(&sweep, outcome, at(now)) {
            told.push((one.followed.run.clone(), one.evidence, now));
        }
    }
    let [(late, Evidence::Logged(_), found_at), (never, Evidence::Missing, gave_up)] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((late.as_str(), never.as_str()), ("late", "never"));
    assert!(*found_at < 360.0, "{found_at}");
    assert!((600.0..640.0).contains(gave_up), "{gave_up}");
    assert!(calls < 120, "ever more rarely: {calls}");
}

/// After a restart runs are waited for one after another, while a reading is under way that has passed their ends.
#[test]
fn a_run_that_joins_a_reading_is_not_given_up_by_it() {
    let mut sweeps = Sweeps::default();
    sweeps.await_end(run("a", 0.0), at(2000.0));
    let sweep = sweeps.next(at(2000.0)).unwrap();
    assert!(
        sweeps.swept(&sweep, page(vec![end(&arn("b"), "ExecutionSucceeded", 2.0)], Some("1")), at(2000.1)).is_empty()
    );
    sweeps.await_end(run("b", 1.0), at(2000.2));
    let sweep = sweeps.next(at(2000.3)).unwrap();
    let told = sweeps.swept(&sweep, page(vec![], None), at(2000.4));
    assert_eq!(found(&told), [("a", None)], "of a the log was read to its end");
    let sweep = sweeps.next(at(2002.0)).unwrap();
    assert_eq!((sweep.from, &sweep.next_token), (at(0.0), &None), "b has a reading of its own");
    let told = sweeps.swept(&sweep, page(vec![end(&arn("b"), "ExecutionSucceeded", 2.0)], None), at(2002.1));
    assert_eq!(found(&told), [("b", Some(ExecutionStatus::Succeeded))]);
}

#[test]
fn a_young_execution_does_not_have_the_log_read_from_the_start_of_an_old_one() {
    let mut sweeps = Sweeps::default();
    wait(&mut sweeps, run("old", 0.0));
    let sweep = sweeps.next(at(400.0)).unwrap();
    sweeps.swept(&sweep, page(vec![], None), at(400.0));
    wait(&mut sweeps, run("young", 405.0));
    let sweep = sweeps.next(at(407.0)).unwrap();
    assert_eq!(sweep.from, at(404.0));
    sweeps.swept(&sweep, page(vec![], None), at(407.0));
    let sweep = sweeps.next(at(431.0)).unwrap();
    assert_eq!(sweep.from, at(-1.0), "both are due");
}

#[test]
fn a_failure_rests_the_group_and_a_refusal_is_told_once_and_taken_back() {
    let mut sweeps = Sweeps::default();
    wait(&mut sweeps, run("r", 0.0));
    let sweep = sweeps.next(at(2.0)).unwrap();
    assert!(sweeps.swept(&sweep, Outcome::Failed, at(2.0)).is_empty());
    assert_eq!(sweeps.next(at(2.5)), None);
    let denied = || Outcome::Denied(Failure::new(Class::Denied, Reason::AccessDenied, "no"));
    let sweep = sweeps.next(at(4.0)).unwrap();
    let told = sweeps.swept(&sweep, denied(), at(4.0));
    assert!(matches!(told[..], [Found { evidence: Evidence::Refused(_), .. }]), "{told:?}");
    let sweep = sweeps.next(at(10.0)).unwrap();
    assert!(sweeps.swept(&sweep, denied(), at(10.0)).is_empty(), "once");
    // A refusal gives no run up, however long it lasts: the log was not read.
    let sweep = sweeps.next(at(900.0)).unwrap();
    assert!(sweeps.swept(&sweep, denied(), at(900.0)).is_empty());
    let sweep = sweeps.next(at(1000.0)).unwrap();
    let ends = vec![end(&arn("r"), "ExecutionSucceeded", 3.0)];
    let told = sweeps.swept(&sweep, page(ends, None), at(1000.0));
    assert!(matches!(
        &told[..],
        [Found { evidence: Evidence::Allowed, .. }, Found { evidence: Evidence::Logged(_), .. }]
    ));
}

#[test]
fn want_of_quota_and_a_token_that_repeats_lose_nothing() {
    let mut sweeps = Sweeps::default();
    wait(&mut sweeps, run("r", 0.0));
    let sweep = sweeps.next(at(2.0)).unwrap();
    assert!(sweeps.swept(&sweep, page(vec![], Some("1")), at(2.0)).is_empty());
    let sweep = sweeps.next(at(2.0)).unwrap();
    assert!(sweeps.swept(&sweep, Outcome::Deferred, at(2.1)).is_empty());
    assert_eq!(sweeps.next(at(2.2)).as_ref(), Some(&sweep), "the same page");
    assert!(sweeps.swept(&sweep, page(vec![], Some("1")), at(700.0)).is_empty());
    let sweep = sweeps.next(at(800.0)).unwrap();
    assert_eq!(sweep.next_token, None, "it is read anew");
}

#[test]
fn namespaces_take_turns_whatever_they_log_to() {
    let mut sweeps = Sweeps::default();
    for number in 0..50 {
        wait(&mut sweeps, of("greedy", &format!("{GROUP}{number}"), &format!("g{number}"), 0.0));
    }
    wait(&mut sweeps, run("r", 0.0));
    let asked: Vec<String> = (0..4).map(|_| sweeps.next(at(5.0)).unwrap().group.namespace.clone()).collect();
    assert!(asked.contains(&"shop".to_owned()), "{asked:?}");
}

#[test]
fn waiting_twice_changes_nothing_and_what_is_forgotten_is_not_found() {
    let mut sweeps = Sweeps::default();
    wait(&mut sweeps, run("r", 0.0));
    let sweep = sweeps.next(at(100.0)).unwrap();
    sweeps.swept(&sweep, page(vec![], None), at(100.0));
    wait(&mut sweeps, run("r", 0.0));
    assert_eq!((sweeps.open(), sweeps.next(at(102.0))), (1, None), "it was looked for a moment ago");
    let sweep = sweeps.next(at(140.0)).unwrap();
    sweeps.forget(&arn("r"));
    let ends = vec![end(&arn("r"), "ExecutionSucceeded", 3.0)];
    assert!(sweeps.swept(&sweep, page(ends, None), at(140.0)).is_empty());
    assert!(sweeps.is_idle());
}
