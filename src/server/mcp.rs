//! The Model Context Protocol over HTTP, for agents that run as service accounts. A token for this server says who asks; the API
//! server is then asked as exactly that account, so it decides what may be done, and nothing here has a right of its own.

mod bounds;
mod callers;
mod entry;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use kube::{Client, Config};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use url::Url;

use super::listen::{Bounds, listen};
use super::{Certificate, ServeError, bind};
use crate::kube::client::readable;
use crate::kubectl::mcp::Agent;
use bounds::{CallBounds, Rate};
use callers::Callers;
use entry::{Entry, WELL_KNOWN, pass};

/// Connections: a call that waits holds one, and a mesh's proxy may bring those of all.
const CONNECTIONS: Bounds = Bounds { connections: 512, of_one_peer: 256, life: Duration::from_secs(75) };
/// Largest request: an input has at most 256 KiB, and escapes make it longer.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// How it is served.
#[derive(Clone, Debug)]
pub struct McpServing {
    /// Where clients reach it: the audience of their tokens, and the host that they name.
    pub url: Url,
    /// More hosts that clients may name.
    pub hosts: Vec<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it tells of its health.
    pub health: SocketAddr,
    /// The folder of its certificate; none where a mesh encrypts.
    pub certificate: Option<PathBuf>,
    /// How often one account may call.
    pub calls_per_second: f64,
    /// How many calls of one account may be under way.
    pub at_once: usize,
}

/// Why it is not served.
#[derive(Debug, thiserror::Error)]
pub enum McpServingError {
    /// An address is taken, or the certificate cannot be used.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// There is no usable certificate.
    #[error("--cert-dir: {0}")]
    Certificate(#[from] super::CertificateError),
    /// The API server cannot be found.
    #[error("cannot find the API server: {0}")]
    Cluster(Box<kube::Error>),
}

/// Serves until the task is dropped.
///
/// # Errors
/// When an address cannot be bound, or there is no certificate or API server.
pub async fn serve_mcp(serving: McpServing, config: Config) -> Result<(), McpServingError> {
    let client = Client::try_from(config.clone()).map_err(|error| McpServingError::Cluster(Box::new(error)))?;
    let certificate = match &serving.certificate {
        Some(folder) => Some(Arc::new(Certificate::new(Some(folder.clone())).await?)),
        None => None,
    };
    let healthy = || async { "ok\n" };
    let health = Router::new().route("/healthz", get(healthy)).route("/readyz", get(healthy));
    let router = router(&serving, client, config);
    let probes = bind("health", "--http-addr", serving.health).await?;
    let calls = bind("mcp", "--listen-addr", serving.address).await?;
    tracing::info!(url = %serving.url, address = %serving.address, tls = certificate.is_some(), "serves agents");
    tokio::join!(listen(probes, None, health, Bounds::FEW), listen(calls, certificate, router, CONNECTIONS));
    Ok(())
}

fn router(serving: &McpServing, client: Client, config: Config) -> Router {
    let hosts = serving.url.host_str().map(str::to_owned).into_iter().chain(serving.hosts.iter().cloned());
    // No session: each request brings its token and is served as whoever it is of, so that nobody goes on with another's.
    let options = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(hosts)
        .enforce_origin_validation()
        .with_max_request_body_bytes(MAX_BODY_BYTES);
    let protocol =
        StreamableHttpService::new(|| Ok(Agent::of_each_request()), Arc::new(NeverSessionManager::default()), options);
    let rate = Rate { calls_per_second: serving.calls_per_second, at_once: serving.at_once };
    let callers = Callers::new(readable(client), serving.url.as_str().to_owned());
    let entry = Entry::new(serving.url.clone(), callers, CallBounds::new(rate), config);
    let metadata = entry.metadata();
    let path = serving.url.path().trim_end_matches('/').to_owned();
    let told = get(move || async move { ([(header::CONTENT_TYPE, "application/json")], metadata) });
    let inside = Router::new().fallback_service(protocol).layer(axum::middleware::from_fn_with_state(entry, pass));
    Router::new().route(WELL_KNOWN, told.clone()).route(&format!("{WELL_KNOWN}{path}"), told).fallback_service(inside)
}
