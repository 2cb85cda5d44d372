//! The SDK behind the port: clients without any ambient configuration, and errors turned into ours.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_sfn::config::{ConfigBag, Intercept, RuntimeComponents, SharedHttpClient};
use aws_sdk_sfn::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::RequestId;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use url::Url;

use super::call;
use super::gate::config;
use super::quota::{self, Quotas};
use super::{AwsError, AwsErrorKind, Caller, Priority, Session};
use crate::config::Endpoints;
use crate::metrics::Metrics;
use crate::reason::Reason;

/// Longest wait for one call, its retries included.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Express executions end after five minutes; the answer of a synchronous start may take a little longer.
pub(super) const SYNC_TIMEOUT: Duration = Duration::from_secs(330);

/// The one HTTP client, with its connection pool, of all clients of AWS. It reads no environment.
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

/// Step Functions through the SDK.
pub struct SdkStepFunctions {
    pub(super) http: SharedHttpClient,
    endpoint: Option<Url>,
    pub(super) cloudwatch_endpoint: Option<Url>,
    pub(super) logs_endpoint: Option<Url>,
    pub(super) iam_endpoint: Option<Url>,
    metrics: Arc<Metrics>,
    quotas: Quotas,
}

impl SdkStepFunctions {
    /// `endpoints` replace AWS's regional ones; `quota_share` is the part of AWS's quotas that may be used.
    pub fn new(http: SharedHttpClient, endpoints: &Endpoints, metrics: Arc<Metrics>, quota_share: f64) -> Self {
        let (endpoint, cloudwatch_endpoint) = (endpoints.step_functions.clone(), endpoints.cloudwatch.clone());
        let (iam_endpoint, logs_endpoint) = (endpoints.iam.clone(), endpoints.logs.clone());
        let quotas = Quotas::new(quota_share);
        Self { http, endpoint, cloudwatch_endpoint, logs_endpoint, iam_endpoint, metrics, quotas }
    }

    /// A client that signs with a session. It is made for a call: most sessions make few, and a client that waits for the next
    /// takes more room than the session.
    pub(super) fn client(&self, session: &Session) -> Client {
        let mut config = config!(aws_sdk_sfn, self.http, session, &self.endpoint, CALL_TIMEOUT);
        if let Some(endpoint) = &self.endpoint {
            config = config.interceptor(PlainHost { authority: endpoint.authority().to_owned() });
        }
        Client::from_conf(config.build())
    }

    /// Changes the part of AWS's quotas that may be used.
    pub fn set_quota_share(&self, share: f64) {
        self.quotas.set_share(share);
    }

    /// Makes one call through the session's gate, within the quota.
    pub(super) async fn call<T, E>(
        &self,
        caller: &Caller,
        operation: &'static str,
        target_arn: &str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, AwsError>
    where
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        caller.gate.check(operation)?;
        let tenant = tenant_of(caller);
        if let Err(wait) = self.quotas.take(quota_call(caller, operation, &tenant), Instant::now()) {
            self.metrics.quota_wait(operation, wait);
            return Err(queued(operation, wait));
        }
        // On the heap: the futures of the SDK are large, and those around them would hold them several times.
        let answer = call::call(caller, &self.metrics, operation, target_arn, Box::pin(call)).await;
        if answer.as_ref().is_err_and(|refusal| refusal.kind == AwsErrorKind::Throttled) {
            self.quotas.throttled(quota_call(caller, operation, &tenant), Instant::now());
        }
        answer
    }
}

/// How much of the quotas is left, before a call is made.
pub trait CallQuota: Send + Sync {
    /// Fails as a call of the operation would for want of quota, without making it.
    fn has_quota(&self, session: &Session, operation: &'static str) -> Result<(), AwsError>;
    /// Time until the quota has a token for a call of that priority; zero where it has one now. Takes nothing: those of
    /// lower priority ask before they call.
    fn quota_wait(&self, session: &Session, operation: &'static str, priority: Priority) -> Duration;
}

impl CallQuota for SdkStepFunctions {
    fn has_quota(&self, session: &Session, operation: &'static str) -> Result<(), AwsError> {
        let wait = self.quota_wait(session, operation, Priority::Change);
        if wait.is_zero() { Ok(()) } else { Err(queued(operation, wait)) }
    }

    fn quota_wait(&self, session: &Session, operation: &'static str, priority: Priority) -> Duration {
        let tenant = tenant_of(session);
        let call = quota::Call { priority, ..quota_call(session, operation, &tenant) };
        self.quotas.wait(call, Instant::now())
    }
}

/// Those that share a quota fairly: the bindings.
fn tenant_of(session: &Session) -> String {
    format!("{}/{}", session.origin.namespace, session.origin.binding)
}

fn quota_call<'a>(session: &'a Session, operation: &'a str, tenant: &'a str) -> quota::Call<'a> {
    quota::Call { account: &session.account_id, region: &session.region, operation, tenant, priority: Priority::Change }
}

fn queued(operation: &'static str, wait: Duration) -> AwsError {
    tracing::debug!(operation, ?wait, "no quota left for now");
    AwsError {
        kind: AwsErrorKind::Queued,
        operation,
        code: Reason::WaitingForQuota.as_str().into(),
        message: "the operator's share of the quota is used up for now".into(),
    }
}

/// Takes the `sync-` prefix off the host again: it belongs to AWS's own endpoints, and a private or test endpoint has
/// no such name.
#[derive(Debug)]
struct PlainHost {
    authority: String,
}

impl Intercept for PlainHost {
    fn name(&self) -> &'static str {
        "PlainHost"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let prefixed = format!("sync-{}", self.authority);
        let plain = request.uri().replacen(&prefixed, &self.authority, 1);
        request.set_uri(plain)?;
        Ok(())
    }
}
