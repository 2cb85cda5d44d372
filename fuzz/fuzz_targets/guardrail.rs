//! What admission refuses by a Guardrail the operator refuses too, and of bindings nothing more: the chart's expressions
//! are evaluated beside the operator's own code.
#![no_main]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, Program, Value as CelValue, extensions, to_value};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use stepbound::api::v1alpha1::{GuardrailSpec, TrustBindingSpec, WorkflowSpec};
use stepbound::plan::guardrail::{Rule, check_binding, check_workflow, selects};

fuzz_target!(|data: &[u8]| {
    // Where the bytes end there is nothing more to try.
    let _ = attempt(&mut Unstructured::new(data));
});

fn attempt(bytes: &mut Unstructured<'_>) -> Result<()> {
    let guardrail = guardrail(bytes)?;
    let labels = labels(bytes)?;
    let rule =
        Rule { name: "g".into(), spec: serde_json::from_value::<GuardrailSpec>(guardrail.clone()).expect("a spec") };
    let selected = selects(&rule.spec.namespace_selector, &labels);
    let rules = if selected { vec![rule] } else { Vec::new() };

    let mut binding = json!({"serviceAccountName": "orders", "roleARN": role(bytes)?, "region": region(bytes)?});
    if bytes.arbitrary()? {
        binding["sessionPolicy"] = bytes.choose(&[json!("Derived"), json!("None"), json!({"inline": "{}"})])?.clone();
    }
    let spec: TrustBindingSpec = serde_json::from_value(binding.clone()).expect("a spec");
    let ours = check_binding(&rules, "shop", &spec).err();
    let theirs = BINDINGS.refusal(&guardrail, &labels, &binding);
    assert_eq!(ours.is_some(), theirs.is_some(), "{guardrail} {labels:?} {binding}\n{ours:?}\n{theirs:?}");

    let workflow = workflow(bytes)?;
    let spec: WorkflowSpec = serde_json::from_value(workflow.clone()).expect("a spec");
    let theirs = WORKFLOWS.refusal(&guardrail, &labels, &workflow);
    // Admission looks neither into definitions nor at the name that is given by default.
    let name = |named: &str| spec.state_machine_name.clone().unwrap_or_else(|| named.to_owned());
    let check = |named: &str, definition| check_workflow(&rules, "shop", &spec, &name(named), definition).err();
    if spec.state_machine_name.is_some() || !guardrail["allowedStateMachineNames"].is_array() {
        let ours = check("shop_w", None);
        assert_eq!(ours.is_some(), theirs.is_some(), "{guardrail} {labels:?} {workflow}\n{ours:?}\n{theirs:?}");
    }
    if theirs.is_some() {
        assert!(
            check("shop_w", Some(&workflow["definition"])).is_some(),
            "{guardrail} {labels:?} {workflow}\n{theirs:?}"
        );
    }
    Ok(())
}

/// A policy of the chart, ready to be asked.
struct Policy {
    env: Arc<Env>,
    conditions: Vec<Program>,
    variables: Vec<(String, Program)>,
    validations: Vec<(Program, Option<Program>)>,
}

static BINDINGS: LazyLock<Policy> =
    LazyLock::new(|| Policy::of(include_str!("../../charts/stepbound/policies/guardrail-bindings.yaml")));
static WORKFLOWS: LazyLock<Policy> =
    LazyLock::new(|| Policy::of(include_str!("../../charts/stepbound/policies/guardrail-workflows.yaml")));

impl Policy {
    fn of(lines: &str) -> Self {
        let text = include_str!("../../charts/stepbound/policies/guardrail.yaml").to_owned() + lines;
        let policy: Value = serde_yaml::from_str(&text.replace("SCOPE", "namespaceSelector: {}")).expect("a policy");
        let mut env = Env::stdlib();
        env.add_extension(extensions::strings).expect("the functions of texts");
        let compile = |text: &Value| {
            let text = text.as_str().expect("an expression");
            env.compile(text).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        let list = |name: &str| policy[name].as_array().cloned().unwrap_or_default();
        let named = |one: &Value| (one["name"].as_str().expect("a name").to_owned(), compile(&one["expression"]));
        let validation = |one: &Value| {
            let message = one.get("messageExpression").filter(|message| message.is_string());
            (compile(&one["expression"]), message.map(compile))
        };
        let conditions = list("matchConditions").iter().map(|one| compile(&one["expression"])).collect();
        let variables = list("variables").iter().map(named).collect();
        let validations = list("validations").iter().map(validation).collect();
        Self { env: Arc::new(env), conditions, variables, validations }
    }

    /// The message of the first rule that does not hold.
    fn refusal(&self, guardrail: &Value, labels: &BTreeMap<String, String>, spec: &Value) -> Option<String> {
        let mut context = Context::with_env(self.env.clone());
        let namespace = if labels.is_empty() { json!({}) } else { json!({"labels": labels}) };
        for (name, value) in [
            ("object", json!({"metadata": {"name": "o"}, "spec": spec})),
            ("oldObject", Value::Null),
            ("params", json!({"metadata": {"name": "g"}, "spec": guardrail})),
            ("request", json!({"namespace": "shop", "operation": "CREATE"})),
            ("namespaceObject", json!({"metadata": namespace})),
        ] {
            context.add_variable_from_value(name, to_value(value).expect("a value"));
        }
        let holds = |program: &Program, context: &Context<'_, '_>| match program.execute(context) {
            Ok(CelValue::Bool(holds)) => holds,
            other => panic!("{other:?}: {guardrail} {spec}"),
        };
        if !self.conditions.iter().all(|condition| holds(condition, &context)) {
            return None;
        }
        let mut variables = HashMap::new();
        for (name, program) in &self.variables {
            variables.insert(name.clone(), program.execute(&context).unwrap_or_else(|error| panic!("{name}: {error}")));
            context.add_variable_from_value("variables", variables.clone());
        }
        let (_, message) = self.validations.iter().find(|(rule, _)| !holds(rule, &context))?;
        match message.as_ref().map(|message| message.execute(&context)) {
            None => Some(String::new()),
            Some(Ok(CelValue::String(said))) => Some(said.to_string()),
            Some(other) => panic!("{other:?}: {guardrail} {spec}"),
        }
    }
}

const KEYS: [&str; 3] = ["kind", "team", "a.b/c"];
const VALUES: [&str; 3] = ["", "shop", "x"];
const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "000000000000"];
const REGIONS: [&str; 3] = ["eu-west-1", "us-gov-east-1", "cn-north-1"];
const PARTITIONS: [&str; 3] = ["aws", "aws-cn", "aws-us-gov"];

fn labels(bytes: &mut Unstructured<'_>) -> Result<BTreeMap<String, String>> {
    (0..bytes.int_in_range(0..=3)?)
        .map(|_| Ok(((*bytes.choose(&KEYS)?).to_owned(), (*bytes.choose(&VALUES)?).to_owned())))
        .collect()
}

fn some<T: serde::Serialize>(
    bytes: &mut Unstructured<'_>,
    least: usize,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Value> {
    (0..bytes.int_in_range(least..=3)?).map(|_| Ok(json!(one(bytes)?))).collect()
}

fn guardrail(bytes: &mut Unstructured<'_>) -> Result<Value> {
    let mut selector = json!({});
    if bytes.arbitrary()? {
        selector["matchLabels"] = json!(labels(bytes)?);
    }
    if bytes.arbitrary()? {
        selector["matchExpressions"] = some(bytes, 0, |bytes| {
            let operator = *bytes.choose(&["In", "NotIn", "Exists", "DoesNotExist"])?;
            let mut one = json!({"key": *bytes.choose(&KEYS)?, "operator": operator});
            if operator.ends_with("In") {
                one["values"] = some(bytes, 1, |bytes| bytes.choose(&VALUES).copied())?;
            }
            Ok(one)
        })?;
    }
    // The API server fills in what has a default.
    let mut spec = json!({"namespaceSelector": selector, "requireAlias": bytes.arbitrary::<bool>()?,
        "forbidDefinitionFrom": bytes.arbitrary::<bool>()?, "requireDerivedSessionPolicy": bytes.arbitrary::<bool>()?,
        "requireStepRoles": bytes.arbitrary::<bool>()?});
    if bytes.arbitrary()? {
        spec["allowedStateMachineNames"] = some(bytes, 0, |bytes| characters(bytes, b"aA0_-*", 1))?;
    }
    if bytes.arbitrary()? {
        spec["allowedAccountIDs"] = some(bytes, 0, |bytes| bytes.choose(&ACCOUNTS).copied())?;
    }
    if bytes.arbitrary()? {
        spec["allowedRegions"] = some(bytes, 0, |bytes| bytes.choose(&REGIONS).copied())?;
    }
    for field in ["allowedRoleARNs", "allowedExecutionRoleARNs", "allowedStepRoleARNs"] {
        if bytes.arbitrary()? {
            spec[field] = some(bytes, 0, pattern)?;
        }
    }
    if bytes.arbitrary()? {
        spec["forbiddenIntegrations"] =
            some(bytes, 1, |bytes| bytes.choose(&["*", "lambda:*", "aws-sdk:*", "states:*", "http:invoke"]).copied())?;
    }
    Ok(spec)
}

/// Characters of a role's name; the last stands in patterns only.
const CHARACTERS: &[u8] = b"aA0+=,.@_/-:*";

fn characters(bytes: &mut Unstructured<'_>, of: &[u8], least: usize) -> Result<String> {
    (0..bytes.int_in_range(least..=9)?).map(|_| Ok(char::from(*bytes.choose(of)?))).collect()
}

fn role(bytes: &mut Unstructured<'_>) -> Result<String> {
    let (partition, account) = (*bytes.choose(&PARTITIONS)?, *bytes.choose(&ACCOUNTS)?);
    Ok(format!("arn:{partition}:iam::{account}:role/{}", characters(bytes, &CHARACTERS[..CHARACTERS.len() - 2], 1)?))
}

/// A pattern that its schema takes: a role's ARN of which parts are replaced, or anything.
fn pattern(bytes: &mut Unstructured<'_>) -> Result<String> {
    if bytes.arbitrary()? {
        return Ok(format!("arn:{}", characters(bytes, CHARACTERS, 1)?));
    }
    let partition = *bytes.choose(&["aws", "aws*", "*"])?;
    let account = *bytes.choose(&["111122223333", "444455556666", "*", "1111*"])?;
    Ok(format!("arn:{partition}:iam::{account}:role/{}", characters(bytes, CHARACTERS, 0)?))
}

fn region(bytes: &mut Unstructured<'_>) -> Result<&'static str> {
    bytes.choose(&REGIONS).copied()
}

fn workflow(bytes: &mut Unstructured<'_>) -> Result<Value> {
    let resource = *bytes.choose(&[
        "arn:aws:states:::lambda:invoke",
        "arn:aws:states:::aws-sdk:sfn:startExecution",
        "arn:aws:states:::http:invoke.sync",
        "arn:aws:lambda:eu-west-1:111122223333:function:f",
    ])?;
    let state = json!({"Type": "Task", "Resource": resource, "End": true});
    let mut spec = json!({"trustBindingRef": {"name": "orders"}, "executionRoleARN": role(bytes)?,
        "definition": {"StartAt": "A", "States": {"A": state}}});
    if bytes.arbitrary()? {
        spec["stateMachineName"] = json!(characters(bytes, b"aA0_-", 1)?);
    }
    if bytes.arbitrary()? {
        spec["aliases"] = some(bytes, 0, |_| Ok(json!({"name": "live"})))?;
    }
    if bytes.arbitrary()? {
        spec["stepRoles"] = some(bytes, 0, |bytes| Ok(json!({"roleARN": role(bytes)?, "states": ["A"]})))?;
    }
    if bytes.arbitrary()? {
        spec["definitionFrom"] = json!({"configMapKeyRef": {"name": "m", "key": "k"}});
        // The schema takes one of the two.
        spec.as_object_mut().expect("an object").remove("definition");
    }
    if bytes.arbitrary()? {
        spec["substitutionsFrom"] = some(bytes, 0, |_| Ok(json!({"configMapRef": {"name": "m"}})))?;
    }
    Ok(spec)
}
