//! SQS through the SDK.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{SharedHttpClient, StalledStreamProtectionConfig};
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use url::Url;

use super::call;
use super::gate::{config, given_up};
use super::{AwsError, Caller, Message, Session};
use crate::metrics::Metrics;

/// Longest wait for messages in one call (`ReceiveMessage`, parameter `WaitTimeSeconds`).
const LONG_POLL_SECONDS: i32 = 20;
/// Longest wait for one call, its retries included.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most messages in one call (`ReceiveMessage`, parameter `MaxNumberOfMessages`).
const MOST_MESSAGES: i32 = 10;
const RECEIVE: &str = "sqs:ReceiveMessage";

/// Queues. The queue's URL is a parameter; the call always goes to the region's endpoint. SQS has no quota of calls worth keeping.
pub struct SdkQueues {
    http: SharedHttpClient,
    endpoint: Option<Url>,
    metrics: Arc<Metrics>,
}

impl SdkQueues {
    /// `endpoint` replaces AWS's regional endpoints.
    pub fn new(http: SharedHttpClient, endpoint: Option<Url>, metrics: Arc<Metrics>) -> Self {
        Self { http, endpoint, metrics }
    }

    fn client(&self, session: &Session) -> Client {
        let config = config!(aws_sdk_sqs, self.http, session, &self.endpoint, TIMEOUT);
        // Nothing is sent while the queue is empty, which is not a stalled connection.
        let config = config.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        Client::from_conf(config.build())
    }
}

/// Queues of messages, read as the session's role.
#[async_trait]
pub trait Queues: Send + Sync {
    /// At most ten messages; waits up to 20 s for the first.
    async fn receive(&self, caller: &Caller, queue_url: &str) -> Result<Vec<Message>, AwsError>;
    /// Deletes messages by their receipts; deleting one that is gone changes nothing.
    async fn delete(&self, caller: &Caller, queue_url: &str, receipts: &[String]) -> Result<(), AwsError>;
}

#[async_trait]
impl Queues for SdkQueues {
    async fn receive(&self, caller: &Caller, queue_url: &str) -> Result<Vec<Message>, AwsError> {
        let request = self.client(caller).receive_message().queue_url(queue_url);
        let call = request.max_number_of_messages(MOST_MESSAGES).wait_time_seconds(LONG_POLL_SECONDS).send();
        let received = tokio::select! {
            received = call::call(caller, &self.metrics, RECEIVE, queue_url, call) => received?,
            // A wait of this length is broken off; what was received meanwhile comes again to whoever may read it.
            () = caller.gate.closed() => return Err(given_up(RECEIVE)),
        };
        // Nothing is believed that came in after the end.
        caller.gate.check(RECEIVE)?;
        let message =
            |one: aws_sdk_sqs::types::Message| Some(Message { body: one.body?, receipt: one.receipt_handle? });
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    async fn delete(&self, caller: &Caller, queue_url: &str, receipts: &[String]) -> Result<(), AwsError> {
        let entry = |(index, receipt): (usize, &String)| {
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt).build().ok()
        };
        let entries = receipts.iter().enumerate().filter_map(entry).collect();
        let request = self.client(caller).delete_message_batch().queue_url(queue_url).set_entries(Some(entries));
        call::call(caller, &self.metrics, "sqs:DeleteMessage", queue_url, request.send()).await.map(drop)
    }
}
