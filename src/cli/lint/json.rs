//! For scripts.

use serde_json::{Value, json};

use super::report::{Difference, Located, Report, Subject};

pub(super) fn print(report: &Report) -> Result<String, serde_json::Error> {
    let definitions = report.definitions.iter().map(|definition| {
        json!({"file": definition.file, "subject": subject(definition.subject.as_ref()), "states": definition.states})
    });
    let asked = report.definitions.iter().filter(|definition| definition.asked).count();
    let mut value = json!({
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "definitions": definitions.collect::<Vec<_>>(),
        "summary": {"files": report.files, "passedOver": report.passed_over, "errors": report.errors(), "warnings": report.warnings()},
    });
    if asked > 0 {
        let differences: Vec<Value> = report.differences.iter().map(difference).collect();
        value["aws"] = json!({"asked": asked, "differences": differences});
    }
    Ok(crate::printable::json(&format!("{}\n", serde_json::to_string_pretty(&value)?)))
}

fn difference(one: &Difference) -> Value {
    let refused_by = if one.refused_by_aws { "aws" } else { "lint" };
    json!({"file": one.file, "subject": subject(one.subject.as_ref()), "path": one.path, "code": one.code, "refusedBy": refused_by})
}

fn finding(found: &Located) -> Value {
    let finding = &found.finding;
    json!({
        "severity": finding.severity.name(),
        "code": finding.code,
        "message": finding.message,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "endColumn": found.column + found.width,
        "path": finding.path,
        "subject": subject(found.subject.as_ref()),
    })
}

fn subject(subject: Option<&Subject>) -> Value {
    subject.map_or(
        Value::Null,
        |subject| json!({"kind": subject.kind, "namespace": subject.namespace, "name": subject.name}),
    )
}
