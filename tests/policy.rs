//! Definitions beside the policies that were checked by hand: `tests/policy/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "policy/resources.rs"]
mod resources;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stepbound::asl::{self, model::Machine};
use stepbound::iam::document::{Document, Statement};
use stepbound::iam::execution_role::{Derived, Surroundings, derive};

struct Case {
    file: String,
    value: Value,
}

impl Case {
    fn name(&self) -> String {
        format!("{}: {}", self.file, self.value["name"].as_str().unwrap())
    }

    fn definition(&self) -> Value {
        if let Some(definition) = self.value.get("definition") {
            return definition.clone();
        }
        let state = self.value.get("state").cloned().unwrap_or_else(|| {
            json!({"Type": "Task", "End": true, "Parameters": self.value["parameters"],
                "Resource": format!("arn:aws:states:::{}", self.value["resource"].as_str().unwrap())})
        });
        json!({"StartAt": "A", "States": {"A": state}})
    }

    fn derived(&self) -> Derived {
        let flag = |name: &str| self.value[name].as_bool().unwrap_or_default();
        let given: Vec<String> = serde_json::from_value(self.value.get("given").cloned().unwrap_or(json!([]))).unwrap();
        let here = Surroundings {
            partition: "aws".into(),
            region: "eu-west-1".into(),
            account: "111122223333".into(),
            name: Some("shop_fulfil".into()),
            execution_role_arn: Some("arn:aws:iam::111122223333:role/exec".into()),
            logging: flag("logging"),
            tracing: flag("tracing"),
            kms_key_id: self.value["kmsKeyID"].as_str().map(str::to_owned),
            resources: BTreeMap::from([("A".to_owned(), given)]),
        };
        let parsed = asl::parse(&self.definition().to_string()).unwrap();
        derive(&Machine::of(parsed.root()), &here)
    }

    fn expected(&self) -> Document {
        Self::document(&self.value["allow"])
    }

    /// Who has what: the execution role, and the roles that states assume, where the case says that.
    fn documents(&self, derived: &Derived) -> Vec<(&str, Document, Document)> {
        let mut documents = vec![("", derived.document(), self.expected())];
        if let Some(theirs) = self.value.get("theirs") {
            let found = derived.targets.iter().flat_map(|target| target.document().statements).collect();
            documents.push(("theirs: ", Document::new(found), Self::document(theirs)));
        }
        documents
    }

    fn document(allow: &Value) -> Document {
        let words = |text: &Value| -> Vec<String> {
            let text = text.as_str().unwrap().replace(":@:", ":eu-west-1:111122223333:");
            text.split(' ').map(str::to_owned).collect()
        };
        let statements = allow.as_array().unwrap().iter().map(|one| {
            let mut statement = Statement::allow(words(&one["do"]), words(&one["at"]));
            for (operator, keys) in one["when"].as_object().into_iter().flatten() {
                for (key, value) in keys.as_object().unwrap() {
                    statement = statement.when(operator, key, [value.as_str().unwrap()]);
                }
            }
            statement
        });
        Document::new(statements.collect())
    }
}

fn cases() -> Vec<Case> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let of_file = |path: &std::path::PathBuf| {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let value = asl::parse(&std::fs::read_to_string(path).unwrap()).unwrap().value;
        let cases = value.as_array().unwrap().clone().into_iter();
        cases.map(move |value| Case { file: file.clone(), value }).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

/// What a document allows, pair by pair, so that the grouping into statements does not matter.
fn allowed(document: &Document) -> BTreeSet<String> {
    let mut pairs = BTreeSet::new();
    for statement in &document.statements {
        for action in statement.actions.named() {
            for resource in statement.resources.as_ref().unwrap().named() {
                pairs.insert(format!("{action} on {resource} when {:?}", statement.conditions));
            }
        }
    }
    pairs
}

#[test]
fn derived_policies_are_those_that_were_checked_by_hand() {
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let derived = case.derived();
        for (whose, found, expected) in case.documents(&derived) {
            let (found, expected) = (allowed(&found), allowed(&expected));
            if found != expected {
                let more: Vec<_> = found.difference(&expected).collect();
                let less: Vec<_> = expected.difference(&found).collect();
                wrong.push(format!("{}\n  {whose}too much: {more:#?}\n  too little: {less:#?}", case.name()));
            }
        }
        for (field, missing) in [("open", true), ("notes", false)] {
            let told: Vec<&str> =
                derived.findings.iter().filter(|one| one.missing == missing).map(|one| one.message.as_str()).collect();
            let wanted = case.value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
            let all = wanted.iter().all(|text| told.iter().any(|one| one.contains(text.as_str().unwrap())));
            if !all || (wanted.is_empty() && !told.is_empty()) {
                wrong.push(format!("{}\n  {field}: {told:#?}, wanted {wanted:?}", case.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() >= 60, "{} cases", cases.len());
}

#[test]
fn every_optimised_integration_and_pattern_has_a_case() {
    let resources: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| {
            let text = case.definition().to_string();
            text.split("arn:aws:states:::")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    let services: BTreeSet<&str> = resources.iter().map(|one| one.split(':').next().unwrap()).collect();
    for service in [
        "apigateway",
        "athena",
        "aws-sdk",
        "batch",
        "bedrock",
        "codebuild",
        "databrew",
        "dynamodb",
        "ecs",
        "eks",
        "elasticmapreduce",
        "emr-containers",
        "emr-serverless",
        "events",
        "glue",
        "http",
        "lambda",
        "mediaconvert",
        "sagemaker",
        "sns",
        "sqs",
        "states",
    ] {
        assert!(services.contains(service), "{service}");
    }
    // Patterns that the developer guide lists for each service ("Integrating optimized services").
    for (pattern, of) in [
        (
            ".sync",
            &[
                "athena",
                "batch",
                "bedrock",
                "codebuild",
                "databrew",
                "ecs",
                "eks",
                "elasticmapreduce",
                "emr-containers",
                "emr-serverless",
                "glue",
                "mediaconvert",
                "sagemaker",
                "states",
            ][..],
        ),
        (".waitForTaskToken", &["apigateway", "bedrock", "ecs", "events", "lambda", "sns", "sqs", "states"][..]),
    ] {
        for service in of {
            let found = resources.iter().any(|one| one.starts_with(&format!("{service}:")) && one.contains(pattern));
            assert!(found, "{service}{pattern}");
        }
    }
}
