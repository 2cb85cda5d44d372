//! What makes a Workflow a tool of agents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::forms::{TOOL_NAME_PATTERN, TOOL_TEXT_PATTERN};

/// A tool that agents find by the Model Context Protocol. It gives nobody a right: whoever calls it starts a run as themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// What a run of it does and when to call it, for the model that chooses. Agents are shown it as data.
    #[schemars(length(min = 1, max = 1024), regex(pattern = TOOL_TEXT_PATTERN))]
    pub description: String,
    /// Name of the tool; by default the Workflow's. Where several Workflows of a namespace claim one name, the oldest has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = TOOL_NAME_PATTERN))]
    #[schemars(extend("x-kubernetes-validations" = [{"rule": NOT_OURS, "message": NOT_OURS_MESSAGE}]))]
    pub name: Option<String>,
}

/// Names of the tools that are there without any Workflow.
pub const OWN_TOOLS: [&str; 4] = ["list_runs", "get_run", "explain_failure", "cancel_run"];

const NOT_OURS: &str = "!(self in ['list_runs', 'get_run', 'explain_failure', 'cancel_run'])";
const NOT_OURS_MESSAGE: &str =
    "list_runs, get_run, explain_failure and cancel_run are tools that are always there; choose another name";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_names_all_own_tools() {
        for name in OWN_TOOLS {
            assert!(NOT_OURS.contains(&format!("'{name}'")) && NOT_OURS_MESSAGE.contains(name), "{name}");
        }
    }
}
