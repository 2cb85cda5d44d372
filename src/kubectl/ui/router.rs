//! Addresses, and the door before all of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::door::Verdict;
use super::site::{Asked, Site};
use super::{actions, live, problem, run_page, runs_page, schedules_page, trust_page, workflow_page, workflows_page};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// Nothing comes from anywhere else, nothing runs but the one script, and no other page may show this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types page";

const HEADERS: [(HeaderName, &str); 9] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Without any referrer a browser hides the origin of a form too, and the page would refuse its own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// Where a browser that came in goes on. It asks again from here, since a cookie of this kind is not sent along where another
/// program led the browser.
const ENTERED: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url=/\"><title>kubectl sfn</title><p><a href=\"/\">To the page</a></p></html>\n";

/// Forms carry names and reasons.
const LARGEST_FORM: usize = 16 * 1024;

/// All addresses.
pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(workflows_page::show))
        .route("/workflows/{namespace}/{name}", get(workflow_page::show))
        .route("/runs", get(runs_page::show))
        .route("/runs/{namespace}/{name}", get(run_page::show))
        .route("/runs/{namespace}/{name}/{action}", post(actions::act))
        .route("/schedules", get(schedules_page::show))
        .route("/trust", get(trust_page::show))
        .route("/live", get(live::live))
        .route("/page.css", get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }))
        .route("/graph.css", get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], graph_style()) }))
        .route("/page.js", get(|| async { ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT) }))
        .route("/icon.svg", get(|| async { ([(header::CONTENT_TYPE, "image/svg+xml")], ICON) }))
        // Browsers ask for this name by themselves, before they have read the page.
        .route("/favicon.ico", get(|| async { ([(header::CONTENT_TYPE, "image/svg+xml")], ICON) }))
        .fallback(|State(site): State<Arc<Site>>| async move { problem::nowhere(&site) })
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .layer(from_fn_with_state(Arc::clone(&site), guarded))
        .with_state(site)
}

/// The drawing's own rules, for drawings alone.
fn graph_style() -> String {
    format!(".graph svg{{{}}}\n", crate::graph::svg_rules())
}

async fn guarded(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let asked = Asked::read(request.uri().query().unwrap_or_default());
    let verdict = site.door.judge(request.method(), request.uri().path(), asked.get("token"), request.headers());
    let mut answer = match verdict {
        Verdict::Enters => {
            site.opened.done();
            ([(header::SET_COOKIE, site.door.cookie())], Html(ENTERED)).into_response()
        }
        Verdict::Again => Redirect::to("/").into_response(),
        Verdict::Served => next.run(request).await,
        Verdict::Refused(status, why) => (status, format!("{why}\n")).into_response(),
    };
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
