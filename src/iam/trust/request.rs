//! What a trust policy can ask of an `AssumeRoleWithWebIdentity`: the principal and the condition keys that a token gives.

use std::collections::BTreeMap;

use super::claims::Claims;
use super::provider::{self, provider_arn};
use crate::iam::arn::Arn;

/// The action that a trust policy has to allow.
pub const ASSUME: &str = "sts:AssumeRoleWithWebIdentity";
/// The action that a token with session tags needs beside it.
pub const TAG_SESSION: &str = "sts:TagSession";
/// The action that a token with a source identity needs beside it.
pub const SET_SOURCE_IDENTITY: &str = "sts:SetSourceIdentity";

/// What is known of a condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has these values.
    Values(Vec<String>),
    /// It is not in the request, for this reason.
    Absent(String),
    /// It depends on what the token does not tell, the address of the caller for example.
    Unknown(String),
}

/// A request for a role with a token.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    claims: &'a Claims,
    principal: String,
    keys: BTreeMap<String, Vec<String>>,
}

impl<'a> Request<'a> {
    /// The request of a token for a role, under a session name where it is known.
    pub fn new(claims: &'a Claims, role_arn: &str, session_name: Option<&str>) -> Self {
        let provider = claims.provider().to_lowercase();
        let mut keys = BTreeMap::new();
        let mut put = |key: String, values: Vec<String>| {
            if !values.is_empty() {
                keys.insert(key.to_lowercase(), values);
            }
        };
        for key in provider::keys(&provider) {
            let values = key.claims.iter().map(|claim| claims.values(claim)).find(|values| !values.is_empty());
            put(format!("{provider}:{}", key.name), values.unwrap_or_default());
        }
        put("sts:rolesessionname".into(), session_name.map(str::to_owned).into_iter().collect());
        put("sts:sourceidentity".into(), claims.source_identity.clone().into_iter().collect());
        if let Some(tags) = &claims.tags {
            for (key, values) in &tags.principal_tags {
                put(format!("aws:requesttag/{key}"), values.0.clone());
            }
            put("aws:tagkeys".into(), tags.principal_tags.keys().cloned().collect());
            put("sts:transitivetagkeys".into(), tags.transitive_tag_keys.clone());
        }
        let arn = Arn::parse(role_arn);
        let principal = arn.map_or_else(String::new, |arn| provider_arn(arn.partition, arn.account, &claims.iss));
        Self { claims, principal, keys }
    }

    /// The federated principal as a trust policy names it.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// The token's claims.
    pub fn claims(&self) -> &Claims {
        self.claims
    }

    /// The actions that have to be allowed.
    pub fn actions(&self) -> Vec<&'static str> {
        let tags = self.claims.tags.as_ref().is_some_and(|tags| !tags.principal_tags.is_empty());
        let source = self.claims.source_identity.is_some();
        [(true, ASSUME), (tags, TAG_SESSION), (source, SET_SOURCE_IDENTITY)]
            .into_iter()
            .filter_map(|(needed, action)| needed.then_some(action))
            .collect()
    }

    /// What is known of a condition key. Names of keys have no case.
    pub fn key(&self, name: &str) -> Known {
        let lower = name.to_lowercase();
        if let Some(values) = self.keys.get(&lower) {
            return Known::Values(values.clone());
        }
        if let Some(why) = of_the_call(&lower).or_else(|| self.not_told(&lower)) {
            return Known::Unknown(why.into());
        }
        Known::Absent(self.why_absent(name, &lower))
    }

    /// Why a key that the token's provider has is not known here.
    fn not_told(&self, lower: &str) -> Option<&'static str> {
        let provider = self.claims.provider().to_lowercase();
        let name = lower.strip_prefix(&provider)?.strip_prefix(':')?;
        provider::keys(&provider).find(|key| key.name.eq_ignore_ascii_case(name))?;
        provider::why_unknown(&provider, name)
    }

    fn why_absent(&self, name: &str, lower: &str) -> String {
        let provider = self.claims.provider();
        if let Some(rest) = lower.strip_prefix("https://") {
            return format!("condition keys have no scheme; write {}", &name[name.len() - rest.len()..]);
        }
        let (host, claim) = name.rsplit_once(':').unwrap_or((name, ""));
        if host.eq_ignore_ascii_case(provider) {
            let names = || provider::keys(provider).map(|key| key.name);
            if let Some(key) = provider::keys(provider).find(|key| key.name.eq_ignore_ascii_case(claim)) {
                return format!("the token has no {}", key.claims.join(" and no "));
            }
            return format!("IAM gives only {} of this provider, not {claim}", listed(names()));
        }
        if host.trim_end_matches('/').eq_ignore_ascii_case(provider.trim_end_matches('/')) {
            return format!("the token's provider is {provider}, a slash at the end included");
        }
        if host.contains('.') {
            return format!("the token is of provider {provider}");
        }
        if host == "sts" && claim.eq_ignore_ascii_case("ExternalId") {
            return "an external id belongs to sts:AssumeRole, not to a web identity".into();
        }
        "it is not in a request with a web identity token".into()
    }
}

/// `a, b and c`.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        Some((last, _)) => (*last).to_owned(),
        None => String::new(),
    }
}

/// Keys that describe the call rather than the token.
fn of_the_call(lower: &str) -> Option<&'static str> {
    const CALL: [&str; 10] = [
        "aws:sourceip",
        "aws:vpcsourceip",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:currenttime",
        "aws:epochtime",
        "aws:requestedregion",
        "aws:useragent",
        "aws:referer",
        "aws:securetransport",
    ];
    if CALL.contains(&lower) {
        return Some("it depends on where and when the call is made");
    }
    (lower == "sts:rolesessionname").then_some("the name of the session is not known here")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        serde_json::from_str(r#"{"iss": "https://Issuer.example/x", "sub": "s", "aud": ["a"]}"#).unwrap()
    }

    #[test]
    fn keys_have_no_case_and_absent_ones_say_why() {
        let claims = claims();
        let request = Request::new(&claims, "arn:aws-cn:iam::111122223333:role/r", None);
        assert_eq!(request.principal(), "arn:aws-cn:iam::111122223333:oidc-provider/Issuer.example/x");
        assert_eq!(request.key("issuer.EXAMPLE/x:SUB"), Known::Values(vec!["s".into()]));
        for (key, why) in [
            ("Issuer.example/x:email", "the token has no email"),
            ("Issuer.example/x:groups", "only amr, aud, email, oaud and sub of this provider, not groups"),
            ("https://issuer.example/x:sub", "write issuer.example/x:sub"),
            ("issuer.example/x/:sub", "slash"),
            ("other.example:sub", "provider Issuer.example/x"),
            ("sts:ExternalId", "sts:AssumeRole"),
            ("aws:PrincipalOrgID", "not in a request"),
        ] {
            let Known::Absent(said) = request.key(key) else { panic!("{key}") };
            assert!(said.contains(why), "{key}: {said}");
        }
        assert!(matches!(request.key("aws:SourceIp"), Known::Unknown(_)));
    }
}
