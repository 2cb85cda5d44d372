//! The page that says why there is no other one.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::Frame;
use super::site::{Site, answer};
use crate::kubectl::KubectlError;

#[derive(Template)]
#[template(path = "ui/problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    said: &'a str,
}

/// Says why there is no page.
pub(super) fn problem(site: &Site, place: &'static str, status: StatusCode, title: &str, said: &str) -> Response {
    answer(status, &ProblemPage { frame: Frame::new(site, title, place, &[]), said })
}

/// Says that an address leads nowhere.
pub(super) fn nowhere(site: &Site) -> Response {
    let said = "There is no such page. The navigation leads to those that there are.";
    problem(site, "", StatusCode::NOT_FOUND, "Not found", said)
}

/// Says what the API server answered.
pub(super) fn refused(site: &Site, place: &'static str, asked: &str, error: kube::Error) -> Response {
    let (status, title) = match &error {
        kube::Error::Api(status) if status.code == 404 => (StatusCode::NOT_FOUND, "Not found"),
        kube::Error::Api(status) if status.code == 403 => (StatusCode::FORBIDDEN, "Not allowed"),
        kube::Error::Api(status) if status.code == 409 || status.code == 422 => (StatusCode::CONFLICT, "Refused"),
        _ => (StatusCode::BAD_GATEWAY, "The API server did not answer"),
    };
    problem(site, place, status, title, &KubectlError::of(asked, error).to_string())
}
