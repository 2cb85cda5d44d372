//! What many bindings cost, and whether some that fail cost the others time. Each prints its numbers.

#![allow(missing_docs, clippy::print_stdout)]

use futures::stream::{self, StreamExt};

use super::*;

fn bindings(count: usize) -> Vec<SessionKey> {
    (0..count).map(|n| SessionKey { binding: format!("b{n}"), binding_uid: format!("u{n}"), ..key() }).collect()
}

/// Uses every binding once, as many at a time as reconciles run.
async fn use_all(cache: &SessionCache, keys: &[SessionKey]) -> Vec<Duration> {
    let one = |key| async move {
        let started = std::time::Instant::now();
        assert!(cache.session(key, &Cause::default()).await.is_ok());
        started.elapsed()
    };
    stream::iter(keys).map(one).buffer_unordered(64).collect().await
}

/// Requirement 18 of docs/security.md: mint and assume rate-limited, single-flight, with backoff.
/// The cost of identities: a session lives an hour and is renewed on use at 80 % of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requirement_18_a_thousand_busy_bindings_cost_at_most_1300_sts_calls_an_hour_and_idle_ones_none() {
    const HOURS: i64 = 4;
    let world = world().await;
    let ahead = world.ahead.clone();
    let clock = move || Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst));
    let cache = SessionCache { pace: Pace::new(1_000_000, 1_000_000), clock: Arc::new(clock), ..world.cache() };
    let (busy, idle) = (bindings(1000), SessionKey { binding_uid: "idle".into(), ..key() });
    use_all(&cache, &busy).await;
    assert!(cache.session(&idle, &Cause::default()).await.is_ok());
    let exchanges = || world.server.count("/") - 1001;
    let mut uses = 0;
    // Each is used every minute.
    for _ in 0..HOURS * 60 {
        world.ahead.fetch_add(60, Ordering::SeqCst);
        uses += use_all(&cache, &busy).await.len();
    }
    let an_hour = exchanges() / usize::try_from(HOURS).unwrap();
    println!(
        "1,000 busy bindings: {uses} uses in {HOURS} h, {} STS calls, {an_hour} an hour; an idle one: 0",
        exchanges()
    );
    assert!(an_hour <= 1300, "{an_hour}");
    let idle_again = world.server.count("/");
    assert_eq!(idle_again - 1001, exchanges(), "the idle one cost nothing");
}

/// Requirement 18 of docs/security.md: mint and assume rate-limited, single-flight, with backoff.
/// Requirement 18: an issuer that does not answer takes no place and no turn of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requirement_18_an_issuer_that_is_down_does_not_slow_the_bindings_of_another() {
    async fn slowest(with_failing: bool) -> Duration {
        let world = world().await;
        let cache = Arc::new(SessionCache { pace: Pace::new(1000, 1000), ..world.cache() });
        let mut failing = Vec::new();
        if with_failing {
            for mut key in bindings(500) {
                key.binding_uid.push_str("-failing");
                key.provider = Some(Arc::new(external(&world.silent, "silent")));
                let cache = cache.clone();
                failing.push(tokio::spawn(async move { cache.session(&key, &Cause::default()).await.is_ok() }));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let times = use_all(&cache, &bindings(300)).await;
        failing.iter().for_each(tokio::task::JoinHandle::abort);
        times.into_iter().max().unwrap()
    }
    let (alone, beside) = (slowest(false).await, slowest(true).await);
    println!(
        "slowest of 300 first sessions: {alone:?} alone, {beside:?} beside 500 bindings of an issuer that never answers"
    );
    assert!(beside < alone * 3 + Duration::from_millis(700), "{alone:?} {beside:?}");
}
