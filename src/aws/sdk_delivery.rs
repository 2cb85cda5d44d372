//! The calls about aliases, activities and lists, for the port's one implementation.

use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus as SdkExecutionStatus, RoutingConfigurationListItem};

use super::sdk::SdkStepFunctions;
use super::sdk_types::{encryption_of, execution_status, sdk_tags, timestamp};
use super::{
    AwsError, AwsErrorKind, ExecutionPage, ExecutionStatus, ListPage, ListedExecution, MachineSettings, Routes,
    Session, Tags,
};

impl SdkStepFunctions {
    pub(super) async fn make_alias(&self, session: &Session, name: &str, routes: &Routes) -> Result<(), AwsError> {
        let request = self.client(session).create_state_machine_alias().name(name);
        let call = request.set_routing_configuration(Some(sdk_routes(routes))).send();
        self.call(session, "states:CreateStateMachineAlias", name, call).await.map(drop)
    }

    pub(super) async fn described_routes(&self, session: &Session, arn: &str) -> Result<Option<Routes>, AwsError> {
        let call = self.client(session).describe_state_machine_alias().state_machine_alias_arn(arn).send();
        let found = match self.call(session, "states:DescribeStateMachineAlias", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let routes = found.routing_configuration.unwrap_or_default().into_iter();
        Ok(Some(routes.map(|route| (route.state_machine_version_arn, i64::from(route.weight))).collect()))
    }

    pub(super) async fn move_alias(&self, session: &Session, arn: &str, routes: &Routes) -> Result<(), AwsError> {
        let request = self.client(session).update_state_machine_alias().state_machine_alias_arn(arn);
        let call = request.set_routing_configuration(Some(sdk_routes(routes))).send();
        self.call(session, "states:UpdateStateMachineAlias", arn, call).await.map(drop)
    }

    pub(super) async fn remove_alias(&self, session: &Session, arn: &str) -> Result<(), AwsError> {
        let call = self.client(session).delete_state_machine_alias().state_machine_alias_arn(arn).send();
        self.call(session, "states:DeleteStateMachineAlias", arn, call).await.map(drop)
    }

    pub(super) async fn finds_activity(&self, session: &Session, arn: &str) -> Result<bool, AwsError> {
        let call = self.client(session).describe_activity().activity_arn(arn).send();
        match self.call(session, "states:DescribeActivity", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(false),
            other => other.map(|_| true),
        }
    }

    pub(super) async fn make_activity(
        &self,
        session: &Session,
        name: &str,
        settings: &MachineSettings,
        tags: &Tags,
    ) -> Result<(), AwsError> {
        let request = self.client(session).create_activity().name(name).set_tags(Some(sdk_tags(tags)));
        let call = request.set_encryption_configuration(encryption_of(settings, false)).send();
        self.call(session, "states:CreateActivity", name, call).await.map(drop)
    }

    pub(super) async fn remove_activity(&self, session: &Session, arn: &str) -> Result<(), AwsError> {
        let call = self.client(session).delete_activity().activity_arn(arn).send();
        match self.call(session, "states:DeleteActivity", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    pub(super) async fn newest_executions(
        &self,
        session: &Session,
        arn: &str,
        running: bool,
    ) -> Result<Vec<ListedExecution>, AwsError> {
        let request = self.client(session).list_executions().state_machine_arn(arn).max_results(1000);
        let call = request.set_status_filter(running.then_some(SdkExecutionStatus::Running)).send();
        let listed = self.call(session, "states:ListExecutions", arn, call).await?;
        Ok(listed.executions.into_iter().map(listed_execution).collect())
    }

    pub(super) async fn page_of_executions(
        &self,
        session: &Session,
        page: &ListPage,
    ) -> Result<ExecutionPage, AwsError> {
        let request = self.client(session).list_executions().state_machine_arn(&page.arn).max_results(1000);
        let request = request.set_status_filter(page.status.map(sdk_status)).set_next_token(page.next_token.clone());
        let listed = self.call(session, "states:ListExecutions", &page.arn, request.send()).await?;
        let executions = listed.executions.into_iter().map(listed_execution).collect();
        Ok(ExecutionPage { executions, next_token: listed.next_token })
    }
}

fn sdk_status(status: ExecutionStatus) -> SdkExecutionStatus {
    match status {
        ExecutionStatus::Running => SdkExecutionStatus::Running,
        ExecutionStatus::Succeeded => SdkExecutionStatus::Succeeded,
        ExecutionStatus::Failed => SdkExecutionStatus::Failed,
        ExecutionStatus::TimedOut => SdkExecutionStatus::TimedOut,
        ExecutionStatus::Aborted => SdkExecutionStatus::Aborted,
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

fn listed_execution(item: ExecutionListItem) -> ListedExecution {
    ListedExecution {
        arn: item.execution_arn,
        version_arn: item.state_machine_version_arn,
        status: execution_status(&item.status),
        started_at: timestamp(item.start_date),
        stopped_at: item.stop_date.map(timestamp),
        redrive_count: item.redrive_count.unwrap_or_default(),
    }
}
