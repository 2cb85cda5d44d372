//! AWS as the rest of the program sees it: ports with types of our own. The SDK stays inside the adapters.

mod activities;
mod alarms;
mod aliases;
mod call;
mod error;
mod executions;
#[cfg(test)]
pub(crate) mod fake;
mod gate;
#[cfg(test)]
mod gate_tests;
mod iam;
mod queues;
mod quota;
mod sanitise;
mod sdk;
mod sdk_error;
mod sdk_types;
#[cfg(test)]
pub(crate) mod stand_in;
mod state_machines;
mod tagging;
mod types;
#[cfg(test)]
mod wire_tests;

pub use activities::Activities;
pub use alarms::Alarms;
pub use aliases::Aliases;
pub use error::{AwsError, AwsErrorKind};
pub use executions::Executions;
pub use gate::{Credentials, Epoch, Gate};
pub use iam::Iam;
pub use queues::{Queues, SdkQueues};
pub use quota::Priority;
pub(crate) use sanitise::sanitised;
pub use sdk::{CallQuota, SdkStepFunctions, http_client};
pub(crate) use sdk_error::refused_request_id;
pub use sdk_error::sdk_error;
pub use state_machines::StateMachines;
pub use tagging::Tagging;
pub use types::*;
