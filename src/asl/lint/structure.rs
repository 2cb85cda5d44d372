//! States and the ways between them.

use std::collections::{HashMap, HashSet};

use super::super::model::{Kind, Machine, State};
use super::super::position::Node;
use super::fields::{is_misspelt, misspelt};
use super::report::{Lint, States};

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
        // One of another form, or in other letters, is told with the fields.
        let is_told = node.get("States").is_some_and(|given| !given.value().is_object()) || is_misspelt(node, "States");
        if !is_told {
            lint.report("SB002", node, "States is missing or empty; it must be an object of states by name");
        }
        return;
    }
    let Some(start_node) = machine.start_at else {
        if !is_misspelt(node, "StartAt") {
            lint.report("SB003", node, "StartAt is missing; it must name the first state");
        }
        return;
    };
    // What is no text is told with the fields.
    let Some(start) = start_node.as_str() else { return };
    if !states.contains_key(start) && !lint.is_placeholder(start) {
        lint.report("SB012", start_node, missing("StartAt names", start, states));
    }
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
        if may_lead_anywhere(lint, state) || is_unclear(state, states) {
            return;
        }
        for target in state.transitions().into_iter().filter_map(Node::as_str) {
            if reached.insert(target) {
                open.push(target);
            }
        }
    }
    for state in machine.states.iter().filter(|state| !reached.contains(state.name)) {
        let message = format!("no way leads to state \"{}\"; go to it from another state, or remove it", state.name);
        lint.report_key("SB014", state.node, message);
    }
}

/// True where a way of the state is missing, is in other letters or leads to nowhere. That is told, and what it was to lead to is not
/// called unreachable beside it.
fn is_unclear(state: &State<'_>, states: &States<'_, '_>) -> bool {
    let node = state.node;
    let is_odd = |list: Node<'_>| {
        !list.value().is_array() || list.items().any(|way| way.get("Next").and_then(Node::as_str).is_none())
    };
    let is_nowhere = |target: Node<'_>| target.as_str().is_none_or(|name| !states.contains_key(name));
    let is_empty = matches!(&state.kind, Kind::Choice(choice) if choice.choices.is_empty());
    matches!(state.kind, Kind::Unknown)
        || is_empty
        || lacks_way_out(state)
        || ["Choices", "Catch"].into_iter().filter_map(|field| node.get(field)).any(is_odd)
        || ["Choices", "Catch", "Default", "Next"].into_iter().any(|field| is_misspelt(node, field))
        || state.transitions().into_iter().any(is_nowhere)
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
        kind(lint, state);
        return false;
    }
    // One that is neither true nor false is told with the fields.
    let is_end_known = node.get("End").is_none_or(|end| end.value().is_boolean());
    let is_told = lacks_way_out(state) && ["Next", "End"].iter().any(|field| is_misspelt(node, field));
    if needs_way_out(state) && is_end_known && state.end == state.next.is_some() && !is_told {
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

fn kind<'a>(lint: &mut Lint<'a>, state: &State<'a>) {
    const KINDS: &str = "Task, Pass, Choice, Wait, Succeed, Fail, Parallel, Map";
    let (name, node) = (state.name, state.node);
    let message = match (node.get("Type"), misspelt(node, "Type")) {
        (None, Some(key)) => {
            format!("state \"{name}\" has no Type; did you mean it by \"{key}\"? It is one of {KINDS}")
        }
        (None, None) => format!("state \"{name}\" has no Type; it must be one of {KINDS}"),
        (Some(_), _) => format!("state \"{name}\" has the Type \"{}\"; it must be one of {KINDS}", state.type_name()),
    };
    lint.report("SB005", node.get("Type").unwrap_or(node), message);
}

fn needs_way_out(state: &State<'_>) -> bool {
    !matches!(state.kind, Kind::Choice(_) | Kind::Succeed | Kind::Fail(_))
}

/// A state that should lead on and does not say whether it ends: where to is not known, which is told of itself.
fn lacks_way_out(state: &State<'_>) -> bool {
    needs_way_out(state) && !state.end && state.next.is_none()
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
    let hint = near(target, states).map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default();
    format!("{what} \"{target}\", which does not exist{hint}")
}

/// The state that is meant by a name that none has.
fn near<'a>(target: &str, states: &States<'_, 'a>) -> Option<&'a str> {
    // A search among very many names would cost more than the hint is worth.
    let edits = |name: &str| if name.eq_ignore_ascii_case(target) { 0 } else { distance(name, target) };
    let nearest = states.keys().take(MAX_CANDIDATES).map(|name| (edits(name), *name)).min();
    // Of a short name nothing is left when all its letters are others.
    nearest.filter(|(edits, _)| *edits <= 2 && *edits < target.len()).map(|(_, name)| name)
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
