use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::kube::lease::Elector;

type Stored = Arc<Mutex<HashMap<String, Value>>>;
type Answer = (StatusCode, Json<Value>);

fn refused(code: u16) -> Answer {
    let reason = if code == 404 { "NotFound" } else { "Conflict" };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason});
    (StatusCode::from_u16(code).unwrap(), Json(status))
}

async fn read_one(State(stored): State<Stored>, Path(name): Path<String>) -> Answer {
    let found = stored.lock().get(&name).cloned();
    found.map_or_else(|| refused(404), |lease| (StatusCode::OK, Json(lease)))
}

/// Takes a lease where its version is the stored one, as the API server does.
fn put(stored: &Stored, name: &str, mut lease: Value) -> Answer {
    let mut stored = stored.lock();
    let version =
        |lease: Option<&Value>| lease.map_or(Value::Null, |lease| lease["metadata"]["resourceVersion"].clone());
    let before = version(stored.get(name));
    if version(Some(&lease)) != before {
        return refused(409);
    }
    let next = before.as_str().map_or(1, |text| text.parse::<u64>().unwrap() + 1);
    lease["metadata"]["resourceVersion"] = json!(next.to_string());
    stored.insert(name.to_owned(), lease.clone());
    (StatusCode::OK, Json(lease))
}

async fn replace(State(stored): State<Stored>, Path(name): Path<String>, Json(lease): Json<Value>) -> Answer {
    put(&stored, &name, lease)
}

async fn create(State(stored): State<Stored>, Json(lease): Json<Value>) -> Answer {
    put(&stored, lease["metadata"]["name"].as_str().unwrap(), lease.clone())
}

/// A place for Leases that keeps versions as the API server does.
async fn leases() -> Api<Lease> {
    let folder = "/apis/coordination.k8s.io/v1/namespaces/system/leases";
    let router = Router::new()
        .route(folder, post(create))
        .route(&format!("{folder}/{{name}}"), get(read_one).put(replace))
        .with_state(Stored::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    let client = kube::Client::try_from(kube::Config::new(url)).unwrap();
    Api::namespaced(client, "system")
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_one_division_count_each_other_and_another_division_waits() {
    let api = leases().await;
    let mut replicas: Vec<Membership> =
        (0..5).map(|index| Membership::new(api.clone(), 2, &format!("replica-{index}"))).collect();
    assert_eq!(replicas[0].step().await.unwrap(), Some(1));
    // All at once, again and again: the races are lost without harm.
    let mut count = 0;
    for _ in 0..3 {
        let steps = replicas.iter_mut().map(Membership::step);
        let seen = futures::future::join_all(steps).await;
        count = seen.into_iter().filter_map(Result::ok).flatten().max().unwrap();
    }
    assert_eq!(count, 5);
    assert!(replicas.iter().all(|replica| replica.fence().holds()));
    let mut other = Membership::new(api.clone(), 3, "other");
    let mut whole = Elector::new(api.clone(), LEASE, "whole", Fence::closed());
    assert_eq!((other.step().await.unwrap(), whole.step().await.unwrap()), (None, false));
    for replica in &mut replicas[1..] {
        replica.leave().await;
        assert!(!replica.fence().holds());
    }
    assert_eq!((other.step().await.unwrap(), whole.step().await.unwrap()), (None, false), "one is left");
    replicas[0].leave().await;
    assert!(whole.step().await.unwrap(), "the last one gave it free");
    assert_eq!(other.step().await.unwrap(), None);
    whole.release().await;
    assert_eq!(other.step().await.unwrap(), Some(1), "the replicas of the old division are forgotten");
    assert_eq!(replicas[0].step().await.unwrap(), None);
}

#[test]
fn a_replica_is_forgotten_when_its_entry_was_not_renewed_for_longer_than_it_acts() {
    let client = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let api = Api::namespaced(kube::Client::try_from(client).unwrap(), "system");
    let mut own = Membership::new(api, 2, "own");
    let seen = |own: &mut Membership, beats: &[(&str, u64)]| {
        let mut beats: Beats = beats.iter().map(|(identity, beat)| ((*identity).to_owned(), *beat)).collect();
        own.forget_dead(&mut beats);
        beats.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut own, &[("own", 7), ("other", 3)]), ["other", "own"]);
    let long_ago = Instant::now().checked_sub(RENEW_DEADLINE).unwrap();
    own.others.values_mut().for_each(|(_, since)| *since = long_ago);
    assert_eq!(seen(&mut own, &[("own", 7), ("other", 3)]), ["own"], "it has not moved");
    assert_eq!(seen(&mut own, &[("own", 7), ("other", 4)]), ["other", "own"], "it has moved");
}
