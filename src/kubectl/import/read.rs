//! Reads descriptions of state machines: of AWS, of ACK, of templates.

use serde_json::Value;

use super::intrinsics::{self, long_forms, short};
use super::machine::{Logging, Machine, Source, field};
use crate::asl;

/// Where a template's other files are.
pub(super) trait Folder {
    /// The text of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn text(&self, name: &str) -> Result<String, String>;
}

const WANTED: &str = "give what `aws stepfunctions describe-state-machine` prints, a StateMachine of ACK (sfn.services.k8s.aws), or a template of CloudFormation or SAM with a state machine";

/// Every state machine that the text describes.
///
/// # Errors
/// When it is none of these, or a definition in it cannot be read.
pub(super) fn read(text: &str, folder: &dyn Folder) -> Result<Vec<Machine>, String> {
    let documents = asl::parse_all(text).map_err(|error| error.to_string())?;
    let mut machines = Vec::new();
    for document in &documents {
        let value = long_forms(document);
        let items =
            value["items"].as_array().filter(|_| value["kind"].as_str().is_some_and(|kind| kind.ends_with("List")));
        for object in items.map_or_else(|| vec![&value], |items| items.iter().collect()) {
            if field(object, "stateMachineArn").is_some() && object["definition"].is_string() {
                machines.push(of_aws(object)?);
            } else if object["apiVersion"].as_str().is_some_and(|version| version.starts_with("sfn.services.k8s.aws/"))
            {
                machines.extend(of_ack(object)?);
            } else if let Some(resources) = object["Resources"].as_object() {
                let found = resources.iter().filter(|(_, resource)| is_machine(resource));
                for (id, resource) in found {
                    machines.push(of_template(id, resource, object, folder)?);
                }
            }
        }
    }
    if machines.is_empty() {
        let listed = documents.iter().any(|document| document.value["stateMachines"].is_array());
        let hint =
            if listed { "a list of state machines has no definitions; " } else { "there is no state machine in it; " };
        return Err(format!("{hint}{WANTED}"));
    }
    Ok(machines)
}

fn is_machine(resource: &Value) -> bool {
    matches!(resource["Type"].as_str(), Some("AWS::StepFunctions::StateMachine" | "AWS::Serverless::StateMachine"))
}

fn parsed(text: &str, whose: &str) -> Result<Value, String> {
    asl::parse_whole(text)
        .map(|parsed| parsed.value)
        .map_err(|error| format!("the definition of {whose} does not parse: {error}"))
}

fn string(value: &Value, name: &str) -> Option<String> {
    field(value, name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn of_aws(object: &Value) -> Result<Machine, String> {
    const KNOWN: [&str; 14] = [
        "stateMachineArn",
        "name",
        "status",
        "definition",
        "roleArn",
        "type",
        "creationDate",
        "loggingConfiguration",
        "tracingConfiguration",
        "encryptionConfiguration",
        "revisionId",
        "label",
        "variableReferences",
        "ResponseMetadata",
    ];
    let mut machine = Machine::new(Source::Aws);
    machine.name = string(object, "name");
    machine.arn = string(object, "stateMachineArn");
    machine.role = string(object, "roleArn");
    let whose = machine.name.clone().unwrap_or_default();
    machine.definition = parsed(object["definition"].as_str().unwrap_or_default(), &whose)?;
    settings(&mut machine, object);
    tags(&mut machine, object);
    unknown(&mut machine, object, &KNOWN);
    machine.note("tags are not in what describe-state-machine prints: those that are there stay; add those that the Workflow is to keep to spec.tags");
    if string(object, "status").is_some_and(|status| status == "DELETING") {
        machine.note("AWS is deleting this state machine");
    }
    Ok(machine)
}

fn of_ack(object: &Value) -> Result<Option<Machine>, String> {
    const KNOWN: [&str; 7] =
        ["name", "definition", "roleARN", "type", "loggingConfiguration", "tracingConfiguration", "tags"];
    if object["kind"] != "StateMachine" {
        return Ok(None);
    }
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let name = string(metadata, "name").unwrap_or_default();
    let mut machine = Machine::new(Source::Ack { namespace: string(metadata, "namespace"), name: name.clone() });
    machine.name = string(spec, "name");
    machine.arn = object.pointer("/status/ackResourceMetadata/arn").and_then(Value::as_str).map(str::to_owned);
    machine.role = string(spec, "roleARN");
    let definition = field(spec, "definition").and_then(Value::as_str);
    let definition = definition.ok_or_else(|| format!("StateMachine {name} has no spec.definition"))?;
    machine.definition = parsed(definition, &format!("StateMachine {name}"))?;
    settings(&mut machine, spec);
    tags(&mut machine, spec);
    unknown(&mut machine, spec, &KNOWN);
    if field(spec, "roleRef").is_some() {
        machine.note("spec.roleRef names a Role of ACK: write the ARN of that role to spec.executionRoleARN");
    }
    Ok(Some(machine))
}

fn of_template(id: &str, resource: &Value, template: &Value, folder: &dyn Folder) -> Result<Machine, String> {
    const KNOWN: [&str; 20] = [
        "StateMachineName",
        "Name",
        "DefinitionString",
        "Definition",
        "DefinitionUri",
        "DefinitionS3Location",
        "DefinitionSubstitutions",
        "RoleArn",
        "Role",
        "StateMachineType",
        "Type",
        "LoggingConfiguration",
        "Logging",
        "TracingConfiguration",
        "Tracing",
        "EncryptionConfiguration",
        "Tags",
        "AutoPublishAlias",
        "PropagateTags",
        "UseAliasAsEventTarget",
    ];
    let parameters = template.get("Parameters");
    let own = &resource["Properties"];
    let mut machine = Machine::new(Source::Template(id.to_owned()));
    machine.definition = definition_of(id, &mut machine, own, parameters, folder)?;
    for (name, value) in field(own, "DefinitionSubstitutions").and_then(Value::as_object).into_iter().flatten() {
        match intrinsics::text(value, parameters) {
            Ok(text) if !text.contains("${") => drop(machine.substitutions.insert(name.clone(), text)),
            Ok(text) => {
                machine.note(format!(
                    "the substitution {name} is {text} in the template: give its value in spec.substitutions"
                ));
                machine.substitutions.insert(name.clone(), text);
            }
            Err(why) => machine.note(format!("the substitution {name} is {why}: give its value in spec.substitutions")),
        }
    }
    let name = field(own, "StateMachineName").or_else(|| field(own, "Name"));
    machine.name = plain(&mut machine, "name", name, parameters);
    let role = field(own, "RoleArn").or_else(|| field(own, "Role"));
    machine.role = plain(&mut machine, "role", role, parameters);
    if machine.role.is_none() && role.is_none() {
        machine.note("SAM makes the execution role of its own: see kubectl sfn policy execution-role FILE for what it needs, and write its ARN to spec.executionRoleARN");
    }
    settings(&mut machine, own);
    tags(&mut machine, own);
    machine.alias = string(own, "AutoPublishAlias");
    unknown(&mut machine, own, &KNOWN);
    let defaults = intrinsics::defaults_taken(resource, parameters);
    if !defaults.is_empty() {
        machine.note(format!("parameters of the template have their defaults here: {}", defaults.join(", ")));
    }
    if resource.get("Condition").is_some() {
        machine.note("the template makes this state machine under a condition");
    }
    Ok(machine)
}

/// A property as a plain text; what is none is said to be left out.
fn plain(machine: &mut Machine, what: &str, value: Option<&Value>, parameters: Option<&Value>) -> Option<String> {
    match intrinsics::text(value?, parameters) {
        Ok(text) => Some(text),
        Err(why) => {
            machine.note(format!("the {what} is {why}"));
            None
        }
    }
}

fn definition_of(
    id: &str,
    machine: &mut Machine,
    own: &Value,
    parameters: Option<&Value>,
    folder: &dyn Folder,
) -> Result<Value, String> {
    if let Some(value) = field(own, "DefinitionString") {
        let text = intrinsics::text(value, parameters).map_err(|why| format!("DefinitionString of {id} is {why}"))?;
        return parsed(&text, id);
    }
    if let Some(value) = field(own, "Definition") {
        return intrinsics::definition(value, parameters).map_err(|why| format!("Definition of {id} has {why}"));
    }
    if let Some(uri) = field(own, "DefinitionUri") {
        return match uri.as_str() {
            Some(name) if !name.contains("://") => parsed(&folder.text(name)?, id),
            _ => {
                Err(format!("the definition of {id} is in S3 ({}): fetch it, and name it in DefinitionUri", short(uri)))
            }
        };
    }
    if let Some(place) = field(own, "DefinitionS3Location") {
        return Err(format!(
            "the definition of {id} is in S3 ({}): fetch it, and write it to Definition, or name it in DefinitionUri",
            short(place)
        ));
    }
    machine.note("there is no definition in the template");
    Err(format!("{id} has no definition"))
}

/// What all of them write alike, but for the case of letters.
fn settings(machine: &mut Machine, own: &Value) {
    let kind = string(own, "StateMachineType").or_else(|| string(own, "type")).unwrap_or_default();
    machine.is_express = kind.eq_ignore_ascii_case("EXPRESS");
    let logging = field(own, "loggingConfiguration").or_else(|| field(own, "Logging"));
    if let Some(logging) = logging {
        let level = string(logging, "level").unwrap_or_else(|| "OFF".into());
        let destinations =
            field(logging, "destinations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let group = destinations.first().and_then(|one| field(field(one, "cloudWatchLogsLogGroup")?, "logGroupARN"));
        let log_group = group.and_then(Value::as_str).map(str::to_owned);
        if log_group.is_none() && !level.eq_ignore_ascii_case("OFF") {
            let is = group.map_or("not given".to_owned(), short);
            machine.note(format!("the log group is {is}: write its ARN to spec.logging.logGroupARN, and level and includeExecutionData beside it ({level})"));
        }
        let include = field(logging, "includeExecutionData").and_then(Value::as_bool).unwrap_or_default();
        machine.logging = Some(Logging { level, include_execution_data: include, log_group });
    }
    let tracing = field(own, "tracingConfiguration").or_else(|| field(own, "Tracing"));
    machine.tracing =
        tracing.and_then(|tracing| field(tracing, "enabled")).and_then(Value::as_bool).unwrap_or_default();
    if let Some(encryption) = field(own, "encryptionConfiguration") {
        let seconds = field(encryption, "kmsDataKeyReusePeriodSeconds").and_then(Value::as_i64);
        match (string(encryption, "kmsKeyId"), string(encryption, "type").as_deref()) {
            (Some(key), _) => machine.encryption = Some((key, seconds)),
            (None, None | Some("AWS_OWNED_KEY")) => {}
            (None, Some(_)) => machine.note("the KMS key is no plain value: write it to spec.encryption.kmsKeyID"),
        }
    }
}

/// Tags of the user's own. Those of AWS, ACK and owners are theirs.
fn tags(machine: &mut Machine, own: &Value) {
    const OF_OTHERS: [&str; 3] = ["aws:", "services.k8s.aws/", "stepbound.dev/"];
    let mut found: Vec<(String, Value)> = Vec::new();
    match field(own, "tags") {
        Some(Value::Object(tags)) => found.extend(tags.clone()),
        Some(Value::Array(tags)) => {
            found.extend(tags.iter().filter_map(|tag| Some((string(tag, "key")?, field(tag, "value")?.clone()))));
        }
        _ => {}
    }
    for (key, value) in found {
        match value.as_str() {
            _ if OF_OTHERS.iter().any(|begin| key.starts_with(begin)) => {
                machine.note(format!("the tag {key} is not carried over: it is of whoever has made the state machine"));
            }
            Some(text) => drop(machine.tags.insert(key, text.to_owned())),
            None => machine.note(format!("the tag {key} is not carried over: its value is {}", short(&value))),
        }
    }
}

fn unknown(machine: &mut Machine, own: &Value, known: &[&str]) {
    let left: Vec<String> = own
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| !value.is_null() && !known.iter().any(|known| known.eq_ignore_ascii_case(name)))
        .map(|(name, value)| format!("{name} is not carried over: {}", short(value)))
        .collect();
    machine.notes.extend(left);
}

#[cfg(test)]
mod tests;
