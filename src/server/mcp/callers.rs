//! Whose a token is: that of a service account, made for this server and for nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use kube::Client;
use moka::Expiry;
use moka::future::Cache;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::super::reviews::{NoReview, TokenStatus, User, review};
use crate::api::v1alpha1::is_object_name;

/// How long an account may still call after its token has gone. Its own expiry is looked at on every call.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// How long a refusal is remembered.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// Verdicts that are kept.
const MAX_VERDICTS: u64 = 1024;
/// Reviews that are asked for at once, so that guessing tokens here is no load for the API server.
const MAX_REVIEWS: usize = 8;
/// Longest wait for a verdict, the turn for a review included.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);
/// What the names of service accounts begin with, as the API server writes them.
const ACCOUNTS: &str = "system:serviceaccount:";

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub namespace: String,
    pub name: String,
}

impl Account {
    /// As the API server knows it.
    pub fn user(&self) -> String {
        format!("{ACCOUNTS}{}:{}", self.namespace, self.name)
    }
}

/// Why a token is not taken, in words that tell nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("this is no token of a service account of this cluster")]
    Form,
    #[error("the token is not made for this server alone: its one audience has to be this server's URL")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the API server does not know the token: it is wrong, revoked, or of another cluster")]
    Unknown,
    #[error("the token is a user's; service accounts alone are served here")]
    NoAccount,
}

type Verdict = Result<Arc<Account>, Refused>;

/// Asks the API server, and remembers its verdicts for a moment. Tokens are not kept, only their digests.
pub(super) struct Callers {
    client: Client,
    audience: String,
    verdicts: Cache<[u8; 32], Verdict>,
    reviews: Semaphore,
}

struct Lifetimes;

impl Expiry<[u8; 32], Verdict> for Lifetimes {
    fn expire_after_create(&self, _: &[u8; 32], verdict: &Verdict, _: Instant) -> Option<Duration> {
        Some(if verdict.is_ok() { KNOWN_FOR } else { REFUSED_FOR })
    }
}

impl Callers {
    /// Asks with the server's own rights.
    pub fn new(client: Client, audience: String) -> Self {
        let verdicts = Cache::builder().max_capacity(MAX_VERDICTS).expire_after(Lifetimes).build();
        Self { client, audience, verdicts, reviews: Semaphore::new(MAX_REVIEWS) }
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// When the API server gives no verdict. That is not remembered.
    pub async fn verdict(&self, token: &str) -> Result<Verdict, NoReview> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // What it says of itself is looked at first: a token that is not for us is not shown to anybody.
        if let Err(refused) = claims(token, &self.audience, now) {
            return Ok(Err(refused));
        }
        let key = Sha256::digest(token).into();
        let verdict = self.verdicts.try_get_with(key, async {
            let asked = tokio::time::timeout(REVIEW_TIMEOUT, self.ask(token)).await;
            asked.map_err(|_| NoReview::Failed("it did not answer in time".into()))?
        });
        verdict.await.map_err(|error| (*error).clone())
    }

    async fn ask(&self, token: &str) -> Result<Verdict, NoReview> {
        let _turn = self.reviews.acquire().await.map_err(|error| NoReview::Failed(error.to_string()))?;
        let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self.audience]}});
        let status: TokenStatus = review(&self.client, "/apis/authentication.k8s.io/v1/tokenreviews", asked).await?;
        Ok(judged(status, &self.audience).map(Arc::new))
    }
}

/// What a token says of itself, which proves nothing yet: it is for this server alone, and has not expired.
fn claims(token: &str, audience: &str, now: u64) -> Result<(), Refused> {
    #[derive(Deserialize)]
    struct Claims {
        aud: Audiences,
        exp: u64,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audiences {
        One(String),
        Several(Vec<String>),
    }
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Refused::Form);
    };
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| Refused::Form)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refused::Form)?;
    let is_ours_alone = match claims.aud {
        Audiences::One(one) => one == audience,
        Audiences::Several(all) => matches!(all.as_slice(), [one] if one == audience),
    };
    match () {
        () if !is_ours_alone => Err(Refused::Audience),
        () if claims.exp <= now => Err(Refused::Expired),
        () => Ok(()),
    }
}

/// What the API server says of it. A server that knows no audiences would let any token through, so its answer has to name ours.
fn judged(status: TokenStatus, audience: &str) -> Result<Account, Refused> {
    let user = status.user.filter(|_| status.authenticated).ok_or(Refused::Unknown)?;
    if !status.audiences.iter().any(|one| one == audience) {
        return Err(Refused::Audience);
    }
    account(&user).ok_or(Refused::NoAccount)
}

/// An issuer of users could give one a name that looks like an account's; the groups are the API server's own.
fn account(user: &User) -> Option<Account> {
    let (namespace, name) = user.username.strip_prefix(ACCOUNTS)?.split_once(':')?;
    let of_namespace = format!("system:serviceaccounts:{namespace}");
    let groups = ["system:serviceaccounts", of_namespace.as_str()];
    let has_groups = groups.into_iter().all(|group| user.groups.iter().any(|one| one == group));
    let is_account = has_groups && !user.uid.is_empty() && is_object_name(namespace) && is_object_name(name);
    is_account.then(|| Account { namespace: namespace.to_owned(), name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const OURS: &str = "https://mcp.example/mcp";

    fn token(payload: &Value) -> String {
        format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(payload.to_string()))
    }

    #[test]
    fn a_token_for_somebody_else_too_or_of_the_past_is_refused_before_anybody_is_asked() {
        let said = |aud: Value, exp: u64| claims(&token(&json!({"aud": aud, "exp": exp})), OURS, 100);
        assert_eq!(said(json!([OURS]), 101), Ok(()));
        assert_eq!(said(json!(OURS), 101), Ok(()));
        assert_eq!(said(json!([OURS]), 100), Err(Refused::Expired));
        for other in [
            json!([]),
            json!("https://kubernetes.default.svc"),
            json!([OURS, "https://kubernetes.default.svc"]),
            json!([OURS, OURS]),
            json!("https://mcp.example/mcp/"),
            json!("HTTPS://MCP.EXAMPLE/MCP"),
        ] {
            assert_eq!(said(other.clone(), 101), Err(Refused::Audience), "{other}");
        }
        for none in ["", "a.b", "a.b.c", "a.b.c.d", "abcdef.0123456789abcdef"] {
            assert_eq!(claims(none, OURS, 100), Err(Refused::Form), "{none}");
        }
        assert_eq!(claims(&token(&json!({"aud": OURS})), OURS, 100), Err(Refused::Form), "without an end");
    }

    #[test]
    fn only_what_the_api_server_calls_an_account_is_one() {
        let judge = |change: &dyn Fn(&mut Value)| {
            let mut status = json!({"authenticated": true, "audiences": [OURS], "user": {
                "username": "system:serviceaccount:shop:agent", "uid": "u",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]}});
            change(&mut status);
            judged(serde_json::from_value(status).unwrap(), OURS).map(|account| account.user())
        };
        assert_eq!(judge(&|_| {}), Ok("system:serviceaccount:shop:agent".into()));
        assert_eq!(judge(&|status| status["authenticated"] = json!(false)), Err(Refused::Unknown));
        assert_eq!(judge(&|status| status["user"] = Value::Null), Err(Refused::Unknown));
        assert_eq!(judge(&|status| status["audiences"] = json!([])), Err(Refused::Audience), "it knows no audiences");
        for name in [
            "alice",
            "system:serviceaccount:shop",
            "system:serviceaccount:shop:a:b",
            "system:serviceaccount:a b:c",
            "system:node:a",
            "system:serviceaccount:other:agent",
        ] {
            assert_eq!(judge(&|status| status["user"]["username"] = json!(name)), Err(Refused::NoAccount), "{name}");
        }
        for groups in [json!([]), json!(["system:serviceaccounts"]), json!(["system:masters"])] {
            assert_eq!(judge(&|status| status["user"]["groups"] = groups.clone()), Err(Refused::NoAccount), "{groups}");
        }
        assert_eq!(judge(&|status| status["user"]["uid"] = json!("")), Err(Refused::NoAccount));
    }

    #[test]
    fn no_refusal_repeats_a_token() {
        let secret = token(&json!({"aud": "a", "exp": 1}));
        let said = claims(&secret, OURS, 0).unwrap_err();
        assert!(!format!("{said} {said:?}").contains(&secret[2..20]));
    }
}
