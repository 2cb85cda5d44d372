//! `kubectl sfn list`

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::approvals::awaited;
use super::await_run::phase;
use super::cluster::{all, typed};
use super::flags::{Output, kubectl};
use super::kinds::{Kind, name_of};
use super::show;
use super::table::Table;
use super::target::missing;
use super::words::since;
use super::{Cluster, Exit, KubectlError};
use crate::api::v1alpha1::{Phase, WorkflowRef, WorkflowRun};
use crate::cli::out::{columns, say};
use crate::plan::run_result::for_people;
use crate::reason::Reason;

/// Flags of `kubectl sfn list`.
#[derive(Debug, Args)]
pub(super) struct ListFlags {
    /// Runs of this Workflow alone
    #[arg(value_name = "WORKFLOW")]
    workflow: Option<String>,
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Runs with these labels, such as team=a,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Runs with these fields, such as status.phase=Failed
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// Runs in this phase, in small letters or as the API writes it
    #[arg(long, value_parser = phase_of, value_name = "PHASE")]
    phase: Option<Phase>,
    /// Runs that this user asked for, as the API server knew them
    #[arg(long, value_name = "USER")]
    requested_by: Option<String>,
    /// How they are printed
    #[arg(short, long)]
    output: Option<Output>,
}

fn phase_of(text: &str) -> Result<Phase, String> {
    let found = Phase::ALL.into_iter().find(|phase| phase.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| format!("there are the phases {}", Phase::ALL.map(Phase::as_str).join(", ")))
}

pub(super) async fn run(flags: &ListFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let api = if flags.all_namespaces {
        cluster.as_they_are_everywhere::<WorkflowRun>()
    } else {
        cluster.as_they_are::<WorkflowRun>()
    };
    let asked = asked(flags)?;
    let place =
        if flags.all_namespaces { "all namespaces".into() } else { format!("namespace \"{}\"", cluster.namespace) };
    let mut runs =
        all(&api, &asked).await.map_err(|error| KubectlError::of(&format!("list runs in {place}"), error))?;
    newest_first(&mut runs);
    match flags.output {
        Some(Output::Json) => show::print(&show::json(&show::list(&runs)?))?,
        Some(Output::Yaml) => show::print(&show::yaml(&show::list(&runs)?)?)?,
        _ if runs.is_empty() => {
            say(&none_found(flags, &place));
            note_a_missing_workflow(flags, cluster).await?;
        }
        Some(Output::Name) => {
            let names: Vec<String> = runs.iter().map(|run| show::name("WorkflowRun", run)).collect();
            show::print(&(names.join("\n") + "\n"))?;
        }
        output => {
            let is_wide = output == Some(Output::Wide);
            let table = table(&runs, flags.all_namespaces, is_wide, Timestamp::now());
            // Whoever asks for all gets all.
            let room = if is_wide { usize::MAX } else { columns() };
            show::print(&table.fit(room, &["REQUESTED BY", "DURATION", "WORKFLOW", "AGE"]).text())?;
            note_what_waits_for_an_approval(flags, &runs, cluster);
        }
    }
    Ok(Exit::Done)
}

/// The API server tells them by name, and its times have no fractions of a second.
pub(super) fn newest_first(runs: &mut [DynamicObject]) {
    runs.sort_by_key(|run| (std::cmp::Reverse(run.creation_timestamp()), run.namespace(), run.name_any()));
}

fn asked(flags: &ListFlags) -> Result<ListParams, KubectlError> {
    let mut fields = Vec::new();
    if let Some(workflow) = &flags.workflow {
        fields.push(format!("spec.workflowRef.name={}", name_of(Kind::Workflow, workflow)?));
    }
    if let Some(phase) = flags.phase {
        fields.push(format!("status.phase={}", phase.as_str()));
    }
    if let Some(user) = &flags.requested_by {
        fields.push(format!("status.requestedBy={}", escaped(user)));
    }
    fields.extend(flags.field_selector.clone());
    let asked = ListParams { label_selector: flags.selector.clone(), ..ListParams::default() };
    Ok(if fields.is_empty() { asked } else { asked.fields(&fields.join(",")) })
}

/// A value in a selector of fields, where these three have a meaning.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=")
}

fn none_found(flags: &ListFlags, place: &str) -> String {
    let is_narrowed =
        [&flags.workflow, &flags.selector, &flags.field_selector, &flags.requested_by].iter().any(|one| one.is_some());
    let such = if is_narrowed || flags.phase.is_some() { "such " } else { "" };
    format!("No {such}runs found in {place}.")
}

/// A name that was mistyped has no runs either.
async fn note_a_missing_workflow(flags: &ListFlags, cluster: &Cluster) -> Result<(), KubectlError> {
    let Some(workflow) = flags.workflow.as_ref().filter(|_| !flags.all_namespaces) else { return Ok(()) };
    let wanted = WorkflowRef { name: name_of(Kind::Workflow, workflow)?, alias: None, version: None };
    // Whoever may list runs and ask nothing else has their answer.
    if let Ok(Some(why)) = missing(cluster, &wanted).await {
        say(&format!("note: {why}"));
    }
    Ok(())
}

/// Tells whoever may approve what there is to decide.
fn note_what_waits_for_an_approval(flags: &ListFlags, runs: &[DynamicObject], cluster: &Cluster) {
    let waits: Vec<String> = runs
        .iter()
        .filter_map(|run| typed::<WorkflowRun>(run.clone()).ok())
        .filter(|run| awaited(run).is_some())
        .map(|run| run.name_any())
        .collect();
    let Some(first) = waits.first() else { return };
    let what = match waits.len() {
        1 => format!("WorkflowRun \"{first}\" waits"),
        many => format!("{many} of these runs wait"),
    };
    let how = if flags.all_namespaces {
        kubectl("sfn approve NAME -n NAMESPACE")
    } else {
        cluster.command(&format!("approve {}", if waits.len() == 1 { first } else { "NAME" }))
    };
    say(&format!("{what} for an approval. To decide: {how}"));
}

fn table(objects: &[DynamicObject], all_namespaces: bool, is_wide: bool, now: Timestamp) -> Table {
    let mut columns = vec!["NAME", "WORKFLOW", "PHASE", "REQUESTED BY", "DURATION", "AGE"];
    if all_namespaces {
        columns.insert(0, "NAMESPACE");
    }
    if is_wide {
        columns.extend(["STATE", "ATTEMPTS", "EXECUTION"]);
    }
    let mut table = Table::new(&columns);
    for object in objects {
        // One run that another version wrote hides none of the others.
        let cells = match typed::<WorkflowRun>(object.clone()) {
            Ok(run) => Cells::of(&run, now),
            Err(why) => {
                say(&format!("note: WorkflowRun \"{}\": {why}", object.name_any()));
                Cells::as_far_as_read(object)
            }
        };
        table.row(cells.row(object, all_namespaces, is_wide, now));
    }
    table
}

/// What the table tells of a run, beside its name and age.
struct Cells {
    workflow: Option<String>,
    phase: Option<String>,
    requested_by: Option<String>,
    duration: Option<String>,
    state: Option<String>,
    attempts: Option<String>,
    execution: Option<String>,
}

impl Cells {
    fn of(run: &WorkflowRun, now: Timestamp) -> Self {
        let status = run.status.clone().unwrap_or_default();
        Self {
            workflow: Some(run.spec.workflow_ref.name.clone()),
            phase: Some(phase(run).as_str().to_owned()),
            requested_by: status.requested_by,
            duration: duration(run, now),
            state: awaited(run).map(|_| Reason::WaitingForApproval.as_str().to_owned()).or(status.state),
            attempts: status.attempts.last().map(|attempt| attempt.number.to_string()),
            execution: status.execution_arn,
        }
    }

    fn as_far_as_read(object: &DynamicObject) -> Self {
        let text = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            workflow: text("/spec/workflowRef/name"),
            phase: text("/status/phase"),
            requested_by: text("/status/requestedBy"),
            duration: text("/status/duration"),
            state: text("/status/state"),
            attempts: None,
            execution: text("/status/executionARN"),
        }
    }

    fn row(self, object: &DynamicObject, all_namespaces: bool, is_wide: bool, now: Timestamp) -> Vec<String> {
        let age = object.creation_timestamp().map(|time| since(time.0, now));
        let mut cells = vec![self.workflow, self.phase, self.requested_by, self.duration, age];
        if is_wide {
            cells.extend([self.state, self.attempts, self.execution]);
        }
        let told = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into());
        let names =
            all_namespaces.then(|| object.namespace().unwrap_or_default()).into_iter().chain([object.name_any()]);
        names.chain(cells.into_iter().map(told)).collect()
    }
}

/// How long it ran, or has run so far, in the words of a status that has its end.
pub(super) fn duration(run: &WorkflowRun, now: Timestamp) -> Option<String> {
    let status = run.status.as_ref()?;
    let so_far = || status.started_at.as_ref().map(|started| for_people(now.duration_since(started.0).as_millis()));
    status.duration.clone().or_else(|| if phase(run) == Phase::Running { so_far() } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_tells_who_asked_and_how_long_it_took_and_of_what_it_does_not_know() {
        let run = |name: &str, status: serde_json::Value| -> DynamicObject {
            serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"workflowRef": {"name": "fulfil"}, "fromTomorrow": true}, "status": status}))
            .unwrap()
        };
        let now: Timestamp = "2026-01-01T00:05:00Z".parse().unwrap();
        let runs = || {
            vec![
                run("b", json!({"phase": "Running", "startedAt": "2026-01-01T00:01:00Z", "state": "Pack"})),
                run(
                    "a",
                    json!({"phase": "Failed", "duration": "1m2s", "requestedBy": "ali\u{7}ce", "executionARN": "arn"}),
                ),
                run("new", json!({"observedGeneration": -1})),
            ]
        };
        assert_eq!(
            table(&runs(), false, false, now).text(),
            "NAME   WORKFLOW   PHASE     REQUESTED BY   DURATION   AGE
b      fulfil     Running   -              4m0s       5m
a      fulfil     Failed    ali\u{fffd}ce         1m2s       5m
new    fulfil     Pending   -              -          5m
"
        );
        let wide = table(&runs(), true, true, now).text();
        assert!(
            wide.starts_with("NAMESPACE   NAME   WORKFLOW") && wide.contains("Pack") && wide.contains("arn"),
            "{wide}"
        );
    }

    #[test]
    fn what_is_asked_for_is_selected_by_the_api_server() {
        let flags = ListFlags {
            workflow: Some("sfn/fulfil".into()),
            all_namespaces: false,
            selector: Some("team=a".into()),
            field_selector: Some("metadata.name!=b".into()),
            phase: Some(Phase::TimedOut),
            requested_by: Some("CN=alice,O=a".into()),
            output: None,
        };
        let asked = asked(&flags).unwrap();
        assert_eq!(asked.label_selector.as_deref(), Some("team=a"));
        assert_eq!(
            asked.field_selector.as_deref(),
            Some(
                r"spec.workflowRef.name=fulfil,status.phase=TimedOut,status.requestedBy=CN\=alice\,O\=a,metadata.name!=b"
            )
        );
    }

    #[test]
    fn a_run_that_cannot_be_read_hides_no_other() {
        let run = |name: &str, spec: Value| -> DynamicObject {
            serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"name": name}, "spec": spec, "status": {"phase": "Failed", "requestedBy": "alice"}}))
            .unwrap()
        };
        let reference = json!({"name": "fulfil"});
        let runs = vec![
            run("new", json!({"workflowRef": reference, "mode": "FromTomorrow"})),
            run("bare", json!({"workflowRef": 3})),
            run("old", json!({"workflowRef": reference})),
        ];
        assert_eq!(
            table(&runs, false, false, Timestamp::now()).text(),
            "NAME   WORKFLOW   PHASE    REQUESTED BY   DURATION   AGE
new    fulfil     Failed   alice          -          -
bare   -          Failed   alice          -          -
old    fulfil     Failed   alice          -          -
"
        );
    }

    #[test]
    fn a_phase_is_taken_in_small_letters() {
        assert_eq!(phase_of("timedout"), Ok(Phase::TimedOut));
        assert!(phase_of("done").unwrap_err().contains("Succeeded"));
    }
}
