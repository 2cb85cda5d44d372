//! Logs: JSON lines for machines or text for people, filtered by `RUST_LOG`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::LogFormat;

/// Starts the log. HTTP bodies carry tokens, so the crates that could print them are never taken below `info`,
/// whatever `RUST_LOG` says.
pub fn start(format: LogFormat) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    for target in [
        "hyper",
        "hyper_util",
        "h2",
        "rustls",
        "tower",
        "aws_smithy_runtime",
        "aws_sdk_sts",
        "aws_runtime",
        "aws_sigv4",
    ] {
        if let Ok(directive) = format!("{target}=info").parse() {
            filter = filter.add_directive(directive);
        }
    }
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.init(),
    }
}
