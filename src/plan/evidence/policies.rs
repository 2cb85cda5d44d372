//! The admission policies of the chart: what the API server itself refuses.

use super::controls::{A5_15, A8_3, A8_32, CC6_1, CC8_1};
use super::item::{Facts, Finding, Item, Part, Section, Severity, Source, counted, place};
use super::reading::{AnyObject, Read};

const ID: &str = "admission";
const ALL: &[&str] = &[CC6_1, CC8_1, A5_15, A8_3, A8_32];
/// How the chart marks what it installs.
const MARK: (&str, &str) = ("app.kubernetes.io/name", "stepbound");

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new(ID, "Admission policies in force", ALL).table();
    section.not_read = read.policies.unread("ValidatingAdmissionPolicies");
    section.not_read.extend(read.policy_bindings.unread("ValidatingAdmissionPolicyBindings"));
    let is_ours = |one: &&AnyObject| {
        one.metadata.labels.iter().flatten().any(|(key, value)| (key.as_str(), value.as_str()) == MARK)
    };
    let ours: Vec<&AnyObject> = read.policies.objects.iter().filter(is_ours).collect();
    let mut findings = Vec::new();
    if section.not_read.is_empty() {
        section.says.push(format!(
            "{} of the chart. Whether their rules are those of the chart was not compared here; the operator compares those of requesters and approvals by itself, and believes nobody while they differ.",
            counted(ours.len(), "admission policy").replace("policys", "policies")
        ));
        if ours.is_empty() {
            findings.push(finding(Severity::Warning, "NoAdmissionPolicies", "admission", "no admission policy with the label app.kubernetes.io/name=stepbound is there, so who may bind and use is not asked where objects are written; set admission.enabled in the chart".to_owned(), Vec::new()));
        }
    }
    for policy in ours {
        let name = policy.metadata.name.clone().unwrap_or_default();
        let binds = |one: &&AnyObject| one.spec["policyName"].as_str() == Some(&name);
        let bindings: Vec<&AnyObject> = read.policy_bindings.objects.iter().filter(binds).collect();
        let fails = policy.spec["failurePolicy"].as_str().unwrap_or("Fail");
        let actions: Vec<&str> = bindings
            .iter()
            .flat_map(|one| one.spec["validationActions"].as_array().into_iter().flatten())
            .filter_map(|one| one.as_str())
            .collect();
        let mut read_from = vec![Source::object("ValidatingAdmissionPolicy", &policy.metadata)];
        read_from.extend(bindings.iter().map(|one| Source::object("ValidatingAdmissionPolicyBinding", &one.metadata)));
        let mut facts = Facts::default();
        facts.put("failurePolicy", fails);
        if read.policy_bindings.refused.is_none() {
            facts.put("validationActions", actions.join(", "));
            // Those of Guardrails may be left out while the server does not know the kind: the operator asks them too.
            let may_ignore = policy.spec.get("paramKind").is_some();
            if !actions.contains(&"Deny") || (fails != "Fail" && !may_ignore) {
                let message = format!(
                    "policy {name} denies nothing, or passes what it cannot judge: failurePolicy is {fails}, and its bindings say {:?}; install the chart's again",
                    actions.join(", ")
                );
                findings.push(finding(Severity::Error, "PolicyWeakened", &name, message, read_from.clone()));
            }
        }
        facts.some("generation", policy.metadata.generation);
        section.items.push(Item { subject: place(&policy.metadata), controls: ALL, facts: facts.done(), read_from });
    }
    section.items.sort_by(|one, other| one.subject.cmp(&other.subject));
    (section, findings)
}

fn finding(severity: Severity, code: &str, subject: &str, message: String, read_from: Vec<Source>) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        subject: subject.to_owned(),
        message,
        controls: ALL,
        section: ID,
        read_from,
    }
}
