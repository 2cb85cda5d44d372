//! How a state machine in AWS differs from what is wanted, in words for people.

use serde_json::Value;

use super::desired::Desired;
use crate::aws::{MachineSettings, StateMachine};

/// Differences that are told one by one; more are counted.
const TOLD: usize = 8;
/// Longest value that is shown, in characters.
const SHOWN: usize = 60;

/// Every difference, as `path: in AWS X, wanted Y`.
pub(super) fn differences(desired: &Desired, machine: &StateMachine) -> Vec<String> {
    let mut found = Vec::new();
    if !desired.definition.equivalent(&machine.definition) {
        match serde_json::from_str(&machine.definition) {
            Ok(actual) => compare("definition", &actual, desired.definition.value(), &mut found),
            Err(_) => found.push("definition: in AWS it is not JSON".to_owned()),
        }
    }
    tell("executionRoleARN", &machine.role_arn, &desired.role_arn, &mut found);
    let (actual, wanted) = (&machine.settings, &desired.settings);
    tell("logging", &logging(actual), &logging(wanted), &mut found);
    tell("tracing.enabled", &actual.tracing.to_string(), &wanted.tracing.to_string(), &mut found);
    tell("encryption", &encryption(actual), &encryption(wanted), &mut found);
    found
}

/// The first differences in one line.
pub fn summary(differences: &[String]) -> String {
    let told = differences.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join("; ");
    match differences.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

fn tell(path: &str, actual: &str, wanted: &str, found: &mut Vec<String>) {
    if actual != wanted {
        found.push(format!("{path}: in AWS {}, wanted {}", shown(actual), shown(wanted)));
    }
}

fn logging(settings: &MachineSettings) -> String {
    let group = settings.log_group_arn.as_deref().unwrap_or("no log group");
    format!("{:?} to {group}, execution data {}", settings.log_level, settings.log_execution_data)
}

fn encryption(settings: &MachineSettings) -> String {
    match &settings.encryption {
        Some((key, seconds)) => format!("{key} for {seconds} s"),
        None => "AWS's own key".to_owned(),
    }
}

fn compare(path: &str, actual: &Value, wanted: &Value, found: &mut Vec<String>) {
    match (actual, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, wanted) in b {
                match a.get(key) {
                    Some(actual) => compare(&format!("{path}.{key}"), actual, wanted, found),
                    None => tell(&format!("{path}.{key}"), "nothing", &wanted.to_string(), found),
                }
            }
            for (key, actual) in a.iter().filter(|(key, _)| !b.contains_key(*key)) {
                tell(&format!("{path}.{key}"), &actual.to_string(), "nothing", found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (actual, wanted)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{index}]"), actual, wanted, found);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ => tell(path, &actual.to_string(), &wanted.to_string(), found),
    }
}

fn shown(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN - 1).chain(['…']).collect()
}
