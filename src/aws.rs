//! AWS as the rest of the program sees it: ports with types of our own. The SDK stays inside the adapters.

#[cfg(feature = "operator")]
mod activities;
#[cfg(feature = "operator")]
mod alarms;
#[cfg(feature = "operator")]
mod aliases;
#[cfg(feature = "operator")]
mod call;
mod error;
#[cfg(feature = "operator")]
mod events;
#[cfg(feature = "operator")]
mod executions;
#[cfg(test)]
#[cfg(feature = "operator")]
pub(crate) mod fake;
#[cfg(feature = "operator")]
mod gate;
#[cfg(test)]
#[cfg(feature = "operator")]
mod gate_tests;
#[cfg(feature = "operator")]
mod iam;
#[cfg(feature = "operator")]
mod logs;
#[cfg(feature = "operator")]
mod queues;
#[cfg(feature = "operator")]
mod quota;
#[cfg(feature = "operator")]
mod sanitise;
#[cfg(feature = "operator")]
mod sdk;
#[cfg(feature = "operator")]
mod sdk_error;
#[cfg(feature = "operator")]
mod sdk_types;
#[cfg(feature = "operator")]
mod session;
#[cfg(test)]
#[cfg(feature = "operator")]
pub(crate) mod stand_in;
#[cfg(feature = "operator")]
mod state_machines;
#[cfg(feature = "operator")]
mod tagging;
mod types;
#[cfg(test)]
#[cfg(feature = "operator")]
mod wire_tests;

#[cfg(feature = "operator")]
pub use activities::Activities;
#[cfg(feature = "operator")]
pub use alarms::Alarms;
#[cfg(feature = "operator")]
pub use aliases::Aliases;
pub use error::{AwsError, AwsErrorKind};
#[cfg(feature = "operator")]
pub use executions::Executions;
#[cfg(feature = "operator")]
pub use gate::{Credentials, Epoch, Gate};
#[cfg(feature = "operator")]
pub use iam::Iam;
#[cfg(feature = "operator")]
pub use logs::Logs;
#[cfg(feature = "operator")]
pub use queues::{Queues, SdkQueues};
#[cfg(feature = "operator")]
pub use quota::Priority;
#[cfg(feature = "operator")]
pub(crate) use sanitise::sanitised;
#[cfg(feature = "operator")]
pub use sdk::{CallQuota, SdkStepFunctions, http_client};
#[cfg(feature = "operator")]
pub(crate) use sdk_error::refused_request_id;
#[cfg(feature = "operator")]
pub use sdk_error::sdk_error;
#[cfg(feature = "operator")]
pub use session::{Caller, Session, SessionOrigin};
#[cfg(feature = "operator")]
pub use state_machines::StateMachines;
#[cfg(feature = "operator")]
pub use tagging::Tagging;
pub use types::*;
