//! The SDK behind the port: clients without any ambient configuration, and errors turned into ours.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_sfn::Client;
use aws_sdk_sfn::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::config::timeout::TimeoutConfig;
use aws_sdk_sfn::config::{BehaviorVersion, ConfigBag, Intercept, Region, RuntimeComponents, SharedHttpClient};
use aws_sdk_sfn::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::RequestId;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use moka::future::Cache;
use secrecy::ExposeSecret;
use url::Url;

use super::{AwsError, AwsErrorKind, Session};
use crate::audit;
use crate::metrics::Metrics;

/// Longest wait for one call, its retries included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Express executions end after five minutes; the answer of a synchronous start may take a little longer.
pub(super) const SYNC_TIMEOUT: Duration = Duration::from_secs(330);

/// The one HTTP client, with its connection pool, of all clients of AWS. It reads no environment.
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

/// Step Functions through the SDK.
pub struct SdkStepFunctions {
    http: SharedHttpClient,
    endpoint: Option<Url>,
    metrics: Arc<Metrics>,
    clients: Cache<String, Client>,
}

impl SdkStepFunctions {
    /// `endpoint` replaces AWS's regional endpoints.
    pub fn new(http: SharedHttpClient, endpoint: Option<Url>, metrics: Arc<Metrics>) -> Self {
        let clients = Cache::builder().max_capacity(10_000).time_to_idle(Duration::from_secs(3600)).build();
        Self { http, endpoint, metrics, clients }
    }

    /// The client of a session; an access key id belongs to exactly one.
    pub(super) async fn client(&self, session: &Session) -> Client {
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
        let mut config = aws_sdk_sfn::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(session.region.clone()))
            .http_client(self.http.clone())
            .credentials_provider(credentials)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(TimeoutConfig::builder().operation_timeout(CALL_TIMEOUT).build());
        if let Some(endpoint) = &self.endpoint {
            config = config
                .endpoint_url(endpoint.as_str().trim_end_matches('/'))
                .interceptor(PlainHost { authority: endpoint.authority().to_owned() });
        }
        Client::from_conf(config.build())
    }

    /// Makes one call: measures it, writes the audit line and turns the error into ours.
    pub(super) async fn call<T, E>(
        &self,
        session: &Session,
        operation: &'static str,
        target_arn: &str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    ) -> Result<T, AwsError>
    where
        T: RequestId,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let started = Instant::now();
        match call.await {
            Ok(answer) => {
                audit::call(session, operation, target_arn, answer.request_id().unwrap_or_default(), "Success");
                self.metrics.aws_call(operation, "success", started.elapsed());
                Ok(answer)
            }
            Err(error) => {
                let request_id = error
                    .raw_response()
                    .and_then(|raw| raw.headers().get("x-amzn-requestid"))
                    .unwrap_or_default()
                    .to_owned();
                let error = sdk_error(operation, &error);
                audit::call(session, operation, target_arn, &request_id, &error.code);
                self.metrics.aws_call(operation, "error", started.elapsed());
                Err(error)
            }
        }
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

/// Turns an error of the SDK into ours: by AWS's code, else by where the request got lost.
pub fn sdk_error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError
where
    E: ProvideErrorMetadata + Debug,
{
    let status = error.raw_response().map(|raw| raw.status().as_u16());
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("Unknown").to_owned();
            let message = sanitised(service.err().message().unwrap_or("AWS gave no message"));
            AwsError { kind: kind_of(&code, &message, status), operation, code, message }
        }
        SdkError::TimeoutError(_) => lost(operation, "Timeout", "no answer in time"),
        SdkError::DispatchFailure(_) => lost(operation, "ConnectionFailed", "the endpoint could not be reached"),
        SdkError::ResponseError(_) => lost(operation, "ResponseInvalid", "the answer could not be read"),
        _ => AwsError {
            kind: AwsErrorKind::Rejected,
            operation,
            code: "RequestInvalid".into(),
            message: "the request could not be built".into(),
        },
    }
}

fn lost(operation: &'static str, code: &str, message: &str) -> AwsError {
    AwsError { kind: AwsErrorKind::Unavailable, operation, code: code.into(), message: message.into() }
}

/// Codes of Step Functions and STS, and the messages by which AWS tells that a new role is not known yet everywhere.
fn kind_of(code: &str, message: &str, status: Option<u16>) -> AwsErrorKind {
    const ROLE_MESSAGES: [&str; 4] = [
        "Neither the global service principal",
        "is not authorized to assume the provided role",
        "managed-rule",
        "not authorized to access the Log Destination",
    ];
    if ROLE_MESSAGES.iter().any(|known| message.contains(known)) {
        return AwsErrorKind::RoleNotAssumable;
    }
    match code {
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            AwsErrorKind::Throttled
        }
        "AccessDenied"
        | "AccessDeniedException"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "RegionDisabledException" => AwsErrorKind::AccessDenied,
        "ExpiredToken" | "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            AwsErrorKind::SessionExpired
        }
        "IDPCommunicationError"
        | "ServiceUnavailable"
        | "InternalFailure"
        | "InternalServerError"
        | "ConflictException" => AwsErrorKind::Unavailable,
        "InvalidDefinition" => AwsErrorKind::InvalidDefinition,
        "InvalidExecutionInput" => AwsErrorKind::InvalidInput,
        "StateMachineAlreadyExists" => AwsErrorKind::NameTaken,
        "StateMachineDeleting" => AwsErrorKind::Deleting,
        "ExecutionAlreadyExists" => AwsErrorKind::ExecutionExists,
        "StateMachineDoesNotExist" | "ExecutionDoesNotExist" | "ResourceNotFound" => AwsErrorKind::NotFound,
        "StateMachineLimitExceeded" | "ExecutionLimitExceeded" | "ServiceQuotaExceededException" | "TooManyTags" => {
            AwsErrorKind::LimitExceeded
        }
        _ if status.is_some_and(|status| status >= 500) => AwsErrorKind::Unavailable,
        _ => AwsErrorKind::Rejected,
    }
}

/// Takes out what differs from one answer to the next or must not be shown: request ids and long opaque words such as
/// encoded authorization messages and tokens.
fn sanitised(message: &str) -> String {
    let mut words = Vec::new();
    for word in message.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_uuid = bare.len() == 36 && bare.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let is_opaque = bare.len() > 80 && !bare.starts_with("arn:");
        words.push(if is_uuid || is_opaque { word.replace(bare, "…") } else { word.to_owned() });
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_request_ids_give_the_same_message() {
        let with = |id: &str| sanitised(&format!("Rate exceeded (Service: Sfn, Request ID: {id})"));
        let first = with("6f6f3b7e-0f7a-4b6e-9d5c-0123456789ab");
        assert_eq!(first, with("11111111-2222-3333-4444-555555555555"));
        assert!(first.contains("Rate exceeded"));
    }

    #[test]
    fn opaque_words_are_dropped_and_arns_stay() {
        let arn = format!("arn:aws:states:eu-west-1:111122223333:stateMachine:{}", "a".repeat(80));
        let message = sanitised(&format!("token {} on {arn}", "eyJ".repeat(40)));
        assert_eq!(message, format!("token … on {arn}"));
    }

    #[test]
    fn a_role_that_aws_does_not_know_yet_is_told_from_a_denial() {
        let message = "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role.";
        assert_eq!(kind_of("AccessDeniedException", message, Some(400)), AwsErrorKind::RoleNotAssumable);
        assert_eq!(kind_of("AccessDeniedException", "User is not authorized", Some(400)), AwsErrorKind::AccessDenied);
        assert_eq!(kind_of("SomethingNew", "", Some(503)), AwsErrorKind::Unavailable);
        assert_eq!(kind_of("SomethingNew", "", Some(400)), AwsErrorKind::Rejected);
    }
}
