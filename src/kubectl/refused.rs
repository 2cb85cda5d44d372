//! That the operator has refused a redrive which was asked for, and why.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::ListParams;
use tokio::time::sleep;

use super::flags::kubectl;
use super::table::printable;
use super::{Cluster, KubectlError};
use crate::api::v1alpha1::WorkflowRun;
use crate::reason::Reason;

/// The clocks of those who ask and of those who answer are taken to differ by no more.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(30);
/// How often, and after which pause, the operator's answer is looked for.
const TRIES: usize = 6;
const PAUSE: Duration = Duration::from_millis(500);

/// Fails where the run stands as before it was asked to be redriven: the operator has refused.
pub(super) async fn check(
    run: &WorkflowRun,
    before: Option<&WorkflowRun>,
    cluster: &Cluster,
) -> Result<(), KubectlError> {
    if before.is_none_or(|before| attempt(before) != attempt(run)) {
        return Ok(());
    }
    let name = run.name_any();
    let retry = cluster.command(&format!("retry {name}"));
    let why = match said(run, cluster).await {
        Some(why) => again(&why, &retry),
        None => format!("see its event: {}", kubectl(&format!("describe workflowrun {name} -n {}", cluster.namespace))),
    };
    Err(KubectlError::Refused(format!("WorkflowRun \"{name}\" was not redriven, the operator refused: {why}")))
}

/// The number of what was started last.
fn attempt(run: &WorkflowRun) -> Option<i64> {
    Some(run.status.as_ref()?.attempts.last()?.number)
}

/// The operator's answer to what was asked, as far as its events may be read. It is written after the status.
async fn said(run: &WorkflowRun, cluster: &Cluster) -> Option<String> {
    let asked: Option<Timestamp> = run.redrive_asked().and_then(|asked| asked.parse().ok());
    let since = asked.and_then(|asked| asked.checked_sub(CLOCKS_DIFFER).ok());
    let reason = Reason::RedriveRefused.as_str();
    let of_run = ListParams::default().fields(&format!("involvedObject.name={},reason={reason}", run.name_any()));
    for _ in 0..TRIES {
        let events = cluster.api::<Event>().list(&of_run).await.ok()?.items;
        let time = |event: &Event| event.event_time.as_ref().map(|time| time.0);
        let answers = events.into_iter().filter(|event| time(event) >= since);
        if let Some(answer) = answers.max_by_key(time).and_then(|event| event.message) {
            return Some(printable(&answer));
        }
        sleep(PAUSE).await;
    }
    None
}

/// The operator's words, with the command where they say to create another run.
pub(super) fn again(why: &str, retry: &str) -> String {
    match why.strip_suffix("Create another run.") {
        Some(before) => format!("{before}Create another run: {retry}"),
        None => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_to_create_another_run_names_the_command() {
        assert_eq!(
            again("No. Create another run.", "kubectl sfn retry a"),
            "No. Create another run: kubectl sfn retry a"
        );
        assert_eq!(again("Redrive it in AWS.", "kubectl sfn retry a"), "Redrive it in AWS.");
    }
}
