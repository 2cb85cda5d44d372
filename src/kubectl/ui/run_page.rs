//! One run: what it did, where and why it failed, who asked.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::frame::Frame;
use super::gantt::Gantt;
use super::site::{Site, answer};
use super::store::Kind;
use super::told::{Mark, Told, When, took};
use super::{approval, kept, machine, problem};
use crate::api::v1alpha1::{
    Attempt, AttemptCause, ExecutionHistory, Timeline, Workflow, WorkflowRun, WorkflowRunStatus, is_object_name,
};
use crate::graph::History;
use crate::kubectl::KubectlError;

/// Characters of an input or output that a page shows.
const SHOWN: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "ui/run.html")]
struct RunPage {
    frame: Frame,
    namespace: String,
    name: String,
    workflow: String,
    mark: Mark,
    live: bool,
    facts: Vec<(&'static str, String)>,
    started: Option<When>,
    finished: Option<When>,
    console: Option<String>,
    failure: Option<Failure>,
    waits: Option<(String, String)>,
    approval: Option<approval::Waits>,
    stop: Option<String>,
    drawing: Option<String>,
    /// Of which version the drawing is, where that is not the run's, or why there is none.
    drawing_note: Option<String>,
    gantt: Gantt,
    timeline_of: String,
    history: HistoryNote,
    attempts: Vec<AttemptRow>,
    input: Payload,
    output: Payload,
    conditions: Vec<Told>,
    may_cancel: bool,
    may_redrive: bool,
}

/// Where a run failed and how.
struct Failure {
    state: Option<String>,
    error: String,
    cause: Option<String>,
}

/// What is known of the run's history, or how to get it.
struct HistoryNote {
    said: String,
    may_follow: bool,
    command: String,
}

struct AttemptRow {
    number: i64,
    what: String,
    version: String,
    execution: String,
    by: String,
    recorded: When,
    finished: Option<When>,
    error: Option<String>,
}

/// What went in or came out.
#[derive(Default)]
struct Payload {
    text: Option<String>,
    /// Why there is none, or not all of it.
    note: Option<String>,
}

pub(super) async fn show(State(site): State<Arc<Site>>, Path((namespace, name)): Path<(String, String)>) -> Response {
    if !is_object_name(&namespace) || !is_object_name(&name) {
        return problem::nowhere(&site);
    }
    let frame = Frame::new(&site, &name, "runs", &[Kind::Runs]).of_one(Kind::Runs, &namespace, &name);
    let runs: Api<WorkflowRun> = Api::namespaced(site.cluster.client.clone(), &namespace);
    match runs.get(&name).await {
        Ok(run) => answer(StatusCode::OK, &page(&site, frame, namespace, name, run).await),
        Err(error) => {
            problem::refused(&site, "runs", &format!("get run \"{name}\" in namespace \"{namespace}\""), error)
        }
    }
}

async fn page(site: &Site, frame: Frame, namespace: String, name: String, run: WorkflowRun) -> RunPage {
    let now = Timestamp::now();
    let status = run.status.clone().unwrap_or_default();
    let phase = status.phase.unwrap_or_default();
    let (followed, history) = history(site, &namespace, &name, phase.is_finished()).await;
    let (timeline, timeline_of) = match (followed, status.timeline.clone()) {
        // The one that knows more events.
        (Some(live), Some(last)) if last.observed_event_id > live.observed_event_id => (Some(last), "the run's status"),
        (Some(live), _) => (Some(live), "its ExecutionHistory"),
        (None, last) => (last, "the run's status"),
    };
    let workflow = run.spec.workflow_ref.name.clone();
    let (drawing, drawing_note) = match picture(site, &namespace, &run, timeline.as_ref()).await {
        Ok((drawing, note)) => (Some(drawing), note),
        Err(why) => (None, Some(why)),
    };
    let approval = approval::of(site, &namespace, &run, now).await;
    let ready = crate::status::find(&status.conditions, "Ready");
    let waits = ready.filter(|ready| !phase.is_finished() && ready.status == "False");
    RunPage {
        namespace,
        name,
        workflow,
        mark: Mark::phase(phase),
        live: !phase.is_finished(),
        facts: facts(&run, &status, now),
        started: status.started_at.as_ref().map(|time| When::of(time.0, now)),
        finished: status.finished_at.as_ref().map(|time| When::of(time.0, now)),
        console: status.console_url.clone().filter(|url| url.starts_with("https://")),
        failure: failure(&status),
        waits: waits.map(|ready| (ready.reason.clone(), ready.message.clone())),
        approval,
        stop: stop(&run, &status),
        drawing,
        drawing_note,
        gantt: timeline.as_ref().map(|timeline| Gantt::of(timeline, now)).unwrap_or_default(),
        timeline_of: timeline_of.to_owned(),
        history,
        attempts: status.attempts.iter().rev().map(|attempt| attempt_row(attempt, now)).collect(),
        input: input(&run),
        output: output(&status),
        conditions: status.conditions.iter().map(Told::of).collect(),
        may_cancel: !frame.form.is_empty() && !phase.is_finished() && run.spec.cancel.is_none(),
        may_redrive: !frame.form.is_empty() && phase.is_finished() && !phase.is_good() && !status.attempts.is_empty(),
        frame,
    }
}

fn facts(run: &WorkflowRun, status: &WorkflowRunStatus, now: Timestamp) -> Vec<(&'static str, String)> {
    let going = || {
        let started = status.started_at.as_ref()?;
        status.finished_at.is_none().then(|| took(now.duration_since(started.0)))
    };
    let ran = status.ran_milliseconds.filter(|_| status.finished_at.is_some());
    let ran = ran.map(|length| took(SignedDuration::from_millis(length)));
    let reference = &run.spec.workflow_ref;
    let which = reference.alias.as_ref().map(|alias| format!("alias {alias}"));
    let asked = which.or_else(|| reference.version.map(|version| format!("version {version}")));
    let version = status.attempts.last().and_then(|attempt| kept::version(&attempt.target_arn));
    [
        ("Took", ran.or_else(going)),
        ("Asked by", status.requested_by.clone()),
        ("Approved by", status.approved_by.clone()),
        ("Session", status.session_name.clone()),
        ("Runs", version.map(|version| format!("version {version}"))),
        ("Asked for", asked),
        ("State", status.state.clone().filter(|_| status.finished_at.is_none())),
        ("Progress", status.progress_percent.map(|percent| format!("{percent} % of the items"))),
        ("Execution", status.execution_arn.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name, value)))
    .collect()
}

fn failure(status: &WorkflowRunStatus) -> Option<Failure> {
    let ready = crate::status::find(&status.conditions, "Ready").filter(|ready| ready.status == "False");
    let is_bad = status.phase.is_some_and(|phase| phase.is_finished() && !phase.is_good());
    // What was never started has no error of AWS.
    let error = status.error.clone().or_else(|| ready.map(|ready| ready.reason.clone()).filter(|_| is_bad))?;
    let cause = status.cause.clone().or_else(|| ready.map(|ready| ready.message.clone()));
    Some(Failure { state: status.failed_state.clone(), error, cause })
}

fn stop(run: &WorkflowRun, status: &WorkflowRunStatus) -> Option<String> {
    let by = status.stop.as_ref().and_then(|stop| stop.requested_by.as_ref());
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    match (&run.spec.cancel, &status.stop) {
        (Some(cancel), _) if cancel.reason.is_empty() => Some(format!("Cancelled{by}.")),
        (Some(cancel), _) => Some(format!("Cancelled{by}: {}", cancel.reason)),
        (None, Some(_)) => Some("Stopped: spec.timeout has passed.".to_owned()),
        (None, None) => None,
    }
}

fn attempt_row(attempt: &Attempt, now: Timestamp) -> AttemptRow {
    let what = match (attempt.cause, attempt.redrive_count) {
        (AttemptCause::Run, _) => "Start".to_owned(),
        (_, 0) => "Started again".to_owned(),
        (AttemptCause::Retry, count) => format!("Redrive {count}, by spec.retry"),
        (AttemptCause::Asked, count) => format!("Redrive {count}, asked for"),
    };
    AttemptRow {
        number: attempt.number,
        what,
        version: kept::version(&attempt.target_arn).map_or_else(|| "–".to_owned(), |version| version.to_string()),
        execution: attempt.execution_name.clone(),
        by: attempt.requested_by.clone().unwrap_or_else(|| "–".to_owned()),
        recorded: When::of(attempt.recorded_at.0, now),
        finished: attempt.finished_at.as_ref().map(|time| When::of(time.0, now)),
        error: attempt.error.clone(),
    }
}

fn input(run: &WorkflowRun) -> Payload {
    match (&run.spec.input, &run.spec.input_from) {
        (Some(input), _) => payload(input),
        (None, Some(from)) => {
            let from = &from.config_map_key_ref;
            let note = format!("It stands in ConfigMap \"{}\", key \"{}\".", from.name, from.key);
            Payload { text: None, note: Some(note) }
        }
        (None, None) => Payload { text: Some("{}".to_owned()), note: None },
    }
}

fn output(status: &WorkflowRunStatus) -> Payload {
    match (&status.output, status.output_bytes) {
        (Some(output), _) => payload(output),
        (None, Some(bytes)) => {
            Payload { text: None, note: Some(format!("{bytes} bytes that are not kept in the status.")) }
        }
        (None, None) => Payload { text: None, note: Some("None yet, or none at all.".to_owned()) },
    }
}

fn payload(value: &Value) -> Payload {
    let whole = serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string());
    let shown: String = whole.chars().take(SHOWN).collect();
    let note = (shown.len() < whole.len()).then(|| format!("Cut: all of it are {} bytes.", whole.len()));
    Payload { text: Some(shown), note }
}

/// The Workflow's drawing, coloured by what the run did.
/// The drawing, and what is to be said of it.
async fn picture(
    site: &Site,
    namespace: &str,
    run: &WorkflowRun,
    timeline: Option<&Timeline>,
) -> Result<(String, Option<String>), String> {
    let name = run.spec.workflow_ref.name.as_str();
    let workflows: Api<Workflow> = Api::namespaced(site.cluster.client.clone(), namespace);
    let found = workflows.get(name).await;
    let workflow = found.map_err(|error| KubectlError::of(&format!("get Workflow \"{name}\""), error).to_string())?;
    let note = another_version(run, &workflow)?;
    let (definition, _) = crate::kubectl::machine::definition(&site.cluster, namespace, &workflow).await?;
    let history = timeline.map(History::of_timeline);
    machine::drawing(&definition, &format!("What the run did in Workflow {name}"), history.as_ref())
        .map(|drawing| (drawing, note))
        .ok_or_else(|| "The definition has no state that can be drawn.".to_owned())
}

/// The cluster has the newest definition alone: said where the run is known to be of another. What has not started is not drawn
/// then, for there is nothing to see but what it will not do.
fn another_version(run: &WorkflowRun, workflow: &Workflow) -> Result<Option<String>, String> {
    let status = workflow.status.clone().unwrap_or_default();
    let Some(newest) = status.latest_version.map(|latest| latest.number) else { return Ok(None) };
    let attempts = run.status.as_ref().map(|status| status.attempts.as_slice()).unwrap_or_default();
    if let Some(attempt) = attempts.last() {
        let ran = kept::version(&attempt.target_arn).map(|version| version.to_string());
        let other = ran.filter(|ran| *ran != newest.to_string());
        return Ok(other.map(|ran| format!("The run is of version {ran}; the drawing is of version {newest}.")));
    }
    let reference = &run.spec.workflow_ref;
    let asked = match (&reference.alias, reference.version) {
        (_, Some(version)) if version != newest => format!("version {version}"),
        (Some(alias), _) => {
            let routes = status.aliases.iter().find(|one| one.name == *alias).map(|one| one.routes.as_slice());
            let is_newest = routes.is_some_and(|routes| routes.iter().all(|route| route.version == newest));
            if is_newest {
                return Ok(None);
            }
            format!("alias {alias}")
        }
        _ => return Ok(None),
    };
    Err(format!(
        "The run asks for {asked}, and has not started; the cluster has the definition of version {newest} alone."
    ))
}

/// The newest timeline of the run's histories, and what is said of them.
async fn history(site: &Site, namespace: &str, run: &str, over: bool) -> (Option<Timeline>, HistoryNote) {
    let histories: Api<ExecutionHistory> = Api::namespaced(site.cluster.client.clone(), namespace);
    let asked = ListParams::default().fields(&format!("spec.workflowRunRef.name={run}"));
    let follow = if over { "" } else { " --follow" };
    let command = format!("kubectl sfn logs {run} --namespace {namespace}{follow}");
    let acts = site.door.form_token().is_some();
    let note = |said: String, may_follow| HistoryNote { said, may_follow: may_follow && acts, command };
    let mut found = match histories.list(&asked).await {
        Ok(found) => found.items,
        Err(error) => return (None, note(KubectlError::of("list ExecutionHistories", error).to_string(), false)),
    };
    found.sort_by_key(|one| {
        one.status.as_ref().and_then(|status| status.timeline.as_ref()).map(|all| all.observed_event_id)
    });
    let Some(newest) = found.pop() else {
        return (None, note("Nobody has asked for the history of this run.".to_owned(), true));
    };
    let status = newest.status.clone().unwrap_or_default();
    let said = format!("ExecutionHistory \"{}\": {}.", newest.name_any(), kept::reading(&status).trim_end_matches('.'));
    (status.timeline, note(said, false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_definition_of_another_version_is_not_drawn_as_that_of_the_run() {
        let machine = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil";
        let route = |version: i64| json!({"name": "live", "ARN": "arn", "phase": "Stable", "routes": [{"version": version, "weight": 100}]});
        let workflow = |version: i64| -> Workflow {
            serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "fulfil"},
                "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/x"},
                "status": {"latestVersion": {"ARN": format!("{machine}:4"), "number": 4}, "aliases": [route(version)]}}))
            .unwrap()
        };
        let run = |reference: &Value, started: Option<i64>| -> WorkflowRun {
            let attempts = started.map(|version| {
                json!([{"number": 1, "executionName": "a", "targetARN": format!("{machine}:{version}"),
                "trustBindingName": "orders", "inputDigest": "d", "recordedAt": "2026-01-01T00:00:00Z"}])
            });
            serde_json::from_value(
                json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "order"},
                "spec": {"workflowRef": reference}, "status": {"attempts": attempts.unwrap_or_else(|| json!([]))}}),
            )
            .unwrap()
        };
        let plain = json!({"name": "fulfil"});
        let (live, other) = (json!({"name": "fulfil", "alias": "live"}), json!({"name": "fulfil", "alias": "none"}));
        let third = json!({"name": "fulfil", "version": 3});
        let said = |run: &WorkflowRun, version: i64| another_version(run, &workflow(version));
        assert_eq!(said(&run(&plain, None), 4), Ok(None));
        assert_eq!(said(&run(&plain, Some(4)), 4), Ok(None));
        assert!(said(&run(&plain, Some(3)), 4).unwrap().unwrap().contains("of version 3; the drawing is of version 4"));
        assert_eq!(said(&run(&live, None), 4), Ok(None));
        for (reference, version, asked) in
            [(&live, 3, "alias live"), (&other, 4, "alias none"), (&third, 4, "version 3")]
        {
            let why = said(&run(reference, None), version).unwrap_err();
            assert!(why.contains(asked) && why.contains("has not started"), "{why}");
        }
    }
}
