#![allow(missing_docs)]

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::super::token::tests::key;
use super::super::web::{Reach, Web};
use super::*;
use crate::api::v1alpha1::{ClientAuthentication, SecretKeyRef};
use crate::aws::http_client;
use crate::aws::stand_in::{Seen, StandIn};
use crate::outcome::{Class, Classify};
use crate::reason::Reason;

/// API server and issuers in one. Issuers stand under their path.
struct World {
    server: StandIn,
}

fn jwt(claims: &Value) -> String {
    format!("e30.{}.canarysignature", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn form(seen: &Seen) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect()
}

/// The audience that the claims of an assertion name.
fn audience_of(token: &str) -> Value {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["aud"].clone()
}

fn answer(seen: &Seen) -> (u16, String) {
    let base = format!("http://{}", seen.header("host"));
    let path = seen.path.as_str();
    if path.ends_with("/serviceaccounts/orders/token") {
        let asked: Value = serde_json::from_str(&seen.body).unwrap();
        let claims = json!({"iss": "https://cluster", "sub": "system:serviceaccount:shop:orders", "aud": asked["spec"]["audiences"]});
        return (201, json!({"status": {"token": jwt(&claims)}}).to_string());
    }
    match path {
        "/api/v1/namespaces/shop/secrets/okta" => {
            return (200, json!({"data": {"secret": STANDARD.encode("canary:secret")}}).to_string());
        }
        // For the issuer at /oauth2/default alone.
        "/api/v1/namespaces/shop/secrets/tied" => {
            let annotations = json!({"stepbound.dev/issuer": format!("{base}/oauth2/default")});
            let data = json!({"secret": STANDARD.encode("canary:secret")});
            return (200, json!({"metadata": {"annotations": annotations}, "data": data}).to_string());
        }
        "/api/v1/namespaces/shop/secrets/forbidden" => {
            return (403, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403}).to_string());
        }
        _ => {}
    }
    if let Some(issuer) = path.strip_suffix("/.well-known/openid-configuration") {
        // Auth0's issuer ends with a slash, others' do not.
        let slash = if issuer == "/auth0" { "/" } else { "" };
        let method = if issuer == "/auth0" { "client_secret_post" } else { "client_secret_basic" };
        let document = json!({"issuer": format!("{base}{issuer}{slash}"), "jwks_uri": format!("{base}{issuer}/keys"),
            "token_endpoint": format!("{base}{issuer}/token"), "token_endpoint_auth_methods_supported": [method]});
        return (200, document.to_string());
    }
    let claims = |issuer: &str, more: Value| {
        let mut claims = json!({"iss": format!("{base}{issuer}"), "sub": "client-subject", "aud": "sts.amazonaws.com"});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwt(&claims)
    };
    let body = match path {
        "/oauth2/default/token" => json!({"access_token": claims("/oauth2/default", json!({"cid": "client"}))}),
        "/auth0/token" => json!({"access_token": claims("/auth0/", json!({"azp": "client", "sub": "client@clients"}))}),
        "/userpool/token" => json!({
            "access_token": claims("/userpool", json!({"aud": null, "client_id": "client"})),
            "id_token": claims("/userpool", json!({"aud": "sts.amazonaws.com"}))}),
        "/bare/token" => json!({"access_token": "opaque-canary"}),
        "/liar/token" => json!({"access_token": claims("/elsewhere", json!({}))}),
        "/keycloak/token" => json!({"access_token": claims("/keycloak", json!({"azp": "stepbound"}))}),
        "/refuses/token" => {
            let description = format!("no {} for {}", jwt(&json!({"canary": 1})), "client");
            return (401, json!({"error": "invalid_client", "error_description": description}).to_string());
        }
        _ => return (503, String::new()),
    };
    (200, body.to_string())
}

impl World {
    async fn start() -> Self {
        Self { server: StandIn::start(answer).await }
    }

    fn issuer(&self, path: &str) -> String {
        format!("{}{path}", self.server.url)
    }

    fn providers(&self) -> Providers {
        let config = kube::Config::new(self.server.url.as_str().parse().unwrap());
        let client = kube::Client::try_from(config).unwrap();
        let web = Web::new(Reach { plain_http: true, private_addresses: true }).unwrap();
        let names = ["oauth2/default", "auth0/", "userpool", "bare", "liar", "keycloak", "refuses", "down"];
        let rules = IssuerRules {
            allowed: names.iter().map(|name| self.issuer(name)).chain(["sts.amazonaws.com".into()]).collect(),
            forbidden_audiences: vec!["sts.amazonaws.com".into(), "https://cluster".into()],
        };
        let cognito = Cognito::new(http_client(), Some(self.server.url.clone()));
        Providers::new(
            Arc::new(Issuers::new(web)),
            Minter::new(client.clone()),
            SecretReader::new(client),
            cognito,
            rules,
        )
    }

    async fn ask(
        &self,
        path: &str,
        method: ClientAuthenticationType,
        subject_token: Option<SubjectToken>,
    ) -> Result<WebIdentityToken, IdentityError> {
        let secret = (method == ClientAuthenticationType::ClientSecret)
            .then(|| SecretKeyRef { name: "okta".into(), key: "secret".into() });
        self.ask_with(&self.issuer(path), method, subject_token, secret).await
    }

    async fn ask_with(
        &self,
        issuer: &str,
        method: ClientAuthenticationType,
        subject_token: Option<SubjectToken>,
        secret_key_ref: Option<SecretKeyRef>,
    ) -> Result<WebIdentityToken, IdentityError> {
        self.ask_as(issuer, method, subject_token, secret_key_ref, true).await
    }

    async fn ask_as(
        &self,
        issuer: &str,
        method: ClientAuthenticationType,
        subject_token: Option<SubjectToken>,
        secret_key_ref: Option<SecretKeyRef>,
        takes_untied_secret: bool,
    ) -> Result<WebIdentityToken, IdentityError> {
        let client_id = secret_key_ref.is_some().then(|| "client".to_owned());
        let authentication =
            ClientAuthentication { method, client_id, secret_key_ref, identity_pool: None, subject_token };
        let provider = ExternalProvider {
            name: "p".into(),
            uid: "u".into(),
            generation: 1,
            issuer: issuer.into(),
            authentication,
            scopes: vec!["aws".into()],
            takes_untied_secret,
        };
        let answer = self.providers().token(&key(), &provider).await;
        if let Err(error) = &answer {
            let texts = format!("{error} {error:?} {}", error.public());
            assert!(!texts.contains("canary") && !texts.contains("eyJ"), "{texts}");
        }
        answer
    }

    /// Forms that were posted to token endpoints.
    fn forms(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let posted =
            self.server.seen().into_iter().filter(|seen| !seen.path.starts_with("/api/") && !seen.body.is_empty());
        posted.map(|seen| (seen.header("authorization").to_owned(), form(&seen))).collect()
    }
}

/// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
/// Requirement 20: the assertion's audience is the issuer, and nothing else goes to it.
#[tokio::test]
async fn requirement_20_a_token_of_the_account_is_the_clients_assertion_for_the_issuer_alone() {
    let world = World::start().await;
    let token = world.ask("keycloak", ClientAuthenticationType::ServiceAccountAssertion, None).await.ok().unwrap();
    assert_eq!(token.claims.azp.as_deref(), Some("stepbound"));
    let (authorization, form) = world.forms().remove(0);
    assert_eq!(authorization, "");
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_assertion_type"], ASSERTION_TYPE);
    assert_eq!(audience_of(&form["client_assertion"]), json!([world.issuer("keycloak")]));
    assert_eq!(form["scope"], "aws");
}

#[tokio::test]
async fn a_token_is_exchanged_from_the_accounts_own_or_from_one_of_the_provider() {
    let world = World::start().await;
    let exchange = ClientAuthenticationType::TokenExchange;
    assert!(world.ask("keycloak", exchange, None).await.is_ok());
    let (_, own) = world.forms().remove(0);
    assert_eq!((own["grant_type"].as_str(), own["subject_token_type"].as_str()), (EXCHANGE_GRANT, JWT_TYPE));
    assert_eq!(own["audience"], "sts.amazonaws.com");
    assert_eq!(audience_of(&own["subject_token"]), json!([world.issuer("keycloak")]));

    let world = World::start().await;
    assert!(world.ask("keycloak", exchange, Some(SubjectToken::ClientCredentials)).await.is_ok());
    let forms = world.forms();
    assert_eq!(forms[0].1["grant_type"], "client_credentials");
    assert_eq!(
        (forms[1].1["grant_type"].as_str(), forms[1].1["subject_token_type"].as_str()),
        (EXCHANGE_GRANT, ACCESS_TOKEN_TYPE)
    );
    assert_eq!(audience_of(&forms[1].1["subject_token"]), json!("sts.amazonaws.com"), "the provider's own token");
}

#[tokio::test]
async fn a_client_secret_goes_where_the_provider_takes_it() {
    let world = World::start().await;
    let secret = ClientAuthenticationType::ClientSecret;
    // Okta: a custom authorization server's path, the secret in the header.
    let okta = world.ask("oauth2/default", secret, None).await.ok().unwrap();
    assert_eq!(okta.claims.iss, world.issuer("oauth2/default"));
    // Auth0: an issuer with a slash, the secret in the form, the audience asked for, an authorized party in the token.
    let auth0 = world.ask("auth0/", secret, None).await.ok().unwrap();
    assert_eq!(
        (auth0.claims.iss.as_str(), auth0.claims.azp.as_deref()),
        (world.issuer("auth0/").as_str(), Some("client"))
    );
    let forms = world.forms();
    let basic = STANDARD.decode(forms[0].0.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(basic).unwrap(), "client:canary%3Asecret");
    assert!(!forms[0].1.contains_key("client_secret"));
    assert_eq!(forms[1].0, "");
    assert_eq!(
        (forms[1].1["client_secret"].as_str(), forms[1].1["audience"].as_str()),
        ("canary:secret", "sts.amazonaws.com")
    );
}

/// Requirement 28 of docs/security.md: a Secret only for who may read it, and only to its issuer.
/// Two issuers that the operator allows, and a Secret that is for one of them: the other one never sees it.
#[tokio::test]
async fn requirement_28_a_client_secret_is_sent_only_to_the_issuer_that_it_is_for() {
    let world = World::start().await;
    let ask = async |issuer: &str, secret: &str, takes_untied: bool| {
        let reference = Some(SecretKeyRef { name: secret.into(), key: "secret".into() });
        let method = ClientAuthenticationType::ClientSecret;
        world.ask_as(&world.issuer(issuer), method, None, reference, takes_untied).await
    };
    ask("oauth2/default", "tied", false).await.ok().unwrap();
    for takes_untied in [false, true] {
        let error = ask("keycloak", "tied", takes_untied).await.err().unwrap();
        assert_eq!((error.reason(), error.class()), (Reason::SecretNotForIssuer, Class::Denied), "{error}");
        assert!(error.public().contains("kubectl annotate secret tied -n shop --overwrite"), "{}", error.public());
    }
    let error = ask("keycloak", "okta", false).await.err().unwrap();
    assert!(error.public().contains("does not say for which issuer it is"), "{}", error.public());
    assert_eq!(world.forms().len(), 1, "nothing was sent to the other issuer");
}

#[tokio::test]
async fn an_id_token_serves_where_the_access_token_names_no_audience() {
    let world = World::start().await;
    let secret = ClientAuthenticationType::ClientSecret;
    let token = world.ask("userpool", secret, None).await.ok().unwrap();
    assert_eq!(token.claims.aud.0, ["sts.amazonaws.com"]);
    let error = world.ask("bare", secret, None).await.err().unwrap();
    assert!(error.to_string().contains("neither an access token with an audience nor an ID token"), "{error}");
}

#[tokio::test]
async fn refusals_are_told_apart_and_repeat_no_secret() {
    let world = World::start().await;
    let assertion = ClientAuthenticationType::ServiceAccountAssertion;
    for (path, reason, class) in [
        ("refuses", "ProviderRefused", Class::Denied),
        ("down", "ProviderUnavailable", Class::Transient),
        ("liar", "UnexpectedToken", Class::Denied),
        ("stranger", "IssuerNotAllowed", Class::Terminal),
    ] {
        let error = world.ask(path, assertion, None).await.err().unwrap();
        assert_eq!((error.reason().as_str(), error.class()), (reason, class), "{error}");
    }
    let secret = |name: &str| Some(SecretKeyRef { name: name.into(), key: "secret".into() });
    for name in ["forbidden", "none", "../secrets/okta"] {
        let issuer = world.issuer("auth0/");
        let error =
            world.ask_with(&issuer, ClientAuthenticationType::ClientSecret, None, secret(name)).await.err().unwrap();
        assert_eq!(error.reason(), Reason::SecretUnreadable, "{error}");
    }
    assert!(world.server.seen().iter().all(|seen| !seen.path.contains("..")));
}

/// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
/// Requirement 20: what is an audience of STS or of the API server is never an issuer, even where it is allowed.
#[tokio::test]
async fn requirement_20_no_assertion_is_good_for_sts_or_the_api_server() {
    let world = World::start().await;
    for issuer in ["sts.amazonaws.com", "https://cluster"] {
        let assertion = ClientAuthenticationType::ServiceAccountAssertion;
        let error = world.ask_with(issuer, assertion, None, None).await.err().unwrap();
        assert_eq!(error.reason(), Reason::IssuerNotAllowed);
    }
    assert!(world.server.seen().is_empty());
}
