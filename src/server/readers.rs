//! Who may read the metrics. The API server says whose token it is (`TokenReview`) and whether that user may `get` the
//! path (`SubjectAccessReview`), as other controllers have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use moka::Expiry;
use moka::future::Cache;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::reviews::{NoReview, TokenStatus, User, review};
use crate::outcome::bounded;

/// The path of the metrics, as a rule's `nonResourceURLs` names it.
const PATH: &str = "/metrics";
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

impl From<NoReview> for ReviewError {
    fn from(why: NoReview) -> Self {
        match why {
            NoReview::Forbidden(why) => Self::Forbidden(why),
            NoReview::Failed(why) => Self::Failed(why),
        }
    }
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
        let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let status: TokenStatus = review(&self.client, "/apis/authentication.k8s.io/v1/tokenreviews", asked).await?;
        let Some(user) = status.user.filter(|user| status.authenticated && !user.username.is_empty()) else {
            tracing::debug!("a reader of metrics showed a token that is nobody's");
            return Ok(Verdict::Unknown);
        };
        let name = bounded(&user.username);
        let attributes = json!({"path": PATH, "verb": "get"});
        let User { username, uid, groups, extra } = user;
        let asked = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": username, "uid": uid, "groups": groups, "extra": extra, "nonResourceAttributes": attributes}});
        let access: AccessStatus =
            review(&self.client, "/apis/authorization.k8s.io/v1/subjectaccessreviews", asked).await?;
        if access.allowed && !access.denied {
            return Ok(Verdict::MayRead);
        }
        tracing::info!(user = name, "may not read the metrics");
        Ok(Verdict::MayNot(name.into()))
    }
}

#[derive(Deserialize)]
struct AccessStatus {
    #[serde(default)]
    allowed: bool,
    #[serde(default)]
    denied: bool,
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
