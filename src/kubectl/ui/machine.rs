//! The drawing of a Workflow's state machine.

use crate::asl::Definition;
use crate::graph::{Flow, History, Shape, svg_without_rules};

/// The drawing, for a page that has its rules; `None` where no state can be drawn.
pub(super) fn drawing(definition: &Definition, title: &str, history: Option<&History>) -> Option<String> {
    let flow = Flow::of(&definition.machine());
    let is_nothing = flow.vertices.iter().all(|vertex| vertex.shape == Shape::Missing);
    (!is_nothing).then(|| svg_without_rules(&flow, title, history).text)
}
