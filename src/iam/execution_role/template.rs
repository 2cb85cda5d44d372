//! Definitions that are templates: what hangs on a `${Name}` without a value is left out of the policy, and told.

use super::derived::{Derived, Finding, Need};
use crate::iam::pattern;

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

/// What a text is told of that takes `what` from names in it; `None` where it has none.
pub(super) fn told(what: &str, text: &str) -> Option<String> {
    let names: Vec<&str> = names(text).collect();
    (!names.is_empty()).then(|| format!("takes {what} from {}", without_value(&names)))
}

/// In small letters, but for the names of a template.
pub(super) fn small(text: &str) -> String {
    if text.contains("${") { text.to_owned() } else { text.to_lowercase() }
}

fn message(need: &Need) -> String {
    let reason = &need.reason;
    let whose = if reason.state.is_empty() { String::new() } else { format!("state \"{}\" ", reason.state) };
    format!("{whose}needs {} on what hangs on {}", need.actions.join(", "), without_value(&open_names(need)))
}

/// `${Topic}, which has no value here; give --substitution Topic=VALUE`. What other tools put in goes by no flag.
fn without_value(names: &[&str]) -> String {
    let written: Vec<String> = names.iter().map(|name| format!("${{{name}}}")).collect();
    let have = if names.len() == 1 { "has no value" } else { "have no values" };
    let is_ours = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    let remedy = if names.iter().all(|name| is_ours(name)) {
        let flags: Vec<String> = names.iter().map(|name| format!("--substitution {name}=VALUE")).collect();
        format!("give {}", flags.join(" "))
    } else {
        "let the tool that this template is for put it in first".to_owned()
    };
    format!("{}, which {have} here; {remedy}", written.join(" and "))
}

/// Names in the resources and conditions of a need, each once.
fn open_names(need: &Need) -> Vec<&str> {
    let conditions = need.conditions.values().flat_map(|keys| keys.values()).flatten();
    let mut found: Vec<&str> = need.resources.iter().chain(conditions).flat_map(|text| names(text)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What stands between `${` and `}` in a text, as any tool writes its templates.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let inside = text.match_indices("${").filter_map(|(at, mark)| text[at + mark.len()..].split_once('}'));
    inside.map(|(name, _)| name.trim()).filter(|name| pattern::is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_tool_are_told_and_ours_with_their_flag() {
        let found: Vec<&str> = names("arn:${AWS::Partition}:sns:${ Region }:1:${Topic}${}${*}${open").collect();
        assert_eq!(found, ["AWS::Partition", "Region", "Topic"]);
        let told = |text| told("its topic", text).unwrap_or_default();
        assert!(told("${A}-${B}").ends_with(
            "from ${A} and ${B}, which have no values here; give --substitution A=VALUE --substitution B=VALUE"
        ));
        assert!(told("${AWS::Region}").ends_with("let the tool that this template is for put it in first"));
        assert_eq!(told("plain"), "");
    }
}
