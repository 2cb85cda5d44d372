//! Runs: filtered, searched, a page at a time, newest first.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};

use super::frame::Frame;
use super::kept::Run;
use super::site::{Asked, Site, answer};
use super::store::{Key, Kind};
use super::told::{Mark, When, took};
use crate::api::v1alpha1::Phase;

/// Runs of one page.
const A_PAGE: usize = 50;

#[derive(Template)]
#[template(path = "ui/runs.html")]
struct RunsPage<'a> {
    frame: Frame,
    filter: Filter<'a>,
    namespaces: Vec<Arc<str>>,
    workflows: Vec<Box<str>>,
    phases: Vec<(Mark, usize, String, bool)>,
    rows: Vec<Row>,
    /// How many match.
    found: usize,
    /// How many there are.
    all: usize,
    first: usize,
    last: usize,
    before: Option<String>,
    after: Option<String>,
}

pub(super) struct Row {
    pub namespace: Arc<str>,
    pub name: Arc<str>,
    pub workflow: Box<str>,
    pub mark: Mark,
    pub detail: Option<Box<str>>,
    pub by: Option<Box<str>>,
    pub created: Option<When>,
    pub took: Option<String>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Filter<'a> {
    namespace: Option<&'a str>,
    workflow: Option<&'a str>,
    phase: Option<&'a str>,
    by: Option<&'a str>,
    text: Option<&'a str>,
}

impl<'a> Filter<'a> {
    fn of(asked: &'a Asked) -> Self {
        Self {
            namespace: asked.get("namespace"),
            workflow: asked.get("workflow"),
            phase: asked.get("phase"),
            by: asked.get("by"),
            text: asked.get("q"),
        }
    }

    /// All but the phase, which is counted.
    fn takes(&self, key: &Key, run: &Run) -> bool {
        let has = |wanted: Option<&str>, text: Option<&str>| {
            wanted.is_none_or(|wanted| text.is_some_and(|text| text.to_lowercase().contains(&wanted.to_lowercase())))
        };
        self.namespace.is_none_or(|namespace| *key.0 == *namespace)
            && self.workflow.is_none_or(|workflow| *run.workflow == *workflow)
            && has(self.by, run.by.as_deref())
            && (has(self.text, Some(&*key.1)) || has(self.text, run.detail.as_deref()))
    }

    fn takes_phase(&self, phase: Phase) -> bool {
        self.phase.is_none_or(|wanted| wanted == phase.as_str())
    }
}

pub(super) async fn show(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref().unwrap_or_default());
    let filter = Filter::of(&asked);
    let frame = Frame::new(&site, "Runs", "runs", &[Kind::Runs]);
    let all = site.store.runs.all(|_, _| true);
    let mut counts = [0; Phase::ALL.len()];
    let mut found: Vec<&(Key, Arc<Run>)> = Vec::new();
    for one in all.iter().filter(|(key, run)| filter.takes(key, run)) {
        if let Some(at) = Phase::ALL.iter().position(|phase| *phase == one.1.phase) {
            counts[at] += 1;
        }
        if filter.takes_phase(one.1.phase) {
            found.push(one);
        }
    }
    found.sort_unstable_by(|a, b| (Reverse(a.1.created), &a.0).cmp(&(Reverse(b.1.created), &b.0)));
    let pages = found.len().div_ceil(A_PAGE).max(1);
    let page = asked.get("page").and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, pages);
    let first = (page - 1) * A_PAGE;
    let now = Timestamp::now();
    let rows: Vec<Row> = found.iter().skip(first).take(A_PAGE).map(|(key, run)| row(key, run, now)).collect();
    let link = |page: usize| format!("?{}", asked.with("page", &page.to_string()));
    let (before, after) = ((page > 1).then(|| link(page - 1)), (page < pages).then(|| link(page + 1)));
    let (mut namespaces, mut workflows): (Vec<_>, Vec<_>) =
        all.iter().map(|(key, run)| (Arc::clone(&key.0), run.workflow.clone())).unzip();
    namespaces.dedup();
    workflows.sort_unstable();
    workflows.dedup();
    let phases =
        Phase::ALL.iter().zip(counts).filter(|(phase, count)| *count > 0 || filter.phase == Some(phase.as_str()));
    let phases = phases.map(|(phase, count)| {
        let chosen = filter.phase == Some(phase.as_str());
        // The one that is chosen leads back to all of them.
        let leads = if chosen { asked.without(&["phase", "page"]) } else { asked.with_first("phase", phase.as_str()) };
        (Mark::phase(*phase), count, format!("?{leads}"), chosen)
    });
    let phases = phases.collect();
    let (found, last) = (found.len(), first + rows.len());
    let page = RunsPage {
        frame,
        filter,
        namespaces,
        workflows,
        phases,
        rows,
        found,
        all: all.len(),
        first: first + 1,
        last,
        before,
        after,
    };
    answer(StatusCode::OK, &page)
}

/// A run as a row.
pub(super) fn row(key: &Key, run: &Run, now: Timestamp) -> Row {
    let going = || run.started.filter(|_| !run.phase.is_finished()).map(|started| now.duration_since(started));
    let length = run.ran.map(SignedDuration::from_millis).filter(|_| run.phase.is_finished());
    let length = length.or_else(|| Some(run.finished?.duration_since(run.started?))).or_else(going);
    Row {
        namespace: Arc::clone(&key.0),
        name: Arc::clone(&key.1),
        workflow: run.workflow.clone(),
        mark: Mark::phase(run.phase),
        detail: run.detail.clone(),
        by: run.by.clone(),
        created: run.created.map(|created| When::of(created, now)),
        took: length.map(took),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_what_is_asked_for() {
        let run = Run {
            workflow: "fulfil".into(),
            version: None,
            phase: Phase::Failed,
            created: None,
            started: None,
            finished: None,
            ran: None,
            by: Some("Anna@shop.example".into()),
            detail: Some("Stock.Empty in Pack".into()),
        };
        let key: Key = ("shop".into(), "order-4711".into());
        for (query, found) in [
            ("", true),
            ("namespace=&phase=&q=", true),
            ("namespace=shop&workflow=fulfil&phase=Failed&by=anna&q=4711", true),
            ("q=stock.empty", true),
            ("q=nothing", false),
            ("namespace=sho", false),
            ("workflow=ful", false),
            ("by=bob", false),
            ("phase=Succeeded", false),
        ] {
            let asked = Asked::read(query);
            let filter = Filter::of(&asked);
            assert_eq!(filter.takes(&key, &run) && filter.takes_phase(run.phase), found, "{query}");
        }
    }
}
