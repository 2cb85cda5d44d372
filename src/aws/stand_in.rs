//! A server for tests that records every request and answers as it is told.

#![allow(missing_docs)]

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use parking_lot::Mutex;
use url::Url;

use crate::config::Endpoints;

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Operation of a call to Step Functions.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target").rsplit('.').next().unwrap()
    }
}

pub(crate) fn step_functions_at(url: Url) -> Endpoints {
    Endpoints { step_functions: Some(url), ..Endpoints::default() }
}

pub(crate) struct StandIn {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl StandIn {
    /// Answers with status and body; every answer has another request id.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (record, answer) = (seen.clone(), Arc::new(answer));
        let router = Router::new().fallback(move |request: Request| {
            let (record, answer) = (record.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let body = String::from_utf8(body.to_vec()).unwrap();
                let one = Seen { path: parts.uri.path().to_owned(), headers: parts.headers, body };
                let (status, body) = answer(&one);
                let number = {
                    let mut record = record.lock();
                    record.push(one);
                    record.len()
                };
                let id = format!("00000000-0000-0000-0000-{number:012}");
                (StatusCode::from_u16(status).unwrap(), [("x-amzn-requestid", id)], body).into_response()
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url: format!("http://localhost:{port}").parse().unwrap(), seen }
    }

    /// Leads Step Functions here.
    pub(crate) fn endpoints(&self) -> Endpoints {
        step_functions_at(self.url.clone())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// How many requests had this path.
    pub(crate) fn count(&self, path_ends: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path.ends_with(path_ends)).count()
    }
}
