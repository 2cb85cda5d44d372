//! The modules of the package that read what others wrote, and what they need. Without the AWS SDK, which takes minutes to
//! build and reads nothing of this.
#![allow(dead_code, reason = "not all of a module is fuzzed")]

#[path = "../../src/api/mod.rs"]
pub mod api;
#[path = "../../src/asl/mod.rs"]
pub mod asl;
#[path = "../../src/digest.rs"]
pub mod digest;
#[path = "../../src/graph.rs"]
pub mod graph;
#[path = "../../src/iam/mod.rs"]
pub mod iam;
#[path = "../../src/outcome.rs"]
pub mod outcome;
#[path = "../../src/similar.rs"]
pub mod similar;

/// What a Guardrail allows.
pub mod plan {
    #[path = "../../../src/plan/guardrail.rs"]
    pub mod guardrail;
}
