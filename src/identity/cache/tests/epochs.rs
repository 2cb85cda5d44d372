//! What becomes of sessions, exchanges and calls when a binding is suspended or its consent withdrawn.

#![allow(missing_docs)]

use std::sync::mpsc;

use super::*;
use crate::aws::{Queues, SdkQueues, SdkStepFunctions, Tagging};

/// Has the next request to STS wait; gives what tells that it is there, and what lets it go on.
fn hold_sts(world: &World) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, there) = mpsc::channel();
    let (go, told) = mpsc::channel::<()>();
    *world.at_sts.lock() = Some(Box::new(move || {
        arrived.send(()).unwrap();
        // Without a word it goes on all the same, and the test fails by what it asserts.
        let _ = told.recv_timeout(Duration::from_secs(20));
    }));
    (there, go)
}

async fn until(there: mpsc::Receiver<()>) {
    tokio::task::spawn_blocking(move || there.recv_timeout(Duration::from_secs(20)).unwrap()).await.unwrap();
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requirement_27_an_exchange_under_way_when_the_binding_is_suspended_gives_no_credentials() {
    let world = world().await;
    let cache = Arc::new(world.cache());
    let (there, go) = hold_sts(&world);
    let asking = tokio::spawn({
        let cache = cache.clone();
        async move { cache.session(&current_key(&cache), &Cause::default()).await }
    });
    until(there).await;
    cache.forget("shop", "orders");
    go.send(()).unwrap();
    let answer = asking.await.unwrap();
    assert!(answer.is_err(), "live credentials after the suspension");
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requirement_27_a_session_in_hand_ends_with_a_suspension_while_its_slot_is_locked() {
    let world = world().await;
    let cache = Arc::new(world.cache());
    let asked = current_key(&cache);
    let old = old_session_in(asked.epoch.clone(), 600);
    put(&cache, &asked, old.clone()).await;
    let (there, go) = hold_sts(&world);
    let asking = tokio::spawn({
        let cache = cache.clone();
        async move { cache.session(&current_key(&cache), &Cause::default()).await }
    });
    until(there).await;
    cache.forget("shop", "orders");
    assert!(!old.is_good_at(Timestamp::now()), "the session in hand is still good while its entry is locked");
    go.send(()).unwrap();
    let _ = asking.await;
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
#[tokio::test]
async fn requirement_27_no_call_of_sqs_is_made_with_a_session_that_was_given_up() {
    let world = world().await;
    let cache = world.cache();
    let server = StandIn::start(|_| (200, "{}".into())).await;
    let queues = SdkQueues::new(http_client(), Some(server.url.clone()), Arc::default());
    let session = cache.session(&current_key(&cache), &Cause::default()).await.ok().unwrap();
    cache.forget("shop", "orders");
    let _ = queues.receive(&caller(&session), "https://sqs.eu-west-1.amazonaws.com/111122223333/q").await;
    let _ = queues.delete(&caller(&session), "https://sqs.eu-west-1.amazonaws.com/111122223333/q", &["r".into()]).await;
    assert_eq!(server.seen().len(), 0, "requests to SQS after the suspension");
}

/// Requirement 27 of docs/security.md: one epoch a binding, looked at after every exchange and by the gate before every call.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requirement_27_a_call_is_not_repeated_after_the_suspension() {
    let world = world().await;
    let cache = Arc::new(world.cache());
    let (arrived, there) = mpsc::channel();
    let (go, told) = mpsc::channel::<()>();
    let told = StdMutex::new(told);
    let server = StandIn::start(move |_| {
        arrived.send(()).unwrap();
        let _ = told.lock().recv_timeout(Duration::from_secs(20));
        (500, "{}".into())
    })
    .await;
    let states = SdkStepFunctions::new(http_client(), &server.endpoints(), Arc::default(), 1.0);
    let session = cache.session(&current_key(&cache), &Cause::default()).await.ok().unwrap();
    let call = tokio::spawn(async move { states.list_tags(&caller(&session), "arn").await });
    until(there).await;
    cache.forget("shop", "orders");
    go.send(()).unwrap();
    drop(go);
    assert!(call.await.unwrap().is_err());
    assert_eq!(server.seen().len(), 1, "requests: the first answer was 500, and the binding suspended before it");
}
