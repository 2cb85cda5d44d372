//! What a TrustBinding may say beside whom it binds.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::{CompactJson, Timestamped};
use super::forms::{QUEUE_PATTERN, ROLE_ARN_PATTERN};
use crate::iam::binding_role::values;

/// Limits of a session. Kept as it was written, so that a value nobody knows can be reported instead of breaking the watch
/// of all bindings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionPolicy(pub CompactJson);

/// What a [`SessionPolicy`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPolicyChoice<'a> {
    /// What Stepbound itself calls, and nothing else.
    Derived,
    /// All that the role may.
    None,
    /// This policy document, as JSON.
    Inline(&'a str),
    /// Neither of them: a text that is not known, or another kind of value.
    Unknown(&'a str),
}

impl SessionPolicy {
    /// What is asked for.
    pub fn choice(&self) -> SessionPolicyChoice<'_> {
        match self.0.text() {
            "\"Derived\"" => SessionPolicyChoice::Derived,
            "\"None\"" => SessionPolicyChoice::None,
            object if object.starts_with('{') => SessionPolicyChoice::Inline(object),
            other => SessionPolicyChoice::Unknown(other),
        }
    }
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self(CompactJson::from(&serde_json::Value::from("Derived")))
    }
}

impl JsonSchema for SessionPolicy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SessionPolicy".into()
    }

    fn inline_schema() -> bool {
        true
    }

    /// A text or an object: a structural schema can say that only by leaving the type out.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// ARN of an IAM role, exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ExecutionRoleArn(
    #[schemars(
        length(max = 2048),
        regex(pattern = ROLE_ARN_PATTERN)
    )]
    pub String,
);

/// ARN of an IAM role that steps act as, exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct StepRoleArn(
    #[schemars(
        length(max = 2048),
        regex(pattern = ROLE_ARN_PATTERN)
    )]
    pub String,
);

/// Names of state machines and activities: `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct StateMachineNames(#[schemars(length(max = 80), regex(pattern = values::NAMES_PATTERN))] pub String);

/// Where changes of executions arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BindingEvents {
    /// URL of the SQS queue that an EventBridge rule sends `Step Functions Execution Status Change` to, in the binding's region.
    #[serde(rename = "queueURL")]
    #[schemars(
        length(max = 512),
        regex(pattern = QUEUE_PATTERN)
    )]
    pub queue_url: String,
}

/// An identity that the role is to trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedIdentity {
    /// Name of the IdentityProvider; absent for the cluster itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Generation of the IdentityProvider that gave the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_generation: Option<i64>,
    /// Issuer of the token.
    pub issuer: String,
    /// Subject of the token.
    pub subject: String,
    /// Audience of the token.
    pub audience: String,
    /// Authorized party of the token, which AWS compares instead of the audience where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized_party: Option<String>,
    /// Whether it is in use.
    pub phase: IdentityPhase,
    /// When the role need not trust it any more: the last session that it was traded for has ended by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires_at: Option<Timestamped>,
}

/// Where an identity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IdentityPhase {
    /// Sessions are taken with it.
    Active,
    /// It is to become the active one once STS takes it.
    Probing,
    /// It was the active one; sessions of it may still be in use.
    Retiring,
}

/// Something that makes a binding weaker than it could be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `Warning`, or `Error` where somebody else can get in.
    pub severity: String,
    /// What it is, in CamelCase.
    pub code: String,
    /// Where, and what to do about it.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_policy_is_a_known_word_or_an_object() {
        let read = |text: &str| serde_json::from_str::<SessionPolicy>(text).unwrap();
        assert_eq!(SessionPolicy::default().choice(), SessionPolicyChoice::Derived);
        assert_eq!(read("\"None\"").choice(), SessionPolicyChoice::None);
        assert_eq!(read("{\"a\": 1}").choice(), SessionPolicyChoice::Inline("{\"a\":1}"));
        for unknown in ["\"derived\"", "1", "[]", "null"] {
            assert!(matches!(read(unknown).choice(), SessionPolicyChoice::Unknown(_)), "{unknown}");
        }
    }
}
