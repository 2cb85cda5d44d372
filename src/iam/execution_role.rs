//! The least that an execution role needs, derived from the definition: actions and resources, each with the state that
//! needs it and why. What the definition leaves open is a finding that names the state, and never a `*`.
//!
//! Sources: developer guide, "How Step Functions generates IAM policies for integrated services" and the pages of the
//! integrations; service authorization reference for what an action can be allowed on.

mod analytics;
mod bedrock;
mod call;
mod caller;
mod compute;
mod credentials;
mod data;
mod derived;
mod distributed_map;
mod elastic_map_reduce;
mod http;
mod instances;
mod keys;
mod machine;
mod machine_learning;
mod messaging;
mod names;
mod object_store;
mod optimised;
mod optional;
mod organizations;
mod parti_ql;
mod payload;
mod resources;
mod sdk;
mod stored;
mod tags;
mod task;
mod template;
#[cfg(test)]
mod tests;
mod trust;
mod walk;

pub use derived::{Derived, ENCRYPTION, Finding, Need, Reason, Surroundings, TargetRole, document, pseudo_parameters};

use crate::asl::model::Machine;
use walk::Calls;

/// Derives what the execution role of a definition needs. The definition has its substitutions put in; what hangs on a name
/// without a value is a finding.
pub fn derive(machine: &Machine<'_>, surroundings: &Surroundings) -> Derived {
    let mut derived = Derived::default();
    machine::derive(surroundings, &mut derived);
    let all = walk::calling(machine);
    let has_children = all.iter().any(|found| matches!(found.calls, Calls::Items));
    for found in all {
        derived.calls = true;
        match &found.calls {
            Calls::Resource(resource) => call::derive(&found, *resource, surroundings, &mut derived),
            Calls::Items => distributed_map::derive(&found, surroundings, &mut derived),
        }
    }
    trust::derive(surroundings, has_children, &mut derived);
    template::withhold(&mut derived);
    derived
}
