//! Findings about the parts of a manifest.

use crate::asl::Node;
use crate::asl::lint::Finding;
use crate::similar::{is_near, nearest};

/// A finding about a part of a manifest.
pub(super) fn finding(object: Node<'_>, node: Node<'_>, code: &'static str, message: String) -> Finding {
    Finding::new(code, object.path_to(node), message, node.mark())
}

/// A name without its style: `max_concurrent_runs`, `max-concurrent-runs` and `MaxConcurrentRuns` are one.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

pub(super) fn unknown(object: Node<'_>, node: Node<'_>, field: &str, known: &[&str]) -> Finding {
    let meant = plain(field);
    let is_so = |known: &&&str| plain(known) == meant || plain(known) == meant.trim_end_matches('s');
    let near = known
        .iter()
        .find(is_so)
        .copied()
        .or_else(|| nearest(field, known.iter().copied().filter(|known| is_near(field, known))));
    let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let mut finding = finding(object, node, "SB090", format!("there is no field \"{field}\" here{hint}"));
    finding.span = node.key_span();
    finding
}
