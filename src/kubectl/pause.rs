//! Why a run does not go on, told while somebody waits for it.

use kube::ResourceExt;

use super::approvals::awaited;
use super::table::printable;
use crate::api::v1alpha1::{ExecutionHistoryStatus, WorkflowRun};
use crate::cli::out::say;
use crate::reason::Reason;
use crate::status::{READY, find};

/// What it waits for, as its status has it: nothing of a run that has ended or goes its usual way.
pub(super) fn waits_for(run: &WorkflowRun) -> Option<String> {
    let status = run.status.as_ref()?;
    if status.phase.unwrap_or_default().is_finished() {
        return None;
    }
    let ready = find(&status.conditions, READY).filter(|ready| ready.status != "True")?;
    let is_usual = [Reason::Starting, Reason::Running, Reason::Stopping].into_iter().any(|one| ready.reason == one);
    (!is_usual).then(|| format!("{}: {}", ready.reason, printable(&ready.message)))
}

/// The same of the history of a run. That the run was not started is told by the run, which knows why.
pub(super) fn history_waits_for(status: &ExecutionHistoryStatus) -> Option<String> {
    let ready = find(&status.conditions, READY).filter(|ready| ready.status != "True")?;
    let is_usual = [Reason::HistoryReading, Reason::RunNotStarted].into_iter().any(|one| ready.reason == one);
    (!is_usual).then(|| format!("{}: {}", ready.reason, printable(&ready.message)))
}

/// How somebody lets a run go on that waits for an approval. They have a kubeconfig of their own, and do not act as whoever asks.
pub(super) fn who_decides(run: &WorkflowRun) -> Option<String> {
    awaited(run)?;
    let namespace = run.namespace().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    Some(format!("Somebody else decides it: kubectl sfn approve {}{namespace}, or deny", run.name_any()))
}

/// Tells it, each time it is another.
#[derive(Default)]
pub(super) struct Told(Option<String>);

impl Told {
    /// What a run waits for.
    pub fn look(&mut self, run: &WorkflowRun) {
        if self.tell(&format!("WorkflowRun \"{}\"", run.name_any()), waits_for(run))
            && let Some(how) = who_decides(run)
        {
            say(&how);
        }
    }

    /// On standard error: it is no part of what the verb gives. True where there was something to tell.
    pub fn tell(&mut self, what: &str, why: Option<String>) -> bool {
        let news = why.as_ref().filter(|why| self.0.as_ref() != Some(why));
        if let Some(why) = news {
            say(&format!("{what} waits: {why}"));
        }
        let is_news = news.is_some();
        self.0 = why;
        is_news
    }

    pub fn is_waiting(&self) -> bool {
        self.0.is_some()
    }

    /// What is said of a run to whoever stops waiting.
    pub fn standing(&self, name: &str) -> String {
        standing(name, self.0.as_deref())
    }
}

/// How a run stands that nobody waits for any more.
pub(super) fn standing(name: &str, waits_for: Option<&str>) -> String {
    match waits_for {
        Some(why) => format!("WorkflowRun \"{name}\" still waits: {}", why.trim_end_matches('.')),
        None => format!("WorkflowRun \"{name}\" goes on"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_tells_what_it_waits_for_and_not_its_usual_course() {
        for (phase, status, reason, waits) in [
            ("Pending", "False", "AliasNotFound", Some("AliasNotFound: It\u{fffd}s so.")),
            ("Running", "False", "AccessDenied", Some("AccessDenied: It\u{fffd}s so.")),
            ("Starting", "False", "Starting", None),
            ("Running", "False", "Running", None),
            ("Running", "False", "Stopping", None),
            ("Running", "True", "Synced", None),
            ("Failed", "False", "AliasNotFound", None),
        ] {
            let run: WorkflowRun =
                serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
                "metadata": {"name": "order"}, "spec": {"workflowRef": {"name": "fulfil"}}, "status": {"phase": phase,
                    "conditions": [{"type": "Ready", "status": status, "reason": reason, "message": "It\u{7}s so.",
                        "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
                .unwrap();
            assert_eq!(waits_for(&run).as_deref(), waits, "{phase} {reason}");
            let mut told = Told::default();
            told.look(&run);
            assert_eq!(told.standing("order").contains("still waits"), waits.is_some(), "{phase} {reason}");
        }
    }
}
