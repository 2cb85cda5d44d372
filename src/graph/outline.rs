//! A graph as a list, for what is too large to be drawn in characters: a line a state, with what it leads to.

use std::fmt::Write;

use super::flow::{Edge, Flow};
use super::history::History;
use super::style::{sign, subtitle};
use crate::printable::printable;

/// Lists the states in the author's order, inner ones under the state that holds them.
pub fn outline(flow: &Flow, history: Option<&History>) -> String {
    let mut text = String::new();
    machine(&mut text, flow, history, 0);
    text
}

fn machine(text: &mut String, flow: &Flow, history: Option<&History>, depth: usize) {
    let mut leaving: Vec<Vec<&Edge>> = vec![Vec::new(); flow.vertices.len()];
    flow.edges.iter().for_each(|edge| leaving[edge.from].push(edge));
    for (index, vertex) in flow.vertices.iter().enumerate() {
        let way = |edge: &&Edge| {
            let to = &flow.vertices[edge.to].name;
            if edge.label.is_empty() { to.clone() } else { format!("{to} ({})", edge.label) }
        };
        let mut ways: Vec<String> = leaving[index].iter().map(way).collect();
        if vertex.ends {
            ways.push("the end".into());
        }
        let start = if flow.start == Some(index) { "● " } else { "" };
        let became = history.and_then(|history| history.states.get(&vertex.name));
        let mark = became.map(|(outcome, times)| format!(" {} ×{times}", sign(*outcome))).unwrap_or_default();
        let indent = "  ".repeat(depth);
        let (name, subtitle) = (&vertex.name, subtitle(vertex));
        let line = format!("{start}{name}{mark} [{subtitle}] → {}", ways.join(", "));
        let _ = writeln!(text, "{indent}{}", printable(&line));
        for inner in &vertex.inner {
            machine(text, inner, history, depth + 1);
        }
    }
}
