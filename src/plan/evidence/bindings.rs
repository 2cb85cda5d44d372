//! Bindings: which account acts as which role, and how exactly that role trusts it.

use serde_json::{Value, json};

use super::controls::{A5_15, A5_16, A5_17, A8_2, A8_5, CC6_1, CC6_3, CC6_6};
use super::files::PolicyFile;
use super::item::{Facts, Finding, Item, Part, Section, Severity, Source, condition, counted, place};
use super::reading::Read;
use crate::api::v1alpha1::{
    Attribution, IdentityPhase, SessionPolicyChoice, TrustBinding, TrustBindingStatus, TrustedIdentity,
};
use crate::digest::sha256_hex;
use crate::iam::document::Document;
use crate::iam::trust::{self, Claims, Verdict, lint_trust};

const ID: &str = "bindings";
const ALL: &[&str] = &[CC6_1, CC6_3, CC6_6, A5_15, A5_16, A8_2, A8_5];
const TRUST: &[&str] = &[CC6_1, CC6_6, A5_15, A8_5];
const SECRET: &[&str] = &[CC6_1, A5_17, A8_5];
const WIDTH: &[&str] = &[CC6_3, A5_15, A8_2];

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new(ID, "Which accounts act as which roles", ALL);
    section.not_read = read.bindings.unread("TrustBindings");
    let mut findings = Vec::new();
    let mut without = Vec::new();
    for binding in &read.bindings.objects {
        let files: Vec<&PolicyFile> =
            read.trust_policies.iter().filter(|file| file.role_arn == binding.spec.role_arn).collect();
        let judged = Judged::of(binding, &files);
        if files.is_empty() {
            without.push(place(&binding.metadata));
        }
        findings.extend(judged.findings.iter().cloned());
        section.items.push(item(binding, &files, &judged));
    }
    section.items.sort_by(|one, other| one.subject.cmp(&other.subject));
    if read.bindings.refused.is_none() {
        let exact = section.items.iter().filter(|one| one.facts["trust"]["exactness"] == "exact").count();
        section.says.push(format!(
            "{} of {}: the trust policy as AWS has it was read, names one subject and one audience, and has no weak place.",
            exact,
            counted(section.items.len(), "TrustBinding")
        ));
        section.says.push("Each shows STS a token of its service account or of its provider; the kind has no field for an access key.".to_owned());
    }
    without.sort();
    if !without.is_empty() {
        section
            .not_read
            .push(format!("trust policies as AWS has them, of {}: not given (--trust-policy)", without.join(", ")));
    }
    for file in &read.trust_policies {
        if read.bindings.refused.is_none()
            && !read.bindings.objects.iter().any(|one| one.spec.role_arn == file.role_arn)
        {
            section.says.push(format!(
                "{} is of the role {}, which no TrustBinding that was read names.",
                file.source.text(),
                file.role_arn
            ));
        }
    }
    (section, findings)
}

/// What is said of a binding's trust, and what is weak in it.
struct Judged {
    trust: Value,
    findings: Vec<Finding>,
}

impl Judged {
    fn of(binding: &TrustBinding, files: &[&PolicyFile]) -> Self {
        let nothing = TrustBindingStatus::default();
        let status = binding.status.as_ref().unwrap_or(&nothing);
        let object = Source::object("TrustBinding", &binding.metadata);
        let mut findings: Vec<Finding> = status
            .findings
            .iter()
            .map(|one| {
                let severity = if one.severity == "Error" { Severity::Error } else { Severity::Warning };
                found(binding, severity, &one.code, &one.message, vec![object.clone()])
            })
            .collect();
        let needed = status.trust_policy.as_deref().map(Document::parse).and_then(Result::ok);
        for one in needed.iter().flat_map(lint_trust) {
            let message = format!("the trust policy in its status, statement {}: {}", one.statement, one.message);
            findings.push(found(binding, severity(one.severity), one.code, &message, vec![object.clone()]));
        }
        let mut trust = Facts::default();
        let seen: Vec<Value> =
            files.iter().map(|file| seen(binding, status, needed.as_ref(), file, &object, &mut findings)).collect();
        let is = |what: &str| !seen.is_empty() && seen.iter().all(|one| one["exactness"] == what);
        trust.put(
            "exactness",
            if is("exact") {
                "exact"
            } else if seen.is_empty() {
                "not read"
            } else {
                "weak"
            },
        );
        trust.list("asAWSHasIt", seen);
        trust.some("leastPrivilegeSaysTheOperator", condition(&status.conditions, "LeastPrivilege"));
        trust.some("needed", needed.as_ref().map(Document::to_value));
        trust.some("neededSHA256", status.trust_policy.as_deref().map(|text| sha256_hex(text.as_bytes())));
        Self { trust: Value::Object(trust.done()), findings }
    }
}

/// What a trust policy as AWS has it says of a binding.
fn seen(
    binding: &TrustBinding,
    status: &TrustBindingStatus,
    needed: Option<&Document>,
    file: &PolicyFile,
    object: &Source,
    findings: &mut Vec<Finding>,
) -> Value {
    let both = || vec![object.clone(), file.source.clone()];
    let weak = lint_trust(&file.document);
    for one in &weak {
        let message = format!("the trust policy that AWS has, statement {}: {}", one.statement, one.message);
        findings.push(found(binding, severity(one.severity), one.code, &message, both()));
    }
    let active = status.identities.iter().filter(|one| one.phase == IdentityPhase::Active);
    let mut claims: Vec<Claims> = active.map(claims).collect();
    if claims.is_empty() {
        claims.extend(minted(status));
    }
    let takes = |claims: &Claims| {
        let verdict = trust::explain(&file.document, claims, &binding.spec.role_arn, None).verdict;
        matches!(verdict, Verdict::Allowed | Verdict::Depends)
    };
    let mut facts = Facts::default();
    let is_taken = (!claims.is_empty()).then(|| claims.iter().all(takes));
    if is_taken == Some(false) {
        let message = "the trust policy that AWS has does not take the token that the binding shows; it is not the policy that is in use, or the binding does not work";
        findings.push(found(binding, Severity::Warning, "TokenNotTaken", message, both()));
    }
    facts.put("exactness", if weak.is_empty() && is_taken == Some(true) { "exact" } else { "weak" });
    facts.some("takesTheBindingsToken", is_taken);
    facts
        .some("isWhatIsNeeded", needed.map(|needed| needed.clone().normalised() == file.document.clone().normalised()));
    facts.list("weakPlaces", weak.iter().map(|one| one.code));
    facts.put("policy", file.document.to_value());
    Value::Object(facts.done())
}

fn claims(identity: &TrustedIdentity) -> Claims {
    Claims {
        iss: identity.issuer.clone(),
        sub: identity.subject.clone(),
        aud: trust::Audiences(vec![identity.audience.clone()]),
        azp: identity.authorized_party.clone(),
        ..Claims::default()
    }
}

/// The token that was minted last, where no identity is recorded.
fn minted(status: &TrustBindingStatus) -> Option<Claims> {
    let (iss, sub, aud) = (status.issuer.clone()?, status.subject.clone()?, status.audience.clone()?);
    Some(Claims { iss, sub, aud: trust::Audiences(vec![aud]), ..Claims::default() })
}

fn severity(severity: trust::Severity) -> Severity {
    if severity == trust::Severity::Error { Severity::Error } else { Severity::Warning }
}

fn found(binding: &TrustBinding, severity: Severity, code: &str, message: &str, read_from: Vec<Source>) -> Finding {
    let controls = match code {
        "LongLivedSecret" | "SecretNotTied" => SECRET,
        "NoSessionPolicy" | "PassRoleTooBroad" | "StepRolesReachable" | "ActionWildcard" | "NotAction" => WIDTH,
        _ => TRUST,
    };
    let subject = format!("TrustBinding {}", place(&binding.metadata));
    Finding { severity, code: code.to_owned(), subject, message: message.to_owned(), controls, section: ID, read_from }
}

fn item(binding: &TrustBinding, files: &[&PolicyFile], judged: &Judged) -> Item {
    let nothing = TrustBindingStatus::default();
    let (spec, status) = (&binding.spec, binding.status.as_ref().unwrap_or(&nothing));
    let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
    let mut facts = Facts::default();
    facts.put("serviceAccount", format!("{namespace}/{}", spec.service_account_name));
    facts.some("serviceAccountUID", status.service_account_uid.clone());
    facts.put("roleARN", spec.role_arn.clone());
    facts.some("accountID", status.account_id.clone().or_else(|| spec.role_arn.split(':').nth(4).map(str::to_owned)));
    facts.put("region", spec.region.clone());
    facts.put("audience", status.audience.clone().unwrap_or_else(|| spec.audience.clone()));
    facts.some("issuer", status.issuer.clone());
    facts.some("subject", status.subject.clone());
    facts.some("identityProvider", spec.identity_provider_ref.as_ref().map(|one| one.name.clone()));
    facts.put("sessionDuration", spec.session_duration.0.clone());
    let policy = match spec.session_policy.choice() {
        SessionPolicyChoice::Derived => "Derived: what Stepbound itself calls".to_owned(),
        SessionPolicyChoice::None => "None: all that the role may".to_owned(),
        SessionPolicyChoice::Inline(text) => format!("a policy of its own, SHA-256 {}", sha256_hex(text.as_bytes())),
        SessionPolicyChoice::Unknown(_) => "not known".to_owned(),
    };
    facts.put("sessionPolicy", policy);
    facts.put(
        "sessionsNamedAfter",
        if spec.attribution == Attribution::Requester { "who asked" } else { "the binding" },
    );
    facts.put("suspended", spec.suspend);
    facts.list("allowedExecutionRoleARNs", spec.allowed_execution_role_arns.iter().map(|one| one.0.clone()));
    facts.list("allowedStepRoleARNs", spec.allowed_step_role_arns.iter().map(|one| one.0.clone()));
    facts.some("ready", condition(&status.conditions, "Ready"));
    facts.put("trust", judged.trust.clone());
    let codes = |one: &Finding| json!({"severity": one.severity, "code": one.code});
    facts.list("findings", judged.findings.iter().map(codes));
    let mut read_from = vec![Source::object("TrustBinding", &binding.metadata)];
    read_from.extend(files.iter().map(|file| file.source.clone()));
    Item {
        subject: format!("TrustBinding {}", place(&binding.metadata)),
        controls: ALL,
        facts: facts.done(),
        read_from,
    }
}
