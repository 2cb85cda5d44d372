//! Trust: which account acts as which role, and where that chain is broken.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::frame::Frame;
use super::kept::Binding;
use super::site::{Site, answer};
use super::store::Kind;
use super::told::{Mark, Told};
use crate::api::v1alpha1::{IdentityPhase, SessionPolicyChoice};
use crate::status::find;

/// The condition of what a binding lets its sessions do.
const LEAST_PRIVILEGE: &str = "LeastPrivilege";

#[derive(Template)]
#[template(path = "ui/trust.html")]
struct TrustPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    namespace: Arc<str>,
    name: Arc<str>,
    ready: Mark,
    links: Vec<Link>,
    /// What is refused, and why.
    refused: Vec<Told>,
    /// What is said of it, as `describe` says it.
    findings: Vec<(Mark, String, String)>,
    identities: Vec<String>,
    workflows: Vec<Arc<str>>,
    trust_policy: Option<String>,
}

/// A link of the chain: what it is, which, and whether it holds.
struct Link {
    what: &'static str,
    which: String,
    more: Vec<(&'static str, String)>,
    mark: Mark,
}

pub(super) async fn show(State(site): State<Arc<Site>>) -> Response {
    let frame = Frame::new(&site, "Trust", "trust", &[Kind::Bindings, Kind::Workflows]);
    let workflows = site.store.workflows.all(|_, _| true);
    let rows = site.store.bindings.all(|_, _| true).into_iter().map(|((namespace, name), binding)| {
        let uses = workflows.iter().filter(|(key, workflow)| key.0 == namespace && *workflow.binding == *name);
        let status = &binding.status;
        let findings = status.findings.iter();
        Row {
            ready: Mark::condition(find(&status.conditions, "Ready")),
            links: chain(&namespace, &name, &binding),
            refused: refused(&binding),
            findings: findings
                .map(|one| (Mark::severity(&one.severity), one.code.clone(), one.message.clone()))
                .collect(),
            identities: identities(&binding),
            workflows: uses.map(|(key, _)| Arc::clone(&key.1)).collect(),
            trust_policy: status.trust_policy.as_deref().map(pretty),
            namespace,
            name,
        }
    });
    answer(StatusCode::OK, &TrustPage { frame, rows: rows.collect() })
}

/// What is refused, each once: `Stalled` repeats what a condition of its own says, and the findings say one by one why the
/// binding lets more than it needs.
fn refused(binding: &Binding) -> Vec<Told> {
    let is_refused = |one: &&Condition| match one.type_.as_str() {
        "Stalled" => one.status == "True",
        "Reconciling" | "Ready" => false,
        LEAST_PRIVILEGE => one.status == "False" && binding.status.findings.is_empty(),
        _ => one.status == "False",
    };
    let mut refused: Vec<&Condition> = binding.status.conditions.iter().filter(is_refused).collect();
    refused.sort_by_key(|one| one.type_ == "Stalled");
    let mut told: Vec<Told> = Vec::new();
    for one in refused {
        if !told.iter().any(|other| other.reason == one.reason && other.message == one.message) {
            told.push(Told { mark: mark_of(binding, &one.type_), ..Told::of(one) });
        }
    }
    told
}

/// More than need be is a warning, unless a finding is an error: it works all the same.
fn mark_of(binding: &Binding, kind: &str) -> Mark {
    let mark = Mark::condition(find(&binding.status.conditions, kind));
    let findings = &binding.status.findings;
    if kind == LEAST_PRIVILEGE && mark.look == "bad" {
        let is_error = findings.iter().any(|one| Mark::severity(&one.severity).look == "bad");
        return Mark::severity(if is_error { "Error" } else { "Warning" });
    }
    if kind == "Stalled" { Mark { word: "Yes", look: "bad" } } else { mark }
}

/// Account -> token -> binding -> role -> what a session may.
fn chain(namespace: &str, name: &str, binding: &Binding) -> Vec<Link> {
    let (spec, status) = (&binding.spec, &binding.status);
    let mark = |kind: &str| mark_of(binding, kind);
    let known = |pairs: [(&'static str, Option<String>); 3]| {
        pairs.into_iter().filter_map(|(what, value)| value.map(|value| (what, value))).collect::<Vec<_>>()
    };
    let provider = spec.identity_provider_ref.as_ref().map(|reference| reference.name.clone());
    let limits = match spec.session_policy.choice() {
        SessionPolicyChoice::Derived => "Derived: what Stepbound calls for this namespace".to_owned(),
        SessionPolicyChoice::None => "None: all that the role may".to_owned(),
        SessionPolicyChoice::Inline(_) => "A policy of its own".to_owned(),
        SessionPolicyChoice::Unknown(other) => format!("Not known: {other}"),
    };
    vec![
        Link {
            what: "Service account",
            which: format!("{namespace}/{}", spec.service_account_name),
            more: known([
                ("subject", status.subject.clone()),
                ("issuer", status.issuer.clone()),
                ("provider", provider),
            ]),
            mark: mark("TokenMinted"),
        },
        Link {
            what: "TrustBinding",
            which: format!("{namespace}/{name}"),
            more: known([
                ("audience", status.audience.clone().or_else(|| Some(spec.audience.clone()))),
                ("suspended", spec.suspend.then(|| "yes".to_owned())),
                ("region", Some(spec.region.clone())),
            ]),
            mark: mark("Authorized"),
        },
        Link {
            what: "Role",
            which: spec.role_arn.clone(),
            more: known([
                ("account", status.account_id.clone()),
                ("session", status.session_name.clone()),
                ("lasts", Some(spec.session_duration.0.clone())),
            ]),
            mark: mark("RoleAssumed"),
        },
        Link { what: "Session policy", which: limits, more: Vec::new(), mark: mark(LEAST_PRIVILEGE) },
    ]
}

/// Where more than one identity is trusted, or is on its way.
fn identities(binding: &Binding) -> Vec<String> {
    let all = &binding.status.identities;
    if all.len() < 2 {
        return Vec::new();
    }
    let told = |one: &crate::api::v1alpha1::TrustedIdentity| {
        let phase = match one.phase {
            IdentityPhase::Active => "in use",
            IdentityPhase::Probing => "being tried",
            IdentityPhase::Retiring => "on its way out",
        };
        format!("{} of {}: {phase}", one.subject, one.issuer)
    };
    all.iter().map(told).collect()
}

fn pretty(text: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(text).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubectl::ui::kept::binding;

    fn seen(findings: &serde_json::Value) -> Binding {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2027-01-31T12:00:00Z"});
        let least = condition("LeastPrivilege", "False", "Findings", "WideRole: the role may more than it needs.");
        let conditions = [
            condition("Ready", "True", "Ready", "It works."),
            condition("RoleAssumed", "True", "Assumed", "As the role."),
            least,
        ];
        binding(
            serde_json::from_value(json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "TrustBinding",
                "metadata": {"name": "orders", "namespace": "shop"},
                "spec": {"roleARN": "arn:aws:iam::111122223333:role/orders", "region": "eu-west-1", "serviceAccountName": "orders"},
                "status": {"conditions": conditions, "findings": findings}}))
            .unwrap(),
        )
    }

    #[test]
    fn what_is_wider_than_need_be_is_a_warning_that_is_told_once() {
        let marks = |binding: &Binding| {
            let links = chain("shop", "orders", binding);
            links.iter().map(|link| link.mark.look).collect::<Vec<_>>().join(" ")
        };
        let warned =
            seen(&json!([{"severity": "Warning", "code": "WideRole", "message": "the role may more than it needs."}]));
        assert_eq!(marks(&warned), "wait wait good caught");
        assert!(refused(&warned).is_empty(), "the finding says it: {:?}", refused(&warned));
        let error = seen(&json!([{"severity": "Error", "code": "AnySubject", "message": "anybody may."}]));
        assert!(marks(&error).ends_with("bad"));
        let bare = seen(&json!([]));
        let told = refused(&bare);
        assert_eq!((told.len(), told[0].mark.look), (1, "caught"), "{told:?}");
    }

    #[test]
    fn what_two_conditions_say_is_told_once() {
        let mut binding = seen(&json!([]));
        let same = |kind: &str, status: &str| {
            serde_json::from_value(
                json!({"type": kind, "status": status, "reason": "TrustPolicyDenied", "message": "STS refuses.",
                "lastTransitionTime": "2027-01-31T12:00:00Z"}),
            )
            .unwrap()
        };
        binding.status.conditions = vec![same("Stalled", "True"), same("RoleAssumed", "False")];
        let told: Vec<String> = refused(&binding).into_iter().map(|one| one.kind).collect();
        assert_eq!(told, ["RoleAssumed"]);
    }
}
