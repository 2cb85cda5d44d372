//! The modules of the package that read what others wrote, and what they need. Without the AWS SDK, which takes minutes to
//! build and reads nothing of this.
#![allow(dead_code, unused_imports, missing_docs, reason = "not all of a module is fuzzed")]

pub use source::{
    api, asl, aws, digest, graph, iam, integrations, jsonata, outcome, plan, printable, reason, similar, status,
};

#[path = "../../src"]
mod source {
    pub mod api;
    pub mod asl;
    pub mod digest;
    pub mod graph;
    pub mod iam;
    pub mod integrations;
    pub mod jsonata;
    pub mod outcome;
    pub mod printable;
    pub mod reason;
    pub mod similar;
    pub mod status;

    /// What a module names of the AWS side.
    pub mod aws {
        /// Tags by key.
        pub type Tags = std::collections::BTreeMap<String, String>;
    }

    pub mod plan {
        pub mod alias_move;
        pub mod guardrail;
        pub mod step_roles;
        pub mod target;

        pub mod workflow {
            mod owner;
            pub use owner::{CLUSTER_TAG, NAMESPACE_TAG, check_execution_role};
        }
    }
}
