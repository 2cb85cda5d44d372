//! States and the ways between them.

use std::collections::{HashMap, HashSet};

use super::super::model::{Kind, Machine, State};
use super::super::position::Node;
use super::{Lint, States};

/// Names that are looked at for one that is meant.
const MAX_CANDIDATES: usize = 500;
/// Longest name of a state.
const MAX_NAME: usize = 80;

/// A machine has states, a first one, ways to each and an end.
pub(super) fn machine<'a>(lint: &mut Lint<'a>, machine: &Machine<'a>, states: &States<'_, 'a>, depth: usize) {
    let node = machine.node;
    if node.get("States").is_some_and(|states| lint.is_unknown(states)) {
        return;
    }
    if states.is_empty() {
        return lint.report("SB002", node, "States is missing or empty; it must be an object of states by name");
    }
    let start = match machine.start_at.map(|start| (start, start.as_str())) {
        None | Some((_, None)) => {
            return lint.report("SB003", node, "StartAt is missing; it must name the first state");
        }
        Some((node, Some(name))) => {
            if !states.contains_key(name) && !lint.is_placeholder(name) {
                lint.report("SB012", node, missing("StartAt names", name, states));
            }
            name
        }
    };
    if states.contains_key(start) {
        unreachable(lint, machine, start, states);
    }
    // A state without a way out, or with one to nowhere, is told as such.
    let leads = |state: &State<'a>| {
        let mut targets = state.transitions().into_iter().filter_map(Node::as_str);
        !may_lead_anywhere(lint, state) && targets.all(|target| states.contains_key(target))
    };
    let ends = |state: &State<'a>| match state.kind {
        _ if !leads(state) => true,
        Kind::Choice(_) => false,
        Kind::Succeed | Kind::Fail(_) | Kind::Unknown => true,
        _ => state.end || state.next.is_none(),
    };
    if !machine.states.iter().any(ends) {
        let message = "no state ends this machine: one must have End: true, or be a Succeed or a Fail";
        // AWS looks for an end in the outermost machine alone.
        lint.report(if depth == 0 { "SB015" } else { "SB027" }, node.get("States").unwrap_or(node), message);
    }
}

fn unreachable<'a>(lint: &mut Lint<'a>, machine: &Machine<'a>, start: &'a str, states: &States<'_, 'a>) {
    let mut reached: HashSet<&str> = HashSet::from([start]);
    let mut open = vec![start];
    while let Some(state) = open.pop().and_then(|name| states.get(name)) {
        if may_lead_anywhere(lint, state) {
            return;
        }
        for target in state.transitions().into_iter().filter_map(Node::as_str) {
            if lint.is_placeholder(target) {
                return;
            }
            if states.contains_key(target) && reached.insert(target) {
                open.push(target);
            }
        }
    }
    for state in machine.states.iter().filter(|state| !reached.contains(state.name)) {
        let message = format!("no way leads to state \"{}\"; go to it from another state, or remove it", state.name);
        lint.report_key("SB014", state.node, message);
    }
}

/// True where the state, or what says its ways, is not known here.
fn may_lead_anywhere<'a>(lint: &Lint<'a>, state: &State<'a>) -> bool {
    let ways = ["Choices", "Catch"].into_iter().filter_map(|field| state.node.get(field));
    lint.is_unknown(state.node)
        || ways.into_iter().any(|list| lint.is_unknown(list) || list.items().any(|way| lint.is_unknown(way)))
}

/// What every state needs; false where the rest cannot be judged.
pub(super) fn state<'a>(lint: &mut Lint<'a>, state: &State<'a>, siblings: &States<'_, 'a>) -> bool {
    let (name, node) = (state.name, state.node);
    if name.len() > MAX_NAME && name.chars().count() > MAX_NAME {
        lint.report_key("SB004", node, format!("the name of a state has at most {MAX_NAME} characters"));
    }
    if lint.is_unknown(node) {
        return false;
    }
    if !node.value().is_object() {
        lint.report("SB001", node, format!("state \"{name}\" must be an object"));
        return false;
    }
    if matches!(state.kind, Kind::Unknown) {
        let kind = state.type_name();
        let message = format!(
            "state \"{name}\" has the Type \"{kind}\"; it must be one of Task, Pass, Choice, Wait, Succeed, Fail, Parallel, Map"
        );
        lint.report("SB005", node.get("Type").unwrap_or(node), message);
        return false;
    }
    let needs_way_out = !matches!(state.kind, Kind::Choice(_) | Kind::Succeed | Kind::Fail(_));
    let is_end_known = node.get("End").is_none_or(|end| !lint.is_unknown(end));
    if needs_way_out && is_end_known && state.end == state.next.is_some() {
        lint.report_key("SB006", node, format!("state \"{name}\" needs exactly one of Next and End: true"));
    }
    for target in state.transitions() {
        let Some(to) = target.as_str() else { continue };
        if !siblings.contains_key(to) && !lint.is_placeholder(to) {
            lint.report("SB012", target, missing(&format!("state \"{name}\" goes to"), to, siblings));
        }
    }
    true
}

/// Names are unique in the whole definition, not only among siblings.
pub(super) fn duplicates<'a>(lint: &mut Lint<'a>, machine: &Machine<'a>) {
    let mut seen: HashMap<&str, Vec<&str>> = HashMap::new();
    duplicate_in(lint, machine, None, &mut seen);
}

fn duplicate_in<'a>(
    lint: &mut Lint<'a>,
    machine: &Machine<'a>,
    within: Option<&'a str>,
    seen: &mut HashMap<&'a str, Vec<&'a str>>,
) {
    for state in &machine.states {
        if let Some(first) = seen.get(state.name) {
            let place = first.first().map_or("at the top level".to_owned(), |outer| format!("inside \"{outer}\""));
            let message = format!(
                "another state {place} is named \"{}\" too; names are unique in the whole definition",
                state.name
            );
            lint.report_key("SB016", state.node, message);
        } else {
            seen.insert(state.name, within.into_iter().collect());
        }
    }
    for state in &machine.states {
        for inner in state.machines() {
            duplicate_in(lint, inner, Some(state.name), seen);
        }
    }
}

fn missing(what: &str, target: &str, states: &States<'_, '_>) -> String {
    // A search among very many names would cost more than the hint is worth.
    let candidates = states.keys().take(MAX_CANDIDATES);
    let nearest = candidates.map(|name| (distance(name, target), name)).min().filter(|(edits, _)| *edits <= 2);
    let hint = nearest.map(|(_, name)| format!("; did you mean \"{name}\"?")).unwrap_or_default();
    format!("{what} \"{target}\", which does not exist{hint}")
}

/// Edit distance of names, up to 2; 3 stands for more. The bound keeps the search for a near name linear in the text.
fn distance(a: &str, b: &str) -> usize {
    const FAR: usize = 3;
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(2 * MAX_NAME).collect(), b.chars().take(2 * MAX_NAME).collect());
    if a.len().abs_diff(b.len()) >= FAR {
        return FAR;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()].min(FAR)
}
