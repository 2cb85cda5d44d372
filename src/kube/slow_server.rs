//! The leases at an API server that is slow: whatever it delays, two never lead.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::client::Body;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_service::Service;

use super::lease::{Elector, Fence, LEASE, LEASE_DURATION};
use super::membership::Membership;

/// Milliseconds from the request to its effect, and from there to the answer.
type Delay = (u64, u64);

/// One Lease, at a server whose delays are given, one a request, over and over.
#[derive(Clone)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    delays: Arc<Vec<Delay>>,
    requests: Arc<Mutex<usize>>,
}

impl Server {
    fn new(delays: Vec<Delay>) -> Self {
        Self { lease: Arc::default(), delays: Arc::new(delays), requests: Arc::default() }
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(kube::Client::new(self.clone(), "system"), "system")
    }

    fn next_delay(&self) -> Delay {
        let mut requests = self.requests.lock();
        *requests += 1;
        self.delays[*requests % self.delays.len()]
    }

    /// As the API server does: a write has to name the version that is there.
    fn act(&self, method: &Method, body: &[u8]) -> (u16, Value) {
        let mut stored = self.lease.lock();
        let refused = |code: u16, reason: &str| {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason});
            (code, status)
        };
        if *method == Method::GET {
            return stored.clone().map_or_else(|| refused(404, "NotFound"), |lease| (200, lease));
        }
        let mut lease: Value = serde_json::from_slice(body).unwrap();
        let before = stored.as_ref().map_or(Value::Null, |lease| lease["metadata"]["resourceVersion"].clone());
        if lease["metadata"]["resourceVersion"] != before {
            return refused(409, "Conflict");
        }
        let version = before.as_str().map_or(1, |text| text.parse::<u64>().unwrap() + 1);
        lease["metadata"]["resourceVersion"] = json!(version.to_string());
        *stored = Some(lease.clone());
        (200, lease)
    }
}

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = tokio::task::JoinError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (server, (there, back)) = (self.clone(), self.next_delay());
        // A task of its own: what was sent arrives, whether or not somebody waits for the answer.
        Box::pin(tokio::spawn(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            tokio::time::sleep(Duration::from_millis(there)).await;
            let (code, answer) = server.act(&parts.method, &body);
            tokio::time::sleep(Duration::from_millis(back)).await;
            Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap()
        }))
    }
}

/// A replica: of an operator without shards, or of a division into so many.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Whole,
    Division(u32),
}

/// Fences, each with the group that may act together.
type Fences = Arc<Mutex<Vec<(String, Fence)>>>;

/// Lives again and again as a new process, each time for so long, and gives the lease up at the end of a life.
async fn live(kind: Kind, name: String, api: Api<Lease>, fences: Fences, lives: Vec<u64>) {
    for (number, seconds) in lives.iter().cycle().enumerate() {
        let (identity, life) = (format!("{name}-{number}"), tokio::time::sleep(Duration::from_secs(*seconds)));
        match kind {
            Kind::Whole => {
                let mut elector = Elector::new(api.clone(), LEASE, &identity, Fence::closed());
                fences.lock().push((name.clone(), elector.fence().clone()));
                elector.acquire().await;
                tokio::select! { () = elector.keep() => {} () = life => elector.release().await }
            }
            Kind::Division(total) => {
                let mut membership = Membership::new(api.clone(), total, &identity);
                fences.lock().push((format!("division {total}"), membership.fence().clone()));
                membership.join().await;
                tokio::select! { () = membership.keep(|_| {}) => {} () = life => membership.leave().await }
            }
        }
    }
}

/// How often somebody led, and when two did that must not.
async fn watched(kinds: &[Kind], delays: Vec<Delay>, lives: Vec<u64>) -> (usize, Vec<String>) {
    let (server, fences) = (Server::new(delays), Fences::default());
    let mut tasks = tokio::task::JoinSet::new();
    for (index, kind) in kinds.iter().enumerate() {
        tasks.spawn(live(*kind, format!("replica {index}"), server.api(), fences.clone(), lives.clone()));
    }
    let (mut led, mut overlaps) = (0, Vec::new());
    for tick in 0..6_000_u32 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut open: Vec<String> =
            fences.lock().iter().filter(|(_, fence)| fence.holds()).map(|(group, _)| group.clone()).collect();
        open.sort();
        open.dedup();
        led += usize::from(!open.is_empty());
        if open.len() > 1 {
            overlaps.push(format!("{} ms: {open:?}", tick * 50));
        }
    }
    (led, overlaps)
}

fn delays() -> impl Strategy<Value = Vec<Delay>> {
    let delay = || prop_oneof![6 => 0..200_u64, 3 => 0..5_000_u64, 1 => 0..40_000_u64];
    prop::collection::vec((delay(), delay()), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn two_never_lead_however_slow_the_api_server_is(
        delays in delays(),
        lives in prop::collection::vec(5..200_u64, 1..4),
        kinds in prop_oneof![
            Just(vec![Kind::Whole, Kind::Whole]),
            Just(vec![Kind::Whole, Kind::Whole, Kind::Whole]),
            Just(vec![Kind::Division(2), Kind::Division(2), Kind::Whole]),
            Just(vec![Kind::Division(2), Kind::Division(3), Kind::Division(3)]),
        ],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (_, overlaps) = runtime.block_on(watched(&kinds, delays, lives));
        prop_assert!(overlaps.is_empty(), "two lead at {overlaps:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_leads_most_of_the_time_at_a_server_that_answers_within_a_second() {
    let (led, overlaps) = watched(&[Kind::Whole, Kind::Whole, Kind::Whole], vec![(400, 500)], vec![60]).await;
    assert!(led > 4_500 && overlaps.is_empty(), "{led} of 6000, {overlaps:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_seen_counts_from_the_answer_and_a_look_that_takes_too_long_is_given_up() {
    let server = Server::new(vec![(4_000, 0), (0, 0), (0, 0), (60_000, 0)]);
    let held = json!({"metadata": {"name": LEASE, "resourceVersion": "7"}, "spec": {"holderIdentity": "other"}});
    *server.lease.lock() = Some(held);
    *server.requests.lock() = 3;
    let mut elector = Elector::new(server.api(), LEASE, "own", Fence::closed());
    assert_eq!(elector.look().await.unwrap(), Err(LEASE_DURATION), "nothing has passed since the answer");
    tokio::time::sleep(Duration::from_secs(14)).await;
    let left = elector.look().await.unwrap().unwrap_err();
    assert!(left <= Duration::from_secs(1) && left > Duration::from_millis(900), "{left:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(elector.look().await.unwrap(), Ok(()));
    let asked = tokio::time::Instant::now();
    let slow = elector.look().await.unwrap_err();
    assert!(slow.to_string().contains("did not answer within 5 s"), "{slow}");
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
}
