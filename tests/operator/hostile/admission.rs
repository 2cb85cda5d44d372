//! Spending a right that one does not have: a binding, another's state machine, a Secret, the operator's own account.

use super::with;
use crate::attempts::{Layer, Suite};
use crate::held::{as_operator, let_it_mint_everything, owner_that_is_gone};
use crate::*;

/// Mallory may use the binding `orders`; `payments` is of others in the same namespace.
pub(super) fn attempts(suite: &mut Suite<'_>) {
    bindings(suite);
    take_overs(suite);
    secrets(suite);
    schedules(suite);
    operators_token(suite);
    operators_maps(suite);
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
    let gone = json!({"metadata": {"ownerReferences": [owner_that_is_gone()]}}).to_string();
    let owned = ["-n", "hostile", "patch", "sfn/paid", "--type=merge", "-p", gone.as_str()];
    suite.command("their Workflow deleted by an owner that does not exist", &owned, None, Admission, WORDS);
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
    // An administrator wrote it, or nobody asked at the time.
    let mut asked = tenant.workflow("asked", &waiting(0));
    asked["metadata"]["annotations"] = json!({"stepbound.dev/take-over-from": "test/victim/fulfil"});
    tenant.apply(&with(asked, "/spec/suspend", json!(true)));
    let go_on = ["-n", "hostile", "patch", "sfn/asked", "--type=merge", "-p", r#"{"spec": {"suspend": false}}"#];
    suite.command("a take-over that somebody else has asked for before", &go_on, None, Admission, words);
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

/// Runs that a schedule, or AWS, would take for the schedule's own.
fn schedules(suite: &mut Suite<'_>) {
    use Layer::Admission;
    const WORDS: &str = "runs of a WorkflowSchedule are created by the operator alone";
    let uid = "11111111-2222-3333-4444-555555555555";
    let owner = json!([{"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "name": "nightly", "uid": uid, "controller": true}]);
    let run = || workflow_run("nightly-29999999", "fulfil", &json!({"input": {"by": "mallory"}}));
    let taken_for_its = with(run(), "/metadata/ownerReferences", owner.clone());
    suite.object("a run in place of a schedule's", &taken_for_its, Admission, WORDS);
    for group in ["other.example/v1", "v1", "Stepbound.dev/v1alpha1"] {
        let elsewhere = with(taken_for_its.clone(), "/metadata/ownerReferences/0/apiVersion", json!(group));
        suite.object(&format!("the same by an owner of {group}"), &elsewhere, Admission, WORDS);
    }
    let label = json!({"stepbound.dev/schedule": "nightly"});
    suite.object("a schedule's label on a run", &with(run(), "/metadata/labels", label), Admission, WORDS);
    let name = json!({"executionName": format!("{uid}-29999999"), "startDeadline": "2099-01-01T00:00:00Z"});
    let claims = workflow_run("claims", "fulfil", &name);
    suite.object("the execution name of a schedule's next run", &claims, Admission, WORDS);
    let adopted = json!({"metadata": {"ownerReferences": owner}}).to_string();
    let adopted = ["-n", "hostile", "patch", "sfnrun/running", "--type=merge", "-p", adopted.as_str()];
    suite.command("a schedule as controller of a run that is there", &adopted, None, Admission, WORDS);
}

/// With `outputs.configMaps` RBAC lets the account create every ConfigMap.
fn operators_maps(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    tenant.let_outputs_be_stored();
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"mapRoles": "x"}});
    let probe = ["-n", "hostile", "create", "--dry-run=server", "-f", "-"];
    wait_until(Duration::from_secs(60), "the right is there and the policy holds", || {
        as_operator(tenant, &probe, Some(&map("probe"))).err().filter(|said| said.contains("AdmissionPolicy"))
    });
    let create = ["-n", "hostile", "create", "-f", "-"];
    let words = "creates ConfigMaps of outputs alone";
    suite.stolen("the operator's token: the cluster's map of roles", &create, Some(&map("aws-auth")), words);
    let nobodys = map("evil-output");
    suite.stolen("the operator's token: an output of no run", &create, Some(&nobodys), words);
    let uid = "11111111-2222-3333-4444-555555555555";
    let owner = json!([{"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "name": "evil", "uid": uid, "controller": true}]);
    let loaded = with(nobodys, "/metadata/ownerReferences", owner);
    suite.stolen(
        "the operator's token: an output with other keys",
        &create,
        Some(&loaded),
        "under the key output.json",
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
    let gone = json!({"metadata": {"ownerReferences": [owner_that_is_gone()]}}).to_string();
    suite.stolen(
        "the operator's token: a run deleted by an owner that does not exist",
        &["-n", "hostile", "patch", "sfnrun/running", "--type=merge", "-p", &gone],
        None,
        "the operator changes no owner reference",
    );
}
