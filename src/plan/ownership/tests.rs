use super::*;
use crate::aws::ExecutionStatus;
use crate::plan::samples::{self, at, execution};
use crate::reason::Reason;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;
use serde_json::json;

const UID: &str = "0b1c2d3e-0000-4000-8000-0123456789ab";
const MACHINE: &str = "arn:aws:states:r:1:stateMachine:m";
const INPUT: &str = r#"{"a":1}"#;

fn attempt(name: &str, target: &str) -> Attempt {
    Attempt {
        execution_name: name.into(),
        target_arn: target.into(),
        input_digest: sha256_hex(INPUT.as_bytes()),
        ..samples::attempt()
    }
}

/// What AWS describes of an execution that the attempt has started.
fn own(attempt: &Attempt) -> Execution {
    let (version, alias) = match attempt.target_arn.strip_prefix(&format!("{MACHINE}:")) {
        None => (None, None),
        Some("live") => (Some(format!("{MACHINE}:3")), Some(attempt.target_arn.clone())),
        Some(_) => (Some(attempt.target_arn.clone()), None),
    };
    Execution {
        version_arn: version,
        alias_arn: alias,
        trace_header: Some(format!("Root={};Sampled=1", mark(UID, attempt))),
        started_at: at(1001),
        input: Some(INPUT.into()),
        ..execution(ExecutionStatus::Running)
    }
}

/// `Ok(true)`: only followed. `Err`: refused.
fn judge(attempt: &Attempt, found: &Execution) -> Result<bool, &'static str> {
    adopt(UID, attempt, Some(INPUT), found).map_err(|failure| failure.reason.as_str())
}

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[test]
fn requirement_25_an_execution_is_a_runs_own_only_where_everything_says_so() {
    type Change = Box<dyn Fn(&mut Execution)>;
    const TAKEN: Result<bool, &str> = Err("ExecutionNameTaken");
    for target in [MACHINE.to_owned(), format!("{MACHINE}:3"), format!("{MACHINE}:live")] {
        let named = attempt("once", &target);
        let own = own(&named);
        assert_eq!(judge(&named, &own), Ok(false), "{target}");
        let others = Attempt { number: 2, ..named.clone() };
        let changes: [(&str, Change, Result<bool, &str>); 9] = [
            ("an input that reads the same", Box::new(|e| e.input = Some(r#"{ "a": 1 }"#.into())), Ok(false)),
            ("another input", Box::new(|e| e.input = Some(r#"{"a":2}"#.into())), TAKEN),
            ("an input that AWS does not tell", Box::new(|e| e.input = None), TAKEN),
            ("another machine", Box::new(|e| e.state_machine_arn.push('x')), TAKEN),
            (
                "another version",
                Box::new(|e| (e.version_arn, e.alias_arn) = (Some(format!("{MACHINE}:4")), None)),
                TAKEN,
            ),
            ("another alias", Box::new(|e| e.alias_arn = Some(format!("{MACHINE}:old"))), TAKEN),
            ("an earlier start", Box::new(|e| e.started_at = at(939)), Ok(true)),
            ("no mark", Box::new(|e| e.trace_header = None), Ok(true)),
            (
                "another's mark",
                Box::new(move |e| e.trace_header = Some(format!("Root={}", mark(UID, &others)))),
                Ok(true),
            ),
        ];
        for (what, change, expected) in changes {
            let mut found = own.clone();
            change(&mut found);
            assert_eq!(judge(&named, &found), expected, "{what}, of {target}");
        }
        let slow = Execution { started_at: at(940), ..own.clone() };
        assert_eq!(judge(&named, &slow), Ok(false), "clocks differ by a minute");
        let digest_alone = adopt(UID, &named, None, &own);
        assert_eq!(digest_alone, Ok(false), "the digest of the input is enough");
    }
}

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[test]
fn requirement_25_an_alias_is_not_the_version_that_it_routes_to() {
    let by_version = attempt("once", &format!("{MACHINE}:3"));
    let by_alias = attempt("once", &format!("{MACHINE}:live"));
    assert!(judge(&by_version, &own(&by_alias)).is_err() && judge(&by_alias, &own(&by_version)).is_err());
}

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[test]
fn requirement_25_names_after_the_runs_own_uid_are_proof_and_others_are_not() {
    for name in [UID.to_owned(), format!("{UID}-2")] {
        let own = Execution { trace_header: None, started_at: at(0), ..own(&attempt(&name, MACHINE)) };
        assert_eq!(judge(&attempt(&name, MACHINE), &own), Ok(false));
        assert!(is_own_name(UID, &name) && is_reserved(&name));
    }
    let other = UID.replace('0', "1");
    for name in [other.clone(), format!("{other}-2"), other.to_uppercase(), format!("{other}-1234567")] {
        assert!(is_reserved(&name) && !is_own_name(UID, &name), "{name}");
    }
    // The last is the name of a schedule's run.
    for name in ["once", "order-2", &UID[1..], &format!("{UID}x"), &format!("{UID}-"), &format!("{UID}-29500000")] {
        assert!(!is_reserved(name) && !is_own_name(UID, name), "{name}");
    }
    assert!(!is_own_name("", "-2"));
}

#[test]
fn a_mark_is_a_valid_root_of_a_trace_and_another_for_each_run_attempt_and_time() {
    let first = attempt("once", MACHINE);
    assert_eq!(mark(UID, &first), mark(UID, &Attempt { execution_name: "other".into(), ..first.clone() }));
    let parts: Vec<String> = mark(UID, &first).split('-').map(str::to_owned).collect();
    assert_eq!((parts[0].as_str(), parts[1].as_str(), parts[2].len()), ("1", "000003e8", 24));
    let later = Attempt { recorded_at: Time(at(1001)), ..first.clone() };
    let marks =
        [mark(UID, &first), mark("other", &first), mark(UID, &Attempt { number: 2, ..first }), mark(UID, &later)];
    assert_eq!(marks.iter().collect::<HashSet<_>>().len(), marks.len());
}

fn run(uid: &str, name: &str, phase: Option<&str>) -> WorkflowRun {
    let attempt = json!({"number": 1, "executionName": name, "targetARN": format!("{MACHINE}:3"), "trustBindingName": "b",
        "inputDigest": "d", "recordedAt": "2026-01-01T00:00:00Z"});
    let status = phase.map(|phase| {
        let arn = (phase != "Failed").then_some("arn:e");
        json!({"phase": phase, "attempts": [attempt], "executionARN": arn, "conditions": []})
    });
    serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
        "metadata": {"name": format!("run-{uid}"), "namespace": "shop", "uid": uid},
        "spec": {"workflowRef": {"name": "w"}, "executionName": name}, "status": status}))
    .unwrap()
}

fn place(uid: &str) -> NamespacedName {
    ("shop".into(), format!("run-{uid}"))
}

const ONCE: &str = "arn:aws:states:r:1:execution:m:once";

/// Requirement 25 of docs/security.md: an execution belongs to one run.
#[test]
fn requirement_25_of_two_runs_that_give_one_name_at_once_one_gets_it() {
    let mut names = Names::default();
    assert_eq!(names.claim("a", place("a"), ONCE).unwrap_err().class, Class::Conflict, "not all were seen");
    names.begin_listing();
    names.see(&run("a", "once", None));
    names.see(&run("b", "once", None));
    names.end_listing();
    assert_eq!(names.claim("b", place("b"), ONCE), Ok(()));
    let refused = names.claim("a", place("a"), ONCE).unwrap_err();
    assert_eq!(refused.reason, Reason::ExecutionNameTaken);
    assert!(refused.message.contains("WorkflowRun \"run-b\""), "{}", refused.message);
    assert_eq!(names.claim("b", place("b"), ONCE), Ok(()), "asking again costs nothing");
    let elsewhere = names.claim("c", ("other".into(), "c".into()), ONCE).unwrap_err();
    assert!(!elsewhere.message.contains("run-b"), "{}", elsewhere.message);
    assert_eq!(names.claim("a", place("a"), "arn:aws:states:r:1:execution:other:once"), Ok(()), "of another machine");
}

#[test]
fn a_name_is_kept_until_its_run_is_gone_or_has_ended_without_an_execution() {
    let mut names = Names::default();
    names.begin_listing();
    names.see(&run("a", "once", Some("Succeeded")));
    names.end_listing();
    assert!(names.claim("b", place("b"), ONCE).is_err(), "it has run under it");
    names.see(&run("a", "once", Some("Failed")));
    assert!(names.claim("b", place("b"), ONCE).is_ok(), "nothing of it ran");
    names.see(&run("b", "once", Some("Running")));
    assert!(names.claim("a", place("a"), ONCE).is_err());
    names.begin_listing();
    names.end_listing();
    assert!(names.claim("a", place("a"), ONCE).is_ok(), "a listing did not show it any more");
    assert!(names.by_run.len() == 1 && names.by_execution.len() == 1);
    names.forget("a");
    assert!(names.by_run.is_empty() && names.by_execution.is_empty(), "nothing is left of a run that is gone");
}

proptest! {
    /// Requirement 25 of docs/security.md: an execution belongs to one run.
    /// Whatever happens in whatever order, no execution has two runs.
    #[test]
    fn requirement_25_no_execution_is_given_to_two_runs(steps in prop::collection::vec((0u8..4, 0u8..4, 0u8..3), 1..60)) {
        let mut names = Names::default();
        names.begin_listing();
        names.end_listing();
        let mut owners: HashMap<String, String> = HashMap::new();
        for (what, who, which) in steps {
            let (uid, name) = (who.to_string(), format!("once-{which}"));
            let arn = format!("arn:aws:states:r:1:execution:m:{name}");
            match what {
                0 | 1 if names.claim(&uid, place(&uid), &arn).is_ok() => {
                    owners.retain(|_, owner| *owner != uid);
                    let before = owners.insert(arn, uid.clone());
                    prop_assert!(before.is_none_or(|before| before == uid));
                }
                2 if owners.get(&arn) == Some(&uid) => names.see(&run(&uid, &name, Some("Running"))),
                3 => {
                    names.forget(&uid);
                    owners.retain(|_, owner| *owner != uid);
                }
                _ => {}
            }
        }
    }
}
