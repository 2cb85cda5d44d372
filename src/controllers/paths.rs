//! Where the states are in the definition that an execution ran.

use std::sync::Arc;

use super::Context;
use crate::asl::{self, model};
use crate::aws::{Caller, Priority};
use crate::plan::run::machine_of_execution;
use crate::plan::timeline::Paths;

/// Where the states are in the definition of a version, or, of a machine without versions, in that of now. Nowhere, where that
/// cannot be read or there is no quota to spare: times and results are told all the same.
pub(super) async fn paths(ctx: &Context, caller: &Caller, version: Option<&String>, execution_arn: &str) -> Arc<Paths> {
    if let Some(version) = version
        && let Some(known) = ctx.paths.get(version).await
    {
        return known;
    }
    let Some(paths) = read_paths(ctx, caller, version, execution_arn).await else { return Arc::default() };
    let paths = Arc::new(paths);
    if let Some(version) = version {
        ctx.paths.insert(version.clone(), paths.clone()).await;
    }
    paths
}

async fn read_paths(ctx: &Context, caller: &Caller, version: Option<&String>, execution_arn: &str) -> Option<Paths> {
    if !ctx.quota.quota_wait(caller, "states:DescribeStateMachine", Priority::Output).is_zero() {
        return None;
    }
    let arn = version.cloned().unwrap_or_else(|| machine_of_execution(execution_arn));
    let described = ctx.state_machines.describe_state_machine(caller, &arn).await;
    let found = described.inspect_err(|error| tracing::debug!(%error, "the definition is not known")).ok()??;
    let value = serde_json::from_str(&found.definition).ok()?;
    let places = asl::Places::of(&value);
    Some(Paths::of(&model::Machine::of(asl::Node::root(&value, &places))))
}
