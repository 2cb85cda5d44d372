//! What a request has to be before the Model Context Protocol is spoken: for us, from an account, within its bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use kube::Config;
use moka::future::Cache;
use serde_json::json;
use url::Url;

use super::super::reviews::{NoReview, bearer};
use super::bounds::{CallBounds, Exceeded};
use super::callers::{Account, Callers, Refused};
use crate::api::v1alpha1::is_object_name;
use crate::kubectl::Cluster;
use crate::kubectl::mcp::VERSIONS;

/// Connections to the API server that are kept, one an account.
const MAX_CONNECTIONS: u64 = 256;
/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(300);
/// Where the metadata of the protected resource is, before its path.
pub(super) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Who comes in, and as whom.
#[derive(Clone)]
pub(super) struct Entry {
    url: Arc<Url>,
    callers: Arc<Callers>,
    bounds: CallBounds,
    config: Arc<Config>,
    connections: Cache<String, Cluster>,
}

impl Entry {
    pub fn new(url: Url, callers: Callers, bounds: CallBounds, config: Config) -> Self {
        let connections = Cache::builder().max_capacity(MAX_CONNECTIONS).time_to_idle(IDLE).build();
        Self { url: Arc::new(url), callers: Arc::new(callers), bounds, config: Arc::new(config), connections }
    }

    /// What says how to come in, as RFC 9728 has it. No authorization server is named: tokens are projected into pods.
    pub fn metadata(&self) -> String {
        json!({"resource": self.url.as_str(), "resource_name": "Stepbound", "bearer_methods_supported": ["header"]})
            .to_string()
    }

    fn challenge(&self, why: &str) -> Response {
        let mut at = (*self.url).clone();
        at.set_path(&format!("{WELL_KNOWN}{}", self.url.path()));
        let header = format!("Bearer error=\"invalid_token\", resource_metadata=\"{at}\"");
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, header)], format!("{why}\n")).into_response()
    }

    /// The API server as seen by an account.
    async fn cluster(&self, account: &Account, namespace: &str) -> Result<Cluster, String> {
        let user = account.user();
        let made = self.connections.try_get_with(user.clone(), async { Cluster::acting_as(&self.config, &user) });
        let cluster = made.await.map_err(|error| error.to_string())?;
        Ok(cluster.in_namespace(namespace))
    }
}

/// Lets a request in with what it needs as an extension, and without its token.
pub(super) async fn pass(State(entry): State<Entry>, mut request: Request, next: Next) -> Response {
    if let Err(refused) = forms(request.headers()) {
        return refused.into_response();
    }
    let Some(token) = bearer(request.headers()) else {
        return entry.challenge("a bearer token of a service account is needed, whose audience is this server's URL");
    };
    let account = match entry.callers.verdict(token).await {
        Ok(Ok(account)) => account,
        Ok(Err(why)) => return refusal(&entry, why),
        Err(error) => return no_verdict(&error),
    };
    let Some(namespace) = namespace(request.uri().path(), entry.url.path(), &account) else {
        return (StatusCode::NOT_FOUND, "there is nothing here; a namespace is the last part of the path\n")
            .into_response();
    };
    let call = match entry.bounds.take(&account.user(), Instant::now()) {
        Ok(call) => call,
        Err(exceeded) => return too_much(&account, exceeded),
    };
    let cluster = match entry.cluster(&account, &namespace).await {
        Ok(cluster) => cluster,
        Err(error) => {
            tracing::warn!(error, "no connection to the API server");
            return (StatusCode::SERVICE_UNAVAILABLE, "the API server cannot be asked\n").into_response();
        }
    };
    tracing::debug!(account = account.user(), namespace, "a request of an agent");
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(cluster);
    // Goes with the request, whose last part ends with its answer.
    request.extensions_mut().insert(Arc::new(call));
    next.run(request).await
}

/// What no client has a reason to send. Nothing of it would be passed on; whoever tries is told so.
fn forms(headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    if headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Err((StatusCode::BAD_REQUEST, "nobody says here as whom to act: it is the account of the token\n"));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err((StatusCode::FORBIDDEN, "pages of browsers are not served here\n"));
    }
    let mut versions = headers.get_all("mcp-protocol-version").iter();
    let is_known = |given: &axum::http::HeaderValue| VERSIONS.iter().any(|version| given == version.as_str());
    if versions.any(|given| !is_known(given)) {
        return Err((
            StatusCode::BAD_REQUEST,
            "this revision of the protocol is not spoken here: it is 2025-06-18 or later\n",
        ));
    }
    Ok(())
}

/// The account's own namespace, or the one behind the path, where RBAC decides.
fn namespace(path: &str, own: &str, account: &Account) -> Option<String> {
    match path.strip_prefix(own.trim_end_matches('/'))? {
        "" | "/" => Some(account.namespace.clone()),
        rest => rest.strip_prefix('/').filter(|name| is_object_name(name) && !name.contains('.')).map(str::to_owned),
    }
}

fn refusal(entry: &Entry, why: Refused) -> Response {
    tracing::info!(%why, "a token was refused");
    match why {
        Refused::NoAccount => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        why => entry.challenge(&why.to_string()),
    }
}

fn no_verdict(error: &NoReview) -> Response {
    tracing::warn!(%error, "the API server does not say whose a token is; create on tokenreviews is needed");
    (StatusCode::SERVICE_UNAVAILABLE, "the API server does not say whose this token is; try again\n").into_response()
}

fn too_much(account: &Account, exceeded: Exceeded) -> Response {
    let (seconds, said) = match exceeded {
        Exceeded::Often(wait) => (wait.as_secs() + 1, "you call too often\n"),
        Exceeded::AtOnce => (1, "too many of your calls are under way\n"),
    };
    tracing::debug!(account = account.user(), ?exceeded, "calls too much");
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], said).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_the_accounts_own_or_one_by_name() {
        let account = Account { namespace: "shop".into(), name: "agent".into() };
        let at = |path: &str| namespace(path, "/mcp", &account);
        assert_eq!(at("/mcp").as_deref(), Some("shop"));
        assert_eq!(at("/mcp/").as_deref(), Some("shop"));
        assert_eq!(at("/mcp/other").as_deref(), Some("other"));
        for none in ["/", "/mcpx", "/mcp/a/b", "/mcp/..", "/mcp/A", "/mcp/a%2fb", "/mcp/a.b", "/mcp//a"] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn what_no_client_sends_is_refused_by_name() {
        let with = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            forms(&headers).map_err(|(status, _)| status.as_u16())
        };
        assert_eq!(with("accept", "*/*"), Ok(()));
        assert_eq!(with("mcp-protocol-version", "2025-11-25"), Ok(()));
        for (name, value, status) in [
            ("impersonate-user", "system:admin", 400),
            ("impersonate-group", "system:masters", 400),
            ("impersonate-extra-scopes", "a", 400),
            ("impersonate-uid", "a", 400),
            ("origin", "https://evil.example", 403),
            ("origin", "null", 403),
            ("mcp-protocol-version", "2024-11-05", 400),
            ("mcp-protocol-version", "1999-01-01", 400),
        ] {
            assert_eq!(with(name, value), Err(status), "{name}: {value}");
        }
    }
}
