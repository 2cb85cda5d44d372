//! Logs: JSON lines for machines or text for people, filtered by `RUST_LOG`.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::audit;
use crate::config::LogFormat;

/// Crates through which requests and answers travel as bytes or headers, tokens and credentials among them. `aws_` is
/// the beginning of many.
const CARRIERS: [&str; 7] = ["aws_", "h2", "hyper", "rustls", "tower", "reqwest", "kube_client::client"];

/// Starts the log. Audit lines are always in it.
pub fn start(format: LogFormat) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    if let Ok(directive) = format!("{}=info", audit::TARGET).parse() {
        filter = filter.add_directive(directive);
    }
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter).with_filter(filter_fn(may_be_logged))).init();
}

/// False for what could print a token, whatever `RUST_LOG` says: anything below `info` of the crates that carry them.
pub(crate) fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || !CARRIERS.iter().any(|carrier| metadata.target().starts_with(carrier))
}
