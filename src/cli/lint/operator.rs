//! What the operator would refuse of an object that the API server takes, as far as files tell: asked of the same functions that
//! the operator asks.

use std::collections::HashMap;

use jiff::Timestamp;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::finding::finding;
use super::guardrails::Guardrails;
use super::{elsewhere, typed_input};
use crate::api::v1alpha1::{
    Activity, DurationString, IdentityProvider, LocalRef, TrustBinding, Workflow, WorkflowRun, WorkflowRunSpec,
    WorkflowSchedule, WorkflowSpec,
};
use crate::asl::Node;
use crate::asl::lint::Finding;
use crate::nesting;
use crate::outcome::Failure;
use crate::plan::binding::{check_pool, check_region, wanted_policy};
use crate::plan::guardrail::{self, Refused, unlisted_steps};
use crate::plan::needs::{check_log_group, check_log_stream};
use crate::plan::retry::check_mode;
use crate::plan::run::{check_input, check_source};
use crate::plan::schedule;
use crate::plan::workflow::{check_execution_role, check_key, check_name, names_of};
use crate::plan::{step_roles, tags};
use crate::reason::Reason;

/// Guardrails among the files, and bindings, Workflows and ConfigMaps by namespace and name, each with the defaults of its kind.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) guardrails: Guardrails,
    bindings: HashMap<(String, String), TrustBinding>,
    workflows: HashMap<(String, String), Workflow>,
    /// Texts of each ConfigMap.
    config_maps: HashMap<(String, String), Value>,
}

impl Objects {
    /// Keeps what others refer to. What does not fit its schema is told elsewhere.
    pub(super) fn add(&mut self, kind: &str, full: &Value) {
        let text = |name: &str| full["metadata"][name].as_str().unwrap_or_default().to_owned();
        let place = (text("namespace"), text("name"));
        match kind {
            "TrustBinding" => self.bindings.extend(typed(full).map(|binding| (place, binding))),
            "Guardrail" => typed(full).into_iter().for_each(|guardrail| self.guardrails.add(guardrail)),
            "Workflow" => self.workflows.extend(typed(full).map(|workflow| (place, workflow))),
            _ => {}
        }
    }

    /// Keeps what a run may take its input from.
    pub(super) fn add_config_map(&mut self, namespace: &str, name: &str, data: &Value) {
        self.config_maps.insert((namespace.to_owned(), name.to_owned()), data.clone());
    }
}

/// What the operator would refuse, each at its field.
pub(super) fn check(object: Node<'_>, kind: &str, full: &Value, others: &Objects) -> Vec<Finding> {
    let mut check = Check { object, findings: Vec::new(), others };
    match kind {
        "TrustBinding" => typed(full).into_iter().for_each(|binding| check.binding(&binding)),
        "IdentityProvider" => typed(full).into_iter().for_each(|provider| check.provider(&provider)),
        "Workflow" => typed(full).into_iter().for_each(|workflow| check.workflow(&workflow)),
        "Activity" => typed(full).into_iter().for_each(|activity| check.activity(&activity)),
        "WorkflowRun" => typed::<WorkflowRun>(full)
            .into_iter()
            .for_each(|run| check.run(&run.spec, &run.namespace().unwrap_or_default(), "/spec")),
        "WorkflowSchedule" => typed(full).into_iter().for_each(|schedule| check.schedule(&schedule)),
        _ => {}
    }
    check.findings
}

pub(super) fn typed<T: DeserializeOwned>(full: &Value) -> Option<T> {
    serde_json::from_value(full.clone()).ok()
}

struct Check<'a, 'o> {
    object: Node<'a>,
    findings: Vec<Finding>,
    others: &'o Objects,
}

impl<'o> Check<'_, 'o> {
    /// A refusal at a field, or at the object where the field is not written out.
    fn told(&mut self, pointer: &str, result: Result<(), Failure>) {
        if let Err(failure) = result {
            let node = self.object.pointer(pointer).unwrap_or(self.object);
            self.findings.push(finding(self.object, node, "SB094", failure.message));
        }
    }

    fn guarded(&mut self, refused: Vec<Refused>) {
        for (pointer, failure) in refused {
            self.told(&pointer, Err(failure));
        }
    }

    fn doubted(&mut self, pointer: &str, code: &'static str, message: &str) {
        let node = self.object.pointer(pointer).unwrap_or(self.object);
        self.findings.push(finding(self.object, node, code, message.to_owned()));
    }

    fn binding(&mut self, binding: &TrustBinding) {
        let namespace = binding.namespace().unwrap_or_default();
        self.guarded(guardrail::of_binding(&self.others.guardrails.of(&namespace), &namespace, &binding.spec));
        self.told("/spec/region", check_region(&binding.spec));
        self.told("/spec/sessionPolicy", wanted_policy(&binding.spec).map(drop));
        self.elsewhere(elsewhere::of_binding(&binding.spec));
    }

    fn elsewhere(&mut self, doubts: impl IntoIterator<Item = elsewhere::Doubt>) {
        doubts.into_iter().for_each(|(pointer, message)| self.doubted(&pointer, "SB099", &message));
    }

    /// The binding of an object, where it is among the files.
    fn binding_of(&self, namespace: &str, named: &LocalRef) -> Option<&'o TrustBinding> {
        self.others.bindings.get(&(namespace.to_owned(), named.name.clone()))
    }

    fn provider(&mut self, provider: &IdentityProvider) {
        self.told("/spec/issuer", check_pool(&provider.spec.issuer, &provider.spec.client_authentication));
    }

    fn workflow(&mut self, workflow: &Workflow) {
        let (namespace, spec) = (workflow.namespace().unwrap_or_default(), &workflow.spec);
        if let Some(definition) = &spec.definition {
            self.told("/spec/definition", nesting::check("spec.definition", definition.text()));
        }
        for (pointer, failure) in step_roles::of_another_partition(spec) {
            self.told(&pointer, Err(failure));
        }
        self.schema(spec);
        self.tags(spec.tags.iter().map(|(key, value)| (key, &value.0)));
        self.intervals(spec);
        self.own_role(spec);
        self.guarded(guardrail::of_spec(&self.others.guardrails.of(&namespace), &namespace, spec));
        let Some(binding) = self.binding_of(&namespace, &spec.trust_binding_ref) else {
            self.told("/spec/logging/logGroupARN", check_log_stream(spec));
            return self.elsewhere(elsewhere::of_partition(spec));
        };
        self.step_roles(spec, binding);
        let allowed = &binding.spec.allowed_execution_role_arns;
        let role = check_execution_role(&binding.spec.role_arn, allowed, &spec.execution_role_arn);
        self.told("/spec/executionRoleARN", role);
        self.told("/spec/encryption/kmsKeyID", check_key(&binding.spec, spec.encryption.as_ref()));
        self.told("/spec/logging/logGroupARN", check_log_group(&binding.spec, spec));
        self.name(&namespace, binding, spec.state_machine_name.as_deref(), "stateMachineName");
        self.elsewhere(elsewhere::of_workflow(spec, &binding.spec));
    }

    /// What the binding does not list. What a substitution puts in is not known here.
    fn step_roles(&mut self, spec: &WorkflowSpec, binding: &TrustBinding) {
        let definition: Value = spec
            .definition
            .as_ref()
            .and_then(|definition| serde_json::from_str(definition.text()).ok())
            .unwrap_or_default();
        for (path, failure) in unlisted_steps(&binding.spec.allowed_step_role_arns, spec, &definition) {
            let path = path.unwrap_or_default();
            let pointer = if path.starts_with("/spec/") { path } else { format!("/spec/definition{path}/Credentials") };
            let role = self.object.pointer(&pointer).and_then(|node| node.get("RoleArn")).and_then(Node::as_str);
            if !role.is_some_and(|role| role.contains("${")) {
                self.told(&pointer, Err(failure));
            }
        }
    }

    fn schema(&mut self, spec: &WorkflowSpec) {
        if let Some((pointer, failure)) = typed_input::refused(spec) {
            let is_there = self.object.pointer(&pointer).is_some();
            self.told(if is_there { &pointer } else { "/spec/inputSchema" }, Err(failure));
        }
        for (pointer, message) in typed_input::examples(spec) {
            self.doubted(&pointer, "SB103", &message);
        }
    }

    /// What AWS refuses, which the operator hands on.
    fn tags<'t>(&mut self, given: impl Iterator<Item = (&'t String, &'t String)>) {
        for (key, value) in given {
            let told = tags::problem(key, value);
            let pointer = format!("/spec/tags/{}", key.replace('~', "~0").replace('/', "~1"));
            if let Some(message) = told {
                self.doubted(&pointer, "SB094", &message);
            }
        }
    }

    /// A step that is taken at once proves nothing of the version.
    fn intervals(&mut self, spec: &WorkflowSpec) {
        for (index, alias) in spec.aliases.iter().enumerate() {
            let interval = alias.rollout.as_ref().and_then(|rollout| rollout.interval.as_ref()?.to_std());
            if interval.is_some_and(|length| length.is_zero()) {
                let pointer = format!("/spec/aliases/{index}/rollout/interval");
                let message = "an interval of nothing lets the rollout go on at once, before an execution of the new version has ended; write for example 10m, or strategy AllAtOnce";
                self.doubted(&pointer, "SB098", message);
            }
        }
    }

    /// Steps that are told to act as what they act as anyway.
    fn own_role(&mut self, spec: &WorkflowSpec) {
        for (index, one) in spec.step_roles.iter().enumerate() {
            if one.role_arn == spec.execution_role_arn {
                let message = "this is the execution role itself: the steps gain nothing by it, and the role would have to trust itself. Name a role of their own, or leave them out";
                self.doubted(&step_roles::pointer(index), "SB104", message);
            }
        }
    }

    fn activity(&mut self, activity: &Activity) {
        let (namespace, spec) = (activity.namespace().unwrap_or_default(), &activity.spec);
        self.tags(spec.tags.iter().map(|(key, value)| (key, &value.0)));
        let Some(binding) = self.binding_of(&namespace, &spec.trust_binding_ref) else { return };
        self.told("/spec/encryption/kmsKeyID", check_key(&binding.spec, spec.encryption.as_ref()));
        self.name(&namespace, binding, spec.name.as_deref(), "name");
        self.elsewhere(elsewhere::of_key(spec.encryption.as_ref(), &binding.spec));
    }

    /// Where the binding lists no names, the default ones count, which begin with a prefix that only the operator knows.
    fn name(&mut self, namespace: &str, binding: &TrustBinding, given: Option<&str>, field: &str) {
        let given = given.filter(|_| !binding.spec.allowed_state_machine_names.is_empty());
        let names = names_of("", namespace, &binding.spec);
        let result = check_name(given, &format!("spec.{field}"), &binding.name_any(), &names, false);
        self.told(&format!("/spec/{field}"), result);
    }

    fn run(&mut self, spec: &WorkflowRunSpec, namespace: &str, at: &str) {
        self.told(&format!("{at}/inputFrom"), check_source(spec));
        if spec.timeout.as_ref().and_then(DurationString::to_std).is_some_and(|length| length.is_zero()) {
            let message = "a timeout of nothing stops the run as soon as it has started; leave the field out for a run without one";
            self.doubted(&format!("{at}/timeout"), "SB098", message);
        }
        if let Some(input) = &spec.input {
            if at == "/spec" {
                self.told("/spec/input", check_input(&input.to_string()));
            }
            self.text_of_json(input, &format!("{at}/input"));
        }
        let text = self.text_of_input(spec, namespace);
        if let Some(text) = text {
            let key = format!("{at}/inputFrom/configMapKeyRef");
            self.told(&key, check_input(text));
        }
        let place = (namespace.to_owned(), spec.workflow_ref.name.clone());
        let workflow = self.others.workflows.get(&place);
        let rules = self.others.guardrails.of(namespace);
        if let Some((pointer, failure)) = guardrail::of_run(&rules, namespace, &spec.workflow_ref, workflow) {
            self.told(&format!("{at}{pointer}"), Err(failure));
        }
        if let Some(workflow) = workflow {
            let result = check_mode(spec, workflow.spec.machine_type);
            let field = if result.as_ref().is_err_and(|failure| failure.reason == Reason::ModeNotSupported) {
                "mode"
            } else {
                "retry"
            };
            self.told(&format!("{at}/{field}"), result);
            let misfit = typed_input::misfit(spec, &workflow.spec, text);
            let field = if spec.input_from.is_some() { "inputFrom/configMapKeyRef" } else { "input" };
            self.told(&format!("{at}/{field}"), misfit.map_or(Ok(()), Err));
            self.alias(spec, workflow, at);
        }
    }

    /// What the ConfigMap holds that a run takes its input from, where it is among the files.
    fn text_of_input(&self, spec: &WorkflowRunSpec, namespace: &str) -> Option<&'o str> {
        let from = &spec.input_from.as_ref()?.config_map_key_ref;
        let data = self.others.config_maps.get(&(namespace.to_owned(), from.name.clone()))?;
        data.get(&from.key)?.as_str()
    }

    fn alias(&mut self, spec: &WorkflowRunSpec, workflow: &Workflow, at: &str) {
        let aliases = &workflow.spec.aliases;
        let Some(wanted) = &spec.workflow_ref.alias else { return };
        if aliases.iter().any(|alias| alias.name == *wanted) {
            return;
        }
        let names: Vec<&str> = aliases.iter().map(|alias| alias.name.as_str()).collect();
        let has = if names.is_empty() { "no aliases".to_owned() } else { names.join(", ") };
        let message = format!(
            "Workflow \"{}\" has no alias \"{wanted}\": it has {has}. Such a run waits until it has",
            spec.workflow_ref.name
        );
        self.doubted(&format!("{at}/workflowRef/alias"), "SB100", &message);
    }

    /// An execution whose input is a text gets that text and no object.
    fn text_of_json(&mut self, input: &Value, pointer: &str) {
        let inner = input.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if inner.is_some_and(|inner| inner.is_object() || inner.is_array()) {
            let message = "the input is a text that holds JSON, so the execution gets a text; write the JSON itself, without quotes around it";
            self.doubted(pointer, "SB095", message);
        }
    }

    fn schedule(&mut self, schedule: &WorkflowSchedule) {
        for (pointer, failure) in schedule::problems(&schedule.spec, Timestamp::now()) {
            self.told(&pointer, Err(failure));
        }
        if schedule::is_faster_than_a_minute(&schedule.spec) {
            let message = "runs are named after the minute that they are scheduled for, so there is at most one a minute; write @every 1m, or start what is needed more often from within one execution";
            self.doubted("/spec/schedule", "SB098", message);
        }
        let template = &schedule.spec.run_template.spec;
        self.run(template, &schedule.namespace().unwrap_or_default(), "/spec/runTemplate/spec");
    }
}
