//! SARIF 2.1.0 (OASIS), as code scanning services take it.

use serde_json::{Value, json};

use super::report::{Located, Report};
use crate::asl::lint::{Rule, rules};
use crate::cli::program::as_typed;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn print(report: &Report) -> Result<String, serde_json::Error> {
    let mut list: Vec<&Rule> = rules().collect();
    list.sort_by_key(|rule| rule.code);
    let results: Vec<Value> = report.findings.iter().map(|found| result(found, &list)).collect();
    let value = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "stepbound",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": list.iter().map(|rule| described(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    Ok(crate::printable::json(&format!("{}\n", serde_json::to_string_pretty(&value)?)))
}

fn described(rule: &Rule) -> Value {
    json!({
        "id": rule.code,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": as_typed(rule.fix), "markdown": as_typed(&rule.explain())},
        "helpUri": format!("{}/blob/main/{}", env!("CARGO_PKG_REPOSITORY"), rule.page()),
        "defaultConfiguration": {"level": rule.severity.name()},
    })
}

fn result(found: &Located, list: &[&Rule]) -> Value {
    let finding = &found.finding;
    let mut logical = finding.path.clone();
    if let Some(subject) = &found.subject {
        logical = format!("{subject}: {logical}");
    }
    json!({
        "ruleId": finding.code,
        "ruleIndex": list.iter().position(|rule| rule.code == finding.code),
        "level": finding.severity.name(),
        "message": {"text": finding.message},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": found.file.replace('\\', "/").replace(' ', "%20")},
                "region": {
                    "startLine": found.line,
                    "startColumn": found.column,
                    "endLine": found.line,
                    "endColumn": found.column + found.width,
                },
            },
            "logicalLocations": [{"fullyQualifiedName": logical}],
        }],
    })
}
