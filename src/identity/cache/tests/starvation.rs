//! One tenant's bindings that lead nowhere beside the first sessions of another's, in time that the test moves.

#![allow(missing_docs, clippy::print_stdout)]

use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use tokio::time::sleep;

use super::*;

/// An API server that gives every token after 10 ms.
#[derive(Clone)]
struct Api;

impl tower_service::Service<http::Request<kube::client::Body>> for Api {
    type Response = http::Response<Full<Bytes>>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let parts: Vec<String> = request.uri().path().split('/').map(str::to_owned).collect();
        Box::pin(async move {
            sleep(Duration::from_millis(10)).await;
            let answer = serde_json::json!({"status": {"token": token(&parts[4], &parts[6])}});
            Ok(http::Response::builder().status(201).body(Full::from(answer.to_string())).unwrap())
        })
    }
}

/// STS of every region: one that is called dead takes no connection, and roles that are called refused are refused.
#[derive(Clone, Debug)]
struct Sts {
    connect_timeout: Duration,
    asked: Arc<AtomicI64>,
}

impl HttpConnector for Sts {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (uri, connect_timeout) = (request.uri().to_owned(), self.connect_timeout);
        let body = String::from_utf8(request.body().bytes().unwrap_or_default().to_vec()).unwrap();
        self.asked.fetch_add(1, Ordering::SeqCst);
        HttpConnectorFuture::new(async move {
            if uri.contains("dead") {
                sleep(connect_timeout).await;
                return Err(ConnectorError::timeout("no connection in time".into()));
            }
            sleep(Duration::from_millis(50)).await;
            let seen = Seen { path: "/".into(), headers: http::HeaderMap::new(), body };
            let refused = seen.body.contains("refused");
            let (status, text) =
                if refused { sts_error("AccessDenied", "no") } else { assumed(&seen, Timestamp::now()) };
            Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(text)))
        })
    }
}

struct Cloud {
    cache: Arc<SessionCache>,
    asked: Arc<AtomicI64>,
    silent: String,
    _silent: tokio::net::TcpListener,
}

async fn cloud() -> Cloud {
    let asked: Arc<AtomicI64> = Arc::default();
    let counted = asked.clone();
    let http = http_client_fn(move |settings, _| {
        let connect_timeout = settings.connect_timeout().unwrap_or(Duration::from_secs(60));
        SharedHttpConnector::new(Sts { connect_timeout, asked: counted.clone() })
    });
    let http = aws_sdk_sfn::config::SharedHttpClient::new(http);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let client = kube::Client::new(Api, "default");
    let issuers = Arc::new(Issuers::new(Web::new(Reach { plain_http: true, private_addresses: true }).unwrap()));
    let rules = IssuerRules { allowed: vec![address.clone()], forbidden_audiences: Vec::new() };
    let minter = Minter::new(client.clone());
    let providers =
        Providers::new(issuers, minter.clone(), SecretReader::new(client), Cognito::new(http.clone(), None), rules);
    let cache = SessionCache::new(minter, providers, Exchanger::new(http, None), Arc::default());
    Cloud { cache: Arc::new(cache), asked, silent: address, _silent: silent }
}

/// What the dead bindings of the other tenant are dead of.
#[derive(Clone, Copy, Debug)]
enum Dead {
    Region,
    RegionOfItsOwn,
    Issuer,
    Role,
    SpecChangedInALoop,
}

fn dead(kind: Dead, number: usize, silent: &str) -> SessionKey {
    let mut key = SessionKey {
        namespace: "mallory".into(),
        binding: format!("dead-{number}"),
        binding_uid: format!("dead-{number}"),
        ..key()
    };
    match kind {
        Dead::Region => key.region = "xx-dead-1".into(),
        Dead::RegionOfItsOwn => key.region = format!("xx-dead{number}-1"),
        Dead::Issuer => key.provider = Some(Arc::new(external(silent, "silent"))),
        Dead::Role | Dead::SpecChangedInALoop => key.role_arn = "arn:aws:iam::111122223333:role/refused".into(),
    }
    key
}

/// How long each of 20 first sessions of one namespace takes, over half a minute, and how many requests STS had meanwhile.
async fn first_sessions_beside(kind: Dead) -> (Duration, i64) {
    let cloud = cloud().await;
    let mut others = Vec::new();
    for number in 0..500 {
        let (cache, mut key) = (cloud.cache.clone(), dead(kind, number, &cloud.silent));
        others.push(tokio::spawn(async move {
            loop {
                assert!(cache.session(&key, &Cause::default()).await.is_err());
                if matches!(kind, Dead::SpecChangedInALoop) {
                    key.binding_generation += 1;
                }
                sleep(Duration::from_millis(500)).await;
            }
        }));
    }
    let mut slowest = Duration::ZERO;
    for number in 0..20 {
        sleep(Duration::from_millis(1500)).await;
        let first = SessionKey { binding: format!("b{number}"), binding_uid: format!("u{number}"), ..key() };
        let started = Instant::now();
        while let Err(error) = cloud.cache.session(&first, &Cause::default()).await {
            assert_eq!(error.class(), Class::Transient, "{error}");
            assert!(started.elapsed() < Duration::from_secs(120), "beside 500 dead of {kind:?}: none in two minutes");
            sleep(Duration::from_secs(1)).await;
        }
        slowest = slowest.max(started.elapsed());
    }
    others.iter().for_each(tokio::task::JoinHandle::abort);
    (slowest, cloud.asked.load(Ordering::SeqCst))
}

/// Requirement 29 of docs/security.md: exchanges shared fairly by namespace; what is dead holds up only what goes there.
#[tokio::test(start_paused = true)]
async fn requirement_29_five_hundred_dead_bindings_of_one_tenant_do_not_delay_the_first_session_of_another() {
    let mut delayed = Vec::new();
    for kind in [Dead::Region, Dead::RegionOfItsOwn, Dead::Issuer, Dead::Role, Dead::SpecChangedInALoop] {
        let (slowest, asked) = first_sessions_beside(kind).await;
        println!(
            "slowest of 20 first sessions beside 500 bindings dead of {kind:?}: {slowest:?}; {asked} requests to STS"
        );
        if slowest > Duration::from_secs(1) {
            delayed.push((kind, slowest));
        }
    }
    assert!(delayed.is_empty(), "{delayed:?}");
}
