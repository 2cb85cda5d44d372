//! How paths and expressions are written.

use crate::asl::position::Node;

/// How paths and expressions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryLanguage {
    /// `$.order.id`, and keys that end in `.$`.
    #[default]
    JsonPath,
    /// `{% $states.input.order.id %}`.
    Jsonata,
}

impl QueryLanguage {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonPath => "JSONPath",
            Self::Jsonata => "JSONata",
        }
    }

    /// The language that a definition or state sets for itself. AWS takes for JSONata whatever is not exactly `JSONPath`,
    /// and refuses it as well.
    pub(super) fn of(node: Node<'_>) -> Option<Self> {
        let is_json_path = node.get("QueryLanguage")?.value() == "JSONPath";
        Some(if is_json_path { Self::JsonPath } else { Self::Jsonata })
    }
}
