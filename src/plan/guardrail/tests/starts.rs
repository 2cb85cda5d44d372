//! What may be started, judged by what would run.

use super::*;
use crate::api::v1alpha1::AliasStatus;
use crate::reason::Reason;

const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil";
const LAMBDA: &str = "arn:aws:states:::lambda:invoke";
const ROLE: &str = "arn:aws:iam::111122223333:role/shop-exec";

fn record(fields: &Value) -> RunsAs {
    runs_as(ROLE, &task(fields), false)
}

fn start(rules: &Value, list: &[&str], target: &str, runs: &[(&str, RunsAs)]) -> Result<(), Failure> {
    let mut binding = binding("arn:aws:iam::111122223333:role/shop-orders", "eu-west-1");
    binding.allowed_execution_role_arns = serde_json::from_value(json!(list)).unwrap();
    let runs: Vec<(String, RunsAs)> =
        runs.iter().map(|(version, runs)| (format!("{MACHINE}{version}"), runs.clone())).collect();
    let (target_arn, rules) = (format!("{MACHINE}{target}"), rule(rules));
    may_start(&Start { namespace: "shop", rules: &rules, binding: &binding, target_arn: &target_arn, runs: &runs })
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_a_start_is_judged_by_each_version_that_may_run() {
    let (bad, good) = (record(&json!({"Resource": LAMBDA})), record(&json!({})));
    let forbidden = json!({"forbiddenIntegrations": ["lambda"]});
    assert_eq!(start(&forbidden, &[], ":2", &[(":2", good.clone())]), Ok(()));
    let refused = start(&forbidden, &[], ":1", &[(":1", bad.clone())]).unwrap_err();
    assert_eq!((refused.reason, refused.class), (Reason::RefusedByGuardrail, Class::Terminal));
    assert!(refused.message.contains(&format!("{MACHINE}:1 is not started")), "{}", refused.message);
    assert!(refused.message.contains("integration lambda:invoke is forbidden by \"lambda\""), "{}", refused.message);
    let alias = [(":2", good.clone()), (":1", bad.clone())];
    assert_eq!(
        start(&forbidden, &[], ":live", &alias).unwrap_err().reason,
        Reason::RefusedByGuardrail,
        "each of an alias counts"
    );
    assert!(start(&forbidden, &[], "", &[("", bad)]).is_err(), "the state machine itself");
    for (rules, allowed) in [
        (json!({"allowedExecutionRoleARNs": [ROLE]}), true),
        (json!({"allowedExecutionRoleARNs": ["*-other"]}), false),
        (json!({"allowedAccountIDs": ["111122223333"]}), true),
        (json!({"allowedRegions": ["us-east-1"]}), false),
        (json!({"allowedRoleARNs": []}), false),
        (json!({"allowedStateMachineNames": ["shop_*"]}), true),
        (json!({"allowedStateMachineNames": ["other_*"]}), false),
    ] {
        assert_eq!(start(&rules, &[], ":2", &[(":2", good.clone())]).is_ok(), allowed, "{rules}");
    }
    let open = record(&json!({"Credentials": {"RoleArn.$": "$.role"}}));
    assert!(start(&json!({"allowedAccountIDs": ["111122223333"]}), &[], ":1", &[(":1", open)]).is_err());
    let mapped = runs_as(ROLE, &json!({}), true);
    assert!(start(&json!({"forbidDefinitionFrom": true}), &[], ":1", &[(":1", mapped)]).is_err());
}

/// Requirement 21 of docs/security.md: one function decides whether a run may start now, from what will really run.
#[test]
fn requirement_21_a_role_taken_off_the_bindings_list_starts_nothing() {
    let runs = [(":1", record(&json!({})))];
    assert_eq!(start(&json!({}), &[], ":1", &runs), Ok(()));
    assert_eq!(start(&json!({}), &[ROLE], ":1", &runs), Ok(()));
    let refused = start(&json!({}), &["arn:aws:iam::111122223333:role/another"], ":1", &runs).unwrap_err();
    assert_eq!((refused.reason, refused.class), (Reason::ExecutionRoleNotAllowed, Class::Waiting));
    assert!(refused.message.contains(ROLE), "{}", refused.message);
}

#[test]
fn a_run_that_needs_an_alias_starts_neither_a_version_nor_the_machine() {
    let required = json!({"requireAlias": true});
    for (target, allowed) in [("", false), (":12", false), (":live", true)] {
        assert_eq!(start(&required, &[], target, &[]).is_ok(), allowed, "{target}");
        assert_eq!(start(&json!({}), &[], target, &[]), Ok(()), "{target}");
    }
}

#[test]
fn what_runs_is_each_version_that_an_alias_routes_to() {
    let alias = json!({"name": "live", "ARN": format!("{MACHINE}:live"), "phase": "RollingOut",
        "routes": [{"version": 1, "weight": 90}, {"version": 2, "weight": 10}]});
    let aliases: Vec<AliasStatus> = vec![serde_json::from_value(alias).unwrap()];
    let runs = |target: &str| -> Result<Vec<Option<i64>>, &'static str> {
        let runs = what_runs(&format!("{MACHINE}{target}"), &aliases).map_err(|failure| failure.reason.as_str())?;
        Ok(runs.into_iter().map(|one| one.version).collect())
    };
    assert_eq!(runs(""), Ok(vec![None]));
    assert_eq!(runs(":7"), Ok(vec![Some(7)]));
    assert_eq!(runs(":live"), Ok(vec![Some(1), Some(2)]));
    assert_eq!(runs(":gone"), Err("AliasUnknown"));
}

#[test]
fn what_an_alias_is_moved_from_and_to_is_refused_for_that_while() {
    let alias = json!({"name": "live", "ARN": format!("{MACHINE}:live"), "phase": "Stable",
        "routes": [{"version": 2, "weight": 100}], "asked": [3], "left": [1]});
    let aliases: Vec<AliasStatus> = vec![serde_json::from_value(alias).unwrap()];
    let runs = what_runs(&format!("{MACHINE}:live"), &aliases).unwrap();
    let refused = || Failure::new(Class::Terminal, Reason::RefusedByGuardrail, "Guardrail \"g\" refuses it.");
    let said: Vec<_> = runs.iter().map(|one| (one.version.unwrap(), one.refused(refused()))).collect();
    assert_eq!(said[0], (2, refused()), "what it routes to is refused for good");
    for (version, failure) in &said[1..] {
        assert_eq!((failure.class, failure.reason), (Class::Waiting, Reason::AliasMoving), "version {version}");
        assert!(failure.message.contains(&format!("may start as {MACHINE}:{version}")), "{}", failure.message);
        assert!(failure.message.contains("Guardrail \"g\" refuses it."), "{}", failure.message);
    }
    assert_eq!(said[1..].iter().map(|(version, _)| *version).collect::<Vec<_>>(), [3, 1]);
    let throttled = Failure::new(Class::Transient, Reason::Throttled, "slowly");
    assert_eq!(runs[1].refused(throttled.clone()), throttled, "what is no refusal stays what it is");
}

#[test]
fn nothing_is_read_where_nothing_speaks_of_what_runs() {
    let mut spec = binding("arn:aws:iam::111122223333:role/shop-orders", "eu-west-1");
    let of_binding = json!({"allowedRegions": [], "maxConcurrentRuns": 1, "requireAlias": true});
    assert!(!needs_runs_as(&[], &spec) && !needs_runs_as(&rule(&of_binding), &spec));
    for speaks in [
        json!({"allowedAccountIDs": []}),
        json!({"allowedExecutionRoleARNs": []}),
        json!({"forbiddenIntegrations": ["x"]}),
        json!({"forbidDefinitionFrom": true}),
    ] {
        assert!(needs_runs_as(&rule(&speaks), &spec), "{speaks}");
    }
    spec.allowed_execution_role_arns = serde_json::from_value(json!([ROLE])).unwrap();
    assert!(needs_runs_as(&[], &spec));
}
