//! `stepbound trust lint`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::answer::{Output, TrustError, content, json_of, print, read};
use super::manifest::Manifest;
use crate::api::v1alpha1::Finding;
use crate::cli::out::say;
use crate::iam::document::Document;
use crate::iam::trust::{Severity, Weakness, lint_permissions, lint_service_trust, lint_trust};
use crate::printable;

/// Flags of `stepbound trust lint`.
#[derive(Debug, Args)]
pub(super) struct LintFlags {
    /// Policies as JSON, what `aws iam get-role` prints, or manifests with TrustBindings (files or folders); - is standard
    /// input. A policy with principals is read as a trust policy, any other as a session policy or permissions
    #[arg(value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    /// What to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
}

#[cfg(feature = "kubectl")]
impl LintFlags {
    /// The files that are read as manifests.
    pub(super) fn files(&self) -> Vec<&Path> {
        self.files.iter().map(PathBuf::as_path).collect()
    }
}

/// Something weak, and where it is.
struct Found {
    file: PathBuf,
    /// A statement, or a binding.
    place: String,
    severity: &'static str,
    code: String,
    message: String,
}

pub(super) fn run(flags: &LintFlags) -> Result<(), TrustError> {
    let mut found: Vec<Found> = Vec::new();
    for path in &flags.files {
        found.extend(lint(path)?);
    }
    match flags.output {
        Output::Json => print(&printable::json(&format!("{:#}", found.iter().map(view).collect::<Value>())))?,
        Output::Text if found.is_empty() => print("nothing found")?,
        Output::Text => print(&found.iter().map(line).collect::<Vec<_>>().join("\n"))?,
    }
    let errors = found.iter().filter(|one| one.severity == Severity::Error.text()).count();
    let warnings = found.len() - errors;
    if errors > 0 || (flags.strict && warnings > 0) {
        return Err(TrustError::Verdict(format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"))));
    }
    Ok(())
}

/// `1 error`, `2 errors`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A policy is JSON and has statements, or is a role's; all else are manifests.
fn lint(path: &Path) -> Result<Vec<Found>, TrustError> {
    if path.is_dir() {
        return Ok(of_manifest(path, &Manifest::read(path)?));
    }
    let text = read(path)?;
    let value = json_of(&text);
    let is_manifest = |value: &Value| value.get("kind").is_some() && value.get("apiVersion").is_some();
    match value {
        Ok(value) if !is_manifest(&value) => of_policy(path, &value),
        // What looks like JSON was meant as such.
        Err(error) if text.trim_start().starts_with('{') => Err(content(path, &format!("is not JSON: {error}"))),
        Ok(_) | Err(_) => Ok(of_manifest(path, &Manifest::of_text(path, &text)?)),
    }
}

fn of_policy(path: &Path, value: &Value) -> Result<Vec<Found>, TrustError> {
    let role = &value["Role"];
    let document = &*Document::unwrapped(if role.is_object() { &role["AssumeRolePolicyDocument"] } else { value });
    if document.get("Statement").is_none() {
        let fields: Vec<&str> =
            value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).take(4).collect();
        let what = match value {
            Value::Object(_) if fields.is_empty() => "an empty object".to_owned(),
            Value::Object(_) => format!("an object with {}", fields.join(", ")),
            _ => "no object".to_owned(),
        };
        let problem = format!(
            "is no policy, but {what}; wanted is a policy document with Statement, what `aws iam get-role` prints, or a manifest with a TrustBinding. Definitions and Workflows are for `stepbound lint`"
        );
        return Err(content(path, &problem));
    }
    let policy = Document::from_value(document).map_err(|error| content(path, &error))?;
    if policy.statements.is_empty() {
        let message = "the policy has no statement: IAM takes none without one (MalformedPolicyDocument)";
        return Ok(vec![Found {
            file: path.to_owned(),
            place: "policy".into(),
            severity: Severity::Error.text(),
            code: "StatementMissing".into(),
            message: message.into(),
        }]);
    }
    let weak: Vec<Weakness> = if policy.statements.iter().any(|statement| statement.principal.is_some()) {
        lint_trust(&policy).into_iter().chain(lint_service_trust(&policy)).collect()
    } else {
        lint_permissions(&policy)
    };
    let found = |one: Weakness| Found {
        file: path.to_owned(),
        place: format!("statement {}", one.statement),
        severity: one.severity.text(),
        code: one.code.to_owned(),
        message: one.message,
    };
    Ok(weak.into_iter().map(found).collect())
}

fn of_manifest(path: &Path, manifest: &Manifest) -> Vec<Found> {
    manifest.notes().for_each(|note| say(&format!("{}: {note}", path.display())));
    let found = |(place, finding): (String, Finding)| {
        let is_error = finding.severity == Severity::Error.text();
        let severity = if is_error { Severity::Error } else { Severity::Warning };
        let (code, message) = (finding.code, finding.message);
        Found { file: path.to_owned(), place, severity: severity.text(), code, message }
    };
    manifest.findings().into_iter().map(found).collect()
}

fn line(one: &Found) -> String {
    let Found { file, place, severity, code, message } = one;
    format!("{}: {place}: {}[{code}]: {message}", file.display(), severity.to_lowercase())
}

/// A statement goes by its number.
fn view(one: &Found) -> Value {
    let mut view = json!({"file": one.file, "severity": one.severity, "code": one.code, "message": one.message});
    match one.place.strip_prefix("statement ").and_then(|number| number.parse::<usize>().ok()) {
        Some(number) => view["statement"] = number.into(),
        None => view["subject"] = one.place.clone().into(),
    }
    view
}
