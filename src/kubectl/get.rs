//! `kubectl sfn get`

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;

use super::approvals::awaited;
use super::await_run::phase;
use super::cluster::typed;
use super::ended::{next, reason};
use super::flags::Output;
use super::list::duration;
use super::pause::{waits_for, who_decides};
use super::show::{self, print};
use super::table::{Table, printable};
use super::timeline;
use super::words::{paint_phase, since, written};
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{
    Attempt, AttemptCause, ExecutionHistory, OutputStore, Timeline, WorkflowRun, WorkflowRunStatus,
};
use crate::cli::out::{colour, columns, say};
use crate::printable::{indented, json};

/// Flags of `kubectl sfn get`.
#[derive(Debug, Args)]
pub(super) struct GetFlags {
    /// The WorkflowRun
    #[arg(value_name = "RUN")]
    run: String,
    /// How it is printed
    #[arg(short, long)]
    output: Option<Output>,
}

pub(super) async fn run(flags: &GetFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let object = cluster.get::<WorkflowRun>(&flags.run).await?;
    match flags.output {
        Some(Output::Json) => print(&show::json(&show::value(&object)?))?,
        Some(Output::Yaml) => print(&show::yaml(&show::value(&object)?)?)?,
        Some(Output::Name) => print(&format!("{}\n", show::name("WorkflowRun", &object)))?,
        None | Some(Output::Wide) => {
            let run: WorkflowRun = typed(object)?;
            let own = run.status.as_ref().and_then(|status| status.timeline.clone());
            let timeline = match own {
                Some(timeline) => Some(timeline),
                None => followed(&run.name_any(), cluster).await,
            };
            print(&text(&run, timeline.as_ref(), Timestamp::now(), colour()))?;
            if let Some(how) = who_decides(&run) {
                say(&how);
            }
            if let Some(next) = next(&run, Timestamp::now()) {
                say(&format!("Next: {}", cluster.command(&next)));
            }
        }
    }
    Ok(Exit::Done)
}

/// What an ExecutionHistory tells of the run, where there is one and it may be read.
pub(super) async fn followed(run: &str, cluster: &Cluster) -> Option<Timeline> {
    let asked = ListParams::default().fields(&format!("spec.workflowRunRef.name={run}"));
    // Where the kind is not installed or may not be read there is no timeline, and that is all.
    let histories = cluster.api::<ExecutionHistory>().list(&asked).await.ok()?;
    let timelines = histories.items.into_iter().filter_map(|history| history.status?.timeline);
    timelines.max_by_key(|timeline| timeline.observed_event_id)
}

/// All that is known of a run, for people.
fn text(run: &WorkflowRun, timeline: Option<&Timeline>, now: Timestamp, colour: bool) -> String {
    let status = run.status.clone().unwrap_or_default();
    let mut text = facts(run, &status, now, colour);
    if status.attempts.len() > 1 {
        let _ = write!(text, "\nAttempts:\n{}", attempts(&status.attempts));
    }
    if let Some(timeline) = timeline.filter(|timeline| !timeline.visits.is_empty()) {
        let _ = write!(text, "\nTimeline:\n{}", timeline::table(timeline, now, columns()));
    }
    if let Some(cause) = &status.cause {
        let _ = writeln!(text, "\nCause:\n  {}", indented(cause.trim_end()));
    }
    if let Some(output) = output(run, &status) {
        let _ = writeln!(text, "\nOutput:\n  {}", indented(&json(&output)));
    }
    text
}

fn facts(run: &WorkflowRun, status: &WorkflowRunStatus, now: Timestamp, colour: bool) -> String {
    let at = |time: Timestamp| format!("{} ({} ago)", written(time), since(time, now));
    let is_bad = phase(run).is_finished() && !phase(run).is_good();
    let who = status.requested_by.as_deref();
    let attempt = status.attempts.last();
    let stop = status.stop.as_ref().and_then(|stop| stop.requested_by.clone());
    let facts = [
        ("Run", Some(run.name_any())),
        ("Namespace", run.namespace()),
        ("Phase", Some(paint_phase(phase(run), colour))),
        ("Waits", waits_for(run)),
        ("Reason", reason(status).filter(|_| is_bad)),
        ("Workflow", Some(run.spec.workflow_ref.name.clone())),
        ("Version", version(run, attempt)),
        ("Requested by", who.map(str::to_owned)),
        ("Approval", approval(run, now)),
        ("Approved by", status.approved_by.clone()),
        ("Cancelled by", stop),
        ("Cancel reason", run.spec.cancel.as_ref().map(|cancel| cancel.reason.clone()).filter(|why| !why.is_empty())),
        ("Session", status.session_name.clone()),
        ("Created", run.creation_timestamp().map(|time| at(time.0))),
        ("Started", status.started_at.as_ref().map(|time| at(time.0))),
        ("Finished", status.finished_at.as_ref().map(|time| at(time.0))),
        ("Duration", duration(run, now)),
        ("State", status.state.clone()),
        ("Error", status.error.clone()),
        ("Failed state", status.failed_state.clone()),
        ("Execution", status.execution_arn.clone()),
        ("Console", status.console_url.clone()),
    ];
    let line = |(name, value): (&str, Option<String>)| {
        let value = value?;
        // The colour of the phase is ours; everything else is others' text.
        let value = if name == "Phase" { value } else { printable(&value) };
        Some(format!("{:<15}{value}\n", format!("{name}:")))
    };
    facts.into_iter().filter_map(line).collect()
}

/// The Approval that it waits for, or was started by.
fn approval(run: &WorkflowRun, now: Timestamp) -> Option<String> {
    let asked = run.status.as_ref()?.approval.as_ref()?;
    let (name, until) = (&asked.name, asked.expires_at.0);
    if awaited(run).is_none() {
        return Some(name.clone());
    }
    Some(format!("{name}, open for {}, until {}", since(now, until), written(until)))
}

/// What was asked for, and the number of the version that was started.
fn version(run: &WorkflowRun, attempt: Option<&Attempt>) -> Option<String> {
    let started = attempt.and_then(|attempt| started_version(&attempt.target_arn));
    let alias = run.spec.workflow_ref.alias.as_ref().map(|alias| format!("alias {alias}"));
    let asked = run.spec.workflow_ref.version.map(|number| number.to_string());
    match (started, alias) {
        (Some(number), Some(alias)) => Some(format!("{number} ({alias})")),
        (Some(number), None) => Some(number),
        (None, alias) => alias.or(asked),
    }
}

/// The number at the end of a version's ARN, `arn:aws:states:<region>:<account>:stateMachine:<name>:<number>`.
pub(super) fn started_version(arn: &str) -> Option<String> {
    let number = arn.splitn(8, ':').nth(7)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.to_owned())
}

fn attempts(attempts: &[Attempt]) -> String {
    let mut table = Table::new(&["NUMBER", "KIND", "EXECUTION", "REQUESTED BY", "RECORDED", "FINISHED", "ERROR"]);
    for attempt in attempts {
        let kind =
            if attempt.redrive_count > 0 { format!("redrive {}", attempt.redrive_count) } else { "start".into() };
        let who = attempt.requested_by.clone();
        let who = who.or_else(|| (attempt.cause == AttemptCause::Retry).then(|| "spec.retry".to_owned()));
        table.row(vec![
            attempt.number.to_string(),
            kind,
            attempt.execution_name.clone(),
            who.unwrap_or_else(|| "-".into()),
            written(attempt.recorded_at.0),
            attempt.finished_at.as_ref().map(|time| written(time.0)).unwrap_or_default(),
            attempt.error.clone().unwrap_or_default(),
        ]);
    }
    table.fit(columns(), &["EXECUTION", "FINISHED", "REQUESTED BY", "RECORDED"]).text()
}

fn output(run: &WorkflowRun, status: &WorkflowRunStatus) -> Option<String> {
    if let Some(output) = &status.output {
        return Some(format!("{output:#}"));
    }
    let bytes = status.output_bytes?;
    let place = match run.spec.output.store {
        OutputStore::ConfigMap => {
            format!("in ConfigMap {}-output, key output.json", run.name_any())
        }
        _ => "not kept".into(),
    };
    Some(format!("{bytes} bytes, {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn run(status: &Value) -> WorkflowRun {
        serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
            "metadata": {"name": "order", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"workflowRef": {"name": "fulfil", "alias": "live"}}, "status": status}))
        .unwrap()
    }

    #[test]
    fn all_that_is_known_of_a_run_is_told() {
        let arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:3";
        let attempt = |number: i64, redrive: i64, cause: &str| {
            json!({"number": number, "executionName": "e", "targetARN": arn, "trustBindingName": "b", "inputDigest": "d",
                "recordedAt": "2026-01-01T00:00:01Z", "redriveCount": redrive, "cause": cause, "error": "Broken"})
        };
        let run = run(&json!({"phase": "Failed", "attempts": [attempt(1, 0, "Run"), attempt(2, 1, "Retry")],
            "requestedBy": "alice", "sessionName": "alice-1", "startedAt": "2026-01-01T00:00:02Z", "duration": "3s",
            "error": "Bro\u{1b}[2Jken", "cause": "two\nlines\u{7}\nNext: kubectl delete ns shop", "failedState": "Pack", "consoleURL": "https://console"}));
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let timeline = serde_json::from_value(json!({"visits": [{"path": "/States/Pack", "state": "Pack"}]})).unwrap();
        let text = text(&run, Some(&timeline), now, false);
        for line in [
            "Run:           order\nNamespace:     shop\nPhase:         Failed\nWorkflow:      fulfil\nVersion:       3 (alias live)\n",
            "Requested by:  alice\n",
            "Session:       alice-1\n",
            "Started:       2026-01-01T00:00:02Z (4m58s ago)\n",
            "Error:         Bro\u{fffd}[2Jken\n",
            "Console:       https://console\n",
            "\nAttempts:\nNUMBER   KIND        EXECUTION   REQUESTED BY   RECORDED",
            "2        redrive 1   e           spec.retry     2026-01-01T00:00:01Z              Broken\n",
            "\nTimeline:\nSTATE   RESULT",
            "\nCause:\n  two\n  lines\u{fffd}\n  Next: kubectl delete ns shop\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in:\n{text}");
        }
        assert!(super::text(&run, None, now, true).contains("\u{1b}[31mFailed\u{1b}[0m\n"));
    }

    #[test]
    fn a_run_that_was_cancelled_before_its_start_says_so_and_by_whom() {
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let cancelled = run(&json!({"phase": "Aborted",
            "stop": {"intent": "Cancel", "recordedAt": "2026-01-01T00:00:00Z", "requestedBy": "alice"},
            "conditions": [{"type": "Failed", "status": "True", "reason": "Cancelled",
                "message": "The run was cancelled before it started.", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}));
        let text = text(&cancelled, None, now, false);
        assert!(text.contains("Reason:        Cancelled: The run was cancelled before it started.\n"), "{text}");
        assert!(text.contains("Cancelled by:  alice\n"), "{text}");
    }

    #[test]
    fn a_run_that_waits_says_for_what_and_a_large_output_where_it_is() {
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let waiting = run(&json!({"conditions": [{"type": "Ready", "status": "False", "reason": "WorkflowNotFound",
            "message": "There is none.", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}));
        assert!(text(&waiting, None, now, false).contains("Waits:         WorkflowNotFound: There is none.\n"));
        let usual =
            run(&json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "reason": "Running",
            "message": "The execution runs.", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}));
        assert!(!text(&usual, None, now, false).contains("Waits:"));
        let large = run(&json!({"phase": "Succeeded", "outputBytes": 20_000}));
        assert!(text(&large, None, now, false).ends_with("\nOutput:\n  20000 bytes, not kept\n"));
        let small = run(&json!({"phase": "Succeeded", "output": {"a": 1}}));
        assert!(text(&small, None, now, false).ends_with("\nOutput:\n  {\n    \"a\": 1\n  }\n"));
        assert_eq!(started_version("arn:aws:states:eu-west-1:1:stateMachine:a"), None);
    }
}
