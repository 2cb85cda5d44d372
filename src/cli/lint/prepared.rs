//! The definition of a Workflow as the operator would submit it, and what is found in it.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::Value;

use super::elsewhere;
use super::finding::finding;
use super::guardrails::Guardrails;
use super::operator::typed;
use super::report::Question;
use crate::api::v1alpha1::Workflow;
use crate::asl::lint::{Finding, lint};
use crate::asl::model::{Kind, Machine};
use crate::asl::{Circumstances, Node, Places, StepRole, substitute, unresolved, with_step_roles, without_use};
use crate::iam::partition;
use crate::plan::guardrail;

/// A Workflow's definition under its circumstances.
pub(super) struct Run<'a, 'v> {
    pub(super) object: Node<'a>,
    pub(super) values: &'v BTreeMap<String, String>,
    pub(super) complete: bool,
    pub(super) express: bool,
    pub(super) asking: bool,
    /// What the operator would see of the whole.
    pub(super) full: &'v Value,
    pub(super) guardrails: &'v Guardrails,
}

impl Run<'_, '_> {
    /// What is found, and the definition as it would be submitted, where all its names have values.
    pub(super) fn findings(&self, definition: Node<'_>, outer: &mut Vec<Finding>) -> (Vec<Finding>, Option<Question>) {
        let mut open = unresolved(definition, self.values);
        if !self.complete {
            open.clear();
        }
        let mut value = definition.value().clone();
        let used = substitute(&mut value, self.values);
        let own = self.object.pointer("/spec/substitutions").into_iter().flat_map(Node::fields);
        for (name, node) in own.filter(|(name, _)| !used.contains(*name)) {
            outer.push(Finding { span: node.key_span(), ..without_use(name) });
        }
        let written = value;
        let (value, places) = self.with_step_roles(definition.with_value(&written), outer);
        let guarded = self.guarded(Node::root(&value, &places));
        let placeholders = !open.is_empty() || !self.complete;
        let question =
            (self.asking && !placeholders).then(|| Question { text: value.to_string(), express: self.express });
        let role = self.object.pointer("/spec/executionRoleARN").and_then(Node::as_str);
        let circumstances =
            Circumstances { express: self.express, placeholders, partition: role.and_then(partition::of_arn) };
        open.extend(guarded);
        open.extend(own_role(definition.with_value(&written), role));
        if let Some(own) = role.and_then(partition::of_arn) {
            foreign(definition.with_value(&written), own, &mut open);
        }
        open.extend(lint(Node::root(&value, &places), circumstances));
        (open, question)
    }

    /// What Guardrails say of what stands in it.
    fn guarded(&self, definition: Node<'_>) -> Vec<Finding> {
        let Some(workflow) = typed::<Workflow>(self.full) else { return Vec::new() };
        let namespace = workflow.namespace().unwrap_or_default();
        let rules = self.guardrails.of(&namespace);
        let refused = guardrail::of_definition(&rules, &namespace, &workflow.spec, definition.value());
        let told = refused.into_iter().map(|(path, failure)| {
            let node = definition.pointer(&path).unwrap_or(definition);
            Finding::new("SB094", path, failure.message, node.mark())
        });
        told.collect()
    }

    /// With the roles of its steps, as the operator puts them in.
    fn with_step_roles(&self, definition: Node<'_>, outer: &mut Vec<Finding>) -> (Value, Places) {
        let entries: Vec<Node<'_>> = self.object.pointer("/spec/stepRoles").into_iter().flat_map(Node::items).collect();
        let roles: Vec<StepRole<'_>> = entries
            .iter()
            .map(|entry| StepRole {
                states: entry.get("states").into_iter().flat_map(Node::items).filter_map(Node::as_str).collect(),
                role_arn: entry.get("roleARN").and_then(Node::as_str).unwrap_or_default(),
            })
            .collect();
        let (value, places, misplaced) = with_step_roles(definition, &roles);
        for one in misplaced {
            let node = self.object.pointer(&one.pointer()).unwrap_or(self.object);
            outer.push(finding(self.object, node, "SB094", one.message));
        }
        (value, places)
    }
}

/// Steps that act, by `Credentials` of their own, as what they act as anyway.
fn own_role(definition: Node<'_>, execution_role: Option<&str>) -> Vec<Finding> {
    let machine = Machine::of(definition);
    let visits = machine.walk();
    let roles = visits.iter().filter_map(|visit| match &visit.state.kind {
        Kind::Task(task) => task.credentials?.get("RoleArn"),
        _ => None,
    });
    let own = roles.filter(|role| execution_role.is_some() && role.as_str() == execution_role);
    let message = "this is the execution role itself: the step gains nothing by it, and the role would have to trust itself. Name a role of its own, or take Credentials out";
    own.map(|role| Finding::new("SB104", definition.path_to(role), message, role.mark())).collect()
}

/// ARNs of another partition than the state machine's. Integrations are told by a rule of their own.
fn foreign(definition: Node<'_>, own: &str, found: &mut Vec<Finding>) {
    fn walk<'a>(root: Node<'a>, node: Node<'a>, field: &str, own: &str, found: &mut Vec<Finding>) {
        node.items().for_each(|item| walk(root, item, field, own, found));
        node.fields()
            .filter(|(name, _)| *name != "Comment")
            .for_each(|(name, inner)| walk(root, inner, name, own, found));
        let Some(text) = node.as_str().filter(|text| !(field == "Resource" && text.contains(":states:::"))) else {
            return;
        };
        if let Some(partition) = elsewhere::foreign_partition(text, own) {
            let message = elsewhere::another_partition(partition, own);
            found.push(Finding::new("SB099", root.path_to(node), message, node.mark()));
        }
    }
    walk(definition, definition, "", own, found);
}
