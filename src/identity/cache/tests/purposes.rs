//! What sessions for each purpose cost beside one session for everything. Each test prints its numbers.

#![allow(missing_docs, clippy::print_stdout)]

use futures::stream::{self, StreamExt};

use super::*;
use crate::iam::binding_role::BindingScope;
use crate::iam::binding_role::session::Purpose;
use crate::outcome::Backoff;
use crate::reason::Reason;

/// Workflows of a binding.
const WORKFLOWS: usize = 10;

fn scope(namespace: &str) -> BindingScope {
    BindingScope {
        role_arn: key().role_arn,
        region: "eu-west-1".into(),
        namespace: namespace.into(),
        cluster: Some("0b4f7f10-5c5e-4b6e-9d5c-0123456789ab".into()),
        names: vec![format!("{namespace}_*")],
        execution_roles: vec!["arn:aws:iam::111122223333:role/exec".into()],
        ..BindingScope::default()
    }
}

fn of_purpose(binding: usize, purpose: &Purpose<'_>) -> SessionKey {
    let namespace = format!("ns-{binding}");
    let policy = scope(&namespace).session_policy(purpose).unwrap();
    SessionKey { binding_uid: format!("u{binding}"), namespace, policy: Some(policy.into()), ..key() }
}

/// One session to see a binding's objects.
fn shared(bindings: usize) -> Vec<SessionKey> {
    (0..bindings).map(|binding| of_purpose(binding, &Purpose::Observe(None))).collect()
}

/// One session to start each Workflow.
fn running(bindings: usize) -> Vec<SessionKey> {
    let all = (0..bindings).flat_map(|binding| (0..WORKFLOWS).map(move |workflow| (binding, workflow)));
    all.map(|(binding, workflow)| of_purpose(binding, &Purpose::Run(&format!("ns-{binding}_w{workflow}")))).collect()
}

async fn use_all(cache: &SessionCache, keys: &[SessionKey]) {
    stream::iter(keys)
        .for_each_concurrent(64, |key| async move { assert!(cache.session(key, &Cause::default()).await.is_ok()) })
        .await;
}

/// Calls of STS and tokens: the first of all, and then in an hour in which every one is used every minute.
async fn cost(keys: &[SessionKey]) -> (usize, usize) {
    const HOURS: usize = 4;
    let world = world().await;
    let ahead = world.ahead.clone();
    let clock = move || Timestamp::now() + SignedDuration::from_secs(ahead.load(Ordering::SeqCst));
    let cache = SessionCache { pace: Pace::new(1_000_000, 1_000_000), clock: Arc::new(clock), ..world.cache() };
    use_all(&cache, keys).await;
    let first = world.server.count("/");
    assert_eq!(first, world.mints(), "one token for each exchange");
    for _ in 0..HOURS * 60 {
        world.ahead.fetch_add(60, Ordering::SeqCst);
        use_all(&cache, keys).await;
    }
    (first, (world.server.count("/") - first) / HOURS)
}

async fn compare(bindings: usize) {
    let before: Vec<SessionKey> = shared(bindings);
    let (seen, run) = (shared(bindings), running(bindings));
    let active: Vec<SessionKey> = seen.iter().chain(&run).cloned().collect();
    let (before_first, before_hour) = cost(&before).await;
    let (rest_first, rest_hour) = cost(&seen).await;
    let (active_first, active_hour) = cost(&active).await;
    println!(
        "{bindings} bindings of {WORKFLOWS} Workflows, STS calls (as many TokenRequests) at first and an hour: one session for everything {before_first}, {before_hour}; by purpose, at rest {rest_first}, {rest_hour}; by purpose, every Workflow started every minute {active_first}, {active_hour}"
    );
    assert_eq!((rest_first, rest_hour), (before_first, before_hour), "a Workflow at rest costs nothing of its own");
    assert_eq!(active_first, bindings * (1 + WORKFLOWS));
    assert!(active_hour <= bindings * (1 + WORKFLOWS) * 13 / 10, "{active_hour}");
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requirement_22_a_workflow_at_rest_costs_no_session_and_an_active_one_one_an_hour() {
    compare(5).await;
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
/// The same at full size, which takes minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; the small one above holds the same"]
async fn requirement_22_a_thousand_bindings_of_ten_workflows() {
    compare(1000).await;
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
/// The burst after a restart, at the pace at which sessions are made: how long until everybody has one, and until the first
/// of every binding is there where those are asked for first.
#[tokio::test(start_paused = true)]
async fn requirement_22_a_burst_after_a_restart_passes_within_minutes() {
    async fn until_all_have_one(sessions: usize) -> (Duration, usize) {
        let pace = Arc::new(Pace::new(BURST, PER_SECOND));
        let started = Instant::now();
        let one = move |pace: Arc<Pace>| async move {
            let (mut refused, mut backoff) = (0, Backoff::default());
            while !pace.turn(SLOT_TIMEOUT).await {
                refused += 1;
                // As the reconcile that was put off is repeated.
                let wait = backoff.fail(Class::Transient, Reason::RateLimited, started.elapsed(), rand::random());
                tokio::time::sleep(wait.unwrap_or_default()).await;
            }
            refused
        };
        let all = futures::future::join_all((0..sessions).map(|_| one(pace.clone()))).await;
        (started.elapsed(), all.into_iter().sum())
    }
    for (what, sessions) in [("1,000 bindings", 1000), ("and 10,000 active Workflows", 11_000)] {
        let (time, refused) = until_all_have_one(sessions).await;
        println!("{what}: {sessions} sessions within {time:?}, put off {refused} times");
        let paced = Duration::from_secs(u64::try_from(sessions).unwrap() / u64::from(PER_SECOND));
        assert!(time <= paced * 3 + Duration::from_secs(60), "{time:?}");
    }
}

/// Requirement 22 of docs/security.md: a session for each purpose; one object takes no binding down.
/// Memory of a full cache, as the kernel counts it.
#[tokio::test]
async fn requirement_22_sessions_of_ten_thousand_workflows_fit_into_memory() {
    fn resident() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    let world = world().await;
    let cache = world.cache();
    let session = || {
        let mut session = Arc::into_inner(old_session(3600)).unwrap();
        // A session token of STS has about 1,000 characters.
        let credentials = Credentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: SecretString::from("s".repeat(40)),
            session_token: SecretString::from("t".repeat(1000)),
        };
        session.gate = Gate::new(credentials, Epoch::default());
        Arc::new(session)
    };
    let before = resident();
    for key in shared(1000) {
        put(&cache, &key, session()).await;
    }
    let with_shared = resident();
    for key in running(1000) {
        put(&cache, &key, session()).await;
    }
    let with_all = resident();
    let mib = |bytes: usize| bytes / (1024 * 1024);
    println!(
        "sessions in memory: 1,000 of bindings {} MiB, and 10,000 of Workflows {} MiB more",
        mib(with_shared.saturating_sub(before)),
        mib(with_all.saturating_sub(with_shared))
    );
    assert!(with_all.saturating_sub(before) < 150 * 1024 * 1024, "{with_all} {before}");
}
