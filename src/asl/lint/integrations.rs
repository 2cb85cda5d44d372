//! Whether what a Task calls exists, and whether it has the fields that it is given.

use super::super::model::{Pattern, QueryLanguage, Resource, State, Target};
use super::super::position::Node;
use super::fields::is_misspelt;
use super::forms;
use super::report::Lint;
use crate::integrations::{self, Call, NotFound, Operation, Parameter, Way};
use crate::similar::nearest;

/// Checks an integration; anything else that a Task may name is not one.
pub(super) fn check<'a>(lint: &mut Lint<'a>, node: Node<'a>, state: &State<'a>, resource: &Resource<'a>) {
    let (way, service, action) = match resource.target {
        Target::Optimised { service, action } => (Way::Optimised, service, action),
        Target::Sdk { service, action } => (Way::Sdk, service, action),
        Target::Lambda(_) | Target::Activity(_) | Target::OtherArn(_) | Target::Unknown => return,
    };
    partition(lint, node, resource);
    match integrations::find(way, service, action) {
        Ok(Call::Optimised(integration)) if integration.service == "s3" => of_maps(lint, node, action),
        Ok(call) => {
            if let Call::Sdk(operation) = call {
                letters(lint, node, &operation, action);
                supported(lint, node, &operation);
            }
            pattern(lint, node, resource, &call);
            fields(lint, state, &call, &format!("{service}:{action}"));
            forms::check(lint, state, service, action);
        }
        Err(error) => unknown(lint, node, action, &error),
    }
}

/// The action of a call of the SDK is in camel case (developer guide, "Learning to use AWS service SDK integrations": "The API
/// action will always be camel case"). AWS is known to refuse a capital at its beginning; other letters are in no documentation.
fn letters<'a>(lint: &mut Lint<'a>, node: Node<'a>, operation: &Operation, action: &str) {
    let (service, own) = (operation.service, operation.action());
    if action == own {
        return;
    }
    let hint = format!("did you mean \"{own}\"?");
    if action.starts_with(|first: char| first.is_ascii_uppercase()) {
        let message = format!("the action of \"{service}:{action}\" begins with a small letter; {hint}");
        lint.report("SB080", node, message);
    } else {
        let message = format!("the action of \"{service}:{action}\" is written in other letters; {hint}");
        lint.report("SB046", node, message);
    }
}

/// Nobody has seen what AWS says to them now.
fn supported<'a>(lint: &mut Lint<'a>, node: Node<'a>, operation: &Operation) {
    if operation.was_not_supported() {
        let message = format!(
            "\"{}:{}\" was in the developer guide's list of operations that Step Functions does not call, while it had one; call it from a function instead, or try it",
            operation.service,
            operation.action()
        );
        lint.report("SB046", node, message);
    }
}

/// What reads the items of a Map and writes its results (developer guide, `ItemReader` and `ResultWriter`) is no integration
/// that the developer guide lists for Tasks.
fn of_maps<'a>(lint: &mut Lint<'a>, node: Node<'a>, action: &str) {
    let message = format!(
        "\"s3:{action}\" is for ItemReader and ResultWriter of a Map; in a Task write arn:aws:states:::aws-sdk:s3:{action}"
    );
    lint.report("SB046", node, message);
}

/// Integrations are those of the partition that the state machine lives in.
fn partition<'a>(lint: &mut Lint<'a>, node: Node<'a>, resource: &Resource<'a>) {
    let written = resource.text.split(':').nth(1).unwrap_or_default();
    if let Some(own) = lint.circumstances.partition.filter(|own| *own != written) {
        let message = format!(
            "Resource \"{}\" is an integration of partition {written}, and the state machine lives in {own}; write arn:{own}:states:::…",
            resource.text
        );
        lint.report("SB023", node, message);
    }
}

fn unknown<'a>(lint: &mut Lint<'a>, node: Node<'a>, action: &str, error: &NotFound) {
    let day = integrations::date();
    match error {
        NotFound::Service { way: Way::Optimised, name, nearest } => {
            // What is made for Step Functions under another name has been told.
            let way = match (nearest, integrations::sdk::named_otherwise(name, action)) {
                (None, Some(service)) => {
                    format!("; its API may be called with arn:aws:states:::aws-sdk:{service}:<action>")
                }
                _ => String::new(),
            };
            lint.report("SB046", node, format!("{error} (table of {day}){way}"));
        }
        NotFound::Service { way: Way::Sdk, .. } => {
            lint.report("SB046", node, format!("{error} (table of {day}); if it is newer, pass over SB046"));
        }
        NotFound::Action { way, service, .. } => {
            let own = integrations::sdk::action_of(service, action).filter(|_| *way == Way::Optimised);
            let other = match own {
                Some(action) => format!("; call its API with arn:aws:states:::aws-sdk:{service}:{action}"),
                None => of_another_service(service, action)
                    .map(|other| {
                        format!("; \"{other}\" has it: did you mean arn:aws:states:::aws-sdk:{other}:{action}?")
                    })
                    .unwrap_or_default(),
            };
            let message = format!("{error}{other} (table of {day}; if AWS has added it since, pass over SB080)");
            lint.report("SB080", node, message);
        }
    }
}

/// The service that has the operation, where the APIs of one product are several services: its data plane, for example. Of several
/// it is that whose name begins alike.
fn of_another_service(service: &str, action: &str) -> Option<&'static str> {
    let all: Vec<&str> =
        integrations::sdk::services().filter(|other| integrations::sdk::has_operation(other, action)).collect();
    let is_kin = |other: &&&str| other.starts_with(service) || service.starts_with(**other);
    all.iter().find(is_kin).or(all.first().filter(|_| all.len() == 1)).copied()
}

fn pattern<'a>(lint: &mut Lint<'a>, node: Node<'a>, resource: &Resource<'a>, call: &Call) {
    let suffix = resource.pattern.suffix();
    match call {
        Call::Sdk(operation) if resource.pattern.is_sync() => {
            let message = format!(
                "calls of the SDK have no {suffix}; start the job of {}, then wait and ask in a loop",
                operation.service
            );
            lint.report("SB045", node, message);
        }
        Call::Optimised(integration) if !integration.waits.has(resource.pattern) => {
            let name = format!("{}:{}", integration.service, integration.action);
            // What has .sync alone is not known to refuse .sync:2.
            if resource.pattern == Pattern::Sync2 && integration.waits.has(Pattern::Sync) {
                let message = format!("{suffix} of {name} is in no documentation of AWS; write .sync");
                return lint.report("SB046", node, message);
            }
            lint.report("SB045", node, format!("the integration {name} has no {suffix}"));
        }
        Call::Sdk(_) | Call::Optimised(_) => {}
    }
}

/// AWS creates the state machine, and each execution fails at the state: "The field … is not supported by Step Functions".
fn fields<'a>(lint: &mut Lint<'a>, state: &State<'a>, call: &Call, what: &str) {
    let known = call.parameters();
    let Some(payload) = state.data.payload() else { return without_payload(lint, state, &known, what) };
    if !payload.value().is_object() {
        return;
    }
    let mut given: Vec<&str> = Vec::new();
    for (key, field) in payload.fields() {
        let name = match state.query_language {
            QueryLanguage::JsonPath => key.strip_suffix(".$").unwrap_or(key),
            QueryLanguage::Jsonata => key,
        };
        given.push(name);
        if known.iter().any(|one| one.name == name) || lint.is_placeholder(key) {
            continue;
        }
        let meant = alike(name, &known);
        given.extend(meant);
        let hint = meant.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
        let message = format!(
            "{what} has no field \"{name}\"{hint}; each execution fails here, because Step Functions does not support it"
        );
        lint.report_key("SB081", field, message);
    }
    // What a name that is written otherwise was meant for has been told.
    let missing: Vec<&str> =
        known.iter().filter(|one| one.required && !given.contains(&one.name)).map(|one| one.name).collect();
    if !missing.is_empty() && !given.iter().any(|name| lint.is_placeholder(name)) {
        let message = format!("{what} needs {} too; without it each execution fails here", missing.join(", "));
        lint.report_key("SB082", payload, message);
    }
}

/// Where a payload is left out, the call has no fields. One of the other language, or in other letters, is told as such.
fn without_payload<'a>(lint: &mut Lint<'a>, state: &State<'a>, known: &[Parameter], what: &str) {
    let is_other = |key: &str| state.node.get(key).is_some() || is_misspelt(state.node, key);
    let needed: Vec<&str> = known.iter().filter(|one| one.required).map(|one| one.name).collect();
    if needed.is_empty() || ["Parameters", "Arguments"].into_iter().any(is_other) {
        return;
    }
    let payload = match state.query_language {
        QueryLanguage::JsonPath => "Parameters",
        QueryLanguage::Jsonata => "Arguments",
    };
    let message = format!("{what} needs {}, and there are no {payload}; each execution fails here", needed.join(", "));
    lint.report_key("SB082", state.node, message);
}

fn alike(name: &str, known: &[Parameter]) -> Option<&'static str> {
    let same = known.iter().find(|one| one.name.eq_ignore_ascii_case(name)).map(|one| one.name);
    same.or_else(|| nearest(name, known.iter().map(|one| one.name)))
}
