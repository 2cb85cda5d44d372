//! The one way in which AWS is called, of whatever service: through the session's gate.

use std::error::Error;
use std::time::Instant;

use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sfn::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tracing::Instrument;

use super::gate::{Closed, given_up};
use super::sdk_error::{refused_request_id, sdk_error};
use super::{AwsError, AwsErrorKind, Caller};
use crate::audit;
use crate::metrics::Metrics;

/// Makes one call: asks the gate, measures it, writes the audit line and turns the error into ours.
pub(super) async fn call<T, E>(
    caller: &Caller,
    metrics: &Metrics,
    operation: &'static str,
    target: &str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
) -> Result<T, AwsError>
where
    T: RequestId,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    caller.gate.check(operation)?;
    let started = Instant::now();
    let record =
        audit::Record::begin(|request_id, outcome| audit::call(caller, operation, target, request_id, outcome));
    let span = tracing::info_span!("aws_call", otel.name = operation, otel.kind = "client", target_arn = target);
    match call.instrument(span).await {
        Ok(answer) => {
            record.end(answer.request_id().unwrap_or_default(), "Success");
            metrics.aws_call(operation, "success", started.elapsed());
            Ok(answer)
        }
        Err(error) => {
            let refusal = if was_closed(&error) { given_up(operation) } else { sdk_error(operation, &error) };
            record.end(refused_request_id(&error), &refusal.code);
            metrics.aws_call(operation, refusal.kind.label(), started.elapsed());
            if refusal.kind == AwsErrorKind::SessionExpired {
                caller.gate.expire();
            }
            Err(refusal)
        }
    }
}

fn was_closed(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if this.is::<Closed>() {
            return true;
        }
        cause = this.source();
    }
    false
}
