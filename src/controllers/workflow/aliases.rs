//! Keeps aliases where their rollouts want them.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::hands::Hands;
use crate::api::v1alpha1::{Alias, AliasStatus, DriftPolicy, OnRollback, RolloutPhase, Workflow, asked};
use crate::aws::{Caller, ExecutionStatus, ListedExecution, Routes};
use crate::controllers::runner::{Work, fenced};
use crate::controllers::{Context, guardrails};
use crate::outcome::{Class, Failure};
use crate::plan::analysis::{Counts, Tally, Verdict, judge};
use crate::plan::guardrail::Runs;
use crate::plan::rollout::{Alarms, Decision, Situation, asks_alarms, decide, is_under_way};
use crate::plan::{alarms, alias_move};

/// Names an alias and the version that takes over at once: `live/5`.
const PROMOTE: &str = "stepbound.dev/promote";
/// Names the aliases that are held, separated by commas.
const PAUSE: &str = "stepbound.dev/pause";

/// What was found and what comes next.
#[derive(Default)]
pub(super) struct Converged {
    /// Time until the next look, where one is needed before a resync.
    pub(super) look_again: Option<Duration>,
    /// What somebody else has changed.
    pub(super) drift: Vec<String>,
    /// Why the first alias of those that stay where they are does so.
    pub(super) failed: Option<Failure>,
}

/// Moves every alias to where it belongs; one that may not be moved keeps no other. Where `closely` is set, each is also compared
/// with what AWS has: that has a quota of one call a second.
pub(super) async fn converge(
    work: &mut Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
    machine_arn: &str,
    closely: bool,
) -> Result<Converged, Failure> {
    let mut converged = Converged { failed: remove_dropped(work, ctx, hands).await?, ..Converged::default() };
    let Some(latest) = work.status().latest_version.as_ref().map(|version| version.number) else {
        return Ok(converged);
    };
    let mut is_promoted = true;
    for alias in work.object.spec.aliases.clone() {
        let mut decision = decision(work, ctx, hands, machine_arn, &alias, latest).await?;
        let drifted = if closely { drift_of(work, ctx, hands, machine_arn, &alias.name).await? } else { None };
        // One that somebody else has moved is made or moved again.
        let forgotten = drifted.is_some() && work.object.spec.drift != DriftPolicy::Report;
        converged.drift.extend(drifted);
        if let Err(failure) = make_or_move(work, ctx, hands, machine_arn, &mut decision, forgotten).await {
            if matches!(failure.class, Class::Transient | Class::Conflict) {
                return Err(failure);
            }
            is_promoted &= promoted(work, &alias.name).is_none();
            converged.failed.get_or_insert(failure);
            continue;
        }
        let settles = alias_move::settle(&mut decision.status, Timestamp::now(), ctx.settings.alias_settle_time);
        if let Some(bad) = decision.quarantine {
            let has_own_key = work.object.spec.encryption.is_some();
            stop_running(ctx, hands.seeing, machine_arn, &alias, bad, has_own_key).await?;
        }
        converged.look_again = converged.look_again.into_iter().chain(settles).chain(decision.look_again).min();
        remember(work, decision);
    }
    if is_promoted {
        work.status().last_handled.promote = asked(&work.object, PROMOTE).map(str::to_owned);
    }
    Ok(converged)
}

/// How AWS has an alias, where that is not as it is known.
async fn drift_of(
    work: &Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
    machine_arn: &str,
    name: &str,
) -> Result<Option<String>, Failure> {
    let Some(recorded) = known(work, name) else { return Ok(None) };
    let wanted = arns(machine_arn, &recorded);
    let actual = ctx.aliases.alias_routes(hands.seeing, &recorded.arn).await?;
    if actual.as_ref().is_some_and(|actual| same_routes(actual, &wanted)) {
        return Ok(None);
    }
    let there = actual.as_ref().map_or_else(|| "nothing".to_owned(), told);
    Ok(Some(format!("aliases.{name}: in AWS {there}, wanted {}", told(&wanted))))
}

/// Makes or moves an alias where it is not as decided, or is `forgotten`.
async fn make_or_move(
    work: &mut Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
    machine_arn: &str,
    decision: &mut Decision,
    forgotten: bool,
) -> Result<(), Failure> {
    let recorded = known(work, &decision.status.name);
    let there = recorded.as_ref().filter(|_| !forgotten);
    if !alias_move::is_due(there, &decision.status.routes) {
        return Ok(());
    }
    // From a version that has failed it goes back to whatever there was.
    if decision.quarantine.is_none() {
        may_route(work, ctx, hands, machine_arn, &decision.status).await?;
    }
    write_ahead(work, ctx, &decision.status).await?;
    if let Err(failure) = route(ctx, hands, machine_arn, there.is_none(), &decision.status).await {
        if !matches!(failure.class, Class::Transient | Class::Conflict) {
            // AWS has said that it is not moved.
            if let Some(recorded) = recorded {
                put(work, recorded);
            }
        }
        return Err(failure);
    }
    let (before, versions) = (known(work, &decision.status.name), work.status().versions.clone());
    decision.status = alias_move::moved(before.as_ref(), decision.status.clone(), &versions, Timestamp::now());
    Ok(())
}

fn arns(machine_arn: &str, alias: &AliasStatus) -> Routes {
    alias.routes.iter().map(|route| (format!("{machine_arn}:{}", route.version), route.weight)).collect()
}

/// Routes for people: `version 4 with 90 %, version 5 with 10 %`.
fn told(routes: &Routes) -> String {
    let version = |arn: &str| arn.rsplit(':').next().unwrap_or(arn).to_owned();
    let routes = routes.iter().map(|(arn, weight)| format!("version {} with {weight} %", version(arn)));
    routes.collect::<Vec<String>>().join(", ")
}

fn same_routes(a: &Routes, b: &Routes) -> bool {
    a.len() == b.len() && a.iter().all(|route| b.contains(route))
}

async fn decision(
    work: &mut Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
    machine_arn: &str,
    alias: &Alias,
    latest: i64,
) -> Result<Decision, Failure> {
    let status = known(work, &alias.name);
    let compared = match status.as_ref().filter(|status| is_under_way(Some(status))) {
        Some(status) => Some(compare(ctx, hands.seeing, machine_arn, alias, status).await?),
        None => None,
    };
    let quarantined = work.status().quarantined.clone();
    let mut situation = Situation {
        alias,
        arn: format!("{machine_arn}:{}", alias.name),
        status: status.as_ref(),
        latest,
        quarantined: &quarantined,
        promote: promoted(work, &alias.name),
        paused: is_paused(work, &alias.name),
        verdict: compared.map(|(verdict, _)| verdict),
        counts: compared.map(|(_, counts)| counts).unwrap_or_default(),
        alarms: Alarms::Quiet,
        now: Timestamp::now(),
    };
    if let Some(rollout) = alias.rollout.as_ref().filter(|_| asks_alarms(&situation)) {
        let caller = hands.writer(ctx).await?;
        let found = ctx.alarms.alarm_states(&caller, &rollout.alarms).await;
        situation.alarms = alarms::say(&rollout.alarms, &found);
    }
    Ok(decide(&situation))
}

fn known(work: &Work<Workflow>, name: &str) -> Option<AliasStatus> {
    work.object.status.as_ref()?.aliases.iter().find(|alias| alias.name == name).cloned()
}

/// The version that a new value of the annotation asks for.
fn promoted(work: &Work<Workflow>, alias: &str) -> Option<i64> {
    let wish = asked(&work.object, PROMOTE)?;
    let handled = work.object.status.as_ref().and_then(|status| status.last_handled.promote.as_deref());
    let (name, version) = wish.split_once('/')?;
    let is_number = version.bytes().all(|byte| byte.is_ascii_digit());
    (handled != Some(wish) && name == alias && is_number).then(|| version.parse().ok()).flatten()
}

fn is_paused(work: &Work<Workflow>, alias: &str) -> bool {
    asked(&work.object, PAUSE).is_some_and(|names| names.split(',').any(|name| name.trim() == alias))
}

/// Executions that started after AWS can be taken to route by the new weights, version by version.
async fn compare(
    ctx: &Context,
    caller: &Caller,
    machine_arn: &str,
    alias: &Alias,
    status: &AliasStatus,
) -> Result<(Verdict, Counts), Failure> {
    let (Some(rollout), Some(target), Some(began)) = (&alias.rollout, status.target, &status.began_at) else {
        return Ok((Verdict::TooFew, Counts::default()));
    };
    let settled = began.0.checked_add(ctx.settings.alias_settle_time).unwrap_or(began.0);
    let listed = ctx.executions.list_executions(caller, &status.arn, false).await?;
    let tallies = tally(listed.iter().filter(|execution| execution.started_at >= settled));
    let of = |version: i64| tallies.get(&format!("{machine_arn}:{version}")).cloned().unwrap_or_default();
    let old = status.routes.iter().find(|route| route.version != target).map_or(0, |route| route.version);
    let (old, new) = (of(old), of(target));
    let verdict = judge(&old, &new, rollout.max_failure_percent, rollout.min_executions);
    Ok((verdict, Counts::of(&old, &new)))
}

fn tally<'a>(executions: impl Iterator<Item = &'a ListedExecution>) -> HashMap<String, Tally> {
    let now = Timestamp::now();
    let span = |from: Timestamp, to: Timestamp| Duration::try_from(to.duration_since(from)).unwrap_or_default();
    let mut tallies: HashMap<String, Tally> = HashMap::new();
    for execution in executions {
        let Some(version) = &execution.version_arn else { continue };
        let tally = tallies.entry(version.clone()).or_default();
        match execution.status {
            ExecutionStatus::Succeeded => {
                tally.succeeded += 1;
                tally.durations.push(span(execution.started_at, execution.stopped_at.unwrap_or(now)));
            }
            ExecutionStatus::Failed | ExecutionStatus::TimedOut => tally.failed += 1,
            ExecutionStatus::Aborted => {}
            ExecutionStatus::Running => {
                tally.oldest_open = tally.oldest_open.max(Some(span(execution.started_at, now)));
            }
        }
    }
    tallies
}

/// Refuses to give executions to a version that may not be started.
async fn may_route(
    work: &Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
    machine_arn: &str,
    decided: &AliasStatus,
) -> Result<(), Failure> {
    let rules = guardrails::rules(ctx, &work.namespace()).await?;
    let there = known(work, &decided.name).map(|known| known.routes).unwrap_or_default();
    let favoured = alias_move::favoured(&there, &decided.routes).into_iter();
    let runs = || Ok(favoured.filter_map(|version| Runs::of(&format!("{machine_arn}:{version}"))).collect());
    let checked =
        guardrails::may_start(ctx, &work.cause, &rules, &work.object, hands.binding, &decided.arn, runs).await;
    checked.map_err(|failure| {
        let message = format!("Alias \"{}\" is not moved. {}", decided.name, failure.message);
        Failure { message, ..failure }
    })
}

/// Notes in the status where the alias is about to route: runs by it are judged by that from now on.
async fn write_ahead(work: &mut Work<Workflow>, ctx: &Context, decided: &AliasStatus) -> Result<(), Failure> {
    if let Some(known) = work.status().aliases.iter_mut().find(|alias| alias.name == decided.name) {
        alias_move::ask(known, &decided.routes);
    }
    work.write(ctx).await
}

/// Creates or moves the alias.
async fn route(
    ctx: &Context,
    hands: &Hands<'_>,
    machine_arn: &str,
    is_new: bool,
    decided: &AliasStatus,
) -> Result<(), Failure> {
    fenced(ctx)?;
    let (routes, caller) = (arns(machine_arn, decided), hands.writer(ctx).await?);
    if is_new {
        match ctx.aliases.create_alias(&caller, &decided.name, &routes).await {
            // It is there with other routes: from a start of ours that was not recorded, or from before an adoption.
            Err(error) if error.code == "ConflictException" => {}
            other => return other.map_err(Into::into),
        }
    }
    ctx.aliases.update_alias(&caller, &decided.arn, &routes).await.map_err(Into::into)
}

async fn stop_running(
    ctx: &Context,
    caller: &Caller,
    machine_arn: &str,
    alias: &Alias,
    bad: i64,
    has_own_key: bool,
) -> Result<(), Failure> {
    if alias.rollout.as_ref().is_none_or(|rollout| rollout.on_rollback == OnRollback::Leave) {
        return Ok(());
    }
    let version = format!("{machine_arn}:{bad}");
    for execution in ctx.executions.list_executions(caller, &version, true).await? {
        fenced(ctx)?;
        let cause = format!("Version {bad} was rolled back.");
        let why = (!has_own_key).then_some(("Stepbound.RolledBack", cause.as_str()));
        ctx.executions.stop_execution(caller, &execution.arn, why).await?;
    }
    Ok(())
}

fn remember(work: &mut Work<Workflow>, decision: Decision) {
    let status = work.status();
    if let Some(bad) = decision.quarantine
        && !status.quarantined.contains(&bad)
    {
        status.quarantined.push(bad);
    }
    put(work, decision.status);
}

fn put(work: &mut Work<Workflow>, alias: AliasStatus) {
    let aliases = &mut work.status().aliases;
    match aliases.iter_mut().find(|known| known.name == alias.name) {
        Some(known) => *known = alias,
        None => aliases.push(alias),
    }
}

/// An alias that the spec no longer has is removed, where this object had made it. Gives why the first of those that AWS keeps is
/// still there.
async fn remove_dropped(
    work: &mut Work<Workflow>,
    ctx: &Context,
    hands: &Hands<'_>,
) -> Result<Option<Failure>, Failure> {
    let mut failed = None;
    let wanted: Vec<String> = work.object.spec.aliases.iter().map(|alias| alias.name.clone()).collect();
    let dropped: Vec<AliasStatus> =
        work.status().aliases.iter().filter(|alias| !wanted.contains(&alias.name)).cloned().collect();
    for alias in dropped {
        fenced(ctx)?;
        let caller = hands.writer(ctx).await?;
        match ctx.aliases.delete_alias(&caller, &alias.arn).await.map_err(Failure::from) {
            Ok(()) => work.status().aliases.retain(|known| known.name != alias.name),
            Err(failure) if matches!(failure.class, Class::Transient | Class::Conflict) => return Err(failure),
            Err(failure) => {
                failed.get_or_insert(failure);
            }
        }
    }
    Ok(failed)
}

/// The alias whose newest version was rolled back, for the conditions.
pub(super) fn rolled_back(aliases: &[AliasStatus]) -> Option<&AliasStatus> {
    aliases.iter().find(|alias| alias.phase == RolloutPhase::RolledBack)
}

/// The alias that is being rolled out, or waits to be, for the conditions.
pub(super) fn rolling_out(aliases: &[AliasStatus]) -> Option<&AliasStatus> {
    aliases.iter().find(|alias| is_under_way(Some(alias)) || alias.phase == RolloutPhase::Waiting)
}
