//! `stepbound trust explain`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::manifest::{Manifest, namespace, tokens};
use super::{Output, TrustError, content, print, read};
use crate::cli::flags;
use crate::iam::document::Document;
use crate::iam::trust::{Audiences, Claims, Explanation, Outcome, Subject, Verdict, explain};
use crate::identity::token_says;

/// Flags of `stepbound trust explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainFlags {
    /// The role's trust policy, or what `aws iam get-role` prints; - is standard input
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Claims of the token as JSON. Never the token itself: it is a credential
    #[arg(long, value_name = "FILE", required_unless_present = "manifest", conflicts_with = "manifest")]
    token_claims: Option<PathBuf>,
    /// Manifest with the TrustBinding, instead of claims
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Name of the TrustBinding, where the manifest holds several
    #[arg(long, value_name = "NAME", requires = "manifest")]
    binding: Option<String>,
    /// Namespace of the service account, where the manifest names none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Issuer of the cluster's tokens, with --manifest
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// ARN of the role, where neither the manifest nor get-role tells it
    #[arg(long, value_name = "ARN", value_parser = flags::role_arn)]
    role_arn: Option<String>,
    /// What to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(flags: &ExplainFlags) -> Result<(), TrustError> {
    let (policy, role_of_policy) = policy(&flags.policy)?;
    let (claims, role_of_binding) = claims(flags)?;
    let role = flags.role_arn.clone().or(role_of_binding).or(role_of_policy).ok_or_else(|| {
        TrustError::Usage(
            "give the role, whose account and partition are part of the provider's ARN: with --role-arn, by what `aws iam get-role` prints as --policy, or by the manifest of its TrustBinding with --manifest"
                .into(),
        )
    })?;
    let explanation = explain(&policy, &claims, &role, None);
    let fix = explanation.fix(&policy_to_put(flags, &claims, &role));
    match flags.output {
        Output::Text => print(&format!("{}\n{}\n{fix}", token_says(&claims), explanation.text()))?,
        Output::Json => print(&format!("{:#}", view(&explanation, &fix)))?,
    }
    match explanation.verdict {
        Verdict::Allowed | Verdict::Depends => Ok(()),
        Verdict::Denied(_) | Verdict::NotAllowed => {
            Err(TrustError::Verdict(format!("the trust policy does not allow {}", explanation.action)))
        }
    }
}

/// Where a policy is that takes the token: a binding has it in its status, and for claims it can be rendered.
fn policy_to_put(flags: &ExplainFlags, claims: &Claims, role: &str) -> String {
    if flags.manifest.is_some() {
        return "the policy in .status.trustPolicy".into();
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let audience = claims.aud.0.first().map(|audience| format!(" --audience {}", quoted(audience)));
    let party = claims.azp.as_deref().map(|party| format!(" --authorized-party {}", quoted(party)));
    format!(
        "the policy that `stepbound trust render --role-arn {role} --issuer {} --subject {}{}{}` prints",
        quoted(&claims.iss),
        quoted(&claims.sub),
        audience.unwrap_or_default(),
        party.unwrap_or_default()
    )
}

/// A trust policy by itself, or within the answer of `aws iam get-role`.
fn policy(path: &Path) -> Result<(Document, Option<String>), TrustError> {
    let text = read(path)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| content(path, &format!("is not JSON: {error}")))?;
    let role = &value["Role"];
    let document = if role.is_object() { &role["AssumeRolePolicyDocument"] } else { &value };
    let document = Document::from_value(document).map_err(|error| content(path, &error))?;
    Ok((document, role["Arn"].as_str().map(str::to_owned)))
}

fn claims(flags: &ExplainFlags) -> Result<(Claims, Option<String>), TrustError> {
    if let Some(path) = &flags.token_claims {
        let text = read(path)?;
        if text.trim_start().starts_with("eyJ") {
            return Err(content(path, &"looks like a token; give its claims alone, for a token is a credential"));
        }
        let claims =
            serde_json::from_str(&text).map_err(|error| content(path, &format!("holds no claims: {error}")))?;
        return Ok((claims, None));
    }
    let path = flags.manifest.as_deref().unwrap_or(Path::new("-"));
    let manifest = Manifest::read(path)?;
    let binding = manifest.binding(path, flags.binding.as_deref())?;
    let known = tokens(binding, namespace(binding, flags.namespace.as_deref())?, flags.issuer.as_deref())?;
    let token = known.into_iter().next().ok_or_else(|| content(path, &"names no token"))?;
    let claims = Claims {
        iss: token.issuer,
        sub: token.subject,
        aud: Audiences(vec![token.audience]),
        azp: token.authorized_party,
        ..Claims::default()
    };
    Ok((claims, Some(binding.spec.role_arn.clone())))
}

fn view(explanation: &Explanation, fix: &str) -> Value {
    let statements = explanation.statements.iter().map(|statement| {
        let checks = statement.checks.iter().map(|check| {
            let (what, operator) = match &check.subject {
                Subject::Principal => ("Principal", None),
                Subject::Action => ("Action", None),
                Subject::Condition(operator, key) => (key.as_str(), Some(operator)),
            };
            let outcome = match check.outcome {
                Outcome::Holds => "Holds",
                Outcome::Fails => "Fails",
                Outcome::Unknown => "Unknown",
            };
            json!({"what": what, "operator": operator, "expected": check.expected, "actual": check.actual,
                "outcome": outcome, "why": check.why})
        });
        json!({"number": statement.number, "effect": statement.effect.text(), "checks": checks.collect::<Vec<_>>()})
    });
    let verdict = match explanation.verdict {
        Verdict::Allowed => "Allowed",
        Verdict::Depends => "Depends",
        Verdict::Denied(_) => "Denied",
        Verdict::NotAllowed => "NotAllowed",
    };
    json!({"verdict": verdict, "action": explanation.action, "decisive": explanation.decisive().map(|one| one.number),
        "fix": fix, "statements": statements.collect::<Vec<_>>()})
}
