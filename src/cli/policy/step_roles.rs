//! `stepbound policy step-roles`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::answer::{PolicyError, document, findings_to_stderr, write};
use super::machines::{MachineFlags, states_exist, surroundings};
use super::view;
use crate::asl::model::{Kind, Target};
use crate::asl::to_yaml;
use crate::cli::input::Loaded;
use crate::cli::out::say;
use crate::iam::document::Document;
use crate::iam::execution_role::{Derived, Need, Reason};
use crate::iam::step_roles::{Set, StepRole, cloud_formation, of_tasks, split, step_roles, still_held, terraform};
use crate::integrations::sdk;

/// Flags of `stepbound policy step-roles`.
#[derive(Debug, clap::Args)]
pub struct StepRolesFlags {
    #[command(flatten)]
    pub(super) machines: MachineFlags,
    /// Propose roles instead: the smallest sets of states that share no service and no resource
    #[arg(long, conflicts_with = "compare")]
    split: bool,
    /// The policy that a role has, by its name or ARN, to compare with what its steps need, or of an execution role, with what is left
    /// to it (repeatable); exits with 1 where one lacks something
    #[arg(long, value_name = "ROLE=FILE")]
    compare: Vec<String>,
    /// What to print
    #[arg(long, short, value_enum, default_value = "text")]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Every need with its reason, and the trust policies
    Text,
    /// Policies and trust policies
    Json,
    /// The same in YAML
    Yaml,
    /// Roles with their policies for Terraform
    Terraform,
    /// The same as a CloudFormation template
    Cloudformation,
}

pub(super) fn run(flags: &StepRolesFlags) -> Result<ExitCode, PolicyError> {
    let mut loaded = flags.machines.load()?;
    if let Some(role) = &flags.machines.execution_role {
        loaded.retain(|one| execution_role(one).is_none_or(|used| used == *role));
    }
    states_exist(&loaded, &flags.machines)?;
    let mut machines = Vec::new();
    for one in &loaded {
        machines.push((one.what.clone(), flags.machines.derived(one)?));
    }
    if flags.split {
        return proposed(flags, &loaded, &machines);
    }
    let roles = step_roles(&machines);
    let executions = execution_roles(flags, &loaded, &machines);
    let writes_roles = matches!(flags.output, Form::Terraform | Form::Cloudformation);
    if writes_roles && roles.iter().any(|role| role.trust.is_empty()) {
        return Err(PolicyError::NoExecutionRole);
    }
    if writes_roles && let Some(own) = own_of(&roles, &executions).next() {
        return Err(PolicyError::StepIsExecutionRole { role: own.role_arn.clone(), states: state_names(own) });
    }
    if !flags.compare.is_empty() {
        return compared(&flags.compare, &roles, &executions);
    }
    match flags.output {
        Form::Text => write(&text(&roles, &executions))?,
        Form::Json => told(&executions, &format!("{:#}\n", view_of(&roles, &executions)))?,
        Form::Yaml => told(&executions, &to_yaml(&view_of(&roles, &executions))?)?,
        Form::Terraform => told(&executions, &terraform(&roles, &documents(&executions)))?,
        Form::Cloudformation => {
            told(&executions, &format!("{:#}\n", cloud_formation(&roles, &documents(&executions))))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Roles of steps that are the execution role of one of the state machines.
fn own_of<'a>(roles: &'a [StepRole], executions: &'a Executions) -> impl Iterator<Item = &'a StepRole> {
    roles.iter().filter(|role| executions.contains_key(&role.role_arn))
}

fn state_names(role: &StepRole) -> String {
    role.states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn execution_role(one: &Loaded) -> Option<String> {
    one.workflow.as_ref().map(|workflow| workflow.spec.execution_role_arn.clone())
}

/// What is left to each execution role, with what its definitions leave open, and how many state machines it runs.
type Executions = BTreeMap<String, (Derived, usize)>;

fn execution_roles(flags: &StepRolesFlags, loaded: &[Loaded], machines: &[(String, Derived)]) -> Executions {
    let mut all = Executions::new();
    for (one, (_, derived)) in loaded.iter().zip(machines) {
        let role = execution_role(one).or_else(|| flags.machines.execution_role.clone());
        let (sum, count) = all.entry(role.unwrap_or_else(|| "the execution role".into())).or_default();
        sum.needs.extend(derived.needs.iter().cloned());
        sum.findings.extend(derived.findings.iter().cloned());
        *count += 1;
    }
    all
}

fn documents(executions: &Executions) -> Vec<(String, Document)> {
    let with = executions.iter().filter(|(_, (derived, _))| !derived.needs.is_empty());
    with.map(|(role, (derived, _))| (role.clone(), derived.document())).collect()
}

/// What is for machines on standard output, and what it lacks for people beside it.
fn told(executions: &Executions, text: &str) -> Result<(), PolicyError> {
    for (derived, _) in executions.values() {
        findings_to_stderr(derived);
    }
    write(text)
}

fn text(roles: &[StepRole], executions: &Executions) -> String {
    let mut text = String::new();
    for role in roles {
        let _ = writeln!(text, "## {}, of {}", role.role_arn, state_names(role));
        view::needs(&mut text, &role.needs);
        if role.needs.is_empty() {
            text.push_str("# nothing: what its steps call needs no right of IAM\n");
        }
        if let Some(trust) = role.trust() {
            let _ = writeln!(text, "# and this trust policy:\n{}", trust.pretty());
        } else {
            text.push_str("# its trust policy names the execution role, which is not known here; give it with --execution-role ARN\n");
        }
        text.extend(shared(role).map(|finding| format!("# note: {finding}\n")));
        if executions.contains_key(&role.role_arn) {
            text.push_str("# note: this is an execution role itself, so its steps gain nothing by it: the policy and the trust policy above come on top of what it has, and must not replace that; give the steps a role of their own, or leave them out of spec.stepRoles\n");
        }
    }
    for (role, (derived, _)) in executions {
        let _ = writeln!(text, "## {role}, instead of what its steps need");
        view::needs(&mut text, &derived.needs);
        for finding in &derived.findings {
            let _ = writeln!(text, "{}", view::finding(finding));
        }
    }
    if roles.is_empty() {
        text.push_str("# no step acts as a role of its own; see --split\n");
    }
    text
}

/// A role of states that need nothing in common.
fn shared(role: &StepRole) -> Option<String> {
    let sets = role.sets();
    let told: Vec<String> = sets.iter().map(|set| format!("{} ({})", names(set), services(set))).collect();
    (sets.len() > 1).then(|| {
        format!(
            "{} is shared by steps that need nothing in common, so each can do what the others need: {}; give each a role of its own",
            role.role_arn,
            told.join(" | ")
        )
    })
}

fn names(set: &Set) -> String {
    set.states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn services(set: &Set) -> String {
    if set.services.is_empty() {
        "no right".into()
    } else {
        set.services.iter().cloned().collect::<Vec<_>>().join(", ")
    }
}

fn view_of(roles: &[StepRole], executions: &Executions) -> Value {
    let roles: Vec<Value> = roles
        .iter()
        .map(|role| {
            let states: Vec<Value> = role
                .states
                .iter()
                .map(|state| json!({"of": state.machine, "name": state.name, "path": state.path}))
                .collect();
            json!({"roleARN": role.role_arn, "states": states, "policy": role.document().to_value(),
                "trust": role.trust().map(|trust| trust.to_value())})
        })
        .collect();
    let executions: Vec<Value> = executions
        .iter()
        .map(|(role, (derived, _))| json!({"roleARN": role, "policy": derived.document().to_value()}))
        .collect();
    json!({"stepRoles": roles, "executionRoles": executions})
}

/// What each role that was given lacks, and has beyond what it needs.
fn compared(given: &[String], roles: &[StepRole], executions: &Executions) -> Result<ExitCode, PolicyError> {
    let mut complete = true;
    for one in given {
        let names = roles.iter().map(|role| role.role_arn.as_str()).chain(executions.keys().map(String::as_str));
        let Some((arn, path)) = names.clone().find_map(|arn| Some((arn, file_of(one, arn)?))) else {
            let roles = names.map(str::to_owned).collect();
            return Err(PolicyError::NoRole { given: one.clone(), roles });
        };
        let policy = document(path.as_ref())?;
        let mut text = format!("## {arn}\n");
        if let Some(role) = roles.iter().find(|role| role.role_arn == arn) {
            let findings = executions.values().flat_map(|(derived, _)| &derived.findings);
            let of_role = |path: &str| role.states.iter().any(|state| state.path == path);
            let findings = findings.filter(|finding| of_role(&finding.path)).cloned().collect();
            let needed = Derived { needs: role.needs.clone(), findings, ..Derived::default() };
            let mut machines: Vec<&str> = role.states.iter().map(|state| state.machine.as_str()).collect();
            machines.sort_unstable();
            machines.dedup();
            let found = view::Compared::of(&needed, &policy, Some(machines.len()));
            complete &= found.lacks_nothing();
            text.push_str(&found.text());
            text.extend(shared(role).map(|finding| format!("# note: {finding}\n")));
        } else if let Some((derived, count)) = executions.get(arn) {
            let found = view::Compared::of(derived, &policy, Some(*count));
            complete &= found.lacks_nothing();
            text.push_str(&found.text());
            for (role, need) in still_held(roles, &policy) {
                let _ = writeln!(
                    text,
                    "# note: it may do {} on {} itself, which step {} does as {role}; take it out",
                    need.actions.join(", "),
                    need.resources.join(", "),
                    need.reason.state
                );
            }
        }
        write(&text)?;
    }
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// `ROLE=FILE`, the role by its ARN or name. Either may have a sign of equality.
fn file_of<'a>(given: &'a str, arn: &str) -> Option<&'a str> {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    let of = |role: &str| given.strip_prefix(role)?.strip_prefix('=').filter(|path| !path.is_empty());
    of(arn).or_else(|| of(name))
}

/// A proposal for a state machine.
struct Proposal {
    what: String,
    sets: Vec<Set>,
    roles: Value,
    notes: Vec<String>,
}

/// Roles as a spec could have them: of each state machine, the smallest sets of steps.
fn proposed(
    flags: &StepRolesFlags,
    loaded: &[Loaded],
    machines: &[(String, Derived)],
) -> Result<ExitCode, PolicyError> {
    let mut all = Vec::new();
    for (one, (what, derived)) in loaded.iter().zip(machines) {
        for finding in derived.findings.iter().filter(|finding| finding.missing) {
            say(&view::finding(finding));
        }
        all.push(proposal(flags, one, what, derived)?);
    }
    match flags.output {
        Form::Json => {
            all.iter().flat_map(|one| &one.notes).for_each(|note| say(note));
            let values: Vec<Value> =
                all.into_iter().map(|one| json!({"of": one.what, "stepRoles": one.roles["stepRoles"]})).collect();
            write(&format!("{:#}\n", Value::Array(values)))?;
        }
        Form::Text | Form::Yaml => {
            for Proposal { what, sets, roles, notes } in &all {
                let mut text =
                    format!("# {what}: {} of steps that share no service and no resource\n", counted(sets.len()));
                for set in sets {
                    let _ = writeln!(text, "#   {}: {}", names(set), services(set));
                }
                text.extend(notes.iter().map(|note| format!("# note: {}\n", note.replace('\n', " "))));
                text.push_str(&to_yaml(roles)?);
                write(&text)?;
            }
        }
        Form::Terraform | Form::Cloudformation => {
            return Err(PolicyError::SplitForm);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn proposal(flags: &StepRolesFlags, one: &Loaded, what: &str, derived: &Derived) -> Result<Proposal, PolicyError> {
    let here = surroundings(one, &flags.machines)?;
    let (own, calls): (Vec<Call>, Vec<Call>) = calls(one).into_iter().partition(|call| call.has_own_role);
    let tasks: Vec<(String, String)> = calls.iter().map(|call| (call.path.clone(), call.name.clone())).collect();
    let (states, mut needs) = of_tasks(what, derived, &tasks);
    let open: Vec<&Call> =
        calls.iter().filter(|call| derived.findings.iter().any(|one| one.missing && one.path == call.path)).collect();
    needs.extend(open.iter().filter_map(|call| call.by_service()));
    let mut notes = Vec::new();
    if !open.is_empty() {
        notes.push(format!(
            "not all that {} use is known, so they are sorted by their services; they may share a resource with others: give it with --resource",
            named(&open)
        ));
    }
    if !own.is_empty() {
        notes.push(format!(
            "{} act as a role by Credentials of the definition, so spec.stepRoles leaves them out",
            named(&own.iter().collect::<Vec<_>>())
        ));
    }
    let sets = split(&states, &needs);
    let machine = here.name.clone().unwrap_or_else(|| "steps".into());
    let names = role_names(&machine, &sets);
    let entry = |(set, name): (&Set, &String)| {
        let states: Vec<&str> = set.states.iter().map(|state| written(&state.name, &state.path, one)).collect();
        json!({"roleARN": format!("arn:{}:iam::{}:role/{name}", here.partition, here.account), "states": states})
    };
    let entries: Vec<Value> = sets.iter().zip(&names).map(entry).collect();
    Ok(Proposal { what: what.to_owned(), sets, roles: json!({"stepRoles": entries}), notes })
}

fn named(calls: &[&Call]) -> String {
    calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn counted(sets: usize) -> String {
    if sets == 1 { "1 set".into() } else { format!("{sets} sets") }
}

/// A Task that calls something.
struct Call {
    /// JSON pointer to it.
    path: String,
    name: String,
    /// By Credentials that the definition has and not the spec.
    has_own_role: bool,
    /// Prefixes in IAM of the services that it calls.
    services: Vec<String>,
}

impl Call {
    /// What it needs where nothing is known but whom it calls.
    fn by_service(&self) -> Option<Need> {
        let actions: Vec<String> = self.services.iter().map(|service| format!("{service}:*")).collect();
        let reason = Reason { state: self.name.clone(), path: self.path.clone(), why: String::new() };
        let conditions = BTreeMap::new();
        (!actions.is_empty()).then(|| Need { actions, resources: vec!["*".into()], conditions, reason })
    }
}

fn calls(one: &Loaded) -> Vec<Call> {
    let spec = one.workflow.as_ref().map(|workflow| &workflow.spec.step_roles);
    let of_spec = |name: &str, path: &str| {
        let states = spec.into_iter().flatten().flat_map(|role| &role.states);
        states.into_iter().any(|state| state.0 == name || state.0 == path)
    };
    let machine = one.definition.machine();
    let visits = machine.walk();
    let calls = visits.iter().filter_map(|visit| {
        let Kind::Task(task) = &visit.state.kind else { return None };
        let target = task.resource.map(|resource| resource.target);
        if matches!(target, Some(Target::Activity(_))) {
            return None;
        }
        let (path, name) = (machine.node.path_to(visit.state.node), visit.state.name.to_owned());
        let has_own_role = task.credentials.is_some() && !of_spec(&name, &path);
        Some(Call { has_own_role, services: target.map(services_of).unwrap_or_default(), path, name })
    });
    calls.collect()
}

fn services_of(target: Target<'_>) -> Vec<String> {
    match target {
        Target::Lambda(_) => vec!["lambda".into()],
        Target::Sdk { service, action } => sdk::prefixes_of(service, action),
        Target::Optimised { service: "apigateway", .. } => vec!["execute-api".into()],
        Target::Optimised { service: "http", .. } => vec!["states".into()],
        Target::Optimised { service, .. } => vec![service.to_owned()],
        Target::Activity(_) | Target::OtherArn(_) | Target::Unknown => Vec::new(),
    }
}

/// The name of a state, or the pointer to it where several states have the name.
fn written<'a>(name: &'a str, path: &'a str, one: &Loaded) -> &'a str {
    let machine = one.definition.machine();
    if machine.walk().iter().filter(|visit| visit.state.name == name).count() > 1 { path } else { name }
}

/// Names that roles can have (at most 64 characters), each once.
fn role_names(machine: &str, sets: &[Set]) -> Vec<String> {
    const LONGEST: usize = 64;
    let mut names: Vec<String> = Vec::new();
    for set in sets {
        let services: Vec<&str> = set.services.iter().map(String::as_str).collect();
        let what = if services.is_empty() { "none".to_owned() } else { services.join("-") };
        let whole: String = format!("{machine}-{what}").chars().take(LONGEST - 3).collect();
        let free = |name: &String| !names.contains(name);
        let numbered = (2..).map(|number| format!("{whole}-{number}"));
        let name = std::iter::once(whole.clone()).chain(numbered).find(free).unwrap_or_default();
        names.push(name);
    }
    names
}
