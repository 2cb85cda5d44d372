//! The web as far as identity needs it: discovery documents, published keys and token endpoints of issuers.
//!
//! An issuer's address comes from a resource, so nothing may be reached with it that the operator alone can reach: only
//! https, no redirect, no private address unless the installer allows them, little time and a small answer. Names are
//! resolved here and the address that was checked is the one that is connected to, so a name cannot point elsewhere at
//! the second look.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer in bytes: key sets of large providers have some 20 KiB.
const MAX_BODY: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// It is not asked at all.
    #[error("{0}")]
    NotAllowed(String),
    /// No connection, no answer in time, or an answer that says to come again.
    #[error("{0}")]
    Unreachable(String),
    /// It answered with something that is not taken.
    #[error("{0}")]
    Unusable(String),
}

/// An answer. Its body may be a token and is cleared when it is dropped.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The body as what is expected of it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// What may be reached.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    /// http beside https: for a test bed only.
    pub plain_http: bool,
    /// Addresses that are not public.
    pub private_addresses: bool,
}

/// A client for addresses that are not trusted. It follows no redirect and reads no environment.
pub struct Web {
    http: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    reach: Reach,
}

impl Web {
    /// A client that reaches so far.
    ///
    /// # Errors
    /// When the TLS library cannot be set up.
    pub fn new(reach: Reach) -> Result<Self, std::io::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut connector = HttpConnector::new_with_resolver(Resolver { private_addresses: reach.private_addresses });
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
        Ok(Self { http: Client::builder(TokioExecutor::new()).build(connector), reach })
    }

    /// Gets a JSON document.
    pub(super) async fn get(&self, url: &Url) -> Result<Value, WebError> {
        let request = Request::builder().method(Method::GET).uri(url.as_str()).header(ACCEPT, "application/json");
        let answer = self.send(url, request.body(Full::default())).await?;
        match answer.status {
            200 => answer.json().ok_or_else(|| WebError::Unusable(format!("{url} does not answer with JSON"))),
            // It is overloaded or about to be up again; another address would not help.
            status @ (429 | 500..) => Err(WebError::Unreachable(format!("{url} answers with status {status}"))),
            status => Err(WebError::Unusable(format!("{url} answers with status {status}"))),
        }
    }

    /// Posts a form, which may hold secrets.
    pub(super) async fn post(&self, url: &Url, form: &Form) -> Result<Answer, WebError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(basic) = &form.basic {
            request = request.header(AUTHORIZATION, basic.clone());
        }
        self.send(url, request.body(Full::from(form.body.as_bytes().to_vec()))).await
    }

    async fn send(&self, url: &Url, request: http::Result<Request<Full<Bytes>>>) -> Result<Answer, WebError> {
        self.check(url)?;
        let request = request.map_err(|_| WebError::NotAllowed(format!("{url} is not an address")))?;
        tokio::time::timeout(TIMEOUT, self.exchange(url, request))
            .await
            .unwrap_or_else(|_| Err(WebError::Unreachable(format!("{url} cannot be reached: no answer in time"))))
    }

    async fn exchange(&self, url: &Url, request: Request<Full<Bytes>>) -> Result<Answer, WebError> {
        let answer = self.http.request(request).await.map_err(|error| failed(url, &error))?;
        let (head, mut frames) = answer.into_parts();
        if head.status.is_redirection() {
            return Err(WebError::Unusable(format!("{url} redirects, which is not followed")));
        }
        let mut body = Zeroizing::new(Vec::new());
        while let Some(frame) = frames.frame().await {
            let Ok(part) = frame.map_err(|error| failed(url, &error))?.into_data() else { continue };
            if body.len() + part.len() > MAX_BODY {
                return Err(WebError::Unusable(format!("{url} answers with more than {} KiB", MAX_BODY / 1024)));
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status: head.status.as_u16(), body })
    }

    /// Refuses what may not be asked, before anything is sent.
    fn check(&self, url: &Url) -> Result<(), WebError> {
        let refused = |why: &str| Err(WebError::NotAllowed(format!("{url} is not asked: {why}")));
        match url.scheme() {
            "https" => {}
            "http" if self.reach.plain_http => {}
            _ => return refused("it is not https"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("it carries a user or password");
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return refused("it names no host"),
        };
        if address.is_some_and(|address| !self.reach.private_addresses && !is_public(address)) {
            return refused("its address is not public (--allow-private-issuers would allow it)");
        }
        Ok(())
    }
}

/// A form to post, and the header that proves the client where that goes there.
#[derive(Default)]
pub(super) struct Form {
    body: Zeroizing<String>,
    basic: Option<HeaderValue>,
}

impl Form {
    /// A form of these fields.
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        Self { body: Zeroizing::new(body.finish()), basic: None }
    }

    /// The same with an `Authorization` header.
    pub(super) fn with_basic(mut self, user: &str, password: &str) -> Self {
        let pair = Zeroizing::new(format!("{}:{}", encoded(user), encoded(password)));
        let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        self.basic = HeaderValue::from_str(&text).ok();
        if let Some(value) = &mut self.basic {
            value.set_sensitive(true);
        }
        self
    }
}

/// RFC 6749, section 2.3.1: both parts are form-encoded before they are joined.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The innermost cause says most, for example `certificate has expired`; the address is said once.
fn failed(url: &Url, error: &(dyn std::error::Error + 'static)) -> WebError {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    if let Some(private) = cause.downcast_ref::<PrivateAddress>() {
        return WebError::NotAllowed(format!("{url} is not asked: {private}"));
    }
    WebError::Unreachable(format!("{url} cannot be reached: {cause}"))
}

/// Looks names up and keeps the public addresses.
#[derive(Clone)]
struct Resolver {
    private_addresses: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("its name leads to addresses that are not public (--allow-private-issuers would allow them)")]
struct PrivateAddress;

impl tower_service::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let private_addresses = self.private_addresses;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let usable: Vec<SocketAddr> =
                found.filter(|address| private_addresses || is_public(address.ip())).collect();
            if usable.is_empty() {
                return Err(Box::from(PrivateAddress));
            }
            Ok(usable.into_iter())
        })
    }
}

/// Addresses of the internet, as the registries of special-purpose addresses (RFC 6890 and its successors) leave them.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4() {
            // Mapped and compatible addresses lead to the IPv4 address.
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // 2000::/3 is what is given out; NAT64, Teredo and 6to4 carry an IPv4 address, and 2001:db8::/32 is documentation.
    let given_out = segments[0] & 0xe000 == 0x2000;
    given_out && segments[0] != 0x2002 && !(segments[0] == 0x2001 && (segments[1] == 0 || segments[1] == 0xdb8))
}

#[cfg(test)]
mod tests;
