//! Which Workflows need somebody else's approval, and what was asked and decided. The input that was approved is not told, its digest is.

use super::controls::{A5_3, A8_32, CC6_3, CC8_1};
use super::item::{Facts, Finding, Item, Part, Section, Severity, Source, counted, place, written};
use super::reading::Read;
use super::rules;
use crate::api::v1alpha1::{Approval, Verdict, Workflow};
use crate::plan::approval::{digest, needed};

const ID: &str = "approvals";
pub(super) const ALL: &[&str] = &[CC6_3, CC8_1, A5_3, A8_32];

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new(ID, "Approvals in force and given", ALL);
    section.not_read = read.workflows.unread("Workflows");
    section.not_read.extend(read.guardrails.unread("Guardrails"));
    section.not_read.extend(read.approvals.unread("Approvals"));
    let mut required = 0;
    for workflow in &read.workflows.objects {
        let (item, is_required) = in_force(read, workflow);
        if !item.facts.contains_key("approvalRequiredBy") {
            section.not_read.push(format!(
                "whether a Guardrail asks for approvals of {}: its namespace's labels were not read",
                item.subject
            ));
        }
        required += usize::from(is_required);
        section.items.push(item);
    }
    let mut findings = Vec::new();
    let created =
        |one: &&Approval| one.metadata.creation_timestamp.as_ref().is_none_or(|time| read.period.holds(time.0));
    let mut given: Vec<&Approval> = read.approvals.objects.iter().filter(created).collect();
    given.sort_by_key(|one| super::item::key(&one.metadata));
    if read.workflows.refused.is_none() {
        section.says.push(format!(
            "{required} of {} need an approval of somebody else before a start that somebody asks for.",
            counted(read.workflows.objects.len(), "Workflow")
        ));
    }
    if read.approvals.refused.is_none() {
        section.says.push(format!("{} of the period are there. An Approval is deleted with its run: what became of others is in the audit log.", counted(given.len(), "Approval")));
    }
    section.items.sort_by(|one, other| one.subject.cmp(&other.subject));
    for approval in given {
        findings.extend(wrong(approval));
        section.items.push(asked(approval));
    }
    (section, findings)
}

/// Who asks for approvals of a Workflow's runs, and whether anybody does.
fn in_force(read: &Read, workflow: &Workflow) -> (Item, bool) {
    let namespace = workflow.metadata.namespace.as_deref().unwrap_or_default();
    let mut read_from = vec![Source::object("Workflow", &workflow.metadata)];
    let mut facts = Facts::default();
    let rules = rules::of(read, namespace);
    let needed = needed(Some(workflow), rules.as_deref().unwrap_or_default());
    if let Some(needed) = &needed {
        facts.put("approvalRequiredBy", needed.asked_by.clone());
        facts.put("waitedFor", format!("{}s", needed.timeout.as_secs()));
        let asks = |one: &&crate::api::v1alpha1::Guardrail| {
            needed.asked_by == format!("Guardrail {:?}", one.metadata.name.as_deref().unwrap_or_default())
        };
        read_from
            .extend(read.guardrails.objects.iter().filter(asks).map(|one| Source::object("Guardrail", &one.metadata)));
    } else if rules.is_some() {
        facts.put("approvalRequiredBy", "nobody");
    }
    (
        Item {
            subject: format!("Workflow {}", place(&workflow.metadata)),
            controls: ALL,
            facts: facts.done(),
            read_from,
        },
        needed.is_some(),
    )
}

fn asked(approval: &Approval) -> Item {
    let (request, mut facts) = (&approval.spec.request, Facts::default());
    facts.put("run", request.run_name.clone());
    facts.put("runUID", request.run_uid.clone());
    facts.put("attempt", request.attempt);
    facts.put("requester", request.requester.clone());
    let decision = approval.spec.decision.as_ref();
    facts.put(
        "decision",
        decision.map_or("none yet", |one| if one.verdict == Verdict::Approved { "approved" } else { "denied" }),
    );
    facts.some("decidedBy", decision.map(|one| one.by.clone()));
    facts.some("askedAt", approval.metadata.creation_timestamp.as_ref().map(|time| written(time.0)));
    facts.put("expiresAt", written(request.expires_at.0));
    facts.put("targetARN", request.target_arn.clone());
    facts.some("executionARN", request.execution_arn.clone());
    facts.put("definitionHash", request.definition_hash.clone());
    facts.put("executionRoleARN", request.execution_role_arn.clone());
    facts.list("stepRoleARNs", request.step_role_arns.iter().cloned());
    facts.put("inputDigest", request.input_digest.clone());
    facts.put("digest", request.digest.clone());
    let read_from = vec![Source::object("Approval", &approval.metadata)];
    Item { subject: format!("Approval {}", place(&approval.metadata)), controls: ALL, facts: facts.done(), read_from }
}

/// What schema and policy would have refused, and is there all the same.
fn wrong(approval: &Approval) -> Vec<Finding> {
    let request = &approval.spec.request;
    let mut wrong = Vec::new();
    if digest(request) != request.digest {
        wrong.push((
            "ApprovalDigestDiffers",
            "its digest is not that of what it asks, so it is not what somebody looked at".to_owned(),
        ));
    }
    if let Some(decision) = &approval.spec.decision {
        if decision.digest != request.digest {
            wrong.push(("ApprovalDigestDiffers", "the decision is of something else than what is asked".to_owned()));
        }
        if decision.by == request.requester {
            wrong.push(("SelfApproved", format!("{} has decided about their own request", decision.by)));
        }
        if decision.by.starts_with("system:") {
            wrong.push(("ApprovedByAccount", format!("{} is no person and has decided", decision.by)));
        }
    }
    let found = |(code, why): (&str, String)| Finding {
        severity: Severity::Error,
        code: code.to_owned(),
        subject: format!("Approval {}", place(&approval.metadata)),
        message: format!(
            "{why}; the operator starts nothing by it. Look for how it got past the admission policy of approvals"
        ),
        controls: ALL,
        section: ID,
        read_from: vec![Source::object("Approval", &approval.metadata)],
    };
    wrong.into_iter().map(found).collect()
}
