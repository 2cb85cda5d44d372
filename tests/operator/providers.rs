//! Identity providers outside the cluster: a real Keycloak, Cognito as the emulator has it, and the way from one provider to
//! another.

use std::sync::OnceLock;

use crate::support::keycloak::{Client, Keycloak};
use crate::support::ministack::{ACCOUNT, Ministack};
use crate::*;

/// One Keycloak for all tests; `None` where there is no Java.
fn keycloak() -> Option<&'static Keycloak> {
    static SHARED: OnceLock<Option<Keycloak>> = OnceLock::new();
    let clients = [
        Client { id: "orders", namespace: "keycloak", exchanges: false, secret: None },
        Client { id: "exchanger", namespace: "exchange", exchanges: true, secret: None },
        Client { id: "rotating", namespace: "rotation", exchanges: false, secret: None },
        Client {
            id: "old-fashioned",
            namespace: "client-secret",
            exchanges: false,
            secret: Some("canary-of-the-client"),
        },
    ];
    SHARED.get_or_init(|| Keycloak::start(test_bed(), &clients)).as_ref()
}

/// A tenant whose operator may mint tokens for the issuer too.
fn tenant_for(name: &str, issuer: &str) -> Tenant {
    test_bed().tenant_with(name, &json!({"allowedIssuers": [issuer]}))
}

fn operator_for(tenant: &Tenant, issuer: &str) -> Process {
    let environment = [("STEPBOUND_ALLOWED_ISSUER", issuer), ("STEPBOUND_ALLOW_PRIVATE_ISSUERS", "true")];
    tenant.operator(Path::new(env!("CARGO_BIN_EXE_stepbound")), &environment)
}

fn provider(issuer: &str, authentication: &Value) -> Value {
    json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": "idp"},
        "spec": {"issuer": issuer, "clientAuthentication": authentication}})
}

fn bound_to_provider(tenant: &Tenant) -> Value {
    let mut binding = tenant.binding("orders");
    binding["spec"]["identityProviderRef"] = json!({"name": "idp"});
    binding
}

/// Puts the policy that the status shows on the role, as an administrator would.
fn trust_as_rendered(tenant: &Tenant) {
    let policy = tenant.kubectl(&["get", "tb/orders", "-o", "jsonpath={.status.trustPolicy}"]);
    let role = tenant.role_arn();
    let name = role.rsplit('/').next().unwrap();
    tenant.bed.aws.iam("UpdateAssumeRolePolicy", &[("RoleName", name), ("PolicyDocument", &policy)]);
}

#[test]
fn a_service_account_acts_through_keycloak_without_a_stored_secret() {
    let Some(keycloak) = keycloak() else { return };
    let tenant = tenant_for("keycloak", &keycloak.issuer);
    let operator = operator_for(&tenant, &keycloak.issuer);
    tenant.apply(&provider(&keycloak.issuer, &json!({"type": "ServiceAccountAssertion"})));
    let discovered = |object: &Value| object["status"]["tokenURL"].is_string();
    assert_eq!(crate::gitops::comes_to_rest(&tenant, &operator, "idp/idp", discovered), "Current");
    let idp = tenant.wait_for(&operator, "idp/idp", "Ready", "True", "Discovered");
    assert_eq!(idp["status"]["tokenURL"], format!("{}/protocol/openid-connect/token", keycloak.issuer));
    tenant.apply(&bound_to_provider(&tenant));
    let refused = tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    assert!(refused.to_string().contains("azp orders"), "{refused:#}");
    trust_as_rendered(&tenant);
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert_eq!(binding["status"]["issuer"], keycloak.issuer);
    assert_eq!(binding["status"]["identities"][0]["authorizedParty"], "orders");
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.apply(&workflow_run("order", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/order", "Complete", "True", "Succeeded");

    // The client is of one account alone: another one's token is refused by Keycloak, and the binding says so.
    tenant.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "stranger", "annotations": {"eks.amazonaws.com/role-arn": tenant.role_arn()}}}));
    let system = format!("{}:stepbound", tenant.system);
    tenant.kubectl(&[
        "create",
        "role",
        "stranger",
        "--verb=create",
        "--resource=serviceaccounts/token",
        "--resource-name=stranger",
    ]);
    tenant.kubectl(&["create", "rolebinding", "stranger", "--role=stranger", &format!("--serviceaccount={system}")]);
    let mut stranger = bound_to_provider(&tenant);
    stranger["metadata"]["name"] = json!("stranger");
    stranger["spec"]["serviceAccountName"] = json!("stranger");
    tenant.apply(&stranger);
    let refused = tenant.wait_for(&operator, "tb/stranger", "TokenMinted", "False", "ProviderRefused");
    assert!(refused.to_string().contains("invalid_client"), "{refused:#}");
}

#[test]
fn keycloaks_standard_exchange_takes_its_own_tokens_and_not_the_clusters() {
    let Some(keycloak) = keycloak() else { return };
    let tenant = tenant_for("exchange", &keycloak.issuer);
    let operator = operator_for(&tenant, &keycloak.issuer);
    let exchange =
        |subject: &str| provider(&keycloak.issuer, &json!({"type": "TokenExchange", "subjectToken": subject}));
    tenant.apply(&exchange("ServiceAccount"));
    tenant.apply(&bound_to_provider(&tenant));
    tenant.wait_for(&operator, "tb/orders", "TokenMinted", "False", "ProviderRefused");
    let mut own = exchange("ClientCredentials");
    own["spec"]["clientAuthentication"]["clientID"] = json!("exchanger");
    tenant.apply(&own);
    let refused = tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    assert!(refused.to_string().contains("azp exchanger"), "{refused:#}");
    trust_as_rendered(&tenant);
    tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
}

/// The new provider is tried before the old one is left, and both are trusted meanwhile.
#[test]
fn a_binding_moves_to_another_provider_without_a_refused_call() {
    let Some(keycloak) = keycloak() else { return };
    let tenant = tenant_for("rotation", &keycloak.issuer);
    let operator = operator_for(&tenant, &keycloak.issuer);
    tenant.apply(&tenant.binding("orders"));
    tenant.apply(&tenant.workflow("fulfil", &waiting(0)));
    tenant.wait_for(&operator, "sfn/fulfil", "Ready", "True", "Synced");
    tenant.apply(&provider(&keycloak.issuer, &json!({"type": "ServiceAccountAssertion"})));
    tenant.apply(&bound_to_provider(&tenant));
    // The role does not trust Keycloak yet: the binding stays ready, and says what is missing.
    let binding = tenant.wait_for(&operator, "tb/orders", "Reconciling", "True", "AccessDenied");
    assert_eq!(condition(&binding, "Ready").unwrap()["status"], "True", "{binding:#}");
    assert_eq!(binding["status"]["identities"][1]["phase"], "Probing");
    tenant.apply(&workflow_run("meanwhile", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/meanwhile", "Complete", "True", "Succeeded");
    let policy: Value = serde_json::from_str(binding["status"]["trustPolicy"].as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 2, "{policy:#}");

    trust_as_rendered(&tenant);
    tenant.kubectl(&["annotate", "tb/orders", "stepbound.dev/reconcile-now=1"]);
    let binding = wait_until(Duration::from_secs(60), "Keycloak is in use", || {
        tenant.get("tb/orders").filter(|binding| binding["status"]["identities"][0]["provider"] == "idp")
    });
    assert_eq!(binding["status"]["identities"][1]["phase"], "Retiring", "{binding:#}");
    assert!(binding["status"]["identities"][1]["retiresAt"].is_string());
    assert!(binding["status"]["trustPolicy"].as_str().unwrap().contains("system:serviceaccount:rotation:orders"));
    tenant.apply(&workflow_run("afterwards", "fulfil", &json!({})));
    tenant.wait_for(&operator, "sfnrun/afterwards", "Complete", "True", "Succeeded");
}

/// Requirement 28 of docs/security.md: a Secret only for who may read it, and only to its issuer.
/// Requirement 28, with a real Secret and a real provider: who may read it is RBAC's, where it may go is the Secret's to say.
#[test]
fn requirement_28_a_stored_client_secret_goes_to_the_issuer_that_it_is_for() {
    let Some(keycloak) = keycloak() else { return };
    let tenant = tenant_for("client-secret", &keycloak.issuer);
    let operator = operator_for(&tenant, &keycloak.issuer);
    let annotate = |what: &str, pair: &str| tenant.kubectl(&["annotate", "--overwrite", what, pair]);
    let tie = |issuer: &str| annotate("secret/client", &format!("stepbound.dev/issuer={issuer}"));
    let look = |number: u32| {
        annotate("idp/idp", &format!("note={number}"));
        annotate("tb/orders", &format!("stepbound.dev/reconcile-now={number}"));
    };
    let client = json!({"type": "ClientSecret", "clientID": "old-fashioned", "secretKeyRef": {"name": "client", "key": "secret"}});
    tenant.apply(&provider(&keycloak.issuer, &client));
    tenant.apply(&bound_to_provider(&tenant));
    tenant.wait_for(&operator, "idp/idp", "Ready", "False", "SecretUnreadable");
    tenant.kubectl(&["create", "secret", "generic", "client", "--from-literal=secret=canary-of-the-client"]);
    let verbs = ["--verb=get", "--resource=secrets", "--resource-name=client"];
    tenant.kubectl(&[&["create", "role", "read-client"], &verbs[..]].concat());
    let account = format!("--serviceaccount={}:stepbound", tenant.system);
    tenant.kubectl(&["create", "rolebinding", "read-client", "--role=read-client", &account]);
    look(1);
    let untied = tenant.wait_for(&operator, "idp/idp", "Ready", "False", "SecretNotForIssuer");
    assert!(
        untied.to_string().contains("kubectl annotate secret client -n client-secret stepbound.dev/issuer="),
        "{untied:#}"
    );
    tenant.wait_for(&operator, "tb/orders", "TokenMinted", "False", "SecretNotForIssuer");
    tie("https://other.example");
    look(2);
    let other = tenant.wait_for_object(&operator, "idp/idp", "told whose it is", Duration::from_secs(90), |object| {
        condition(object, "Ready")
            .is_some_and(|ready| ready["message"].to_string().contains("is for https://other.example"))
    });
    assert!(!other.to_string().contains("canary"), "{other:#}");
    tie(&keycloak.issuer);
    look(3);
    let idp = tenant.wait_for(&operator, "idp/idp", "Ready", "True", "Discovered");
    assert_eq!(idp["status"]["findings"].as_array().unwrap().len(), 1, "only that it is a stored secret: {idp:#}");
    tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    trust_as_rendered(&tenant);
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert_eq!(binding["status"]["identities"][0]["authorizedParty"], "old-fashioned");
    assert!(!operator.log_text().contains("canary"), "the secret is in no log");
}

#[test]
fn a_cognito_identity_pool_trades_the_clusters_token() {
    let issuer = "https://cognito-identity.amazonaws.com";
    let tenant = tenant_for("cognito", issuer);
    let aws = &tenant.bed.aws;
    tenant.bed.front.publish_keys(issuer, &Ministack::identity_pool_keys(&tenant.bed.binaries));
    let provider_arn = format!(
        "arn:aws:iam::{ACCOUNT}:oidc-provider/{}",
        tenant.bed.control_plane.issuer.trim_start_matches("https://")
    );
    let pool = aws.json_call(
        "cognito-identity",
        "AWSCognitoIdentityService.CreateIdentityPool",
        &json!({
        "IdentityPoolName": "shop", "AllowUnauthenticatedIdentities": false, "AllowClassicFlow": true,
        "OpenIdConnectProviderARNs": [provider_arn]}),
    );
    let operator = operator_for(&tenant, issuer);
    let authentication = json!({"type": "CognitoIdentityPool", "identityPool": {"ID": pool["IdentityPoolId"]}});
    tenant.apply(&provider(issuer, &authentication));
    tenant.apply(&bound_to_provider(&tenant));
    tenant.wait_for(&operator, "tb/orders", "RoleAssumed", "False", "AccessDenied");
    trust_as_rendered(&tenant);
    let binding = tenant.wait_for(&operator, "tb/orders", "Ready", "True", "RoleAssumed");
    assert_eq!(binding["status"]["audience"], pool["IdentityPoolId"]);
    let policy = binding["status"]["trustPolicy"].as_str().unwrap();
    assert!(policy.contains("\"ForAnyValue:StringEquals\":{\"cognito-identity.amazonaws.com:amr\""), "{policy}");
}

/// Requirement 20 of docs/security.md: issuers allow-listed, fetches bounded.
/// Requirement 20: an issuer that the operator does not allow is not asked, and the status says which flag would allow it.
#[test]
fn requirement_20_an_issuer_that_is_not_allowed_is_not_asked() {
    let tenant = test_bed().tenant("stranger");
    let operator = start(&tenant);
    tenant.apply(&provider("https://issuer.example/realms/a", &json!({"type": "ServiceAccountAssertion"})));
    let idp = tenant.wait_for(&operator, "idp/idp", "Ready", "False", "IssuerNotAllowed");
    assert!(idp.to_string().contains("--allowed-issuer https://issuer.example/realms/a"), "{idp:#}");
    tenant.wait_for(&operator, "idp/idp", "Stalled", "True", "IssuerNotAllowed");
    for (bad, why) in [
        (json!({"type": "ClientSecret"}), "needs clientID"),
        (
            json!({"type": "ServiceAccountAssertion", "secretKeyRef": {"name": "a", "key": "b"}}),
            "secretKeyRef is for the type ClientSecret alone",
        ),
        (json!({"type": "CognitoIdentityPool"}), "needs identityPool"),
    ] {
        let refused = tenant.try_apply(&provider("https://issuer.example/realms/a", &bad)).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}
