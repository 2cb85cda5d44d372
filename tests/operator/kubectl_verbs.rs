//! `kubectl sfn` against the real API server: each verb as a person with the least rights that it needs, and without them.

use std::process::{Command, Output, Stdio};

use crate::*;

/// What a verb printed, what it said beside, and its exit code.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) said: String,
}

/// The plugin as one of the test bed's people.
pub(crate) fn sfn(tenant: &Tenant, user: &str, arguments: &[&str]) -> Ended {
    let output: Output = command(tenant, user, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), said: text(output.stderr) }
}

pub(crate) fn command(tenant: &Tenant, user: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-sfn"));
    command.args(arguments).args(["-n", &tenant.name, "--as", user, "--kubeconfig"]);
    command.arg(&tenant.bed.control_plane.admin).stdin(Stdio::null());
    command
}

fn may(tenant: &Tenant, user: &str, verbs: &[&str]) {
    let rules = json!([{"apiGroups": ["stepbound.dev"], "resources": ["workflowruns"], "verbs": verbs}]);
    tenant.bed.control_plane.grant(user, &tenant.name, &rules);
}

pub(crate) fn without_rights(tenant: &Tenant, user: &str) {
    let delete = ["-n", &tenant.name, "delete", "role,rolebinding", user, "--ignore-not-found"];
    tenant.bed.control_plane.kubectl(&delete);
}

pub(crate) fn status(tenant: &Tenant, run: &str, status: &Value) {
    let patch = json!({"status": status}).to_string();
    tenant.kubectl(&["patch", run, "--subresource=status", "--type=merge", "-p", &patch]);
}

#[test]
fn each_verb_needs_no_more_than_its_rights_and_says_which_is_missing() {
    let tenant = test_bed().tenant("verbs");
    let failed = json!({"phase": "Failed", "observedGeneration": 1, "startedAt": "2026-01-01T00:00:00Z", "executionARN": "arn", "error": "Broken"});
    for name in ["order", "broken"] {
        tenant.apply(&workflow_run(name, "fulfil", &json!({"input": {"a": 1}})));
    }
    status(&tenant, "sfnrun/broken", &failed);
    for (arguments, rights, code, printed) in [
        (&["list"][..], &["list"][..], 0, "NAME"),
        (&["list", "fulfil", "--phase", "failed"], &["list"], 0, "broken   fulfil     Failed"),
        (&["get", "broken"], &["get"], 0, "Phase:         Failed"),
        (&["get", "broken", "-o", "json"], &["get"], 0, "\"phase\": \"Failed\""),
        (&["run", "fulfil", "--name", "new"], &["create"], 0, "workflowrun.stepbound.dev/new created"),
        (&["run", "fulfil", "--dry-run=server"], &["create"], 0, "created (server dry run)"),
        (&["wait", "broken"], &["get", "list", "watch"], 1, "workflowrun.stepbound.dev/broken failed"),
        (&["watch", "broken"], &["get", "list", "watch"], 1, "workflowrun.stepbound.dev/broken failed"),
        (&["cancel", "order", "--reason", "no"], &["get", "patch"], 0, "is being cancelled"),
        (&["retry", "broken"], &["get", "create"], 0, "created"),
        (&["redrive", "broken"], &["get", "patch"], 0, "is being redriven"),
    ] {
        for missing in rights {
            // A run that has ended is not watched.
            if ["watch", "wait"].contains(&arguments[0]) && *missing != "get" {
                continue;
            }
            let rest: Vec<&str> = rights.iter().filter(|right| *right != missing).copied().collect();
            without_rights(&tenant, "bob");
            if !rest.is_empty() {
                may(&tenant, "bob", &rest);
            }
            let mut last = String::new();
            let refused = wait_until(Duration::from_secs(60), &format!("{arguments:?} without {missing}"), || {
                let ended = sfn(&tenant, "bob", arguments);
                last = format!("{}: {}{}", ended.code, ended.out, ended.said);
                (ended.code == 3).then_some(ended)
            });
            let words = format!("cannot {missing} resource \"workflowruns\"");
            assert!(refused.said.contains(&words), "{arguments:?} without {missing}: {}", refused.said);
            let check = format!("kubectl auth can-i {missing} workflowruns.stepbound.dev -n verbs");
            assert!(refused.said.contains(&check), "{arguments:?} without {missing}: {}", refused.said);
            assert_eq!(refused.out, "", "{arguments:?}");
        }
        without_rights(&tenant, "alice");
        may(&tenant, "alice", rights);
        let done = wait_until(Duration::from_secs(60), "the role holds", || {
            Some(sfn(&tenant, "alice", arguments)).filter(|ended| ended.code != 3)
        });
        assert_eq!(done.code, code, "{arguments:?}: {}", done.said);
        assert!(done.out.contains(printed), "{arguments:?}: {}{}", done.out, done.said);
    }
    assert_eq!(tenant.get("sfnrun/order").unwrap()["spec"]["cancel"], json!({"reason": "no"}));
    let redriven = tenant.get("sfnrun/broken").unwrap();
    assert!(redriven["metadata"]["annotations"]["stepbound.dev/redrive"].is_string(), "{redriven}");
    // What Kubernetes' own roles give is enough for all of them.
    without_rights(&tenant, "alice");
    tenant.kubectl(&["create", "rolebinding", "carol", "--clusterrole=edit", "--user=carol"]);
    wait_until(Duration::from_secs(60), "roles are aggregated", || {
        (sfn(&tenant, "carol", &["run", "fulfil", "--name", "own"]).code == 3
            && sfn(&tenant, "carol", &["list"]).code == 0)
            .then_some(())
    });
    // Whoever may see Workflows is told that there is none.
    let refused = sfn(&tenant, "carol", &["run", "fulfil", "--name", "own"]);
    assert!(refused.said.contains("there is no Workflow \"fulfil\" in namespace \"verbs\""), "{}", refused.said);
}

#[test]
fn a_run_is_started_followed_and_stopped_from_the_command_line() {
    let (tenant, operator) = with_workflow("typed", 0);
    tenant.kubectl(&["create", "rolebinding", "alice", "--clusterrole=edit", "--user=alice"]);
    wait_until(Duration::from_secs(60), "roles are aggregated", || {
        (sfn(&tenant, "alice", &["list"]).code == 0).then_some(())
    });
    let piped = sfn(&tenant, "alice", &["run", "fulfil", "--set", "order.id=4711", "-o", "output"]);
    assert_eq!((piped.code, piped.out.as_str()), (0, "{\"order\":{\"id\":4711}}\n"), "{}", piped.said);
    let watched = sfn(&tenant, "alice", &["run", "fulfil", "--name", "seen", "--watch"]);
    assert_eq!(watched.code, 0, "{}", watched.said);
    assert!(watched.out.contains(" seen Succeeded\n"), "{}", watched.out);
    let listed = sfn(&tenant, "alice", &["list", "--field-selector", "status.phase=Succeeded", "-o", "name"]);
    assert_eq!(listed.out.lines().count(), 2, "{}", listed.out);

    tenant.apply(&tenant.workflow("slow", &waiting(300)));
    tenant.wait_for(&operator, "sfn/slow", "Ready", "True", "Synced");
    assert_eq!(sfn(&tenant, "alice", &["run", "slow", "--name", "long"]).code, 0);
    assert_eq!(sfn(&tenant, "alice", &["wait", "long", "--for", "started", "--timeout", "40s"]).code, 0);
    let left = sfn(&tenant, "alice", &["wait", "long", "--timeout", "1s"]);
    assert!(left.code == 6 && left.said.contains("goes on"), "{}", left.said);
    assert_eq!(sfn(&tenant, "alice", &["cancel", "long", "--reason", "enough"]).code, 0);
    let ended = sfn(&tenant, "alice", &["wait", "long", "--timeout", "60s"]);
    assert_eq!(ended.code, 5, "{}", ended.said);
    let described = sfn(&tenant, "alice", &["get", "long"]);
    assert!(described.out.contains("Phase:         Aborted"), "{}", described.out);
    assert!(described.out.contains("Cancel reason: enough"), "{}", described.out);
    let retried = sfn(&tenant, "alice", &["retry", "seen", "--wait"]);
    assert_eq!(retried.code, 0, "{}", retried.said);
}
