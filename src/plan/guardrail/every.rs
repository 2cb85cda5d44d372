//! All that Guardrails refuse of what stands in files, each with its place: whoever writes them mends them in one go.

use std::slice;

use serde_json::Value;

use super::uses::{Account, Uses, uses};
use super::{Problem, Rule, Subject, account_of, check_binding, check_name, problems, refusal};
use crate::api::v1alpha1::{GuardrailSpec, TrustBindingSpec, Workflow, WorkflowRef, WorkflowSpec};
use crate::outcome::Failure;
use crate::plan::target::default_alias;

/// A JSON pointer, and what is refused there: into the definition, or into the object where it begins with `/spec/`.
pub type Refused = (String, Failure);

/// Of a binding.
pub fn of_binding(rules: &[Rule], namespace: &str, spec: &TrustBindingSpec) -> Vec<Refused> {
    let mut found = Vec::new();
    for rule in rules {
        let GuardrailSpec { allowed_account_ids, allowed_regions, allowed_role_arns, .. } = rule.spec.clone();
        let none = GuardrailSpec::default;
        let parts = [
            ("/spec/roleARN", GuardrailSpec { allowed_account_ids, ..none() }),
            ("/spec/region", GuardrailSpec { allowed_regions, ..none() }),
            ("/spec/roleARN", GuardrailSpec { allowed_role_arns, ..none() }),
            (
                "/spec/sessionPolicy",
                GuardrailSpec { require_derived_session_policy: rule.spec.require_derived_session_policy, ..none() },
            ),
        ];
        for (pointer, spec_of_part) in parts {
            let part = Rule { name: rule.name.clone(), spec: spec_of_part };
            let refused = check_binding(slice::from_ref(&part), namespace, spec).err();
            found.extend(refused.map(|failure| (pointer.to_owned(), failure)));
        }
    }
    found
}

/// Of a Workflow but for its definition. A name that is not given has a prefix that only the operator knows.
pub fn of_spec(rules: &[Rule], namespace: &str, spec: &WorkflowSpec) -> Vec<Refused> {
    let used = Uses::default().with_roles_of(spec);
    let mut found = Vec::new();
    for rule in rules {
        let name = spec.state_machine_name.as_deref();
        let of_name = name.and_then(|name| check_name(rule, namespace, name).err());
        found.extend(of_name.map(|failure| ("/spec/stateMachineName".to_owned(), failure)));
        if rule.spec.require_alias && spec.aliases.is_empty() {
            let what = "a Workflow needs at least one alias. Add one to spec.aliases";
            found.push(("/spec/aliases".to_owned(), refusal(rule, namespace, what)));
        }
        let subject = Subject::written(spec, &used);
        let from = if spec.definition_from.is_some() { "/spec/definitionFrom" } else { "/spec/substitutionsFrom" };
        found.extend(told(rule, namespace, &subject, from));
    }
    found
}

/// Of a definition with the roles of its steps in it; what is `${ … }` in it is not known yet.
pub fn of_definition(rules: &[Rule], namespace: &str, spec: &WorkflowSpec, definition: &Value) -> Vec<Refused> {
    if rules.is_empty() {
        return Vec::new();
    }
    let is_open = |path: &str, field: &str| {
        let value = definition.pointer(path).and_then(|state| state.get(field));
        value.is_some_and(|value| value.to_string().contains("${"))
    };
    let mut used = uses(definition);
    used.integrations.retain(|one| !is_open(&one.path, "Resource"));
    used.open_credentials.retain(|path| !is_open(path, "Credentials"));
    used.open_steps.retain(|path| !is_open(path, "Credentials"));
    // What the spec gives to a step is told at the spec.
    let of_spec = |role: &str| spec.step_roles.iter().any(|one| one.role_arn == role);
    let (given, own): (Vec<_>, Vec<_>) = used.step_roles.into_iter().partition(|one| of_spec(&one.role_arn));
    used.step_roles = own;
    let is_of_given =
        |account: &Account| given.iter().any(|one| one.path == account.path && account_of(&one.role_arn) == account.id);
    used.accounts.retain(|account| !is_of_given(account));
    let subject = Subject { from_config_map: false, ..Subject::written(spec, &used) };
    let all = rules.iter().flat_map(|rule| told(rule, namespace, &subject, ""));
    all.filter(|(path, _)| !path.starts_with("/spec/")).collect()
}

/// Of a run, as far as files tell what it goes by: `workflow` is its Workflow, where that is known.
pub fn of_run(
    rules: &[Rule],
    namespace: &str,
    wanted: &WorkflowRef,
    workflow: Option<&Workflow>,
) -> Option<(&'static str, Failure)> {
    let rule = rules.iter().find(|rule| rule.spec.require_alias)?;
    let is_without = || workflow.is_some_and(|workflow| default_alias(workflow).is_none());
    let pointer = match (&wanted.alias, wanted.version) {
        (None, Some(_)) => "/workflowRef/version",
        (None, None) if is_without() => "/workflowRef",
        _ => return None,
    };
    let what = "a run goes by an alias, and this one names none. Name workflowRef.alias, or mark an alias of the Workflow as default";
    Some((pointer, refusal(rule, namespace, what)))
}

fn told(rule: &Rule, namespace: &str, subject: &Subject<'_>, otherwise: &str) -> Vec<Refused> {
    let told = |Problem { path, what, remedy }: Problem| {
        let failure = subject.refused(rule, namespace, &what, remedy);
        (path.unwrap_or_else(|| otherwise.to_owned()), failure)
    };
    problems(&rule.spec, subject).into_iter().map(told).collect()
}
