//! The chain from the account down to the run, with what is wrong where it is.

use std::fmt::Write as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Value, json};

use crate::api::v1alpha1::{
    Phase, SessionPolicyChoice, TrustBinding, Workflow, WorkflowRun, WorkflowRunStatus, WorkflowStatus,
};
use crate::asl::model::Arn;
use crate::kubectl::approvals::awaited;
use crate::kubectl::kinds::{Kind, Named};
use crate::kubectl::objects::Shown;
use crate::kubectl::table::{printable, wrap};
use crate::kubectl::words::paint;
use crate::plan::needs;

/// Lines are not made shorter than this.
const NARROWEST: usize = 20;

/// What is there, as far as whoever asks may see it. What was not looked for is `None`.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub binding: Option<(String, Shown<TrustBinding>)>,
    pub workflow: Option<(String, Shown<Workflow>)>,
    pub run: Option<WorkflowRun>,
}

/// How a link of the chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As it has to be.
    Good,
    /// Something keeps it from working, or did.
    Wrong,
    /// Nothing is known of it: it may not be seen, or nobody has looked yet.
    Unknown,
}

/// A link of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    what: &'static str,
    name: String,
    state: State,
    /// What is told of it.
    lines: Vec<String>,
    /// What is wrong, in the words of the condition that says it.
    wrong: Vec<String>,
}

/// The links, from the account down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain(Vec<Link>);

impl Chain {
    pub fn of(objects: &Objects, namespace: &str) -> Self {
        let mut links = Vec::new();
        if let Some((name, binding)) = &objects.binding {
            of_binding(&mut links, namespace, name, binding, objects);
        }
        if let Some((name, workflow)) = &objects.workflow {
            links.push(of_workflow(namespace, name, workflow));
        }
        links.extend(objects.run.as_ref().map(|run| of_run(namespace, run)));
        Self(links)
    }

    /// Each link below the one that it hangs on, in lines of so many columns.
    pub fn text(&self, colour: bool, columns: usize) -> String {
        let mut text = String::new();
        for (depth, link) in self.0.iter().enumerate() {
            let (sign, code) = match link.state {
                State::Good => ("✔", "32"),
                State::Wrong => ("✘", "31"),
                State::Unknown => ("?", "33"),
            };
            let branch = if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat(depth - 1)) };
            let indent = "  ".repeat(depth + 1);
            let head = paint(&format!("{} {}", link.what, printable(&link.name)), "1", colour);
            let _ = writeln!(text, "{branch}{} {head}", paint(sign, code, colour));
            let room = columns.saturating_sub(indent.len()).max(NARROWEST);
            for line in link.lines.iter().flat_map(|line| wrap(&printable(line), room, 2)) {
                let _ = writeln!(text, "{indent}{line}");
            }
            let code = if link.state == State::Wrong { "31" } else { "33" };
            for line in link.wrong.iter().flat_map(|wrong| wrap(&format!("! {}", printable(wrong)), room, 2)) {
                let _ = writeln!(text, "{indent}{}", paint(&line, code, colour));
            }
        }
        text
    }

    pub fn view(&self) -> Vec<Value> {
        let state = |state| match state {
            State::Good => "good",
            State::Wrong => "wrong",
            State::Unknown => "unknown",
        };
        let view = |link: &Link| json!({"what": link.what, "name": link.name, "state": state(link.state), "says": link.lines, "wrong": link.wrong});
        self.0.iter().map(view).collect()
    }

    /// The command that tells more of the first thing that is wrong.
    pub fn next(&self, asked: &Named) -> Option<String> {
        let wrong = self.0.iter().find(|link| link.state == State::Wrong)?;
        match (wrong.what, asked.kind) {
            ("Run", Kind::Run) => Some(format!("logs {}", asked.name)),
            ("Role" | "TrustBinding", _) => {
                let binding = self.0.iter().find(|link| link.what == "TrustBinding")?;
                Some(format!("trust render binding/{}", binding.name.rsplit('/').next()?))
            }
            ("State machine", _) => {
                let workflow = wrong.name.rsplit('/').next()?;
                Some(format!("lint workflow/{workflow}"))
            }
            _ => None,
        }
    }
}

/// The words of a condition.
fn words(condition: &Condition) -> String {
    format!("{} is {}: {}: {}", condition.type_, condition.status, condition.reason, condition.message)
}

fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// What the conditions of these types say against their object. Some types are bad news when they are true.
fn against(conditions: &[Condition], kinds: &[&str]) -> Vec<String> {
    const BAD_NEWS: [&str; 3] = ["Stalled", "Drifted", "Failed"];
    let is_wrong =
        |one: &&Condition| one.status == if BAD_NEWS.contains(&one.type_.as_str()) { "True" } else { "False" };
    let mut said: Vec<(&str, &str)> = Vec::new();
    let found = kinds.iter().filter_map(|kind| find(conditions, kind)).filter(is_wrong);
    // Ready and Stalled repeat what a condition of its own says.
    found
        .filter(|one| {
            let new = !said.contains(&(one.reason.as_str(), one.message.as_str()));
            said.push((&one.reason, &one.message));
            new
        })
        .map(words)
        .collect()
}

/// The state that conditions show: good where the one that has to be true is, and nothing is wrong.
fn state(conditions: &[Condition], good: &str, wrong: &[String]) -> State {
    match find(conditions, good) {
        _ if !wrong.is_empty() => State::Wrong,
        Some(condition) if condition.status == "True" => State::Good,
        _ => State::Unknown,
    }
}

/// What there is to say of an object that is not shown.
fn unseen(what: &'static str, name: String, missing: bool, why: &str) -> Link {
    let wrong = if missing { "there is no such object".to_owned() } else { format!("you may not see it: {why}") };
    let state = if missing { State::Wrong } else { State::Unknown };
    Link { what, name, state, lines: Vec::new(), wrong: vec![wrong] }
}

fn of_binding(chain: &mut Vec<Link>, namespace: &str, name: &str, seen: &Shown<TrustBinding>, objects: &Objects) {
    let full = format!("{namespace}/{name}");
    let binding = match seen {
        Shown::There(binding) => binding,
        other => {
            // What is not shown here the state machine's ARN may still tell.
            chain.extend(account_of_machine(objects));
            let why = if let Shown::Hidden(why) = other { why.as_str() } else { "" };
            chain.push(unseen("TrustBinding", full, *other == Shown::Missing, why));
            return;
        }
    };
    let status = binding.status.clone().unwrap_or_default();
    let spec = &binding.spec;
    let conditions = status.conditions.as_slice();
    let role = Arn::parse(&spec.role_arn);
    let account = status.account_id.clone().or_else(|| role.map(|arn| arn.account.to_owned())).unwrap_or_default();
    let confirmed = status.account_id.is_some();
    chain.push(Link {
        what: "Account",
        name: format!("{account}, region {}", spec.region),
        state: if confirmed { State::Good } else { State::Unknown },
        lines: if confirmed { Vec::new() } else { vec!["STS has not answered for it yet".into()] },
        wrong: Vec::new(),
    });

    let mut lines = vec![format!("service account {}", spec.service_account_name)];
    let identity = [("issuer", &status.issuer), ("subject", &status.subject), ("audience", &status.audience)];
    lines.extend(identity.into_iter().filter_map(|(what, value)| Some(format!("{what} {}", value.as_ref()?))));
    lines.extend(
        spec.identity_provider_ref.as_ref().map(|provider| format!("token of IdentityProvider {}", provider.name)),
    );
    let mut wrong = against(conditions, &["Authorized", "TokenMinted"]);
    if spec.suspend {
        wrong.push("spec.suspend is true: the operator does not use it".into());
    }
    lines.extend(behind(status.observed_generation, binding.metadata.generation));
    chain.push(Link {
        what: "TrustBinding",
        name: full,
        state: state(conditions, "TokenMinted", &wrong),
        lines,
        wrong,
    });

    let mut wrong = against(conditions, &["RoleAssumed"]);
    // What no link of its own has, such as a region of another partition.
    let ready: Vec<String> = against(conditions, &["Ready", "Stalled"]);
    let told = |one: &String| chain.iter().any(|link| link.wrong.iter().any(|other| same_words(other, one)));
    let elsewhere: Vec<String> = ready
        .into_iter()
        .filter(|one| !told(one) && !wrong.iter().any(|other| same_words(other, one)))
        .filter(|one| !against(conditions, &["LeastPrivilege"]).iter().any(|other| same_words(other, one)))
        .collect();
    wrong.extend(elsewhere);
    let lines = status.session_name.iter().map(|name| format!("session {name}")).collect();
    chain.push(Link {
        what: "Role",
        name: spec.role_arn.clone(),
        state: state(conditions, "RoleAssumed", &wrong),
        lines,
        wrong,
    });

    let policy = match spec.session_policy.choice() {
        SessionPolicyChoice::Derived => "Derived: what Stepbound calls, and nothing else".to_owned(),
        SessionPolicyChoice::None => "None: all that the role may".to_owned(),
        SessionPolicyChoice::Inline(text) => format!("of your own, {} characters", text.chars().count()),
        SessionPolicyChoice::Unknown(text) => format!("{text}, which is not known"),
    };
    let findings =
        status.findings.iter().map(|one| format!("{} {}: {}", one.severity, one.code, one.message)).collect();
    let mut wrong = against(conditions, &["LeastPrivilege"]);
    if !wrong.is_empty() {
        // The findings say it one by one.
        wrong = if status.findings.is_empty() { wrong } else { findings };
    }
    chain.push(Link {
        what: "Session policy",
        name: policy,
        // Wider than need be works all the same.
        state: if wrong.is_empty() { State::Good } else { State::Unknown },
        lines: Vec::new(),
        wrong,
    });
}

/// True where two conditions give the same reason and message.
fn same_words(a: &str, b: &str) -> bool {
    let words = |text: &str| text.split_once(": ").map_or_else(|| text.to_owned(), |(_, words)| words.to_owned());
    words(a) == words(b)
}

fn account_of_machine(objects: &Objects) -> Option<Link> {
    let of_run = || objects.run.as_ref()?.status.as_ref()?.execution_arn.clone();
    let arn = match &objects.workflow {
        Some((_, Shown::There(workflow))) => workflow.status.as_ref()?.state_machine_arn.clone(),
        _ => of_run(),
    }?;
    let arn = Arn::parse(&arn)?;
    let name = format!("{}, region {}", arn.account, arn.region);
    Some(Link { what: "Account", name, state: State::Good, lines: Vec::new(), wrong: Vec::new() })
}

/// Said where a status speaks of an older spec.
fn behind(observed: Option<i64>, generation: Option<i64>) -> Option<String> {
    let observed = observed.filter(|observed| *observed >= 0);
    (observed != generation && generation.is_some()).then(|| match observed {
        Some(observed) => format!("the operator has seen generation {observed} of {}", generation.unwrap_or_default()),
        None => "the operator has not looked at it yet".to_owned(),
    })
}

fn of_workflow(namespace: &str, name: &str, seen: &Shown<Workflow>) -> Link {
    let full = format!("of Workflow {namespace}/{name}");
    let workflow = match seen {
        Shown::There(workflow) => workflow,
        Shown::Missing => return unseen("State machine", full, true, ""),
        Shown::Hidden(why) => return unseen("State machine", full, false, why),
    };
    let status = workflow.status.clone().unwrap_or_default();
    let conditions = status.conditions.as_slice();
    let mut lines = Vec::new();
    lines.push(status.state_machine_arn.clone().unwrap_or_else(|| "not made yet".into()));
    lines.push(format!("runs as {}", workflow.spec.execution_role_arn));
    lines.extend(versions(&status));
    lines.extend(needs::results_from(&workflow.spec).map(|group| {
        format!("ends of runs are read from the log {group}: the binding's role needs logs:FilterLogEvents on it")
    }));
    lines.extend(behind(status.observed_generation, workflow.metadata.generation));
    let mut wrong = against(conditions, &["DefinitionValid", "Synced", "Drifted", "Ready", "Stalled"]);
    wrong.extend(
        status
            .diagnostics
            .iter()
            .filter(|one| one.severity == "Error")
            .take(5)
            .map(|one| format!("{} at {}: {}", one.code, one.path, one.message)),
    );
    if workflow.spec.suspend {
        wrong.push("spec.suspend is true: the operator leaves it as it is".into());
    }
    Link { what: "State machine", name: full, state: state(conditions, "Ready", &wrong), lines, wrong }
}

fn versions(status: &WorkflowStatus) -> Vec<String> {
    let latest = status.latest_version.as_ref().map(|latest| format!("newest version {}", latest.number));
    let aliases = status.aliases.iter().map(|alias| {
        let routes = alias.routes.iter().map(|route| format!("version {} with {} %", route.version, route.weight));
        format!("alias {}: {:?}, {}", alias.name, alias.phase, routes.collect::<Vec<_>>().join(", "))
    });
    latest.into_iter().chain(aliases).collect()
}

fn of_run(namespace: &str, run: &WorkflowRun) -> Link {
    let status = run.status.clone().unwrap_or_default();
    let phase = status.phase.unwrap_or_default();
    let mut lines = vec![phase.as_str().to_owned()];
    lines.extend(status.requested_by.iter().map(|who| format!("asked for by {who}")));
    lines.extend(status.approved_by.iter().map(|who| format!("approved by {who}")));
    lines.extend(awaited(run).map(|asked| format!("waits for Approval {}, until {}", asked.name, asked.expires_at.0)));
    lines.extend(status.session_name.iter().map(|name| format!("in session {name}")));
    lines.extend(status.execution_arn.clone());
    lines.extend(status.state.iter().map(|state| format!("state {state}")));
    lines.extend((status.attempts.len() > 1).then(|| format!("attempt {}", status.attempts.len())));
    lines.extend(status.refusal.as_ref().map(|refusal| {
        format!("refused {} times in a row; asked for again at {}", refusal.times, refusal.next_try_at.0)
    }));
    lines.extend(behind(status.observed_generation, run.metadata.generation));
    // That somebody is asked is as it has to be.
    let wrong = if awaited(run).is_some() { Vec::new() } else { wrong_of_run(&status, phase) };
    let good = match phase {
        _ if !wrong.is_empty() => State::Wrong,
        _ if awaited(run).is_some() => State::Unknown,
        Phase::Pending | Phase::Starting => State::Unknown,
        _ => State::Good,
    };
    let name = run.metadata.name.as_deref().unwrap_or_default();
    Link { what: "Run", name: format!("{namespace}/{name}"), state: good, lines, wrong }
}

fn wrong_of_run(status: &WorkflowRunStatus, phase: Phase) -> Vec<String> {
    let mut wrong = Vec::new();
    if matches!(phase, Phase::Failed | Phase::TimedOut | Phase::Aborted) {
        let place = status.failed_state.as_ref().map(|state| format!("in state {state}: ")).unwrap_or_default();
        let error = status.error.as_deref().unwrap_or(phase.as_str());
        let cause = status.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        wrong.push(format!("{place}{error}{cause}"));
    }
    let kinds: &[&str] = if phase.is_finished() { &["Failed", "Stalled"] } else { &["Ready", "Stalled", "Started"] };
    // The condition says the same in a sentence, and more only where another attempt might have been expected.
    let is_told = |said: &String| {
        let error = status.error.as_deref().filter(|_| phase.is_finished());
        error.is_some_and(|error| said.contains(error)) && !said.contains("not tried again")
    };
    wrong.extend(against(&status.conditions, kinds).into_iter().filter(|said| !is_told(said)));
    wrong
}

#[cfg(test)]
mod tests;
