//! `kubectl sfn evidence`

mod controls;
mod files;
mod page;
mod read;
mod write;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::duration;
use super::show::print;
use super::table::{Table, printable};
use super::{Cluster, Exit, KubectlError};
use crate::plan::evidence::{Evidence, Period, Read, Severity, evidence};
use crate::printable;
use controls::controls;
use write::Written;

/// Findings that are told; the folder has all.
const TOLD: usize = 20;

/// Flags of `kubectl sfn evidence`.
#[derive(Debug, Args)]
#[command(
    after_help = "It reads with your own rights, changes nothing, and asks nothing of AWS. What could not be read is listed in the folder, and nothing is said of it. Inputs, outputs, tokens and the values of Secrets are not in it. Exit code 1 where a finding is an error, 3 where nothing could be read."
)]
pub(super) struct EvidenceFlags {
    /// The folder to write; one that holds something already is refused
    #[arg(short, long, value_name = "DIR", default_value = "evidence")]
    output_dir: PathBuf,
    /// Write over a folder that this verb wrote before
    #[arg(long)]
    force: bool,
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// The period: so long before its end, such as 30d or 12h
    #[arg(long, value_name = "DURATION", default_value = "30d", conflicts_with = "from")]
    since: String,
    /// Beginning of the period: a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the period, which is not part of it; by default now
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The operator's log with its audit records (repeatable): runs whose objects are gone, sessions
    #[arg(long, value_name = "FILE", num_args = 1..)]
    audit_log: Vec<PathBuf>,
    /// A trust policy as AWS has it (repeatable): what `aws iam get-role` prints, or ARN=FILE with a policy document
    #[arg(long, value_name = "FILE", num_args = 1..)]
    trust_policy: Vec<String>,
    /// Permissions of an execution role as AWS has them (repeatable): ARN=FILE with a policy document or what `aws iam get-role-policy` prints
    #[arg(long, value_name = "FILE", num_args = 1..)]
    role_policy: Vec<String>,
}

pub(super) async fn run(flags: &EvidenceFlags, cluster: &Cluster) -> Result<Exit, KubectlError> {
    let now = Timestamp::now();
    let period = period(flags, now)?;
    write::check(&flags.output_dir, flags.force)?;
    let namespace = (!flags.all_namespaces).then(|| cluster.namespace.clone());
    let mut read = Read::new(period, namespace);
    files::policies(&flags.trust_policy, &flags.role_policy, &mut read)?;
    read.logs = files::logs(&flags.audit_log, period, read.namespace.as_ref())?;
    let asked_as = read::all(cluster, &mut read).await?;
    if read.is_nothing() {
        let why = read.bindings.refused.clone().unwrap_or_default();
        return Err(KubectlError::hidden("read anything that is evidence; the first refusal", &why));
    }
    let evidence = evidence(&read);
    let about = about(cluster, &read, asked_as, now);
    let texts = texts(&evidence, &about)?;
    let written = write::folder(&flags.output_dir, texts, manifest(&about, &evidence), flags.force)?;
    tell(flags, &evidence, &written)?;
    Ok(if evidence.has_error() { Exit::Failed } else { Exit::Done })
}

/// From when to when.
fn period(flags: &EvidenceFlags, now: Timestamp) -> Result<Period, KubectlError> {
    let to = flags.to.as_deref().map(|to| time("--to", to)).transpose()?.unwrap_or(now);
    let from = match &flags.from {
        Some(from) => time("--from", from)?,
        None => before("--since", to, &flags.since)?,
    };
    if from >= to {
        return Err(KubectlError::Usage(format!("the period has no length: it begins {from} and ends {to}")));
    }
    Ok(Period { from, to })
}

fn time(flag: &str, text: &str) -> Result<Timestamp, KubectlError> {
    let day = || text.parse::<Date>().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok()).map(|day| day.timestamp());
    // A time of the day without its zone is read as a day by the parser, and meant as something else.
    let found = if text.contains(['T', 't', ' ']) { text.parse().ok() } else { day() };
    let usage = || {
        format!("{flag} {text:?} is no time; write a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z")
    };
    found.ok_or_else(|| KubectlError::Usage(usage()))
}

/// So long before a time; days too, which kubectl's lengths of time do not have.
fn before(flag: &str, end: Timestamp, text: &str) -> Result<Timestamp, KubectlError> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()).filter(|days| *days >= 0);
    let length = match days {
        Some(days) => days.checked_mul(24 * 3600).map(SignedDuration::from_secs),
        None => duration(flag, text)?.and_then(|length| SignedDuration::try_from(length).ok()),
    };
    let begin = length.and_then(|length| end.checked_sub(length).ok());
    begin.ok_or_else(|| KubectlError::Usage(format!("{flag} {text:?} is no period; write 30d or 12h")))
}

/// What the evidence is of, by whom and when.
fn about(cluster: &Cluster, read: &Read, asked_as: Option<String>, now: Timestamp) -> Value {
    let mut about = json!({
        "writtenBy": format!("kubectl sfn evidence {}", env!("CARGO_PKG_VERSION")),
        "writtenAt": super::words::written(now),
        "period": {"from": super::words::written(read.period.from), "to": super::words::written(read.period.to)},
        "namespaces": read.namespace.clone().unwrap_or_else(|| "all".to_owned()),
        "context": cluster.context,
    });
    let of_cluster = read.namespaces.objects.iter().find(|one| one.metadata.name.as_deref() == Some("kube-system"));
    if let Some(uid) = of_cluster.and_then(|one| one.metadata.uid.clone()) {
        about["clusterUID"] = json!(uid);
    }
    if let Some(user) = asked_as {
        about["readAs"] = json!(user);
    }
    about
}

/// The files by their names.
fn texts(evidence: &Evidence, about: &Value) -> Result<Vec<(String, String)>, KubectlError> {
    let failed = |error: &dyn std::fmt::Display| KubectlError::Print(error.to_string());
    let json = |value: &Value| printable::json(&format!("{value:#}\n"));
    let mut texts = Vec::new();
    for section in &evidence.sections {
        let mut value = serde_json::to_value(section).map_err(|error| failed(&error))?;
        value["about"] = about.clone();
        texts.push((format!("{}.json", section.id), json(&value)));
    }
    let findings = serde_json::to_value(&evidence.findings).map_err(|error| failed(&error))?;
    texts.push(("findings.json".to_owned(), json(&json!({"about": about, "findings": findings}))));
    let unread = serde_json::to_value(&evidence.unread).map_err(|error| failed(&error))?;
    texts.push(("not-read.json".to_owned(), json(&json!({"about": about, "notRead": unread}))));
    texts.push(("controls.json".to_owned(), json(&json!({"about": about, "controls": controls(evidence)}))));
    texts.push(("index.html".to_owned(), page::page(evidence, about).map_err(|error| failed(&error))?));
    Ok(texts)
}

fn manifest(about: &Value, evidence: &Evidence) -> Value {
    let count = |severity| evidence.findings.iter().filter(|one| one.severity == severity).count();
    let mut manifest = about.clone();
    manifest["findings"] =
        json!({"errors": count(Severity::Error), "warnings": count(Severity::Warning), "notes": count(Severity::Note)});
    manifest["notRead"] = json!(evidence.unread.len());
    manifest
}

fn tell(flags: &EvidenceFlags, evidence: &Evidence, written: &Written) -> Result<(), KubectlError> {
    let mut text = format!("Written: {} ({} files)\n", flags.output_dir.display(), written.files);
    let weak: Vec<_> = evidence.findings.iter().filter(|one| one.severity > Severity::Note).collect();
    if !weak.is_empty() {
        let mut table = Table::new(&["SEVERITY", "FINDING", "WHAT", "CONTROLS"]);
        for one in weak.iter().take(TOLD) {
            let controls: Vec<&str> = one.controls.iter().map(|control| page::short(control)).collect();
            table.row(vec![one.severity.text().to_owned(), one.code.clone(), one.subject.clone(), controls.join(" ")]);
        }
        text += &table.text();
        if weak.len() > TOLD {
            let _ = writeln!(text, "… and {} more, in findings.json", weak.len() - TOLD);
        }
    }
    for one in &evidence.unread {
        let _ = writeln!(text, "not read ({}): {}", one.section, printable(&one.what));
    }
    print(&text)
}

#[cfg(test)]
mod tests;
