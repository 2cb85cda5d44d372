//! Where the rollout of an alias stands, in words; and what an alias becomes by a wish.

use jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::{Alias, AliasStatus, RolloutPhase, RolloutStrategy, Workflow};
use crate::kubectl::words::{age, since};

/// Annotation with the names of the aliases that are held, separated by commas.
pub(super) const PAUSE: &str = "stepbound.dev/pause";
/// Annotation that names an alias and the version that takes over at once: `live/5`.
pub(super) const PROMOTE: &str = "stepbound.dev/promote";

/// Whether there is anything left to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The newest version that may serve serves all.
    Done,
    /// It goes on by itself.
    Waiting,
    /// It goes on when somebody resumes it.
    Paused,
    /// It will not go on.
    Failed,
}

/// Where a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub standing: Standing,
    /// The one line that says it.
    pub headline: String,
    /// Weights, and what it waits for.
    pub details: Vec<String>,
}

/// The alias that is meant: the one that was named, else the only one with a rollout, else the only one.
pub(super) fn chosen<'a>(workflow: &'a Workflow, wanted: Option<&str>) -> Result<&'a Alias, String> {
    let aliases = &workflow.spec.aliases;
    let names = |of: &[&Alias]| of.iter().map(|alias| alias.name.clone()).collect::<Vec<_>>().join(", ");
    let all: Vec<&Alias> = aliases.iter().collect();
    let name = workflow.metadata.name.as_deref().unwrap_or_default();
    if let Some(wanted) = wanted {
        let found = aliases.iter().find(|alias| alias.name == wanted);
        return found.ok_or_else(|| match names(&all) {
            none if none.is_empty() => format!("Workflow \"{name}\" has no alias; add one to spec.aliases"),
            known => format!("Workflow \"{name}\" has no alias \"{wanted}\"; it has {known}"),
        });
    }
    let rolling: Vec<&Alias> = aliases.iter().filter(|alias| alias.rollout.is_some()).collect();
    match (rolling.as_slice(), all.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one),
        (_, []) => Err(format!("Workflow \"{name}\" has no alias; add one with a rollout to spec.aliases")),
        ([], several) | (several, _) => {
            Err(format!("Workflow \"{name}\" has several aliases; choose one with --alias: {}", names(several)))
        }
    }
}

/// What is known of an alias.
pub(super) fn known<'a>(workflow: &'a Workflow, alias: &str) -> Option<&'a AliasStatus> {
    workflow.status.as_ref()?.aliases.iter().find(|one| one.name == alias)
}

/// Looks.
pub(super) fn look(workflow: &Workflow, alias: &Alias, now: Timestamp) -> Look {
    let name = workflow.metadata.name.as_deref().unwrap_or_default();
    let whose = format!("workflow \"{name}\" alias \"{}\"", alias.name);
    let stalled = stalled(workflow);
    let seen =
        workflow.status.as_ref().is_some_and(|status| status.observed_generation == workflow.metadata.generation);
    let standing = |standing, headline, details| Look { standing, headline, details };
    if let Some(why) = stalled {
        return standing(Standing::Failed, format!("{whose} goes no further: {why}"), Vec::new());
    }
    if !seen {
        let headline = format!("Waiting for the operator to see the newest spec of {whose}...");
        return standing(Standing::Waiting, headline, Vec::new());
    }
    let Some(status) = known(workflow, &alias.name) else {
        return standing(Standing::Waiting, format!("Waiting for {whose} to be made..."), Vec::new());
    };
    let details = details(workflow, alias, status, now);
    let says = |otherwise: String| if status.message.is_empty() { otherwise } else { status.message.clone() };
    let serving = status.routes.first().map_or(0, |route| route.version);
    match status.phase {
        RolloutPhase::RolledBack => {
            let headline = format!("{whose} was rolled back: {}", says(format!("version {serving} serves all")));
            standing(Standing::Failed, headline, details)
        }
        RolloutPhase::Stable if wanted(workflow, alias).is_none_or(|wanted| wanted == serving) => {
            standing(Standing::Done, format!("{whose} successfully rolled out: version {serving} serves all"), details)
        }
        RolloutPhase::Stable if is_quarantined(workflow, alias) => {
            let headline = format!("{whose} stays at version {serving}: the newest version was rolled back");
            standing(Standing::Failed, headline, details)
        }
        RolloutPhase::Stable => {
            let wanted = wanted(workflow, alias).unwrap_or_default();
            standing(Standing::Waiting, format!("Waiting for {whose} to begin with version {wanted}..."), details)
        }
        RolloutPhase::Paused => {
            standing(Standing::Paused, format!("Waiting: {whose} is paused: {}", says(told(status))), details)
        }
        RolloutPhase::Waiting | RolloutPhase::RollingOut => {
            let headline = format!("Waiting: {whose} is rolling out: {}", says(told(status)));
            standing(Standing::Waiting, headline, details)
        }
    }
}

/// The version that the alias is to reach.
fn wanted(workflow: &Workflow, alias: &Alias) -> Option<i64> {
    alias.version.or_else(|| Some(workflow.status.as_ref()?.latest_version.as_ref()?.number))
}

fn is_quarantined(workflow: &Workflow, alias: &Alias) -> bool {
    let status = workflow.status.as_ref();
    wanted(workflow, alias).is_some_and(|wanted| status.is_some_and(|status| status.quarantined.contains(&wanted)))
}

fn stalled(workflow: &Workflow) -> Option<String> {
    let conditions = &workflow.status.as_ref()?.conditions;
    let stalled = conditions.iter().find(|one| one.type_ == "Stalled" && one.status == "True")?;
    Some(format!("{}: {}", stalled.reason, stalled.message))
}

fn told(status: &AliasStatus) -> String {
    let routes = status.routes.iter().map(|route| format!("version {} gets {} %", route.version, route.weight));
    routes.collect::<Vec<_>>().join(", ")
}

/// Weights by version, and when the next step is due.
fn details(workflow: &Workflow, alias: &Alias, status: &AliasStatus, now: Timestamp) -> Vec<String> {
    let quarantined = workflow.status.as_ref().map(|status| status.quarantined.as_slice()).unwrap_or_default();
    let mut lines: Vec<String> = status
        .routes
        .iter()
        .map(|route| {
            let new = if status.target == Some(route.version) { "   new" } else { "" };
            format!("version {:<4} {:>3} %{new}", route.version, route.weight)
        })
        .collect();
    let others = status.target.filter(|target| status.routes.iter().all(|route| route.version != *target));
    lines.extend(others.map(|target| {
        let what = if quarantined.contains(&target) { "rolled back" } else { "new" };
        format!("version {target:<4}   0 %   {what}")
    }));
    let mut times = Vec::new();
    times.extend(status.began_at.as_ref().map(|time| format!("began {} ago", since(time.0, now))));
    times.extend(status.shifted_at.as_ref().map(|time| format!("weights moved {} ago", since(time.0, now))));
    times.extend(next_step(alias, status, now));
    if !times.is_empty() {
        lines.push(times.join(", "));
    }
    lines
}

/// When the weights may move next, where only time is missing.
fn next_step(alias: &Alias, status: &AliasStatus, now: Timestamp) -> Option<String> {
    let rollout = alias.rollout.as_ref().filter(|rollout| rollout.strategy != RolloutStrategy::AllAtOnce)?;
    if status.phase != RolloutPhase::RollingOut {
        return None;
    }
    let interval = SignedDuration::try_from(rollout.interval.as_ref()?.to_std()?).ok()?;
    let left = interval - now.duration_since(status.shifted_at.as_ref()?.0);
    (left > SignedDuration::ZERO).then(|| format!("next step in {} at the earliest", age(left)))
}

/// The value of the annotation that holds these and the alias, or without it.
pub(super) fn paused(names: Option<&str>, alias: &str, pause: bool) -> Option<String> {
    let mut held: Vec<&str> = names.into_iter().flat_map(|names| names.split(',')).map(str::trim).collect();
    held.retain(|name| !name.is_empty() && *name != alias);
    if pause {
        held.push(alias);
    }
    (!held.is_empty()).then(|| held.join(","))
}

/// True while the alias is held.
pub(super) fn is_paused(names: Option<&str>, alias: &str) -> bool {
    names.is_some_and(|names| names.split(',').any(|name| name.trim() == alias))
}

/// The version that a promotion gives all executions.
pub(super) fn promotable(workflow: &Workflow, alias: &Alias) -> Result<i64, String> {
    let name = workflow.metadata.name.as_deref().unwrap_or_default();
    let whose = format!("workflow \"{name}\" alias \"{}\"", alias.name);
    let Some(status) = known(workflow, &alias.name) else {
        return Err(format!("{whose} is not made yet"));
    };
    let serving = status.routes.first().map_or(0, |route| route.version);
    match (status.phase, status.target, wanted(workflow, alias)) {
        (RolloutPhase::RolledBack, Some(bad), _) => Err(format!(
            "version {bad} of {whose} was rolled back and is not promoted; correct the definition and apply it, which begins a new rollout"
        )),
        (RolloutPhase::RollingOut | RolloutPhase::Paused, Some(target), _) => Ok(target),
        (_, _, Some(wanted)) if wanted != serving && !is_quarantined(workflow, alias) => Ok(wanted),
        _ => Err(format!("there is nothing to promote: version {serving} of {whose} serves all")),
    }
}

/// The version that was before, or the one that was asked for.
pub(super) fn before(workflow: &Workflow, alias: &Alias, asked: Option<i64>) -> Result<i64, String> {
    let name = workflow.metadata.name.as_deref().unwrap_or_default();
    let whose = format!("workflow \"{name}\" alias \"{}\"", alias.name);
    let Some(status) = known(workflow, &alias.name) else { return Err(format!("{whose} is not made yet")) };
    let versions = workflow.status.as_ref().map(|status| status.versions.as_slice()).unwrap_or_default();
    let told = || versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if let Some(asked) = asked {
        let is_kept = versions.contains(&asked);
        return if is_kept { Ok(asked) } else { Err(format!("{whose} has no version {asked}; kept are {}", told())) };
    }
    let serving = status.routes.first().map_or(0, |route| route.version);
    // While two share, the old one is the one before.
    if status.routes.len() > 1 || status.phase == RolloutPhase::Waiting {
        return Ok(serving);
    }
    if serving == 1 {
        return Err(format!("version 1 serves all of {whose} and is the first: there is none before it to go back to"));
    }
    let earlier = versions.iter().copied().filter(|version| *version < serving).max();
    earlier.ok_or_else(|| {
        format!("no version before {serving} of {whose} is kept (kept: {}); see spec.versions.retain", told())
    })
}

/// The aliases with this one at the version.
pub(super) fn pinned(aliases: &[Alias], name: &str, version: i64) -> Vec<Alias> {
    let pin = |alias: &Alias| {
        if alias.name == name {
            return Alias { version: Some(version), rollout: None, ..alias.clone() };
        }
        alias.clone()
    };
    aliases.iter().map(pin).collect()
}

#[cfg(test)]
mod tests;
