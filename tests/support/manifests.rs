//! Manifests that are right, and changed so that the API server or the operator refuses them.

use serde_json::{Value, json};

const CASES: &str = include_str!("../manifests/cases.yaml");

/// A manifest, and who refuses it.
pub struct Case {
    pub name: String,
    pub object: Value,
    /// `api`, `operator`, or nobody.
    pub refused: Option<String>,
    /// Where.
    pub path: String,
}

pub fn cases() -> Vec<Case> {
    let cases: Vec<Value> = serde_yaml::from_str(CASES).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    cases
        .iter()
        .map(|case| {
            let mut object = right(case["kind"].as_str().unwrap());
            merge(&mut object, &case["change"]);
            if let Some(count) = object["metadata"]["name"].as_str().and_then(|name| name.strip_prefix("n*")) {
                object["metadata"]["name"] = json!("n".repeat(count.parse().unwrap()));
            }
            let name = text(&case["name"]).unwrap();
            Case { name, object, refused: text(&case["refused"]), path: text(&case["path"]).unwrap_or_default() }
        })
        .collect()
}

/// A manifest of a kind that nobody refuses.
pub fn right(kind: &str) -> Value {
    let spec = match kind {
        "TrustBinding" => {
            json!({"serviceAccountName": "orders", "roleARN": "arn:aws:iam::111122223333:role/orders", "region": "eu-west-1"})
        }
        "Workflow" => {
            json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/exec",
            "definition": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}})
        }
        "WorkflowRun" => json!({"workflowRef": {"name": "fulfil"}}),
        "WorkflowSchedule" => {
            json!({"schedule": "30 2 * * *", "runTemplate": {"spec": {"workflowRef": {"name": "fulfil"}}}})
        }
        "Activity" => json!({"trustBindingRef": {"name": "orders"}}),
        "IdentityProvider" => {
            json!({"issuer": "https://issuer.example", "clientAuthentication": {"type": "ServiceAccountAssertion", "clientID": "a"}})
        }
        "Guardrail" => json!({"namespaceSelector": {}}),
        "ExecutionHistory" => json!({"workflowRunRef": {"name": "order"}}),
        "ExecutionHistoryPage" | "ExecutionDataPage" => json!({"number": 1}),
        "Approval" => {
            json!({"request": {"runName": "order", "runUID": "4f2c", "attempt": 1, "requester": "alice",
            "inputDigest": "0", "targetARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:fulfil:1",
            "definitionHash": "0", "executionRoleARN": "arn:aws:iam::111122223333:role/exec", "bindingUID": "0",
            "policyRevision": "0", "expiresAt": "2027-01-31T12:00:00Z", "digest": "0"}})
        }
        other => panic!("no manifest of kind {other}"),
    };
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": kind, "metadata": {"name": "right"}, "spec": spec})
}

/// RFC 7386.
fn merge(value: &mut Value, change: &Value) {
    let Some(change) = change.as_object() else {
        *value = change.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (key, change) in change {
        if change.is_null() {
            value.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut value[key], change);
        }
    }
}
