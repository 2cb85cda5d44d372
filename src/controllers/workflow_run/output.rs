//! The ConfigMap `<run>-output`, for runs that want their output there.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource, ResourceExt};

use super::calls;
use super::result::Run;
use crate::api::v1alpha1::FIELD_MANAGER;
use crate::aws::Caller;
use crate::controllers::dereference::output_name;
use crate::controllers::owners::controls;
use crate::controllers::runner::fenced;
use crate::kube::api_failure;
use crate::outcome::Failure;
use crate::reason::Reason;
use crate::status::Truth;

/// How often it is tried again to store an output that could not be stored.
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

/// Keeps the output; a ConfigMap of that name that is not the run's own is left alone.
pub(super) async fn store(run: &mut Run<'_>, text: &str) -> Result<(), Failure> {
    fenced(run.ctx)?;
    let name = output_name(&run.name_any());
    let api = Api::<ConfigMap>::namespaced(run.ctx.client.clone(), &run.namespace());
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            owner_references: run.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("output.json".to_owned(), text.to_owned())])),
        ..ConfigMap::default()
    };
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    let refused = match api.create(&parameters, &map).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let existing = api.get_opt(&name).await.map_err(|error| api_failure(&error))?;
            // Whoever may write ConfigMaps can name the run as the owner of theirs.
            let own = existing.is_some_and(|there| controls(&**run, &there) && there.data == map.data);
            let message = format!(
                "ConfigMap \"{name}\" exists and is not this run's output; it was left alone and the output was not stored. Remove it and create another run."
            );
            (!own).then_some((Reason::ConfigMapExists, message))
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let kept = if run.known().log_group_arn.is_some() {
                "of an Express execution AWS keeps no output"
            } else {
                "AWS keeps the output for 90 days"
            };
            let message = format!(
                "The operator may not create ConfigMap \"{name}\": set outputs.configMaps to true in the chart's values. It is tried again every {} minutes; {kept}.",
                OWED_EVERY.as_secs() / 60
            );
            Some((Reason::Forbidden, message))
        }
        Err(error) => return Err(api_failure(&error)),
    };
    let stored = || (Truth::True, Reason::Stored, format!("The output is in ConfigMap \"{name}\", key output.json."));
    let (truth, reason, message) = refused.map_or_else(stored, |(reason, message)| (Truth::False, reason, message));
    run.output_stored(Some((truth, reason, &message)));
    Ok(())
}
