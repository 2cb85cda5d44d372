//! What the operator does with the API server beside its own kinds.

pub mod client;
#[cfg(feature = "operator")]
pub mod events;
#[cfg(feature = "operator")]
mod failure;
pub mod held;
#[cfg(feature = "operator")]
pub mod lease;
#[cfg(feature = "operator")]
pub mod membership;
#[cfg(feature = "operator")]
pub mod shard;
#[cfg(test)]
#[cfg(feature = "operator")]
mod slow_server;

#[cfg(feature = "operator")]
pub use events::Events;
#[cfg(feature = "operator")]
pub use failure::api_failure;
#[cfg(feature = "operator")]
pub use lease::Fence;
#[cfg(feature = "operator")]
pub use shard::Shard;
