//! Who asked for a run, and when that can be believed.
//!
//! The API server writes its own name of whoever creates, cancels or redrives into annotations, by a mutating policy of the
//! chart, and a validating policy refuses forged values. The annotations are worth as much as the policies: they are
//! believed only while both are as the chart has them, fail closed, and were so a minute before the object was created.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The specs as the chart installs them.
const STAMP: &str = include_str!("../../charts/stepbound/policies/attribution-stamp.yaml");
const GUARD: &str = include_str!("../../charts/stepbound/policies/attribution-guard.yaml");

/// Every API server has read a new policy by then; several of them serve a cluster.
pub(super) const SETTLED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// A policy or a binding of one as the API server has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// When it was last written, by whomever.
    pub changed_at: Timestamp,
    /// Another one with every change of the spec: UID and generation, which nobody can write.
    pub revision: String,
    /// Its spec.
    pub spec: Value,
}

/// The four objects that make a stamp worth believing; `None` where there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    /// Mutating policy that stamps.
    pub stamp: Option<Installed>,
    /// Its binding.
    pub stamp_binding: Option<Installed>,
    /// Validating policy that refuses forged values.
    pub guard: Option<Installed>,
    /// Its binding.
    pub guard_binding: Option<Installed>,
}

/// For whom the policies were installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation<'a> {
    /// What the names of the release's policies begin with.
    pub prefix: &'a str,
    /// User name of the operator's own account, which alone is exempt.
    pub operator: &'a str,
    /// Namespaces that are watched; empty means all.
    pub namespaces: &'a [String],
}

impl Installation<'_> {
    /// Name of the policy that stamps and of its binding.
    pub fn stamp(&self) -> String {
        format!("{}-attribution-stamp", self.prefix)
    }

    /// Name of the policy that refuses forged values and of its binding.
    pub fn guard(&self) -> String {
        format!("{}-attribution-guard", self.prefix)
    }
}

/// Since when stamps can be believed.
///
/// # Errors
/// What keeps them from being believed, for people.
pub fn believed_since(installation: &Installation<'_>, policies: &Policies) -> Result<Timestamp, String> {
    let mut stamp_spec = expected(STAMP, installation)?;
    defaults(&mut stamp_spec);
    let guard_spec = validating_spec(GUARD, installation)?;
    let (stamp, guard) = (installation.stamp(), installation.guard());
    let parts = [
        ("MutatingAdmissionPolicy", &stamp, &policies.stamp, stamp_spec),
        ("MutatingAdmissionPolicyBinding", &stamp, &policies.stamp_binding, json!({"policyName": stamp})),
        ("ValidatingAdmissionPolicy", &guard, &policies.guard, guard_spec),
        (
            "ValidatingAdmissionPolicyBinding",
            &guard,
            &policies.guard_binding,
            json!({"policyName": guard, "validationActions": ["Deny"]}),
        ),
    ];
    let mut since = Timestamp::MIN;
    for (kind, name, installed, expected) in parts {
        let Some(installed) = installed else { return Err(format!("there is no {kind} {name}")) };
        if installed.spec != expected {
            return Err(format!("{kind} {name} is not as the chart has it"));
        }
        since = since.max(installed.changed_at);
    }
    Ok(since)
}

/// The spec of a validating policy as the API server has it once the chart has installed it.
///
/// # Errors
/// Where the text in this binary is no YAML, which a test rules out.
pub(super) fn validating_spec(text: &str, installation: &Installation<'_>) -> Result<Value, String> {
    let mut spec = expected(text, installation)?;
    defaults(&mut spec);
    spec["failurePolicy"] = json!("Fail");
    Ok(spec)
}

/// What the chart installs, for tests: kind in the plural, name and spec of each.
#[cfg(test)]
pub(crate) fn installed_by_the_chart(installation: &Installation<'_>) -> Vec<(&'static str, String, Value)> {
    let (stamp, guard) = (installation.stamp(), installation.guard());
    let mut stamps = expected(STAMP, installation).unwrap_or_default();
    defaults(&mut stamps);
    vec![
        ("mutatingadmissionpolicies", stamp.clone(), stamps),
        ("mutatingadmissionpolicybindings", stamp.clone(), json!({"policyName": stamp})),
        ("validatingadmissionpolicies", guard.clone(), validating_spec(GUARD, installation).unwrap_or_default()),
        (
            "validatingadmissionpolicybindings",
            guard.clone(),
            json!({"policyName": guard, "validationActions": ["Deny"]}),
        ),
    ]
}

/// Whether the stamps of an object that was created then can be believed.
pub fn covers(since: Timestamp, created: Timestamp) -> bool {
    created.duration_since(since) >= SETTLED_AFTER
}

fn expected(text: &str, installation: &Installation<'_>) -> Result<Value, String> {
    let scope = if installation.namespaces.is_empty() {
        json!({})
    } else {
        json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": installation.namespaces}]})
    };
    let text =
        text.replace("OPERATOR_USER", installation.operator).replace("SCOPE", &format!("namespaceSelector: {scope}"));
    serde_yaml::from_str(&text).map_err(|error| format!("the policy in this binary does not parse: {error}"))
}

/// What the API server fills in.
fn defaults(spec: &mut Value) {
    let constraints = &mut spec["matchConstraints"];
    constraints["matchPolicy"] = json!("Equivalent");
    constraints["objectSelector"] = json!({});
    for rule in constraints["resourceRules"].as_array_mut().into_iter().flatten() {
        rule["scope"] = json!("*");
    }
}

/// Longest readable part of a session's name; the hash and its dash make 64 with it.
const READABLE: usize = 47;

/// Name of the STS session of a requester: the user's name as far as it fits, and a hash of it that keeps users apart who
/// look alike once other characters are replaced. STS allows `[\w+=,.@-]`, 2 to 64 characters (`AssumeRoleWithWebIdentity`,
/// parameter `RoleSessionName`).
pub fn session_name(requester: &str) -> String {
    named(requester, requester)
}

/// `<readable>-<hash of identity>`, at most 64 characters.
pub fn named(readable: &str, identity: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(identity);
    let hash: String = digest.iter().take(16).map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    let fits = |c: char| if c.is_ascii_alphanumeric() || "+=,.@-_".contains(c) { c } else { '-' };
    let readable: String = readable.chars().map(fits).take(READABLE).collect();
    format!("{readable}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMESPACES: [String; 0] = [];

    fn installation() -> Installation<'static> {
        Installation {
            prefix: "system-stepbound",
            operator: "system:serviceaccount:system:stepbound",
            namespaces: &NAMESPACES,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn policies() -> Policies {
        let mut stamp = expected(STAMP, &installation()).unwrap();
        defaults(&mut stamp);
        let guard = validating_spec(GUARD, &installation()).unwrap();
        let installed =
            |changed_at, spec| Some(Installed { changed_at: at(changed_at), revision: String::new(), spec });
        Policies {
            stamp: installed(100, stamp),
            stamp_binding: installed(101, json!({"policyName": "system-stepbound-attribution-stamp"})),
            guard: installed(102, guard),
            guard_binding: installed(
                99,
                json!({"policyName": "system-stepbound-attribution-guard", "validationActions": ["Deny"]}),
            ),
        }
    }

    #[test]
    fn a_stamp_is_believed_a_minute_after_the_last_change_of_the_policies() {
        let since = believed_since(&installation(), &policies()).unwrap();
        assert_eq!(since, at(102));
        assert!(!covers(since, at(161)));
        assert!(covers(since, at(162)));
    }

    #[test]
    fn a_policy_that_is_missing_weaker_or_for_others_is_not_believed() {
        type Change = fn(&mut Policies);
        let weakenings: [(&str, Change); 9] = [
            ("no MutatingAdmissionPolicy ", |all| all.stamp = None),
            ("no MutatingAdmissionPolicyBinding", |all| all.stamp_binding = None),
            ("no ValidatingAdmissionPolicy ", |all| all.guard = None),
            ("no ValidatingAdmissionPolicyBinding", |all| all.guard_binding = None),
            ("not as the chart", |all| all.stamp.as_mut().unwrap().spec["failurePolicy"] = json!("Ignore")),
            ("not as the chart", |all| {
                all.stamp.as_mut().unwrap().spec["matchConstraints"]["objectSelector"] =
                    json!({"matchLabels": {"a": "b"}});
            }),
            ("not as the chart", |all| {
                all.guard.as_mut().unwrap().spec["matchConditions"][0]["expression"] = json!("false");
            }),
            ("not as the chart", |all| {
                all.guard_binding.as_mut().unwrap().spec["validationActions"] = json!(["Warn"]);
            }),
            ("not as the chart", |all| {
                all.stamp_binding.as_mut().unwrap().spec["matchResources"] = json!({"namespaceSelector": {}});
            }),
        ];
        for (index, (word, change)) in weakenings.into_iter().enumerate() {
            let mut changed = policies();
            change(&mut changed);
            let why = believed_since(&installation(), &changed).unwrap_err();
            assert!(why.contains(word), "{index}: {why}");
        }
        let other = Installation { operator: "system:serviceaccount:system:other", ..installation() };
        assert!(believed_since(&other, &policies()).is_err());
    }

    #[test]
    fn users_who_look_alike_have_sessions_of_their_own() {
        let pairs = [("jürgen@shop", "j-rgen@shop"), ("admin", "аdmin"), ("system:admin", "system-admin")];
        for (one, other) in pairs {
            assert_ne!(session_name(one), session_name(other));
        }
        let name = session_name("system:serviceaccount:argocd:argocd-application-controller");
        assert!(name.starts_with("system-serviceaccount-argocd-argocd-application-"), "{name}");
        assert_eq!(name.len(), 64);
    }

    proptest! {
        /// Requirement 15 of docs/security.md: session names deterministic, bounded, collision-safe.
        #[test]
        fn requirement_15_session_names_of_requesters_are_valid_stable_bounded_and_distinct(a in "\\PC{0,300}", b in "\\PC{0,300}") {
            let name = session_name(&a);
            prop_assert!((2..=64).contains(&name.len()));
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)), "{}", name);
            prop_assert_eq!(&name, &session_name(&a));
            prop_assert_eq!(a == b, name == session_name(&b));
        }
    }
}
