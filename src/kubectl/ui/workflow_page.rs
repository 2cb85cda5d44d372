//! One workflow: its graph, its versions and how they do, rollouts, findings, and what its role needs.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use kube::Api;

use super::frame::Frame;
use super::rates::{Rates, rates};
use super::site::{Site, answer};
use super::store::{Kind, Sight};
use super::told::{Mark, Told};
use super::{machine, problem, runs_page};
use crate::api::v1alpha1::{AliasStatus, RolloutPhase, RunsAs, Workflow, WorkflowStatus, is_object_name};
use crate::iam::execution_role::Derived;
use crate::kubectl::machine as defined;
use crate::status::find;

/// Runs that are told.
const NEWEST: usize = 8;

#[derive(Template)]
#[template(path = "ui/workflow.html")]
struct WorkflowPage {
    frame: Frame,
    namespace: String,
    name: String,
    ready: Mark,
    why: Option<(String, String)>,
    facts: Vec<(&'static str, String)>,
    console: Option<String>,
    notes: Vec<String>,
    drawing: Option<String>,
    no_drawing: String,
    aliases: Vec<AliasRow>,
    versions: Vec<VersionRow>,
    findings: Vec<(Mark, String, String, String)>,
    needs: Vec<NeedRow>,
    open: Vec<(String, String)>,
    no_needs: String,
    policy: Option<String>,
    conditions: Vec<Told>,
    runs: Vec<runs_page::Row>,
    no_runs: &'static str,
}

struct AliasRow {
    name: String,
    phase: Mark,
    routes: String,
    message: String,
}

struct VersionRow {
    number: String,
    /// The aliases that lead to it, with their weights.
    routes: String,
    quarantined: bool,
    succeeded: usize,
    failed: usize,
    open: usize,
    success: Option<String>,
    median: Option<String>,
    /// What differs from the version before it, in what it runs as.
    differs: Vec<String>,
}

struct NeedRow {
    state: String,
    why: String,
    actions: Vec<String>,
    resources: Vec<String>,
}

pub(super) async fn show(State(site): State<Arc<Site>>, Path((namespace, name)): Path<(String, String)>) -> Response {
    if !is_object_name(&namespace) || !is_object_name(&name) {
        return problem::nowhere(&site);
    }
    let kinds = [Kind::Workflows, Kind::Runs];
    let mut frame = Frame::new(&site, &name, "workflows", &kinds).of_one(Kind::Workflows, &namespace, &name);
    frame.live.push_str(",runs");
    let workflows: Api<Workflow> = Api::namespaced(site.cluster.client.clone(), &namespace);
    match workflows.get(&name).await {
        Ok(workflow) => answer(StatusCode::OK, &page(&site, frame, namespace, name, &workflow).await),
        Err(error) => problem::refused(
            &site,
            "workflows",
            &format!("get Workflow \"{name}\" in namespace \"{namespace}\""),
            error,
        ),
    }
}

async fn page(site: &Site, frame: Frame, namespace: String, name: String, workflow: &Workflow) -> WorkflowPage {
    let status = workflow.status.clone().unwrap_or_default();
    let defined = defined::definition(&site.cluster, &namespace, workflow).await;
    let title = format!("Graph of Workflow {name}");
    let drawn = defined.as_ref().map_err(Clone::clone).and_then(|(definition, _)| {
        let drawing = machine::drawing(definition, &title, None);
        drawing.ok_or_else(|| "The definition has no state that can be drawn.".to_owned())
    });
    let binding = &workflow.spec.trust_binding_ref.name;
    let region = site.store.bindings.get(&namespace, binding).map(|binding| binding.spec.region.clone());
    let needed = match &defined {
        Ok((definition, _)) => defined::needs(workflow, region.as_deref(), definition)
            .ok_or_else(|| format!("TrustBinding \"{binding}\" cannot be seen, so the region is not known.")),
        Err(why) => Err(why.clone()),
    };
    let mut own = site.store.runs.all(|key, run| *key.0 == *namespace && *run.workflow == *name);
    let by_version = rates(own.iter().map(|(_, run)| &**run), |run| Some(run.version));
    own.sort_unstable_by_key(|(_, run)| std::cmp::Reverse(run.created));
    let now = Timestamp::now();
    let ready = find(&status.conditions, "Ready");
    WorkflowPage {
        ready: Mark::condition(ready),
        why: ready.filter(|ready| ready.status != "True").map(|ready| (ready.reason.clone(), ready.message.clone())),
        facts: facts(workflow, &status),
        console: status.console_url.clone().filter(|url| url.starts_with("https://")),
        notes: defined.as_ref().map(|(_, notes)| notes.clone()).unwrap_or_default(),
        no_drawing: drawn.as_ref().err().cloned().unwrap_or_default(),
        drawing: drawn.ok(),
        aliases: status.aliases.iter().map(alias).collect(),
        versions: versions(&status, by_version),
        findings: findings(&status),
        needs: needed.as_ref().map(need_rows).unwrap_or_default(),
        open: needed.as_ref().map(open).unwrap_or_default(),
        policy: needed.as_ref().ok().filter(|needed| !needed.needs.is_empty()).map(|needed| needed.document().pretty()),
        no_needs: needed.err().unwrap_or_default(),
        conditions: status.conditions.iter().map(Told::of).collect(),
        no_runs: no_runs(&site.store.runs.sight(), &namespace),
        runs: own.iter().take(NEWEST).map(|(key, run)| runs_page::row(key, run, now)).collect(),
        frame,
        namespace,
        name,
    }
}

/// Why no run is shown. That there is none is known only where all of them may be seen.
fn no_runs(sight: &Sight, namespace: &str) -> &'static str {
    let is_elsewhere = sight.within.as_deref().is_some_and(|within| within != namespace);
    match () {
        () if sight.trouble.is_some() || is_elsewhere => "There are no runs that you may see.",
        () if !sight.complete => "The runs are still being read.",
        () => "There are no runs yet.",
    }
}

fn facts(workflow: &Workflow, status: &WorkflowStatus) -> Vec<(&'static str, String)> {
    let spec = &workflow.spec;
    [
        ("Type", Some(format!("{:?}", spec.machine_type))),
        ("TrustBinding", Some(spec.trust_binding_ref.name.clone())),
        ("Execution role", Some(spec.execution_role_arn.clone())),
        ("State machine", status.state_machine_arn.clone()),
        ("Runs at once", spec.max_concurrent_runs.map(|most| format!("at most {most}"))),
        ("Suspended", spec.suspend.then(|| "yes: nothing is reconciled".to_owned())),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| (name, value)))
    .collect()
}

/// `live: 90 % version 4, 10 % version 5`
pub(super) fn routes(alias: &AliasStatus) -> String {
    let routes = alias.routes.iter().map(|route| format!("{} % version {}", route.weight, route.version));
    format!("{}: {}", alias.name, routes.collect::<Vec<_>>().join(", "))
}

fn alias(alias: &AliasStatus) -> AliasRow {
    let (word, look) = match alias.phase {
        RolloutPhase::Stable => ("Stable", "good"),
        RolloutPhase::Waiting => ("Waiting", "wait"),
        RolloutPhase::RollingOut => ("Rolling out", "run"),
        RolloutPhase::Paused => ("Paused", "wait"),
        RolloutPhase::RolledBack => ("Rolled back", "bad"),
    };
    let routes = alias.routes.iter().map(|route| format!("version {} {} %", route.version, route.weight));
    AliasRow {
        name: alias.name.clone(),
        phase: Mark { word, look },
        routes: routes.collect::<Vec<_>>().join(" · "),
        message: alias.message.clone(),
    }
}

/// The newest first; runs without a version count for the state machine itself.
fn versions(status: &WorkflowStatus, mut rates: std::collections::BTreeMap<Option<i64>, Rates>) -> Vec<VersionRow> {
    let mut rows = Vec::new();
    let mut row = |number: String, version: Option<i64>, differs| {
        let mut rates = rates.remove(&version).unwrap_or_default();
        let routes = status.aliases.iter().flat_map(|alias| {
            let own = alias.routes.iter().filter(|route| Some(route.version) == version);
            own.map(|route| format!("{} {} %", alias.name, route.weight))
        });
        rows.push(VersionRow {
            number,
            routes: routes.collect::<Vec<_>>().join(", "),
            quarantined: version.is_some_and(|version| status.quarantined.contains(&version)),
            succeeded: rates.succeeded,
            failed: rates.failed,
            open: rates.open,
            success: rates.success(),
            median: rates.median(),
            differs,
        });
    };
    let as_what = |version: i64| status.runs_as.iter().find(|one| one.versions.contains(&version));
    for (at, version) in status.versions.iter().enumerate().rev() {
        let before = at.checked_sub(1).and_then(|at| status.versions.get(at));
        let differs = match before.map(|before| (as_what(*before), as_what(*version))) {
            Some((Some(old), Some(new))) => differs(old, new),
            Some(_) => vec!["What it runs as is not known here.".to_owned()],
            None => Vec::new(),
        };
        row(version.to_string(), Some(*version), differs);
    }
    if status.versions.is_empty() {
        row("Without version".to_owned(), None, Vec::new());
    }
    rows
}

/// What differs in role, integrations and accounts.
fn differs(old: &RunsAs, new: &RunsAs) -> Vec<String> {
    if old.omitted || new.omitted {
        return vec!["What it runs as is too large to be kept in the status.".to_owned()];
    }
    let mut told = Vec::new();
    if old.execution_role_arn != new.execution_role_arn {
        told.push(format!("role {} instead of {}", new.execution_role_arn, old.execution_role_arn));
    }
    let mut lists = |what: &str, old: &[String], new: &[String]| {
        let more = new.iter().filter(|one| !old.contains(one)).map(|one| format!("+ {what} {one}"));
        let less = old.iter().filter(|one| !new.contains(one)).map(|one| format!("− {what} {one}"));
        told.extend(more.chain(less));
    };
    lists("integration", &old.integrations, &new.integrations);
    lists("account", &old.account_ids, &new.account_ids);
    if old.from_config_map != new.from_config_map {
        told.push(format!(
            "definition {} a ConfigMap",
            if new.from_config_map { "now from" } else { "no longer from" }
        ));
    }
    told
}

fn findings(status: &WorkflowStatus) -> Vec<(Mark, String, String, String)> {
    let all = status.diagnostics.iter();
    all.map(|one| (Mark::severity(&one.severity), one.code.clone(), one.path.clone(), one.message.clone())).collect()
}

fn need_rows(derived: &Derived) -> Vec<NeedRow> {
    let rows = derived.needs.iter().map(|need| NeedRow {
        state: if need.reason.state.is_empty() { "The machine".to_owned() } else { need.reason.state.clone() },
        why: need.reason.why.clone(),
        actions: need.actions.clone(),
        resources: need.resources.clone(),
    });
    rows.collect()
}

fn open(derived: &Derived) -> Vec<(String, String)> {
    derived.findings.iter().map(|one| (one.state.clone(), one.message.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_say_what_differs_in_what_they_run_as() {
        let runs_as = |role: &str, integrations: &[&str], accounts: &[&str]| RunsAs {
            execution_role_arn: role.into(),
            integrations: integrations.iter().map(|&one| one.into()).collect(),
            account_ids: accounts.iter().map(|&one| one.into()).collect(),
            ..RunsAs::default()
        };
        let old = runs_as("arn:a", &["lambda:invoke", "sqs:sendMessage"], &[]);
        assert_eq!(differs(&old, &old), Vec::<String>::new());
        let new = runs_as("arn:b", &["lambda:invoke", "sns:publish"], &["111122223333"]);
        assert_eq!(
            differs(&old, &new),
            [
                "role arn:b instead of arn:a",
                "+ integration sns:publish",
                "− integration sqs:sendMessage",
                "+ account 111122223333"
            ]
        );
        let cut = RunsAs { omitted: true, ..new };
        assert_eq!(differs(&old, &cut), ["What it runs as is too large to be kept in the status."]);
    }
}
