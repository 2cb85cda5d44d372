//! What an execution role may not do fails in the state that does it: Step Functions calls a function as the execution
//! role, and a refusal is the error `Lambda.AWSLambdaException` with IAM's words (developer guide, "Handling errors in
//! Step Functions workflows"). A state with `Credentials` calls as the role that it names: the execution role assumes that, with
//! the state machine as external id (developer guide, "Accessing resources in other AWS accounts"). The emulator calls every
//! function. Here such a state becomes one that fails so, its retriers, catchers and what follows kept.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::Shared;
use super::account::Role;
use super::policy::{Names, Request, allows, trusts};

type State = Map<String, Value>;

/// As whom the states of a definition can call: the execution role, and roles that they name.
struct Callers<'a> {
    execution_role: &'a str,
    /// Of the state machine and of the version that is started. Which of them is sent is documented of the machine alone, so a
    /// trust policy has to take both.
    external_ids: [&'a str; 2],
    /// By ARN; those that exist.
    roles: HashMap<String, Role>,
}

impl Shared {
    /// The definition of a version as its role can run it.
    pub(super) async fn as_role_runs(&self, definition: &str, role_arn: &str, external_ids: [&str; 2]) -> String {
        let mut value: Value = serde_json::from_str(definition).unwrap();
        let mut named = vec![role_arn.to_owned()];
        named_roles(&value, &mut named);
        let mut roles = HashMap::new();
        for arn in named {
            if let Some(role) = self.role(arn.rsplit('/').next().unwrap()).await {
                roles.insert(arn, role);
            }
        }
        let callers = Callers { execution_role: role_arn, external_ids, roles };
        if callers.refuse(&mut value) { value.to_string() } else { definition.to_owned() }
    }
}

/// Roles of `Credentials`, at any depth.
fn named_roles(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| named_roles(item, found)),
        Value::Object(fields) => {
            found.extend(step_role(fields).map(str::to_owned));
            fields.values().for_each(|field| named_roles(field, found));
        }
        _ => {}
    }
}

fn step_role(state: &State) -> Option<&str> {
    state.get("Credentials")?.get("RoleArn")?.as_str()
}

impl Callers<'_> {
    /// True when a state was changed, here or in a machine inside.
    fn refuse(&self, value: &mut Value) -> bool {
        match value {
            Value::Array(items) => self.refuse_each(items.iter_mut()),
            Value::Object(fields) => {
                let is_task = fields.get("Type").and_then(Value::as_str) == Some("Task");
                let function = is_task.then(|| function_of(fields)).flatten();
                if let Some(cause) = function.and_then(|function| self.refusal(fields, &function)) {
                    refused(fields, &cause);
                    return true;
                }
                self.refuse_each(fields.values_mut())
            }
            _ => false,
        }
    }

    /// Each is looked at, whatever the others were.
    fn refuse_each<'v>(&self, values: impl Iterator<Item = &'v mut Value>) -> bool {
        let refused = values.filter_map(|value| self.refuse(value).then_some(())).count();
        refused > 0
    }

    /// Why the call of a state is refused: its role is not the execution role's to assume, or may not call.
    fn refusal(&self, state: &State, function: &str) -> Option<String> {
        let caller = step_role(state).unwrap_or(self.execution_role);
        if caller != self.execution_role && !self.may_assume(caller) {
            return Some(denied(self.execution_role, "sts:AssumeRole", caller));
        }
        let may = self.roles.get(caller).is_some_and(|role| allowed(role, "lambda:InvokeFunction", function));
        (!may).then(|| denied(caller, "lambda:InvokeFunction", function))
    }

    /// In one account a trust policy that names the caller is leave enough; one that names the account is not.
    fn may_assume(&self, role_arn: &str) -> bool {
        let (Some(caller), Some(role)) = (self.roles.get(self.execution_role), self.roles.get(role_arn)) else {
            return false;
        };
        let account = |arn: &str| arn.split(':').nth(4).map(str::to_owned);
        let is_own = account(role_arn) == account(self.execution_role);
        let by_policy = allowed(caller, "sts:AssumeRole", role_arn);
        self.external_ids.iter().all(|id| {
            let context = BTreeMap::from([("sts:ExternalId".to_owned(), vec![(*id).to_owned()])]);
            let names = trusts(&role.trust, self.execution_role, &context);
            names.is_some_and(|names| by_policy || is_own && names == Names::TheRole)
        })
    }
}

fn allowed(role: &Role, action: &str, resource: &str) -> bool {
    let context = BTreeMap::new();
    allows(&role.policies, &Request { action, resource, context: &context })
}

fn function_of(state: &State) -> Option<String> {
    let resource = state.get("Resource")?.as_str()?;
    if resource.contains(":function:") {
        return Some(resource.to_owned());
    }
    let payload = state.get("Parameters").or_else(|| state.get("Arguments"))?;
    let name = payload["FunctionName"].as_str().filter(|_| resource.contains(":lambda:invoke"))?;
    let whole = format!("arn:aws:lambda:eu-west-1:000000000000:function:{name}");
    Some(if name.starts_with("arn:") { name.to_owned() } else { whole })
}

fn denied(role_arn: &str, action: &str, resource: &str) -> String {
    let role = role_arn.rsplit('/').next().unwrap();
    format!(
        "User: arn:aws:sts::000000000000:assumed-role/{role}/execution is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action"
    )
}

fn refused(state: &mut State, cause: &str) {
    let fail = json!({"Type": "Fail", "Error": "Lambda.AWSLambdaException", "Cause": cause});
    for field in ["Resource", "Parameters", "Arguments", "Credentials", "TimeoutSeconds", "HeartbeatSeconds"] {
        state.remove(field);
    }
    state.insert("Type".into(), json!("Parallel"));
    state.insert("Branches".into(), json!([{"StartAt": "Refused by IAM", "States": {"Refused by IAM": fail}}]));
}
