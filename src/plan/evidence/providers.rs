//! Providers of identities, the secrets that they need, and how bindings move from one to another.

use super::controls::{A5_16, A5_17, A8_5, CC6_1, CC6_6};
use super::item::{Facts, Finding, Item, Part, Section, Severity, Source, condition, counted, key, place, written};
use super::reading::Read;
use crate::api::v1alpha1::{ClientAuthenticationType, IdentityPhase, IdentityProvider, TrustBinding};

const PROVIDERS: &[&str] = &[CC6_1, CC6_6, A5_16, A5_17, A8_5];
const SECRETS: &[&str] = &[CC6_1, A5_17, A8_5];

/// Which long-lived secrets are in use, or that none is.
pub(super) fn secrets(read: &Read) -> Part {
    let mut section = Section::new("secrets", "Long-lived secrets", SECRETS);
    section.not_read = read.providers.unread("IdentityProviders");
    let mut findings = Vec::new();
    let stored = read
        .providers
        .objects
        .iter()
        .filter(|one| one.spec.client_authentication.method == ClientAuthenticationType::ClientSecret);
    for provider in stored {
        let (item, not_read) = stored_secret(read, provider);
        section.not_read.extend(not_read);
        findings.push(Finding {
            severity: Severity::Warning,
            code: "LongLivedSecret".to_owned(),
            subject: item.subject.clone(),
            message: "a stored client secret is in use, which lives until somebody changes it; use ServiceAccountAssertion where the provider takes it".to_owned(),
            controls: SECRETS,
            section: "secrets",
            read_from: item.read_from.clone(),
        });
        section.items.push(item);
    }
    section.items.sort_by(|one, other| one.subject.cmp(&other.subject));
    if read.providers.refused.is_none() {
        let all = counted(read.providers.objects.len(), "IdentityProvider");
        let whole = read.providers.unreadable.is_empty();
        section.says.push(match section.items.len() {
            0 if whole => format!(
                "None of {all} stores a client secret; Stepbound knows no other long-lived secret of AWS or a provider."
            ),
            0 => format!("None of {all} that could be read stores a client secret."),
            some => format!("Of {all} that could be read, {some} stored a client secret."),
        });
    }
    (section, findings)
}

/// The values of Secrets are never read: who wrote them when stands in their metadata.
fn stored_secret(read: &Read, provider: &IdentityProvider) -> (Item, Option<String>) {
    let reference = provider.spec.client_authentication.secret_key_ref.as_ref();
    let name = reference.map(|one| one.name.clone()).unwrap_or_default();
    let namespace = provider.metadata.namespace.clone().unwrap_or_default();
    let mut facts = Facts::default();
    facts.put("secret", format!("{namespace}/{name}"));
    facts.some("key", reference.map(|one| one.key.clone()));
    facts.put("sentTo", provider.spec.issuer.clone());
    let users = users(read, provider);
    facts.list("usedBy", users.iter().map(|one| format!("TrustBinding {}", place(&one.metadata))));
    let mut read_from = vec![Source::object("IdentityProvider", &provider.metadata)];
    read_from.extend(users.iter().map(|one| Source::object("TrustBinding", &one.metadata)));
    let mut not_read = None;
    match read.secrets.get(&(namespace.clone(), name.clone())) {
        Some(Ok(metadata)) => {
            facts.some("created", metadata.creation_timestamp.as_ref().map(|time| written(time.0)));
            let changed =
                metadata.managed_fields.iter().flatten().filter_map(|one| one.time.as_ref()).map(|time| time.0).max();
            facts.some("lastWritten", changed.map(written));
            facts.some(
                "boundToIssuer",
                metadata.annotations.as_ref().and_then(|all| all.get("stepbound.dev/issuer")).cloned(),
            );
            read_from.push(Source::object("Secret", metadata));
        }
        Some(Err(why)) => not_read = Some(format!("when Secret {namespace}/{name} was last written: {why}")),
        None => not_read = Some(format!("when Secret {namespace}/{name} was last written: it was not looked at")),
    }
    (
        Item {
            subject: format!("IdentityProvider {}", place(&provider.metadata)),
            controls: SECRETS,
            facts: facts.done(),
            read_from,
        },
        not_read,
    )
}

fn users<'a>(read: &'a Read, provider: &IdentityProvider) -> Vec<&'a TrustBinding> {
    let (namespace, name) = key(&provider.metadata);
    let is_user = |one: &&TrustBinding| {
        let named = one.spec.identity_provider_ref.as_ref().is_some_and(|own| own.name == name);
        let trusted =
            || one.status.iter().flat_map(|status| &status.identities).any(|own| own.provider.as_ref() == Some(&name));
        one.metadata.namespace.as_deref() == Some(namespace.as_str()) && (named || trusted())
    };
    let mut users: Vec<&TrustBinding> = read.bindings.objects.iter().filter(is_user).collect();
    users.sort_by_key(|one| key(&one.metadata));
    users
}

/// Every provider, and where each binding stands between identities.
pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new("providers", "Providers of identities and rotations", PROVIDERS);
    section.not_read = read.providers.unread("IdentityProviders");
    section.not_read.extend(read.bindings.unread("TrustBindings"));
    let mut findings = Vec::new();
    for provider in &read.providers.objects {
        let spec = &provider.spec;
        let status = provider.status.clone().unwrap_or_default();
        let mut facts = Facts::default();
        facts.put("issuer", spec.issuer.clone());
        facts.put("authentication", format!("{:?}", spec.client_authentication.method));
        facts.some("clientID", spec.client_authentication.client_id.clone());
        facts.some("tokenURL", status.token_url.clone());
        facts.some("ready", condition(&status.conditions, "Ready"));
        facts.list("usedBy", users(read, provider).iter().map(|one| format!("TrustBinding {}", place(&one.metadata))));
        let subject = format!("IdentityProvider {}", place(&provider.metadata));
        let read_from = vec![Source::object("IdentityProvider", &provider.metadata)];
        // That a secret is stored is told in the part of secrets.
        for one in status.findings.iter().filter(|one| one.code != "LongLivedSecret") {
            findings.push(Finding {
                severity: if one.severity == "Error" { Severity::Error } else { Severity::Warning },
                code: one.code.clone(),
                subject: subject.clone(),
                message: one.message.clone(),
                controls: PROVIDERS,
                section: "providers",
                read_from: read_from.clone(),
            });
        }
        section.items.push(Item { subject, controls: PROVIDERS, facts: facts.done(), read_from });
    }
    section.items.extend(read.bindings.objects.iter().filter_map(rotation));
    section.items.sort_by(|one, other| one.subject.cmp(&other.subject));
    if read.bindings.refused.is_none() {
        let moving = section.items.iter().filter(|one| one.facts.contains_key("identities")).count();
        section.says.push(format!(
            "{} between two identities now.",
            match moving {
                0 => "No TrustBinding is".to_owned(),
                1 => "1 TrustBinding is".to_owned(),
                many => format!("{many} TrustBindings are"),
            }
        ));
    }
    (section, findings)
}

/// A binding that trusts more than one identity, or one that is not in use yet.
fn rotation(binding: &TrustBinding) -> Option<Item> {
    let identities = &binding.status.as_ref()?.identities;
    if identities.len() < 2 {
        return None;
    }
    let mut facts = Facts::default();
    facts.list(
        "identities",
        identities.iter().map(|one| {
            let phase = match one.phase {
                IdentityPhase::Active => "in use",
                IdentityPhase::Probing => "being tried",
                IdentityPhase::Retiring => "on its way out",
            };
            let mut facts = Facts::default();
            facts.put("phase", phase);
            facts.put("issuer", one.issuer.clone());
            facts.put("subject", one.subject.clone());
            facts.put("audience", one.audience.clone());
            facts.some("provider", one.provider.clone());
            facts.some("retiresAt", one.retires_at.as_ref().map(|time| written(time.0)));
            serde_json::Value::Object(facts.done())
        }),
    );
    let read_from = vec![Source::object("TrustBinding", &binding.metadata)];
    Some(Item {
        subject: format!("TrustBinding {}", place(&binding.metadata)),
        controls: PROVIDERS,
        facts: facts.done(),
        read_from,
    })
}
