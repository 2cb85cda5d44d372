//! What an execution role may not do fails in the state that does it: Step Functions calls a function as the execution
//! role, and a refusal is the error `Lambda.AWSLambdaException` with IAM's words (developer guide, "Handling errors in
//! Step Functions workflows"). The emulator calls every function. Here such a state becomes one that fails so, its
//! retriers, catchers and what follows kept.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Shared;
use super::account::Role;
use super::policy::{Request, allows};

impl Shared {
    /// The definition as the role can run it.
    pub(super) async fn as_role_runs(&self, definition: &str, role_arn: &str) -> String {
        let role = self.role(role_arn.rsplit('/').next().unwrap()).await;
        let mut value: Value = serde_json::from_str(definition).unwrap();
        if refuse(&mut value, role_arn, role.as_ref()) { value.to_string() } else { definition.to_owned() }
    }
}

/// True when a state was changed, here or in a machine inside.
fn refuse(value: &mut Value, role_arn: &str, role: Option<&Role>) -> bool {
    match value {
        Value::Array(items) => refuse_each(items.iter_mut(), role_arn, role),
        Value::Object(fields) => {
            let function =
                (fields.get("Type").and_then(Value::as_str) == Some("Task")).then(|| function_of(fields)).flatten();
            if let Some(function) = function.filter(|function| !may_invoke(role, function)) {
                refused(fields, role_arn, &function);
                return true;
            }
            refuse_each(fields.values_mut(), role_arn, role)
        }
        _ => false,
    }
}

/// Each is looked at, whatever the others were.
fn refuse_each<'a>(values: impl Iterator<Item = &'a mut Value>, role_arn: &str, role: Option<&Role>) -> bool {
    let refused = values.filter_map(|value| refuse(value, role_arn, role).then_some(())).count();
    refused > 0
}

fn function_of(state: &serde_json::Map<String, Value>) -> Option<String> {
    let resource = state.get("Resource")?.as_str()?;
    if resource.contains(":function:") {
        return Some(resource.to_owned());
    }
    let payload = state.get("Parameters").or_else(|| state.get("Arguments"))?;
    let name = payload["FunctionName"].as_str().filter(|_| resource.contains(":lambda:invoke"))?;
    let whole = format!("arn:aws:lambda:eu-west-1:000000000000:function:{name}");
    Some(if name.starts_with("arn:") { name.to_owned() } else { whole })
}

fn may_invoke(role: Option<&Role>, function: &str) -> bool {
    let context = BTreeMap::new();
    let request = Request { action: "lambda:InvokeFunction", resource: function, context: &context };
    role.is_some_and(|role| allows(&role.policies, &request))
}

fn refused(state: &mut serde_json::Map<String, Value>, role_arn: &str, function: &str) {
    let role = role_arn.rsplit('/').next().unwrap();
    let cause = format!(
        "User: arn:aws:sts::000000000000:assumed-role/{role}/execution is not authorized to perform: lambda:InvokeFunction on resource: {function} because no identity-based policy allows the lambda:InvokeFunction action"
    );
    let fail = json!({"Type": "Fail", "Error": "Lambda.AWSLambdaException", "Cause": cause});
    for field in ["Resource", "Parameters", "Arguments", "TimeoutSeconds", "HeartbeatSeconds"] {
        state.remove(field);
    }
    state.insert("Type".into(), json!("Parallel"));
    state.insert("Branches".into(), json!([{"StartAt": "Refused by IAM", "States": {"Refused by IAM": fail}}]));
}
