//! Who may read the metrics. The API server says whose token it is (`TokenReview`) and whether that user may `get` the
//! path (`SubjectAccessReview`), as other controllers have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use kube::Client;
use moka::Expiry;
use moka::future::Cache;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use zeroize::Zeroize;

use crate::outcome::bounded;

/// The path of the metrics, as a rule's `nonResourceURLs` names it.
const PATH: &str = "/metrics";
/// Longest token that is looked at, in bytes; those of Kubernetes have about 1,000.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// How long a reader may still read after its token or its right has gone.
const MAY_READ_FOR: Duration = Duration::from_secs(60);
/// How long a refusal holds after the right was given.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Verdicts that are kept.
const MAX_VERDICTS: u64 = 256;
/// Reviews that are asked for at once, so that guessing tokens here is no load for the API server.
const MAX_REVIEWS: usize = 4;
/// Longest wait for a verdict, the turn for a review included.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// What the API server says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its user may read the metrics.
    MayRead,
    /// This user may not.
    MayNot(Arc<str>),
    /// It is nobody's: wrong, expired, or for another audience.
    Unknown,
}

/// Why there is no verdict. Nobody reads metrics then.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ReviewError {
    /// The API server refuses the operator.
    #[error(
        "the API server does not let the operator ask who reads metrics: {0}. It needs the verb create on tokenreviews and subjectaccessreviews"
    )]
    Forbidden(String),
    /// The API server could not be asked, or did not answer as it should.
    #[error("the API server could not be asked who reads metrics: {0}")]
    Failed(String),
}

/// Asks the API server, and remembers its verdicts for a moment. Tokens are not kept, only their digests.
pub(super) struct Readers {
    client: Client,
    verdicts: Cache<[u8; 32], Verdict>,
    reviews: Semaphore,
}

struct Lifetimes;

impl Expiry<[u8; 32], Verdict> for Lifetimes {
    fn expire_after_create(&self, _: &[u8; 32], verdict: &Verdict, _: Instant) -> Option<Duration> {
        Some(if *verdict == Verdict::MayRead { MAY_READ_FOR } else { REFUSED_FOR })
    }
}

impl Readers {
    /// Asks with the operator's own rights.
    pub(super) fn new(client: Client) -> Self {
        let verdicts = Cache::builder().max_capacity(MAX_VERDICTS).expire_after(Lifetimes).build();
        Self { client, verdicts, reviews: Semaphore::new(MAX_REVIEWS) }
    }

    /// Whether the bearer of a token may read the metrics. Several who ask with the same token share one review.
    ///
    /// # Errors
    /// When the API server gives no verdict. That is not remembered.
    pub(super) async fn verdict(&self, token: &str) -> Result<Verdict, ReviewError> {
        let key = Sha256::digest(token).into();
        let verdict = self.verdicts.try_get_with(key, async {
            let asked = tokio::time::timeout(REVIEW_TIMEOUT, self.ask(token)).await;
            asked.map_err(|_| ReviewError::Failed("it did not answer in time".into()))?
        });
        verdict.await.map_err(|error| (*error).clone())
    }

    async fn ask(&self, token: &str) -> Result<Verdict, ReviewError> {
        let _turn = self.reviews.acquire().await.map_err(|error| ReviewError::Failed(error.to_string()))?;
        // No audience is named: the token has to be for the API server itself, as an account's own token is.
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let review: TokenStatus = self.create("/apis/authentication.k8s.io/v1/tokenreviews", review).await?;
        let Some(user) = review.user.filter(|user| review.authenticated && !user.username.is_empty()) else {
            tracing::debug!("a reader of metrics showed a token that is nobody's");
            return Ok(Verdict::Unknown);
        };
        let name = bounded(&user.username);
        let attributes = json!({"path": PATH, "verb": "get"});
        let User { username, uid, groups, extra } = user;
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": username, "uid": uid, "groups": groups, "extra": extra, "nonResourceAttributes": attributes}});
        let review: AccessStatus = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review).await?;
        if review.allowed && !review.denied {
            return Ok(Verdict::MayRead);
        }
        tracing::info!(user = name, "may not read the metrics");
        Ok(Verdict::MayNot(name.into()))
    }

    /// As text both ways: the typed call logs an answer that it cannot read, and this one repeats the token.
    async fn create<S: DeserializeOwned>(&self, path: &str, review: Value) -> Result<S, ReviewError> {
        #[derive(Deserialize)]
        struct Answer<S> {
            status: S,
        }
        let failed = |problem: &str| ReviewError::Failed(problem.to_owned());
        let request = http::Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(review.to_string().into_bytes())
            .map_err(|_| failed("the request cannot be built"))?;
        let mut answer = match self.client.request_text(request).await {
            Ok(answer) => answer,
            Err(kube::Error::Api(status)) if status.code == 403 => {
                return Err(ReviewError::Forbidden(bounded(&status.message)));
            }
            Err(kube::Error::Api(status)) => return Err(ReviewError::Failed(format!("it answered {}", status.code))),
            Err(_) => return Err(failed("it could not be reached")),
        };
        let read = serde_json::from_str(&answer).map(|answer: Answer<S>| answer.status);
        answer.zeroize();
        read.map_err(|_| failed("its answer is no review"))
    }
}

#[derive(Deserialize)]
struct TokenStatus {
    #[serde(default)]
    authenticated: bool,
    user: Option<User>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: Value,
}

#[derive(Deserialize)]
struct AccessStatus {
    #[serde(default)]
    allowed: bool,
    #[serde(default)]
    denied: bool,
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

/// What a user is told who may not read, with what gives the right.
pub(super) fn refusal(user: &str) -> String {
    let subject = match user.strip_prefix("system:serviceaccount:") {
        Some(account) => format!("--serviceaccount={account}"),
        None => format!("--user='{user}'"),
    };
    format!(
        "{user} may not get {PATH}. The right is given with\n  \
         kubectl create clusterrole read-stepbound-metrics --verb=get --non-resource-url={PATH}\n  \
         kubectl create clusterrolebinding read-stepbound-metrics --clusterrole=read-stepbound-metrics {subject}\n"
    )
}

#[cfg(test)]
mod tests;
