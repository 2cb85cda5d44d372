//! What a token says of itself, as far as STS looks at it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

/// Claims of a web identity token. None of them is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Subject; empty where the claims have none, as those that are known of Facebook's tokens.
    #[serde(default)]
    pub sub: String,
    /// Audiences; absent in access tokens of some providers.
    #[serde(default)]
    pub aud: Audiences,
    /// Authorized party.
    #[serde(default)]
    pub azp: Option<String>,
    /// Authentication methods, which Cognito identity pools fill.
    #[serde(default)]
    pub amr: Audiences,
    /// Id of the token, as the Kubernetes audit log shows it.
    #[serde(default)]
    pub jti: String,
    /// Session tags (IAM user guide, "Pass session tags in AWS STS": tags of `AssumeRoleWithWebIdentity` come from the
    /// token alone).
    #[serde(default, rename = "https://aws.amazon.com/tags")]
    pub tags: Option<SessionTags>,
    /// Source identity of the session, from the token alone as well.
    #[serde(default, rename = "https://aws.amazon.com/source_identity")]
    pub source_identity: Option<String>,
    /// All others by name: some providers have condition keys for claims of their own.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

impl Claims {
    /// The claims that trust policies speak of, for people.
    pub fn told(&self) -> String {
        let party = self.azp.as_ref().map(|party| format!("\n                 azp {party}")).unwrap_or_default();
        let audiences = self.aud.0.join(", ");
        format!(
            "The token says:  iss {}\n                 sub {}\n                 aud {audiences}{party}",
            self.iss, self.sub
        )
    }

    /// Key id and claims of a token in three parts. Nothing is verified: that is the work of whoever it is shown to.
    pub fn of_token(token: &str) -> Option<(String, Self)> {
        #[derive(Deserialize)]
        struct Header {
            #[serde(default)]
            kid: String,
        }
        let mut parts = token.split('.');
        let (header, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
            return None;
        };
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        Some((header.kid.chars().take(255).collect(), claims))
    }

    /// What STS compares as audience: the authorized party where the token has one, else `aud` (IAM user guide, "IAM and AWS STS
    /// condition context keys": "If no value is set for azp, the aud condition key maps to the aud claim").
    pub fn effective_audiences(&self) -> Vec<String> {
        match &self.azp {
            Some(party) if !party.is_empty() => vec![party.clone()],
            _ => self.aud.0.clone(),
        }
    }

    /// The values of a claim as condition keys have them; none where the token has no such claim.
    pub fn values(&self, claim: &str) -> Vec<String> {
        let own = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        match claim {
            "sub" => own(&self.sub),
            "azp" => self.azp.as_deref().map(own).unwrap_or_default(),
            "aud" => self.aud.0.clone(),
            "amr" => self.amr.0.clone(),
            _ => self.more.get(claim).map(texts).unwrap_or_default(),
        }
    }

    /// The issuer as IAM names it in condition keys and provider ARNs: without the scheme.
    pub fn provider(&self) -> &str {
        provider_of(&self.iss)
    }
}

/// A claim's value as text, or each of a list.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

/// An issuer's name in condition keys and provider ARNs. A trailing slash belongs to it, as in Auth0's.
pub fn provider_of(issuer: &str) -> &str {
    issuer.split_once("://").map_or(issuer, |(_, rest)| rest)
}

/// One text or a list of them, as the standard allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Audiences(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Audiences {
    fn from(audiences: OneOrMany) -> Self {
        match audiences {
            OneOrMany::One(one) => Self(vec![one]),
            OneOrMany::Many(many) => Self(many),
        }
    }
}

/// The claim `https://aws.amazon.com/tags`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SessionTags {
    /// Values by key; AWS takes one value a key.
    #[serde(default)]
    pub principal_tags: BTreeMap<String, Audiences>,
    /// Keys that stay in a chain of roles.
    #[serde(default)]
    pub transitive_tag_keys: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorized_party_takes_the_place_of_the_audience() {
        let read = |text: &str| serde_json::from_str::<Claims>(text).unwrap();
        let plain = read(r#"{"iss": "https://i/", "sub": "s", "aud": ["a", "b"]}"#);
        assert_eq!(plain.effective_audiences(), ["a", "b"]);
        assert_eq!(plain.provider(), "i/");
        let with_party = read(r#"{"iss": "https://i", "sub": "s", "aud": "a", "azp": "client"}"#);
        assert_eq!(with_party.effective_audiences(), ["client"]);
    }

    #[test]
    fn session_tags_are_read_as_aws_takes_them() {
        let text = r#"{"iss": "i", "sub": "s", "https://aws.amazon.com/tags":
            {"principal_tags": {"team": ["shop"]}, "transitive_tag_keys": ["team"]}}"#;
        let claims: Claims = serde_json::from_str(text).unwrap();
        assert_eq!(claims.tags.unwrap().principal_tags["team"].0, ["shop"]);
        assert!(claims.aud.0.is_empty());
    }
}
