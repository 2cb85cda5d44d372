//! What Guardrails say of an object. Admission asks most of this too, but it may be switched off or be older than the
//! object; and what stands deep in a definition it cannot see.

mod every;
mod pattern;
mod problem;
mod runs_as;
mod start;
mod steps;
mod uses;

pub use every::{Refused, of_binding, of_definition, of_run, of_spec};
pub use runs_as::{
    forget_machine, forget_version, of_machine, of_moving_machine, of_version, remember_machine, remember_version,
    runs_as, settle_machine, update_machine,
};
pub use start::{Runs, Start, are_bounded, is_moving, may_start, needs_runs_as, unknown, what_runs};
pub use steps::{check_listed_steps, unlisted_steps};

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use pattern::any_matches;
use problem::Problem;
use steps::steps_of;
use uses::Uses;

use crate::api::v1alpha1::{GuardrailSpec, RunsAs, SessionPolicyChoice, TrustBindingSpec, WorkflowSpec};
use crate::outcome::{Class, Failure};
use crate::plan::step_roles::Steps;
use crate::reason::Reason;

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

/// Whether a binding may be used: its account, region, role and session policy.
///
/// # Errors
/// `RefusedByGuardrail`, with the Guardrail and what it allows.
pub fn check_binding(rules: &[Rule], namespace: &str, spec: &TrustBindingSpec) -> Result<(), Failure> {
    for rule in rules {
        let refuse = |what: String| Err(refusal(rule, namespace, &what));
        let account = account_of(&spec.role_arn);
        if let Some(allowed) =
            rule.spec.allowed_account_ids.as_ref().filter(|all| !all.iter().any(|one| one == account))
        {
            let listed = allowed.join(", ");
            return refuse(format!("AWS account {account} is not among {listed}. Use a role of one of them"));
        }
        if let Some(allowed) = rule.spec.allowed_regions.as_ref().filter(|allowed| !allowed.contains(&spec.region)) {
            return refuse(format!("region {} is not among {}. Use one of them", spec.region, allowed.join(", ")));
        }
        let patterns = rule.spec.allowed_role_arns.as_ref();
        if let Some(patterns) = patterns.filter(|patterns| !any_matches(patterns, &spec.role_arn)) {
            let listed = patterns.join(", ");
            return refuse(format!("role {} matches none of {listed}. Use a role that does", spec.role_arn));
        }
        if rule.spec.require_derived_session_policy && spec.session_policy.choice() != SessionPolicyChoice::Derived {
            let what = "sessions need the policy that Stepbound derives. Set spec.sessionPolicy to Derived";
            return refuse(what.into());
        }
    }
    Ok(())
}

/// Whether a Workflow may be kept: execution role, name, alias, source and, where it could be read, its definition.
///
/// # Errors
/// `RefusedByGuardrail`, with the Guardrail, the place and what to do.
pub fn check_workflow(
    rules: &[Rule],
    namespace: &str,
    spec: &WorkflowSpec,
    machine_name: &str,
    definition: Option<&Value>,
) -> Result<(), Failure> {
    if rules.is_empty() {
        return Ok(());
    }
    let used = definition.map(uses::uses).unwrap_or_default().with_roles_of(spec);
    for rule in rules {
        check_name(rule, namespace, machine_name)?;
        if rule.spec.require_alias && spec.aliases.is_empty() {
            return Err(refusal(rule, namespace, "a Workflow needs at least one alias. Add one to spec.aliases"));
        }
        check_runs_as(rule, namespace, &Subject::written(spec, &used))?;
    }
    Ok(())
}

/// What runs, or would once it is written to AWS.
struct Subject<'a> {
    /// ARN of what is to be started; `None` while it is a spec.
    started: Option<&'a str>,
    execution_role: &'a str,
    /// Names, with places where they are known.
    integrations: Vec<(&'a str, Option<&'a str>)>,
    /// Ids, with places where they are known.
    accounts: Vec<(&'a str, Option<&'a str>)>,
    open_credentials: Option<&'a str>,
    steps: Steps<'a>,
    from_config_map: bool,
}

impl<'a> Subject<'a> {
    fn written(spec: &'a WorkflowSpec, used: &'a Uses) -> Self {
        Self {
            started: None,
            execution_role: &spec.execution_role_arn,
            integrations: used.integrations.iter().map(|one| (one.name.as_str(), Some(one.path.as_str()))).collect(),
            accounts: used.accounts.iter().map(|one| (one.id.as_str(), Some(one.path.as_str()))).collect(),
            open_credentials: used.open_credentials.first().map(String::as_str),
            steps: used.steps(),
            from_config_map: spec.takes_from_config_maps(),
        }
    }

    fn started(arn: &'a str, runs_as: &'a RunsAs) -> Self {
        Self {
            started: Some(arn),
            execution_role: &runs_as.execution_role_arn,
            integrations: runs_as.integrations.iter().map(|name| (name.as_str(), None)).collect(),
            accounts: runs_as.account_ids.iter().map(|id| (id.as_str(), None)).collect(),
            open_credentials: runs_as.open_credentials.as_deref(),
            steps: steps_of(runs_as),
            from_config_map: runs_as.from_config_map,
        }
    }

    fn refused(&self, rule: &Rule, namespace: &str, problem: &str, remedy: &str) -> Failure {
        let what = match self.started {
            None => format!("{problem}. {remedy}"),
            Some(arn) => {
                format!("{arn} is not started, because of what it runs as: {problem}. Start a version without it")
            }
        };
        refusal(rule, namespace, &what)
    }
}

fn check_runs_as(rule: &Rule, namespace: &str, subject: &Subject<'_>) -> Result<(), Failure> {
    let first = problems(&rule.spec, subject).into_iter().next();
    first.map_or(Ok(()), |one| Err(subject.refused(rule, namespace, &one.what, one.remedy)))
}

/// All of it, in the order in which it is told.
fn problems(rule: &GuardrailSpec, subject: &Subject<'_>) -> Vec<Problem> {
    const ROLE: Option<&str> = Some("/spec/executionRoleARN");
    let mut found = Vec::new();
    let acts_as = subject.execution_role;
    if let Some(allowed) = &rule.allowed_account_ids {
        accounts(allowed, subject, ROLE, &mut found);
    }
    let patterns = rule.allowed_execution_role_arns.as_ref();
    if let Some(patterns) = patterns.filter(|patterns| !any_matches(patterns, acts_as)) {
        let what = format!("execution role {acts_as} matches none of {}", patterns.join(", "));
        found.push(Problem::new(ROLE, what, "Use a role that does"));
    }
    found.extend(steps::problems(rule, acts_as, &subject.steps));
    if rule.forbid_definition_from && subject.from_config_map {
        let what = "a definition must not come from a ConfigMap".to_owned();
        found.push(Problem::new(None, what, "Put it into spec.definition, and its values into spec.substitutions"));
    }
    let forbidden = &rule.forbidden_integrations;
    for (name, path) in subject.integrations.iter().filter(|_| !forbidden.is_empty()) {
        let names = uses::names_of(name);
        if let Some(pattern) = forbidden.iter().find(|pattern| uses::is_named(&names, pattern)) {
            let what = format!("integration {name}{} is forbidden by \"{pattern}\"", at(*path));
            found.push(Problem::new(*path, what, "Take it out of the definition"));
        }
    }
    found
}

fn accounts(allowed: &[String], subject: &Subject<'_>, role: Option<&str>, found: &mut Vec<Problem>) {
    let listed = allowed.join(", ");
    let is_foreign = |account: &str| !allowed.iter().any(|one| one == account);
    let account = account_of(subject.execution_role);
    if is_foreign(account) {
        let what = format!("AWS account of the execution role {account} is not among {listed}");
        found.push(Problem::new(role, what, "Use a role of one of them"));
    }
    for (account, path) in subject.accounts.iter().filter(|(id, _)| is_foreign(id)) {
        let what = format!("AWS account {account}{} is not among {listed}", at(*path));
        found.push(Problem::new(*path, what, "Name what is in one of them"));
    }
    if let Some(path) = subject.open_credentials {
        let what = format!(
            "the role in Credentials at {path} is known only when it runs, so its AWS account may not be among {listed}"
        );
        let remedy = "Write the role's ARN out, or its account in the template of States.Format";
        found.push(Problem::new(Some(path), what, remedy));
    }
}

fn at(path: Option<&str>) -> String {
    path.map(|path| format!(" at {path}")).unwrap_or_default()
}

fn check_name(rule: &Rule, namespace: &str, machine_name: &str) -> Result<(), Failure> {
    let patterns = rule.spec.allowed_state_machine_names.as_ref();
    match patterns.filter(|patterns| !any_matches(patterns, machine_name)) {
        Some(patterns) => {
            let what = format!(
                "the name {machine_name} of the state machine matches none of {}. Create a Workflow whose spec.stateMachineName does",
                patterns.join(", ")
            );
            Err(refusal(rule, namespace, &what))
        }
        None => Ok(()),
    }
}

fn account_of(role_arn: &str) -> &str {
    role_arn.split(':').nth(4).unwrap_or_default()
}

/// Stalled at once: only a change of the object or of the Guardrail helps.
fn refusal(rule: &Rule, namespace: &str, what: &str) -> Failure {
    // A manifest may leave the namespace to whoever applies it.
    let of = if namespace.is_empty() { String::new() } else { format!(" for namespace \"{namespace}\"") };
    let message = format!("Guardrail \"{}\"{of}: {what}, or ask whoever keeps the Guardrail.", rule.name);
    Failure::new(Class::Terminal, Reason::RefusedByGuardrail, message)
}

#[cfg(test)]
mod tests;
