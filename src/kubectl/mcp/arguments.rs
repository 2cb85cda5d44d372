//! What the tools take that are always there. Anything else in a call is refused.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::data::bounded;
use super::wait::LONGEST;
use crate::api::v1alpha1::Phase;
use crate::kubectl::KubectlError;

/// Runs that are told where a call does not say how many, and at most.
const USUAL_RUNS: usize = 20;
const MOST_RUNS: usize = 100;
/// Most characters of what is wrong with a call.
const MAX_WRONG: usize = 300;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListRuns {
    pub workflow: Option<String>,
    pub phase: Option<String>,
    limit: Option<usize>,
}

impl ListRuns {
    pub fn most(&self) -> usize {
        self.limit.unwrap_or(USUAL_RUNS).clamp(1, MOST_RUNS)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetRun {
    pub name: String,
    pub wait_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfRun {
    pub name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelRun {
    pub name: String,
    pub reason: Option<String>,
}

/// The arguments of a call.
pub(super) fn read<T: DeserializeOwned>(tool: &str, given: Map<String, Value>) -> Result<T, KubectlError> {
    serde_json::from_value(Value::Object(given))
        .map_err(|error| KubectlError::Usage(format!("{tool}: {}", bounded(&error.to_string(), MAX_WRONG))))
}

/// The schema of the arguments of one of these tools.
pub(super) fn schema(tool: &str) -> Map<String, Value> {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 253, "description": "Name of the run."});
    let (required, properties) = match tool {
        "list_runs" => (
            json!([]),
            json!({
                "workflow": {"type": "string", "maxLength": 253, "description": "Runs of this Workflow alone."},
                "phase": {"type": "string", "enum": Phase::ALL.map(Phase::as_str), "description": "Runs in this phase alone."},
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST_RUNS, "description": "How many at most, newest first; 20 by default."},
            }),
        ),
        "get_run" => (
            json!(["name"]),
            json!({"name": name, "wait_seconds": {"type": "integer", "minimum": 0, "maximum": LONGEST.as_secs(),
                "description": "Wait for the end of the run for so many seconds; 0 by default."}}),
        ),
        "cancel_run" => (
            json!(["name"]),
            json!({"name": name, "reason": {"type": "string", "maxLength": 1024, "description": "Why, for people."}}),
        ),
        _ => (json!(["name"]), json!({"name": name})),
    };
    let mut schema = Map::new();
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), properties);
    schema.insert("required".into(), required);
    schema.insert("additionalProperties".into(), json!(false));
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::OWN_TOOLS;

    #[test]
    fn what_the_schema_lets_through_is_read_and_nothing_else() {
        let fits = |tool: &str, given: &Value| jsonschema::is_valid(&Value::Object(schema(tool)), given);
        for (tool, given) in [
            ("list_runs", json!({})),
            ("list_runs", json!({"workflow": "a", "phase": "Failed", "limit": 3})),
            ("get_run", json!({"name": "a", "wait_seconds": 3})),
            ("explain_failure", json!({"name": "a"})),
            ("cancel_run", json!({"name": "a", "reason": "b"})),
        ] {
            assert!(fits(tool, &given), "{tool} {given}");
            let map = given.as_object().unwrap().clone();
            let is_read = match tool {
                "list_runs" => read::<ListRuns>(tool, map).is_ok(),
                "get_run" => read::<GetRun>(tool, map).is_ok(),
                "cancel_run" => read::<CancelRun>(tool, map).is_ok(),
                _ => read::<OfRun>(tool, map).is_ok(),
            };
            assert!(is_read, "{tool} {given}");
        }
        for tool in OWN_TOOLS {
            assert!(!fits(tool, &json!({"namespace": "other"})), "{tool}");
        }
        let other = json!({"name": "a", "namespace": "other"}).as_object().unwrap().clone();
        let said = read::<GetRun>("get_run", other).unwrap_err().to_string();
        assert!(said.starts_with("get_run: unknown field `namespace`"), "{said}");
        assert!(
            read::<ListRuns>("list_runs", json!({"limit": 900}).as_object().unwrap().clone()).unwrap().most()
                == MOST_RUNS
        );
    }
}
