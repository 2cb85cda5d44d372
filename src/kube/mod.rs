//! What the operator does with the API server beside its own kinds.

pub mod events;
pub mod lease;

pub use events::Events;
pub use lease::Fence;
