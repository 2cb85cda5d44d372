//! Amazon Resource Names: those of policies are those of definitions.

pub use crate::asl::model::Arn;
