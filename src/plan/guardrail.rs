//! What Guardrails say of an object. Admission asks most of this too, but it may be switched off or be older than the
//! object; and what stands deep in a definition it cannot see.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Map, Value};

use crate::api::v1alpha1::{GuardrailSpec, TrustBindingSpec, WorkflowSpec};
use crate::outcome::{Class, Failure};

/// Reason of a refusal.
pub const REFUSED: &str = "RefusedByGuardrail";

/// A Guardrail that selects the namespace at hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Name of the Guardrail.
    pub name: String,
    /// What it says.
    pub spec: GuardrailSpec,
}

/// How much a namespace may do, with the name of the Guardrail that says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Runs that are started and not over.
    pub concurrent: Option<(u32, String)>,
    /// Starts in a second.
    pub per_second: Option<(u32, String)>,
}

/// Whether a selector selects a namespace with these labels.
pub fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let pairs = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.iter().flatten();
    pairs.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.into_iter().all(|want| {
            let (value, values) = (labels.get(&want.key), want.values.iter().flatten());
            let among = value.is_some_and(|value| values.into_iter().any(|one| one == value));
            match want.operator.as_str() {
                "In" => among,
                "NotIn" => !among,
                "Exists" => value.is_some(),
                // The schema knows no further operator; one that it does not know selects nothing.
                operator => operator == "DoesNotExist" && value.is_none(),
            }
        })
}

/// The narrowest limits.
pub fn limits(rules: &[Rule]) -> Limits {
    let least = |of: fn(&GuardrailSpec) -> Option<i32>| {
        rules.iter().filter_map(|rule| Some((u32::try_from(of(&rule.spec)?).ok()?, rule.name.clone()))).min()
    };
    Limits { concurrent: least(|spec| spec.max_concurrent_runs), per_second: least(|spec| spec.max_starts_per_second) }
}

/// Whether a binding may be used: its account, region and role.
///
/// # Errors
/// `RefusedByGuardrail`, with the Guardrail and what it allows.
pub fn check_binding(rules: &[Rule], namespace: &str, spec: &TrustBindingSpec) -> Result<(), Failure> {
    for rule in rules {
        let refuse = |what: String| Err(refusal(rule, namespace, &what));
        check_account(rule, namespace, "AWS account", &spec.role_arn)?;
        if let Some(allowed) = rule.spec.allowed_regions.as_ref().filter(|allowed| !allowed.contains(&spec.region)) {
            return refuse(format!("region {} is not among {}. Use one of them", spec.region, allowed.join(", ")));
        }
        let patterns = rule.spec.allowed_role_arns.as_ref();
        if let Some(patterns) = patterns.filter(|patterns| !any_matches(patterns, &spec.role_arn)) {
            let listed = patterns.join(", ");
            return refuse(format!("role {} matches none of {listed}. Use a role that does", spec.role_arn));
        }
    }
    Ok(())
}

/// Whether a Workflow with this definition may be kept: execution role, alias, source and integrations.
///
/// # Errors
/// `RefusedByGuardrail`, with the Guardrail, the place and what to do.
pub fn check_workflow(rules: &[Rule], namespace: &str, spec: &WorkflowSpec, definition: &Value) -> Result<(), Failure> {
    if rules.is_empty() {
        return Ok(());
    }
    let used = integrations(definition);
    for rule in rules {
        let refuse = |what: String| Err(refusal(rule, namespace, &what));
        check_account(rule, namespace, "AWS account of the execution role", &spec.execution_role_arn)?;
        let patterns = rule.spec.allowed_execution_role_arns.as_ref();
        if let Some(patterns) = patterns.filter(|patterns| !any_matches(patterns, &spec.execution_role_arn)) {
            let (role, listed) = (&spec.execution_role_arn, patterns.join(", "));
            return refuse(format!("execution role {role} matches none of {listed}. Use a role that does"));
        }
        if rule.spec.require_alias && spec.aliases.is_empty() {
            return refuse("a Workflow needs at least one alias. Add one to spec.aliases".into());
        }
        let from_maps = spec.definition_from.is_some() || !spec.substitutions_from.is_empty();
        if rule.spec.forbid_definition_from && from_maps {
            return refuse(
                "a definition must not come from a ConfigMap. Put it into spec.definition, and its values into spec.substitutions"
                    .into(),
            );
        }
        let forbidden = used.iter().find_map(|integration| {
            let pattern = rule.spec.forbidden_integrations.iter().find(|pattern| integration.is_named(pattern))?;
            Some((integration, pattern))
        });
        if let Some((integration, pattern)) = forbidden {
            let Integration { path, name } = integration;
            return refuse(format!(
                "integration {name} at {path} is forbidden by \"{pattern}\". Take it out of the definition"
            ));
        }
    }
    Ok(())
}

/// Whether a run may go by this target: the ARN of a state machine, of a version or of an alias.
///
/// # Errors
/// `RefusedByGuardrail` where an alias is required and the target is none.
pub fn check_target(rules: &[Rule], namespace: &str, target_arn: &str) -> Result<(), Failure> {
    let qualifier = target_arn.split(':').nth(7);
    let by_alias = qualifier.is_some_and(|qualifier| !qualifier.bytes().all(|byte| byte.is_ascii_digit()));
    match rules.iter().find(|rule| rule.spec.require_alias && !by_alias) {
        Some(rule) => {
            let what = format!(
                "a run goes by an alias, and this one would start {target_arn}. Name workflowRef.alias, or mark an alias of the Workflow as default"
            );
            Err(refusal(rule, namespace, &what))
        }
        None => Ok(()),
    }
}

fn check_account(rule: &Rule, namespace: &str, what: &str, role_arn: &str) -> Result<(), Failure> {
    let account = role_arn.split(':').nth(4).unwrap_or_default();
    let allowed = rule.spec.allowed_account_ids.as_ref();
    match allowed.filter(|allowed| !allowed.iter().any(|one| one == account)) {
        Some(allowed) => {
            let what = format!("{what} {account} is not among {}. Use a role of one of them", allowed.join(", "));
            Err(refusal(rule, namespace, &what))
        }
        None => Ok(()),
    }
}

/// Stalled at once: only a change of the object or of the Guardrail helps.
fn refusal(rule: &Rule, namespace: &str, what: &str) -> Failure {
    let message = format!(
        "Guardrail \"{}\" for namespace \"{namespace}\": {what}, or ask whoever keeps the Guardrail.",
        rule.name
    );
    Failure::new(Class::Terminal, REFUSED, message)
}

fn any_matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text))
}

/// Whether a text matches a pattern in which `*` stands for any characters, `/` and `:` included, as in IAM.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// One use of an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// JSON pointer to the state or to the reader or writer of a Map.
    pub path: String,
    /// As people write it: `lambda:invoke`, `aws-sdk:s3:getObject`, `activity`.
    pub name: String,
}

impl Integration {
    /// Whether a pattern names it, in whatever case. The SDK's call of a service goes by the service's own name too, so
    /// that forbidding `lambda:invoke` forbids both ways to it.
    fn is_named(&self, pattern: &str) -> bool {
        const OTHER_NAMES: [(&str, &str); 2] = [("sfn:", "states:"), ("eventbridge:", "events:")];
        let (name, pattern) = (self.name.to_ascii_lowercase(), pattern.to_ascii_lowercase());
        let plain = name.strip_prefix("aws-sdk:").unwrap_or(&name);
        let other = OTHER_NAMES.iter().find_map(|(sdk, own)| Some(format!("{own}{}", plain.strip_prefix(sdk)?)));
        matches(&pattern, &name) || matches(&pattern, plain) || other.is_some_and(|other| matches(&pattern, &other))
    }
}

/// Every integration of a definition, at any depth: tasks, and what a Map reads from and writes to.
pub fn integrations(definition: &Value) -> Vec<Integration> {
    let mut found = Vec::new();
    machine(definition, "", &mut found);
    found
}

fn machine(value: &Value, path: &str, found: &mut Vec<Integration>) {
    for (name, state) in value["States"].as_object().into_iter().flatten() {
        let path = format!("{path}/States/{}", name.replace('~', "~0").replace('/', "~1"));
        let Some(state) = state.as_object() else { continue };
        resource(state, &path, found);
        for part in ["ItemReader", "ResultWriter"] {
            if let Some(part_of_map) = state.get(part).and_then(Value::as_object) {
                resource(part_of_map, &format!("{path}/{part}"), found);
            }
        }
        for (index, branch) in state.get("Branches").and_then(Value::as_array).into_iter().flatten().enumerate() {
            machine(branch, &format!("{path}/Branches/{index}"), found);
        }
        for field in ["ItemProcessor", "Iterator"] {
            if let Some(inner) = state.get(field) {
                machine(inner, &format!("{path}/{field}"), found);
            }
        }
    }
}

fn resource(holder: &Map<String, Value>, path: &str, found: &mut Vec<Integration>) {
    if let Some(arn) = holder.get("Resource").and_then(Value::as_str) {
        found.push(Integration { path: path.to_owned(), name: integration_name(arn) });
    }
}

/// The integration that a resource names. Source: Step Functions developer guide, "Integrating services": an optimised or
/// SDK integration is `arn:<partition>:states:::<name>` with an optional pattern such as `.sync` or `.waitForTaskToken`; a
/// Lambda function and an activity are named by their own ARN.
fn integration_name(arn: &str) -> String {
    let parts: Vec<&str> = arn.split(':').collect();
    let service = parts.get(2).copied().unwrap_or_default();
    let unplaced = parts.get(3..5).is_some_and(|place| place.iter().all(|part| part.is_empty()));
    match (service, parts.get(5).copied()) {
        ("states", Some(_)) if unplaced => {
            let name = parts[5..].join(":");
            name.split('.').next().unwrap_or_default().to_owned()
        }
        ("states", Some("activity")) => "activity".to_owned(),
        ("lambda", _) => "lambda:invoke".to_owned(),
        // Not an ARN that the guide knows: shown as it stands, so that a pattern can still name it.
        _ => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests;
