//! DOT, for Graphviz and what reads it.

use std::fmt::Write;

use super::flow::{EdgeKind, Flow, Shape, Vertex};
use super::history::{History, Outcome};
use super::style::subtitle;
use crate::printable::printable_lines;

/// Writes a graph in DOT; with a history, each state in the colour of what became of it.
pub fn dot(flow: &Flow, title: &str, history: Option<&History>) -> String {
    let mut text = format!(
        "digraph {} {{\n  rankdir=TB; compound=true; newrank=true;\n  node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=11];\n  edge [fontname=\"Helvetica\", fontsize=9];\n",
        quoted(title)
    );
    if let Some(start) = flow.start {
        let _ = writeln!(
            text,
            "  start [shape=point, width=0.2];\n  start -> {}{};",
            entry(flow, "", start),
            head(flow, "", start)
        );
    }
    machine(&mut text, flow, "", 1, history);
    if flow.vertices.iter().any(|vertex| vertex.ends) {
        text.push_str("  finish [shape=doublecircle, label=\"\", width=0.15];\n");
        for (index, _) in flow.vertices.iter().enumerate().filter(|(_, vertex)| vertex.ends) {
            let _ = writeln!(text, "  {} -> finish{};", entry(flow, "", index), tail(flow, "", index, ""));
        }
    }
    text.push_str("}\n");
    text
}

fn id(prefix: &str, index: usize) -> String {
    format!("{prefix}s{index}")
}

/// An edge cannot end at a cluster: it ends at a state inside and is cut at the cluster's border.
fn entry(flow: &Flow, prefix: &str, index: usize) -> String {
    let own = id(prefix, index);
    match flow.vertices.get(index).and_then(|vertex| vertex.inner.first()) {
        Some(inner) if !inner.vertices.is_empty() => entry(inner, &format!("{own}b0"), inner.start.unwrap_or_default()),
        _ => own,
    }
}

fn is_cluster(flow: &Flow, index: usize) -> bool {
    flow.vertices.get(index).is_some_and(|vertex| vertex.inner.iter().any(|inner| !inner.vertices.is_empty()))
}

fn head(flow: &Flow, prefix: &str, index: usize) -> String {
    if is_cluster(flow, index) { format!(" [lhead=cluster_{}]", id(prefix, index)) } else { String::new() }
}

fn tail(flow: &Flow, prefix: &str, index: usize, more: &str) -> String {
    let tail = if is_cluster(flow, index) { format!("ltail=cluster_{}", id(prefix, index)) } else { String::new() };
    let both: Vec<&str> = [tail.as_str(), more].into_iter().filter(|part| !part.is_empty()).collect();
    if both.is_empty() { String::new() } else { format!(" [{}]", both.join(", ")) }
}

fn machine(text: &mut String, flow: &Flow, prefix: &str, depth: usize, history: Option<&History>) {
    let indent = "  ".repeat(depth);
    for (index, vertex) in flow.vertices.iter().enumerate() {
        let own = id(prefix, index);
        let colour = history.and_then(|history| history.states.get(&vertex.name)).map(|(outcome, _)| colour(*outcome));
        let colour = colour.map(|colour| format!(", color=\"{colour}\", penwidth=2.5")).unwrap_or_default();
        if !is_cluster(flow, index) {
            let _ = writeln!(text, "{indent}{own} [label={}{}{colour}];", label(vertex), look(vertex.shape));
            continue;
        }
        let style = if vertex.shape == Shape::Map { "\"rounded,dashed\"" } else { "rounded" };
        let _ = writeln!(
            text,
            "{indent}subgraph cluster_{own} {{\n{indent}  label={}; style={style}{};",
            label(vertex),
            colour.replacen(',', ";", 1).replace(", penwidth", "; penwidth")
        );
        for (branch, inner) in vertex.inner.iter().enumerate() {
            machine(text, inner, &format!("{own}b{branch}"), depth + 1, history);
        }
        let _ = writeln!(text, "{indent}}}");
    }
    for edge in &flow.edges {
        let mut more = Vec::new();
        if !edge.label.is_empty() {
            more.push(format!("label={}", quoted(&edge.label)));
        }
        if edge.kind == EdgeKind::Catch {
            more.push("style=dashed, color=\"#d1373f\", fontcolor=\"#d1373f\"".into());
        }
        if is_cluster(flow, edge.to) {
            more.push(format!("lhead=cluster_{}", id(prefix, edge.to)));
        }
        let (from, to) = (entry(flow, prefix, edge.from), entry(flow, prefix, edge.to));
        let _ = writeln!(text, "{indent}{from} -> {to}{};", tail(flow, prefix, edge.from, &more.join(", ")));
    }
}

fn look(shape: Shape) -> &'static str {
    match shape {
        Shape::Choice => ", shape=hexagon, style=solid",
        Shape::Succeed | Shape::Fail => ", shape=oval, style=solid",
        Shape::Missing => ", style=dotted",
        _ => "",
    }
}

fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "#1a8a4f",
        Outcome::Failed => "#d1373f",
        Outcome::Caught | Outcome::Aborted => "#b7791f",
        Outcome::Running => "#2f6fde",
    }
}

fn label(vertex: &Vertex) -> String {
    let mut lines = vec![vertex.name.clone(), subtitle(vertex)];
    if !vertex.retry.is_empty() {
        lines.push(format!("retry {}", vertex.retry.join(", ")));
    }
    quoted(&lines.join("\n"))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", printable_lines(text).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
