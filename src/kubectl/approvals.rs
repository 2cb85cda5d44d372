//! What all verbs and the page know of Approvals: which run waits for one, what stands against a decision, what is approved with
//! it, and how it is written.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::KubectlError;
use super::words::written;
use crate::api::v1alpha1::{Approval, ApprovalRequest, Phase, RunApproval, Verdict, WorkflowRun};
use crate::digest::sha256_hex;
use crate::plan::approval::digest;
use crate::printable::indented;
use crate::reason::Reason;
use crate::status::{READY, find};

/// Between the words of an API server and those of the policy that speaks through it.
const DENIED: &str = " denied request: ";

/// What a run waits for somebody to approve; nothing of one that waits for something else. One that is to be redriven has ended,
/// and says nothing of it in its conditions.
pub(super) fn awaited(run: &WorkflowRun) -> Option<&RunApproval> {
    let status = run.status.as_ref()?;
    let asked = status.approval.as_ref()?;
    let is_begun = status.attempts.last().is_some_and(|attempt| attempt.number >= asked.attempt);
    let waits = if phase(run).is_finished() {
        run.wants_redrive()
    } else {
        find(&status.conditions, READY).is_some_and(|ready| ready.reason == Reason::WaitingForApproval)
    };
    (waits && !is_begun && run.spec.cancel.is_none()).then_some(asked)
}

fn phase(run: &WorkflowRun) -> Phase {
    run.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
}

/// A verdict as it stands in a sentence.
pub(super) fn past(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::Denied => "denied",
    }
}

/// What stands against a decision, for people, and the verb that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Against {
    pub why: String,
    pub next: Option<String>,
}

impl fmt::Display for Against {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}

fn against(why: impl Into<String>) -> Against {
    Against { why: why.into(), next: None }
}

fn against_with(why: impl Into<String>, next: String) -> Against {
    Against { why: why.into(), next: Some(next) }
}

/// What keeps an Approval from being decided by this user, as far as it is seen from here. The API server asks more.
pub(super) fn barred(approval: &Approval, run: Option<&WorkflowRun>, user: &str, now: Timestamp) -> Option<Against> {
    let request = &approval.spec.request;
    is_over(approval, run, now).or_else(|| {
        if digest(request) != request.digest {
            return Some(against(
                "its digest is not that of what it asks, as it is read here, so nobody would know what is decided. Where the cluster's Stepbound is newer than this plugin: update the plugin",
            ));
        }
        if user == request.requester {
            return Some(against(format!("{user} asked for the run and cannot decide it. Let somebody else decide")));
        }
        user.starts_with("system:").then(|| Against {
            why: format!("runs are approved by people, and {user} is a service account or another part of the cluster. Ask as a person"),
            next: None,
        })
    })
}

/// Why nothing would follow from a decision any more.
fn is_over(approval: &Approval, run: Option<&WorkflowRun>, now: Timestamp) -> Option<Against> {
    let (request, name) = (&approval.spec.request, approval.name_any());
    if let Some(decision) = &approval.spec.decision {
        let why = format!("{} has {} it already, and a decision is written once", decision.by, past(decision.verdict));
        return Some(against_with(why, format!("get {}", request.run_name)));
    }
    if approval.metadata.deletion_timestamp.is_some() {
        return Some(against_with("it is being deleted", format!("get {}", request.run_name)));
    }
    let of_run = run.and_then(|run| {
        let asked = run.status.as_ref().and_then(|status| status.approval.as_ref());
        if run.metadata.uid.as_deref() != Some(&request.run_uid) {
            return Some(against(format!("WorkflowRun \"{}\" is another one by now", request.run_name)));
        }
        if run.spec.cancel.is_some() || (phase(run).is_finished() && !run.wants_redrive()) {
            let how = if run.spec.cancel.is_some() { "was cancelled" } else { "has ended" };
            return Some(against_with(
                format!("WorkflowRun \"{}\" {how}, so nothing is to start any more", request.run_name),
                format!("get {}", request.run_name),
            ));
        }
        let other = asked.filter(|asked| Some(&asked.uid) != approval.metadata.uid.as_ref())?;
        // The same name is another one by its UID: what is looked at again is that.
        let next = format!("approve approval/{}", other.name);
        Some(against_with(format!("Approval \"{name}\" is void: the run asks for another one by now"), next))
    });
    of_run.or_else(|| {
        (now >= request.expires_at.0).then(|| Against {
            why: format!("it expired at {}, and nothing starts any more. Ask again", written(request.expires_at.0)),
            next: Some(format!("retry {}", request.run_name)),
        })
    })
}

/// The input that is approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Just that of the digest.
    Is(String),
    /// Nobody can show it here, and why.
    Unseen(String),
    /// What stands there is not what is asked for, and why.
    Differs(String),
}

/// Reads the input from where it stands, and holds it against its digest.
pub(super) async fn input(
    client: &Client,
    namespace: &str,
    request: &ApprovalRequest,
    run: Option<&WorkflowRun>,
) -> Result<Input, kube::Error> {
    let Some(from) = &request.input_from else { return Ok(of_request(request, run)) };
    let place = format!("ConfigMap \"{}\"", from.name);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = match maps.get_opt(&from.name).await {
        Ok(Some(map)) => map,
        Ok(None) => return Ok(Input::Differs(format!("it stands in {place}, which is not there any more"))),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Ok(Input::Unseen(format!("it stands in {place}: {}", indented(status.message.trim_end()))));
        }
        Err(error) => return Err(error),
    };
    let text = map.data.and_then(|mut data| data.remove(&from.key));
    Ok(match text {
        Some(text) => held_against(request, text, &format!("{place}, key \"{}\", was changed since", from.key)),
        None => Input::Differs(format!("it stands in {place}, which has no key \"{}\" any more", from.key)),
    })
}

/// The same of one that stands in the request, or in the run where it is long.
fn of_request(request: &ApprovalRequest, run: Option<&WorkflowRun>) -> Input {
    match (&request.input, run) {
        (Some(text), _) => held_against(request, text.clone(), "the one in the Approval is another"),
        (None, Some(run)) => {
            let text = run.spec.input.as_ref().map_or_else(|| "{}".to_owned(), Value::to_string);
            held_against(request, text, "the one in the run was changed since")
        }
        (None, None) => {
            let name = &request.run_name;
            Input::Unseen(format!("it is long and stands in WorkflowRun \"{name}\", which you may not see"))
        }
    }
}

fn held_against(request: &ApprovalRequest, text: String, otherwise: &str) -> Input {
    if sha256_hex(text.as_bytes()) == request.input_digest {
        Input::Is(text)
    } else {
        Input::Differs(format!("its SHA-256 is not the one that is asked for: {otherwise}"))
    }
}

/// The name by which the API server knows whoever asks.
pub(super) async fn whoami(client: &Client) -> Result<String, KubectlError> {
    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let asked = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let review = asked.map_err(|error| KubectlError::of("ask the API server who you are", error))?;
    let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
    user.filter(|user| !user.is_empty())
        .ok_or_else(|| KubectlError::Refused("the API server does not say who you are; log in again".to_owned()))
}

/// What is written, on condition that the object is just the one that was looked at.
pub(super) fn decision(approval: &Approval, verdict: Verdict, by: &str) -> Value {
    let decision = json!({"verdict": verdict, "digest": approval.spec.request.digest, "by": by});
    json!({
        "metadata": {"uid": approval.metadata.uid, "resourceVersion": approval.metadata.resource_version},
        "spec": {"decision": decision},
    })
}

/// Writes a decision, or lets the API server say whether it would take it.
pub(super) async fn decide(
    client: &Client,
    namespace: &str,
    approval: &Approval,
    patch: &Value,
    dry_run: bool,
) -> Result<DynamicObject, kube::Error> {
    let resource = ApiResource::erase::<Approval>(&());
    let approvals: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let parameters = PatchParams { dry_run, field_manager: Some("kubectl-sfn".to_owned()), ..PatchParams::default() };
    approvals.patch(&approval.name_any(), &parameters, &Patch::Merge(patch)).await
}

/// What the API server's refusal of a decision means, with the way out. The words of the policy are enough without its name.
pub(super) fn refused(asked: &str, error: kube::Error) -> KubectlError {
    let status = match error {
        kube::Error::Api(status) => status,
        other => return KubectlError::of(asked, other),
    };
    match status.message.split_once(DENIED).map(|(_, said)| said.trim_end()) {
        Some(said) => KubectlError::Refused(format!("cannot {asked}: {}{}", indented(said), way_out(said))),
        None => KubectlError::of(asked, kube::Error::Api(status)),
    }
}

/// For what the policy says without one.
fn way_out(said: &str) -> &'static str {
    const WAYS: [(&str, &str); 4] = [
        ("cannot decide it; somebody else has to", ": let a colleague do it who may approve here"),
        ("runs are approved by people", ". Ask with the credentials of a person, without those of the service account"),
        ("decide in your own name", ". Ask again: the API server knows you by another name than a moment ago"),
        ("cannot be changed", ". Look at the run again"),
    ];
    WAYS.into_iter().find(|(words, _)| said.contains(words)).map_or("", |(_, way)| way)
}

#[cfg(test)]
mod tests;
