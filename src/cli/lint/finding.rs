//! Findings about the parts of a manifest.

use crate::asl::Node;
use crate::asl::lint::Finding;

/// A finding about a part of a manifest.
pub(super) fn finding(object: Node<'_>, node: Node<'_>, code: &'static str, message: String) -> Finding {
    Finding::new(code, object.path_to(node), message, node.mark())
}

pub(super) fn unknown(object: Node<'_>, node: Node<'_>, field: &str, known: &[&str]) -> Finding {
    let near = known.iter().find(|known| {
        known.eq_ignore_ascii_case(field) || known.to_lowercase() == field.to_lowercase().trim_end_matches('s')
    });
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let mut finding = finding(object, node, "SB090", format!("there is no field \"{field}\" here{hint}"));
    finding.span = node.key_span();
    finding
}
