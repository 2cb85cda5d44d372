//! Activities.

use async_trait::async_trait;

use super::sdk::SdkStepFunctions;
use super::sdk_types::{encryption_of, sdk_tags};
use super::{AwsError, AwsErrorKind, Caller, MachineSettings, Tags};

/// Activities. Called as the session's role: one call is one request to AWS; retries are the adapter's where the call is safe to
/// repeat, and none where it is not.
#[async_trait]
pub trait Activities: Send + Sync {
    /// True when there is such an activity.
    async fn has_activity(&self, caller: &Caller, arn: &str) -> Result<bool, AwsError>;
    /// Creates an activity. One of the name that exists already is answered alike, whoever made it.
    async fn create_activity(
        &self,
        caller: &Caller,
        name: &str,
        settings: &MachineSettings,
        tags: &Tags,
    ) -> Result<(), AwsError>;
    /// Deletes an activity; deleting an absent one changes nothing.
    async fn delete_activity(&self, caller: &Caller, arn: &str) -> Result<(), AwsError>;
}

#[async_trait]
impl Activities for SdkStepFunctions {
    async fn has_activity(&self, caller: &Caller, arn: &str) -> Result<bool, AwsError> {
        let call = self.client(caller).describe_activity().activity_arn(arn).send();
        match self.call(caller, "states:DescribeActivity", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(false),
            other => other.map(|_| true),
        }
    }

    async fn create_activity(
        &self,
        caller: &Caller,
        name: &str,
        settings: &MachineSettings,
        tags: &Tags,
    ) -> Result<(), AwsError> {
        let request = self.client(caller).create_activity().name(name).set_tags(Some(sdk_tags(tags)));
        let call = request.set_encryption_configuration(encryption_of(settings, false)).send();
        self.call(caller, "states:CreateActivity", name, call).await.map(drop)
    }

    async fn delete_activity(&self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        let call = self.client(caller).delete_activity().activity_arn(arn).send();
        match self.call(caller, "states:DeleteActivity", arn, call).await {
            Err(error) if error.kind == AwsErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }
}
