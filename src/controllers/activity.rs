//! Activity: keeps an activity and its tags.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

use super::authorization::Authorization;
use super::dereference::{LastSession, authorized_binding, last_session_for};
use super::runner::{Done, EventWhenReady, Managed, Work, deleted_at, fenced, report_orphan};
use super::{Context, Needed, guardrails, owner};
use crate::api::v1alpha1::{Activity, ActivityStatus, TrustBinding};
use crate::aws::{Caller, MachineSettings, Tags};
use crate::iam::binding_role::session::Purpose;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::workflow::{activity_arn, check_key, check_name, default_name, names_of};
use crate::plan::{guardrail, needs, tags};
use crate::reason::Reason;
use crate::status::Truth;

#[async_trait::async_trait]
impl Managed for Activity {
    type Status = ActivityStatus;
    const KIND: &'static str = "Activity";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Recovered;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return delete(work, ctx).await;
        }
        let namespace = work.namespace();
        let found = authorized_binding(ctx, &namespace, &work.object.spec.trust_binding_ref.name).await?;
        let binding = &found.binding;
        let rules = guardrails::rules(ctx, &namespace).await?;
        guardrail::check_binding(&rules, &namespace, &binding.spec)?;
        check(work, ctx, binding)?;
        let name = name(work, ctx);
        let caller = found.session(ctx, &work.cause, &Purpose::Observe(Some(&name))).await?;
        let writing = needs::activity(&work.object.spec, name.clone());
        let arn = arn(work, ctx, &caller);
        let wanted = wanted_tags(work, ctx);
        if !ctx.activities.has_activity(&caller, &arn).await? {
            work.add_finalizer(ctx).await?;
            fenced(ctx)?;
            let caller = found.session(ctx, &work.cause, &Purpose::Write(&writing)).await?;
            // They come with the creation; should its answer be lost, they are recorded with the failure.
            record_tag_keys(work);
            ctx.activities.create_activity(&caller, &name, &settings(work), &wanted).await?;
        }
        // A creation of a name that exists is answered as if it were ours, so the tags alone tell whose it is.
        let present = ctx.tagging.list_tags(&caller, &arn).await?;
        if !owner(work, ctx).owns(&present) {
            let message = format!(
                "Activity {arn} exists and belongs to somebody else; it was not touched. Set another spec.name in a new Activity, or delete that one."
            );
            return Err(Failure::new(Class::Terminal, Reason::ActivityNameTaken, message));
        }
        work.add_finalizer(ctx).await?;
        apply_tags(work, ctx, &found, &arn, wanted, &present).await?;
        let status = work.status();
        status.activity_arn = Some(arn);
        work.conditions(|conditions| {
            conditions.set("Synced", Truth::True, Reason::Synced, "The activity is as the spec says.");
            conditions.ready(Reason::Synced, "The activity is as the spec says.");
        });
        Ok(Done::again(Requeue::After(ctx.settings.resync_interval)))
    }

    fn status_field(&mut self) -> &mut Option<ActivityStatus> {
        &mut self.status
    }

    fn needs(&self) -> Vec<Needed> {
        vec![Needed::TrustBinding(self.spec.trust_binding_ref.name.clone())]
    }

    fn common(status: &mut ActivityStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }
}

/// Refuses what no policy may name before anything is asked of AWS.
fn check(work: &Work<Activity>, ctx: &Context, binding: &TrustBinding) -> Result<(), Failure> {
    let spec = &work.object.spec;
    let names = names_of(&ctx.settings.name_prefix, &work.namespace(), &binding.spec);
    let recorded = work.object.status.as_ref().is_some_and(|status| status.activity_arn.is_some());
    let goes_on = recorded && !ctx.settings.lockdown;
    check_name(spec.name.as_deref(), "spec.name", &binding.name_any(), &names, goes_on)?;
    check_key(&binding.spec, spec.encryption.as_ref())
}

fn name(work: &Work<Activity>, ctx: &Context) -> String {
    let default = || default_name(&ctx.settings.name_prefix, &work.namespace(), &work.object.name_any());
    work.object.spec.name.clone().unwrap_or_else(default)
}

fn arn(work: &Work<Activity>, ctx: &Context, caller: &Caller) -> String {
    activity_arn(&caller.assumed_role_arn, &caller.region, &name(work, ctx))
}

fn wanted_tags(work: &Work<Activity>, ctx: &Context) -> Tags {
    let own = work.object.spec.tags.iter().map(|(key, value)| (key.clone(), value.0.clone()));
    own.chain(owner(work, ctx).tags()).collect()
}

fn settings(work: &Work<Activity>) -> MachineSettings {
    let encryption = work.object.spec.encryption.as_ref();
    MachineSettings {
        encryption: encryption.map(|one| (one.kms_key_id.clone(), one.kms_data_key_reuse_period_seconds)),
        ..MachineSettings::default()
    }
}

/// Puts the keys of the spec's tags on record; true where the record lacked some.
fn record_tag_keys(work: &mut Work<Activity>) -> bool {
    let keys = tags::to_record(&work.status().tag_keys.clone(), work.object.spec.tags.keys());
    let lacked = keys.is_some();
    work.status().tag_keys = keys.unwrap_or_else(|| work.status().tag_keys.clone());
    lacked
}

async fn apply_tags(
    work: &mut Work<Activity>,
    ctx: &Context,
    binding: &Authorization,
    arn: &str,
    wanted: Tags,
    present: &Tags,
) -> Result<(), Failure> {
    let (mut missing, gone) = tags::changes(wanted, &work.status().tag_keys, present);
    if !missing.is_empty() && record_tag_keys(work) {
        work.write(ctx).await?;
    }
    fenced(ctx)?;
    if !(missing.is_empty() && gone.is_empty()) {
        let writing = needs::activity(&work.object.spec, name(work, ctx));
        let caller = binding.session(ctx, &work.cause, &Purpose::Write(&writing)).await?;
        if !missing.is_empty() {
            // The owner's mark goes along with every tag, so that IAM can ask for it.
            missing.extend(owner(work, ctx).tags());
            ctx.tagging.tag(&caller, arn, &missing).await?;
        }
        if !gone.is_empty() {
            ctx.tagging.untag(&caller, arn, &gone).await?;
        }
    }
    work.status().tag_keys = work.object.spec.tags.keys().cloned().collect();
    Ok(())
}

async fn delete(work: &mut Work<Activity>, ctx: &Context) -> Result<Done, Failure> {
    let binding = work.object.spec.trust_binding_ref.name.clone();
    let name = name(work, ctx);
    let (namespace, clean) = (work.namespace(), Purpose::Clean(&name));
    let caller =
        match last_session_for(ctx, &work.cause, &namespace, &binding, &clean, deleted_at(&work.object)).await? {
            LastSession::Usual(caller) | LastSession::Held(caller) => caller,
            LastSession::Gone(why) => {
                if let Some(arn) = work.object.status.as_ref().and_then(|status| status.activity_arn.as_ref()) {
                    report_orphan(work, arn, &why, ctx).await;
                }
                return Ok(Done::released());
            }
        };
    let arn = arn(work, ctx, &caller);
    if ctx.activities.has_activity(&caller, &arn).await? {
        let present = ctx.tagging.list_tags(&caller, &arn).await?;
        if owner(work, ctx).owns(&present) {
            fenced(ctx)?;
            ctx.activities.delete_activity(&caller, &arn).await?;
        }
    }
    Ok(Done::released())
}

#[cfg(test)]
mod tests;
