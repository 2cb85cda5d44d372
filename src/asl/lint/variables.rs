//! Variables: what `Assign` sets and what reads it.
//!
//! Source: developer guide, "Passing data between states with variables": a variable is seen in its machine and in those
//! inside it; an inner machine cannot set one of an outer machine.

use std::collections::HashMap;

use super::super::grammar::jsonpath;
use super::super::model::{Kind, Machine, Mode, QueryLanguage, State};
use super::super::position::Node;
use super::report::{Expressions, Lint};

/// Longest name of a variable.
const MAX_NAME: usize = 80;

/// The variables that are seen, each with how deep the machine is that sets it.
type Seen<'a> = HashMap<&'a str, usize>;

/// Names of variables, and reads of what nothing sets.
pub(super) fn check<'a>(lint: &mut Lint<'a>, machine: &Machine<'a>) {
    scope(lint, machine, &mut HashMap::new(), 0);
}

fn scope<'a>(lint: &mut Lint<'a>, machine: &Machine<'a>, seen: &mut Seen<'a>, depth: usize) {
    let mut own = Vec::new();
    for (key, field) in
        machine.states.iter().flat_map(assignments).flat_map(|assign| assign.fields().collect::<Vec<_>>())
    {
        let name = key.trim_end_matches(".$");
        if !is_name(name) {
            let message = format!(
                "\"{name}\" is no name for a variable: letters, digits and _, at most {MAX_NAME}, and not states"
            );
            lint.report_key("SB074", field, message);
        }
        match seen.get(name) {
            Some(outer) if *outer < depth => {
                let message =
                    format!("variable \"{name}\" is set in an outer machine already; an inner one cannot set it");
                lint.report_key("SB075", field, message);
            }
            Some(_) => {}
            None => {
                seen.insert(name, depth);
                own.push(name);
            }
        }
    }
    for state in &machine.states {
        if let Some((node, name)) = unknown(&lint.expressions, state, seen) {
            let message = format!("no state of this machine, or of one around it, assigns the variable \"{name}\"");
            lint.report("SB073", node, message);
        }
        // Iterations of a distributed Map are executions of their own, which see nothing from outside.
        let is_apart = matches!(&state.kind, Kind::Map(map) if map.mode() == Mode::Distributed);
        for inner in state.machines() {
            if is_apart {
                scope(lint, inner, &mut HashMap::new(), 0);
            } else {
                scope(lint, inner, seen, depth + 1);
            }
        }
    }
    for name in own {
        seen.remove(name);
    }
}

fn is_name(name: &str) -> bool {
    let well = |c: char| c.is_alphanumeric() || c == '_';
    let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    begins && name.chars().all(well) && name.chars().count() <= MAX_NAME && name != "states"
}

fn assignments<'a>(state: &State<'a>) -> Vec<Node<'a>> {
    let mut found: Vec<Node<'a>> = state.data.assign.into_iter().collect();
    if let Kind::Choice(choice) = &state.kind {
        found.extend(choice.choices.iter().filter_map(|rule| rule.data.assign));
    }
    found.extend(state.error_handling().1.iter().filter_map(|catcher| catcher.data.assign));
    found
}

/// The first read in a state of a variable that is not known.
fn unknown<'a>(expressions: &Expressions<'a>, state: &State<'a>, seen: &Seen<'a>) -> Option<(Node<'a>, &'a str)> {
    for (key, field) in state.node.fields() {
        let is_data =
            !matches!(key, "Comment" | "Branches" | "ItemProcessor" | "Iterator" | "Result" | "Type" | "Next");
        if is_data && let Some(found) = read(expressions, field, key, state.query_language, seen) {
            return Some(found);
        }
    }
    None
}

fn read<'a>(
    expressions: &Expressions<'a>,
    node: Node<'a>,
    key: &str,
    language: QueryLanguage,
    seen: &Seen<'a>,
) -> Option<(Node<'a>, &'a str)> {
    if let Some(text) = node.as_str() {
        let name = match language {
            QueryLanguage::JsonPath if key.ends_with(".$") || key.ends_with("Path") || key == "Variable" => {
                variable(text)
            }
            QueryLanguage::JsonPath => None,
            QueryLanguage::Jsonata => {
                let mut names = expressions.get(&node.id())?.variables.iter().map(|(_, name)| *name);
                names.find(|name| *name != "states" && !seen.contains_key(name))
            }
        };
        return name.filter(|name| !seen.contains_key(name)).map(|name| (node, name));
    }
    let in_items = node.items().find_map(|item| read(expressions, item, key, language, seen));
    in_items.or_else(|| node.fields().find_map(|(key, field)| read(expressions, field, key, language, seen)))
}

/// The variable that a path begins with.
fn variable(text: &str) -> Option<&str> {
    let path = jsonpath::parse(text).ok()?;
    let rest = text.strip_prefix('$').filter(|_| path.root == jsonpath::Root::Variable)?;
    Some(&rest[..rest.find(['.', '[']).unwrap_or(rest.len())])
}
