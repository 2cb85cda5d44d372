//! Logs: JSON lines for machines or text for people, filtered by `RUST_LOG`.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::audit;
use crate::config::LogFormat;

/// Crates through which requests and answers travel as bytes or headers, tokens and credentials among them. `aws_` is
/// the beginning of many.
const CARRIERS: [&str; 7] = ["aws_", "h2", "hyper", "rustls", "tower", "reqwest", "kube_client::client"];

/// Starts the log. Audit lines are always in it.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(lines(format, filter, std::io::stderr)).init();
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
    let lines = fmt::layer().with_writer(writer);
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
