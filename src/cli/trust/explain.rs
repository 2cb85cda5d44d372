//! `stepbound trust explain`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::answer::{Output, TrustError, content, json_of, print, read};
use super::manifest::{Manifest, manifests, namespace, subject, tokens};
use crate::api::v1alpha1::TrustBinding;
use crate::cli::{files, flags};
use crate::iam::document::Document;
use crate::iam::trust::{Audiences, Claims, Explanation, Outcome, Subject, Verdict, explain};
use crate::printable;

/// Flags of `stepbound trust explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainFlags {
    /// The role's trust policy, or what `aws iam get-role` prints; - is standard input. Of several TrustBindings what get-role prints
    /// of each role (repeatable; a folder of such files)
    #[arg(long = "policy", value_name = "FILE|DIR", required = true)]
    policies: Vec<PathBuf>,
    /// Claims of the token as JSON. Never the token itself: it is a credential
    #[arg(long, value_name = "FILE", required_unless_present = "manifest", conflicts_with = "manifest")]
    token_claims: Option<PathBuf>,
    /// Manifest with the TrustBinding, or a folder of such, instead of claims; each binding is explained
    #[arg(long, value_name = "FILE|DIR")]
    manifest: Option<PathBuf>,
    /// Name of the only TrustBinding to explain
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

#[cfg(feature = "kubectl")]
impl ExplainFlags {
    /// The files that are read as manifests.
    pub(super) fn files(&self) -> Vec<&Path> {
        self.manifest.iter().map(PathBuf::as_path).collect()
    }
}

pub(super) fn run(flags: &ExplainFlags) -> Result<(), TrustError> {
    let policies = policies(&flags.policies)?;
    let (mut asked, several) = asked(flags)?;
    if !several && let Some(one) = asked.pop() {
        let (claims, role) = one.token?;
        let policy = match policies.as_slice() {
            [policy] => policy,
            several => of_role(several, flags.role_arn.as_deref().or(role.as_deref()))?,
        };
        let answer = answer(flags, policy, &claims, role)?;
        match flags.output {
            Output::Text => print(&answer.text)?,
            Output::Json => print(&printable::json(&format!("{:#}", answer.view)))?,
        }
        return answer.refusal.map_or(Ok(()), |why| Err(TrustError::Verdict(why)));
    }
    of_bindings(flags, &policies, asked)
}

/// Each binding of a manifest by the policy of its role.
fn of_bindings(flags: &ExplainFlags, policies: &[Policy], asked: Vec<Asked>) -> Result<(), TrustError> {
    let (mut texts, mut views, mut refused, mut open) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Asked { subject, token } in asked {
        let answered =
            token.and_then(|(claims, role)| answer(flags, of_role(policies, role.as_deref())?, &claims, role));
        match answered {
            Ok(answer) => {
                texts.push(format!("## {subject}\n{}", answer.text.trim_end()));
                let mut view = answer.view;
                view["subject"] = subject.clone().into();
                views.push(view);
                refused.extend(answer.refusal.map(|_| subject));
            }
            Err(error) => {
                texts.push(format!("## {subject}\nnot explained: {error}"));
                views.push(json!({"subject": subject, "verdict": null, "why": error.to_string()}));
                open.push(subject);
            }
        }
    }
    match flags.output {
        Output::Text => print(&texts.join("\n\n"))?,
        Output::Json => print(&printable::json(&format!("{:#}", Value::Array(views))))?,
    }
    if !refused.is_empty() {
        return Err(TrustError::Verdict(format!("the trust policies do not allow {}", refused.join(", "))));
    }
    if !open.is_empty() {
        return Err(TrustError::Usage(format!("not explained: {}", open.join(", "))));
    }
    Ok(())
}

/// A trust policy, and whose it is where that is known.
struct Policy {
    document: Document,
    role: Option<String>,
}

/// Who shows a token to a role.
struct Asked {
    subject: String,
    token: Result<(Claims, Option<String>), TrustError>,
}

struct Answer {
    text: String,
    view: Value,
    /// Why the policy does not take the token.
    refusal: Option<String>,
}

fn answer(
    flags: &ExplainFlags,
    policy: &Policy,
    claims: &Claims,
    role_of_binding: Option<String>,
) -> Result<Answer, TrustError> {
    let role = flags.role_arn.clone().or(role_of_binding).or_else(|| policy.role.clone()).ok_or_else(|| {
        TrustError::Usage(
            "give the role, whose account and partition are part of the provider's ARN: with --role-arn, by what `aws iam get-role` prints as --policy, or by the manifest of its TrustBinding with --manifest"
                .into(),
        )
    })?;
    let explanation = explain(&policy.document, claims, &role, None);
    let fix = explanation.fix(&policy_to_put(flags, claims, &role));
    let refusal = match explanation.verdict {
        Verdict::Allowed | Verdict::Depends => None,
        Verdict::Denied(_) | Verdict::NotAllowed => {
            Some(format!("the trust policy does not allow {}", explanation.action))
        }
    };
    let text = format!("{}\n{}\n{fix}", claims.told(), explanation.text());
    Ok(Answer { text, view: view(&explanation, &fix), refusal })
}

/// The policy of a binding's role, told by the ARN that get-role prints beside it.
fn of_role<'a>(policies: &'a [Policy], role: Option<&str>) -> Result<&'a Policy, TrustError> {
    let found = policies.iter().find(|policy| policy.role.is_some() && policy.role.as_deref() == role);
    found.ok_or_else(|| {
        let role = role.unwrap_or_default();
        let name = role.rsplit('/').next().unwrap_or_default();
        TrustError::Usage(format!(
            "no policy given says that it is of role {role}; give what `aws iam get-role --role-name {name}` prints with --policy"
        ))
    })
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

fn policies(paths: &[PathBuf]) -> Result<Vec<Policy>, TrustError> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(policy_of(path, &read(path)?)?);
            continue;
        }
        let before = found.len();
        for file in manifests(path).map_err(|source| TrustError::Read { path: path.clone(), source })? {
            let text = files::read_found(&file).map_err(|source| TrustError::Read { path: file.clone(), source })?;
            // What else is in the folder is not for this.
            if let Some(text) = text.filter(|text| text.contains("\"AssumeRolePolicyDocument\"")) {
                found.push(policy_of(&file, &text)?);
            }
        }
        if found.len() == before {
            return Err(content(
                path,
                &"holds no .json file with a trust policy; write there what `aws iam get-role --role-name NAME` prints of each role",
            ));
        }
    }
    Ok(found)
}

/// A trust policy by itself, or within the answer of `aws iam get-role`.
fn policy_of(path: &Path, text: &str) -> Result<Policy, TrustError> {
    if text.trim().is_empty() {
        return Err(content(
            path,
            &"is empty; give the role's trust policy as JSON, or what `aws iam get-role` prints",
        ));
    }
    let value: Value = json_of(text).map_err(|error| content(path, &format!("is not JSON: {error}")))?;
    let role = &value["Role"];
    let document = Document::unwrapped(if role.is_object() { &role["AssumeRolePolicyDocument"] } else { &value });
    let document = Document::from_value(&document).map_err(|error| content(path, &error))?;
    Ok(Policy { document, role: role["Arn"].as_str().map(str::to_owned) })
}

/// What is to be explained, and whether there may be several of it.
fn asked(flags: &ExplainFlags) -> Result<(Vec<Asked>, bool), TrustError> {
    if let Some(path) = &flags.token_claims {
        let text = read(path)?;
        if text.trim_start().starts_with("eyJ") {
            return Err(content(path, &"looks like a token; give its claims alone, for a token is a credential"));
        }
        let claims =
            serde_json::from_str(&text).map_err(|error| content(path, &format!("holds no claims: {error}")))?;
        return Ok((vec![Asked { subject: String::new(), token: Ok((claims, None)) }], false));
    }
    let path = flags.manifest.as_deref().unwrap_or(Path::new("-"));
    let manifest = Manifest::read(path)?;
    let bindings = match &flags.binding {
        Some(name) => vec![manifest.binding(path, Some(name))?],
        None => manifest.bindings().iter().collect(),
    };
    let asked = bindings.iter().map(|binding| Asked { subject: subject(binding), token: token(flags, path, binding) });
    Ok((asked.collect(), bindings.len() > 1))
}

/// What a binding shows, and to which role.
fn token(flags: &ExplainFlags, path: &Path, binding: &TrustBinding) -> Result<(Claims, Option<String>), TrustError> {
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
