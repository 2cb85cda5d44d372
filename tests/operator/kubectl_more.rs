//! `kubectl sfn logs|rollout|diff|describe|report` and the offline verbs against the real API server: each as a person with the
//! least rights that it needs, and without them. No operator runs: what it would write is written by the test.

use kube::CustomResourceExt;
use stepbound::api::v1alpha1::{ExecutionDataPage, ExecutionHistory, ExecutionHistoryPage};

use crate::kubectl_verbs::{Ended, command, sfn, status, without_rights};
use crate::*;

const GROUP: &str = "stepbound.dev";

/// Rights in our group, by resource and verbs, and no other.
fn only(tenant: &Tenant, user: &str, rights: &[(&str, &[&str])]) {
    let rule =
        |(resource, verbs): &(&str, &[&str])| json!({"apiGroups": [GROUP], "resources": [resource], "verbs": verbs});
    let rules: Vec<Value> = rights.iter().map(rule).collect();
    without_rights(tenant, user);
    tenant.bed.control_plane.grant(user, &tenant.name, &json!(rules));
}

/// Rights hold a moment after they were given or taken.
fn until(what: &str, ask: impl Fn() -> Ended, is: impl Fn(&Ended) -> bool) -> Ended {
    let mut last = String::new();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until(Duration::from_secs(60), what, || {
            let ended = ask();
            last = format!("{}: {}{}", ended.code, ended.out, ended.said);
            is(&ended).then_some(ended)
        })
    }));
    ended.unwrap_or_else(|_| panic!("{what}: {last}"))
}

/// The kinds of histories, where the chart does not install them.
fn with_histories(tenant: &Tenant) {
    for definition in [ExecutionHistory::crd(), ExecutionHistoryPage::crd(), ExecutionDataPage::crd()] {
        let name = definition.metadata.name.clone().unwrap();
        let control_plane = &tenant.bed.control_plane;
        if control_plane.try_kubectl(&["get", "crd", &name], None).is_err() {
            control_plane.apply(&serde_json::to_string(&definition).unwrap());
            control_plane.kubectl(&["wait", "--for=condition=Established", &format!("crd/{name}"), "--timeout=30s"]);
        }
    }
}

fn page(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Answers the next history as the operator would: two pages, the second once somebody has seen the first.
fn answer(tenant: &Tenant) -> (String, Value) {
    let history = wait_until(Duration::from_secs(60), "a history is asked for", || {
        let all: Value = serde_json::from_str(&tenant.kubectl(&["get", "executionhistories", "-o", "json"])).unwrap();
        all["items"].as_array().unwrap().iter().find(|one| one["status"]["phase"].is_null()).cloned()
    });
    let name = history["metadata"]["name"].as_str().unwrap().to_owned();
    let event = |id: i64, kind: &str, more: &Value| {
        let mut event = json!({"id": id, "type": kind, "timestamp": "2026-01-01T00:00:00.123456Z"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    // Nobody but the operator writes pages, and only those of a history.
    let operator = format!("system:serviceaccount:{}:stepbound", tenant.system);
    let owner = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory", "name": name,
        "uid": history["metadata"]["uid"], "controller": true});
    let write = |kind: &str, number: i64, spec: &Value| {
        let mut page = page(kind, &format!("{name}-{number}"), spec);
        page["metadata"]["namespace"] = json!(tenant.name);
        page["metadata"]["ownerReferences"] = json!([owner]);
        let create = ["create", "-f", "-", "--as", &operator];
        tenant.bed.control_plane.try_kubectl(&create, Some(&page.to_string())).unwrap();
    };
    let first = json!({"number": 1, "events": [event(1, "ExecutionStarted", &json!({})), event(2, "TaskStateEntered", &json!({"state": "Pay"}))]});
    write("ExecutionHistoryPage", 1, &first);
    if history["spec"]["includeData"] == true {
        let data = json!({"number": 1, "data": [{"id": 2, "input": "{\"order\": 4711}"}]});
        write("ExecutionDataPage", 1, &data);
    }
    let resource = format!("executionhistory/{name}");
    status(tenant, &resource, &json!({"phase": "Reading", "pages": 1, "events": 2}));
    let second = json!({"number": 2, "events": [event(3, "TaskFailed", &json!({"state": "Pay", "error": "Declined", "cause": "no \u{1b}[2Jfunds"}))]});
    write("ExecutionHistoryPage", 2, &second);
    // Whoever may not see what was asked for has gone by now, and the history with it.
    let complete = json!({"status": {"phase": "Complete", "pages": 2, "events": 3, "omittedBytes": 7}}).to_string();
    let patch = ["-n", &tenant.name, "patch", &resource, "--subresource=status", "--type=merge", "-p", &complete];
    match tenant.bed.control_plane.try_kubectl(&patch, None) {
        Err(error) if !error.contains("NotFound") => panic!("{error}"),
        _ => {}
    }
    (name, history["spec"].clone())
}

#[test]
fn logs_are_read_through_a_history_that_goes_again() {
    let tenant = test_bed().tenant("logs");
    with_histories(&tenant);
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    let histories: (&str, &[&str]) = ("executionhistories", &["create", "list", "watch", "delete"]);
    let pages: (&str, &[&str]) = ("executionhistorypages", &["get"]);
    let data: (&str, &[&str]) = ("executiondatapages", &["get"]);

    only(&tenant, "bob", &[pages]);
    let refused = until("bob may not ask", || sfn(&tenant, "bob", &["logs", "order"]), |ended| ended.code == 3);
    assert!(refused.said.contains("cannot create resource \"executionhistories\""), "{}", refused.said);
    assert!(refused.said.contains("ask for the history of run \"order\""), "{}", refused.said);

    only(&tenant, "alice", &[histories, pages]);
    let ask = ["auth", "can-i", "-n", "logs", "get", "executionhistorypages.stepbound.dev", "--as", "alice"];
    wait_until(Duration::from_secs(60), "the role holds", || tenant.bed.control_plane.try_kubectl(&ask, None).ok());
    let read = std::thread::scope(|scope| {
        let read = scope.spawn(|| sfn(&tenant, "alice", &["logs", "run/order", "--state", "Pay"]));
        let (_, spec) = answer(&tenant);
        assert_eq!((&spec["states"], &spec["workflowRunRef"]["name"]), (&json!(["Pay"]), &json!("order")));
        assert_eq!((&spec["includeData"], &spec["follow"]), (&json!(false), &json!(false)));
        read.join().unwrap()
    });
    assert_eq!(read.code, 0, "{}", read.said);
    let lines: Vec<&str> = read.out.lines().collect();
    assert_eq!(
        lines,
        [
            "2026-01-01T00:00:00.123Z  ExecutionStarted",
            "2026-01-01T00:00:00.123Z  TaskStateEntered          Pay",
            "2026-01-01T00:00:00.123Z  TaskFailed                Pay  Declined: no \u{fffd}[2Jfunds",
        ]
    );
    assert!(read.said.contains("7 bytes are left out"), "{}", read.said);
    assert_eq!(tenant.kubectl(&["get", "executionhistories", "-o", "name"]).trim(), "", "it is deleted");

    // Without the right to see payloads nothing is asked for, and the words say which.
    let unseen = sfn(&tenant, "alice", &["logs", "order", "--data"]);
    assert_eq!(unseen.code, 3, "{}", unseen.said);
    assert!(unseen.said.contains("may not read executiondatapages"), "{}", unseen.said);
    assert_eq!(tenant.kubectl(&["get", "executionhistories", "-o", "name"]).trim(), "", "there is none");

    only(&tenant, "alice", &[histories, pages, data]);
    let ask = ["auth", "can-i", "-n", "logs", "get", "executiondatapages.stepbound.dev", "--as", "alice"];
    wait_until(Duration::from_secs(60), "the role holds", || tenant.bed.control_plane.try_kubectl(&ask, None).ok());
    let json = std::thread::scope(|scope| {
        let read = scope.spawn(|| sfn(&tenant, "alice", &["logs", "order", "--data", "--follow", "-o", "json"]));
        let (_, spec) = answer(&tenant);
        assert_eq!((&spec["includeData"], &spec["follow"]), (&json!(true), &json!(true)));
        read.join().unwrap()
    });
    let events: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((events.len(), &events[1]["input"]["order"]), (3, &json!(4711)), "{}", json.out);

    // Ctrl-C leaves the run as it is, and no history behind.
    let mut waiting = command(&tenant, "alice", &["logs", "order", "--follow"]);
    let child = waiting.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    wait_until(Duration::from_secs(60), "a history is asked for", || {
        (!tenant.kubectl(&["get", "executionhistories", "-o", "name"]).trim().is_empty()).then_some(())
    });
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(6), "{said}");
    assert!(said.contains("See it again: kubectl sfn logs order --follow"), "{said}");
    assert_eq!(tenant.kubectl(&["get", "executionhistories", "-o", "name"]).trim(), "", "it is deleted");
}

fn rolling(tenant: &Tenant) -> Value {
    let mut workflow = tenant.workflow("fulfil", &waiting(0));
    workflow["spec"]["aliases"] =
        json!([{"name": "live", "rollout": {"strategy": "Canary", "percent": 10, "interval": "10m"}}]);
    workflow
}

fn alias_is(tenant: &Tenant, alias: &Value) {
    let generation = tenant.get("sfn/fulfil").unwrap()["metadata"]["generation"].clone();
    let mut one = json!({"name": "live", "ARN": "arn:live"});
    one.as_object_mut().unwrap().extend(alias.as_object().unwrap().clone());
    status(
        tenant,
        "sfn/fulfil",
        &json!({"observedGeneration": generation, "versions": [4, 5], "latestVersion": {"ARN": "arn:5", "number": 5}, "aliases": [one]}),
    );
}

#[test]
fn a_rollout_is_shown_held_promoted_and_undone_with_the_words_of_kubectl() {
    let tenant = test_bed().tenant("rolling");
    tenant.apply(&rolling(&tenant));
    let shared = json!([{"version": 4, "weight": 90}, {"version": 5, "weight": 10}]);
    alias_is(
        &tenant,
        &json!({"routes": shared, "phase": "RollingOut", "target": 5, "message": "Version 5 gets 10 %: 3 of 10 ended."}),
    );

    let reading: (&str, &[&str]) = ("workflows", &["get", "list", "watch"]);
    let writing: (&str, &[&str]) = ("workflows", &["get", "list", "watch", "patch"]);
    only(&tenant, "alice", &[reading]);
    let look = ["rollout", "status", "fulfil", "--watch=false"];
    let shown = until("alice may look", || sfn(&tenant, "alice", &look), |ended| ended.code == 0);
    for line in [
        "is rolling out: Version 5 gets 10 %: 3 of 10 ended.\n",
        "  version 4     90 %\n",
        "  version 5     10 %   new\n",
    ] {
        assert!(shown.out.contains(line), "{line}: {}", shown.out);
    }
    let refused = sfn(&tenant, "alice", &["rollout", "pause", "fulfil"]);
    assert_eq!(refused.code, 3);
    assert!(refused.said.contains("cannot patch resource \"workflows\""), "{}", refused.said);
    let waited = sfn(&tenant, "alice", &["rollout", "status", "workflow/fulfil", "--timeout", "1s"]);
    assert!(waited.code == 6 && waited.said.contains("the rollout of workflow \"fulfil\" goes on"), "{}", waited.said);

    // Who may write it spends the right of its binding.
    only(&tenant, "alice", &[writing]);
    let pause = ["rollout", "pause", "fulfil"];
    let refused = until(
        "alice may write",
        || sfn(&tenant, "alice", &pause),
        |ended| !ended.said.contains("cannot patch resource"),
    );
    assert!(refused.code == 3 && refused.said.contains("may not use TrustBinding rolling/orders"), "{}", refused.said);
    without_rights(&tenant, "alice");
    crate::admission::may_edit(&tenant, "alice", &[crate::admission::using("orders")]);
    let paused = until("alice may use it", || sfn(&tenant, "alice", &pause), |ended| ended.code == 0);
    assert_eq!(paused.out, "workflow.stepbound.dev/fulfil alias live paused\n");
    assert!(paused.said.contains("Next: kubectl sfn rollout resume fulfil --alias live -n rolling"), "{}", paused.said);
    let annotation = |name: &str| tenant.get("sfn/fulfil").unwrap()["metadata"]["annotations"][name].clone();
    assert_eq!(annotation("stepbound.dev/pause"), "live");
    let again = sfn(&tenant, "alice", &pause);
    assert!(again.code == 3 && again.said.contains("is already paused"), "{}", again.said);
    assert_eq!(sfn(&tenant, "alice", &["rollout", "resume", "fulfil"]).code, 0);
    assert_eq!(annotation("stepbound.dev/pause"), Value::Null);

    let promoted = sfn(&tenant, "alice", &["rollout", "promote", "fulfil", "--alias", "live"]);
    assert_eq!(promoted.out, "workflow.stepbound.dev/fulfil alias live promoted to version 5\n", "{}", promoted.said);
    assert_eq!(annotation("stepbound.dev/promote"), "live/5");
    let done = std::thread::scope(|scope| {
        let waits = scope.spawn(|| sfn(&tenant, "alice", &["rollout", "status", "fulfil", "--timeout", "60s"]));
        alias_is(
            &tenant,
            &json!({"routes": [{"version": 5, "weight": 100}], "phase": "Stable", "message": "Promoted by annotation."}),
        );
        waits.join().unwrap()
    });
    assert_eq!(done.code, 0, "{}", done.said);
    assert!(done.out.contains("successfully rolled out: version 5 serves all"), "{}", done.out);

    let undone = sfn(&tenant, "alice", &["rollout", "undo", "fulfil"]);
    assert_eq!(undone.out, "workflow.stepbound.dev/fulfil alias live rolled back to version 4\n", "{}", undone.said);
    let alias = tenant.get("sfn/fulfil").unwrap()["spec"]["aliases"][0].clone();
    assert_eq!((&alias["version"], alias.get("rollout")), (&json!(4), None), "{alias}");
    alias_is(
        &tenant,
        &json!({"routes": [{"version": 4, "weight": 100}], "phase": "RolledBack", "target": 5, "message": "Version 5 fails."}),
    );
    let failed = sfn(&tenant, "alice", &["rollout", "status", "fulfil"]);
    assert!(failed.code == 1 && failed.out.contains("was rolled back: Version 5 fails."), "{}", failed.out);
    assert_eq!(sfn(&tenant, "alice", &["rollout", "status", "gone", "--timeout", "9s"]).code, 3);
}

#[test]
fn a_manifest_is_compared_with_the_cluster_and_the_exit_code_says_whether_it_differs() {
    let tenant = test_bed().tenant("differs");
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(1)));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, object: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, object.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let same = file("same.json", &tenant.workflow("fulfil", &waiting(1)));
    only(&tenant, "bob", &[("trustbindings", &["get"])]);
    let refused = until("bob may not look", || sfn(&tenant, "bob", &["diff", "-f", &same]), |ended| ended.code == 3);
    assert!(refused.said.contains("cannot get resource \"workflows\""), "{}", refused.said);

    only(&tenant, "alice", &[("workflows", &["get"]), ("trustbindings", &["get"])]);
    let ended = until("alice may look", || sfn(&tenant, "alice", &["diff", "-f", &same]), |ended| ended.code != 3);
    assert_eq!((ended.code, ended.out.as_str()), (0, "Workflow differs/fulfil: nothing differs\n"), "{}", ended.said);
    assert_eq!(ended.said, "");

    let mut changed = waiting(5);
    changed["States"]["Done"] = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true,
        "Parameters": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/000000000000/q", "MessageBody": "m"}});
    let changed = file("changed.json", &tenant.workflow("fulfil", &changed));
    let ended = sfn(&tenant, "alice", &["diff", "-f", &changed, "--graph"]);
    assert_eq!(ended.code, 1, "{}", ended.said);
    for part in [
        "  ~ Done   /States/Done\n",
        "  ~ /States/Wait/Seconds: 1 -> 5\n",
        "  ~ /States/Done/Type: \"Pass\" -> \"Task\"\n",
        "Permissions of the execution role\n  + sqs:SendMessage on arn:aws:sqs:",
        "Before\n",
        "After\n",
    ] {
        assert!(ended.out.contains(part), "{part}: {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}'), "no colours where it is no terminal");
    let view: Value =
        serde_json::from_str(&sfn(&tenant, "alice", &["diff", "-f", &changed, "-o", "json"]).out).unwrap();
    assert_eq!(view[0]["permissions"]["needed"][0]["action"], "sqs:SendMessage", "{view}");

    let new = file("new.json", &tenant.workflow("other", &waiting(1)));
    let ended = sfn(&tenant, "alice", &["diff", "-f", &new]);
    assert!(ended.code == 1 && ended.out.contains("is not in the cluster"), "{}{}", ended.out, ended.said);
    assert_eq!(sfn(&tenant, "alice", &["diff", "-f", "/nowhere.yaml"]).code, 2);
}

/// A run that failed, of a Workflow that is ready, as the operator would write them.
fn failed_run(tenant: &Tenant) {
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(1)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({"input": {"note": "<script>alert(1)</script>"}})));
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "It is.", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let ready = json!({"observedGeneration": 1, "stateMachineARN": tenant.machine_arn("fulfil"), "conditions": [condition("Ready", "True", "Synced")]});
    status(tenant, "sfn/fulfil", &ready);
    let refused = json!({"observedGeneration": 1, "conditions": [condition("TokenMinted", "True", "Minted"), condition("RoleAssumed", "False", "AccessDenied")]});
    status(tenant, "tb/orders", &refused);
    let run = json!({"observedGeneration": 1, "phase": "Failed", "error": "Declined", "failedState": "Wait", "requestedBy": "alice",
        "timeline": {"observedEventID": 3, "visits": [{"path": "/States/Wait", "state": "Wait", "result": "Failed",
            "enteredAt": "2026-01-01T00:00:00.000000Z", "exitedAt": "2026-01-01T00:00:01.000000Z"}]}});
    status(tenant, "sfnrun/order", &run);
}

#[test]
fn the_chain_and_the_report_show_what_their_reader_may_see() {
    let tenant = test_bed().tenant("chain");
    failed_run(&tenant);
    only(&tenant, "bob", &[("workflows", &["get"])]);
    for verb in ["describe", "report"] {
        let refused = until("bob may not look", || sfn(&tenant, "bob", &[verb, "run/order"]), |ended| ended.code == 3);
        assert!(refused.said.contains("cannot get resource \"workflowruns\""), "{}", refused.said);
    }

    only(&tenant, "alice", &[("workflowruns", &["get"])]);
    let part =
        until("alice may see runs", || sfn(&tenant, "alice", &["describe", "run/order"]), |ended| ended.code == 0);
    assert!(part.out.contains("! you may not see it: workflows.stepbound.dev \"fulfil\" is forbidden"), "{}", part.out);
    assert!(part.out.contains("in state Wait: Declined"), "{}", part.out);
    let report = sfn(&tenant, "alice", &["report", "order"]);
    assert_eq!(report.code, 0, "{}", report.said);
    assert!(report.out.contains("Nothing is drawn, since the Workflow may not be seen"), "{}", report.out);

    only(&tenant, "alice", &[("workflowruns", &["get"]), ("workflows", &["get"]), ("trustbindings", &["get"])]);
    let whole = until(
        "alice may see all",
        || sfn(&tenant, "alice", &["describe", "run", "order"]),
        |ended| ended.code == 0 && !ended.out.contains("may not see"),
    );
    for line in [
        "✘ Role arn:aws:iam::",
        "! RoleAssumed is False: AccessDenied: It is.",
        "✔ State machine of Workflow chain/fulfil",
        "✘ Run chain/order",
    ] {
        assert!(whole.out.contains(line), "{line}: {}", whole.out);
    }
    assert!(whole.said.contains("Next: kubectl sfn trust render binding/orders"), "{}", whole.said);
    let file = tempfile::tempdir().unwrap().path().with_extension("html");
    let path = file.to_str().unwrap();
    let written = sfn(&tenant, "alice", &["report", "run/order", "--output-file", path]);
    assert_eq!((written.code, written.out.as_str()), (0, ""), "{}", written.said);
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(text.contains("<svg") && text.contains("class=\"wait failed\""), "{text}");
    assert!(!text.contains("<script") && text.contains("alert(1)"), "{text}");
    assert_eq!(sfn(&tenant, "alice", &["describe", "pod/order"]).code, 2);
}

#[test]
fn offline_verbs_take_names_of_objects_in_the_cluster() {
    let tenant = test_bed().tenant("offline");
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(1)));
    only(&tenant, "alice", &[("workflows", &["get"])]);
    let drawn =
        until("alice may look", || sfn(&tenant, "alice", &["graph", "workflow/fulfil"]), |ended| ended.code == 0);
    assert!(drawn.out.contains("Wait") && drawn.out.contains("Done"), "{}", drawn.out);
    assert!(drawn.said.contains("note: TrustBinding \"orders\" is left out"), "{}", drawn.said);
    let unknown = sfn(&tenant, "alice", &["policy", "execution-role", "sfn/fulfil"]);
    assert!(unknown.code == 2 && unknown.said.contains("the region is not known"), "{}", unknown.said);

    only(&tenant, "alice", &[("workflows", &["get", "list"]), ("activities", &["list"]), ("trustbindings", &["get"])]);
    let lint = until(
        "alice may see the binding",
        || sfn(&tenant, "alice", &["lint", "workflow/fulfil"]),
        |ended| ended.said.is_empty(),
    );
    assert_eq!(lint.code, 0, "{}", lint.out);
    let needs = sfn(&tenant, "alice", &["policy", "execution-role", "workflow/fulfil"]);
    assert!(needs.code == 0 && needs.out.contains("no state calls anything"), "{}{}", needs.out, needs.said);
    let role = sfn(&tenant, "alice", &["policy", "binding-role", "binding/orders"]);
    assert!(role.code == 0 && role.out.contains("states:StartExecution"), "{}{}", role.out, role.said);
    let trust = sfn(&tenant, "alice", &["trust", "render", "tb/orders", "--issuer", "https://issuer.example"]);
    assert!(
        trust.code == 0 && trust.out.contains("system:serviceaccount:offline:orders"),
        "{}{}",
        trust.out,
        trust.said
    );
    let missing = sfn(&tenant, "alice", &["graph", "workflow/gone"]);
    assert_eq!(missing.code, 3, "{}", missing.said);
    assert!(missing.said.contains("there is no Workflow \"gone\" in namespace \"offline\""), "{}", missing.said);
}
