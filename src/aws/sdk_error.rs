//! Errors of the SDK, turned into ours.

use std::fmt::Debug;

use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::error::{TIMEOUT, UNCONNECTED};
use super::sanitise::sanitised;
use super::{AwsError, AwsErrorKind};
use crate::outcome::bounded;

/// AWS's id of a request that it refused, as CloudTrail shows it; empty where no answer came.
pub(crate) fn refused_request_id<E>(error: &SdkError<E, HttpResponse>) -> &str {
    error.raw_response().and_then(|raw| raw.headers().get("x-amzn-requestid")).unwrap_or_default()
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
            let message = bounded(&sanitised(service.err().message().unwrap_or("AWS gave no message")));
            AwsError { kind: kind_of(&code, &message, status), operation, code, message }
        }
        SdkError::TimeoutError(_) => lost(operation, TIMEOUT, "no answer in time"),
        SdkError::DispatchFailure(_) => lost(operation, UNCONNECTED, "the endpoint could not be reached"),
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
pub(super) fn kind_of(code: &str, message: &str, status: Option<u16>) -> AwsErrorKind {
    const ROLE_MESSAGES: [&str; 4] = [
        "Neither the global service principal",
        "not authorized to assume",
        "managed-rule",
        "not authorized to access the Log Destination",
    ];
    if ROLE_MESSAGES.iter().any(|known| message.contains(known)) {
        return AwsErrorKind::RoleNotAssumable;
    }
    match code {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "KmsThrottlingException" => AwsErrorKind::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "KmsAccessDeniedException"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "RegionDisabledException" => AwsErrorKind::AccessDenied,
        "KmsInvalidStateException" => AwsErrorKind::KeyUnusable,
        "ExpiredToken" | "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            AwsErrorKind::SessionExpired
        }
        "IDPCommunicationError"
        | "ServiceUnavailable"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerException"
        | "RequestExpired"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ConflictException" => AwsErrorKind::Unavailable,
        "InvalidDefinition" => AwsErrorKind::InvalidDefinition,
        "InvalidExecutionInput" => AwsErrorKind::InvalidInput,
        "StateMachineAlreadyExists" | "ActivityAlreadyExists" => AwsErrorKind::NameTaken,
        "StateMachineDeleting" => AwsErrorKind::Deleting,
        "ExecutionAlreadyExists" => AwsErrorKind::ExecutionExists,
        "ExecutionNotRedrivable" => AwsErrorKind::NotRedrivable,
        "StateMachineDoesNotExist"
        | "ExecutionDoesNotExist"
        | "ActivityDoesNotExist"
        | "ResourceNotFound"
        | "ResourceNotFoundException" => AwsErrorKind::NotFound,
        "StateMachineLimitExceeded" | "ExecutionLimitExceeded" | "ServiceQuotaExceededException" | "TooManyTags" => {
            AwsErrorKind::LimitExceeded
        }
        _ if status == Some(429) => AwsErrorKind::Throttled,
        _ if status.is_some_and(|status| status >= 500) => AwsErrorKind::Unavailable,
        _ => AwsErrorKind::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_aws_does_not_know_yet_is_told_from_a_denial() {
        for message in [
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the provided role.",
            "'arn:aws:iam::111122223333:role/x' is not authorized to create managed-rule.",
            "The state machine IAM Role is not authorized to access the Log Destination",
        ] {
            assert_eq!(kind_of("AccessDeniedException", message, Some(400)), AwsErrorKind::RoleNotAssumable);
        }
        let denied = "User: arn:aws:sts::111122223333:assumed-role/a/b is not authorized to perform: iam:PassRole";
        assert_eq!(kind_of("AccessDeniedException", denied, Some(400)), AwsErrorKind::AccessDenied);
        let trust = "Not authorized to perform sts:AssumeRoleWithWebIdentity";
        assert_eq!(kind_of("AccessDenied", trust, Some(403)), AwsErrorKind::AccessDenied);
    }

    #[test]
    fn codes_lead_to_the_action_that_they_call_for() {
        use AwsErrorKind::{
            AccessDenied, Deleting, ExecutionExists, InvalidDefinition, InvalidInput, LimitExceeded, NameTaken,
            NotFound, NotRedrivable, Rejected, SessionExpired, Throttled, Unavailable,
        };
        for (code, status, kind) in [
            ("ThrottlingException", 400, Throttled),
            ("TooManyRequestsException", 429, Throttled),
            ("SomethingNew", 429, Throttled),
            ("KmsThrottlingException", 400, Throttled),
            ("KmsAccessDeniedException", 400, AccessDenied),
            ("InvalidIdentityToken", 400, AccessDenied),
            ("IDPRejectedClaim", 403, AccessDenied),
            ("RegionDisabledException", 403, AccessDenied),
            ("ExpiredTokenException", 400, SessionExpired),
            ("UnrecognizedClientException", 400, SessionExpired),
            ("IDPCommunicationError", 400, Unavailable),
            ("SomethingNew", 503, Unavailable),
            ("InvalidDefinition", 400, InvalidDefinition),
            ("InvalidExecutionInput", 400, InvalidInput),
            ("StateMachineAlreadyExists", 400, NameTaken),
            ("StateMachineDeleting", 400, Deleting),
            ("ExecutionAlreadyExists", 400, ExecutionExists),
            ("ExecutionNotRedrivable", 400, NotRedrivable),
            ("StateMachineDoesNotExist", 400, NotFound),
            ("ExecutionDoesNotExist", 400, NotFound),
            ("StateMachineLimitExceeded", 400, LimitExceeded),
            ("PackedPolicyTooLarge", 400, Rejected),
            ("SomethingNew", 400, Rejected),
        ] {
            assert_eq!(kind_of(code, "", Some(status)), kind, "{code} {status}");
        }
    }
}
