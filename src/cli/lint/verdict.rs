//! What AWS said of a definition beside what was found in it.

use std::collections::BTreeSet;

use super::report::Difference;
use crate::asl::lint::{Finding, Severity};
use crate::asl::{Node, Span};
use crate::aws::DefinitionDiagnostic;

/// AWS's code for a way to nowhere, and for a state that no way leads to.
const UNREACHABLE: &str = "MISSING_TRANSITION_TARGET";
/// Code of what AWS tells.
const CODE: &str = "SB096";

/// A diagnostic of AWS, at its place as far as the definition has that.
pub(super) fn finding(root: Node<'_>, told: &DefinitionDiagnostic) -> Finding {
    let pointer = if told.location.starts_with('/') { told.location.as_str() } else { "" };
    let span = place(root, pointer).map_or(Span::default(), Node::mark);
    let path = if pointer.is_empty() { "/" } else { pointer };
    let message = format!("AWS says {}: {}", told.code, told.message);
    let severity = if told.error { Severity::Error } else { Severity::Warning };
    Finding { severity, ..Finding::new(CODE, path, message, span) }
}

/// The value at the pointer, or the innermost on the way there.
fn place<'a>(root: Node<'a>, pointer: &str) -> Option<Node<'a>> {
    let ends = pointer.match_indices('/').map(|(at, _)| &pointer[..at]).chain([pointer]);
    ends.filter(|pointer| !pointer.is_empty()).map_while(|pointer| root.pointer(pointer)).last().or(Some(root))
}

/// Where one refuses and the other does not, state by state: they word and place the same mistake differently.
pub(super) fn differences(own: &[Finding], told: &[DefinitionDiagnostic]) -> Vec<Difference> {
    let errors: Vec<&Finding> = own.iter().filter(|finding| finding.is_error()).collect();
    let refused: Vec<&DefinitionDiagnostic> = told.iter().filter(|told| told.error).collect();
    let here: BTreeSet<&str> = errors.iter().map(|finding| state(&finding.path)).collect();
    let there: BTreeSet<&str> = refused.iter().map(|told| state(&told.location)).collect();
    let difference = |path: &str, code: &str, refused_by_aws| Difference {
        file: String::new(),
        subject: None,
        path: path.to_owned(),
        code: code.to_owned(),
        refused_by_aws,
    };
    // A state that nothing leads to follows from a way that is wrong, and the linter tells the way alone.
    let follows = |told: &DefinitionDiagnostic| told.code == UNREACHABLE && !errors.is_empty();
    let by_aws = refused.iter().filter(|told| !here.contains(state(&told.location)) && !follows(told));
    let by_aws = by_aws.map(|told| difference(&told.location, &told.code, true));
    let by_lint = errors.iter().filter(|finding| !there.contains(state(&finding.path)));
    by_aws.chain(by_lint.map(|finding| difference(&finding.path, finding.code, false))).collect()
}

/// The part of a pointer that leads to the innermost state.
fn state(pointer: &str) -> &str {
    let Some(at) = pointer.rfind("/States/") else { return "" };
    let name = at + "/States/".len();
    &pointer[..pointer[name..].find('/').map_or(pointer.len(), |end| name + end)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::Places;
    use serde_json::json;

    fn told(error: bool, location: &str) -> DefinitionDiagnostic {
        DefinitionDiagnostic {
            error,
            code: "SCHEMA_VALIDATION_FAILED".into(),
            message: "m".into(),
            location: location.into(),
        }
    }

    fn own(path: &str) -> Finding {
        Finding::new("SB012", path, "m", Span::default())
    }

    #[test]
    fn the_two_are_compared_by_state_and_by_errors_alone() {
        let found = differences(
            &[own("/States/A/Next"), own("/States/B")],
            &[told(true, "/States/A"), told(false, "/States/C")],
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].path.as_str(), found[0].code.as_str(), found[0].refused_by_aws),
            ("/States/B", "SB012", false)
        );
        let found = differences(&[own("/States/P/Branches/0/States/A")], &[told(true, "/States/P"), told(true, "")]);
        let by_aws: Vec<bool> = found.iter().map(|one| one.refused_by_aws).collect();
        assert_eq!(by_aws, [true, true, false], "{found:?}");
    }

    #[test]
    fn what_follows_from_a_wrong_way_is_no_difference() {
        let unreachable = DefinitionDiagnostic { code: UNREACHABLE.into(), ..told(true, "/States/B") };
        assert_eq!(differences(&[own("/States/A/Next")], &[told(true, "/States/A"), unreachable.clone()]), []);
        assert_eq!(differences(&[], &[unreachable]).len(), 1);
    }

    #[test]
    fn what_aws_tells_stands_at_its_place_or_as_near_as_there_is_one() {
        let value = json!({"StartAt": "A", "States": {"A": {"Type": "Pass"}}});
        let places = Places::of(&value);
        let root = Node::root(&value, &places);
        let at = |location: &str| place(root, location).map(|node| root.path_to(node)).unwrap();
        assert_eq!(at("/States/A/Type"), "/States/A/Type");
        assert_eq!(at("/States/A/Nothing"), "/States/A");
        assert_eq!(at(""), "/");
        let found = finding(root, &told(false, "somewhere"));
        assert_eq!((found.severity, found.path.as_str()), (Severity::Warning, "/"));
        assert!(found.message.starts_with("AWS says SCHEMA_VALIDATION_FAILED"));
    }
}
