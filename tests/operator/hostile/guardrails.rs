//! Ways past a Guardrail: what was allowed once, what says nothing of itself, and what goes by another name.

use super::with;
use crate::attempts::{Layer, Suite};
use crate::attribution::create_as;
use crate::guardrails::{calling, guardrail, starts_of, until_admission_says};
use crate::*;

const ANOTHER: &str = "999999999999";

/// Makes what a tenant may have had before the Guardrail, and then every attempt.
pub(super) fn attempts(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    before(suite);
    guardrail(
        tenant,
        "hostile-starts",
        &json!({"forbiddenIntegrations": ["lambda", "bedrock", "elasticmapreduce", "states:startExecution"],
            "allowedAccountIDs": ["000000000000"], "allowedStateMachineNames": ["hostile_*"],
            "requireDerivedSessionPolicy": true}),
    );
    let elsewhere = with(tenant.binding("elsewhere"), "/spec/roleARN", json!(format!("arn:aws:iam::{ANOTHER}:role/r")));
    until_admission_says(tenant, &elsewhere, "Guardrail hostile-starts");
    tenant.wait_for(suite.operator, "sfn/g-suspended", "Stalled", "True", "RefusedByGuardrail");
    starts(suite);
    suspended(suite, &elsewhere);
    other_names(suite);
    other_accounts(suite);
    other_fields(suite);
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "hostile-starts"]);
    forgotten_source(suite);
    forgotten_with_its_workflow(suite);
    beyond_the_limit(suite);
    beyond_the_pace(suite);
}

pub(super) fn made(suite: &Suite<'_>, name: &str, spec: &Value) {
    let mut workflow = suite.tenant.workflow(name, &calling());
    workflow["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    suite.tenant.apply(&workflow);
    suite.tenant.wait_for(suite.operator, &format!("sfn/{name}"), "Ready", "True", "Synced");
}

fn before(suite: &Suite<'_>) {
    let tenant = suite.tenant;
    for name in ["g-suspended", "g-invalid", "g-again", "g-redrive"] {
        made(suite, name, &json!({}));
    }
    made(suite, "g-versioned", &json!({"aliases": [{"name": "old", "version": 1}]}));
    made(suite, "g-versioned", &json!({"definition": waiting(0), "aliases": [{"name": "old", "version": 1}]}));
    let two = |object: &Value| object["status"]["latestVersion"]["number"] == 2;
    tenant.wait_for_object(suite.operator, "sfn/g-versioned", "version 2", Duration::from_secs(90), two);
    made(suite, "g-moved", &json!({"aliases": [{"name": "live", "version": 1}]}));
    made(suite, "g-moved", &json!({"definition": waiting(0), "aliases": [{"name": "live", "version": 2}]}));
    let moved = |object: &Value| object["status"]["aliases"][0]["routes"][0]["version"] == 2;
    tenant.wait_for_object(suite.operator, "sfn/g-moved", "version 2 by the alias", Duration::from_secs(90), moved);
    let listed = json!([tenant.execution_role_arn()]);
    create_as(tenant, "mallory", &with(tenant.binding("listed"), "/spec/allowedExecutionRoleARNs", listed)).unwrap();
    made(suite, "g-listed", &json!({"trustBindingRef": {"name": "listed"}, "definition": waiting(0)}));
    let retry = json!({"retry": {"strategy": "Restart", "limit": 3, "backoff": {"interval": "15s", "factor": 1}}});
    create_as(tenant, "mallory", &workflow_run("g-redrive", "g-redrive", &json!({}))).unwrap();
    tenant.wait_for(suite.operator, "sfnrun/g-redrive", "Failed", "True", "ExecutionFailed");
    create_as(tenant, "mallory", &workflow_run("g-again", "g-again", &retry)).unwrap();
    let waits = |object: &Value| object["status"]["retryAt"].is_string();
    tenant.wait_for_object(suite.operator, "sfnrun/g-again", "wait", Duration::from_secs(90), waits);
}

pub(super) fn change(suite: &Suite<'_>, resource: &str, spec: &Value) {
    let patch = json!({"spec": spec}).to_string();
    let command = ["-n", &suite.tenant.name, "patch", resource, "--type=merge", "-p", &patch];
    suite.tenant.bed.control_plane.kubectl_as("mallory", &command, None).unwrap();
}

/// Starts of what was allowed once.
fn starts(suite: &mut Suite<'_>) {
    use Layer::Operator;
    let tenant = suite.tenant;
    let refused = (Operator, "Ready", "RefusedByGuardrail");
    let names = ["g-suspended", "g-invalid", "g-versioned", "g-listed", "g-again", "g-redrive"];
    let counts: Vec<usize> = names.iter().map(|name| starts_of(tenant, name)).collect();
    change(suite, "sfn/g-suspended", &json!({"suspend": true}));
    change(suite, "sfn/g-invalid", &json!({"definition": {"StartAt": "Nowhere"}}));
    change(suite, "tb/listed", &json!({"allowedExecutionRoleARNs": ["arn:aws:iam::000000000000:role/another"]}));
    tenant.wait_for(suite.operator, "sfn/g-invalid", "DefinitionValid", "False", "DefinitionInvalid");
    tenant.wait_for(suite.operator, "sfn/g-listed", "Stalled", "True", "ExecutionRoleNotAllowed");
    let run = |name: &str, workflow: &str| workflow_run(name, workflow, &json!({}));
    let words = "integration lambda:invoke is forbidden by \"lambda\"";
    suite.condition("a run of a Workflow suspended after it was refused", &run("g-1", "g-suspended"), refused, words);
    suite.condition("a run of one whose definition was then broken", &run("g-2", "g-invalid"), refused, words);
    let version = workflow_run("g-3", "g-versioned", &json!({"workflowRef": {"name": "g-versioned", "version": 1}}));
    suite.condition("a run of an old version", &version, refused, words);
    let alias = workflow_run("g-4", "g-versioned", &json!({"workflowRef": {"name": "g-versioned", "alias": "old"}}));
    suite.condition("a run by an alias of an old version", &alias, refused, words);
    change(suite, "sfn/g-moved", &json!({"aliases": [{"name": "live", "version": 1}]}));
    let held = tenant.wait_for(suite.operator, "sfn/g-moved", "Stalled", "True", "RefusedByGuardrail");
    let said = condition(&held, "Stalled").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with("Alias \"live\" is not moved.") && said.contains(words), "{said}");
    let asked =
        tenant.bed.front.calls_about("g-moved:1\"").into_iter().filter(|call| call.operation.ends_with("Alias"));
    assert_eq!(asked.count(), 1, "it was created at version 1, and is not moved back");
    suite.harmless("an alias moved to an old version", Operator, "RefusedByGuardrail: it stays");
    let listed = (Operator, "Ready", "ExecutionRoleNotAllowed");
    suite.condition("a run as a role taken off the list", &run("g-5", "g-listed"), listed, "is not among");
    tenant.wait_for(suite.operator, "sfnrun/g-again", "Ready", "False", "RefusedByGuardrail");
    suite.harmless("a retry of a run from before", Operator, "RefusedByGuardrail: it waits");
    let asked = ["-n", &tenant.name, "annotate", "sfnrun/g-redrive", "stepbound.dev/redrive=1"];
    tenant.bed.control_plane.kubectl_as("mallory", &asked, None).unwrap();
    let handled = |object: &Value| object["status"]["lastHandled"]["redrive"] == "1";
    tenant.wait_for_object(suite.operator, "sfnrun/g-redrive", "answer", Duration::from_secs(90), handled);
    suite.harmless("a redrive of a run from before", Operator, "RedriveRefused, with the Guardrail");
    let after: Vec<usize> = names.iter().map(|name| starts_of(tenant, name)).collect();
    assert_eq!(after, counts, "starts of {names:?}");
}

/// What says that nothing is done with it, and what an object may not become.
fn suspended(suite: &mut Suite<'_>, elsewhere: &Value) {
    use Layer::Admission;
    let tenant = suite.tenant;
    let asleep = |object: Value| with(object, "/spec/suspend", json!(true));
    let foreign = json!(format!("arn:aws:iam::{ANOTHER}:role/r"));
    let words = format!("AWS account {ANOTHER} is not among");
    suite.object("a suspended binding to another account", &asleep(elsewhere.clone()), Admission, &words);
    let workflow = with(tenant.workflow("evil", &waiting(0)), "/spec/executionRoleARN", foreign.clone());
    let words = format!("execution role {ANOTHER} is not among");
    suite.object("a suspended Workflow with a role of another", &asleep(workflow), Admission, &words);
    let patch = |spec: Value| json!({"spec": spec}).to_string();
    let role = patch(json!({"executionRoleARN": foreign}));
    let command = ["-n", "hostile", "patch", "sfn/g-suspended", "--type=merge", "-p", &role];
    suite.command("another account's role for a suspended one", &command, None, Admission, &words);
    let unbounded = with(tenant.binding("evil"), "/spec/sessionPolicy", json!("None"));
    let words = "sessions need the policy that Stepbound derives";
    suite.object("a binding without a session policy", &unbounded, Admission, words);
    let own = json!({"Version": "2012-10-17", "Statement": []});
    let own = with(tenant.binding("evil"), "/spec/sessionPolicy", own);
    suite.object("a binding with a session policy of one's own", &own, Admission, words);
    let none = patch(json!({"sessionPolicy": "None", "suspend": true}));
    let command = ["-n", "hostile", "patch", "tb/orders", "--type=merge", "-p", &none];
    suite.command("taking the session policy off, suspended", &command, None, Admission, words);
    let named = with(tenant.workflow("evil", &waiting(0)), "/spec/stateMachineName", json!("payroll"));
    suite.object("a state machine's name outside the pattern", &named, Admission, "the name payroll");
}

fn calls(suite: &mut Suite<'_>, what: &str, name: &str, fields: &Value, words: &str) {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true,
        "Parameters": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/000000000000/q", "MessageBody": "x"}});
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let inner = json!({"StartAt": "T", "States": {"T": state}});
    let definition = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": inner}}});
    let workflow = suite.tenant.workflow(name, &definition);
    suite.condition(what, &workflow, (Layer::Operator, "Stalled", "RefusedByGuardrail"), words);
}

/// A forbidden service by its other names.
fn other_names(suite: &mut Suite<'_>) {
    let resource = |name: &str, parameters: Value| json!({"Resource": format!("arn:aws:states:::{name}"), "Parameters": parameters});
    let model = json!({"ModelId": "m", "Messages": [{"Role": "user", "Content": [{"Text": "x"}]}]});
    let cases = [
        (
            "a forbidden service by its runtime",
            "g-bedrock",
            resource("aws-sdk:bedrockruntime:converse", model),
            "\"bedrock\"",
        ),
        (
            "a forbidden service by its name in the SDK",
            "g-emr",
            resource("aws-sdk:emr:listClusters", json!({})),
            "\"elasticmapreduce\"",
        ),
        (
            "a forbidden operation by its name in the SDK",
            "g-sfn",
            resource(
                "aws-sdk:sfn:startExecution",
                json!({"StateMachineArn": "arn:aws:states:eu-west-1:000000000000:stateMachine:m"}),
            ),
            "\"states:startExecution\"",
        ),
    ];
    for (what, name, fields, words) in cases {
        calls(suite, what, name, &fields, words);
    }
}

/// Another account's things, named where no rule of admission looks.
fn other_accounts(suite: &mut Suite<'_>) {
    let words = format!("AWS account {ANOTHER} at /States/M/ItemProcessor/States/T");
    let queue = |account: &str| format!("https://sqs.eu-west-1.amazonaws.com/{account}/q");
    let cases = [
        (
            "a role of another account in Credentials",
            "g-credentials",
            json!({"Credentials": {"RoleArn": format!("arn:aws:iam::{ANOTHER}:role/r")}}),
        ),
        (
            "an activity of another account",
            "g-activity",
            json!({"Resource": format!("arn:aws:states:eu-west-1:{ANOTHER}:activity:a"), "Parameters": {}}),
        ),
        (
            "an ARN of another account, deep in Parameters",
            "g-deep",
            json!({"Parameters": {"QueueUrl": queue("000000000000"),
            "MessageBody": {"a": [{"b": format!("arn:aws:sns:eu-west-1:{ANOTHER}:t")}]}}}),
        ),
        (
            "a queue of another account by its URL",
            "g-queue",
            json!({"Parameters": {"QueueUrl": queue(ANOTHER), "MessageBody": "x"}}),
        ),
    ];
    for (what, name, fields) in cases {
        calls(suite, what, name, &fields, &words);
    }
    let open = json!({"Credentials": {"RoleArn.$": "$.role"}});
    calls(suite, "a role in Credentials from the input", "g-open", &open, "is known only when it runs");
}

/// Another account's function, in fields that hand values to the states after.
fn other_fields(suite: &mut Suite<'_>) {
    let arn = format!("arn:aws:lambda:eu-west-1:{ANOTHER}:function:f");
    let own = "https://sqs.eu-west-1.amazonaws.com/000000000000/q";
    let send = |url: &str| {
        json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true,
        "Arguments": {"QueueUrl": url, "MessageBody": "x"}})
    };
    let then = send("{% $states.input.fn %}");
    let before = |state: Value| json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": state, "T": then}});
    let choice = |field: &str| json!({"Type": "Choice", "Choices": [{"Condition": "{% true %}", field: {"fn": arn}, "Next": "T"}], "Default": "T"});
    let catch = |field: &str| {
        let mut state = send(own);
        state.as_object_mut().unwrap().remove("End");
        state["Next"] = json!("T");
        state["Catch"] = json!([{"ErrorEquals": ["States.ALL"], field: {"fn": arn}, "Next": "T"}]);
        state
    };
    let each = json!({"Type": "Map", "Items": [{"fn": arn}], "Next": "T",
        "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}});
    let cases = [
        ("another account's function in Items", "g-items", each),
        ("another account's function in Assign of a choice", "g-choice-assign", choice("Assign")),
        ("another account's function in Output of a choice", "g-choice-output", choice("Output")),
        ("another account's function in Assign of a Catch", "g-catch-assign", catch("Assign")),
        ("another account's function in Output of a Catch", "g-catch-output", catch("Output")),
    ];
    let words = format!("AWS account {ANOTHER} at /States/S");
    for (what, name, state) in cases {
        let workflow = suite.tenant.workflow(name, &before(state));
        suite.condition(what, &workflow, (Layer::Operator, "Stalled", "RefusedByGuardrail"), &words);
    }
}

/// A record that is too large to keep, of what AWS does not tell.
fn forgotten_source(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    let arns: Vec<String> = (0..70).map(|n| format!("arn:aws:sns:eu-west-1:{n:012}:t")).collect();
    let definition = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": arns, "End": true}}});
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "g-large"},
        "data": {"asl": definition.to_string()}}));
    let mut workflow = tenant.workflow("g-large", &Value::Null);
    workflow["spec"].as_object_mut().unwrap().remove("definition");
    workflow["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "g-large", "key": "asl"}});
    tenant.apply(&workflow);
    tenant.wait_for(suite.operator, "sfn/g-large", "Ready", "True", "Synced");
    guardrail(tenant, "hostile-source", &json!({"forbidDefinitionFrom": true}));
    tenant.wait_for(suite.operator, "sfn/g-large", "Stalled", "True", "RefusedByGuardrail");
    let run = workflow_run("g-large", "g-large", &json!({}));
    let refused = (Layer::Operator, "Ready", "RefusedByGuardrail");
    suite.condition("a run of a large definition from a ConfigMap", &run, refused, "must not come from a ConfigMap");
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "hostile-source"]);
}

/// A version outlives the object whose status remembers where it came from.
fn forgotten_with_its_workflow(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    let mapped = json!({"StartAt": "Mapped", "States": {"Mapped": {"Type": "Pass", "End": true}}});
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "g-kept"},
        "data": {"asl": mapped.to_string()}}));
    let own = tenant.workflow("g-kept", &waiting(0));
    let mut from_map = own.clone();
    from_map["spec"].as_object_mut().unwrap().remove("definition");
    from_map["spec"]["definitionFrom"] = json!({"configMapKeyRef": {"name": "g-kept", "key": "asl"}});
    from_map["spec"]["deletionPolicy"] = json!("Retain");
    tenant.apply(&from_map);
    tenant.wait_for(suite.operator, "sfn/g-kept", "Ready", "True", "Synced");
    tenant.kubectl(&["delete", "sfn", "g-kept"]);
    let mut adopting = own;
    adopting["spec"]["adoption"] = json!("IfUnowned");
    tenant.apply(&adopting);
    tenant.wait_for(suite.operator, "sfn/g-kept", "Ready", "True", "Synced");
    guardrail(tenant, "hostile-kept", &json!({"forbidDefinitionFrom": true}));
    std::thread::sleep(Duration::from_secs(2));
    let mut run = workflow_run("g-kept", "g-kept", &json!({}));
    run["spec"]["workflowRef"]["version"] = json!(1);
    let refused = (Layer::Operator, "Ready", "RefusedByGuardrail");
    let what = "a run of a version from a ConfigMap whose Workflow was deleted and made anew";
    suite.condition(what, &run, refused, "must not come from a ConfigMap");
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "hostile-kept"]);
}

/// Runs that had ended and are asked to go on, all at once.
fn beyond_the_limit(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    made(suite, "g-slow", &json!({"definition": waiting(120)}));
    let names = ["g-slow-0", "g-slow-1", "g-slow-2"];
    for name in names {
        tenant.apply(&workflow_run(name, "g-slow", &json!({})));
        let run = tenant.wait_for(suite.operator, &format!("sfnrun/{name}"), "Started", "True", "ExecutionStarted");
        tenant.bed.aws.states("StopExecution", &json!({"executionArn": run["status"]["executionARN"]})).unwrap();
        let over = |object: &Value| object["status"]["phase"] == "Aborted";
        let resource = format!("sfnrun/{name}");
        tenant.wait_for_object(suite.operator, &resource, "end", Duration::from_secs(60), over);
    }
    guardrail(tenant, "hostile-limit", &json!({"maxConcurrentRuns": 1}));
    std::thread::sleep(Duration::from_secs(2));
    tenant.kubectl(&["annotate", "sfnrun", names[0], names[1], names[2], "stepbound.dev/redrive=1"]);
    tenant.apply(&workflow_run("g-slow-3", "g-slow", &json!({})));
    std::thread::sleep(Duration::from_secs(10));
    let executions = tenant.bed.front.executions(&tenant.machine_arn("g-slow"));
    let running = executions.iter().filter(|one| one["status"] == "RUNNING").count();
    assert!(running <= 1, "{running} run where 1 may");
    suite.harmless("redrives and a new run, past maxConcurrentRuns", Layer::Operator, "they wait, one runs");
    tenant.kubectl(&["delete", "sfnrun", names[0], names[1], names[2], "g-slow-3"]);
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "hostile-limit"]);
}

/// Attempts by `spec.retry` are starts too.
fn beyond_the_pace(suite: &mut Suite<'_>) {
    let tenant = suite.tenant;
    made(suite, "g-failing", &json!({}));
    guardrail(tenant, "hostile-pace", &json!({"maxStartsPerSecond": 1}));
    std::thread::sleep(Duration::from_secs(2));
    let retry = json!({"retry": {"strategy": "Restart", "limit": 10, "backoff": {"interval": "100ms", "factor": 1}}});
    let begun = std::time::Instant::now();
    for number in 0..4 {
        tenant.apply(&workflow_run(&format!("g-failing-{number}"), "g-failing", &retry));
    }
    std::thread::sleep(Duration::from_secs(12));
    let most = begun.elapsed().as_secs() + 2;
    let starts = starts_of(tenant, "g-failing");
    assert!(u64::try_from(starts).unwrap() <= most, "{starts} starts where {most} may");
    suite.harmless("restarts in a short interval, past maxStartsPerSecond", Layer::Operator, "each waits for its turn");
    for number in 0..4 {
        tenant.kubectl(&["delete", "sfnrun", &format!("g-failing-{number}")]);
    }
    tenant.bed.control_plane.kubectl(&["delete", "guardrail", "hostile-pace"]);
}
