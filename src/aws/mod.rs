//! AWS as the rest of the program sees it: ports with types of our own. The SDK stays inside the adapters.

mod error;
mod gate;
#[cfg(test)]
mod gate_tests;
mod quota;
mod sanitise;
mod sdk;
mod sdk_alarms;
mod sdk_calls;
mod sdk_delivery;
mod sdk_iam;
mod sdk_queues;
mod sdk_runs;
mod sdk_types;
#[cfg(test)]
pub(crate) mod stand_in;
mod types;
#[cfg(test)]
mod wire_tests;

pub use error::{AwsError, AwsErrorKind};
pub(crate) use gate::Clients;
pub use gate::{Epoch, Gate};
pub use quota::Priority;
pub(crate) use sanitise::sanitised;
pub(crate) use sdk::refused_request_id;
pub use sdk::{SdkStepFunctions, http_client, sdk_error};
pub use sdk_queues::SdkQueues;
pub use types::*;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::api::v1alpha1::StateMachineType;

/// CloudWatch's alarms, read as the session's role.
#[async_trait]
pub trait Alarms: Send + Sync {
    /// The states of the alarms of these names, at most 100; one that does not exist is left out.
    async fn alarm_states(&self, session: &Session, names: &[String])
    -> Result<BTreeMap<String, AlarmState>, AwsError>;
}

/// IAM, as far as a role can look at itself.
#[async_trait]
pub trait Iam: Send + Sync {
    /// Trust policy of a role as JSON; `None` where there is no such role. `AccessDenied` where the session's role may not
    /// read it.
    async fn trust_policy(&self, session: &Session, role_arn: &str) -> Result<Option<String>, AwsError>;
}

/// Step Functions, called as the session's role. One call is one request to AWS; retries are the adapter's where the
/// call is safe to repeat, and none where it is not.
#[async_trait]
pub trait StepFunctions: Send + Sync {
    /// Fails as a call of the operation would for want of quota, without making it.
    fn has_quota(&self, session: &Session, operation: &'static str) -> Result<(), AwsError>;
    /// Time until the quota has a token for a call of that priority; zero where it has one now. Takes nothing: those of
    /// lower priority ask before they call.
    fn quota_wait(&self, session: &Session, operation: &'static str, priority: Priority) -> Duration;
    /// The state machine, or `None` where there is none.
    async fn describe_state_machine(&self, session: &Session, arn: &str) -> Result<Option<StateMachine>, AwsError>;
    /// Creates a state machine with a first published version, tagged.
    async fn create_state_machine(
        &self,
        session: &Session,
        request: &CreateStateMachine,
    ) -> Result<CreatedStateMachine, AwsError>;
    /// Updates definition and role, publishing a version.
    async fn update_state_machine(
        &self,
        session: &Session,
        request: &UpdateStateMachine,
    ) -> Result<UpdatedStateMachine, AwsError>;
    /// Publishes a version of the revision. Idempotent for a revision.
    async fn publish_version(
        &self,
        session: &Session,
        arn: &str,
        revision_id: Option<&str>,
        description: &str,
    ) -> Result<String, AwsError>;
    /// Removes a version; removing an absent one changes nothing. Refused while an alias routes to it.
    async fn delete_version(&self, session: &Session, version_arn: &str) -> Result<(), AwsError>;
    /// Creates an alias. Idempotent for the same routes; `Conflict` where it exists with others.
    async fn create_alias(&self, session: &Session, name: &str, routes: &Routes) -> Result<(), AwsError>;
    /// Where an alias routes; `None` where there is none.
    async fn alias_routes(&self, session: &Session, alias_arn: &str) -> Result<Option<Routes>, AwsError>;
    /// Moves an alias to other routes.
    async fn update_alias(&self, session: &Session, alias_arn: &str, routes: &Routes) -> Result<(), AwsError>;
    /// Removes an alias; removing an absent one changes nothing.
    async fn delete_alias(&self, session: &Session, alias_arn: &str) -> Result<(), AwsError>;
    /// The newest executions, at most 1,000, of a machine, version or alias; only those that run where `running` is set.
    /// Eventually consistent.
    async fn list_executions(
        &self,
        session: &Session,
        arn: &str,
        running: bool,
    ) -> Result<Vec<ListedExecution>, AwsError>;
    /// A page, at most 1,000, of a machine's executions. Without a status newest start first, running ones by start or
    /// redrive, ended ones by their end. Eventually consistent.
    async fn list_page(&self, session: &Session, request: &ListPage) -> Result<ExecutionPage, AwsError>;
    /// True when there is such an activity.
    async fn has_activity(&self, session: &Session, arn: &str) -> Result<bool, AwsError>;
    /// Creates an activity. One of the name that exists already is answered alike, whoever made it.
    async fn create_activity(
        &self,
        session: &Session,
        name: &str,
        settings: &MachineSettings,
        tags: &Tags,
    ) -> Result<(), AwsError>;
    /// Deletes an activity; deleting an absent one changes nothing.
    async fn delete_activity(&self, session: &Session, arn: &str) -> Result<(), AwsError>;
    /// What AWS says of a definition: errors, then warnings.
    async fn validate_definition(
        &self,
        session: &Session,
        definition: &str,
        machine_type: StateMachineType,
    ) -> Result<Vec<DefinitionDiagnostic>, AwsError>;
    /// Asks for deletion; true also when there was none. AWS deletes later.
    async fn delete_state_machine(&self, session: &Session, arn: &str) -> Result<(), AwsError>;
    /// All tags of a state machine.
    async fn list_tags(&self, session: &Session, arn: &str) -> Result<Tags, AwsError>;
    /// Sets tags.
    async fn tag(&self, session: &Session, arn: &str, tags: &Tags) -> Result<(), AwsError>;
    /// Removes tags.
    async fn untag(&self, session: &Session, arn: &str, keys: &[String]) -> Result<(), AwsError>;
    /// True when at least one execution of the machine runs. Eventually consistent.
    async fn has_running_executions(&self, session: &Session, state_machine_arn: &str) -> Result<bool, AwsError>;
    /// Starts an execution. Safe to repeat for Standard machines under the same name and input.
    async fn start_execution(&self, session: &Session, request: &StartExecution) -> Result<StartedExecution, AwsError>;
    /// Starts an Express execution and waits for its end. Never repeated: it is not idempotent.
    async fn start_sync_execution(&self, session: &Session, request: &StartExecution) -> Result<Execution, AwsError>;
    /// The execution, or `None` where AWS does not show it (yet).
    async fn describe_execution(&self, session: &Session, arn: &str) -> Result<Option<Execution>, AwsError>;
    /// Stops an execution; stopping one that has ended changes nothing. `why` is error and cause for its history; `None` where the
    /// machine has a key of the account's own, whose permission they would need.
    async fn stop_execution(&self, session: &Session, arn: &str, why: Option<(&str, &str)>) -> Result<(), AwsError>;
    /// Lets a Standard execution that ended without success go on from where it failed. A repeat with the same token within 15
    /// minutes changes nothing.
    async fn redrive_execution(&self, session: &Session, arn: &str, token: &str) -> Result<(), AwsError>;
    /// A page of an execution's newest events, without their data; `older` is the token of the page before.
    async fn newest_events(
        &self,
        session: &Session,
        execution_arn: &str,
        older: Option<&str>,
    ) -> Result<HistoryPage, AwsError>;
    /// How far a Map Run is; `None` where there is none.
    async fn map_run_counts(&self, session: &Session, arn: &str) -> Result<Option<MapRunCounts>, AwsError>;
}

/// Queues of messages, read as the session's role.
#[async_trait]
pub trait MessageQueues: Send + Sync {
    /// At most ten messages; waits up to 20 s for the first.
    async fn receive(&self, session: &Session, queue_url: &str) -> Result<Vec<Message>, AwsError>;
    /// Deletes messages by their receipts; deleting one that is gone changes nothing.
    async fn delete(&self, session: &Session, queue_url: &str, receipts: &[String]) -> Result<(), AwsError>;
}
