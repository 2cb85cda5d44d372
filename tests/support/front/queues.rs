//! SQS: authorized as IAM has it, and passed on. The emulator finds a queue by account and name, whatever the host.

use axum::http::HeaderMap;
use serde_json::Value;

use super::policy::Request;
use super::states::Answer;
use super::{Shared, error_json, root};

impl Shared {
    /// A batch needs the right to the single call (service authorization reference, SQS).
    pub(super) async fn queues(&self, operation: &str, headers: &HeaderMap, body: String) -> Answer {
        let authorization = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = authorization.split("Credential=").nth(1).and_then(|rest| rest.split('/').next());
        let session = key.and_then(|key| self.sessions.lock().unwrap().get(key).cloned());
        let Some(session) = session else {
            return (403, error_json("InvalidClientTokenId", "The security token included in the request is invalid."));
        };
        let request: Value = serde_json::from_str(&body).unwrap_or_default();
        let mut path = request["QueueUrl"].as_str().unwrap_or_default().rsplit('/');
        let (name, account) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
        let resource = format!("arn:aws:sqs:eu-west-1:{account}:{name}");
        let action = format!("sqs:{}", operation.trim_end_matches("Batch"));
        let context = std::collections::BTreeMap::new();
        if !self.allowed(&session, &Request { action: &action, resource: &resource, context: &context }).await {
            let message = format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy allows the {action} action",
                session.role_arn
            );
            return (403, error_json("AccessDenied", &message));
        }
        let sent = self.http.post(&self.upstream).header("authorization", root("sqs"));
        let sent = sent.header("x-amz-target", format!("AmazonSQS.{operation}"));
        let answer = sent.header("content-type", "application/x-amz-json-1.0").body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}
