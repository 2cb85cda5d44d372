//! Stepbound runs AWS Step Functions from Kubernetes with workload identity.
//!
//! The library holds everything; the binaries only parse, dispatch and set the exit code. See ARCHITECTURE.md for the
//! dependency direction between the modules and the tests that hold it.

pub mod api;
pub mod asl;
#[cfg(feature = "operator")]
pub mod audit;
pub mod aws;
pub mod cause;
pub mod cli;
#[cfg(feature = "operator")]
pub mod config;
#[cfg(feature = "operator")]
pub mod controllers;
pub mod digest;
pub mod graph;
pub mod iam;
#[cfg(feature = "operator")]
pub mod identity;
pub mod input_schema;
pub mod integrations;
pub mod jsonata;
pub mod kube;
#[cfg(feature = "kubectl")]
pub mod kubectl;
pub mod managed_times;
#[cfg(feature = "operator")]
pub mod metrics;
pub mod nesting;
pub mod outcome;
pub mod plan;
pub mod printable;
pub mod reason;
#[cfg(feature = "operator")]
pub mod runs;
#[cfg(feature = "operator")]
pub mod server;
pub mod similar;
pub mod status;
#[cfg(feature = "operator")]
pub mod telemetry;
