//! The graph of a definition: what leads where, laid out and drawn as SVG, Mermaid, DOT or in a terminal, coloured by the
//! history of a run. Pure.

mod dot;
mod flow;
mod history;
mod layered;
mod mermaid;
mod order;
mod outline;
mod picture;
mod place;
mod ranked;
mod style;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;

pub use dot::dot;
pub use flow::{Edge, EdgeKind, Flow, Shape, Vertex};
pub use history::{History, HistoryError, Outcome};
pub use mermaid::mermaid;
pub use outline::outline;
pub use svg::{svg, svg_rules, svg_without_rules};
pub use terminal::terminal;

/// A graph, drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// The drawing.
    pub text: String,
    /// What it leaves out, where the graph is too large to be drawn whole.
    pub note: Option<String>,
}
