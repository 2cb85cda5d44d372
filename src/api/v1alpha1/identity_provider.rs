//! IdentityProvider: an OIDC provider outside the cluster that gives the tokens shown to STS.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::binding_settings::Finding;
use super::common::conditions_schema;
use super::forms::{ISSUER_PATTERN, OBJECT_NAME_PATTERN, POOL_PATTERN, SCOPE_PATTERN};

/// An IdentityProvider is an OIDC provider whose tokens TrustBindings show to STS instead of the cluster's own.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "stepbound.dev",
    version = "v1alpha1",
    kind = "IdentityProvider",
    plural = "identityproviders",
    singular = "identityprovider",
    shortname = "idp",
    category = "stepbound",
    namespaced,
    derive = "PartialEq",
    status = "IdentityProviderStatus",
    doc = "An IdentityProvider is an OIDC provider outside the cluster that turns a service account's token into one that IAM trusts.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Issuer","type":"string","jsonPath":".spec.issuer"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.issuer == oldSelf.issuer", "issuer cannot be changed; create another IdentityProvider and let the TrustBinding name it"))]
pub struct IdentityProviderSpec {
    /// Issuer exactly as its tokens name it (`iss`), a trailing slash included. Only issuers that the operator allows. Immutable.
    #[schemars(length(max = 255), regex(pattern = ISSUER_PATTERN))]
    pub issuer: String,
    /// How the service account proves itself to the provider.
    pub client_authentication: ClientAuthentication,
    /// OAuth scopes to ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(min = 1, max = 128), regex(pattern = SCOPE_PATTERN)))]
    pub scopes: Vec<String>,
}

/// How a service account proves itself to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.type != 'ClientSecret' || has(self.secretKeyRef)", "message": "ClientSecret needs secretKeyRef: name and key of the Secret with the client's secret"},
    {"rule": "self.type == 'ClientSecret' || !has(self.secretKeyRef)", "message": "secretKeyRef is for the type ClientSecret alone; remove it, or change the type"},
    {"rule": "self.type != 'ClientSecret' || has(self.clientID)", "message": "ClientSecret needs clientID: the id of the client at the provider"},
    {"rule": "self.type != 'CognitoIdentityPool' || has(self.identityPool)", "message": "CognitoIdentityPool needs identityPool with the ID of the pool"},
    {"rule": "self.type == 'CognitoIdentityPool' || !has(self.identityPool)", "message": "identityPool is for the type CognitoIdentityPool alone; remove it, or change the type"},
    {"rule": "!has(self.subjectToken) || self.type == 'TokenExchange'", "message": "subjectToken is for the type TokenExchange alone; remove it, or change the type"},
]))]
pub struct ClientAuthentication {
    /// The way.
    #[serde(rename = "type")]
    pub method: ClientAuthenticationType,
    /// Client at the provider. Needed for ClientSecret; otherwise the provider finds it by the token's subject.
    #[serde(rename = "clientID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub client_id: Option<String>,
    /// The client's secret, in this namespace. The operator needs a Role that names it, and the Secret names the issuer in its annotation stepbound.dev/issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// The Cognito identity pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_pool: Option<IdentityPool>,
    /// What is exchanged in a TokenExchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_token: Option<SubjectToken>,
}

/// The ways in which a service account can prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuthenticationType {
    /// The account's token is the client's assertion (RFC 7523); no secret.
    ServiceAccountAssertion,
    /// A token is exchanged for another (RFC 8693), with the account's token as the client's assertion; no secret.
    TokenExchange,
    /// A stored client secret; works with providers that know nothing else, and is reported as a finding.
    ClientSecret,
    /// A Cognito identity pool that has the cluster as OIDC login (GetId, GetOpenIdToken); no secret.
    CognitoIdentityPool,
}

/// What a token exchange starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SubjectToken {
    /// The service account's own token.
    ServiceAccount,
    /// A token of the provider, had by assertion first: for providers that exchange only tokens of their own, as Keycloak's standard token exchange.
    ClientCredentials,
}

/// Names one key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret, in this namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME_PATTERN))]
    pub name: String,
    /// Key in the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A Cognito identity pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityPool {
    /// Id of the pool, `<region>:<uuid>`.
    #[serde(rename = "ID")]
    #[schemars(length(max = 69), regex(pattern = POOL_PATTERN))]
    pub id: String,
}

/// What is known of an IdentityProvider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProviderStatus {
    /// Generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where tokens are asked for, as the issuer's discovery document says.
    #[serde(rename = "tokenURL", default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Name of the Secret that names no issuer and is used all the same, since this provider did before that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untied_secret: Option<String>,
    /// What makes this provider weaker than it could be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// `IssuerReachable`, `Ready`; `Stalled` and `Reconciling` when abnormal.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
