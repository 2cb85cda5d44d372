//! `stepbound mcp`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use kube::Config;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::config::LogFormat;
use crate::server::{McpServing, McpServingError, serve_mcp};
use crate::telemetry;

/// Audiences whose tokens are good elsewhere: a token for one of them would come from somebody who may use it there.
const TAKEN: [&str; 2] = ["kubernetes.default.svc", "sts.amazonaws.com"];

/// Flags of `stepbound mcp`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("transport").required(true).args(["cert_dir", "insecure_http"])))]
pub(super) struct McpFlags {
    /// Where agents reach this server, which is the audience of their tokens: `https://stepbound-mcp.stepbound-mcp.svc/mcp`
    #[arg(long, env = "STEPBOUND_MCP_URL", value_name = "URL")]
    url: Url,
    /// Another host that clients may name (repeatable)
    #[arg(long = "allowed-host", env = "STEPBOUND_MCP_ALLOWED_HOST", value_delimiter = ',', value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// Address to listen on
    #[arg(long, env = "STEPBOUND_MCP_LISTEN_ADDR", default_value = "0.0.0.0:8443", value_name = "ADDRESS")]
    listen_addr: SocketAddr,
    /// Address of /healthz and /readyz
    #[arg(long, env = "STEPBOUND_HTTP_ADDR", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    http_addr: SocketAddr,
    /// Folder with the certificate, tls.crt and tls.key, which is read again when it changes
    #[arg(long, env = "STEPBOUND_MCP_CERT_DIR", value_name = "FOLDER")]
    cert_dir: Option<PathBuf>,
    /// Serve without TLS: only where a mesh encrypts what goes between pods
    #[arg(long, env = "STEPBOUND_MCP_INSECURE_HTTP")]
    insecure_http: bool,
    /// How often one account may call
    #[arg(long, env = "STEPBOUND_MCP_CALLS_PER_SECOND", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "NUMBER")]
    calls_per_second: u32,
    /// How many calls of one account may be under way
    #[arg(long, env = "STEPBOUND_MCP_CALLS_AT_ONCE", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=128), value_name = "NUMBER")]
    calls_at_once: u32,
    /// Format of the log
    #[arg(long, env = "STEPBOUND_LOG_FORMAT", default_value = "json", value_enum)]
    log_format: LogFormat,
}

/// Why agents are not served.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// A flag cannot work.
    #[error("{0}")]
    Flag(String),
    /// The runtime cannot start, or a signal handler cannot be set.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// The log cannot be written as asked.
    #[error("cannot log: {0}")]
    Log(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The API server cannot be found.
    #[error(
        "cannot find the API server: {0}. It is looked for as kubectl does: KUBECONFIG, then the pod's own account"
    )]
    Cluster(#[from] kube::config::InferConfigError),
    /// It cannot be served.
    #[error(transparent)]
    Serve(#[from] McpServingError),
}

pub(super) fn run(flags: &McpFlags) -> Result<(), McpError> {
    let serving = serving(flags_checked(flags)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let _log = telemetry::start(flags.log_format, None)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let config = Config::infer().await?;
        tokio::select! {
            ended = serve_mcp(serving, config) => Ok(ended?),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

fn flags_checked(flags: &McpFlags) -> Result<&McpFlags, McpError> {
    let (url, refuse) = (&flags.url, |why: &str| Err(McpError::Flag(format!("--url {}: {why}", flags.url))));
    let Some(host) = url.host_str() else { return refuse("it has no host") };
    if !matches!(url.scheme(), "https" | "http") {
        return refuse("write https:// or, behind a mesh, http://");
    }
    if (url.scheme() == "http") != flags.insecure_http {
        return refuse("http:// goes with --insecure-http and https:// with --cert-dir");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return refuse("it has only a host and a path");
    }
    if url.path().trim_end_matches('/').is_empty() || url.path().ends_with('/') {
        return refuse("give it a path without / at its end, such as /mcp");
    }
    if TAKEN.iter().any(|taken| host == *taken || host.starts_with(&format!("{taken}."))) {
        return refuse("tokens for this audience are good elsewhere; it has to be this server's own");
    }
    Ok(flags)
}

fn serving(flags: &McpFlags) -> McpServing {
    McpServing {
        url: flags.url.clone(),
        hosts: flags.allowed_hosts.clone(),
        address: flags.listen_addr,
        health: flags.http_addr,
        certificate: flags.cert_dir.clone(),
        calls_per_second: f64::from(flags.calls_per_second),
        at_once: usize::try_from(flags.calls_at_once).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: McpFlags,
    }

    fn told(arguments: &[&str]) -> String {
        match Line::try_parse_from(std::iter::once(&"mcp").chain(arguments)) {
            Ok(line) => flags_checked(&line.flags).map_or_else(|error| error.to_string(), |_| "taken".into()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_audience_is_the_servers_own_and_goes_with_how_it_is_served() {
        assert_eq!(told(&["--url", "https://mcp.example/mcp", "--cert-dir", "/c"]), "taken");
        assert_eq!(told(&["--url", "http://mcp.svc:8080/mcp", "--insecure-http"]), "taken");
        for (arguments, part) in [
            (vec!["--url", "https://mcp.example/mcp"], "required"),
            (vec!["--url", "http://mcp.example/mcp", "--cert-dir", "/c"], "goes with --insecure-http"),
            (vec!["--url", "https://mcp.example/", "--cert-dir", "/c"], "give it a path"),
            (vec!["--url", "https://mcp.example/mcp/", "--cert-dir", "/c"], "give it a path"),
            (vec!["--url", "https://mcp.example/mcp?a", "--cert-dir", "/c"], "only a host and a path"),
            (vec!["--url", "https://kubernetes.default.svc/mcp", "--cert-dir", "/c"], "good elsewhere"),
            (vec!["--url", "https://kubernetes.default.svc.cluster.local/mcp", "--cert-dir", "/c"], "good elsewhere"),
            (vec!["--url", "ftp://mcp.example/mcp", "--cert-dir", "/c"], "write https://"),
        ] {
            let said = told(&arguments);
            assert!(said.contains(part), "{arguments:?}: {said}");
        }
    }
}
