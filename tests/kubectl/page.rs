//! docs/kubectl-sfn.md: every verb with its flags, from the program's own definitions, and an example whose output the program
//! makes here.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command, CommandFactory};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::api::{Api, Ended};
use crate::read;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kubectl-sfn.md");
const HEAD: &str = "\
# kubectl sfn

What people do with workflows and runs, through the API server and with their own rights: nobody needs credentials of AWS.
Written from the program's own definitions; the outputs are the program's. Each verb says what it would do next, and what it
prints for programs (`-o json`, `-o yaml`, `-o name`) stays as the API has it.

![kubectl sfn run fulfil --watch in a terminal: the graph of the workflow, coloured as its states are entered and left](images/run.svg)

Recorded on the cluster of `make demo` by `tools/record-terminal.sh`; what changes faster than it can be read is slowed down.

[How to install it](install.md#the-plugin-kubectl-sfn), with completion of verbs, flags and names.

Colours are for terminals alone, and never with `NO_COLOR` or on a terminal that knows letters alone (`TERM=dumb`). A table
goes without some of its columns where the terminal is narrow; `-o wide` keeps all. Ctrl-C ends the waiting and not the run.
So does a reader that has seen enough: `kubectl sfn watch RUN | head -1` ends with 6, unless it has learned how the run ended,
and `kubectl sfn logs RUN --follow | head -1` with 0. Whoever reads no more is noticed at once, also while nothing happens. A
request to terminate (SIGTERM, as of `timeout`) and the end of a terminal end it as Ctrl-C does: what was asked for is taken back.

A [job of CI](ci.md) has a token in a file and no kubeconfig: `--token-file` with `--server`.

| exit code | means |
|---|---|
| 0 | done, and it went well |
| 1 | the run failed, or a check found an error |
| 2 | wrong usage, or a file that cannot be read or written |
| 3 | refused, not found, no token that counts, the API server cannot be reached, or the port of `ui` is taken |
| 4 | the run timed out |
| 5 | the run was aborted |
| 6 | stopped waiting while the run goes on |
";

/// By verb, what its example is called with. Each verb has one; of a verb with verbs under it each of those.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("ui", &[]),
    (
        "run",
        &[
            "run",
            "fulfil",
            "--set",
            "order.id=4711,order.gift=true",
            "--name",
            "order-4711",
            "--dry-run=client",
            "-o",
            "yaml",
        ],
    ),
    ("watch", &["watch", "order-4710"]),
    ("list", &["list", "fulfil"]),
    ("get", &["get", "order-4710"]),
    ("wait", &["wait", "order-4709"]),
    ("cancel", &["cancel", "order-4712", "--reason", "ordered twice"]),
    ("redrive", &["redrive", "order-4710"]),
    ("retry", &["retry", "order-4710"]),
    ("approve", &["approve", "order-4713", "--yes"]),
    ("deny", &["deny", "order-4713", "--dry-run=client", "-o", "name"]),
    ("logs", &["logs", "order-4710"]),
    ("describe", &["describe", "run/order-4710"]),
    ("report", &["report", "order-4710", "--output-file", "order-4710.html"]),
    ("evidence", &["evidence", "--since", "30d"]),
    ("diff", &["diff", "-f", "fulfil.yaml"]),
    ("rollout status", &["rollout", "status", "fulfil", "--watch=false"]),
    ("rollout pause", &["rollout", "pause", "fulfil"]),
    ("rollout resume", &["rollout", "resume", "pay"]),
    ("rollout promote", &["rollout", "promote", "fulfil"]),
    ("rollout undo", &["rollout", "undo", "fulfil"]),
    ("mcp", &[]),
    ("import", &["import", "described.json", "--binding", "orders"]),
    ("graph", &["graph", "workflow/fulfil"]),
    ("lint", &["lint", "workflow/fulfil"]),
    ("policy execution-role", &["policy", "execution-role", "workflow/pay"]),
    ("policy step-roles", &["policy", "step-roles", "workflow/pay", "--split"]),
    ("policy binding-role", &["policy", "binding-role", "binding/orders"]),
    ("trust render", &["trust", "render", "binding/orders", "--issuer", "https://oidc.example.com/shop"]),
    (
        "trust explain",
        &[
            "trust",
            "explain",
            "--policy",
            "role.json",
            "--manifest",
            "binding/orders",
            "--issuer",
            "https://oidc.example.com/shop",
        ],
    ),
    ("trust lint", &["trust", "lint", "role.json"]),
    ("completion", &["completion", "kubectl"]),
];

/// What the further verbs read, in the cluster and beside it.
fn with_more(api: &Api) {
    let rollout = json!([{"name": "live", "rollout": {"strategy": "Canary", "percent": 10, "interval": "10m"}}]);
    let alias = json!({"name": "live", "ARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:live",
        "routes": [{"version": 3, "weight": 90}, {"version": 4, "weight": 10}], "phase": "RollingOut", "target": 4,
        "message": "Version 4 gets 10 % of new executions: 1 of 20 failed, before 2 of 180; 10 have to end before it goes on."});
    let ready = json!([{"type": "Ready", "status": "True", "reason": "Synced", "message": "It is as wanted.",
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    let status = json!({"stateMachineARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil", "versions": [3, 4],
        "latestVersion": {"ARN": "arn", "number": 4}, "aliases": [alias], "conditions": ready});
    let task = json!({"StartAt": "Pay", "States": {"Pay": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "arn:aws:lambda:eu-west-1:111122223333:function:pay"}, "End": true}}});
    let mut world = api.world.lock().unwrap();
    let key = |name: &str| ("workflows".to_owned(), name.to_owned());
    let fulfil = world.objects.get_mut(&key("fulfil")).unwrap();
    fulfil["spec"]["aliases"] = rollout;
    fulfil["status"] = status;
    let mut pay = fulfil.clone();
    pay["metadata"] = json!({"name": "pay", "namespace": "shop", "annotations": {"stepbound.dev/pause": "live"}});
    pay["spec"]["definition"] = task.clone();
    let mut changed = fulfil.clone();
    changed.as_object_mut().unwrap().remove("status");
    changed["spec"]["definition"]["States"]["Pack"] = json!({"Type": "Pass", "Next": "Pay"});
    changed["spec"]["definition"]["States"]["Pay"] = task["States"]["Pay"].clone();
    world.objects.insert(key("pay"), pay);
    let events = json!([{"id": 1, "type": "ExecutionStarted", "timestamp": "2026-01-01T08:59:32.000000Z"},
        {"id": 2, "type": "TaskStateEntered", "timestamp": "2026-01-01T08:59:34.000000Z", "state": "Pack"},
        {"id": 3, "type": "TaskFailed", "timestamp": "2026-01-01T08:59:39.000000Z", "state": "Pack", "resource": "lambda",
            "error": "OutOfBoxes", "cause": "no box of size L"}]);
    let history = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistory",
        "metadata": {"name": "order-4710-x7k2p", "namespace": "shop", "resourceVersion": "9"},
        "spec": {"workflowRunRef": {"name": "order-4710"}}, "status": {"phase": "Complete", "pages": 1}});
    world.news.insert("executionhistories".to_owned(), vec![history]);
    drop(world);
    api.put(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "ExecutionHistoryPage",
        "metadata": {"name": "order-4710-x7k2p-1", "namespace": "shop"}, "spec": {"number": 1, "events": events}}));
    api.put(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "TrustBinding", "metadata": {"name": "orders", "namespace": "shop"},
        "spec": {"serviceAccountName": "orders", "region": "eu-west-1", "roleARN": "arn:aws:iam::111122223333:role/orders",
            "allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/exec"]},
        "status": {"accountID": "111122223333", "subject": "system:serviceaccount:shop:orders", "conditions": [
            {"type": "TokenMinted", "status": "True", "reason": "TokenMinted", "message": "It is.", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "RoleAssumed", "status": "True", "reason": "RoleAssumed", "message": "It is.", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}));
    let described = json!({"stateMachineArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:Refund", "name": "Refund",
        "status": "ACTIVE", "type": "STANDARD", "roleArn": "arn:aws:iam::111122223333:role/exec",
        "definition": task.to_string(), "label": "prod"});
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/shop"},
        "Condition": {"StringEquals": {"oidc.example.com/shop:aud": "sts.amazonaws.com",
            "oidc.example.com/shop:sub": "system:serviceaccount:shop:orders"}}}]});
    for (name, value) in [("fulfil.yaml", changed), ("described.json", described), ("role.json", trust)] {
        std::fs::write(api.folder.path().join(name), value.to_string()).unwrap();
    }
}

/// A cluster as the examples see it. Its times are a little more than three hours ago, so that an age stays what it is.
fn cluster() -> Api {
    let api = Api::start();
    let ago = |seconds: i64| api.ago(3 * 3600 + seconds);
    api.workflow("fulfil");
    let arn = "arn:aws:states:eu-west-1:111122223333:";
    let status = |phase: &str, more: serde_json::Value| {
        let mut status = json!({"phase": phase, "startedAt": ago(28), "requestedBy": "alice@example.com",
            "sessionName": "alice-1f6b2c0d9e8a7b65",
            "executionARN": format!("{arn}execution:shop_fulfil:0b0d"), "attempts": [{"number": 1, "executionName": "0b0d",
                "targetARN": format!("{arn}stateMachine:shop_fulfil:3"), "trustBindingName": "orders", "inputDigest": "d",
                "recordedAt": ago(29)}]});
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        status
    };
    api.run(
        "order-4709",
        &status("Succeeded", json!({"duration": "14s", "finishedAt": ago(14), "output": {"shipped": true}})),
    );
    let visit = |state: &str, result: &str, from: i64, to: i64| {
        json!({"path": format!("/States/{state}"), "state": state, "result": result,
            "enteredAt": ago(from).replace('Z', ".000000Z"), "exitedAt": ago(to).replace('Z', ".000000Z")})
    };
    let mut pack = visit("Pack", "Failed", 26, 21);
    pack["retries"] = json!(2);
    pack["error"] = json!("OutOfBoxes");
    let timeline = json!({"observedEventID": 14, "visits": [visit("Pick", "Succeeded", 28, 26), pack]});
    api.run(
        "order-4710",
        &status(
            "Failed",
            json!({"duration": "7s", "finishedAt": ago(21), "error": "OutOfBoxes", "cause": "no box of size L",
                "failedState": "Pack", "redrive": {"count": 0, "possible": true}, "timeline": timeline}),
        ),
    );
    api.run("order-4712", &status("Running", json!({"state": "Pack"})));
    api.waits("order-4713");
    with_more(&api);
    api
}

/// Times are as long before a fixed one as they are before now.
fn with_fixed_times(text: &str, now: Timestamp) -> String {
    let base: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let mut fixed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("20") {
        let (before, from) = rest.split_at(at);
        fixed.push_str(before);
        let word = from.get(..20).and_then(|word| word.parse::<Timestamp>().ok());
        let length = if let Some(time) = word {
            let ago = now.duration_since(time).as_secs();
            fixed.push_str(&(base - SignedDuration::from_secs(ago)).to_string());
            20
        } else {
            fixed.push_str("20");
            2
        };
        rest = &from[length..];
    }
    fixed + rest
}

/// The digest of a request is of its times too.
fn with_a_fixed_digest(mut text: String) -> String {
    for before in ["Digest:        ", "--digest "] {
        let places: Vec<usize> = text.match_indices(before).map(|(at, _)| at + before.len()).collect();
        for at in places {
            let is_digest = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
            if text.get(at..at + 64).is_some_and(is_digest) {
                text.replace_range(at..at + 64, &stepbound::digest::sha256_hex(b"the request"));
            }
        }
    }
    text
}

fn flags(command: &Command, is_global: bool) -> String {
    let mut table = String::new();
    let is_claps = |arg: &Arg| matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
    let shown = |arg: &&Arg| !arg.is_hide_set() && arg.is_global_set() == is_global && !is_claps(arg);
    for arg in command.get_arguments().filter(shown) {
        let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> =
            arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        let takes_value = arg.get_action().takes_values();
        let name = match (arg.get_short(), arg.get_long()) {
            _ if arg.is_positional() => format!("`{value}`"),
            (Some(short), Some(long)) => format!("`-{short}`, `--{long}`"),
            (_, long) => format!("`--{}`", long.unwrap_or_default()),
        };
        let value = match () {
            () if !takes_value => String::new(),
            () if !values.is_empty() => values.join(", "),
            () if arg.is_positional() => String::new(),
            () => value,
        };
        let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        let default = default.filter(|default| takes_value && !default.is_empty());
        let default = default.map(|default| format!("; by default `{default}`")).unwrap_or_default();
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        writeln!(table, "| {name} | {value} | {help}{default} |").unwrap();
    }
    if table.is_empty() { table } else { format!("\n| | value | |\n|---|---|---|\n{table}") }
}

/// The verb and those under it, each with its whole name.
fn verbs(command: &Command, before: &str) -> Vec<(String, Command)> {
    let mut found = Vec::new();
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        let name = format!("{before}{}", verb.get_name());
        let inner = verbs(verb, &format!("{name} "));
        if inner.is_empty() {
            found.push((name, verb.clone()));
        }
        found.extend(inner);
    }
    found
}

fn example(arguments: &[&str]) -> String {
    let api = cluster();
    let now = api.begun;
    let ended = Ended::of(&api.command(arguments).current_dir(api.folder.path()).output().unwrap());
    let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    let line: Vec<String> = arguments.iter().map(quoted).collect();
    let code = if ended.code == 0 { String::new() } else { format!("$ echo $?\n{}\n", ended.code) };
    let text = with_a_fixed_digest(with_fixed_times(&format!("{}{}", ended.out, ended.said), now));
    format!("\n```console\n$ kubectl sfn {}\n{text}{code}```\n", line.join(" "))
}

#[test]
fn the_page_of_the_plugin_is_what_the_program_says() {
    let mut command = stepbound::kubectl::Cli::command();
    command.build();
    let mut page = HEAD.to_owned();
    write!(page, "\nEvery verb takes these flags too:\n{}", flags(&command, true)).unwrap();
    let all = verbs(&command, "");
    for (name, verb) in &all {
        let example_of = EXAMPLES.iter().find(|(of, _)| of == name);
        let (_, arguments) = example_of.unwrap_or_else(|| panic!("{name} has no example: add one to EXAMPLES"));
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        // What shows no text in a terminal has a page of its own.
        let shown = match name.as_str() {
            _ if !arguments.is_empty() => example(arguments),
            "mcp" => "\nSee [how an agent is set up](mcp.md).\n".to_owned(),
            _ => "\nSee [the page](page.md).\n".to_owned(),
        };
        write!(page, "\n## {name}\n{about}.\n{}{shown}", flags(verb, false)).unwrap();
    }
    for (name, _) in EXAMPLES {
        assert!(all.iter().any(|(verb, _)| verb == name), "there is no verb {name} any more");
    }
    if std::env::var_os("STEPBOUND_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    assert!(
        read("docs/kubectl-sfn.md") == page,
        "docs/kubectl-sfn.md is not what the program says. Write it: STEPBOUND_UPDATE_SNAPSHOTS=1 cargo test --test kubectl the_page\nnow:\n{page}"
    );
}
