//! The calls of the port, one by one.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sfn::config::StalledStreamProtectionConfig;
use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_sdk_sfn::types::{
    ExecutionStatus as SdkExecutionStatus, StateMachineStatus, StateMachineType as SdkType, SyncExecutionStatus,
    TracingConfiguration, ValidateStateMachineDefinitionDiagnostic, ValidateStateMachineDefinitionSeverity,
};
use tracing::Instrument;

use super::sanitised;
use super::sdk::{SYNC_TIMEOUT, SdkStepFunctions};
use super::sdk_types::{
    encryption_of, execution_status, logging_of, no_logging, redrivable, sdk_tags, sdk_type, settings_of, timestamp,
    tracing_of,
};
use super::{
    AwsError, AwsErrorKind, CreateStateMachine, CreatedStateMachine, DefinitionDiagnostic, Execution, ExecutionPage,
    ExecutionStatus, HistoryPage, ListPage, ListedExecution, MachineSettings, MapRunCounts, Priority, Routes, Session,
    StartExecution, StartedExecution, StateMachine, StepFunctions, Tags, UpdateStateMachine, UpdatedStateMachine,
};
use crate::api::v1alpha1::StateMachineType;
use crate::telemetry;

#[async_trait]
impl StepFunctions for SdkStepFunctions {
    fn has_quota(&self, session: &Session, operation: &'static str) -> Result<(), AwsError> {
        self.peek_quota(session, operation)
    }

    fn quota_wait(&self, session: &Session, operation: &'static str, priority: Priority) -> Duration {
        self.wait_for_quota(session, operation, priority)
    }

    async fn describe_state_machine(&self, session: &Session, arn: &str) -> Result<Option<StateMachine>, AwsError> {
        let call = self.client(session).describe_state_machine().state_machine_arn(arn).send();
        let found = match self.call(session, "states:DescribeStateMachine", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(Some(StateMachine {
            arn: found.state_machine_arn,
            definition: found.definition,
            role_arn: found.role_arn,
            machine_type: match found.r#type {
                SdkType::Express => StateMachineType::Express,
                _ => StateMachineType::Standard,
            },
            settings: settings_of(
                found.logging_configuration,
                found.tracing_configuration,
                found.encryption_configuration,
            ),
            revision_id: found.revision_id,
            deleting: found.status == Some(StateMachineStatus::Deleting),
        }))
    }

    async fn create_state_machine(
        &self,
        session: &Session,
        request: &CreateStateMachine,
    ) -> Result<CreatedStateMachine, AwsError> {
        let call = self
            .client(session)
            .create_state_machine()
            .name(&request.name)
            .definition(&request.definition)
            .role_arn(&request.role_arn)
            .r#type(sdk_type(request.machine_type))
            .publish(request.version_description.is_some())
            .set_version_description(request.version_description.clone())
            .set_logging_configuration(logging_of(&request.settings))
            .set_tracing_configuration(tracing_of(&request.settings))
            .set_encryption_configuration(encryption_of(&request.settings, false))
            .set_tags(Some(sdk_tags(&request.tags)))
            .send();
        let created = self.call(session, "states:CreateStateMachine", &request.name, call).await?;
        Ok(CreatedStateMachine { arn: created.state_machine_arn, version_arn: created.state_machine_version_arn })
    }

    async fn update_state_machine(
        &self,
        session: &Session,
        request: &UpdateStateMachine,
    ) -> Result<UpdatedStateMachine, AwsError> {
        let call = self
            .client(session)
            .update_state_machine()
            .state_machine_arn(&request.arn)
            .definition(&request.definition)
            .role_arn(&request.role_arn)
            .publish(request.version_description.is_some())
            .set_version_description(request.version_description.clone())
            .logging_configuration(logging_of(&request.settings).unwrap_or_else(no_logging))
            .tracing_configuration(TracingConfiguration::builder().enabled(request.settings.tracing).build())
            .set_encryption_configuration(encryption_of(&request.settings, true))
            .send();
        let updated = self.call(session, "states:UpdateStateMachine", &request.arn, call).await?;
        Ok(UpdatedStateMachine { revision_id: updated.revision_id, version_arn: updated.state_machine_version_arn })
    }

    async fn publish_version(
        &self,
        session: &Session,
        arn: &str,
        revision_id: Option<&str>,
        description: &str,
    ) -> Result<String, AwsError> {
        let request = self.client(session).publish_state_machine_version().state_machine_arn(arn);
        let call = request.set_revision_id(revision_id.map(str::to_owned)).description(description).send();
        let published = self.call(session, "states:PublishStateMachineVersion", arn, call).await?;
        Ok(published.state_machine_version_arn)
    }

    async fn delete_version(&self, session: &Session, version_arn: &str) -> Result<(), AwsError> {
        let request = self.client(session).delete_state_machine_version();
        let call = request.state_machine_version_arn(version_arn).send();
        self.call(session, "states:DeleteStateMachineVersion", version_arn, call).await.map(drop)
    }

    async fn create_alias(&self, session: &Session, name: &str, routes: &Routes) -> Result<(), AwsError> {
        self.make_alias(session, name, routes).await
    }

    async fn alias_routes(&self, session: &Session, alias_arn: &str) -> Result<Option<Routes>, AwsError> {
        self.described_routes(session, alias_arn).await
    }

    async fn update_alias(&self, session: &Session, alias_arn: &str, routes: &Routes) -> Result<(), AwsError> {
        self.move_alias(session, alias_arn, routes).await
    }

    async fn delete_alias(&self, session: &Session, alias_arn: &str) -> Result<(), AwsError> {
        self.remove_alias(session, alias_arn).await
    }

    async fn list_executions(
        &self,
        session: &Session,
        arn: &str,
        running: bool,
    ) -> Result<Vec<ListedExecution>, AwsError> {
        self.newest_executions(session, arn, running).await
    }

    async fn list_page(&self, session: &Session, request: &ListPage) -> Result<ExecutionPage, AwsError> {
        self.page_of_executions(session, request).await
    }

    async fn has_activity(&self, session: &Session, arn: &str) -> Result<bool, AwsError> {
        self.finds_activity(session, arn).await
    }

    async fn create_activity(
        &self,
        session: &Session,
        name: &str,
        settings: &MachineSettings,
        tags: &Tags,
    ) -> Result<(), AwsError> {
        self.make_activity(session, name, settings, tags).await
    }

    async fn delete_activity(&self, session: &Session, arn: &str) -> Result<(), AwsError> {
        self.remove_activity(session, arn).await
    }

    async fn validate_definition(
        &self,
        session: &Session,
        definition: &str,
        machine_type: StateMachineType,
    ) -> Result<Vec<DefinitionDiagnostic>, AwsError> {
        let request = self.client(session).validate_state_machine_definition().definition(definition);
        // Without it AWS tells errors alone (`ValidateStateMachineDefinition`, parameter `severity`).
        let request = request.severity(ValidateStateMachineDefinitionSeverity::Warning);
        let call = request.r#type(sdk_type(machine_type)).send();
        let validated = self.call(session, "states:ValidateStateMachineDefinition", "*", call).await?;
        let diagnostic = |found: ValidateStateMachineDefinitionDiagnostic| DefinitionDiagnostic {
            error: found.severity == ValidateStateMachineDefinitionSeverity::Error,
            code: found.code,
            message: sanitised(&found.message),
            location: found.location.unwrap_or_default(),
        };
        let mut found: Vec<DefinitionDiagnostic> = validated.diagnostics.into_iter().map(diagnostic).collect();
        found.sort_by_key(|one| !one.error);
        Ok(found)
    }

    async fn delete_state_machine(&self, session: &Session, arn: &str) -> Result<(), AwsError> {
        let call = self.client(session).delete_state_machine().state_machine_arn(arn).send();
        match self.call(session, "states:DeleteStateMachine", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    async fn list_tags(&self, session: &Session, arn: &str) -> Result<Tags, AwsError> {
        let call = self.client(session).list_tags_for_resource().resource_arn(arn).send();
        let listed = self.call(session, "states:ListTagsForResource", arn, call).await?;
        Ok(listed.tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect())
    }

    async fn tag(&self, session: &Session, arn: &str, tags: &Tags) -> Result<(), AwsError> {
        let call = self.client(session).tag_resource().resource_arn(arn).set_tags(Some(sdk_tags(tags))).send();
        self.call(session, "states:TagResource", arn, call).await.map(drop)
    }

    async fn untag(&self, session: &Session, arn: &str, keys: &[String]) -> Result<(), AwsError> {
        let request = self.client(session).untag_resource().resource_arn(arn);
        let call = request.set_tag_keys(Some(keys.to_vec())).send();
        self.call(session, "states:UntagResource", arn, call).await.map(drop)
    }

    async fn has_running_executions(&self, session: &Session, state_machine_arn: &str) -> Result<bool, AwsError> {
        let request = self.client(session).list_executions().state_machine_arn(state_machine_arn);
        let call = request.status_filter(SdkExecutionStatus::Running).max_results(1).send();
        match self.call(session, "states:ListExecutions", state_machine_arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(false),
            // Express machines keep no list, and their executions last five minutes at most.
            Err(error) if error.code == "StateMachineTypeNotSupported" => Ok(false),
            other => Ok(!other?.executions.is_empty()),
        }
    }

    async fn start_execution(&self, session: &Session, request: &StartExecution) -> Result<StartedExecution, AwsError> {
        let start = self.client(session).start_execution().state_machine_arn(&request.target_arn);
        let start = start.name(&request.name).input(&request.input);
        let start = start.trace_header(telemetry::xray_header(&request.trace_root));
        // The caller decides whether a repeat is safe: it is not for Express.
        let call = start
            .customize()
            .config_override(aws_sdk_sfn::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send();
        let call = self.call(session, "states:StartExecution", &request.target_arn, call);
        let started = call.instrument(traced_as(&request.trace_root)).await?;
        Ok(StartedExecution { arn: started.execution_arn, started_at: timestamp(started.start_date) })
    }

    async fn start_sync_execution(&self, session: &Session, request: &StartExecution) -> Result<Execution, AwsError> {
        let start = self.client(session).start_sync_execution().state_machine_arn(&request.target_arn);
        let start = start.name(&request.name).input(&request.input);
        let start = start.trace_header(telemetry::xray_header(&request.trace_root));
        let once = aws_sdk_sfn::config::Builder::new()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(SYNC_TIMEOUT).build())
            // Nothing is sent while AWS waits for the end, which is not a stalled connection.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let call = start.customize().config_override(once).send();
        let call = self.call(session, "states:StartSyncExecution", &request.target_arn, call);
        let ended = call.instrument(traced_as(&request.trace_root)).await?;
        Ok(Execution {
            arn: ended.execution_arn,
            state_machine_arn: ended.state_machine_arn.unwrap_or_default(),
            version_arn: None,
            alias_arn: None,
            trace_header: ended.trace_header,
            status: match ended.status {
                SyncExecutionStatus::Succeeded => ExecutionStatus::Succeeded,
                SyncExecutionStatus::TimedOut => ExecutionStatus::TimedOut,
                _ => ExecutionStatus::Failed,
            },
            started_at: timestamp(ended.start_date),
            stopped_at: Some(timestamp(ended.stop_date)),
            redrive_count: 0,
            input: ended.input,
            output: ended.output,
            error: ended.error,
            cause: ended.cause,
            redrivable: None,
        })
    }

    async fn describe_execution(&self, session: &Session, arn: &str) -> Result<Option<Execution>, AwsError> {
        let call = self.client(session).describe_execution().execution_arn(arn).send();
        let found = match self.call(session, "states:DescribeExecution", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Ok(Some(Execution {
            arn: found.execution_arn,
            state_machine_arn: found.state_machine_arn,
            version_arn: found.state_machine_version_arn,
            alias_arn: found.state_machine_alias_arn,
            trace_header: found.trace_header,
            status: execution_status(&found.status),
            started_at: timestamp(found.start_date),
            stopped_at: found.stop_date.map(timestamp),
            redrive_count: found.redrive_count.unwrap_or_default(),
            input: found.input,
            output: found.output,
            error: found.error,
            cause: found.cause,
            redrivable: redrivable(found.redrive_status.as_ref(), found.redrive_status_reason),
        }))
    }

    async fn stop_execution(&self, session: &Session, arn: &str, why: Option<(&str, &str)>) -> Result<(), AwsError> {
        self.stop(session, arn, why).await
    }

    async fn redrive_execution(&self, session: &Session, arn: &str, token: &str) -> Result<(), AwsError> {
        self.redrive(session, arn, token).await
    }

    async fn newest_events(
        &self,
        session: &Session,
        execution_arn: &str,
        older: Option<&str>,
    ) -> Result<HistoryPage, AwsError> {
        self.history_page(session, execution_arn, older).await
    }

    async fn map_run_counts(&self, session: &Session, arn: &str) -> Result<Option<MapRunCounts>, AwsError> {
        self.counts_of_map_run(session, arn).await
    }
}

/// The span of a start, which names the trace of the execution in X-Ray.
fn traced_as(trace_root: &str) -> tracing::Span {
    tracing::info_span!("start", aws.xray_trace_id = trace_root)
}
