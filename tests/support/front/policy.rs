//! The part of IAM's policy evaluation that the front needs where the emulator does not evaluate, or does so wrongly:
//! `iam:PassRole`, tag calls, synchronous starts, session policies and the publish and tag rights of a creation.
//! Source: IAM user guide, "Policy evaluation logic" and "Condition operators".

use std::collections::BTreeMap;

use serde_json::Value;

/// What is asked for. `context` holds condition keys such as `iam:PassedToService`.
pub struct Request<'a> {
    pub action: &'a str,
    pub resource: &'a str,
    pub context: &'a BTreeMap<String, Vec<String>>,
}

/// An explicit denial wins; without one, some statement must allow.
pub fn allows(policies: &[Value], request: &Request<'_>) -> bool {
    let matching: Vec<&Value> =
        policies.iter().flat_map(|policy| list(&policy["Statement"])).filter(|one| applies(one, request)).collect();
    let with = |effect: &str| matching.iter().any(|statement| statement["Effect"] == effect);
    !with("Deny") && with("Allow")
}

/// Whether a trust policy lets a role assume with this context, and whether it names the role itself: in one account that is leave
/// enough, where naming the account leaves it to the caller's own policies (IAM user guide, "Cross-account policy evaluation logic").
pub fn trusts(trust: &Value, role_arn: &str, context: &BTreeMap<String, Vec<String>>) -> Option<Names> {
    let account = format!("arn:aws:iam::{}:root", role_arn.split(':').nth(4).unwrap());
    let said = list(&trust["Statement"]).into_iter().filter_map(|statement| {
        let principals = texts(&statement["Principal"]["AWS"]);
        let names = if principals.iter().any(|name| name == role_arn) {
            Names::TheRole
        } else if principals.contains(&account) {
            Names::ItsAccount
        } else {
            return None;
        };
        let acts = texts(&statement["Action"]).iter().any(|action| action.eq_ignore_ascii_case("sts:AssumeRole"));
        (acts && conditions_hold(&statement["Condition"], context)).then(|| (statement["Effect"] == "Allow", names))
    });
    let said: Vec<(bool, Names)> = said.collect();
    if said.iter().any(|(allows, _)| !allows) {
        return None;
    }
    said.into_iter().map(|(_, names)| names).max()
}

/// Whom a trust policy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    ItsAccount,
    TheRole,
}

fn applies(statement: &Value, request: &Request<'_>) -> bool {
    for unknown in ["NotAction", "NotResource", "NotPrincipal"] {
        assert!(statement.get(unknown).is_none(), "the front does not know {unknown}");
    }
    let named = |field: &str, text: &str| texts(&statement[field]).iter().any(|pattern| like(pattern, text));
    let action = request.action.to_ascii_lowercase();
    let acts = texts(&statement["Action"]).iter().any(|pattern| like(&pattern.to_ascii_lowercase(), &action));
    acts && named("Resource", request.resource) && conditions_hold(&statement["Condition"], request.context)
}

fn conditions_hold(conditions: &Value, context: &BTreeMap<String, Vec<String>>) -> bool {
    let Some(operators) = conditions.as_object() else { return true };
    operators.iter().all(|(operator, keys)| {
        keys.as_object().unwrap().iter().all(|(key, expected)| {
            let actual = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, values)| values);
            holds(operator, &texts(expected), actual)
        })
    })
}

/// Anything else than these operators would be evaluated wrongly in silence, so it fails the test instead.
fn holds(operator: &str, expected: &[String], actual: Option<&Vec<String>>) -> bool {
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(base) => (base, true),
        None => (operator, false),
    };
    let (every, operator) = match operator.strip_prefix("ForAllValues:") {
        Some(base) => (true, base),
        // Of several values any may match, as without it; a key that is absent never matches.
        None => (false, operator.strip_prefix("ForAnyValue:").unwrap_or(operator)),
    };
    if operator == "Null" {
        return (actual.is_none()).to_string() == expected[0];
    }
    // A negated operator holds where the key is absent.
    if operator == "StringNotEquals" {
        return actual.is_none_or(|actual| !actual.iter().any(|value| expected.contains(value)));
    }
    let Some(actual) = actual else { return if_exists || every };
    let matches = |value: &String| match operator {
        "StringEquals" | "ArnEquals" => expected.contains(value),
        "StringLike" | "ArnLike" => expected.iter().any(|pattern| like(pattern, value)),
        other => panic!("the front does not know the condition operator {other}"),
    };
    if every { actual.iter().all(matches) } else { actual.iter().any(matches) }
}

/// `*` stands for any text and `?` for one character.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<String> {
    list(value).into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
