//! Spending a right that one does not have: a binding, another's state machine, a Secret, the operator's own account.

use super::with;
use crate::attempts::{Layer, Suite};
use crate::held::let_it_mint_everything;
use crate::*;

/// Mallory may use the binding `orders`; `payments` is of others in the same namespace.
pub(super) fn attempts(suite: &mut Suite<'_>) {
    bindings(suite);
    take_overs(suite);
    secrets(suite);
    operators_token(suite);
}

fn through_payments(object: Value) -> Value {
    with(object, "/spec/trustBindingRef", json!({"name": "payments"}))
}

fn bindings(suite: &mut Suite<'_>) {
    use Layer::Admission;
    const WORDS: &str = "may not use TrustBinding hostile/payments";
    let tenant = suite.tenant;
    let workflow = |name: &str| through_payments(tenant.workflow(name, &waiting(0)));
    suite.object("a Workflow through a binding that does not exist yet", &workflow("early"), Admission, WORDS);
    let mut payments = tenant.binding("payments");
    payments["spec"]["suspend"] = json!(true);
    tenant.apply(&payments);
    tenant.apply(&workflow("paid"));
    suite.object("a Workflow through a binding of others", &workflow("evil"), Admission, WORDS);
    let mut generated = workflow("evil");
    generated["metadata"] = json!({"generateName": "evil-"});
    suite.object("the same under a generated name", &generated, Admission, WORDS);
    let server_side = ["-n", "hostile", "apply", "--server-side", "--force-conflicts", "-f", "-"];
    let taken = with(workflow("paid"), "/spec/definition", waiting(1));
    suite.command("their Workflow by a server-side apply", &server_side, Some(&taken), Admission, WORDS);
    let json = r#"[{"op": "replace", "path": "/spec/definition/StartAt", "value": "Done"}]"#;
    let by_json = ["-n", "hostile", "patch", "sfn/paid", "--type=json", "-p", json];
    suite.command("their Workflow by a JSON patch", &by_json, None, Admission, WORDS);
    let mut activity =
        json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Activity", "metadata": {"name": "evil"}, "spec": {}});
    activity = through_payments(activity);
    suite.object("an Activity through a binding of others", &activity, Admission, WORDS);
    let patch = |patch: &'static str| ["-n", "hostile", "patch", "sfn/paid", "--type=merge", "-p", patch];
    let role = r#"{"spec": {"executionRoleARN": "arn:aws:iam::000000000000:role/another"}}"#;
    suite.command("another execution role for their Workflow", &patch(role), None, Admission, WORDS);
    let promote = ["-n", "hostile", "annotate", "sfn/paid", "stepbound.dev/promote=live"];
    suite.command("a command for their Workflow by an annotation", &promote, None, Admission, WORDS);
    let release = ["-n", "hostile", "annotate", "sfn/paid", "stepbound.dev/release-to=far/hostile/paid"];
    suite.command("letting their state machine go to another cluster", &release, None, Admission, WORDS);
    let moved = r#"{"spec": {"trustBindingRef": {"name": "payments"}}}"#;
    let own = ["-n", "hostile", "patch", "sfn/fulfil", "--type=merge", "-p", moved];
    suite.command(
        "one's own Workflow moved to their binding",
        &own,
        None,
        Layer::Cel,
        "trustBindingRef cannot be changed",
    );
}

fn take_overs(suite: &mut Suite<'_>) {
    use Layer::Admission;
    let tenant = suite.tenant;
    let from = |owner: &str| {
        let mut workflow = with(tenant.workflow("evil", &waiting(0)), "/spec/stateMachineName", json!("victim_fulfil"));
        workflow["metadata"]["annotations"] = json!({"stepbound.dev/take-over-from": owner});
        workflow
    };
    let words = "may not take over state machines of test/victim/fulfil";
    suite.object("the victim's state machine, by an annotation", &from("test/victim/fulfil"), Admission, words);
    let later = ["-n", "hostile", "annotate", "sfn/fulfil", "stepbound.dev/take-over-from=test/victim/fulfil"];
    suite.command("the same, on a Workflow that is there", &later, None, Admission, words);
    suite.object(
        "the state machines of the victim's ACK",
        &from("ack/victim"),
        Admission,
        "may not take over state machines of ack/victim",
    );
    let tagged = from("whoever set the tag aws:cloudformation:stack-id");
    suite.object(
        "a state machine of another tool, by the words of the refusal",
        &tagged,
        Admission,
        "it is the owner as the refusal names it",
    );
}

fn secrets(suite: &mut Suite<'_>) {
    let secret = json!({"name": "payments", "key": "secret"});
    let provider = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": "evil"},
        "spec": {"issuer": "https://evil.example", "clientAuthentication": {"type": "ClientSecret", "clientID": "c", "secretKeyRef": secret}}});
    suite.object(
        "a Secret sent to an issuer of one's own",
        &provider,
        Layer::Admission,
        "may not read Secret hostile/payments",
    );
}

/// What the operator's token is good for in other hands, where RBAC bounds nothing.
fn operators_token(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    let_it_mint_everything(tenant);
    std::thread::sleep(Duration::from_secs(1));
    let good = ["--audience=sts.amazonaws.com", "--duration=600s"];
    let mint = |namespace: &'static str, account: &'static str| ["-n", namespace, "create", "token", account];
    let mut refused = |what: &str, who: [&str; 5], how: &[&str], words: &str| {
        suite.stolen(what, &[&who[..], how].concat(), None, words);
    };
    let api_server = format!("--audience={}", tenant.bed.control_plane.issuer);
    let for_the_server = [api_server.as_str(), "--duration=600s"];
    refused(
        "the operator's token: a token for the API server",
        mint("hostile", "orders"),
        &for_the_server,
        "for one audience out of",
    );
    let both = ["--audience=sts.amazonaws.com", api_server.as_str(), "--duration=600s"];
    refused("the operator's token: two audiences", mint("hostile", "orders"), &both, "for one audience out of");
    let long = ["--audience=sts.amazonaws.com", "--duration=1h"];
    refused("the operator's token: a token of an hour", mint("hostile", "orders"), &long, "tokens of 600 seconds");
    refused(
        "the operator's token: the account of all pods",
        mint("hostile", "default"),
        &good,
        "of the account default",
    );
    refused(
        "the operator's token: an account of the cluster",
        mint("kube-system", "clusters-own"),
        &good,
        "of namespace kube-system",
    );
    refused(
        "the operator's token: its own account",
        mint("hostile-system", "stepbound"),
        &good,
        "of namespace hostile-system",
    );
    refused(
        "the operator's token: the victim's account",
        mint("victim", "orders"),
        &good,
        "the namespaces that it watches (hostile)",
    );
    let spec = ["-n", "hostile", "patch", "tb/orders", "--type=merge", "-p", r#"{"spec": {"sessionPolicy": "None"}}"#];
    suite.stolen("the operator's token: a binding without a session policy", &spec, None, "it changes no spec");
    let run = workflow_run("evil", "fulfil", &json!({}));
    suite.stolen(
        "the operator's token: a run of nobody's schedule",
        &["-n", "hostile", "create", "-f", "-"],
        Some(&run),
        "creates runs of schedules",
    );
}
