//! The schema that a version's input has to fit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CompactJson, opaque_object_schema};

/// The `inputSchema` that versions of a state machine were published with: all that runs of them are checked by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptInputSchema {
    /// Numbers of the versions that have it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<i64>,
    /// Whether the state machine itself, without a version, has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unversioned: bool,
    /// The schema; absent where there was no room to keep it. Such versions are not started any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "opaque_object_schema")]
    pub schema: Option<CompactJson>,
}
