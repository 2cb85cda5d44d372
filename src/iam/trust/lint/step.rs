//! What is weak in the trust of a role that steps act as: one execution role, for its state machine and what runs of it, and nobody
//! else. Such a statement is known by an external id that is the ARN of a state machine.

use super::weakness::{Entry, Severity, Weakness, entries, weakness};
use crate::asl::model::Arn;
use crate::iam::document::{Matcher, Principals, Statement};

/// Where a statement lets a state machine in, what lets in others too, or not all of its executions.
pub(super) fn step_trust(number: usize, statement: &Statement) -> Vec<Weakness> {
    let ids: Vec<Entry<'_>> = entries(statement).filter(|entry| is_external_id(entry)).collect();
    if !statement.names_action("sts:AssumeRole") || !ids.iter().any(names_machine) {
        return Vec::new();
    }
    let mut found: Vec<Weakness> = ids.iter().flat_map(|entry| external_id(number, entry)).collect();
    found.extend(named(number, statement));
    found
}

fn is_external_id(entry: &Entry<'_>) -> bool {
    entry.key.eq_ignore_ascii_case("sts:ExternalId")
}

fn names_machine(entry: &Entry<'_>) -> bool {
    entry.values.iter().any(|value| value.contains(":states:") && value.contains(":stateMachine:"))
}

fn external_id(number: usize, entry: &Entry<'_>) -> Vec<Weakness> {
    let mut found = Vec::new();
    let operator = &entry.operator;
    if operator.if_exists || operator.every == Some(true) || operator.is_negated() {
        let message = format!(
            "{} on sts:ExternalId holds for calls of others too; use StringLike with the ARN of the state machine, and the ARN with :*",
            entry.written
        );
        found.push(weakness(Severity::Error, "ExternalIdNotAsked", number, message));
        return found;
    }
    let wild: Vec<&str> = entry.values.iter().map(String::as_str).filter(|value| !is_of_one_machine(value)).collect();
    if !wild.is_empty() && operator.takes_wildcards() {
        let message = format!(
            "sts:ExternalId {} takes more than one state machine; write its ARN, its ARN with :*, and with /* where it has a distributed Map",
            wild.join(", ")
        );
        found.push(weakness(Severity::Warning, "ExternalIdWildcard", number, message));
    }
    if wild.is_empty() && !entry.values.iter().any(|value| value.ends_with(":*") && operator.takes_wildcards()) {
        let message = "sts:ExternalId has the ARN of a state machine alone, and what executions of its versions and aliases send is not documented; use StringLike with the ARN, and the ARN with :*";
        found.push(weakness(Severity::Warning, "ExternalIdTooNarrow", number, message));
    }
    found
}

/// `ARN`, `ARN:*` or `ARN/*`, and no other wildcard.
fn is_of_one_machine(value: &str) -> bool {
    let whole = value.strip_suffix(":*").or_else(|| value.strip_suffix("/*")).unwrap_or(value);
    let machine = Arn::parse(whole).and_then(|arn| arn.resource.strip_prefix("stateMachine:"));
    machine.is_some_and(|name| !name.is_empty() && !whole.contains(['*', '?']))
}

/// The execution role by its own ARN: its account would let in every principal that may assume roles there.
fn named(number: usize, statement: &Statement) -> Option<Weakness> {
    let Some(Matcher::Is(Principals::Of(kinds))) = &statement.principal else { return None };
    let is_role =
        |name: &String| Arn::parse(name).is_some_and(|arn| arn.service == "iam" && arn.resource.starts_with("role/"));
    let others: Vec<&str> = kinds
        .iter()
        .flat_map(|(kind, names)| names.iter().filter(move |name| kind != "AWS" || !is_role(name)))
        .map(String::as_str)
        .filter(|name| *name != "*")
        .collect();
    (!others.is_empty()).then(|| {
        let message = format!(
            "Principal {} is more than the execution role of the state machine; name that role's ARN in AWS",
            others.join(", ")
        );
        weakness(Severity::Warning, "StepPrincipalTooBroad", number, message)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::iam::document::Document;
    use crate::iam::trust::lint_trust;

    const MACHINE: &str = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil";

    fn codes(principal: &Value, conditions: &Value) -> Vec<&'static str> {
        let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": principal, "Condition": conditions}});
        lint_trust(&Document::parse(&policy.to_string()).unwrap()).into_iter().map(|one| one.code).collect()
    }

    #[test]
    fn the_trust_of_a_step_role_has_no_finding_and_each_weaker_one_has_its_own() {
        let role = json!({"AWS": "arn:aws:iam::111122223333:role/exec"});
        let like = |ids: &[&str]| json!({"StringLike": {"sts:ExternalId": ids}});
        let (versions, children) = (format!("{MACHINE}:*"), format!("{MACHINE}/*"));
        let exact = like(&[MACHINE, &versions]);
        assert!(codes(&role, &exact).is_empty());
        assert!(codes(&role, &like(&[MACHINE, &versions, &children])).is_empty());
        let open = format!("{MACHINE}*");
        let all = "arn:aws:states:eu-west-1:111122223333:stateMachine:*";
        for (principal, conditions, code) in [
            (role.clone(), like(&[&open]), "ExternalIdWildcard"),
            (role.clone(), like(&[MACHINE, &versions, all]), "ExternalIdWildcard"),
            (role.clone(), like(&[MACHINE]), "ExternalIdTooNarrow"),
            (role.clone(), json!({"StringEquals": {"sts:ExternalId": MACHINE}}), "ExternalIdTooNarrow"),
            (role.clone(), json!({"StringEquals": {"sts:ExternalId": [MACHINE, versions]}}), "ExternalIdTooNarrow"),
            (
                role.clone(),
                json!({"StringLikeIfExists": {"sts:ExternalId": [MACHINE, versions]}}),
                "ExternalIdNotAsked",
            ),
            (role, json!({"StringNotEquals": {"sts:ExternalId": MACHINE}}), "ExternalIdNotAsked"),
            (json!({"AWS": "arn:aws:iam::111122223333:root"}), exact.clone(), "StepPrincipalTooBroad"),
            (json!({"Service": "states.amazonaws.com"}), exact.clone(), "StepPrincipalTooBroad"),
            (json!({"AWS": "*"}), exact, "PrincipalWildcard"),
        ] {
            assert_eq!(codes(&principal, &conditions), [code], "{principal} {conditions}");
        }
        let partner = json!({"StringEquals": {"sts:ExternalId": "partner"}});
        assert!(codes(&json!({"AWS": "arn:aws:iam::111122223333:root"}), &partner).is_empty(), "no step's");
    }
}
