//! SQS through the SDK.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Region, SharedHttpClient, StalledStreamProtectionConfig};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::RequestId;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use moka::future::Cache;
use secrecy::ExposeSecret;
use url::Url;

use super::sdk::{refused_request_id, sdk_error};
use super::{AwsError, AwsErrorKind, Message, MessageQueues, Session};
use crate::audit;
use crate::metrics::Metrics;

/// Longest wait for messages in one call (`ReceiveMessage`, parameter `WaitTimeSeconds`).
const LONG_POLL_SECONDS: i32 = 20;
/// Most messages in one call (`ReceiveMessage`, parameter `MaxNumberOfMessages`).
const MOST_MESSAGES: i32 = 10;

/// Queues. The queue's URL is a parameter; the call always goes to the region's endpoint.
pub struct SdkQueues {
    http: SharedHttpClient,
    endpoint: Option<Url>,
    metrics: Arc<Metrics>,
    clients: Cache<String, Client>,
}

impl SdkQueues {
    /// `endpoint` replaces AWS's regional endpoints.
    pub fn new(http: SharedHttpClient, endpoint: Option<Url>, metrics: Arc<Metrics>) -> Self {
        let clients = Cache::builder().max_capacity(1_000).time_to_idle(Duration::from_secs(3600)).build();
        Self { http, endpoint, metrics, clients }
    }

    async fn client(&self, session: &Session) -> Client {
        self.clients.get_with_by_ref(&session.credentials.access_key_id, async { self.build(session) }).await
    }

    fn build(&self, session: &Session) -> Client {
        let credentials = SdkCredentials::new(
            session.credentials.access_key_id.clone(),
            session.credentials.secret_access_key.expose_secret(),
            Some(session.credentials.session_token.expose_secret().to_owned()),
            None,
            "stepbound",
        );
        let timeout = Duration::from_secs(u64::from(LONG_POLL_SECONDS.unsigned_abs()) + 10);
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(session.region.clone()))
            .http_client(self.http.clone())
            .credentials_provider(credentials)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            // Nothing is sent while the queue is empty, which is not a stalled connection.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(timeout).build());
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        Client::from_conf(config.build())
    }

    /// Makes one call, measures it and writes the audit line. SQS has no quota of calls worth keeping.
    async fn call<T: RequestId, E>(
        &self,
        session: &Session,
        operation: &'static str,
        queue_url: &str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let started = Instant::now();
        let record = audit::Record::begin(|cause, request_id, outcome| {
            audit::call(cause, session, operation, queue_url, request_id, outcome);
        });
        match call.await {
            Ok(answer) => {
                record.end(answer.request_id().unwrap_or_default(), "Success");
                self.metrics.aws_call(operation, "success", started.elapsed());
                Ok(answer)
            }
            Err(error) => {
                let refusal = sdk_error(operation, &error);
                record.end(refused_request_id(&error), &refusal.code);
                self.metrics.aws_call(operation, "error", started.elapsed());
                if refusal.kind == AwsErrorKind::SessionExpired {
                    session.ended.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                Err(refusal)
            }
        }
    }
}

#[async_trait]
impl MessageQueues for SdkQueues {
    async fn receive(&self, session: &Session, queue_url: &str) -> Result<Vec<Message>, AwsError> {
        let request = self.client(session).await.receive_message().queue_url(queue_url);
        let call = request.max_number_of_messages(MOST_MESSAGES).wait_time_seconds(LONG_POLL_SECONDS).send();
        let received = self.call(session, "sqs:ReceiveMessage", queue_url, call).await?;
        let message =
            |one: aws_sdk_sqs::types::Message| Some(Message { body: one.body?, receipt: one.receipt_handle? });
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    async fn delete(&self, session: &Session, queue_url: &str, receipts: &[String]) -> Result<(), AwsError> {
        let entry = |(index, receipt): (usize, &String)| {
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt).build().ok()
        };
        let entries = receipts.iter().enumerate().filter_map(entry).collect();
        let request = self.client(session).await.delete_message_batch().queue_url(queue_url);
        self.call(session, "sqs:DeleteMessage", queue_url, request.set_entries(Some(entries)).send()).await.map(drop)
    }
}
