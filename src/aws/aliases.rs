//! Aliases of state machines.

use async_trait::async_trait;
use aws_sdk_sfn::types::RoutingConfigurationListItem;

use super::sdk::SdkStepFunctions;
use super::{AwsError, AwsErrorKind, Routes, Session};

/// Aliases of state machines. Called as the session's role: one call is one request to AWS; retries are the adapter's where the call is safe to
/// repeat, and none where it is not.
#[async_trait]
pub trait Aliases: Send + Sync {
    /// Creates an alias. Idempotent for the same routes; `Conflict` where it exists with others.
    async fn create_alias(&self, session: &Session, name: &str, routes: &Routes) -> Result<(), AwsError>;
    /// Where an alias routes; `None` where there is none.
    async fn alias_routes(&self, session: &Session, alias_arn: &str) -> Result<Option<Routes>, AwsError>;
    /// Moves an alias to other routes.
    async fn update_alias(&self, session: &Session, alias_arn: &str, routes: &Routes) -> Result<(), AwsError>;
    /// Removes an alias; removing an absent one changes nothing.
    async fn delete_alias(&self, session: &Session, alias_arn: &str) -> Result<(), AwsError>;
}

#[async_trait]
impl Aliases for SdkStepFunctions {
    async fn create_alias(&self, session: &Session, name: &str, routes: &Routes) -> Result<(), AwsError> {
        let request = self.client(session).create_state_machine_alias().name(name);
        let call = request.set_routing_configuration(Some(sdk_routes(routes))).send();
        self.call(session, "states:CreateStateMachineAlias", name, call).await.map(drop)
    }

    async fn alias_routes(&self, session: &Session, arn: &str) -> Result<Option<Routes>, AwsError> {
        let call = self.client(session).describe_state_machine_alias().state_machine_alias_arn(arn).send();
        let found = match self.call(session, "states:DescribeStateMachineAlias", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let routes = found.routing_configuration.unwrap_or_default().into_iter();
        Ok(Some(routes.map(|route| (route.state_machine_version_arn, i64::from(route.weight))).collect()))
    }

    async fn update_alias(&self, session: &Session, arn: &str, routes: &Routes) -> Result<(), AwsError> {
        let request = self.client(session).update_state_machine_alias().state_machine_alias_arn(arn);
        let call = request.set_routing_configuration(Some(sdk_routes(routes))).send();
        self.call(session, "states:UpdateStateMachineAlias", arn, call).await.map(drop)
    }

    async fn delete_alias(&self, session: &Session, arn: &str) -> Result<(), AwsError> {
        let call = self.client(session).delete_state_machine_alias().state_machine_alias_arn(arn).send();
        self.call(session, "states:DeleteStateMachineAlias", arn, call).await.map(drop)
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
