//! The end of a TrustBinding, once nothing uses it.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::api::v1alpha1::{Activity, Phase, TrustBinding, Workflow, WorkflowRun};
use crate::controllers::runner::{Done, Work};
use crate::controllers::{Context, Needed};
use crate::kube::api_failure;
use crate::outcome::{Failure, Requeue};
use crate::reason::Reason;

/// How often runs are looked for that still use a binding which is to go.
const LOOKS_FOR_USERS_EVERY: Duration = Duration::from_secs(2);

/// A binding stays while a Workflow names it, which needs it to delete its state machine, and while a run that was
/// started as it is not over.
pub(super) async fn delete(work: &mut Work<TrustBinding>, ctx: &Context) -> Result<Done, Failure> {
    let users = users(work, ctx).await?;
    if users.is_empty() {
        ctx.sessions.forget(&work.namespace(), &work.object.name_any());
        ctx.tracker.listen(&work.namespace(), &work.object.name_any(), None);
        return Ok(Done::released());
    }
    // The end of what uses it wakes it; runs that end are looked for.
    let names = users.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    work.conditions(|conditions| {
        conditions.progressing(Reason::InUse, &format!("Waits for what still uses it: {names}."));
    });
    Ok(Done::again(Requeue::After(LOOKS_FOR_USERS_EVERY)))
}

/// What still uses a binding that is to go. What the watches show is enough to wait; before it goes the API server is asked.
async fn users(work: &Work<TrustBinding>, ctx: &Context) -> Result<Vec<String>, Failure> {
    let (namespace, name) = (work.namespace(), work.object.name_any());
    if let Some(watches) = ctx.watches.of(&namespace) {
        let needed = Needed::TrustBinding(name.clone());
        let workflows =
            watches.workflows.who_needs(&namespace, &needed).into_iter().map(|one| format!("Workflow {one}"));
        let activities = watches.activities.who_needs(&namespace, &needed);
        let users: Vec<String> = workflows.chain(activities.iter().map(|one| format!("Activity {one}"))).collect();
        if !users.is_empty() {
            return Ok(users);
        }
    }
    let selector = ListParams::default().fields(&format!("spec.trustBindingRef.name={name}"));
    let workflows = Api::<Workflow>::namespaced(ctx.client.clone(), &namespace).list_metadata(&selector).await;
    let workflows = workflows.map_err(|error| api_failure(&error))?;
    let mut users: Vec<String> = workflows.iter().map(|workflow| format!("Workflow {}", workflow.name_any())).collect();
    let activities = Api::<Activity>::namespaced(ctx.client.clone(), &namespace).list_metadata(&selector).await;
    let activities = activities.map_err(|error| api_failure(&error))?;
    users.extend(activities.iter().map(|activity| format!("Activity {}", activity.name_any())));
    let runs = Api::<WorkflowRun>::namespaced(ctx.client.clone(), &namespace);
    // One that waits for its next attempt is pending too.
    for phase in [Phase::Pending, Phase::Starting, Phase::Running] {
        let selector = ListParams::default().fields(&format!("status.phase={}", phase.as_str()));
        let listed = runs.list(&selector).await.map_err(|error| api_failure(&error))?;
        let own = listed.iter().filter(|run| {
            let attempts = run.status.iter().flat_map(|status| &status.attempts);
            attempts.last().is_some_and(|attempt| attempt.trust_binding_name == name)
        });
        users.extend(own.map(|run| format!("WorkflowRun {}", run.name_any())));
    }
    Ok(users)
}
