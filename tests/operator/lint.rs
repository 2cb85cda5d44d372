//! What the linter says in CI, the API server and the operator say in the cluster.

#[path = "../support/linter.rs"]
mod linter;
#[path = "../support/manifests.rs"]
mod manifests;

use super::*;
use std::collections::BTreeSet;

/// Severity, code, path and message.
type Told = BTreeSet<[String; 4]>;

fn told<'a>(list: impl IntoIterator<Item = &'a Value>) -> Told {
    let one = |found: &Value| {
        ["severity", "code", "path", "message"].map(|field| found[field].as_str().unwrap_or_default().to_lowercase())
    };
    list.into_iter().map(one).collect()
}

fn diagnostics(object: &Value) -> &[Value] {
    object["status"]["diagnostics"].as_array().map_or(&[], Vec::as_slice)
}

fn by_linter(workflow: &Value) -> Told {
    told(&linter::findings(&workflow.to_string()))
}

#[test]
fn the_cluster_tells_what_the_linter_tells_and_heeds_what_it_is_asked_to_pass_over() {
    let tenant = test_bed().tenant("lint");
    let operator = start(&tenant);
    tenant.apply(&tenant.binding("orders"));
    let token_wait = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/q", "MessageBody": "no token"}, "Next": "Shp"});
    let wrong = json!({"StartAt": "Ask", "States": {"Ask": token_wait, "Ship": {"Type": "Pass", "InputPath": "order", "End": true}}});
    let mut workflow = tenant.workflow("fulfil", &wrong);
    workflow["spec"]["type"] = json!("Express");
    let expected = by_linter(&workflow);
    let codes: Vec<&str> = expected.iter().map(|finding| finding[1].as_str()).collect();
    for code in ["sb012", "sb034", "sb041", "sb042", "sb044"] {
        assert!(codes.contains(&code), "{code} in {expected:#?}");
    }
    tenant.apply(&workflow);
    let refused = tenant.wait_for(&operator, "sfn/fulfil", "DefinitionValid", "False", "DefinitionInvalid");
    assert_eq!(told(diagnostics(&refused)), expected);
    assert_eq!(refused["status"]["diagnostics"][0]["severity"], "Error", "the worst first");

    // A Standard one that is mended has warnings alone, and then none that it does not want.
    let mended = json!({"StartAt": "Ask", "States": {"Ask": {"Type": "Pass", "Parameters": {"password": "hunter2hunter2"}, "End": true}}});
    let mut other = tenant.workflow("doubtful", &mended);
    tenant.apply(&other);
    let doubtful = tenant.wait_for(&operator, "sfn/doubtful", "Ready", "True", "Synced");
    assert_eq!(told(diagnostics(&doubtful)), by_linter(&other));
    assert_eq!(doubtful["status"]["diagnostics"][0]["code"], "SB071");
    other["metadata"]["annotations"] = json!({"stepbound.dev/lint-ignore": "SB071@/States/Ask"});
    assert_eq!(by_linter(&other), Told::new());
    tenant.apply(&other);
    wait_until(Duration::from_secs(60), "a finding that is passed over leaves the status", || {
        let object: Value = serde_json::from_str(&tenant.kubectl(&["get", "sfn/doubtful", "-o", "json"])).ok()?;
        object["status"].get("diagnostics").is_none().then_some(())
    });
}

/// `lint` has the API server's rules as code. Here the API server itself is asked, of manifests that break each of them and of
/// others that break none; what the operator refuses it takes.
#[test]
fn the_linter_decides_of_manifests_as_the_api_server_does() {
    test_bed().install_definitions();
    let tenant = test_bed().tenant_without_operator("manifests");
    let create = ["-n", &tenant.name, "create", "--dry-run=server", "-f", "-"];
    let (mut taken, mut refused, mut otherwise) = (0, 0, Vec::new());
    for case in manifests::cases() {
        // A kind is known a moment after its definition is there.
        let answer = wait_until(Duration::from_secs(90), "the API server knows the kind", || {
            let answer = tenant.bed.control_plane.try_kubectl(&create, Some(&case.object.to_string()));
            answer.as_ref().err().is_none_or(|said| !said.contains("no matches for kind")).then_some(answer)
        });
        let by_api = case.refused.as_deref() == Some("api");
        let linted = by_linter(&case.object);
        let by_lint = linted.iter().any(|finding| finding[1] == "sb091");
        if answer.is_err() == by_api && by_lint == by_api {
            if by_api { refused += 1 } else { taken += 1 }
        } else {
            otherwise.push(format!("{} ({}): lint {linted:?}, the API server {answer:?}", case.name, case.path));
        }
    }
    println!("{taken} manifests taken and {refused} refused by both");
    assert!(otherwise.is_empty(), "{otherwise:#?}");
    assert!(taken > 10 && refused > 50, "{taken} {refused}");
}
