//! Workflow: keeps a state machine as its spec says.

mod aliases;
mod apply;
mod delete;
mod hands;
mod memory;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

use hands::{Hands, machine_name};
pub(super) use memory::Memory;

use super::dereference::{ReadFor, authorized_binding, config_map, config_map_value};
use super::named::named;
use super::runner::{Done, EventWhenReady, Managed, Work, publish};
use super::{Context, Needed, guardrails, measure, owner};
use crate::api::v1alpha1::{
    AliasStatus, Diagnostic, DriftPolicy, GIT_REVISION, LogLevel, TrustBinding, Workflow, WorkflowSpec, WorkflowStatus,
    asked,
};
use crate::asl::{self, Circumstances, DefinitionError, Finding, Ignore};
use crate::aws::{Caller, MachineSettings, Priority};
use crate::iam::binding_role::session::{Purpose, Writing};
use crate::kube::events::EventType;
use crate::metrics::Metrics;
use crate::nesting;
use crate::outcome::{Class, Failure, Requeue};
use crate::plan::run_result::console_url;
use crate::plan::workflow::{
    Desired, Observed, Plan, RELEASE_TAG, check_execution_role, check_key, check_name, log_group_warning, names_of,
    needs_tags, plan, required_permissions, state_machine_arn, summary,
};
use crate::plan::{guardrail, input_schema, needs, step_roles};
use crate::reason::Reason;
use crate::status::{self, Conditions, RECONCILING, Truth};

/// Asks for a look at AWS at once, tags included; any new value asks again.
const RECONCILE_NOW: &str = "stepbound.dev/reconcile-now";
/// Names the owner from whom the state machine may be taken over.
const TAKE_OVER_FROM: &str = "stepbound.dev/take-over-from";

#[async_trait::async_trait]
impl Managed for Workflow {
    type Status = WorkflowStatus;
    const KIND: &'static str = "Workflow";
    const EVENT_WHEN_READY: EventWhenReady = EventWhenReady::Recovered;

    async fn reconcile(work: &mut Work<Self>, ctx: &Arc<Context>) -> Result<Done, Failure> {
        if work.object.meta().deletion_timestamp.is_some() {
            return delete::delete(work, ctx).await;
        }
        let definition = validate(work, ctx).await;
        let schema = schema(work, ctx).await;
        guarded(work, ctx, definition.as_ref().ok()).await?;
        if work.object.spec.suspend {
            work.conditions(|conditions| {
                conditions.ready(Reason::Suspended, "Nothing is changed in AWS while spec.suspend is true.");
            });
            return Ok(Done::again(Requeue::OnChange));
        }
        let definition = definition?;
        schema?;
        let found = authorized_binding(ctx, &work.namespace(), &work.object.spec.trust_binding_ref.name).await?;
        let desired = desired(work, ctx, &found.binding, definition)?;
        let caller = found.session(ctx, &work.cause, &Purpose::Observe(Some(&desired.name))).await?;
        let wait = ctx.quota.quota_wait(&caller, "states:DescribeStateMachine", Priority::Drift);
        if !wait.is_zero() && rests(work) {
            // Whether somebody else has changed it can wait until those have called whose users wait for them.
            return Ok(Done::again(Requeue::After(wait.max(Duration::from_secs(1)))));
        }
        let observed = observe(work, ctx, &caller, &desired).await?;
        let mut plan = plan(&desired, &observed)?;
        if !plan.drift.is_empty() && ctx.workflows.settles(&desired.owner.uid) {
            // What AWS shows may be older than our own last write.
            return Ok(Done::again(Requeue::After(Duration::from_secs(10))));
        }
        let writing = needs::machine(&work.object.spec, desired.name.clone());
        let taking = Writing { from_another_owner: plan.from_another_owner, ..writing.clone() };
        let taking = Hands::new(&found, &caller, &taking);
        let settles = apply::apply(work, ctx, &taking, &desired, &observed, &plan).await?;
        let hands = Hands::new(&found, &caller, &writing);
        apply::prune(work, ctx, &hands).await?;
        // What was left as somebody else has made it is looked at until it is not so any more.
        let closely = observed.tags.is_some() || status::is_true(&work.status().conditions, "Drifted");
        let aliases = aliases::converge(work, ctx, &hands, &desired.arn, closely).await?;
        plan.drift.extend(aliases.drift);
        synced(work, &desired, &plan, ctx).await;
        let resync = ctx.workflows.resync_after(&desired.owner.uid, ctx.settings.resync_interval);
        let again = [Some(resync), aliases.look_again, settles].into_iter().flatten().min();
        let done = Done::again(Requeue::After(again.unwrap_or(resync)));
        Ok(Done { partly_failed: aliases.failed, ..done })
    }

    fn status_field(&mut self) -> &mut Option<WorkflowStatus> {
        &mut self.status
    }

    fn needs(&self) -> Vec<Needed> {
        let maps = self.spec.config_maps().map(|name| Needed::ConfigMap(name.to_owned()));
        maps.chain([Needed::TrustBinding(self.spec.trust_binding_ref.name.clone())]).collect()
    }

    fn common(status: &mut WorkflowStatus) -> (&mut Vec<Condition>, &mut Option<i64>) {
        (&mut status.conditions, &mut status.observed_generation)
    }

    fn measure(_: &Self, before: Option<&WorkflowStatus>, after: &WorkflowStatus, metrics: &Metrics) {
        measure::workflow(before, after, metrics);
    }
}

/// True when the Workflow is as it was asked for, as far as is known.
fn rests(work: &mut Work<Workflow>) -> bool {
    let generation = work.object.metadata.generation;
    let status = work.status();
    status.observed_generation == generation && crate::status::is_true(&status.conditions, crate::status::READY)
}

/// Reads the definition and checks it offline. A definition that fails leaves in AWS what is there.
async fn validate(work: &mut Work<Workflow>, ctx: &Context) -> Result<asl::Definition, Failure> {
    let namespace = work.namespace();
    let spec = &work.object.spec;
    let circumstances = Circumstances {
        express: spec.machine_type == crate::api::v1alpha1::StateMachineType::Express,
        partition: crate::iam::partition::of_arn(&spec.execution_role_arn),
        ..Circumstances::default()
    };
    let (ignore, unknown) = ignored(work);
    let roles = step_roles::wanted(spec);
    let prepared = match (&spec.definition, &spec.definition_from) {
        (Some(json), _) => {
            nesting::check("spec.definition", json.text())?;
            let values = substitutions(ctx, &namespace, spec, json.text()).await?;
            asl::prepare_with(json.text(), &values, &roles, circumstances, &ignore)
        }
        (None, Some(from)) => {
            let text = config_map_value(ctx, &namespace, &from.config_map_key_ref, ReadFor::Definition).await?;
            let values = substitutions(ctx, &namespace, spec, &text).await?;
            asl::prepare_with(&text, &values, &roles, circumstances, &ignore)
        }
        (None, None) => {
            let message = "Give the state machine in spec.definition or spec.definitionFrom.";
            return Err(Failure::new(Class::Terminal, Reason::DefinitionMissing, message));
        }
    };
    work.status().diagnostics = match &prepared {
        Ok(definition) => diagnostics(definition.warnings()),
        Err(error) => diagnostics(&error.findings()),
    };
    work.status().diagnostics.extend(unknown);
    let group = work.object.spec.logging.as_ref().and_then(|logging| logging.log_group_arn.clone());
    if let Some(message) = group.and_then(|arn| log_group_warning(&arn)) {
        let (severity, code, path) = ("Warning".into(), "SB013".into(), "/spec/logging/logGroupARN".into());
        work.status().diagnostics.push(Diagnostic { severity, code, path, message });
    }
    work.conditions(|conditions| match &prepared {
        Ok(_) => {
            conditions.set("DefinitionValid", Truth::True, Reason::Valid, "The offline check found nothing.");
        }
        Err(error) => {
            conditions.set("DefinitionValid", Truth::False, reason(error), &error.to_string());
        }
    });
    let definition = prepared.map_err(|error| Failure::new(Class::Terminal, reason(&error), error.to_string()))?;
    match step_roles::of_another_partition(&work.object.spec).into_iter().next() {
        Some((_, failure)) => Err(failure),
        None => Ok(definition),
    }
}

fn reason(error: &DefinitionError) -> Reason {
    match error {
        DefinitionError::StepRoles(..) => Reason::StepRoleInvalid,
        _ => Reason::DefinitionInvalid,
    }
}

/// Refuses an inputSchema that is none; what is wrong with it stands beside what is wrong with the definition.
async fn schema(work: &mut Work<Workflow>, ctx: &Context) -> Result<(), Failure> {
    let Some(schema) = &work.object.spec.input_schema else { return Ok(()) };
    let compiled = ctx.input_schemas.compiled(schema.text()).await?;
    let Err(fault) = compiled.as_ref() else { return Ok(()) };
    let failure = input_schema::refusal(fault);
    let (severity, code, message) = ("Error".into(), "SB094".into(), failure.message.clone());
    let path = format!("/spec/inputSchema{}", fault.pointer);
    work.status().diagnostics.insert(0, Diagnostic { severity, code, path, message });
    Err(failure)
}

/// Values for the names in the definition. Of a ConfigMap those are taken that the definition uses: it may serve several.
async fn substitutions(
    ctx: &Context,
    namespace: &str,
    spec: &WorkflowSpec,
    definition: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    for from in &spec.substitutions_from {
        let map = config_map(ctx, namespace, &from.config_map_ref.name, ReadFor::Definition).await?;
        values.extend(map.into_iter().filter(|(name, _)| definition.contains(&format!("${{{name}}}"))));
    }
    values.extend(spec.substitutions.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    Ok(values)
}

/// Refuses what a Guardrail forbids, suspended or not; what is in AWS already stays as it is.
async fn guarded(work: &Work<Workflow>, ctx: &Context, definition: Option<&asl::Definition>) -> Result<(), Failure> {
    let (namespace, spec) = (work.namespace(), &work.object.spec);
    let rules = guardrails::rules(ctx, &namespace).await?;
    if rules.is_empty() {
        return Ok(());
    }
    if let Some(binding) = named::<TrustBinding>(ctx, &namespace, &spec.trust_binding_ref.name).await? {
        guardrail::check_binding(&rules, &namespace, &binding.spec)?;
    }
    let name = machine_name(work, ctx);
    guardrail::check_workflow(&rules, &namespace, spec, &name, definition.map(asl::Definition::value))
}

/// The first findings, worst first: a status stays small.
fn diagnostics(findings: &[Finding]) -> Vec<Diagnostic> {
    findings.iter().take(50).map(diagnostic).collect()
}

fn diagnostic(finding: &Finding) -> Diagnostic {
    Diagnostic {
        severity: if finding.is_error() { "Error" } else { "Warning" }.into(),
        code: finding.code.into(),
        path: finding.path.clone(),
        message: finding.message.clone(),
    }
}

/// What the Workflow asks not to be told, and what is wrong with how it asks.
fn ignored(work: &Work<Workflow>) -> (Ignore, Option<Diagnostic>) {
    let text = work.object.annotations().get(asl::lint::IGNORE_ANNOTATION).map(String::as_str).unwrap_or_default();
    let (ignore, unknown) = Ignore::parse_annotation(text);
    (ignore, unknown.as_ref().map(diagnostic))
}

fn desired(
    work: &Work<Workflow>,
    ctx: &Context,
    binding: &TrustBinding,
    definition: asl::Definition,
) -> Result<Desired, Failure> {
    let spec = &work.object.spec;
    let allowed = &binding.spec.allowed_execution_role_arns;
    check_execution_role(&binding.spec.role_arn, allowed, &spec.execution_role_arn)?;
    guardrail::check_listed_steps(&binding.spec.allowed_step_role_arns, spec, definition.value())?;
    check_key(&binding.spec, spec.encryption.as_ref())?;
    needs::check_log_group(&binding.spec, spec)?;
    let name = machine_name(work, ctx);
    let arn = state_machine_arn(&binding.spec.role_arn, &binding.spec.region, &name);
    let recorded = work.object.status.as_ref().and_then(|status| status.state_machine_arn.as_ref());
    let names = names_of(&ctx.settings.name_prefix, &work.namespace(), &binding.spec);
    let given = spec.state_machine_name.as_deref();
    check_name(
        given,
        "spec.stateMachineName",
        &binding.name_any(),
        &names,
        recorded == Some(&arn) && !ctx.settings.lockdown,
    )?;
    if let Some(recorded) = recorded.filter(|recorded| **recorded != arn) {
        let message = format!(
            "This Workflow's state machine is {recorded}, but its binding and name now lead to {arn}; nothing was called. Restore them, or create another Workflow."
        );
        return Err(Failure::new(Class::Terminal, Reason::LocationChanged, message));
    }
    Ok(Desired {
        name,
        arn,
        definition,
        role_arn: spec.execution_role_arn.clone(),
        machine_type: spec.machine_type,
        settings: settings(spec),
        tags: spec.tags.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect(),
        owner: owner(work, ctx),
        publish: spec.versions.publish,
        drift: spec.drift,
        adoption: spec.adoption,
        git_revision: work.object.annotations().get(GIT_REVISION).cloned(),
        from_config_map: spec.takes_from_config_maps(),
        take_over_from: asked(&work.object, TAKE_OVER_FROM).map(str::to_owned),
        take_over_is_checked: ctx.attribution.admission_is_installed(),
        release_to: asked(&work.object, RELEASE_TAG).map(str::to_owned),
        foreign_marks: ctx.settings.foreign_owner_tags.clone(),
        lockdown: ctx.settings.lockdown,
    })
}

/// As AWS describes them, so that the two can be compared.
fn settings(spec: &WorkflowSpec) -> MachineSettings {
    let logging = spec.logging.as_ref().filter(|logging| logging.level != LogLevel::None);
    let group = logging.and_then(|logging| logging.log_group_arn.as_ref());
    MachineSettings {
        log_level: logging.map_or(LogLevel::None, |logging| logging.level),
        log_execution_data: logging.is_some_and(|logging| logging.include_execution_data),
        log_group_arn: group.map(|arn| if arn.ends_with(":*") { arn.clone() } else { format!("{arn}:*") }),
        tracing: spec.tracing.as_ref().is_some_and(|tracing| tracing.enabled),
        encryption: spec
            .encryption
            .as_ref()
            .map(|encryption| (encryption.kms_key_id.clone(), encryption.kms_data_key_reuse_period_seconds)),
    }
}

/// One description, and the tags where the plan needs them.
async fn observe(
    work: &Work<Workflow>,
    ctx: &Context,
    caller: &Caller,
    desired: &Desired,
) -> Result<Observed, Failure> {
    let status = work.object.status.clone().unwrap_or_default();
    if status.state_machine_arn.is_none() {
        // Looking for a machine that may not be created yet would spend another quota for nothing.
        ctx.quota.has_quota(caller, "states:CreateStateMachine")?;
    }
    let machine = ctx.state_machines.describe_state_machine(caller, &desired.arn).await?;
    let synced = status::find(&status.conditions, "Synced");
    let changed = synced.and_then(|synced| synced.observed_generation) != work.object.meta().generation;
    let asked = asked_now(work) != status.last_handled.reconcile_now;
    let released = status.tag_keys.iter().any(|key| key == RELEASE_TAG) != desired.release_to.is_some();
    let due = ctx.workflows.tags_are_due(&desired.owner.uid) || asked || released;
    let tags = if needs_tags(machine.as_ref(), status.state_machine_arn.is_some(), changed, due) {
        Some(ctx.tagging.list_tags(caller, &desired.arn).await?)
    } else {
        None
    };
    let newest =
        status.latest_version.as_ref().and_then(|newest| guardrail::of_version(&status.runs_as, newest.number));
    let version_from_config_map =
        newest.is_some_and(|newest| newest.from_config_map) && !work.object.spec.takes_from_config_maps();
    Ok(Observed {
        machine,
        tags,
        applied_hash: status.applied_hash,
        tag_keys: status.tag_keys,
        has_version: status.latest_version.is_some(),
        version_from_config_map,
    })
}

fn asked_now(work: &Work<Workflow>) -> Option<String> {
    asked(&work.object, RECONCILE_NOW).map(str::to_owned)
}

async fn synced(work: &mut Work<Workflow>, desired: &Desired, plan: &Plan, ctx: &Context) {
    let asked = asked_now(work);
    let (policy, hash) = (work.object.spec.deletion_policy, desired.hash());
    let status = work.status();
    status.state_machine_arn = Some(desired.arn.clone());
    status.definition_hash = Some(desired.definition.hash().to_owned());
    status.console_url = Some(console_url(&desired.arn));
    status.required_permissions = Some(required_permissions(desired));
    status.applied_hash = Some(hash);
    status.tag_keys = desired.tag_keys().collect();
    status.last_handled.reconcile_now = asked;
    if plan.adopts {
        status.adopted_with = Some(policy);
    } else if status.adopted_with.is_some_and(|adopted_with| adopted_with != policy) {
        status.adopted_with = None;
    }
    let changed = summary(&plan.drift);
    let left = !plan.drift.is_empty() && desired.drift == DriftPolicy::Report;
    let was_left = status::is_true(&status.conditions, "Drifted");
    let corrected = format!("Changed in AWS by somebody else and set back: {changed}.");
    let aliases = work.status().aliases.clone();
    let differs = format!("Changed in AWS by somebody else, and left so because spec.drift is Report: {changed}.");
    work.conditions(|conditions| {
        if left {
            conditions.set("Drifted", Truth::True, Reason::ChangedInAWS, &differs);
            conditions.set("Synced", Truth::False, Reason::Drifted, &differs);
            conditions.ready(Reason::Drifted, &differs);
        } else {
            if plan.drift.is_empty() {
                conditions.set("Drifted", Truth::False, Reason::NoDrift, "Nobody else has changed the state machine.");
            } else {
                conditions.set("Drifted", Truth::False, Reason::Corrected, &corrected);
            }
            conditions.set("Synced", Truth::True, Reason::Synced, "The state machine is as the spec says.");
            delivered(conditions, &aliases);
        }
    });
    if left && !was_left {
        publish(&work.object, EventType::Warning, Reason::DriftFound, &differs, ctx).await;
    } else if !left && !plan.drift.is_empty() {
        publish(&work.object, EventType::Warning, Reason::DriftCorrected, &corrected, ctx).await;
    }
}

/// Whether the newest version serves: it may be on its way, or have failed.
fn delivered(conditions: &mut Conditions, aliases: &[AliasStatus]) {
    if let Some(alias) = aliases::rolled_back(aliases) {
        let message = format!("Alias \"{}\": {} Change the definition to try again.", alias.name, alias.message);
        conditions.failed(&Failure::new(Class::Terminal, Reason::RolledBack, message));
        return;
    }
    conditions.ready(Reason::Synced, "The state machine is as the spec says.");
    if let Some(alias) = aliases::rolling_out(aliases) {
        let message = format!("Alias \"{}\": {}", alias.name, alias.message);
        conditions.set(RECONCILING, Truth::True, Reason::RollingOut, &message);
    }
}

#[cfg(test)]
mod tests;
