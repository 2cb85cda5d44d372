//! `stepbound trust lint`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{Output, TrustError, content, print, read};
use crate::iam::document::Document;
use crate::iam::trust::{Severity, Weakness, lint_permissions, lint_service_trust, lint_trust};

/// Flags of `stepbound trust lint`.
#[derive(Debug, Args)]
pub(super) struct LintFlags {
    /// Policies as JSON, or what `aws iam get-role` prints; - is standard input. A policy with principals is read as a
    /// trust policy, any other as a session policy or permissions
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(flags: &LintFlags) -> Result<(), TrustError> {
    let mut found: Vec<(&Path, Weakness)> = Vec::new();
    for path in &flags.files {
        found.extend(lint(path)?.into_iter().map(|one| (path.as_path(), one)));
    }
    match flags.output {
        Output::Json => print(&format!("{:#}", found.iter().map(view).collect::<Value>()))?,
        Output::Text if found.is_empty() => print("nothing found")?,
        Output::Text => print(&found.iter().map(line).collect::<Vec<_>>().join("\n"))?,
    }
    let errors = found.iter().filter(|(_, one)| one.severity == Severity::Error).count();
    let warnings = found.len() - errors;
    if errors > 0 || (flags.strict && warnings > 0) {
        return Err(TrustError::Verdict(format!("{errors} errors, {warnings} warnings")));
    }
    Ok(())
}

fn lint(path: &Path) -> Result<Vec<Weakness>, TrustError> {
    let text = read(path)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| content(path, &format!("is not JSON: {error}")))?;
    let role = &value["Role"];
    let document = if role.is_object() { &role["AssumeRolePolicyDocument"] } else { &value };
    let policy = Document::from_value(document).map_err(|error| content(path, &error))?;
    if policy.statements.iter().any(|statement| statement.principal.is_some()) {
        return Ok(lint_trust(&policy).into_iter().chain(lint_service_trust(&policy)).collect());
    }
    Ok(lint_permissions(&policy))
}

fn line((path, one): &(&Path, Weakness)) -> String {
    let severity = one.severity.text().to_lowercase();
    format!("{}: statement {}: {severity}[{}]: {}", path.display(), one.statement, one.code, one.message)
}

fn view((path, one): &(&Path, Weakness)) -> Value {
    json!({"file": path, "statement": one.statement, "severity": one.severity.text(), "code": one.code, "message": one.message})
}
