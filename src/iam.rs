//! IAM policies: the document, what a definition needs, and how a policy that exists compares with that. Pure.

pub mod arn;
pub mod binding_role;
pub mod compare;
pub mod document;
pub mod execution_role;
pub mod partition;
pub mod pattern;
pub mod step_roles;
pub mod trust;
