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
        let is_refused = |one: &&Condition| match one.type_.as_str() {
            "Stalled" => one.status == "True",
            "Reconciling" | "Ready" => false,
            _ => one.status == "False",
        };
        let findings = status.findings.iter();
        Row {
            ready: Mark::condition(find(&status.conditions, "Ready")),
            links: chain(&namespace, &name, &binding),
            refused: status.conditions.iter().filter(is_refused).map(Told::of).collect(),
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

/// Account -> token -> binding -> role -> what a session may.
fn chain(namespace: &str, name: &str, binding: &Binding) -> Vec<Link> {
    let (spec, status) = (&binding.spec, &binding.status);
    let mark = |kind: &str| Mark::condition(find(&status.conditions, kind));
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
        Link { what: "Session policy", which: limits, more: Vec::new(), mark: mark("LeastPrivilege") },
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
