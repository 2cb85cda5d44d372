//! `stepbound trust render`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::answer::{TrustError, print};
use super::manifest::{Manifest, namespace, tokens};
use crate::api::v1alpha1::DEFAULT_AUDIENCE;
use crate::cli::flags;
use crate::iam::trust::{TrustedToken, cloud_formation, render, terraform};
use crate::printable;

/// Flags of `stepbound trust render`.
#[derive(Debug, Args)]
pub(super) struct RenderFlags {
    /// Manifest with the TrustBinding; - is standard input. Instead of the flags below
    #[arg(value_name = "FILE", conflicts_with = "role_arn")]
    file: Option<PathBuf>,
    /// Name of the TrustBinding, where the manifest holds several
    #[arg(long, value_name = "NAME")]
    binding: Option<String>,
    /// Namespace of the service account, where the manifest names none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Issuer of the tokens, as they name it
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// ARN of the role
    #[arg(long, value_name = "ARN", value_parser = flags::role_arn)]
    role_arn: Option<String>,
    /// Service account, in --namespace
    #[arg(long, value_name = "NAME", conflicts_with = "subject")]
    service_account: Option<String>,
    /// Subject of the tokens of another provider
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Audience of the tokens
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_AUDIENCE)]
    audience: String,
    /// Authorized party (azp) of the tokens of another provider
    #[arg(long, value_name = "TEXT")]
    authorized_party: Option<String>,
    /// What to write
    #[arg(long, short, value_enum, default_value = "json")]
    output: Format,
}

#[cfg(feature = "kubectl")]
impl RenderFlags {
    /// The files that are read as manifests.
    pub(super) fn files(&self) -> Vec<&std::path::Path> {
        self.file.iter().map(PathBuf::as_path).collect()
    }
}

/// In which language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The trust policy alone
    Json,
    /// Role and OIDC provider for Terraform
    Terraform,
    /// Role and OIDC provider as a CloudFormation template
    Cloudformation,
}

pub(super) fn run(flags: &RenderFlags) -> Result<(), TrustError> {
    let (role_arn, tokens) = wanted(flags)?;
    let rendered = render(&role_arn, &tokens);
    let text = match flags.output {
        Format::Json => printable::json(&rendered.policy.pretty()),
        Format::Terraform => terraform(&role_arn, &tokens),
        Format::Cloudformation => printable::json(&pretty(&cloud_formation(&role_arn, &tokens))),
    };
    print(&text)?;
    match rendered.too_large {
        None => Ok(()),
        Some(error) => Err(TrustError::Verdict(error.to_string())),
    }
}

fn wanted(flags: &RenderFlags) -> Result<(String, Vec<TrustedToken>), TrustError> {
    if let Some(file) = &flags.file {
        let manifest = Manifest::read(file)?;
        let binding = manifest.binding(file, flags.binding.as_deref())?;
        let namespace = namespace(binding, flags.namespace.as_deref())?;
        let tokens = tokens(binding, namespace, flags.issuer.as_deref())?;
        check_issuer(flags.issuer.as_deref(), &tokens)?;
        return Ok((binding.spec.role_arn.clone(), tokens));
    }
    let needed = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| TrustError::Usage(format!("give a manifest, or --{name} beside the other flags")))
    };
    let subject = match (&flags.subject, &flags.service_account) {
        (Some(subject), _) => subject.clone(),
        (None, Some(account)) => format!("system:serviceaccount:{}:{account}", needed(&flags.namespace, "namespace")?),
        (None, None) => return Err(TrustError::Usage("give a manifest, or --service-account or --subject".into())),
    };
    let token = TrustedToken {
        issuer: needed(&flags.issuer, "issuer")?,
        subject,
        audience: flags.audience.clone(),
        authorized_party: flags.authorized_party.clone(),
    };
    Ok((needed(&flags.role_arn, "role-arn")?, vec![token]))
}

/// A policy for another issuer than was asked for would look like an answer.
fn check_issuer(asked: Option<&str>, tokens: &[TrustedToken]) -> Result<(), TrustError> {
    let Some(asked) = asked.filter(|asked| tokens.iter().all(|token| token.issuer != *asked)) else { return Ok(()) };
    let shown: Vec<&str> = tokens.iter().map(|token| token.issuer.as_str()).collect();
    Err(TrustError::Usage(format!(
        "--issuer {asked} is none of those whose tokens the binding shows, as its status says: {}; leave --issuer out, or give --role-arn and the other flags instead of the binding",
        shown.join(", ")
    )))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_issuer_than_the_bindings_is_refused_and_not_passed_over() {
        let token = TrustedToken {
            issuer: "https://ours.example".into(),
            subject: "a".into(),
            audience: "b".into(),
            authorized_party: None,
        };
        assert!(check_issuer(None, std::slice::from_ref(&token)).is_ok());
        assert!(check_issuer(Some("https://ours.example"), std::slice::from_ref(&token)).is_ok());
        let refused = check_issuer(Some("https://evil.example"), &[token]).unwrap_err().to_string();
        assert!(refused.contains("https://evil.example") && refused.contains("https://ours.example"), "{refused}");
    }
}
