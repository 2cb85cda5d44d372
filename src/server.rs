//! `/healthz` and `/readyz` for everybody, and `/metrics` over TLS for whoever has the right to read them.

mod certificate;
mod listen;
#[cfg(feature = "kubectl")]
mod mcp;
mod readers;
mod reviews;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kube::Client;
use tokio::net::TcpListener;

use crate::config::MetricsServing;
use crate::metrics::Metrics;
pub use certificate::{Certificate, CertificateError};
use listen::{Bounds, listen};
#[cfg(feature = "kubectl")]
pub use mcp::{McpServing, McpServingError, serve_mcp};
use readers::{Readers, ReviewError, Verdict};
use reviews::bearer;

/// Whether the process can do its work: leading, or standing by to lead.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// Why health and metrics are not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address is taken, or is none of this machine.
    #[error("cannot serve {what} on {address}: {source}. Another address is given with {flag}")]
    Bind {
        /// `health`, `metrics` or `mcp`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The flag that names it.
        flag: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no certificate to serve metrics with.
    #[error("--metrics-cert-dir: {0}")]
    Certificate(#[from] CertificateError),
}

/// Serves health on one address and metrics on another until the task is dropped.
///
/// # Errors
/// When an address cannot be bound, or there is no certificate.
pub async fn serve(
    health: SocketAddr,
    serving: &MetricsServing,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    client: Client,
) -> Result<(), ServeError> {
    let open = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready));
    let open = open.with_state(readiness);
    let (address, certificate) = match serving {
        MetricsServing::Open => {
            tracing::warn!(address = %health, "metrics are served to everybody and without TLS (--insecure-metrics)");
            let router = open.route("/metrics", get(render).with_state(metrics));
            listen(bind("health", "--http-addr", health).await?, None, router, Bounds::FEW).await;
            return Ok(());
        }
        MetricsServing::Guarded { address, certificate } => (*address, Certificate::new(certificate.clone()).await?),
    };
    let elsewhere = format!("metrics are at https://{address}/metrics, for whoever may read them\n");
    let open = open.route("/metrics", get(move || async move { (StatusCode::NOT_FOUND, elsewhere) }));
    let guarded = Guarded { metrics, readers: Arc::new(Readers::new(client)) };
    let guarded = Router::new().route("/metrics", get(render_for_readers)).with_state(guarded);
    let health = bind("health", "--http-addr", health).await?;
    let secure = bind("metrics", "--metrics-addr", address).await?;
    tokio::join!(
        listen(health, None, open, Bounds::FEW),
        listen(secure, Some(Arc::new(certificate)), guarded, Bounds::FEW)
    );
    Ok(())
}

async fn bind(what: &'static str, flag: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { what, address, flag, source })
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    if readiness.0.load(Ordering::Relaxed) {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "waiting for the custom resource definitions\n").into_response()
    }
}

#[derive(Clone)]
struct Guarded {
    metrics: Arc<Metrics>,
    readers: Arc<Readers>,
}

async fn render_for_readers(State(guarded): State<Guarded>, headers: HeaderMap) -> Response {
    let verdict = match bearer(&headers) {
        Some(token) => guarded.readers.verdict(token).await,
        None => Ok(Verdict::Unknown),
    };
    match verdict {
        Ok(Verdict::MayRead) => render(State(guarded.metrics)).await,
        Ok(Verdict::MayNot(user)) => (StatusCode::FORBIDDEN, readers::refusal(&user)).into_response(),
        Ok(Verdict::Unknown) => {
            let said = "metrics are read with the bearer token of an account that may get /metrics\n";
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], said).into_response()
        }
        Err(error) => answer_for(&error),
    }
}

fn answer_for(error: &ReviewError) -> Response {
    tracing::warn!(%error, "a reader of metrics was turned away");
    (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response()
}

async fn render(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
