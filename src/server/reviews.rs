//! Reviews of the API server: whose a token is, and what somebody may.

use axum::http::{HeaderMap, header};
use kube::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroize;

use crate::outcome::bounded;

/// Longest token that is looked at, in bytes; those of Kubernetes have about 1,000.
pub(super) const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Why there is no review.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NoReview {
    /// The API server refuses whoever asks.
    #[error("the API server refuses it: {0}")]
    Forbidden(String),
    /// The API server could not be asked, or did not answer as it should.
    #[error("{0}")]
    Failed(String),
}

/// Asks for a review. As text both ways: the typed call logs an answer that it cannot read, and this one repeats the token.
pub(super) async fn review<S: DeserializeOwned>(client: &Client, path: &str, review: Value) -> Result<S, NoReview> {
    #[derive(Deserialize)]
    struct Answer<S> {
        status: S,
    }
    let failed = |problem: &str| NoReview::Failed(problem.to_owned());
    let request = http::Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(review.to_string().into_bytes())
        .map_err(|_| failed("the request cannot be built"))?;
    let mut answer = match client.request_text(request).await {
        Ok(answer) => answer,
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Err(NoReview::Forbidden(bounded(&status.message)));
        }
        Err(kube::Error::Api(status)) => return Err(NoReview::Failed(format!("it answered {}", status.code))),
        Err(_) => return Err(failed("it could not be reached")),
    };
    let read = serde_json::from_str(&answer).map(|answer: Answer<S>| answer.status);
    answer.zeroize();
    read.map_err(|_| failed("its answer is no review"))
}

/// What a review of a token says.
#[derive(Deserialize)]
pub(super) struct TokenStatus {
    #[serde(default)]
    pub authenticated: bool,
    pub user: Option<User>,
    #[serde(default)]
    pub audiences: Vec<String>,
}

/// Whose a token is.
#[derive(Deserialize)]
pub(super) struct User {
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub uid: String,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub extra: Value,
}

/// The token of the one header that carries it.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let fits = !token.is_empty() && token.len() <= MAX_TOKEN_BYTES;
    (scheme.eq_ignore_ascii_case("bearer") && fits).then_some(token)
}
