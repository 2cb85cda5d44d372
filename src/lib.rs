//! Stepbound runs AWS Step Functions from Kubernetes with workload identity.
//!
//! The library holds everything; the binaries only parse, dispatch and set the exit code. See ARCHITECTURE.md for the
//! dependency direction between the modules and the tests that hold it.

pub mod api;
pub mod asl;
pub mod audit;
pub mod aws;
pub mod cause;
pub mod cli;
pub mod config;
pub mod controllers;
pub mod digest;
pub mod graph;
pub mod iam;
pub mod identity;
pub mod integrations;
pub mod kube;
pub mod managed_times;
pub mod metrics;
pub mod nesting;
pub mod outcome;
pub mod plan;
pub mod reason;
pub mod runs;
pub mod server;
pub mod similar;
pub mod status;
pub mod telemetry;
