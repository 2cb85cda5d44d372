//! Aliases of state machines.

use async_trait::async_trait;
use aws_sdk_sfn::types::RoutingConfigurationListItem;

use super::sdk::SdkStepFunctions;
use super::{AwsError, AwsErrorKind, Caller, Routes};

/// Aliases of state machines. Called as the session's role: one call is one request to AWS; retries are the adapter's where the call is safe to
/// repeat, and none where it is not.
#[async_trait]
pub trait Aliases: Send + Sync {
    /// Creates an alias. Idempotent for the same routes; `Conflict` where it exists with others.
    async fn create_alias(&self, caller: &Caller, name: &str, routes: &Routes) -> Result<(), AwsError>;
    /// Where an alias routes; `None` where there is none.
    async fn alias_routes(&self, caller: &Caller, alias_arn: &str) -> Result<Option<Routes>, AwsError>;
    /// Moves an alias to other routes.
    async fn update_alias(&self, caller: &Caller, alias_arn: &str, routes: &Routes) -> Result<(), AwsError>;
    /// Removes an alias; removing an absent one changes nothing.
    async fn delete_alias(&self, caller: &Caller, alias_arn: &str) -> Result<(), AwsError>;
}

#[async_trait]
impl Aliases for SdkStepFunctions {
    async fn create_alias(&self, caller: &Caller, name: &str, routes: &Routes) -> Result<(), AwsError> {
        let request = self.client(caller).create_state_machine_alias().name(name);
        let call = request.set_routing_configuration(Some(sdk_routes(routes))).send();
        self.call(caller, "states:CreateStateMachineAlias", name, call).await.map(drop)
    }

    async fn alias_routes(&self, caller: &Caller, arn: &str) -> Result<Option<Routes>, AwsError> {
        let call = self.client(caller).describe_state_machine_alias().state_machine_alias_arn(arn).send();
        let found = match self.call(caller, "states:DescribeStateMachineAlias", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let routes = found.routing_configuration.unwrap_or_default().into_iter();
        Ok(Some(routes.map(|route| (route.state_machine_version_arn, i64::from(route.weight))).collect()))
    }

    async fn update_alias(&self, caller: &Caller, arn: &str, routes: &Routes) -> Result<(), AwsError> {
        let request = self.client(caller).update_state_machine_alias().state_machine_alias_arn(arn);
        let call = request.set_routing_configuration(Some(sdk_routes(routes))).send();
        self.call(caller, "states:UpdateStateMachineAlias", arn, call).await.map(drop)
    }

    async fn delete_alias(&self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let call = self.client(caller).delete_state_machine_alias().state_machine_alias_arn(arn).send();
        match self.call(caller, "states:DeleteStateMachineAlias", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }
}

/// A weight is at most 100.
fn sdk_routes(routes: &Routes) -> Vec<RoutingConfigurationListItem> {
    let route = |(version, weight): &(String, i64)| {
        let weight = i32::try_from(*weight).unwrap_or(100);
        RoutingConfigurationListItem::builder().state_machine_version_arn(version).weight(weight).build().ok()
    };
    routes.iter().filter_map(route).collect()
}
