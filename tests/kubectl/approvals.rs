//! Deciding what waits for an approval: what is shown, what is written and on which condition, and what keeps it from being so.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::api::Api;

fn approval(api: &Api) -> Value {
    api.world.lock().unwrap().objects[&("approvals".to_owned(), "order-1".to_owned())].clone()
}

/// Changes what is in the cluster.
fn with(api: &Api, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let mut world = api.world.lock().unwrap();
    change(world.objects.get_mut(&(plural.to_owned(), name.to_owned())).unwrap());
}

#[test]
fn a_run_or_its_approval_is_shown_and_decided_in_ones_own_name() {
    for (what, verb, verdict, said) in [
        ("order", "approve", "Approved", "approval.stepbound.dev/order-1 approved\n"),
        ("run/order", "approve", "Approved", "approved\n"),
        ("order-1", "deny", "Denied", "approval.stepbound.dev/order-1 denied\n"),
        ("approval/order-1", "deny", "Denied", "denied\n"),
    ] {
        let api = Api::start();
        let before = api.waits("order");
        let ended = api.ends(&[verb, what, "--yes"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.ends_with(said), "{ended:?}");
        for shown in [
            "Asked by:      alice@example.com\n",
            "stateMachine:shop_fulfil:3\n",
            "role/exec\n",
            "role/pack\n",
            "\"order\": 7",
        ] {
            assert!(ended.out.contains(shown), "{shown}: {ended:?}");
        }
        let digest = before["spec"]["request"]["digest"].clone();
        let decision = json!({"verdict": verdict, "digest": digest, "by": "bob@example.com"});
        assert_eq!(approval(&api)["spec"]["decision"], decision, "{what}");
        let next = if verb == "approve" { "watch order" } else { "get order" };
        assert!(ended.said.contains(&format!("Next: kubectl sfn {next}")), "{ended:?}");
    }
}

#[test]
fn the_name_is_the_one_that_is_acted_as() {
    let api = Api::start();
    api.waits("order");
    let own = api.ends(&["approve", "order", "--yes", "--as", "alice@example.com"]);
    assert!(own.code == 3 && own.said.contains("alice@example.com asked for the run and cannot decide it"), "{own:?}");
    let other = api.ends(&["approve", "order", "--yes", "--as", "carol@example.com"]);
    assert_eq!(other.code, 0, "{other:?}");
    assert_eq!(approval(&api)["spec"]["decision"]["by"], "carol@example.com");
}

#[test]
fn nothing_is_decided_by_a_dry_run_and_the_next_command_decides_just_what_was_seen() {
    let api = Api::start();
    api.waits("order");
    let dry = api.ends(&["approve", "order", "--dry-run=client"]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.ends_with("approval.stepbound.dev/order-1 approved (dry run)\n"), "{dry:?}");
    let next = dry.said.lines().find_map(|line| line.strip_prefix("Next: kubectl sfn ")).unwrap().to_owned();
    let server = api.ends(&["deny", "order", "--dry-run=server"]);
    assert!(server.code == 0 && server.out.ends_with("denied (server dry run)\n"), "{server:?}");
    assert_eq!(approval(&api)["spec"]["decision"], Value::Null);
    let arguments: Vec<&str> = next.split(' ').collect();
    // Another was asked for meanwhile, of the same name.
    let same = approval(&api);
    with(&api, "approvals", "order-1", |one| {
        one["spec"]["request"]["targetARN"] = json!("arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:4");
        let request = serde_json::from_value(one["spec"]["request"].clone()).unwrap();
        one["spec"]["request"]["digest"] = json!(stepbound::plan::approval::digest(&request));
    });
    let other = api.ends(&arguments);
    assert!(other.code == 3 && other.said.contains("not the one of --digest"), "{other:?}");
    api.put(same);
    assert_eq!(api.ends(&arguments).code, 0, "{next}");
}

#[test]
fn programs_are_given_the_approval_alone() {
    let api = Api::start();
    api.waits("order");
    let json = api.ends(&["approve", "order", "--dry-run=client", "-o", "json"]);
    let printed: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(printed["spec"]["decision"]["verdict"], "Approved");
    assert!(json.said.contains("Asked by:      alice@example.com"), "{json:?}");
    assert_eq!(api.ends(&["approve", "order", "--yes", "-o", "name"]).out, "approval.stepbound.dev/order-1\n");
    let yaml = api.ends(&["approve", "order", "--yes", "-o", "yaml"]);
    assert!(yaml.code == 0 && yaml.out.contains("verdict: Approved"), "{yaml:?}");
}

type Change = fn(&Api);

/// What is wrong; what makes it so; the exit code of `approve order --yes` then, and what is said.
fn what_stands_against_it() -> Vec<(&'static str, Change, i32, &'static str)> {
    vec![
        ("same verdict", |api| decided(api, "Approved"), 0, "Next: kubectl sfn get order"),
        (
            "another verdict",
            |api| decided(api, "Denied"),
            3,
            "carol has denied it already, and a decision is written once. Next: kubectl sfn get order",
        ),
        ("expired", expired, 3, "it expired at "),
        (
            "cancelled",
            |api| with(api, "workflowruns", "order", |run| run["spec"]["cancel"] = json!({"reason": "no"})),
            3,
            "WorkflowRun \"order\" was cancelled, so nothing is to start",
        ),
        (
            "ended",
            |api| with(api, "workflowruns", "order", |run| run["status"]["phase"] = json!("Aborted")),
            3,
            "WorkflowRun \"order\" has ended",
        ),
        ("digest", asked_wrongly, 3, "its digest is not that of what it asks"),
        ("input", |api| asked_anew(api, &json!({"input": "{}"})), 3, "its SHA-256 is not the one that is asked for"),
        (
            "input elsewhere",
            |api| asked_anew(api, &json!({"input": null, "inputFrom": {"name": "big", "key": "input"}})),
            3,
            "it stands in ConfigMap \"big\", which is not there any more",
        ),
        ("gone", gone, 3, "its Approval is gone; the operator asks for another one"),
    ]
}

/// The same, where the API server says it.
fn what_the_api_server_refuses() -> Vec<(&'static str, Change, i32, &'static str)> {
    vec![
        (
            "conflict",
            |api| refuses(api, 409, "modified"),
            3,
            "it was changed meanwhile. Look at it again: kubectl sfn approve order",
        ),
        (
            "policy",
            |api| {
                refuses(
                    api,
                    403,
                    "approvals.stepbound.dev \"order-1\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'a' denied request: runs are approved by people, and x is not",
                );
            },
            3,
            "cannot approve Approval \"order-1\": runs are approved by people, and x is not. Ask with the credentials of a person",
        ),
        (
            "right",
            |api| {
                refuses(
                    api,
                    403,
                    "approvals.stepbound.dev \"order-1\" is forbidden: User \"bob\" cannot patch resource \"approvals\" in API group \"stepbound.dev\" in the namespace \"shop\"",
                );
            },
            3,
            "whose name ends in -stepbound-approve has this right",
        ),
        (
            "old cluster",
            |api| api.world.lock().unwrap().unknown.push("approvals"),
            3,
            "does not know this kind of Stepbound",
        ),
    ]
}

#[test]
fn what_keeps_it_from_being_decided_is_told_with_what_to_do_next() {
    for (case, change, code, said) in [what_stands_against_it(), what_the_api_server_refuses()].concat() {
        let api = Api::start();
        api.waits("order");
        change(&api);
        let before = stored(&api);
        let ended = api.ends(&["approve", "order", "--yes"]);
        assert_eq!(ended.code, code, "{case}: {ended:?}");
        assert!(ended.said.contains(said), "{case}: {ended:?}");
        assert_eq!(before, stored(&api), "{case}: nothing is written");
    }
}

#[test]
fn what_is_named_wrongly_or_nobody_was_asked_about_is_told_with_what_to_do_next() {
    let api = Api::start();
    api.waits("order");
    let before = stored(&api);
    for (arguments, code, said) in [
        (&["approve", "order"][..], 2, "--dry-run=client, and decide just that with --digest DIGEST --yes"),
        (
            &["deny", "ordre", "--yes"],
            3,
            "there is no WorkflowRun and no Approval \"ordre\" in namespace \"shop\"; did you mean \"order\"",
        ),
        (&["approve", "workflow/fulfil", "--yes"], 2, "is no WorkflowRun"),
    ] {
        let ended = api.ends(arguments);
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.said.contains(said), "{ended:?}");
    }
    assert_eq!(before, stored(&api), "nothing is written");
}

fn stored(api: &Api) -> Option<Value> {
    api.world.lock().unwrap().objects.get(&("approvals".to_owned(), "order-1".to_owned())).cloned()
}

fn gone(api: &Api) {
    api.world.lock().unwrap().objects.remove(&("approvals".to_owned(), "order-1".to_owned()));
}

/// With the digest of another role.
fn asked_wrongly(api: &Api) {
    with(api, "approvals", "order-1", |one| one["spec"]["request"]["executionRoleARN"] = json!("arn:other"));
}

fn refuses(api: &Api, code: u16, words: &str) {
    api.world.lock().unwrap().refuses = Some((code, words.to_owned()));
}

fn decided(api: &Api, verdict: &str) {
    with(api, "approvals", "order-1", |one| {
        one["spec"]["decision"] = json!({"verdict": verdict, "digest": "d", "by": "carol"});
    });
}

fn expired(api: &Api) {
    let past = api.ago(60);
    asked_anew(api, &json!({"expiresAt": past}));
}

/// With a digest of its own.
fn asked_anew(api: &Api, more: &Value) {
    with(api, "approvals", "order-1", |one| {
        one["spec"]["request"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = serde_json::from_value(one["spec"]["request"].clone()).unwrap();
        one["spec"]["request"]["digest"] = json!(stepbound::plan::approval::digest(&request));
    });
}

#[test]
fn an_input_that_stands_in_a_config_map_is_shown_from_there_and_one_that_may_not_be_seen_is_not_approved_by_chance() {
    let api = Api::start();
    api.waits("order");
    let digest = stepbound::digest::sha256_hex(b"{\"a\": [1, 1]}\n");
    asked_anew(&api, &json!({"input": null, "inputFrom": {"name": "big", "key": "input"}, "inputDigest": digest}));
    api.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"input": "{\"a\": [1, 1]}\n"}}));
    let shown = api.ends(&["approve", "order", "--dry-run=client"]);
    assert!(
        shown.code == 0 && shown.out.contains("Input (14 bytes):\n  {\n    \"a\": [\n      1,\n      1\n    ]\n  }"),
        "{shown:?}"
    );
    // A long one stands in the run, which not everybody sees.
    let long = stepbound::digest::sha256_hex(br#"{"order":7}"#);
    asked_anew(&api, &json!({"input": null, "inputFrom": null, "inputDigest": long}));
    assert!(api.ends(&["approve", "order", "--dry-run=client"]).out.contains("\"order\": 7"));
    api.world.lock().unwrap().objects.remove(&("workflowruns".to_owned(), "order".to_owned()));
    let unseen = api.ends(&["approve", "order", "--yes"]);
    assert!(unseen.code == 3 && unseen.said.contains("or decide without: --unseen-input"), "{unseen:?}");
    assert_eq!(api.ends(&["deny", "order", "--dry-run=client"]).code, 0, "what is not seen may be denied");
    assert_eq!(api.ends(&["approve", "order", "--yes", "--unseen-input"]).code, 0);
}

/// What the verb says on a terminal whose user types this; none where this machine has no such program.
fn typed(api: &Api, answer: &str) -> Option<(i32, String)> {
    let line = format!("exec {} approve order", env!("CARGO_BIN_EXE_kubectl-sfn"));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env("KUBECONFIG", api.kubeconfig()).env("TERM", "xterm");
    let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        println!("passed over: there is no script on this machine");
        return None;
    };
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    Some((ended.status.code().unwrap(), String::from_utf8(ended.stdout).unwrap().replace("\r\n", "\n")))
}

#[test]
fn on_a_terminal_it_is_asked_and_everything_but_a_yes_is_a_no() {
    for (answer, is_yes) in [("y\n", true), ("Yes\n", true), ("\n", false), ("yes please\n", false), ("\u{4}", false)] {
        let api = Api::start();
        api.waits("order");
        let Some((code, said)) = typed(&api, answer) else { return };
        assert!(said.contains("Approve what alice@example.com asks for? [y/N] "), "{said}");
        assert_eq!(
            (code, approval(&api)["spec"]["decision"].is_null()),
            if is_yes { (0, false) } else { (3, true) },
            "{answer:?}: {said}"
        );
    }
}

#[test]
fn what_waits_is_told_wherever_the_run_is_looked_at() {
    let api = Api::start();
    api.waits("order");
    let how = "kubectl sfn approve order";
    for (arguments, code, said) in [
        (&["list"][..], 0, format!("WorkflowRun \"order\" waits for an approval. To decide: {how}\n")),
        (&["get", "order"], 0, format!("Somebody else decides it: {how} -n shop, or deny\n")),
        (&["describe", "run/order"], 0, format!("Somebody else decides it: {how} -n shop, or deny\n")),
        (&["wait", "order", "--timeout", "1s"], 6, format!("Somebody else decides it: {how} -n shop, or deny\n")),
        (&["watch", "order", "--timeout", "1s"], 6, format!("Somebody else decides it: {how} -n shop, or deny\n")),
    ] {
        let news = api.world.lock().unwrap().objects[&("workflowruns".to_owned(), "order".to_owned())].clone();
        api.world.lock().unwrap().news.insert("workflowruns".to_owned(), vec![news]);
        let ended = api.ends(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.said.contains(&said), "{arguments:?}: {ended:?}");
    }
    assert!(api.ends(&["list", "-o", "wide"]).out.contains("WaitingForApproval"));
    let got = api.ends(&["get", "order"]);
    assert!(got.out.contains("Approval:      order-1, open for 20h, until "), "{got:?}");
    let described = api.ends(&["describe", "run/order"]);
    assert!(
        described.out.contains("waits for Approval order-1, until") && described.out.contains("? Run shop/order\n"),
        "{described:?}"
    );
    api.waits("other");
    assert!(
        api.ends(&["list"]).said.contains("2 of these runs wait for an approval. To decide: kubectl sfn approve NAME")
    );
}

#[test]
fn a_report_says_who_asked_and_who_approved() {
    let api = Api::start();
    api.waits("order");
    with(&api, "workflowruns", "order", |run| {
        run["status"]["approvedBy"] = json!("bob@example.com");
        run["status"]["attempts"] = json!([{"number": 1, "executionName": "a", "targetARN": "arn", "trustBindingName": "b",
            "inputDigest": "d", "recordedAt": api.ago(5), "requestedBy": "alice@example.com", "approvedBy": "bob@example.com"}]);
    });
    let report = api.ends(&["report", "order"]).out;
    assert!(report.contains("Approved by") && report.contains("order-1, for attempt 1"), "{report}");
    assert!(report.contains("<td>alice@example.com</td><td>bob@example.com</td>"), "{report}");
}
