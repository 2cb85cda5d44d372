//! Manifests of a state machine that somebody else describes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::machine::{Machine, Source};
use crate::asl::model::Arn;
use crate::asl::{Node, Places, to_yaml, unresolved};
use crate::iam::execution_role::{Surroundings, pseudo_parameters};
use crate::iam::partition;

const VERSION: &str = "stepbound.dev/v1alpha1";
/// Stands for an account that is not known.
const NO_ACCOUNT: &str = "000000000000";
/// Stands for a region that is not known.
const NO_REGION: &str = "us-east-1";

/// What whoever imports has said.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    pub namespace: Option<String>,
    /// A TrustBinding that there is.
    pub binding: Option<String>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub execution_role: Option<String>,
}

/// The manifests as text, and what is to be said of them, which stands in the text too.
///
/// # Errors
/// When they cannot be written.
pub(super) fn manifests(mut machine: Machine, wishes: &Wishes) -> Result<(String, Vec<String>), serde_yaml::Error> {
    let place = Place::of(&machine, wishes);
    put_place_in(&mut machine, &place);
    let name = object_name(&machine);
    let role = execution_role(&mut machine, wishes, &place, &name);
    let binding = wishes.binding.clone().unwrap_or_else(|| name.clone());
    let mut spec = Map::new();
    spec.insert("trustBindingRef".into(), json!({"name": binding}));
    let machine_name = machine.name.clone().filter(|name| is_plain(name));
    if machine_name.is_none()
        && let Some(open) = machine.name.take()
    {
        machine.note(format!("the name {open} is not carried over: it is no plain value. The state machine is made under Stepbound's own name"));
    }
    spec.extend(machine_name.as_ref().map(|name| ("stateMachineName".to_owned(), json!(name))));
    if machine.is_express {
        spec.insert("type".into(), json!("Express"));
    }
    spec.insert("executionRoleARN".into(), json!(role));
    settings(&mut machine, &mut spec);
    let mut metadata = Map::from_iter([("name".to_owned(), json!(name))]);
    metadata.extend(wishes.namespace.as_ref().map(|namespace| ("namespace".to_owned(), json!(namespace))));
    of_source(&mut machine, &mut spec, &mut metadata);
    open_names(&mut machine);
    spec.insert("definition".into(), machine.definition.clone());
    let workflow = json!({"apiVersion": VERSION, "kind": "Workflow", "metadata": metadata, "spec": spec});
    let mut documents = Vec::new();
    if wishes.binding.is_none() {
        documents.push(to_yaml(&trust_binding(&mut machine, wishes, &place, &name, &role))?);
    } else if let Some(name) = &machine_name {
        machine.note(format!("TrustBinding {binding} has to list the name in spec.allowedStateMachineNames: {name}"));
    }
    documents.push(to_yaml(&workflow)?);
    // Each line a comment, whatever is in a note.
    let comment = |note: &String| {
        let clean: String = note.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        format!("# {clean}\n")
    };
    let comments: String = machine.notes.iter().map(comment).collect();
    Ok((format!("{comments}{}", documents.join("---\n")), machine.notes))
}

/// Where the state machine lives, as far as anything tells it.
struct Place {
    partition: String,
    region: Option<String>,
    account: Option<String>,
}

impl Place {
    fn of(machine: &Machine, wishes: &Wishes) -> Self {
        let arns: Vec<Arn<'_>> = [machine.arn.as_deref(), wishes.execution_role.as_deref(), machine.role.as_deref()]
            .into_iter()
            .flatten()
            .filter_map(Arn::parse)
            .collect();
        let plain = |text: &str| (!text.is_empty() && !text.contains('$')).then(|| text.to_owned());
        let region = wishes.region.clone().or_else(|| arns.iter().find_map(|arn| plain(arn.region)));
        let account = wishes.account.clone().or_else(|| arns.iter().find_map(|arn| plain(arn.account)));
        let of_region = region.as_deref().and_then(partition::of_region).map(|partition| partition.id.to_owned());
        let of_arn = arns.iter().find_map(|arn| plain(arn.partition));
        Self { partition: of_arn.or(of_region).unwrap_or_else(|| "aws".into()), region, account }
    }
}

/// Puts in what CloudFormation would of where it is, as far as that is known.
fn put_place_in(machine: &mut Machine, place: &Place) {
    let here = Surroundings {
        partition: place.partition.clone(),
        region: place.region.clone().unwrap_or_default(),
        account: place.account.clone().unwrap_or_default(),
        ..Surroundings::default()
    };
    let known: Vec<(String, String)> = pseudo_parameters(&here)
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (format!("${{{name}}}"), value.to_owned()))
        .collect();
    let put = |text: &mut String| {
        for (name, value) in &known {
            if text.contains(name) {
                *text = text.replace(name, value);
            }
        }
    };
    each_text(&mut machine.definition, &put);
    machine.substitutions.values_mut().for_each(put);
    for text in [&mut machine.name, &mut machine.role].into_iter().flatten() {
        put(text);
    }
}

fn each_text(value: &mut Value, act: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => act(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, act)),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, value)| each_text(value, act)),
        _ => {}
    }
}

/// A name that Kubernetes takes: of the state machine's, of what described it, or any.
fn object_name(machine: &Machine) -> String {
    let from = match &machine.source {
        Source::Ack { name, .. } => name.clone(),
        Source::Template(id) => machine.name.clone().filter(|name| is_plain(name)).unwrap_or_else(|| id.clone()),
        Source::Aws => machine.name.clone().unwrap_or_default(),
    };
    let letter = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' };
    let name: String = from.chars().map(letter).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "imported".to_owned() } else { name.to_owned() }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn execution_role(machine: &mut Machine, wishes: &Wishes, place: &Place, name: &str) -> String {
    if let Some(role) = &wishes.execution_role {
        return role.clone();
    }
    match machine.role.clone() {
        Some(role) if Arn::parse(&role).is_some() && !role.contains("${") => role,
        open => {
            let is = open.map(|role| format!(" is {role} there")).unwrap_or_default();
            let account = place.account.as_deref().unwrap_or(NO_ACCOUNT);
            let role = format!("arn:{}:iam::{account}:role/{name}-execution", place.partition);
            machine.note(format!("spec.executionRoleARN{is}, and is no plain ARN: {role} stands for it; correct it, or give it with --execution-role"));
            role
        }
    }
}

fn settings(machine: &mut Machine, spec: &mut Map<String, Value>) {
    if let Some(logging) = machine.logging.clone() {
        let level = match logging.level.to_ascii_uppercase().as_str() {
            "ALL" => "All",
            "ERROR" => "Error",
            "FATAL" => "Fatal",
            _ => "None",
        };
        // Without a group it was said that it is left out.
        if let Some(group) = logging.log_group.filter(|_| level != "None") {
            if group.contains("${") || Arn::parse(&group).is_none() {
                machine.note(format!("the log group is {group}, which is no plain ARN: write it to spec.logging.logGroupARN, with level {level}"));
            } else {
                let include = logging.include_execution_data;
                spec.insert(
                    "logging".into(),
                    json!({"level": level, "includeExecutionData": include, "logGroupARN": group}),
                );
            }
        }
    }
    if machine.tracing {
        spec.insert("tracing".into(), json!({"enabled": true}));
    }
    if let Some((key, seconds)) = machine.encryption.clone() {
        if key.contains("${") {
            machine
                .note(format!("the KMS key is {key}, which is no plain value: write it to spec.encryption.kmsKeyID"));
        } else {
            let mut encryption = json!({"kmsKeyID": key});
            if let Some(seconds) = seconds {
                encryption["kmsDataKeyReusePeriodSeconds"] = json!(seconds);
            }
            spec.insert("encryption".into(), encryption);
        }
    }
    if !machine.tags.is_empty() {
        spec.insert("tags".into(), json!(machine.tags));
    }
    if !machine.substitutions.is_empty() {
        spec.insert("substitutions".into(), json!(machine.substitutions));
    }
    if let Some(alias) = &machine.alias {
        spec.insert("aliases".into(), json!([{"name": alias, "default": true, "rollout": {"strategy": "AllAtOnce"}}]));
    }
}

/// How the Workflow comes to the state machine that there is.
fn of_source(machine: &mut Machine, spec: &mut Map<String, Value>, metadata: &mut Map<String, Value>) {
    match machine.source.clone() {
        Source::Aws => {
            spec.insert("adoption".into(), json!("IfUnowned"));
            machine.note("spec.adoption is IfUnowned: the state machine that there is is taken over, and brought to what stands here");
        }
        Source::Ack { namespace, name } => {
            let from = namespace.unwrap_or_else(|| "NAMESPACE".into());
            if from == "NAMESPACE" {
                machine.note("the StateMachine names no namespace: write it to the annotation stepbound.dev/take-over-from, instead of NAMESPACE");
            }
            metadata.insert("annotations".into(), json!({"stepbound.dev/take-over-from": format!("ack/{from}")}));
            machine.note(format!("let ACK keep the state machine first: kubectl annotate statemachine.sfn.services.k8s.aws {name} services.k8s.aws/deletion-policy=retain, then delete that object"));
        }
        Source::Template(id) => {
            machine.note(format!(
                "CloudFormation goes on with the state machine of {id}: give it DeletionPolicy Retain and take it out of the template before this Workflow is to have one of the same name"
            ));
        }
    }
}

/// Names in the definition for which nobody puts in a value.
fn open_names(machine: &mut Machine) {
    let places = Places::of(&machine.definition);
    let open = unresolved(Node::root(&machine.definition, &places), &machine.substitutions);
    let named: BTreeSet<String> = open.into_iter().map(|finding| finding.message).collect();
    for message in named {
        machine.note(format!("the definition is not complete: {message}"));
    }
}

fn trust_binding(machine: &mut Machine, wishes: &Wishes, place: &Place, name: &str, role: &str) -> Value {
    let account = Arn::parse(role).map_or_else(|| NO_ACCOUNT.to_owned(), |arn| arn.account.to_owned());
    let own = format!("arn:{}:iam::{account}:role/stepbound-{name}", place.partition);
    let region = place.region.clone().unwrap_or_else(|| NO_REGION.to_owned());
    if place.region.is_none() {
        machine.note(format!(
            "the region is not known: {region} stands for it in the TrustBinding; correct it, or give it with --region"
        ));
    }
    if account == NO_ACCOUNT {
        machine.note(format!(
            "the account is not known: {NO_ACCOUNT} stands for it; correct it, or give it with --account"
        ));
    }
    machine.note(format!(
        "the TrustBinding names the role {own} and the service account {name}, which may not be there yet: kubectl sfn policy binding-role FILE prints what the role needs, kubectl sfn trust render FILE whom it has to trust. With a binding that there is: --binding NAME"
    ));
    let mut spec =
        json!({"serviceAccountName": name, "roleARN": own, "region": region, "allowedExecutionRoleARNs": [role]});
    if let Some(name) = machine.name.as_ref().filter(|name| is_plain(name)) {
        spec["allowedStateMachineNames"] = json!([name]);
    }
    let mut metadata = json!({"name": name});
    if let Some(namespace) = &wishes.namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": VERSION, "kind": "TrustBinding", "metadata": metadata, "spec": spec})
}
