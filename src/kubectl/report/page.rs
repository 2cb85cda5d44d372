//! The file. Every value is escaped by the template, and the policy in its head lets nothing run or load.

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::v1alpha1::{Attempt, Phase, Timeline, Visit, VisitResult, WorkflowRun, WorkflowRunStatus};
use crate::kubectl::words::{result, took, written};
use crate::printable::printable_lines;

const STYLE: &str = include_str!("style.css");
/// Width of the picture of a timeline.
const WIDTH: f64 = 1000.0;

/// A drawing of ours, in which everything is escaped, and what is to be said of it.
pub(super) struct Drawn {
    pub drawing: String,
    pub notes: Vec<String>,
}

impl Drawn {
    pub fn none(why: String) -> Self {
        Self { drawing: String::new(), notes: vec![why] }
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    policy: String,
    style: &'static str,
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    workflow: &'a str,
    phase: &'static str,
    class: &'static str,
    took: String,
    failure: Option<Failure>,
    facts: Vec<(&'static str, String)>,
    notes: &'a [String],
    drawing: &'a str,
    visits: Vec<Row>,
    omitted: i64,
    attempts: Vec<[String; 8]>,
    data: Vec<(&'static str, String)>,
    conditions: Vec<[String; 5]>,
    version: &'static str,
    written: String,
}

struct Failure {
    error: String,
    state: String,
    cause: String,
}

/// A visit of a state.
struct Row {
    state: String,
    path: String,
    result: &'static str,
    class: &'static str,
    error: String,
    iterations: String,
    entered: String,
    took: String,
    retries: String,
    /// Where its bar begins and how long it is.
    bar: Option<(String, String)>,
}

/// Writes the file.
pub(super) fn page(
    run: &WorkflowRun,
    namespace: &str,
    drawn: &Drawn,
    with_data: bool,
    now: Timestamp,
) -> Result<String, askama::Error> {
    let nothing = WorkflowRunStatus::default();
    let status = run.status.as_ref().unwrap_or(&nothing);
    let phase = status.phase.unwrap_or_default();
    let timeline = status.timeline.clone().unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let failed = matches!(phase, Phase::Failed | Phase::TimedOut | Phase::Aborted);
    let failure = failed.then(|| Failure {
        error: status.error.clone().unwrap_or_else(|| phase.as_str().to_owned()),
        state: text(&status.failed_state),
        cause: text(&status.cause),
    });
    let condition = |one: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        [
            one.type_.clone(),
            one.status.clone(),
            one.reason.clone(),
            one.message.clone(),
            written(one.last_transition_time.0),
        ]
    };
    Page {
        policy: policy(&drawn.drawing),
        style: STYLE,
        namespace,
        name: run.metadata.name.as_deref().unwrap_or_default(),
        uid: run.metadata.uid.as_deref().unwrap_or_default(),
        workflow: &run.spec.workflow_ref.name,
        phase: phase.as_str(),
        class: class_of(phase),
        took: text(&status.duration),
        failure,
        facts: facts(run, status),
        notes: &drawn.notes,
        drawing: &drawn.drawing,
        visits: rows(&timeline, now),
        omitted: timeline.omitted,
        attempts: status.attempts.iter().map(attempt).collect(),
        data: if with_data { data(run, status) } else { Vec::new() },
        conditions: status.conditions.iter().map(condition).collect(),
        version: env!("CARGO_PKG_VERSION"),
        written: written(now),
    }
    .render()
    .map(|page| printable_lines(&page))
}

/// Nothing is loaded and nothing runs; only the styles that are in the file hold.
fn policy(drawing: &str) -> String {
    let own = drawing.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next());
    let hash = |style: &str| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(style.as_bytes())));
    let hashes: String = std::iter::once(STYLE).chain(own).map(hash).collect();
    format!("default-src 'none'; style-src{hashes}; base-uri 'none'; form-action 'none'")
}

fn class_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Succeeded | Phase::Dispatched => "good",
        Phase::Failed | Phase::TimedOut => "bad",
        Phase::Aborted => "warn",
        Phase::Pending | Phase::Starting | Phase::Running => "run",
    }
}

fn facts(run: &WorkflowRun, status: &WorkflowRunStatus) -> Vec<(&'static str, String)> {
    let time =
        |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| time.as_ref().map(|time| written(time.0));
    let reference = &run.spec.workflow_ref;
    let target = status.attempts.last().map(|attempt| attempt.target_arn.clone());
    let stop = status.stop.as_ref().map(|stop| {
        let who = stop.requested_by.as_ref().map(|who| format!(", asked for by {who}")).unwrap_or_default();
        format!("{:?} at {}{who}", stop.intent, written(stop.recorded_at.0))
    });
    let all = [
        ("Asked for by", status.requested_by.clone().or_else(|| Some("not known".into()))),
        ("Approved by", status.approved_by.clone()),
        ("Approval", approval(status)),
        ("STS session", status.session_name.clone()),
        ("Alias", reference.alias.clone()),
        ("Version", reference.version.map(|version| version.to_string())),
        ("Created", time(&run.metadata.creation_timestamp)),
        ("Started", time(&status.started_at)),
        ("Ended", time(&status.finished_at)),
        ("What ran", target),
        ("Execution", status.execution_arn.clone()),
        ("Console", status.console_url.clone()),
        ("Stopped", stop),
        (
            "Cancelled because",
            run.spec.cancel.as_ref().map(|cancel| cancel.reason.clone()).filter(|why| !why.is_empty()),
        ),
        ("Redrives", status.redrive.as_ref().map(|redrive| redrive.count.to_string())),
        ("SHA-256 of the input", status.attempts.last().map(|attempt| attempt.input_digest.clone())),
        ("SHA-256 of the output", status.output_digest.clone()),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The Approval that it waits for, or was started by.
fn approval(status: &WorkflowRunStatus) -> Option<String> {
    let asked = status.approval.as_ref()?;
    Some(format!("{}, for attempt {}, until {}", asked.name, asked.attempt, written(asked.expires_at.0)))
}

fn attempt(one: &Attempt) -> [String; 8] {
    let started = match one.redrive_count {
        0 => one.target_arn.clone(),
        count => format!("redrive {count} of it"),
    };
    [
        one.number.to_string(),
        one.execution_name.clone(),
        started,
        one.requested_by.clone().unwrap_or_default(),
        one.approved_by.clone().unwrap_or_default(),
        written(one.recorded_at.0),
        one.finished_at.as_ref().map(|time| written(time.0)).unwrap_or_default(),
        one.error.clone().unwrap_or_default(),
    ]
}

fn data(run: &WorkflowRun, status: &WorkflowRunStatus) -> Vec<(&'static str, String)> {
    let pretty = |value: &Value| format!("{value:#}");
    let from = run.spec.input_from.as_ref().map(|from| {
        format!("taken from ConfigMap {}, key {}", from.config_map_key_ref.name, from.config_map_key_ref.key)
    });
    let input = run.spec.input.as_ref().map(pretty).or(from);
    let output = status.output.as_ref().map(pretty).or_else(|| {
        let bytes = status.output_bytes?;
        Some(format!("{bytes} bytes, which are not kept in the object"))
    });
    [("Input", input), ("Output", output)].into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn rows(timeline: &Timeline, now: Timestamp) -> Vec<Row> {
    let entered = |visit: &Visit| visit.entered_at.as_ref().map(|time| time.0);
    let left = |visit: &Visit| {
        visit.exited_at.as_ref().map(|time| time.0).or_else(|| (visit.result == VisitResult::Running).then_some(now))
    };
    let begin = timeline.visits.iter().filter_map(entered).min();
    let end = timeline.visits.iter().filter_map(left).max();
    let row = |visit: &Visit| {
        let (from, to) = (entered(visit), left(visit));
        let (_, word, _) = result(visit.result);
        let error =
            [visit.error.as_deref(), visit.cause.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let iterations = visit.iterations.map(|all| {
            format!("{} of {} succeeded, {} failed, {} running", all.succeeded, all.total, all.failed, all.running)
        });
        Row {
            state: visit.state.clone(),
            path: visit.path.clone(),
            result: word,
            class: match visit.result {
                VisitResult::Running => "run",
                VisitResult::Succeeded => "good",
                VisitResult::Caught | VisitResult::Aborted => "warn",
                VisitResult::Failed | VisitResult::TimedOut => "bad",
            },
            error,
            iterations: iterations.unwrap_or_default(),
            entered: from.map(written).unwrap_or_default(),
            took: from.zip(to).map(|(from, to)| took(to.duration_since(from))).unwrap_or_default(),
            retries: if visit.retries == 0 { String::new() } else { visit.retries.to_string() },
            bar: bar(begin, end, from, to),
        }
    };
    timeline.visits.iter().map(row).collect()
}

/// Beginning and length of a bar on a line from the first entry to the last exit; one that can be seen, however short.
fn bar(
    begin: Option<Timestamp>,
    end: Option<Timestamp>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Option<(String, String)> {
    let (begin, end, from) = (begin?, end?, from?);
    let to = to.unwrap_or(from);
    let whole = end.duration_since(begin).as_secs_f64();
    let at = |length: SignedDuration| {
        if whole > 0.0 { (length.as_secs_f64() / whole * WIDTH).clamp(0.0, WIDTH) } else { 0.0 }
    };
    let start = at(from.duration_since(begin)).min(WIDTH - 4.0);
    let length = (at(to.duration_since(from))).max(4.0).min(WIDTH - start);
    Some((format!("{start:.1}"), format!("{length:.1}")))
}

#[cfg(test)]
mod tests;
