//! Mermaid flowcharts, as Markdown renderers draw them.

use std::fmt::Write;

use super::flow::{EdgeKind, Flow, Shape, Vertex};
use super::history::History;
use super::style::subtitle;
use crate::printable::printable;

/// Writes a graph as a Mermaid flowchart; with a history, each state in the colour of what became of it.
pub fn mermaid(flow: &Flow, history: Option<&History>) -> String {
    let mut text = String::from("flowchart TD\n");
    if let Some(start) = flow.start {
        let _ = writeln!(text, "  start((\" \")) --> {}", id("", start));
    }
    machine(&mut text, flow, "", 1, history);
    if flow.vertices.iter().any(|vertex| vertex.ends) {
        text.push_str("  finish(((\" \")))\n");
        for (index, _) in flow.vertices.iter().enumerate().filter(|(_, vertex)| vertex.ends) {
            let _ = writeln!(text, "  {} --> finish", id("", index));
        }
    }
    if history.is_some() {
        for (class, colour) in [
            ("succeeded", "#1a8a4f"),
            ("failed", "#d1373f"),
            ("caught", "#b7791f"),
            ("aborted", "#b7791f"),
            ("running", "#2f6fde"),
        ] {
            let _ = writeln!(text, "  classDef {class} stroke:{colour},stroke-width:3px");
        }
    }
    text
}

fn id(prefix: &str, index: usize) -> String {
    format!("{prefix}s{index}")
}

fn machine(text: &mut String, flow: &Flow, prefix: &str, depth: usize, history: Option<&History>) {
    let indent = "  ".repeat(depth);
    for (index, vertex) in flow.vertices.iter().enumerate() {
        let id = id(prefix, index);
        let became = history.and_then(|history| history.states.get(&vertex.name));
        let class = became.map(|(outcome, _)| format!(":::{}", outcome.name())).unwrap_or_default();
        if vertex.inner.is_empty() {
            let _ = writeln!(text, "{indent}{id}{}{class}", shape(vertex));
            continue;
        }
        let _ = writeln!(text, "{indent}subgraph {id}[\"{}\"]", label(vertex));
        for (branch, inner) in vertex.inner.iter().enumerate() {
            machine(text, inner, &format!("{id}b{branch}"), depth + 1, history);
        }
        let _ = writeln!(text, "{indent}end");
        if !class.is_empty() {
            let _ = writeln!(text, "{indent}class {id} {}", class.trim_start_matches(':'));
        }
    }
    for edge in &flow.edges {
        let label = if edge.label.is_empty() { String::new() } else { format!("|\"{}\"|", escaped(&edge.label)) };
        let arrow = if edge.kind == EdgeKind::Catch { "-.->" } else { "-->" };
        let _ = writeln!(text, "{indent}{} {arrow}{label} {}", id(prefix, edge.from), id(prefix, edge.to));
    }
}

fn label(vertex: &Vertex) -> String {
    let retry = if vertex.retry.is_empty() { String::new() } else { format!("<br/>↻ {}", vertex.retry.join(", ")) };
    format!("{}<br/><small>{}</small>{}", escaped(&vertex.name), escaped(&subtitle(vertex)), escaped_retry(&retry))
}

fn escaped_retry(text: &str) -> String {
    printable(text).replace('"', "#quot;")
}

fn shape(vertex: &Vertex) -> String {
    let label = label(vertex);
    match vertex.shape {
        Shape::Choice => format!("{{{{\"{label}\"}}}}"),
        Shape::Succeed | Shape::Fail => format!("([\"{label}\"])"),
        Shape::Wait => format!("[/\"{label}\"/]"),
        Shape::Missing => format!(">\"{label}\"]"),
        Shape::Task | Shape::Pass | Shape::Parallel | Shape::Map => format!("[\"{label}\"]"),
    }
}

/// Mermaid reads entities with `#` in place of `&`.
fn escaped(text: &str) -> String {
    printable(text).replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}
