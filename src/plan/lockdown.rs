//! What a shared cluster leaves to nobody's discretion (`--lockdown`). Admission asks the same of changes; this holds for
//! objects from before too, and where admission is off.

use crate::api::v1alpha1::{SessionPolicyChoice, TrustBindingSpec};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// Whether a binding bounds what is done with it. The names that are its namespace's own begin with the operator's `prefix` and
/// the namespace.
///
/// # Errors
/// `RefusedByLockdown`, with the field that leaves something open.
pub fn check_binding(spec: &TrustBindingSpec, prefix: &str, namespace: &str) -> Result<(), Failure> {
    let own = format!("{prefix}{namespace}_");
    // Without a list, names are those of the namespace anyway.
    if let Some(open) = spec.allowed_state_machine_names.iter().find(|pattern| !pattern.0.starts_with(&own)) {
        let what = format!(
            "spec.allowedStateMachineNames of the TrustBinding has \"{}\", which does not begin with {own}. Leave it out",
            open.0
        );
        return Err(refusal(&what));
    }
    if spec.allowed_execution_role_arns.is_empty() {
        return Err(refusal(
            "spec.allowedExecutionRoleARNs of the TrustBinding is empty. List the execution roles there",
        ));
    }
    if spec.session_policy.choice() != SessionPolicyChoice::Derived {
        return Err(refusal("spec.sessionPolicy of the TrustBinding is not Derived. Leave it out"));
    }
    Ok(())
}

/// The refusal of a state machine that would be taken over or adopted.
pub fn take_over(arn: &str) -> Failure {
    let what = format!(
        "state machine {arn} exists and is not of this Workflow; it was not touched. Choose another spec.stateMachineName in a new Workflow"
    );
    refusal(&what)
}

/// Stalled at once: only a change of the object or of the operator's flag helps.
fn refusal(what: &str) -> Failure {
    Failure::new(Class::Terminal, Reason::RefusedByLockdown, format!("The operator runs with --lockdown: {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_binding_that_leaves_something_open_is_refused_with_the_field() {
        let whole = json!({"serviceAccountName": "orders", "roleARN": "arn:aws:iam::111122223333:role/a", "region": "eu-west-1",
            "allowedExecutionRoleARNs": ["arn:aws:iam::111122223333:role/e"]});
        let check = |change: serde_json::Value| {
            let mut spec = whole.clone();
            spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let spec: TrustBindingSpec = serde_json::from_value(spec).unwrap();
            check_binding(&spec, "p-", "shop").map_err(|failure| (failure.reason, failure.message))
        };
        for bounded in [
            json!({}),
            json!({"allowedStateMachineNames": []}),
            json!({"allowedStateMachineNames": ["p-shop_*", "p-shop_a"]}),
        ] {
            assert_eq!(check(bounded.clone()), Ok(()), "{bounded}");
        }
        for (change, field) in [
            (
                json!({"allowedStateMachineNames": ["p-shop_*", "p-shop2_*"]}),
                "\"p-shop2_*\", which does not begin with p-shop_",
            ),
            (json!({"allowedStateMachineNames": ["*"]}), "spec.allowedStateMachineNames"),
            (json!({"allowedStateMachineNames": ["p-*"]}), "spec.allowedStateMachineNames"),
            (json!({"allowedStateMachineNames": ["shop_*"]}), "spec.allowedStateMachineNames"),
            (json!({"allowedExecutionRoleARNs": []}), "spec.allowedExecutionRoleARNs"),
            (json!({"sessionPolicy": "None"}), "spec.sessionPolicy"),
            (json!({"sessionPolicy": {"Version": "2012-10-17", "Statement": []}}), "spec.sessionPolicy"),
        ] {
            let (reason, message) = check(change).unwrap_err();
            assert_eq!(reason, Reason::RefusedByLockdown);
            assert!(message.contains(field), "{message}");
        }
    }
}
