//! The offline check: structure and transitions, the mistakes that make AWS refuse a definition outright.
//! Rules follow the Amazon States Language specification (states-language.net).

use serde_json::{Map, Value};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code of the rule.
    pub code: &'static str,
    /// JSON pointer to the place.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

const TYPES: [&str; 8] = ["Task", "Pass", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"];
/// Longest name of a state.
const MAX_NAME: usize = 80;
/// Deeper nesting than any real definition has; it bounds the recursion.
const MAX_DEPTH: usize = 64;

/// All findings, in the order of the text.
pub fn check(definition: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    scope(definition, "", 0, &mut findings);
    findings
}

fn report(findings: &mut Vec<Finding>, code: &'static str, path: impl Into<String>, message: impl Into<String>) {
    let path: String = path.into();
    let path = if path.is_empty() { "/".to_owned() } else { path };
    findings.push(Finding { code, path, message: message.into() });
}

/// A state machine, or a branch of one: names are looked up within it.
fn scope(value: &Value, path: &str, depth: usize, findings: &mut Vec<Finding>) {
    if depth > MAX_DEPTH {
        return report(findings, "SB009", path, format!("states are nested more than {MAX_DEPTH} deep"));
    }
    let Some(machine) = value.as_object() else {
        return report(findings, "SB001", path, "a definition must be an object with StartAt and States");
    };
    let Some(states) = machine.get("States").and_then(Value::as_object).filter(|states| !states.is_empty()) else {
        return report(findings, "SB002", path, "States is missing or empty; it must be an object of states by name");
    };
    match machine.get("StartAt").and_then(Value::as_str) {
        None => report(findings, "SB003", path, "StartAt is missing; it must name the first state"),
        Some(start) if !states.contains_key(start) => {
            report(findings, "SB012", format!("{path}/StartAt"), missing("StartAt names", start, states));
        }
        Some(_) => {}
    }
    for (name, state) in states {
        let path = format!("{path}/States/{}", name.replace('~', "~0").replace('/', "~1"));
        if name.chars().count() > MAX_NAME {
            report(findings, "SB004", &path, format!("the name of a state has at most {MAX_NAME} characters"));
        }
        one_state(name, state, &path, states, depth, findings);
    }
}

fn one_state(
    name: &str,
    state: &Value,
    path: &str,
    siblings: &Map<String, Value>,
    depth: usize,
    findings: &mut Vec<Finding>,
) {
    let Some(state) = state.as_object() else {
        return report(findings, "SB001", path, format!("state \"{name}\" must be an object"));
    };
    let kind = state.get("Type").and_then(Value::as_str).unwrap_or_default();
    if !TYPES.contains(&kind) {
        let message = format!("state \"{name}\" has the Type \"{kind}\"; it must be one of {}", TYPES.join(", "));
        return report(findings, "SB005", format!("{path}/Type"), message);
    }
    let ends = state.get("End").and_then(Value::as_bool) == Some(true);
    let needs_way_out = !matches!(kind, "Choice" | "Succeed" | "Fail");
    if needs_way_out && ends == state.contains_key("Next") {
        report(findings, "SB006", path, format!("state \"{name}\" needs exactly one of Next and End: true"));
    }
    if kind == "Task" && !state.get("Resource").is_some_and(Value::is_string) {
        report(findings, "SB007", path, format!("state \"{name}\" is a Task without a Resource"));
    }
    if kind == "Choice" && state.get("Choices").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        report(findings, "SB008", path, format!("state \"{name}\" is a Choice without Choices"));
    }
    for (pointer, target) in transitions(state) {
        if !siblings.contains_key(target) {
            let message = missing(&format!("state \"{name}\" goes to"), target, siblings);
            report(findings, "SB012", format!("{path}{pointer}"), message);
        }
    }
    for (pointer, inner) in nested(kind, state) {
        scope(inner, &format!("{path}{pointer}"), depth + 1, findings);
    }
}

/// Every name of another state, with its place below the state.
fn transitions(state: &Map<String, Value>) -> Vec<(String, &str)> {
    let direct =
        ["Next", "Default"].into_iter().filter_map(|field| Some((format!("/{field}"), state.get(field)?.as_str()?)));
    let listed = ["Choices", "Catch"].into_iter().flat_map(|field| {
        let items = state.get(field).and_then(Value::as_array).into_iter().flatten().enumerate();
        items.filter_map(move |(index, item)| Some((format!("/{field}/{index}/Next"), item.get("Next")?.as_str()?)))
    });
    direct.chain(listed).collect()
}

/// State machines inside a state: the branches of a Parallel, the processor of a Map.
fn nested<'a>(kind: &str, state: &'a Map<String, Value>) -> Vec<(String, &'a Value)> {
    match kind {
        "Parallel" => {
            let branches = state.get("Branches").and_then(Value::as_array).into_iter().flatten().enumerate();
            branches.map(|(index, branch)| (format!("/Branches/{index}"), branch)).collect()
        }
        "Map" => {
            let processor =
                ["ItemProcessor", "Iterator"].into_iter().find_map(|field| Some((field, state.get(field)?)));
            processor.map(|(field, inner)| (format!("/{field}"), inner)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn missing(what: &str, target: &str, states: &Map<String, Value>) -> String {
    let nearest = states.keys().map(|name| (distance(name, target), name)).min().filter(|(edits, _)| *edits <= 2);
    let hint = nearest.map(|(_, name)| format!("; did you mean \"{name}\"?")).unwrap_or_default();
    format!("{what} \"{target}\", which does not exist{hint}")
}

/// Edit distance, of names that are at most a little longer than a state's name may be.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(2 * MAX_NAME).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(2 * MAX_NAME).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn codes(definition: &Value) -> Vec<(&'static str, String)> {
        check(definition).into_iter().map(|finding| (finding.code, finding.path)).collect()
    }

    #[test]
    fn each_mistake_is_found_at_its_place() {
        let ship = json!({"Type": "Succeed"});
        let cases = [
            (json!([]), "SB001", "/"),
            (json!({"StartAt": "A"}), "SB002", "/"),
            (json!({"States": {"Ship": ship}}), "SB003", "/"),
            (json!({"StartAt": "Shp", "States": {"Ship": ship}}), "SB012", "/StartAt"),
            (json!({"StartAt": "A", "States": {"A": {"Type": "Job"}}}), "SB005", "/States/A/Type"),
            (json!({"StartAt": "A", "States": {"A": {"Type": "Pass"}}}), "SB006", "/States/A"),
            (json!({"StartAt": "A", "States": {"A": {"Type": "Task", "End": true}}}), "SB007", "/States/A"),
            (json!({"StartAt": "A", "States": {"A": {"Type": "Choice", "Choices": []}}}), "SB008", "/States/A"),
            (
                json!({"StartAt": "a/b", "States": {"a/b": {"Type": "Choice", "Choices": [{"Next": "No"}]}}}),
                "SB012",
                "/States/a~1b/Choices/0/Next",
            ),
            (
                json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
                    {"StartAt": "P", "States": {"Q": ship}}]}}}),
                "SB012",
                "/States/P/Branches/0/StartAt",
            ),
        ];
        for (definition, code, path) in cases {
            assert_eq!(codes(&definition), [(code, path.to_owned())], "{definition}");
        }
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let near = json!({"StartAt": "Shp", "States": {"Ship": {"Type": "Succeed"}}});
        assert!(check(&near)[0].message.contains("did you mean \"Ship\"?"));
        let far = json!({"StartAt": "Other", "States": {"Ship": {"Type": "Succeed"}}});
        assert!(!check(&far)[0].message.contains("did you mean"));
    }

    #[test]
    fn deep_nesting_is_refused_without_overflow() {
        let mut inner = json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}});
        for _ in 0..100 {
            inner = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": inner}}});
        }
        assert_eq!(check(&inner)[0].code, "SB009");
    }
}
