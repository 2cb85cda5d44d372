//! What the operator does with the API server beside its own kinds.

pub mod client;
pub mod events;
mod failure;
pub mod lease;
pub mod membership;
pub mod shard;
#[cfg(test)]
mod slow_server;

pub use events::Events;
pub use failure::api_failure;
pub use lease::Fence;
pub use shard::Shard;
