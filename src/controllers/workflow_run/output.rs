//! The ConfigMap `<run>-output`, for runs that want their output there.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource, ResourceExt};

use super::calls;
use super::result::Run;
use crate::api::v1alpha1::{FIELD_MANAGER, RunMode};
use crate::aws::Caller;
use crate::controllers::dereference::output_name;
use crate::controllers::owners::controls;
use crate::controllers::runner::fenced;
use crate::kube::api_failure;
use crate::outcome::Failure;
use crate::reason::Reason;
use crate::status::Truth;

/// How soon it is tried again to store an output that the API server did not take.
pub(super) const OWED_SOON: Duration = Duration::from_secs(30);
/// How often it is tried again to store an output that the operator may not store.
pub(super) const OWED_EVERY: Duration = Duration::from_secs(300);

/// Tries once more to store the output; AWS keeps it for 90 days.
pub(super) async fn store_owed(run: &mut Run<'_>, looks: &Caller) -> Result<(), Failure> {
    let arn = run.known().execution_arn.unwrap_or_default();
    if run.known().log_group_arn.is_some() {
        let message =
            "Step Functions keeps no output of an Express execution, and the log is read once. Create another run.";
        run.output_stored(Some((Truth::False, Reason::Expired, message)));
        return Ok(());
    }
    let shown = calls::describe(run.ctx, looks, &arn).await?;
    if let Some(text) = shown.as_ref().and_then(|shown| shown.output.as_deref()) {
        return store(run, text).await;
    }
    run.output_stored(Some((Truth::False, Reason::Expired, "AWS no longer has the output.")));
    Ok(())
}

/// Keeps the output; a ConfigMap of that name that is not the run's own is left alone. Where the API server does not take it now
/// the output is owed, so that the phase does not wait for it.
///
/// # Errors
/// That it was not taken, where nobody could read the output again.
pub(super) async fn store(run: &mut Run<'_>, text: &str) -> Result<(), Failure> {
    fenced(run.ctx)?;
    let name = output_name(&run.name_any());
    let (truth, reason, message) = match create(run, &name, text).await {
        Ok(told) => told,
        Err(failure) if is_kept_by_aws(run) => {
            let message = format!(
                "ConfigMap \"{name}\" could not be created: {}. It is tried again by itself; AWS keeps the output for 90 days.",
                failure.message.trim_end_matches('.')
            );
            (Truth::Unknown, failure.reason, message)
        }
        Err(failure) => return Err(failure),
    };
    run.output_stored(Some((truth, reason, &message)));
    Ok(())
}

/// AWS describes a Standard execution long after its end, and an Express one never.
fn is_kept_by_aws(run: &Run<'_>) -> bool {
    run.spec.mode == RunMode::Async && run.known().log_group_arn.is_none()
}

async fn create(run: &Run<'_>, name: &str, text: &str) -> Result<(Truth, Reason, String), Failure> {
    let api = Api::<ConfigMap>::namespaced(run.ctx.client.clone(), &run.namespace());
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            owner_references: run.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("output.json".to_owned(), text.to_owned())])),
        ..ConfigMap::default()
    };
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    let stored = || (Truth::True, Reason::Stored, format!("The output is in ConfigMap \"{name}\", key output.json."));
    match api.create(&parameters, &map).await {
        Ok(_) => Ok(stored()),
        Err(error) if is_conflict(&error) => {
            let existing = api.get_opt(name).await.map_err(|error| api_failure(&error))?;
            let existing = existing.ok_or_else(|| api_failure(&error))?;
            // Whoever may write ConfigMaps can name the run as the owner of theirs.
            if controls(&**run, &existing) && existing.data == map.data {
                return Ok(stored());
            }
            let message = format!(
                "ConfigMap \"{name}\" exists and is not this run's output; it was left alone and the output was not stored. Remove it and create another run."
            );
            Ok((Truth::False, Reason::ConfigMapExists, message))
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let kept = if is_kept_by_aws(run) {
                "AWS keeps the output for 90 days"
            } else {
                "of an Express execution AWS keeps no output"
            };
            let message = format!(
                "The operator may not create ConfigMap \"{name}\" ({}): where the right is missing, set outputs.configMaps to true in the chart's values. It is tried again every {} minutes; {kept}.",
                status.message.trim_end_matches('.'),
                OWED_EVERY.as_secs() / 60
            );
            Ok((Truth::False, Reason::Forbidden, message))
        }
        Err(error) => Err(api_failure(&error)),
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
