//! What an issuer says of itself, and whether AWS can use it.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde_json::Value;
use url::Url;

use super::web::{Web, WebError};

/// How long a discovery document is believed.
const DOCUMENT_LASTS: Duration = Duration::from_secs(600);
/// How long the verdict of a pre-flight is believed.
const VERDICT_LASTS: Duration = Duration::from_secs(60);

/// The parts of a discovery document that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where tokens are asked for; of the issuer's origin.
    pub token_url: Option<Url>,
    /// Where the keys are published.
    pub keys_url: Url,
    /// True where the token endpoint takes a client's secret in the form.
    pub takes_secret_in_form: bool,
}

/// Discovery documents of issuers, and their keys.
pub struct Issuers {
    pub(super) web: Web,
    documents: Cache<String, Arc<Discovery>>,
    verdicts: Cache<(String, String), Result<(), String>>,
}

impl Issuers {
    /// Asks through `web`.
    pub fn new(web: Web) -> Self {
        let documents = Cache::builder().max_capacity(1000).time_to_live(DOCUMENT_LASTS).build();
        let verdicts = Cache::builder().max_capacity(1000).time_to_live(VERDICT_LASTS).build();
        Self { web, documents, verdicts }
    }

    /// The issuer's discovery document, from memory where it was read a moment ago.
    pub async fn discover(&self, issuer: &str) -> Result<Arc<Discovery>, WebError> {
        let look =
            async { self.web.get(&discovery_url(issuer)?).await.and_then(|found| read(issuer, &found)).map(Arc::new) };
        self.documents.try_get_with(issuer.to_owned(), look).await.map_err(|error| (*error).clone())
    }

    /// Whether AWS could verify a token of the issuer that this key signed: the document is there and says the issuer's
    /// name, and the key is published. What is wrong comes back as a sentence.
    pub async fn preflight(&self, issuer: &str, key_id: &str) -> Result<(), String> {
        let place = (issuer.to_owned(), key_id.to_owned());
        self.verdicts.get_with(place, self.look(issuer, key_id)).await
    }

    async fn look(&self, issuer: &str, key_id: &str) -> Result<(), String> {
        let document = self.discover(issuer).await.map_err(|error| error.to_string())?;
        let keys = self.web.get(&document.keys_url).await.map_err(|error| error.to_string())?;
        let ids = || keys["keys"].as_array().into_iter().flatten().filter_map(|key| key["kid"].as_str());
        if ids().any(|id| id == key_id) {
            return Ok(());
        }
        let known = ids().take(5).collect::<Vec<_>>().join(", ");
        Err(format!("{} does not publish the key {key_id} that signed the token, only: {known}", document.keys_url))
    }
}

/// Where the document stands: OpenID Connect Discovery 1.0, section 4. A slash at the issuer's end is not doubled.
fn discovery_url(issuer: &str) -> Result<Url, WebError> {
    let text = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    text.parse().map_err(|_| WebError::NotAllowed(format!("{issuer} is not an address")))
}

fn read(issuer: &str, document: &Value) -> Result<Discovery, WebError> {
    let unusable = |what: String| Err(WebError::Unusable(format!("the discovery document of {issuer} {what}")));
    let text = |field: &str| document[field].as_str();
    if text("issuer") != Some(issuer) {
        let named = text("issuer").unwrap_or("none").chars().take(255).collect::<String>();
        return unusable(format!("names the issuer {named}; both must be the same, a slash at the end included"));
    }
    let Some(keys_url) = text("jwks_uri").and_then(|url| url.parse().ok()) else {
        return unusable("has no jwks_uri".into());
    };
    let token_url: Option<Url> = text("token_endpoint").and_then(|url| url.parse().ok());
    let origin = issuer.parse::<Url>().map(|url| url.origin());
    if let Some(url) = token_url.as_ref().filter(|url| origin.as_ref() != Ok(&url.origin())) {
        return unusable(format!("has a token_endpoint of another origin, {}", url.origin().ascii_serialization()));
    }
    let methods = document["token_endpoint_auth_methods_supported"].as_array().into_iter().flatten();
    let takes_secret_in_form = methods.into_iter().any(|method| method == "client_secret_post");
    Ok(Discovery { token_url, keys_url, takes_secret_in_form })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::stand_in::StandIn;
    use crate::identity::web::Reach;
    use serde_json::json;

    #[test]
    fn a_document_must_name_the_issuer_to_the_last_slash() {
        let document = json!({"issuer": "https://tenant.auth0.com/", "jwks_uri": "https://tenant.auth0.com/jwks",
            "token_endpoint": "https://tenant.auth0.com/oauth/token",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]});
        assert!(read("https://tenant.auth0.com/", &document).unwrap().takes_secret_in_form);
        let error = read("https://tenant.auth0.com", &document).unwrap_err().to_string();
        assert!(error.contains("a slash at the end included"), "{error}");
        for (issuer, url) in
            [("https://a.example/x", "https://a.example/x"), ("https://a.example/", "https://a.example")]
        {
            assert_eq!(discovery_url(issuer).unwrap().as_str(), format!("{url}/.well-known/openid-configuration"));
        }
    }

    /// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
    /// Requirement 20: the token endpoint has the issuer's origin.
    #[test]
    fn requirement_20_a_token_endpoint_elsewhere_is_refused() {
        for elsewhere in ["https://evil.example/token", "http://a.example/token", "https://a.example:8443/token"] {
            let document =
                json!({"issuer": "https://a.example", "jwks_uri": "https://a.example/k", "token_endpoint": elsewhere});
            assert!(
                read("https://a.example", &document).unwrap_err().to_string().contains("another origin"),
                "{elsewhere}"
            );
        }
    }

    #[tokio::test]
    async fn a_pre_flight_finds_what_aws_would_stumble_over() {
        let server = StandIn::start(|seen| {
            let base = format!("http://{}", seen.header("host"));
            let document = |issuer: &str| json!({"issuer": issuer, "jwks_uri": format!("{base}/keys")}).to_string();
            match seen.path.as_str() {
                "/good/.well-known/openid-configuration" => (200, document(&format!("{base}/good"))),
                "/other/.well-known/openid-configuration" => (200, document("https://other.example")),
                "/keys" => (200, json!({"keys": [{"kid": "current"}]}).to_string()),
                _ => (404, String::new()),
            }
        })
        .await;
        let web = Web::new(Reach { plain_http: true, private_addresses: true }).unwrap();
        let issuers = Issuers::new(web);
        let issuer = |path: &str| format!("{}{path}", server.url);
        assert_eq!(issuers.preflight(&issuer("good"), "current").await, Ok(()));
        let said = |answer: Result<(), String>| answer.unwrap_err();
        assert!(said(issuers.preflight(&issuer("good"), "old").await).contains("does not publish the key old"));
        assert!(
            said(issuers.preflight(&issuer("other"), "current").await)
                .contains("names the issuer https://other.example")
        );
        assert!(said(issuers.preflight(&issuer("none"), "current").await).contains("status 404"));
        let before = server.seen().len();
        let _ = issuers.preflight(&issuer("none"), "current").await;
        assert_eq!(server.seen().len(), before, "a verdict is believed for a while");
    }
}
