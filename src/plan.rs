//! What is to be done, decided from what was seen. Nothing here knows a client, a clock or the SDK.

pub mod alarms;
pub mod alias_move;
pub mod analysis;
pub mod approval;
pub mod attribution;
pub mod binding;
pub mod changes;
pub mod consent;
pub mod event_meaning;
pub mod evidence;
pub mod execution_history;
pub mod express_log;
pub mod findings;
pub mod guardrail;
pub mod history;
pub mod input_schema;
pub mod lockdown;
pub mod needs;
pub mod ownership;
pub mod queue;
pub mod refusal;
pub mod retry;
pub mod rollout;
pub mod rotation;
pub mod run;
pub mod run_result;
#[cfg(test)]
pub(crate) mod samples;
pub mod schedule;
pub mod secret_grant;
pub mod slots;
pub mod step_roles;
pub mod tags;
pub mod target;
pub mod timeline;
pub mod workflow;
