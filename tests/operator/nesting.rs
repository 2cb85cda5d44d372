//! What is nested deeper than anybody reads stops nobody.

use crate::crashes::killed;
use crate::support::TestBed;
use crate::*;

/// JSON that the API server takes and `serde_json` does not read.
fn deep() -> String {
    format!("{}1{}", "{\"a\":[".repeat(200), "]}".repeat(200))
}

/// An object with what is deep in the place of the text `DEEP`.
fn create_deep(tenant: &Tenant, object: &Value) {
    let text = object.to_string().replace("\"DEEP\"", &deep());
    let created = tenant.bed.control_plane.try_kubectl(&["-n", &tenant.name, "create", "-f", "-"], Some(&text));
    created.unwrap_or_else(|error| panic!("the API server refuses it, and nothing is left to test: {error}"));
}

fn start(tenant: &Tenant) -> Process {
    tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &[])
}

/// Reason of a condition, read without the object around it.
fn reason(tenant: &Tenant, resource: &str, kind: &str) -> String {
    let path = format!("jsonpath={{.status.conditions[?(@.type==\"{kind}\")].reason}}");
    tenant.kubectl(&["get", resource, "-o", &path])
}

fn works(tenant: &Tenant, operator: &Process, name: &str) {
    tenant.apply(&tenant.workflow(name, &waiting(0)));
    tenant.wait_for(operator, &format!("sfn/{name}"), "Ready", "True", "Synced");
    tenant.apply(&workflow_run(name, name, &json!({})));
    tenant.wait_for(operator, &format!("sfnrun/{name}"), "Complete", "True", "Succeeded");
}

#[test]
fn an_object_nested_deeper_than_can_be_read_is_refused_and_stops_nobody_else() {
    let tenant = TestBed::separate("nesting").tenant("nesting");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    works(&tenant, &operator, "before");
    let mut binding = tenant.binding("deep");
    binding["spec"]["sessionPolicy"] = json!({"Statement": "DEEP"});
    let schedule = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": "deep"},
        "spec": {"schedule": "* * * * *", "runTemplate": {"spec": {"workflowRef": {"name": "before"}, "input": "DEEP"}}}});
    for object in [
        tenant.workflow(
            "deep",
            &json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "DEEP", "End": true}}}),
        ),
        workflow_run("deep", "before", &json!({"input": "DEEP"})),
        schedule,
        binding,
    ] {
        create_deep(&tenant, &object);
    }
    // As the watch shows them, and as a list does.
    works(&tenant, &operator, "watched");
    killed(&tenant, operator);
    let operator = start(&tenant);
    works(&tenant, &operator, "listed");
    for (resource, kind, expected) in [
        ("sfn/deep", "Stalled", "NestedTooDeep"),
        ("sfnrun/deep", "Stalled", "NestedTooDeep"),
        ("sfncron/deep", "Stalled", "RunTemplateInvalid"),
        ("tb/deep", "Stalled", "SessionPolicyInvalid"),
    ] {
        wait_until(Duration::from_secs(90), &format!("{resource} is {expected}"), || {
            (reason(&tenant, resource, kind) == expected).then_some(())
        });
    }
    assert!(tenant.bed.front.calls_about("nested-too-deep").is_empty(), "what was cut reached AWS");
    // They go as any other.
    tenant.kubectl(&["delete", "sfn/deep", "sfnrun/deep", "sfncron/deep", "tb/deep", "--timeout=60s"]);
    tenant.delete_all(&operator);
}

#[test]
fn numbers_that_the_api_server_takes_can_be_read() {
    let tenant = test_bed().tenant("numbers");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let schedule = |field: &str, number: &str| {
        let text = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowSchedule", "metadata": {"name": "odd"},
            "spec": {"schedule": "@yearly", field: "NUMBER", "runTemplate": {"spec": {"workflowRef": {"name": "w"}}}}});
        text.to_string().replace("\"NUMBER\"", number)
    };
    let run = |number: &str| {
        let text = workflow_run("odd", "w", &json!({"workflowRef": {"name": "w", "version": "NUMBER"}})).to_string();
        text.replace("\"NUMBER\"", number)
    };
    let mut taken = Vec::new();
    for number in
        ["3000000000", "9007199254740993", "9223372036854775807", "9223372036854775808", "1e18", "5.0", "1e300"]
    {
        for (what, object) in [
            ("failedRunsHistoryLimit", schedule("failedRunsHistoryLimit", number)),
            ("successfulRunsHistoryLimit", schedule("successfulRunsHistoryLimit", number)),
            ("startingDeadlineSeconds", schedule("startingDeadlineSeconds", number)),
            ("version", run(number)),
        ] {
            let control_plane = &tenant.bed.control_plane;
            if control_plane.try_kubectl(&["-n", &tenant.name, "apply", "-f", "-"], Some(&object)).is_ok() {
                taken.push(format!("{what} {number}"));
            }
        }
        works(&tenant, &operator, &format!("works-{}", number.to_lowercase().replace('.', "-")));
    }
    println!("taken: {taken:?}");
    assert!(taken.len() >= 4, "{taken:?}");
}

#[test]
fn times_that_the_api_server_takes_can_be_read() {
    let tenant = TestBed::separate("times").tenant("times");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "junk"}, "data": {"a": "b"}}));
    works(&tenant, &operator, "before");
    let times = [
        ("9999-12-31T23:59:59Z", "Succeeded"),
        ("9999-12-31T23:59:59+14:00", "Succeeded"),
        ("2928-01-01T00:00:00.123456789123Z", "Succeeded"),
        ("2928-01-01T00:00:00+99:99", "StartDeadlineUnreadable"),
        ("2928-01-01T00:00:00x5Z", "StartDeadlineUnreadable"),
    ];
    let mut taken = Vec::new();
    for (number, (time, reason)) in times.into_iter().enumerate() {
        let name = format!("d-{number}");
        let run = workflow_run(&name, "before", &json!({"executionName": name, "startDeadline": time}));
        if tenant.try_apply(&run).is_ok() {
            taken.push((name, reason));
        }
    }
    assert!(taken.len() >= 3, "nothing is left to test: {taken:?}");
    // Whoever may change a label may write this, and the API server keeps it.
    for resource in ["cm/junk", "sa/orders", "tb/orders", "sfn/before", "sfnrun/before"] {
        let text = tenant.kubectl(&["get", resource, "--show-managed-fields", "-o", "json"]);
        let mut object: Value = serde_json::from_str(&text).unwrap();
        object["metadata"]["labels"] = json!({"any": "label"});
        let entries = object["metadata"]["managedFields"].as_array_mut();
        for entry in entries.unwrap_or_else(|| panic!("{resource} has no managed fields: {text}")) {
            entry["time"] = json!("9999-12-31T23:59:59Z");
        }
        let replaced = tenant.bed.control_plane.try_kubectl(&["replace", "-f", "-"], Some(&object.to_string()));
        replaced.unwrap_or_else(|error| panic!("{resource}: {error}"));
        let kept = tenant.kubectl(&["get", resource, "--show-managed-fields", "-o", "json"]);
        assert!(kept.contains("9999-12-31T23:59:59Z"), "nothing is left to test of {resource}: {kept}");
    }
    works(&tenant, &operator, "watched");
    killed(&tenant, operator);
    let operator = start(&tenant);
    works(&tenant, &operator, "listed");
    for (name, expected) in &taken {
        let resource = format!("sfnrun/{name}");
        let ended = || tenant.get(&resource).filter(|run| condition(run, "Finished").is_some());
        let run = wait_until(Duration::from_secs(60), &format!("the end of {name}"), ended);
        assert_eq!(condition(&run, "Finished").unwrap()["reason"], **expected, "{run}");
    }
    let seen = operator.log_text();
    assert!(!seen.contains("cannot watch"), "{seen}");
    tenant.delete_all(&operator);
}
