//! All workflows: whether they are ready, and how their runs go.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::Frame;
use super::rates::Rates;
use super::site::{Site, answer};
use super::store::{Key, Kind};
use super::told::Mark;

#[derive(Template)]
#[template(path = "ui/workflows.html")]
struct WorkflowsPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    namespace: Arc<str>,
    name: Arc<str>,
    ready: Mark,
    /// Why it is not ready.
    why: Option<(String, String)>,
    express: bool,
    suspended: bool,
    version: String,
    /// Aliases on their way from one version to another.
    rollouts: Vec<String>,
    success: Option<String>,
    median: Option<String>,
    runs: usize,
    open: usize,
    failed: usize,
}

pub(super) async fn show(State(site): State<Arc<Site>>) -> Response {
    let frame = Frame::new(&site, "Workflows", "workflows", &[Kind::Workflows, Kind::Runs]);
    let runs = site.store.runs.all(|_, _| true);
    let mut by_workflow = std::collections::BTreeMap::<Key, Rates>::new();
    for ((namespace, _), run) in &runs {
        by_workflow.entry((Arc::clone(namespace), Arc::from(&*run.workflow))).or_default().add(run);
    }
    let rows = site.store.workflows.all(|_, _| true).into_iter().map(|(key, workflow)| {
        let mut rates = by_workflow.remove(&key).unwrap_or_default();
        let ready = workflow.ready.as_ref();
        let why = ready.filter(|ready| ready.status != "True");
        let moving = workflow.aliases.iter().filter(|alias| alias.routes.len() > 1);
        Row {
            namespace: key.0,
            name: key.1,
            ready: Mark::condition(ready),
            why: why.map(|ready| (ready.reason.clone(), ready.message.clone())),
            express: workflow.express,
            suspended: workflow.suspended,
            version: workflow.version.map_or_else(|| "–".to_owned(), |version| version.to_string()),
            rollouts: moving.map(super::workflow_page::routes).collect(),
            success: rates.success(),
            median: rates.median(),
            runs: rates.all(),
            open: rates.open,
            failed: rates.failed,
        }
    });
    answer(StatusCode::OK, &WorkflowsPage { frame, rows: rows.collect() })
}
