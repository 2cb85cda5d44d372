//! Which Approval is meant by the name of a run or its own. Whoever approves may not be allowed to see runs, so Approvals alone
//! have to be enough.

use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};

use super::super::approvals::{awaited, past};
use super::super::await_run::phase;
use super::super::cluster::{all, typed};
use super::super::flags::kubectl;
use super::super::kinds::{Kind, Named, name_of};
use super::super::objects::{Shown, see};
use super::super::pause::waits_for;
use super::super::table::printable;
use super::super::{Cluster, KubectlError};
use crate::api::v1alpha1::{Approval, WorkflowRun};
use crate::similar::nearest;

/// An Approval, also as the API has it.
#[derive(Debug)]
pub(super) struct Found {
    pub approval: Approval,
    pub object: DynamicObject,
}

impl Found {
    fn of(object: DynamicObject) -> Result<Self, KubectlError> {
        Ok(Self { approval: typed(object.clone())?, object })
    }

    fn waits(&self) -> bool {
        self.approval.spec.decision.is_none() && self.approval.metadata.deletion_timestamp.is_none()
    }
}

/// The Approval that is meant.
pub(super) async fn find(cluster: &Cluster, text: &str) -> Result<Found, KubectlError> {
    match Named::parse(text).map(|named| named.kind) {
        Some(Kind::Approval) => return Found::of(cluster.get::<Approval>(text).await?),
        Some(Kind::Run) => {
            let name = name_of(Kind::Run, text)?;
            return match newest(of_run(cluster, &name).await?) {
                Some(found) => Ok(found),
                None => Err(nothing_asked(cluster, &name).await),
            };
        }
        _ => {}
    }
    let name = name_of(Kind::Run, text)?;
    let asked = format!("get Approval \"{name}\"");
    let own = cluster.as_they_are::<Approval>().get_opt(&name).await;
    let own = own.map_err(|error| KubectlError::of(&asked, error))?.map(Found::of).transpose()?;
    match chosen(own, newest(of_run(cluster, &name).await?)) {
        Choice::One(found) => Ok(*found),
        Choice::Two(run) => Err(KubectlError::Refused(format!(
            "both a WorkflowRun and an Approval are called \"{name}\", and two Approvals wait: say which is meant. That of the run: run/{name}. That of WorkflowRun \"{run}\": approval/{name}"
        ))),
        Choice::None => Err(nothing_asked(cluster, &name).await),
    }
}

/// What a name may mean.
#[derive(Debug)]
enum Choice {
    One(Box<Found>),
    /// Both wait; the one of that name is of this run.
    Two(String),
    None,
}

/// The one that waits; else that of the run.
fn chosen(own: Option<Found>, of_run: Option<Found>) -> Choice {
    let one = |found: Found| Choice::One(Box::new(found));
    match (own, of_run) {
        (None, None) => Choice::None,
        (Some(found), None) | (None, Some(found)) => one(found),
        (Some(own), Some(of_run)) if own.approval.metadata.uid == of_run.approval.metadata.uid => one(own),
        (Some(own), Some(of_run)) => match (own.waits(), of_run.waits()) {
            (true, true) => Choice::Two(own.approval.spec.request.run_name),
            (true, false) => one(own),
            _ => one(of_run),
        },
    }
}

async fn of_run(cluster: &Cluster, run: &str) -> Result<Vec<Found>, KubectlError> {
    let asked = ListParams::default().fields(&format!("spec.request.runName={run}"));
    let found = all(&cluster.as_they_are::<Approval>(), &asked).await;
    let found =
        found.map_err(|error| KubectlError::of(&format!("list the Approvals of WorkflowRun \"{run}\""), error))?;
    found.into_iter().map(Found::of).collect()
}

/// That of the last attempt.
fn newest(found: Vec<Found>) -> Option<Found> {
    found
        .into_iter()
        .max_by_key(|one| (one.waits(), one.approval.spec.request.attempt, one.approval.creation_timestamp()))
}

/// Why there is none, as far as whoever asks may see the run.
async fn nothing_asked(cluster: &Cluster, name: &str) -> KubectlError {
    let run = match see::<WorkflowRun>(cluster, name).await {
        Ok(Shown::There(run)) => run,
        Ok(Shown::Missing) => return nobody(cluster, name).await,
        Ok(Shown::Hidden(_)) => {
            let list = kubectl(&format!("get approvals -n {}", cluster.namespace));
            return KubectlError::Refused(format!(
                "there is no Approval \"{name}\" and none of a WorkflowRun \"{name}\" in namespace \"{}\". See which there are: {list}",
                cluster.namespace
            ));
        }
        Err(error) => return error,
    };
    let why = match waits_for(&run) {
        _ if awaited(&run).is_some() => {
            "its Approval is gone; the operator asks for another one in a moment. Ask again then".to_owned()
        }
        Some(why) => format!("it waits for something else. {why}"),
        None => format!("it is {}", phase(&run).as_str()),
    };
    let next = cluster.command(&format!("get {name}"));
    KubectlError::Refused(format!("WorkflowRun \"{name}\" asks for no approval: {why}. Next: {next}"))
}

/// There is nothing of the name; perhaps a run of a similar one waits.
async fn nobody(cluster: &Cluster, name: &str) -> KubectlError {
    let listed = cluster.as_they_are::<Approval>().list(&ListParams::default()).await;
    let waits: Vec<String> = listed
        .into_iter()
        .flatten()
        .filter_map(|object| typed::<Approval>(object).ok())
        .filter(|approval| approval.spec.decision.is_none())
        .map(|approval| approval.spec.request.run_name)
        .collect();
    let list = kubectl(&format!("get approvals -n {}", cluster.namespace));
    let next = nearest(name, waits.iter().map(String::as_str)).map_or_else(
        || format!(". See which there are: {list}"),
        |near| format!("; did you mean \"{near}\", which waits?"),
    );
    KubectlError::Refused(format!(
        "there is no WorkflowRun and no Approval \"{name}\" in namespace \"{}\"{next}",
        cluster.namespace
    ))
}

/// What has become of an Approval while it was looked at.
pub(super) async fn meanwhile(cluster: &Cluster, asked: &str, before: &Approval) -> KubectlError {
    let name = before.name_any();
    let again = cluster.command(&format!("approve {}", before.spec.request.run_name));
    let why = match see::<Approval>(cluster, &name).await {
        Ok(Shown::There(now)) if now.metadata.uid != before.metadata.uid => {
            format!("another one was asked for meanwhile, because what would start has changed. Look at it: {again}")
        }
        Ok(Shown::There(now)) => match now.spec.decision {
            Some(by) => format!("{} has {} it meanwhile", printable(&by.by), past(by.verdict)),
            None => format!("it was changed meanwhile. Look at it again: {again}"),
        },
        Ok(Shown::Missing) => format!(
            "it was deleted meanwhile: the run was cancelled, has gone, or would start something else by now. See it: {}",
            cluster.command(&format!("get {}", before.spec.request.run_name))
        ),
        Ok(Shown::Hidden(why)) => why,
        Err(error) => return error,
    };
    KubectlError::Refused(format!("cannot {asked}: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(name: &str, run: &str, attempt: i64, decided: bool) -> Found {
        let request = json!({"runName": run, "runUID": "u", "attempt": attempt, "requester": "alice", "inputDigest": "",
            "targetARN": "", "definitionHash": "", "executionRoleARN": "", "bindingUID": "", "policyRevision": "",
            "expiresAt": "2026-01-02T00:00:00Z", "digest": ""});
        let mut spec = json!({"request": request});
        if decided {
            spec["decision"] = json!({"verdict": "Denied", "digest": "", "by": "bob"});
        }
        let object = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Approval",
            "metadata": {"name": name, "uid": format!("{name} of {run}")}, "spec": spec});
        Found::of(serde_json::from_value(object).unwrap()).unwrap()
    }

    #[test]
    fn of_two_that_a_name_may_mean_the_one_that_waits_is_meant_and_of_two_that_wait_neither() {
        let told = |choice: Choice| match choice {
            Choice::One(found) => found.approval.metadata.uid.unwrap(),
            Choice::Two(run) => format!("two, one of {run}"),
            Choice::None => "none".to_owned(),
        };
        let own = |decided| Some(found("order-1", "order", 1, decided));
        let of_run = |decided| Some(found("order-1-1", "order-1", 1, decided));
        let is_told = |own, of_run, expected| assert_eq!(told(chosen(own, of_run)), expected);
        is_told(None, None, "none");
        is_told(own(false), None, "order-1 of order");
        is_told(None, of_run(true), "order-1-1 of order-1");
        is_told(own(false), of_run(true), "order-1 of order");
        is_told(own(true), of_run(false), "order-1-1 of order-1");
        is_told(own(true), of_run(true), "order-1-1 of order-1");
        is_told(own(false), of_run(false), "two, one of order");
    }

    #[test]
    fn of_several_attempts_the_last_one_that_waits_is_meant() {
        let name = |found: Vec<Found>| newest(found).map(|found| found.approval.name_any());
        assert_eq!(name(vec![]), None);
        let attempts = vec![found("a-2", "a", 2, true), found("a-3", "a", 3, false), found("a-1", "a", 1, true)];
        assert_eq!(name(attempts).as_deref(), Some("a-3"));
        let all_decided = vec![found("a-2", "a", 2, true), found("a-1", "a", 1, true)];
        assert_eq!(name(all_decided).as_deref(), Some("a-2"));
    }
}
