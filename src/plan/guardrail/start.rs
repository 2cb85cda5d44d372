//! Whether an execution may be started or redriven now, decided from what will really run.

use super::steps::steps_of;
use super::{Rule, Subject, check_binding, check_name, check_runs_as, refusal};
use crate::api::v1alpha1::{AliasStatus, RunsAs, TrustBindingSpec};
use crate::outcome::{Class, Failure};
use crate::plan::alias_move;
use crate::plan::step_roles::check_listed;
use crate::plan::workflow::check_execution_role;
use crate::reason::Reason;

/// What would be started, resolved: for an alias each version that it routes to.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The namespace of the run.
    pub namespace: &'a str,
    /// Guardrails that select it.
    pub rules: &'a [Rule],
    /// The binding as whose role AWS is asked.
    pub binding: &'a TrustBindingSpec,
    /// ARN of the state machine, of a version or of an alias: what the run goes by.
    pub target_arn: &'a str,
    /// ARNs that will run, each with what it runs as. Empty where nothing has to be known of it ([`needs_runs_as`]).
    pub runs: &'a [(String, RunsAs)],
}

/// Whether anything speaks of what steps act as.
pub fn are_bounded(rules: &[Rule], binding: &TrustBindingSpec) -> bool {
    !binding.allowed_step_role_arns.is_empty()
        || rules.iter().any(|rule| rule.spec.allowed_step_role_arns.is_some() || rule.spec.require_step_roles)
}

/// Whether it has to be known what would run: where nothing speaks of it, nothing needs to be read.
pub fn needs_runs_as(rules: &[Rule], binding: &TrustBindingSpec) -> bool {
    !binding.allowed_execution_role_arns.is_empty()
        || are_bounded(rules, binding)
        || rules.iter().any(|Rule { spec, .. }| {
            spec.allowed_account_ids.is_some()
                || spec.allowed_execution_role_arns.is_some()
                || !spec.forbidden_integrations.is_empty()
                || spec.forbid_definition_from
        })
}

/// What runs when a target is started: its ARN, and its number where it is a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Runs {
    /// ARN of the version, or of the state machine.
    pub arn: String,
    /// Number of the version; `None` for the state machine itself.
    pub version: Option<i64>,
    /// The alias that AWS is moving, by which this may run for a while although the alias does not, or not yet, route to it.
    pub moving_alias: Option<String>,
}

impl Runs {
    /// Of the ARN of a version or of a state machine; `None` for that of an alias.
    pub fn of(arn: &str) -> Option<Self> {
        match qualifier(arn) {
            None => Some(Self { arn: arn.to_owned(), version: None, moving_alias: None }),
            Some(number) => {
                let version = number.parse().ok()?;
                Some(Self { arn: arn.to_owned(), version: Some(version), moving_alias: None })
            }
        }
    }

    /// Says of a refusal that it is for a while alone, where that is so.
    pub fn refused(&self, failure: Failure) -> Failure {
        let Some(alias) =
            self.moving_alias.as_ref().filter(|_| matches!(failure.class, Class::Terminal | Class::Waiting))
        else {
            return failure;
        };
        let message = format!(
            "AWS is moving {alias}, and until that is done an execution by it may start as {}. It starts by itself then. {}",
            self.arn, failure.message
        );
        Failure::new(Class::Waiting, Reason::AliasMoving, message)
    }
}

/// Says of a refusal by what a state machine was before an update, or will be after it, that it is for a while alone.
pub fn is_moving(arn: &str, failure: &Failure) -> Failure {
    let message = format!(
        "{arn} has just been updated, and AWS may start it as it was before for a while. The run starts by itself then. {}",
        failure.message
    );
    Failure::new(Class::Waiting, Reason::StateMachineMoving, message)
}

/// What runs when this target is started.
///
/// # Errors
/// `AliasUnknown` where nobody knows where an alias routes.
pub fn what_runs(target_arn: &str, aliases: &[AliasStatus]) -> Result<Vec<Runs>, Failure> {
    if let Some(runs) = Runs::of(target_arn) {
        return Ok(vec![runs]);
    }
    let machine: String = target_arn.split(':').take(7).collect::<Vec<_>>().join(":");
    let alias = aliases.iter().find(|alias| alias.arn == target_arn && !alias.routes.is_empty());
    let Some(alias) = alias else {
        let message = format!(
            "It is not known where {target_arn} routes, so nobody can say whether it may be started. Add the alias to spec.aliases of the Workflow; the run goes on by itself then."
        );
        return Err(Failure::new(Class::Waiting, Reason::AliasUnknown, message));
    };
    let version = |number: i64| Runs {
        arn: format!("{machine}:{number}"),
        version: Some(number),
        moving_alias: (!alias_move::routes_to(&alias.routes, number)).then(|| target_arn.to_owned()),
    };
    Ok(alias_move::may_start(alias).into_iter().map(version).collect())
}

/// Whether it may be started now. Every start goes by this: of a run, of a further attempt, of a redrive, of a schedule.
///
/// # Errors
/// `RefusedByGuardrail`, with the Guardrail; `ExecutionRoleForeign`, `ExecutionRoleNotAllowed` or `StepRoleNotAllowed` where the
/// binding does not allow the role.
pub fn may_start(start: &Start<'_>) -> Result<(), Failure> {
    let Start { namespace, rules, binding, target_arn, runs } = start;
    check_binding(rules, namespace, binding)?;
    check_alias(rules, namespace, target_arn)?;
    let name = target_arn.split(':').nth(6).unwrap_or_default();
    for rule in *rules {
        check_name(rule, namespace, name)?;
        for (arn, runs_as) in *runs {
            check_runs_as(rule, namespace, &Subject::started(arn, runs_as))?;
        }
    }
    for (arn, runs_as) in *runs {
        let role = &runs_as.execution_role_arn;
        check_execution_role(&binding.role_arn, &binding.allowed_execution_role_arns, role).map_err(|failure| {
            let message = format!("{arn} is not started, because of what it runs as. {}", failure.message);
            // The list is the binding's, whose changes do not wake a run.
            Failure::new(Class::Waiting, failure.reason, message)
        })?;
        check_steps(binding, arn, runs_as)?;
    }
    Ok(())
}

/// Nobody knows what steps of a record act as that was written before that was looked at.
fn check_steps(binding: &TrustBindingSpec, arn: &str, runs_as: &RunsAs) -> Result<(), Failure> {
    let allowed = &binding.allowed_step_role_arns;
    let steps = steps_of(runs_as);
    if !allowed.is_empty() && !steps.is_known {
        return Err(unknown(arn, "what its steps act as was not recorded"));
    }
    check_listed(allowed, &steps).map_err(|failure| {
        let message = format!("{arn} is not started, because of what it runs as: {}", failure.message);
        Failure::new(Class::Waiting, failure.reason, message)
    })
}

fn check_alias(rules: &[Rule], namespace: &str, target_arn: &str) -> Result<(), Failure> {
    let by_alias = Runs::of(target_arn).is_none();
    match rules.iter().find(|rule| rule.spec.require_alias && !by_alias) {
        Some(rule) => {
            let what = format!(
                "a run goes by an alias, and this one would start {target_arn}. Name workflowRef.alias, or mark an alias of the Workflow as default"
            );
            Err(refusal(rule, namespace, &what))
        }
        None => Ok(()),
    }
}

/// What stands after the name of the machine: `arn:…:stateMachine:<name>:<qualifier>`.
fn qualifier(arn: &str) -> Option<&str> {
    arn.split(':').nth(7)
}

/// Nobody knows what would run.
pub fn unknown(what: &str, why: &str) -> Failure {
    let message = format!(
        "A Guardrail or the binding's list says what may run here, and what {what} runs as is not known: {why}. Start a version that the Workflow has published, or let the binding's role call states:DescribeStateMachine on it."
    );
    Failure::new(Class::Waiting, Reason::RunsAsUnknown, message)
}
