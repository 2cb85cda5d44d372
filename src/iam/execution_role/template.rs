//! Definitions that are templates: what hangs on a `${Name}` without a value is left out of the policy, and told.

use super::{Derived, Finding, Need};
use crate::asl::names;

/// Takes out what has a name without a value in it. Nothing of the rest depends on it.
pub(super) fn withhold(derived: &mut Derived) {
    let (known, open): (Vec<Need>, Vec<Need>) = derived.needs.drain(..).partition(|need| open_names(need).is_empty());
    derived.needs = known;
    for need in &open {
        let finding = Finding {
            state: need.reason.state.clone(),
            path: need.reason.path.clone(),
            message: message(need),
            missing: true,
        };
        if !derived.findings.contains(&finding) {
            derived.findings.push(finding);
        }
    }
    derived.targets.retain(|role| names(&role.role_arn).next().is_none());
    for role in &mut derived.targets {
        role.needs.retain(|need| open_names(need).is_empty());
    }
}

fn message(need: &Need) -> String {
    let reason = &need.reason;
    let whose = if reason.state.is_empty() { String::new() } else { format!("state \"{}\" ", reason.state) };
    let names = open_names(need);
    format!("{whose}needs {} on what {}", need.actions.join(", "), without_value(&names))
}

/// `${Topic} says, which has no value here; give it with --substitution Topic=VALUE`.
fn without_value(names: &[&str]) -> String {
    let (say, have) = if names.len() == 1 { ("says", "has no value") } else { ("say", "have no values") };
    format!("{} {say}, which {have} here; give {}", written(names), flags(names))
}

/// How a text with names in it is told of, `None` where it has none.
pub(super) fn told(what: &str, text: &str) -> Option<String> {
    let names: Vec<&str> = names(text).collect();
    (!names.is_empty()).then(|| {
        let have = if names.len() == 1 { "has no value" } else { "have no values" };
        format!("takes {what} from {}, which {have} here; give {}", written(&names), flags(&names))
    })
}

fn written(names: &[&str]) -> String {
    names.iter().map(|name| format!("${{{name}}}")).collect::<Vec<_>>().join(" and ")
}

fn flags(names: &[&str]) -> String {
    names.iter().map(|name| format!("--substitution {name}=VALUE")).collect::<Vec<_>>().join(" ")
}

/// Names without a value in the resources and conditions of a need, each once.
fn open_names(need: &Need) -> Vec<&str> {
    let conditions = need.conditions.values().flat_map(|keys| keys.values()).flatten();
    let mut found: Vec<&str> = need.resources.iter().chain(conditions).flat_map(|text| names(text)).collect();
    found.sort_unstable();
    found.dedup();
    found
}
