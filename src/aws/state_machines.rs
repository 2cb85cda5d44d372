//! State machines and their versions.

use async_trait::async_trait;
use aws_sdk_sfn::types::{
    StateMachineStatus, StateMachineType as SdkType, TracingConfiguration, ValidateStateMachineDefinitionDiagnostic,
    ValidateStateMachineDefinitionSeverity,
};

use super::sdk::SdkStepFunctions;
use super::sdk_types::{encryption_of, logging_of, no_logging, sdk_tags, sdk_type, settings_of, tracing_of};
use super::{
    AwsError, AwsErrorKind, Caller, CreateStateMachine, CreatedStateMachine, DefinitionDiagnostic, StateMachine,
    UpdateStateMachine, UpdatedStateMachine, sanitised,
};
use crate::api::v1alpha1::StateMachineType;

/// State machines and their versions. Called as the session's role: one call is one request to AWS; retries are the adapter's where the call is safe to
/// repeat, and none where it is not.
#[async_trait]
pub trait StateMachines: Send + Sync {
    /// The state machine, or `None` where there is none.
    async fn describe_state_machine(&self, caller: &Caller, arn: &str) -> Result<Option<StateMachine>, AwsError>;
    /// Creates a state machine with a first published version, tagged.
    async fn create_state_machine(
        &self,
        caller: &Caller,
        request: &CreateStateMachine,
    ) -> Result<CreatedStateMachine, AwsError>;
    /// Updates definition and role, publishing a version.
    async fn update_state_machine(
        &self,
        caller: &Caller,
        request: &UpdateStateMachine,
    ) -> Result<UpdatedStateMachine, AwsError>;
    /// Asks for deletion; true also when there was none. AWS deletes later.
    async fn delete_state_machine(&self, caller: &Caller, arn: &str) -> Result<(), AwsError>;
    /// Publishes a version of the revision. Idempotent for a revision.
    async fn publish_version(
        &self,
        caller: &Caller,
        arn: &str,
        revision_id: Option<&str>,
        description: &str,
    ) -> Result<String, AwsError>;
    /// Removes a version; removing an absent one changes nothing. Refused while an alias routes to it.
    async fn delete_version(&self, caller: &Caller, version_arn: &str) -> Result<(), AwsError>;
    /// What AWS says of a definition: errors, then warnings.
    async fn validate_definition(
        &self,
        caller: &Caller,
        definition: &str,
        machine_type: StateMachineType,
    ) -> Result<Vec<DefinitionDiagnostic>, AwsError>;
}

#[async_trait]
impl StateMachines for SdkStepFunctions {
    async fn describe_state_machine(&self, caller: &Caller, arn: &str) -> Result<Option<StateMachine>, AwsError> {
        let call = self.client(caller).describe_state_machine().state_machine_arn(arn).send();
        let found = match self.call(caller, "states:DescribeStateMachine", arn, call).await {
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
            description: found.description,
        }))
    }

    async fn create_state_machine(
        &self,
        caller: &Caller,
        request: &CreateStateMachine,
    ) -> Result<CreatedStateMachine, AwsError> {
        let call = self
            .client(caller)
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
        let created = self.call(caller, "states:CreateStateMachine", &request.name, call).await?;
        Ok(CreatedStateMachine { arn: created.state_machine_arn, version_arn: created.state_machine_version_arn })
    }

    async fn update_state_machine(
        &self,
        caller: &Caller,
        request: &UpdateStateMachine,
    ) -> Result<UpdatedStateMachine, AwsError> {
        let call = self
            .client(caller)
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
        let updated = self.call(caller, "states:UpdateStateMachine", &request.arn, call).await?;
        Ok(UpdatedStateMachine { revision_id: updated.revision_id, version_arn: updated.state_machine_version_arn })
    }

    async fn delete_state_machine(&self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let call = self.client(caller).delete_state_machine().state_machine_arn(arn).send();
        match self.call(caller, "states:DeleteStateMachine", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    async fn publish_version(
        &self,
        caller: &Caller,
        arn: &str,
        revision_id: Option<&str>,
        description: &str,
    ) -> Result<String, AwsError> {
        let request = self.client(caller).publish_state_machine_version().state_machine_arn(arn);
        let call = request.set_revision_id(revision_id.map(str::to_owned)).description(description).send();
        let published = self.call(caller, "states:PublishStateMachineVersion", arn, call).await?;
        Ok(published.state_machine_version_arn)
    }

    async fn delete_version(&self, caller: &Caller, version_arn: &str) -> Result<(), AwsError> {
        let request = self.client(caller).delete_state_machine_version();
        let call = request.state_machine_version_arn(version_arn).send();
        self.call(caller, "states:DeleteStateMachineVersion", version_arn, call).await.map(drop)
    }

    async fn validate_definition(
        &self,
        caller: &Caller,
        definition: &str,
        machine_type: StateMachineType,
    ) -> Result<Vec<DefinitionDiagnostic>, AwsError> {
        let request = self.client(caller).validate_state_machine_definition().definition(definition);
        // Without it AWS tells errors alone (`ValidateStateMachineDefinition`, parameter `severity`).
        let request = request.severity(ValidateStateMachineDefinitionSeverity::Warning);
        let call = request.r#type(sdk_type(machine_type)).send();
        let validated = self.call(caller, "states:ValidateStateMachineDefinition", "*", call).await?;
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
}
