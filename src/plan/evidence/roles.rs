//! Execution roles: who uses them, and what they may beyond what that needs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::controls::{A5_15, A5_18, A8_2, CC6_1, CC6_3};
use super::files::PolicyFile;
use super::item::{Facts, Finding, Item, Part, Section, Severity, Source, counted, key, place};
use super::reading::Read;
use crate::api::v1alpha1::Workflow;
use crate::iam::compare::{Excess, TooMuch, excess, missing};
use crate::iam::document::Document;
use crate::iam::execution_role::Need;

const ID: &str = "execution-roles";
const ALL: &[&str] = &[CC6_1, CC6_3, A5_15, A5_18, A8_2];

pub(super) fn section(read: &Read) -> Part {
    let mut section = Section::new(ID, "What state machines act as", ALL);
    section.not_read = read.workflows.unread("Workflows");
    let mut by_role: BTreeMap<&str, Vec<&Workflow>> = BTreeMap::new();
    for workflow in &read.workflows.objects {
        by_role.entry(&workflow.spec.execution_role_arn).or_default().push(workflow);
    }
    let (mut findings, mut without) = (Vec::new(), Vec::new());
    for (role, mut workflows) in by_role {
        workflows.sort_by_key(|one| key(&one.metadata));
        let files: Vec<&PolicyFile> = read.role_policies.iter().filter(|file| file.role_arn == role).collect();
        let mut facts = Facts::default();
        facts.list("usedBy", workflows.iter().map(|one| format!("Workflow {}", place(&one.metadata))));
        facts.list("stepRoleARNs", step_roles(&workflows));
        let mut read_from: Vec<Source> =
            workflows.iter().map(|one| Source::object("Workflow", &one.metadata)).collect();
        read_from.extend(files.iter().map(|file| file.source.clone()));
        let subject = format!("role {role}");
        if files.is_empty() {
            facts.put("permissions", "not read");
            without.push(role);
        } else {
            let (compared, not_read) = compared(read, &workflows, &files);
            section.not_read.extend(not_read);
            findings.extend(finding(&subject, &compared, &read_from));
            for (name, value) in compared {
                facts.put(name, value);
            }
        }
        section.items.push(Item { subject, controls: ALL, facts: facts.done(), read_from });
    }
    if read.workflows.refused.is_none() {
        section.says.push(format!(
            "{} of Workflows. What a role may beyond need is told where its policies were given, as far as Workflows that were read use it; who else uses it is not known here.",
            counted(section.items.len(), "execution role")
        ));
    }
    if !without.is_empty() {
        section
            .not_read
            .push(format!("permissions as AWS has them, of {}: not given (--role-policy)", without.join(", ")));
    }
    (section, findings)
}

/// The roles that steps act as, by what the operator last wrote of each version.
fn step_roles(workflows: &[&Workflow]) -> Vec<String> {
    let mut roles = std::collections::BTreeSet::new();
    for workflow in workflows {
        roles.extend(workflow.spec.step_roles.iter().map(|one| one.role_arn.clone()));
        let known = workflow.status.iter().flat_map(|status| &status.runs_as).filter_map(|one| one.steps.as_ref());
        roles.extend(known.flat_map(|steps| steps.role_arns.iter().cloned()));
    }
    roles.into_iter().collect()
}

/// What all policies of a role together have beyond need, and lack; and what of the needs could not be read.
fn compared(read: &Read, workflows: &[&Workflow], files: &[&PolicyFile]) -> (Vec<(&'static str, Value)>, Vec<String>) {
    let mut needs: Vec<Need> = Vec::new();
    let mut not_read = Vec::new();
    for workflow in workflows {
        let what = || format!("the definition of Workflow {}", place(&workflow.metadata));
        match read.needs.get(&key(&workflow.metadata)) {
            Some(Ok(derived)) => {
                needs.extend(derived.needs.iter().cloned());
                let open = derived.findings.iter().filter(|one| one.missing);
                not_read.extend(open.map(|one| format!("{}, {}: {}", what(), one.path, one.message)));
            }
            Some(Err(why)) => not_read.push(format!("{}: {why}", what())),
            None => not_read.push(format!("{}: it was not looked at", what())),
        }
    }
    let whole = Document::new(files.iter().flat_map(|file| file.document.statements.iter().cloned()).collect());
    let lacks: Vec<Value> = missing(&needs, &whole)
        .into_iter()
        .map(|one| json!({"action": one.action, "resources": one.resources, "state": one.reason.state}))
        .collect();
    let mut facts =
        vec![("permissions", json!(if not_read.is_empty() { "read" } else { "read, while not all needs are known" }))];
    let beyond: Vec<Value> = excess(&needs, &whole).iter().map(too_much).collect();
    facts.push(("beyondNeed", Value::Array(beyond)));
    facts.push(("lacks", Value::Array(lacks)));
    (facts, not_read)
}

fn too_much(one: &Excess) -> Value {
    let why = match &one.why {
        TooMuch::Service(service) => format!("no state uses {service}"),
        TooMuch::Actions => "no state needs it".to_owned(),
        TooMuch::OnlyActions(needed) | TooMuch::OnlyResources(needed) => format!("needed of it: {}", needed.join(", ")),
        TooMuch::Resources => "no state needs this resource".to_owned(),
        TooMuch::Open => "allows everything but a list".to_owned(),
    };
    json!({"allows": one.pattern, "statement": one.statement, "why": why})
}

fn finding(subject: &str, compared: &[(&str, Value)], read_from: &[Source]) -> Option<Finding> {
    let beyond = compared.iter().find(|(name, _)| *name == "beyondNeed")?.1.as_array()?;
    let named: Vec<&str> = beyond.iter().filter_map(|one| one["allows"].as_str()).collect();
    let first = named.get(..3).map_or_else(|| named.join(", "), |some| format!("{}, …", some.join(", ")));
    let is_all = named.iter().any(|one| *one == "*" || *one == "*:*");
    (!named.is_empty()).then(|| Finding {
        severity: if is_all { Severity::Error } else { Severity::Warning },
        code: "RoleWiderThanNeeded".to_owned(),
        subject: subject.to_owned(),
        message: format!("the role may more than its Workflows need ({first}); narrow its policy to what `kubectl sfn policy execution-role` prints"),
        controls: ALL,
        section: ID,
        read_from: read_from.to_vec(),
    })
}
