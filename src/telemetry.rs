//! Logs: JSON lines for machines or text for people, filtered by `RUST_LOG`. Traces: by OTLP where an endpoint is given.

use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use url::Url;

use crate::audit;
use crate::config::LogFormat;

/// Crates through which requests and answers travel as bytes or headers, tokens and credentials among them. `aws_` is
/// the beginning of many.
const CARRIERS: [&str; 7] = ["aws_", "h2", "hyper", "rustls", "tower", "reqwest", "kube_client::client"];

/// Sends what is left of the traces when it is dropped.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::warn!(%error, "some traces were not sent");
        }
    }
}

/// Starts the log, in which audit lines always are, and the traces where a collector is named. Needs tokio's runtime.
///
/// # Errors
/// When the endpoint of the collector cannot be one.
pub fn start(format: LogFormat, collector: Option<&Url>) -> Result<Traces, ExporterBuildError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let provider = collector.map(provider).transpose()?;
    let traces = provider.as_ref().map(|provider| spans(provider.tracer("stepbound")));
    tracing_subscriber::registry().with(lines(format, filter, std::io::stderr)).with(traces).init();
    Ok(Traces(provider))
}

fn provider(collector: &Url) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(collector.as_str()).build()?;
    let resource = Resource::builder().with_service_name("stepbound").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The layer that makes traces of our own spans: one a reconcile, the calls of AWS under it. Events stay in the log.
fn spans<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("stepbound"));
    tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false).with_filter(ours)
}

/// The trace under way, where there is one that is kept.
fn sampled() -> Option<SpanContext> {
    let context = Span::current().context();
    let span = context.span().span_context().clone();
    (span.is_valid() && span.is_sampled()).then_some(span)
}

/// Id of the trace under way, for exemplars.
pub fn trace_id() -> Option<String> {
    sampled().map(|span| span.trace_id().to_string())
}

/// X-Ray's header for an execution whose trace has this root. It is kept in X-Ray where the trace under way is kept here.
/// Source: the X-Ray developer guide, "Tracing header".
pub fn xray_header(root: &str) -> String {
    format!("Root={root}{}", if sampled().is_some() { ";Sampled=1" } else { "" })
}

/// The layer that writes lines, with the two rules that no `RUST_LOG` changes.
fn lines<S, W>(format: LogFormat, mut filter: EnvFilter, writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    if let Ok(directive) = format!("{}=info", audit::TARGET).parse() {
        filter = filter.add_directive(directive);
    }
    // A line that cannot be written is no reason to end, and would be told to the same closed pipe.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    lines.with_filter(filter.and(filter_fn(may_be_logged)))
}

/// False for what could print a token, whatever `RUST_LOG` says: anything below `info` of the crates that carry them.
pub(crate) fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || !CARRIERS.iter().any(|carrier| metadata.target().starts_with(carrier))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};
    use std::sync::Mutex;

    use opentelemetry_sdk::trace::SpanData;

    use super::*;

    /// What is written under a `RUST_LOG` while some crates say their worst.
    fn written(rust_log: &str) -> String {
        let mut file = tempfile::tempfile().unwrap();
        let layer = lines(LogFormat::Json, EnvFilter::new(rust_log), Mutex::new(file.try_clone().unwrap()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: "audit", "audited");
            tracing::info!("informed");
            tracing::trace!("traced");
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "canary");
            tracing::debug!(target: "hyper::proto::h1", "canary");
            tracing::trace!(target: "kube_client::client::body", "canary");
            tracing::info!(target: "hyper::proto::h1", "harmless");
        });
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn an_execution_is_part_of_the_trace_that_starts_it_where_traces_are_kept() {
        assert_eq!((trace_id(), xray_header("1-0-a").as_str()), (None, "Root=1-0-a"));
        let provider = SdkTracerProvider::builder().build();
        let layer = spans(provider.tracer("stepbound"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _inside = tracing::info_span!(target: "stepbound::test", "reconcile").entered();
            let trace = trace_id().unwrap();
            assert_eq!(xray_header("1-0-a"), "Root=1-0-a;Sampled=1");
            drop(tracing::info_span!(target: "hyper", "request").entered());
            assert_eq!(trace_id(), Some(trace), "a span of somebody else ends none of ours");
        });
    }

    /// Keeps what a collector would get.
    #[derive(Clone, Debug, Default)]
    struct Kept(std::sync::Arc<Mutex<Vec<SpanData>>>);

    impl opentelemetry_sdk::trace::SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> opentelemetry_sdk::error::OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    #[test]
    fn a_reconcile_is_a_trace_and_its_aws_calls_are_children() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let layer = spans(provider.tracer("stepbound"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let reconcile =
                tracing::info_span!(target: "stepbound::controllers", "reconcile", kind = "Workflow").entered();
            let call = tracing::info_span!(target: "stepbound::aws", "aws_call", otel.name = "states:StartExecution", otel.kind = "client");
            drop(call.entered());
            drop(reconcile);
        });
        let spans = kept.0.lock().unwrap();
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let (call, reconcile) = (named("states:StartExecution"), named("reconcile"));
        assert_eq!(call.parent_span_id, reconcile.span_context.span_id());
        assert_eq!(call.span_context.trace_id(), reconcile.span_context.trace_id());
        assert!(reconcile.attributes.iter().any(|one| one.key.as_str() == "kind" && one.value.as_str() == "Workflow"));
    }

    #[test]
    fn carriers_of_secrets_stay_quiet_whatever_is_asked_for() {
        for rust_log in ["trace", "aws_smithy_runtime::client::orchestrator=trace,hyper::proto=trace,trace"] {
            let text = written(rust_log);
            assert!(text.contains("traced") && text.contains("harmless"), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn audit_lines_are_written_at_any_level() {
        for rust_log in ["error", "off", "audit=off"] {
            let text = written(rust_log);
            assert!(text.contains("audited"), "{rust_log}: {text}");
            assert!(!text.contains("informed"), "{rust_log}: {text}");
        }
    }
}
