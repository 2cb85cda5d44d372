//! What is to be done, decided from what was seen. Nothing here knows a client, a clock or the SDK.

pub mod consent;
pub mod run;
pub mod run_result;
pub mod workflow;
