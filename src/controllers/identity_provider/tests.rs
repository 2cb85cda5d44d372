//! Reconciles of IdentityProviders.

use serde_json::{Value, json};

use super::*;
use crate::aws::stand_in::StandIn;
use crate::controllers::stand_in::{Faked, World};

/// Where the client's Secret is.
const PLACE: &str = "/api/v1/namespaces/shop/secrets/client";

/// What an issuer answers at its host.
type Document = fn(&str) -> (u16, Value);

/// An issuer with a document of its own.
async fn issuer(document: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> (StandIn, String) {
    let server = StandIn::start(move |seen| {
        let (status, document) = document(seen.header("host"));
        (status, document.to_string())
    })
    .await;
    let url = server.url.as_str().trim_end_matches('/').to_owned();
    (server, url)
}

fn good(host: &str) -> (u16, Value) {
    let issuer = format!("http://{host}");
    (200, json!({"issuer": issuer, "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys")}))
}

async fn looked_at(issuer: &str, client: &Value, set: impl FnOnce(&World<Faked>)) -> World<Faked> {
    let allowed = issuer.to_owned();
    let world = World::fake_with(|settings| settings.issuer_rules.allowed = vec![allowed], None).await;
    set(&world);
    let spec = json!({"issuer": issuer, "clientAuthentication": client});
    world.add("identityproviders", &json!({"kind": "IdentityProvider", "metadata": {"name": "idp"}, "spec": spec}));
    world.wake_object::<IdentityProvider>("idp").await;
    world
}

fn says(world: &World<Faked>) -> (String, String) {
    let says = |kind| world.says::<IdentityProvider>("idp", kind);
    (says("Ready"), says("IssuerReachable"))
}

#[tokio::test]
async fn an_issuer_that_answers_as_itself_may_be_used() {
    let (_server, url) = issuer(good).await;
    let world = looked_at(&url, &json!({"type": "ServiceAccountAssertion"}), |_| {}).await;
    assert_eq!(
        says(&world),
        ("True/Discovered".into(), "True/Discovered".into()),
        "{}",
        world.message::<IdentityProvider>("idp")
    );
    assert_eq!(world.get::<IdentityProvider>("idp").status.unwrap().token_url, Some(format!("{url}/token")));
    world.delete::<IdentityProvider>("idp");
    world.wake_object::<IdentityProvider>("idp").await;
    assert!(world.is_gone::<IdentityProvider>("idp"));
}

#[tokio::test]
async fn an_issuer_that_cannot_be_used_is_told_why() {
    let cases: [(&str, Document, &str); 6] = [
        ("another", |_| (200, json!({"issuer": "https://other.example"})), "ProviderUnusable"),
        ("no JSON", |_| (200, json!("<html>")), "ProviderUnusable"),
        ("without a document", |_| (404, json!({})), "ProviderUnusable"),
        ("down for a while", |_| (503, json!({})), "IssuerUnreachable"),
        ("asked too often", |_| (429, json!({})), "IssuerUnreachable"),
        (
            "without tokens",
            |host| (200, json!({"issuer": format!("http://{host}"), "jwks_uri": format!("http://{host}/k")})),
            "ProviderUnusable",
        ),
    ];
    for (what, document, reason) in cases {
        let (_server, url) = issuer(document).await;
        let world = looked_at(&url, &json!({"type": "ServiceAccountAssertion"}), |_| {}).await;
        let refused = format!("False/{reason}");
        assert_eq!(says(&world), (refused.clone(), refused), "{what}: {}", world.message::<IdentityProvider>("idp"));
    }
    let world = looked_at("http://127.0.0.1:1", &json!({"type": "ServiceAccountAssertion"}), |_| {}).await;
    assert_eq!(says(&world).0, "False/IssuerUnreachable");
    let world = World::fake().await;
    let spec = json!({"issuer": "https://other.example", "clientAuthentication": {"type": "ServiceAccountAssertion"}});
    world.add("identityproviders", &json!({"kind": "IdentityProvider", "metadata": {"name": "idp"}, "spec": spec}));
    world.wake_object::<IdentityProvider>("idp").await;
    assert_eq!(says(&world).0, "False/IssuerNotAllowed");
}

#[tokio::test]
async fn a_pool_needs_an_issuer_that_is_cognito() {
    let client = json!({"type": "CognitoIdentityPool", "identityPool": {"ID": "eu-west-1:11111111-1111-1111-1111-111111111111"}});
    let world = looked_at("https://cognito-identity.amazonaws.com", &client, |_| {}).await;
    assert_eq!(says(&world).0, "True/Discovered");
    let world = looked_at("https://other.example", &client, |_| {}).await;
    assert_eq!(says(&world).0, "False/IssuerNotCognito");
}

#[tokio::test]
async fn a_secret_has_to_say_for_whom_it_is() {
    let client = json!({"type": "ClientSecret", "clientID": "c", "secretKeyRef": {"name": "client", "key": "secret"}});
    let secret = |annotation: Option<&str>| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "client", "namespace": "shop",
            "annotations": annotation.map(|issuer| json!({ISSUER_ANNOTATION: issuer}))}})
    };
    let (_server, url) = issuer(good).await;
    let world = looked_at(&url, &client, |world| world.put(PLACE, &secret(Some(&url)))).await;
    assert_eq!(says(&world).0, "True/Discovered", "{}", world.message::<IdentityProvider>("idp"));
    assert_eq!(world.get::<IdentityProvider>("idp").status.unwrap().findings.len(), 1, "a secret lives long");
    let (reachable, refused) = ("True/Discovered", "False/SecretNotForIssuer");
    let world = looked_at(&url, &client, |world| world.put(PLACE, &secret(Some("https://other.example")))).await;
    assert_eq!(says(&world), (refused.into(), reachable.into()));
    let world = looked_at(&url, &client, |world| world.put(PLACE, &secret(None))).await;
    assert_eq!(says(&world), (refused.into(), reachable.into()));
    for code in [404, 403, 500] {
        let world = looked_at(&url, &client, |world| world.refuse("GET", "/secrets/client", code, 9)).await;
        assert_eq!(says(&world), ("False/SecretUnreadable".into(), reachable.into()), "{code}");
    }
}
