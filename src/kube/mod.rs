//! What the operator does with the API server beside its own kinds.

pub mod lease;

pub use lease::Fence;
