//! What one object can do to its binding and to the state machines of others: values that reach session policies, names, and
//! machines that are taken over.

use super::with;
use crate::attempts::{Layer, Suite};
use crate::attribution::create_as;
use crate::*;

/// A tag of a state machine, set by whoever may in the account.
fn tag(tenant: &Tenant, arn: &str, key: &str, value: &str) {
    let tags = json!({"resourceArn": arn, "tags": [{"key": key, "value": value}]});
    tenant.bed.aws.states("TagResource", &tags).unwrap();
}

fn owned_by(cluster: &str, namespace: &str, name: &str) -> Value {
    json!([{"key": "stepbound.dev/cluster", "value": cluster}, {"key": "stepbound.dev/namespace", "value": namespace},
        {"key": "stepbound.dev/name", "value": name}])
}

/// A machine that somebody else has made.
fn machine_of(tenant: &Tenant, name: &str, tags: &Value) -> String {
    let role = tenant.execution_role_arn();
    let theirs = json!({"name": name, "definition": waiting(9).to_string(), "roleArn": role, "tags": tags});
    tenant.bed.aws.states("CreateStateMachine", &theirs).unwrap()["stateMachineArn"].as_str().unwrap().to_owned()
}

fn definition_of(tenant: &Tenant, arn: &str) -> String {
    let found = tenant.bed.aws.states("DescribeStateMachine", &json!({"stateMachineArn": arn})).unwrap();
    found["definition"].as_str().unwrap().to_owned()
}

pub(super) fn attempts(suite: &mut Suite<'_>) {
    keys(suite);
    names(suite);
    takeovers(suite);
}

fn keys(suite: &mut Suite<'_>) {
    use Layer::Schema;
    let tenant = suite.tenant;
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let long = "k".repeat(2000);
    for (what, key, words) in [
        ("a key of 2,000 characters", long.as_str(), "Too long"),
        ("a key that is none", "x:key/", "should match"),
        ("every key", "*", "should match"),
        ("every key of an account", "arn:aws:kms:eu-west-1:000000000000:key/*", "should match"),
        ("a key in every account", &format!("arn:aws:kms:eu-west-1:*:key/{id}"), "should match"),
        ("an alias with a wildcard", "alias/*", "should match"),
        ("an alias with a policy variable", "alias/${aws:username}", "should match"),
        ("the ARN of something else for a key", &format!("arn:aws:s3:::key/{id}"), "should match"),
    ] {
        let encryption = json!({"kmsKeyID": key});
        let workflow = with(tenant.workflow("key", &waiting(0)), "/spec/encryption", encryption.clone());
        suite.object(what, &workflow, Schema, words);
        let activity = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Activity", "metadata": {"name": "key"},
            "spec": {"trustBindingRef": {"name": "orders"}, "encryption": encryption}});
        suite.object(&format!("{what}, for an activity"), &activity, Schema, words);
    }
}

fn names(suite: &mut Suite<'_>) {
    use Layer::{Operator, Schema};
    let tenant = suite.tenant;
    let refused = (Operator, "Stalled", "NameNotAllowed");
    let named = with(tenant.workflow("named", &waiting(0)), "/spec/stateMachineName", json!("victim_other"));
    suite.condition("the name of a machine of the victim's", &named, refused, "matches none of the names");
    let activity = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Activity", "metadata": {"name": "named"},
        "spec": {"trustBindingRef": {"name": "orders"}, "name": "victim_work"}});
    suite.condition("the name of an activity of the victim's", &activity, refused, "matches none of the names");
    for (what, names, words) in [
        ("a pattern of names that leaves its part of an ARN", json!(["a:*"]), "should match"),
        ("an empty pattern of names", json!([""]), "should match"),
        ("seventeen patterns of names", json!((0..17).map(|n| format!("n{n}-*")).collect::<Vec<_>>()), "Too many"),
        ("a pattern of names that is too long", json!(["n".repeat(81)]), "Too long"),
    ] {
        let binding = with(tenant.binding("patterns"), "/spec/allowedStateMachineNames", names);
        suite.object(what, &binding, Schema, words);
    }
    assert!(
        tenant.bed.front.calls_about("victim_other").is_empty()
            && tenant.bed.front.calls_about("victim_work").is_empty()
    );
}

fn takeovers(suite: &mut Suite<'_>) {
    use Layer::{Aws, Operator};
    let tenant = suite.tenant;
    let taken = (Operator, "Stalled", "StateMachineNameTaken");
    for (what, name, tags, from) in [
        (
            "another cluster's machine, by asking",
            "hostile_far",
            owned_by("far", "victim", "fulfil"),
            "far/victim/fulfil",
        ),
        (
            "a stack's machine, by repeating the refusal",
            "hostile_stack",
            json!([{"key": "crossplane-name", "value": "s"}]),
            "whoever set the tag crossplane-name",
        ),
        (
            "a machine of a namesake in another cluster",
            "hostile_namesake",
            owned_by("far", "hostile", "namesake"),
            "far/hostile/namesake",
        ),
        (
            "a machine let go to somebody else",
            "hostile_promised",
            {
                let mut tags = owned_by("far", "victim", "fulfil");
                tags.as_array_mut()
                    .unwrap()
                    .push(json!({"key": "stepbound.dev/release-to", "value": "test/friend/fulfil"}));
                tags
            },
            "far/victim/fulfil",
        ),
    ] {
        let arn = machine_of(tenant, name, &tags);
        let before = definition_of(tenant, &arn);
        let mut workflow = tenant.workflow(name.split_once('_').unwrap().1, &waiting(1));
        workflow["metadata"]["annotations"] = json!({"stepbound.dev/take-over-from": from});
        // The shape of what is asked for may be refused before the operator sees it.
        match create_as(tenant, "mallory", &workflow) {
            Ok(_) => {
                tenant.kubectl(&["delete", "sfn", workflow["metadata"]["name"].as_str().unwrap(), "--wait=true"]);
                suite.condition(what, &workflow, taken, "was not touched");
            }
            Err(refusal) => {
                assert!(refusal.contains("take-over"), "{refusal}");
                suite.harmless(what, Layer::Admission, "take-over");
            }
        }
        assert_eq!(definition_of(tenant, &arn), before, "{what}");
    }

    // The role may do everything to it, the session may not: the machine is somebody else's by now.
    create_as(tenant, "mallory", &tenant.workflow("sold", &waiting(0))).unwrap();
    tenant.wait_for(suite.operator, "sfn/sold", "Ready", "True", "Synced");
    for (key, value, name) in
        [("stepbound.dev/namespace", "victim", "other-namespace"), ("stepbound.dev/cluster", "far", "other-cluster")]
    {
        tag(tenant, &tenant.machine_arn("sold"), key, value);
        let run = workflow_run(name, "sold", &json!({}));
        suite.condition(&format!("starting a machine of another's {key}"), &run, (Aws, "Ready", "AccessDenied"), "");
        let restored = if key.ends_with("cluster") { "test" } else { "hostile" };
        tag(tenant, &tenant.machine_arn("sold"), key, restored);
    }
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
/// Requirement 22: each of these had made every session of the binding too large.
#[test]
fn requirement_22_no_workflow_takes_its_binding_down() {
    let tenant = test_bed().tenant("taken-down");
    let operator = start(&tenant);
    let long = |n: usize| format!("taken-down-{}-{n:02}", "n".repeat(66));
    let mut binding = tenant.binding("orders");
    binding["spec"]["allowedStateMachineNames"] = json!(["taken-down-*"]);
    tenant.apply(&binding);
    tenant.apply(&tenant.workflow("fulfil", &waiting(60)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    tenant.apply(&workflow_run("running", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/running", "Started", "True", "ExecutionStarted");
    for n in 0..12 {
        let mut workflow = tenant.workflow(&format!("long-{n}"), &waiting(0));
        workflow["spec"]["stateMachineName"] = json!(long(n));
        workflow["spec"]["encryption"] = json!({"kmsKeyID": format!("alias/{}{n}", "a".repeat(240))});
        // Suspended or not: what one asks for is no other's matter.
        workflow["spec"]["suspend"] = json!(n % 2 == 0);
        tenant.apply(&workflow);
    }
    // A restart takes all of them in at once.
    crate::crashes::killed(&tenant, operator);
    let operator = start(&tenant);
    tenant.apply(&tenant.workflow("late", &waiting(0)));
    tenant.wait_for(&operator, "sfn/late", "Ready", "True", "Synced");
    tenant.apply(&workflow_run("late", "late", &json!({})));
    tenant.wait_for(&operator, "sfnrun/late", "Complete", "True", "Succeeded");
    tenant.kubectl(&["patch", "sfnrun", "running", "--type=merge", "-p", r#"{"spec":{"cancel":{}}}"#]);
    wait_until(Duration::from_secs(60), "the cancelled run", || {
        (tenant.get("sfnrun/running")?["status"]["phase"] == "Aborted").then_some(())
    });
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert!(
        binding["status"]["conditions"].as_array().unwrap().iter().all(|one| one["type"] != "Stalled"),
        "{binding}"
    );
    let policies: Vec<String> =
        tenant.bed.front.session_policies(&tenant.role_arn()).iter().flatten().map(ToString::to_string).collect();
    let shared: Vec<&String> = policies.iter().filter(|policy| policy.contains("states:StopExecution")).collect();
    assert!(shared.iter().all(|policy| policy.chars().count() <= 1024 && !policy.contains("alias/")), "{shared:?}");
    // One that rests has no session of its own: it was suspended before anything was asked for it.
    assert!(!policies.iter().any(|policy| policy.contains(&long(0))), "{policies:?}");
    tenant.delete_all(&operator);
}

/// Requirement 24 of docs/security.md: another owner's machine is taken over only where that owner agrees, and changed or started by nobody else.
/// Requirement 24: two clusters that name their machines alike in one account do not touch each other's. The owner's word moves
/// one, and neither side's alone.
#[test]
fn requirement_24_machines_of_two_clusters_in_one_account_do_not_meet() {
    let tenant = test_bed().tenant("two");
    let operator = start(&tenant);
    let arn = machine_of(&tenant, "two_fulfil", &owned_by("far", "two", "fulfil"));
    let before = definition_of(&tenant, &arn);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    let refused = tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "StateMachineNameTaken");
    assert!(
        refused.to_string().contains("kubectl annotate sfn fulfil -n two stepbound.dev/release-to=test/two/fulfil")
    );
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/take-over-from=far/two/fulfil"]);
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/reconcile-now=1"]);
    std::thread::sleep(Duration::from_secs(2));
    let refused = tenant.wait_for(&operator, "sfn/fulfil", "Stalled", "True", "StateMachineNameTaken");
    assert!(refused.to_string().contains("asks for it already"), "{refused}");
    assert_eq!(definition_of(&tenant, &arn), before);
    tag(&tenant, &arn, "stepbound.dev/release-to", "test/two/fulfil");
    tenant.kubectl(&["annotate", "--overwrite", "sfn", "fulfil", "stepbound.dev/reconcile-now=2"]);
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    assert_ne!(definition_of(&tenant, &arn), before);
    let tags = tenant.bed.aws.states("ListTagsForResource", &json!({"resourceArn": arn})).unwrap().to_string();
    assert!(!tags.contains("release-to") && !tags.contains("\"far\""), "{tags}");

    // The owner's own object says so too, and its operator puts the tag.
    tenant.kubectl(&["annotate", "sfn", "fulfil", "stepbound.dev/release-to=far/two/fulfil"]);
    wait_until(Duration::from_secs(60), "the tag of consent", || {
        let tags = tenant.bed.aws.states("ListTagsForResource", &json!({"resourceArn": arn})).unwrap().to_string();
        tags.contains("far/two/fulfil").then_some(())
    });
    tenant.delete_all(&operator);
}
