//! What Guardrails and the binding's list say of the roles that steps act as.

use serde_json::Value;

use super::pattern::any_matches;
use super::problem::Problem;
use super::uses::uses;
use crate::api::v1alpha1::{GuardrailSpec, RunsAs, StepRoleArn, WorkflowSpec};
use crate::outcome::Failure;
use crate::plan::step_roles::{Acting, Steps, check_listed, unlisted};

/// Refuses a Workflow whose steps act as what the binding does not list: by its spec, and by `Credentials` of its definition.
///
/// # Errors
/// `StepRoleNotAllowed`.
pub fn check_listed_steps(allowed: &[StepRoleArn], spec: &WorkflowSpec, definition: &Value) -> Result<(), Failure> {
    check_listed(allowed, &uses(definition).with_roles_of(spec).steps())
}

/// As [`check_listed_steps`], all of it, each with where it stands.
pub fn unlisted_steps(
    allowed: &[StepRoleArn],
    spec: &WorkflowSpec,
    definition: &Value,
) -> Vec<(Option<String>, Failure)> {
    unlisted(allowed, &uses(definition).with_roles_of(spec).steps())
}

/// What the steps of what is to be started act as.
pub(super) fn steps_of(runs_as: &RunsAs) -> Steps<'_> {
    let Some(steps) = &runs_as.steps else { return Steps::default() };
    Steps {
        roles: steps.role_arns.iter().map(|role_arn| Acting { role_arn, path: None }).collect(),
        open: steps.open.as_deref(),
        without: steps.without.as_deref(),
        is_known: true,
    }
}

/// What a Guardrail does not allow, and what to do.
pub(super) fn problems(rule: &GuardrailSpec, execution_role: &str, steps: &Steps<'_>) -> Vec<Problem> {
    const WRITE: &str = "Write the role's ARN out";
    let patterns = rule.allowed_step_role_arns.as_ref();
    let mut found = Vec::new();
    if patterns.is_none() && !rule.require_step_roles {
        return found;
    }
    if !steps.is_known {
        let what = "nobody knows what its steps act as, and the Guardrail bounds that".to_owned();
        return vec![Problem::new(None, what, "Let the Workflow be written again")];
    }
    let at = |path: Option<&str>| path.map(|path| format!(" at {path}")).unwrap_or_default();
    if let Some(patterns) = patterns {
        for acting in steps.roles.iter().filter(|acting| !any_matches(patterns, acting.role_arn)) {
            let listed = patterns.join(", ");
            let what = format!("step role {}{} matches none of {listed}", acting.role_arn, at(acting.path));
            found.push(Problem::new(acting.path, what, "Use a role that does"));
        }
    }
    if let Some(path) = steps.open {
        let what = format!("the role in Credentials at {path} is known only when it runs, and step roles are bounded");
        found.push(Problem::new(Some(path), what, WRITE));
    }
    if !rule.require_step_roles {
        return found;
    }
    if let Some(path) = steps.without {
        let what = format!("every step needs a role of its own, and the Task at {path} has none");
        found.push(Problem::new(Some(path), what, "Name it in spec.stepRoles"));
    }
    for own in steps.roles.iter().filter(|acting| acting.role_arn == execution_role) {
        let what =
            format!("every step needs a role of its own, and {execution_role}{} is the execution role", at(own.path));
        found.push(Problem::new(own.path, what, "Name another role in spec.stepRoles"));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Rule, Start, are_bounded, check_workflow, may_start, needs_runs_as, remember_machine, runs_as};
    use super::*;
    use crate::api::v1alpha1::TrustBindingSpec;
    use crate::asl::{Circumstances, Ignore, prepare_with};
    use crate::outcome::Class;
    use crate::plan::step_roles::wanted;
    use crate::reason::Reason;

    const EXECUTION: &str = "arn:aws:iam::111122223333:role/exec";
    const STEP: &str = "arn:aws:iam::111122223333:role/step-charge";
    const ELSEWHERE: &str = "arn:aws:iam::999988887777:role/step-charge";
    const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_w:1";

    fn rules(spec: &Value) -> Vec<Rule> {
        let mut whole = json!({"namespaceSelector": {}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        vec![Rule { name: "shops".into(), spec: serde_json::from_value(whole).unwrap() }]
    }

    /// A Task with these fields, in a Map in a Parallel, behind a Task with a role and an activity.
    fn deep(fields: &Value) -> Value {
        let mut task = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
            "Parameters": {"FunctionName": "f"}});
        task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let map = json!({"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "T", "States": {"T": task}}});
        let activity =
            json!({"Type": "Task", "Resource": "arn:aws:states:eu-west-1:111122223333:activity:a", "Next": "P"});
        json!({"StartAt": "A", "States": {"A": activity,
            "P": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "M", "States": {"M": map}}]}}})
    }

    const PLACE: &str = "/States/P/Branches/0/States/M/ItemProcessor/States/T";

    fn workflow(step_roles: &Value) -> WorkflowSpec {
        serde_json::from_value(json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": EXECUTION,
            "definition": {}, "stepRoles": step_roles}))
        .unwrap()
    }

    /// At each door: the write of the Workflow, and the start of what it became.
    fn doors(rule: &Value, allowed: &Value, spec: &WorkflowSpec, definition: &Value) -> Vec<Result<(), Failure>> {
        let (rules, allowed): (_, Vec<StepRoleArn>) = (rules(rule), serde_json::from_value(allowed.clone()).unwrap());
        let values = std::collections::BTreeMap::new();
        let text = definition.to_string();
        let prepared =
            prepare_with(&text, &values, &wanted(spec), Circumstances::default(), &Ignore::default()).unwrap();
        let written = check_workflow(&rules, "shop", spec, "shop_w", Some(prepared.value()))
            .and_then(|()| check_listed_steps(&allowed, spec, prepared.value()));
        let mut binding: TrustBindingSpec = serde_json::from_value(
            json!({"serviceAccountName": "orders", "roleARN": "arn:aws:iam::111122223333:role/shop", "region": "eu-west-1"}),
        )
        .unwrap();
        binding.allowed_step_role_arns = allowed;
        let runs = [(MACHINE.to_owned(), runs_as(EXECUTION, prepared.value(), false))];
        let start = Start { namespace: "shop", rules: &rules, binding: &binding, target_arn: MACHINE, runs: &runs };
        assert!(needs_runs_as(&rules, &binding) || (rule == &json!({}) && binding.allowed_step_role_arns.is_empty()));
        vec![written, may_start(&start)]
    }

    #[test]
    fn the_same_is_allowed_and_refused_at_every_door_by_the_spec_and_by_the_definition_itself() {
        let (none, list) = (json!({}), json!([]));
        let required = json!({"requireStepRoles": true});
        let patterns = json!({"allowedStepRoleARNs": ["arn:aws:iam::111122223333:role/step-*"]});
        let accounts = json!({"allowedAccountIDs": ["111122223333"]});
        let role = |arn: &str| json!({"Credentials": {"RoleArn": arn}});
        let open = json!({"Credentials": {"RoleArn.$": "$.role"}});
        let formatted =
            json!({"Credentials": {"RoleArn.$": "States.Format('arn:aws:iam::111122223333:role/step-{}', $.x)"}});
        let jsonata = json!({"QueryLanguage": "JSONata", "Parameters": null, "Arguments": {"FunctionName": "f"}, "Credentials": {"RoleArn": "{% $role %}"}});
        for (rule, allowed, fields, refused) in [
            (&none, json!([]), json!({}), None),
            (&none, json!([]), open.clone(), None),
            (&required, list.clone(), json!({}), Some(format!("the Task at {PLACE} has none"))),
            (&required, list.clone(), role(STEP), None),
            (&required, list.clone(), role(EXECUTION), Some("is the execution role".into())),
            (&required, list.clone(), open.clone(), Some(format!("at {PLACE} is known only when it runs"))),
            (&patterns, list.clone(), json!({}), None),
            (&patterns, list.clone(), role(STEP), None),
            (&patterns, list.clone(), role(ELSEWHERE), Some(format!("step role {ELSEWHERE}"))),
            (&patterns, list.clone(), open.clone(), Some("is known only when it runs".into())),
            (&patterns, list.clone(), formatted.clone(), Some("is known only when it runs".into())),
            (&patterns, list.clone(), jsonata.clone(), Some("is known only when it runs".into())),
            (&accounts, list.clone(), role(STEP), None),
            (&accounts, list.clone(), role(ELSEWHERE), Some("AWS account 999988887777".into())),
            (&none, json!([STEP]), role(STEP), None),
            (&none, json!([STEP]), json!({}), None),
            (&none, json!([STEP]), role(ELSEWHERE), Some(ELSEWHERE.to_owned())),
            (&none, json!([STEP]), formatted.clone(), Some("is known only when it runs".into())),
        ] {
            let mut definition = deep(&fields);
            let task = definition.pointer_mut(PLACE).unwrap().as_object_mut().unwrap();
            task.retain(|_, value| !value.is_null());
            let mut asked = vec![(workflow(&json!([])), definition)];
            if let Some(arn) = fields["Credentials"]["RoleArn"].as_str().filter(|arn| arn.starts_with("arn:")) {
                asked.push((workflow(&json!([{"roleARN": arn, "states": ["T"]}])), deep(&json!({}))));
            }
            for (spec, definition) in asked {
                for (door, found) in doors(rule, &allowed, &spec, &definition).into_iter().enumerate() {
                    match (&refused, found) {
                        (None, Ok(())) => {}
                        // A place in the definition is not kept of each role that a version runs as.
                        (Some(words), Err(failure)) => {
                            let told = failure.message.contains(words.as_str());
                            assert!(told, "door {door}: {rule} {fields}: {}", failure.message);
                            let by_list = rule == &none;
                            let reason = if by_list { Reason::StepRoleNotAllowed } else { Reason::RefusedByGuardrail };
                            assert_eq!(failure.reason, reason, "{}", failure.message);
                        }
                        (_, found) => panic!("door {door}: {rule} {allowed} {fields}: {found:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn roles_of_the_spec_are_judged_where_the_definition_cannot_be_read() {
        let spec = workflow(&json!([{"roleARN": ELSEWHERE, "states": ["T"]}]));
        for (rule, refused) in [
            (json!({"allowedStepRoleARNs": ["*:role/other"]}), true),
            (json!({"allowedAccountIDs": ["111122223333"]}), true),
            (json!({"allowedStepRoleARNs": ["*:role/step-*"], "requireStepRoles": true}), false),
        ] {
            let found = check_workflow(&rules(&rule), "shop", &spec, "shop_w", None);
            assert_eq!(found.is_err(), refused, "{rule}: {found:?}");
            assert!(found.err().is_none_or(|failure| failure.message.contains("/spec/stepRoles/0/roleARN")), "{rule}");
        }
    }

    #[test]
    fn a_record_from_before_steps_were_looked_at_is_no_leave_to_start_and_keeps_its_time() {
        let recorded = runs_as(EXECUTION, &deep(&json!({})), false);
        let older = RunsAs { steps: None, ..recorded.clone() };
        let mut binding: TrustBindingSpec = serde_json::from_value(
            json!({"serviceAccountName": "orders", "roleARN": "arn:aws:iam::111122223333:role/shop", "region": "eu-west-1"}),
        )
        .unwrap();
        let rules = rules(&json!({"requireStepRoles": true}));
        let runs = [(MACHINE.to_owned(), older.clone())];
        let start = |rules: &[Rule], binding: &TrustBindingSpec| {
            may_start(&Start { namespace: "shop", rules, binding, target_arn: MACHINE, runs: &runs })
        };
        assert!(are_bounded(&rules, &binding) && !are_bounded(&[], &binding));
        assert_eq!(start(&rules, &binding).unwrap_err().reason, Reason::RefusedByGuardrail);
        assert_eq!(start(&[], &binding), Ok(()));
        binding.allowed_step_role_arns = serde_json::from_value(json!([STEP])).unwrap();
        let failure = start(&[], &binding).unwrap_err();
        assert_eq!((failure.reason, failure.class), (Reason::RunsAsUnknown, Class::Waiting));
        let mut records = vec![RunsAs { unversioned_since: Some(time(5)), ..older }];
        remember_machine(&mut records, &recorded, time(9).0, std::time::Duration::ZERO);
        assert_eq!(records[0].unversioned_since, Some(time(5)), "a redrive of what began before goes on");
    }

    fn time(second: i64) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::from_second(second).unwrap())
    }
}
