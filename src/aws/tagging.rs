//! Tags of state machines and activities.

use async_trait::async_trait;

use super::sdk::SdkStepFunctions;
use super::sdk_types::sdk_tags;
use super::{AwsError, Caller, Tags};

/// Tags of state machines and activities. Called as the session's role: one call is one request to AWS; retries are the adapter's where the call is safe to
/// repeat, and none where it is not.
#[async_trait]
pub trait Tagging: Send + Sync {
    /// All tags of a state machine.
    async fn list_tags(&self, caller: &Caller, arn: &str) -> Result<Tags, AwsError>;
    /// Sets tags.
    async fn tag(&self, caller: &Caller, arn: &str, tags: &Tags) -> Result<(), AwsError>;
    /// Removes tags.
    async fn untag(&self, caller: &Caller, arn: &str, keys: &[String]) -> Result<(), AwsError>;
}

#[async_trait]
impl Tagging for SdkStepFunctions {
    async fn list_tags(&self, caller: &Caller, arn: &str) -> Result<Tags, AwsError> {
        let call = self.client(caller).list_tags_for_resource().resource_arn(arn).send();
        let listed = self.call(caller, "states:ListTagsForResource", arn, call).await?;
        Ok(listed.tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value?))).collect())
    }

    async fn tag(&self, caller: &Caller, arn: &str, tags: &Tags) -> Result<(), AwsError> {
        let call = self.client(caller).tag_resource().resource_arn(arn).set_tags(Some(sdk_tags(tags))).send();
        self.call(caller, "states:TagResource", arn, call).await.map(drop)
    }

    async fn untag(&self, caller: &Caller, arn: &str, keys: &[String]) -> Result<(), AwsError> {
        let request = self.client(caller).untag_resource().resource_arn(arn);
        let call = request.set_tag_keys(Some(keys.to_vec())).send();
        self.call(caller, "states:UntagResource", arn, call).await.map(drop)
    }
}
