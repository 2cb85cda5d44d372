//! Runs of the period: who asked, who approved, as whom; from the objects and from the operator's audit log, joined by the run's UID.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::audit_log::{Call, Log};
use super::controls::{A5_3, A5_16, A8_15, A8_16, A8_32, CC6_3, CC7_2, CC8_1};
use super::item::{Facts, Finding, Item, Part, Period, Section, Severity, Source, counted, place, written};
use super::reading::Read;
use super::{approvals, rules};
use crate::api::v1alpha1::{Attempt, AttemptCause, Workflow, WorkflowRun};
use crate::plan::approval::needed;

const ID: &str = "runs";
const ALL: &[&str] = &[CC7_2, CC8_1, A5_16, A8_15, A8_16, A8_32];
const WHO: &[&str] = &[CC6_3, CC7_2, CC8_1, A5_3, A5_16, A8_15];
/// A record has no more of a name than so many bytes.
const CUT: usize = 256;
/// A status keeps no more attempts.
const KEPT: usize = 20;

/// What is known of one run.
#[derive(Default)]
struct Known<'a> {
    run: Option<&'a WorkflowRun>,
    calls: Vec<(&'a Log, &'a Call)>,
}

impl Known<'_> {
    fn place(&self) -> String {
        let of_call = || self.calls.first().map(|(_, call)| format!("{}/{}", call.namespace, call.name));
        self.run.map(|run| place(&run.metadata)).or_else(of_call).unwrap_or_default()
    }

    /// By what it is known.
    fn by(&self) -> &'static str {
        match (self.run.is_some(), self.calls.is_empty()) {
            (true, false) => "object and audit log",
            (true, true) => "object alone",
            (false, _) => "audit log alone",
        }
    }

    fn attempts(&self) -> &[Attempt] {
        self.run.and_then(|run| run.status.as_ref()).map(|status| status.attempts.as_slice()).unwrap_or_default()
    }

    fn begun(&self) -> Vec<&Call> {
        self.calls
            .iter()
            .map(|(_, call)| *call)
            .filter(|call| call.api != "states:StopExecution" && call.outcome == "Success")
            .collect()
    }

    fn requester(&self) -> Option<String> {
        self.run?.status.as_ref()?.requested_by.clone()
    }

    fn read_from(&self) -> Vec<Source> {
        let object = self.run.map(|run| Source::object("WorkflowRun", &run.metadata));
        object.into_iter().chain(self.calls.iter().map(|(log, call)| log.source(Some(call.line)))).collect()
    }
}

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new(ID, "Runs of the period, who asked and who approved", ALL).table();
    section.not_read = read.runs.unread("WorkflowRuns");
    for log in &read.logs {
        let lines: Vec<String> = log.unreadable.iter().take(10).map(ToString::to_string).collect();
        if !lines.is_empty() {
            section.not_read.push(format!(
                "{} of {}, which are no audit records as docs/audit.md has them: {}",
                counted(log.unreadable.len(), "line"),
                log.name,
                lines.join(", ")
            ));
        }
    }
    if read.logs.is_empty() {
        section.not_read.push("what the operator's audit log knows of runs, those among them whose objects are gone: no file was given (--audit-log)".to_owned());
    }
    let known = joined(read);
    section.says = says(read, &known);
    let mut findings = unproven(&known);
    for one in known.values() {
        findings.extend(differs(one));
        findings.extend(unapproved(read, one));
    }
    section.items = known.iter().map(|(uid, one)| item(uid, one)).collect();
    section.items.sort_by(|one, other| {
        (&one.subject, one.facts["uid"].as_str()).cmp(&(&other.subject, other.facts["uid"].as_str()))
    });
    (section, findings)
}

fn is_of(period: Period, run: &WorkflowRun) -> bool {
    let status = run.status.as_ref();
    let attempts = status.iter().flat_map(|status| &status.attempts).map(|one| one.recorded_at.0);
    let ended = status.and_then(|status| status.finished_at.as_ref()).map(|time| time.0);
    let created = run.metadata.creation_timestamp.as_ref().map(|time| time.0);
    created.into_iter().chain(ended).chain(attempts).any(|time| period.holds(time))
}

/// By UID. A record that two files hold counts once.
fn joined(read: &Read) -> BTreeMap<String, Known<'_>> {
    let mut known: BTreeMap<String, Known<'_>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for log in &read.logs {
        for call in &log.calls {
            if seen.insert((call.at, &call.api, &call.uid, &call.request_id)) {
                known.entry(call.uid.clone()).or_default().calls.push((log, call));
            }
        }
    }
    for run in &read.runs.objects {
        let uid = run.metadata.uid.clone().unwrap_or_default();
        if is_of(read.period, run) || known.contains_key(&uid) {
            known.entry(uid).or_default().run = Some(run);
        }
    }
    for one in known.values_mut() {
        one.calls.sort_by(|(_, one), (_, other)| {
            (one.at, &one.api, &one.request_id).cmp(&(other.at, &other.api, &other.request_id))
        });
    }
    known
}

fn says(read: &Read, known: &BTreeMap<String, Known<'_>>) -> Vec<String> {
    let mut says = Vec::new();
    if read.runs.refused.is_some() && read.logs.is_empty() {
        return says;
    }
    let of = |by: &str| known.values().filter(|one| one.by() == by).count();
    says.push(format!(
        "{} of the period: {} known by object and audit log, {} by object alone, {} by audit log alone.",
        counted(known.len(), "run"),
        of("object and audit log"),
        of("object alone"),
        of("audit log alone")
    ));
    for log in &read.logs {
        let covers = log.covers.map_or_else(
            || "no audit record".to_owned(),
            |(first, last)| format!("audit records from {} to {}", written(first), written(last)),
        );
        says.push(format!(
            "{} (SHA-256 {}) has {}, {covers}; {} of the period. Nothing tells whether lines are missing from it.",
            log.name,
            log.sha256,
            counted(log.lines, "line"),
            counted(log.records, "record")
        ));
    }
    says.push(
        "Inputs and outputs of runs are not told. Who deleted a run is in the audit log of the API server alone."
            .to_owned(),
    );
    says
}

fn item(uid: &str, known: &Known<'_>) -> Item {
    let mut facts = Facts::default();
    facts.put("knownBy", known.by());
    let status = known.run.and_then(|run| run.status.as_ref());
    if let Some(run) = known.run {
        facts.put("workflow", run.spec.workflow_ref.name.clone());
        facts.put("phase", status.and_then(|status| status.phase).unwrap_or_default().as_str());
        facts.some("created", run.metadata.creation_timestamp.as_ref().map(|time| written(time.0)));
    }
    facts.some("requestedBy", known.requester());
    facts.some("approvedBy", status.and_then(|status| status.approved_by.clone()));
    facts.some("session", status.and_then(|status| status.session_name.clone()));
    facts.some("started", status.and_then(|status| status.started_at.as_ref()).map(|time| written(time.0)));
    facts.some("finished", status.and_then(|status| status.finished_at.as_ref()).map(|time| written(time.0)));
    facts.list("attempts", known.attempts().iter().map(attempt));
    facts.list("auditRecords", known.calls.iter().map(|(_, call)| record(call)));
    facts.put("uid", uid);
    Item {
        subject: format!("WorkflowRun {}", known.place()),
        controls: ALL,
        facts: facts.done(),
        read_from: known.read_from(),
    }
}

fn attempt(attempt: &Attempt) -> Value {
    let mut facts = Facts::default();
    facts.put("number", attempt.number);
    facts.put("recordedAt", written(attempt.recorded_at.0));
    facts.put("targetARN", attempt.target_arn.clone());
    facts.put("binding", attempt.trust_binding_name.clone());
    facts.put("inputDigest", attempt.input_digest.clone());
    let cause = match attempt.cause {
        AttemptCause::Run => "the run",
        AttemptCause::Retry => "spec.retry",
        AttemptCause::Asked => "somebody asked for a redrive",
    };
    facts.put("cause", cause);
    facts.some("requestedBy", attempt.requested_by.clone());
    facts.some("approvedBy", attempt.approved_by.clone());
    Value::Object(facts.done())
}

fn record(call: &Call) -> Value {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut facts = Facts::default();
    facts.put("at", written(call.at));
    facts.put("api", call.api.clone());
    facts.put("outcome", call.outcome.clone());
    facts.some("requester", text(&call.requester));
    facts.some("approver", text(&call.approver));
    facts.some("session", text(&call.session_name));
    facts.some("requestID", text(&call.request_id));
    Value::Object(facts.done())
}

/// Runs that were started and of which nobody knows who asked, one finding a Workflow.
fn unproven(known: &BTreeMap<String, Known<'_>>) -> Vec<Finding> {
    let is_begun = |one: &&Known<'_>| !one.attempts().is_empty() || !one.begun().is_empty();
    let is_unknown =
        |one: &&Known<'_>| one.requester().is_none() && one.begun().iter().all(|call| call.requester.is_empty());
    let mut by_workflow: BTreeMap<String, Vec<&Known<'_>>> = BTreeMap::new();
    for one in known.values().filter(is_begun).filter(is_unknown) {
        let workflow = one.run.map(|run| {
            let ObjectMeta { namespace, .. } = &run.metadata;
            format!("Workflow {}/{}", namespace.as_deref().unwrap_or_default(), run.spec.workflow_ref.name)
        });
        by_workflow.entry(workflow.unwrap_or_else(|| "runs whose objects are gone".to_owned())).or_default().push(one);
    }
    let finding = |(subject, mut runs): (String, Vec<&Known<'_>>)| {
        runs.sort_by_key(|one| one.place());
        let first: Vec<String> = runs.iter().take(3).map(|one| one.place()).collect();
        let more = if runs.len() > first.len() { ", …" } else { "" };
        Finding {
            severity: Severity::Warning,
            code: "RequesterUnknown".to_owned(),
            message: format!(
                "{} without a proven requester ({}{more}): the API server stamps who asks from Kubernetes 1.36 on, with the chart's policies installed for a minute",
                counted(runs.len(), "started run"),
                first.join(", ")
            ),
            subject,
            controls: WHO,
            section: ID,
            read_from: runs.iter().take(3).flat_map(|one| one.read_from()).collect(),
        }
    };
    by_workflow.into_iter().map(finding).collect()
}

fn error(
    known: &Known<'_>,
    code: &str,
    message: String,
    controls: &'static [&'static str],
    severity: Severity,
) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        subject: format!("WorkflowRun {}", known.place()),
        message,
        controls,
        section: ID,
        read_from: known.read_from(),
    }
}

/// A requester or approver of the log whom the object does not know.
fn differs(known: &Known<'_>) -> Vec<Finding> {
    let Some(run) = known.run.filter(|_| known.attempts().len() < KEPT) else { return Vec::new() };
    let own = || known.requester().into_iter();
    let requesters: Vec<String> =
        known.attempts().iter().filter_map(|one| one.requested_by.clone()).chain(own()).collect();
    let status = run.status.as_ref();
    let approvers = known.attempts().iter().filter_map(|one| one.approved_by.clone());
    let approvers: Vec<String> = approvers.chain(status.and_then(|status| status.approved_by.clone())).collect();
    let has = |names: &[String], of_log: &str| of_log.is_empty() || names.iter().any(|name| is_cut_of(of_log, name));
    let mut found = Vec::new();
    for call in known.begun() {
        let when = written(call.at);
        if !has(&requesters, &call.requester) {
            let message = format!(
                "the audit log has {:?} as requester of {} at {when}, and the object does not: one of them was changed",
                call.requester, call.api
            );
            found.push(error(known, "RequesterDiffers", message, WHO, Severity::Error));
        }
        if !has(&approvers, &call.approver) {
            let message = format!(
                "the audit log has {:?} as approver of {} at {when}, and the object does not: one of them was changed",
                call.approver, call.api
            );
            found.push(error(known, "ApproverDiffers", message, approvals::ALL, Severity::Error));
        }
    }
    found
}

/// As a record holds a name: cut, and without control characters.
fn is_cut_of(of_log: &str, name: &str) -> bool {
    let plain = name.replace(char::is_control, " ");
    of_log == plain || (plain.len() > CUT && !of_log.is_empty() && of_log.len() > CUT - 4 && plain.starts_with(of_log))
}

/// Attempts that somebody asked for and nobody approved although that is needed; and those that were approved by who asked.
fn unapproved(read: &Read, known: &Known<'_>) -> Vec<Finding> {
    let Some(run) = known.run else { return Vec::new() };
    let namespace = run.metadata.namespace.as_deref().unwrap_or_default();
    let is_its = |one: &&Workflow| {
        one.metadata.namespace == run.metadata.namespace
            && one.metadata.name.as_deref() == Some(&run.spec.workflow_ref.name)
    };
    let workflow = read.workflows.objects.iter().find(is_its);
    let rules = rules::of(read, namespace).unwrap_or_default();
    let needed = needed(workflow, &rules);
    let names: Vec<&String> = rules.iter().map(|rule| &rule.name).collect();
    let guardrails = read.guardrails.objects.iter().filter(|one| {
        one.spec.require_approval && one.metadata.name.as_ref().is_some_and(|name| names.contains(&name))
    });
    let own =
        workflow.filter(|one| one.spec.approval.as_ref().is_some_and(|own| own.required)).map(|one| &one.metadata);
    let since = guardrails.map(|one| &one.metadata).chain(own).map(spec_written).min().unwrap_or(Timestamp::MAX);
    let mut found = Vec::new();
    for attempt in known.attempts().iter().filter(|one| one.cause != AttemptCause::Retry) {
        match (&attempt.approved_by, &needed) {
            (Some(by), _) if attempt.requested_by.as_ref() == Some(by) => {
                let message = format!("attempt {} was approved by {by}, who asked for it", attempt.number);
                found.push(error(known, "SelfApproved", message, approvals::ALL, Severity::Error));
            }
            (None, Some(needed)) => {
                let is_sure = attempt.recorded_at.0 >= since;
                let (severity, more) = if is_sure {
                    (Severity::Error, "")
                } else {
                    (
                        Severity::Warning,
                        "; what asks for it was written later than this, so it may not have been needed then",
                    )
                };
                let message = format!(
                    "attempt {} was started without an approval, which {} asks for{more}",
                    attempt.number, needed.asked_by
                );
                found.push(error(known, "ApprovalMissing", message, approvals::ALL, severity));
            }
            _ => {}
        }
    }
    found
}

/// When something other than a status was last written of an object.
fn spec_written(metadata: &ObjectMeta) -> Timestamp {
    let written = metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|one| one.subresource.is_none())
        .filter_map(|one| one.time.as_ref());
    let created = metadata.creation_timestamp.iter();
    written.chain(created).map(|time| time.0).max().unwrap_or(Timestamp::MAX)
}
