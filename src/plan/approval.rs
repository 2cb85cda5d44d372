//! Whether a start needs somebody else's approval, what exactly is approved, and when an approval counts.
//!
//! What is approved is frozen before anybody is asked: a version, its definition and roles, the input, the binding. A decision
//! counts only for just that, before it expires, and only while the API server has kept the admission policy that makes a
//! decision somebody's own since before the Approval was created.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::attribution::{Installation, Installed, SETTLED_AFTER, validating_spec};
use super::guardrail::{Rule, Runs};
use crate::api::v1alpha1::{
    AliasStatus, Approval, ApprovalDecision, ApprovalRequest, RunApproval, Verdict, Workflow, WorkflowApproval,
};
use crate::digest::{sha256_hex, short_hex};
use crate::outcome::{Class, Failure};
use crate::reason::Reason;

/// The spec as the chart installs it.
const GUARD: &str = include_str!("../../charts/stepbound/policies/approvals.yaml");
/// Largest input that an Approval shows, in bytes.
const SHOWN_INPUT: usize = 16 * 1024;
/// Longest wait, whatever an object from before the rule says.
const LONGEST_WAIT: Duration = Duration::from_secs(720 * 3600);
/// Longest part of a run's name in that of its Approval.
const READABLE: usize = 200;

/// That a start needs an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Who wants it, for people.
    pub asked_by: String,
    /// How long it is waited for.
    pub timeout: Duration,
}

/// Whether a start of a run of this Workflow needs an approval. Every start that somebody asks for goes by this: the first, and
/// a redrive. A Workflow that is gone needs one no more; a Guardrail holds without it.
pub fn needed(workflow: Option<&Workflow>, rules: &[Rule]) -> Option<Needed> {
    let own = workflow.and_then(|workflow| workflow.spec.approval.clone()).unwrap_or_default();
    let rule = rules.iter().find(|rule| rule.spec.require_approval);
    let asked_by = match (rule, workflow) {
        (Some(rule), _) => format!("Guardrail \"{}\"", rule.name),
        (None, Some(workflow)) if own.required => {
            format!("Workflow \"{}\"", workflow.metadata.name.as_deref().unwrap_or_default())
        }
        (None, _) => return None,
    };
    Some(Needed { asked_by, timeout: timeout(&own) })
}

fn timeout(approval: &WorkflowApproval) -> Duration {
    let day = Duration::from_secs(24 * 3600);
    approval.timeout.to_std().unwrap_or(day).min(LONGEST_WAIT)
}

/// The version that is started, and the alias by which it was chosen. An alias that is being moved stands for the version to
/// which it routes most, the newer one of two alike.
///
/// # Errors
/// `ApprovalNeedsVersion`, where a state machine would be started without a version, or nobody knows where an alias routes.
pub fn version(target_arn: &str, aliases: &[AliasStatus]) -> Result<(String, Option<String>), Failure> {
    if let Some(runs) = Runs::of(target_arn) {
        return if runs.version.is_some() { Ok((runs.arn, None)) } else { Err(needs_version(target_arn)) };
    }
    let routes = aliases.iter().find(|alias| alias.arn == target_arn).map(|alias| alias.routes.as_slice());
    let most = routes.unwrap_or_default().iter().max_by_key(|route| (route.weight, route.version));
    let Some(most) = most else { return Err(needs_version(target_arn)) };
    let machine: String = target_arn.split(':').take(7).collect::<Vec<_>>().join(":");
    Ok((format!("{machine}:{}", most.version), Some(target_arn.to_owned())))
}

/// Nothing that can be frozen would be started.
pub fn needs_version(what: &str) -> Failure {
    let message = format!(
        "{what} is no version of a state machine, and only a version can be approved: all else may change meanwhile. Let the Workflow publish versions (spec.versions.publish: OnChange), or name one of them; the run goes on by itself then."
    );
    Failure::new(Class::Waiting, Reason::ApprovalNeedsVersion, message)
}

/// Nobody knows who asked, so nobody can tell whether somebody else approves.
pub fn requester_unknown(asked_by: &str) -> Failure {
    let message = format!(
        "{asked_by} wants an approval by somebody else than who asked for this, and who that was is not proven: the API server stamps it from Kubernetes 1.36 on, with the chart's policies installed for a minute. Nothing is started. Ask again once that is so: create another run, or set another value of stepbound.dev/redrive; for the runs of a schedule, apply a change of its spec."
    );
    Failure::new(Class::Terminal, Reason::RequesterUnknown, message)
}

/// No decision can be believed.
pub fn not_enforced(why: &str) -> Failure {
    let message = format!(
        "No approval can be believed: {why}. Nothing is started. Install the chart's admission policies as they are (admission.enabled) and leave them for a minute; the run goes on by itself then."
    );
    Failure::new(Class::Waiting, Reason::ApprovalNotEnforced, message)
}

/// Name of the Approval of an attempt of a run: one run never takes that of another.
pub fn approval_name(run: &str, uid: &str, attempt: i64) -> String {
    if run.len() <= READABLE {
        return format!("{run}-{attempt}");
    }
    let readable: String = run.chars().take(READABLE).collect();
    format!("{}-{}-{attempt}", readable.trim_end_matches(['.', '-']), short_hex(uid.as_bytes(), 8))
}

/// The admission policy as the API server has it, with its binding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    /// Validating policy.
    pub policy: Option<Installed>,
    /// Its binding.
    pub binding: Option<Installed>,
}

/// The state of the policy in which decisions are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// Another one with every change of policy or binding, whoever made it and whatever they were changed back to.
    pub revision: String,
    /// When they were last written.
    pub since: Timestamp,
}

impl Enforced {
    /// Whether every API server has read it.
    pub fn has_settled(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) >= SETTLED_AFTER
    }
}

/// Name of the policy, and of its binding.
pub fn guard_name(installation: &Installation<'_>) -> String {
    format!("{}-approvals", installation.prefix)
}

/// Whether the API server has exactly the policy of this binary, and which state of it.
///
/// # Errors
/// What keeps a decision from being believed, for people.
pub fn enforced(installation: &Installation<'_>, guard: &Guard) -> Result<Enforced, String> {
    let name = guard_name(installation);
    let binding = json!({"policyName": name, "validationActions": ["Deny"]});
    let parts = [
        ("ValidatingAdmissionPolicy", &guard.policy, validating_spec(GUARD, installation)?),
        ("ValidatingAdmissionPolicyBinding", &guard.binding, binding),
    ];
    let (mut since, mut revisions) = (Timestamp::MIN, Vec::new());
    for (kind, installed, expected) in parts {
        let Some(installed) = installed else { return Err(format!("there is no {kind} {name}")) };
        if installed.spec != expected {
            return Err(format!("{kind} {name} is not as the chart has it"));
        }
        since = since.max(installed.changed_at);
        revisions.push(installed.revision.clone());
    }
    Ok(Enforced { revision: revisions.join(","), since })
}

/// What the chart installs, for tests: kind in the plural, name and spec of each.
#[cfg(test)]
pub(crate) fn installed_by_the_chart(installation: &Installation<'_>) -> Vec<(&'static str, String, Value)> {
    let name = guard_name(installation);
    let binding = json!({"policyName": name, "validationActions": ["Deny"]});
    let spec = validating_spec(GUARD, installation).unwrap_or_default();
    vec![("validatingadmissionpolicies", name.clone(), spec), ("validatingadmissionpolicybindings", name, binding)]
}

/// What is known of a start without asking AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who asked, where that is proven now.
    pub requester: Option<String>,
    /// SHA-256 of the input.
    pub input_digest: String,
    /// ARN of the version.
    pub target_arn: String,
    /// UID of the binding.
    pub binding_uid: String,
    /// The state of the policy.
    pub policy_revision: String,
}

/// What AWS shows of the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// SHA-256 of its definition.
    pub definition_hash: String,
    /// Role of its executions.
    pub execution_role_arn: String,
    /// Roles of its steps.
    pub step_role_arns: Vec<String>,
}

/// Of which run and attempt something is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking<'a> {
    /// Name of the run.
    pub run_name: &'a str,
    /// UID of the run.
    pub run_uid: &'a str,
    /// Number of the attempt.
    pub attempt: i64,
    /// ARN of the execution that is redriven.
    pub execution_arn: Option<String>,
    /// The input, where it stands in the run.
    pub input: Option<&'a str>,
    /// Where it stands otherwise.
    pub input_from: Option<crate::api::v1alpha1::ConfigMapKeyRef>,
}

/// What somebody is asked to approve.
pub fn request(
    asking: Asking<'_>,
    requester: String,
    known: &Known,
    described: Described,
    expires_at: Timestamp,
) -> ApprovalRequest {
    let mut request = ApprovalRequest {
        run_name: asking.run_name.to_owned(),
        run_uid: asking.run_uid.to_owned(),
        attempt: asking.attempt,
        requester,
        input: asking.input.filter(|input| input.len() <= SHOWN_INPUT).map(str::to_owned),
        input_from: asking.input_from,
        input_digest: known.input_digest.clone(),
        target_arn: known.target_arn.clone(),
        execution_arn: asking.execution_arn,
        definition_hash: described.definition_hash,
        execution_role_arn: described.execution_role_arn,
        step_role_arns: described.step_role_arns,
        binding_uid: known.binding_uid.clone(),
        policy_revision: known.policy_revision.clone(),
        expires_at: Time(expires_at),
        digest: String::new(),
    };
    request.digest = digest(&request);
    request
}

/// When an approval that is asked for now expires, in whole seconds, as Kubernetes writes times.
pub fn expiry(needed: &Needed, now: Timestamp) -> Timestamp {
    let wait = SignedDuration::try_from(needed.timeout).unwrap_or(SignedDuration::MAX);
    let at = now.checked_add(wait).unwrap_or(Timestamp::MAX);
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The digest of a request: of all but itself, as JSON without spaces whose keys are in order.
pub fn digest(request: &ApprovalRequest) -> String {
    // A struct of texts and numbers is always JSON.
    let mut value = serde_json::to_value(request).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("digest");
    }
    sha256_hex(in_order(value).to_string().as_bytes())
}

fn in_order(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().map(|(key, value)| (key, in_order(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(in_order).collect()),
        other => other,
    }
}

/// Why a request does not stand for what would be started now, by what is known without AWS.
pub fn changed(asked: &ApprovalRequest, known: &Known) -> Option<String> {
    let other = |is: &str, was: &str| is != was;
    if digest(asked) != asked.digest {
        return Some("its digest is not that of what it asks".to_owned());
    }
    if known.requester.as_ref().is_some_and(|requester| other(requester, &asked.requester)) {
        return Some("somebody else asks by now".to_owned());
    }
    if other(&known.input_digest, &asked.input_digest) {
        return Some("the input was changed".to_owned());
    }
    if other(&known.target_arn, &asked.target_arn) {
        return Some(format!("{} would be started by now and not {}", known.target_arn, asked.target_arn));
    }
    if other(&known.binding_uid, &asked.binding_uid) {
        return Some("the TrustBinding is another one".to_owned());
    }
    other(&known.policy_revision, &asked.policy_revision)
        .then(|| "the admission policy of approvals was changed meanwhile".to_owned())
}

/// The same by what AWS shows of the version.
pub fn described_changed(asked: &ApprovalRequest, described: &Described) -> Option<String> {
    if described.definition_hash != asked.definition_hash {
        return Some(format!("AWS shows another definition of {}", asked.target_arn));
    }
    if described.execution_role_arn != asked.execution_role_arn {
        return Some(format!("AWS shows another execution role of {}", asked.target_arn));
    }
    (described.step_role_arns != asked.step_role_arns).then(|| "its steps act as other roles".to_owned())
}

/// Whether this very Approval is the one that a run asked for. Another of the name counts for nothing.
pub fn is_asked(approval: &Approval, asked: &RunApproval, run_uid: &str) -> bool {
    approval.metadata.uid.as_deref() == Some(&asked.uid)
        && approval.metadata.deletion_timestamp.is_none()
        && approval.spec.request.run_uid == run_uid
        && approval.spec.request.attempt == asked.attempt
}

/// What follows from an Approval that stands for what would be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Nobody has decided.
    Waits,
    /// It may start; this user has said so.
    Approved(String),
    /// It ends here.
    Ends(Reason, String),
    /// It counts for nothing.
    Void(String),
}

/// Decides at `now`. Nothing starts after the time that was asked for: a decision does not tell when it was made.
pub fn decided(approval: &Approval, now: Timestamp) -> Decided {
    let (request, name) = (&approval.spec.request, approval.metadata.name.as_deref().unwrap_or_default());
    let expired = now >= request.expires_at.0;
    match &approval.spec.decision {
        Some(decision) if !is_own(request, decision) => {
            Decided::Void(format!("{:?} decided it in a way that the API server does not allow", decision.by))
        }
        Some(decision) if decision.verdict == Verdict::Denied => Decided::Ends(
            Reason::ApprovalDenied,
            format!(
                "{} has denied what {} asked for (Approval \"{name}\"). Nothing was started.",
                decision.by, request.requester
            ),
        ),
        Some(decision) if expired => Decided::Ends(
            Reason::ApprovalTimedOut,
            format!(
                "{} has approved it, but it had not started by {}, when Approval \"{name}\" expired. Nothing was started. Ask again.",
                decision.by, request.expires_at.0
            ),
        ),
        Some(decision) => Decided::Approved(decision.by.clone()),
        None if expired => Decided::Ends(
            Reason::ApprovalTimedOut,
            format!(
                "Nobody had approved it by {} (Approval \"{name}\"). Nothing was started. Ask again.",
                request.expires_at.0
            ),
        ),
        None => Decided::Waits,
    }
}

/// What schema and policy ask of a decision, asked again.
fn is_own(request: &ApprovalRequest, decision: &ApprovalDecision) -> bool {
    decision.digest == request.digest
        && decision.by != request.requester
        && !decision.by.is_empty()
        && !decision.by.starts_with("system:")
}

/// What a run says while it waits.
pub fn waits(asked: &RunApproval, requester: &str, asked_by: &str) -> String {
    let again = asked.void_before.as_ref().map(|why| format!(" An earlier one is void: {why}.")).unwrap_or_default();
    format!(
        "{asked_by} wants an approval by somebody else than {requester}. Approval \"{}\" waits for it until {}: kubectl get approval {} -o yaml.{again}",
        asked.name, asked.expires_at.0, asked.name
    )
}

#[cfg(test)]
mod tests;
