//! How long a session is kept.

use super::*;

#[tokio::test]
async fn an_entry_is_kept_for_as_long_as_its_session_is_good() {
    let world = world().await;
    let cache = world.cache();
    let session = cache.session(&key(), &Cause::default()).await.ok().unwrap();
    let kept = cache.entries.get(&key()).await.unwrap();
    let now = Instant::now();
    let good_for = Duration::try_from(session.expires_at.duration_since(Timestamp::now())).unwrap();
    let left = WhileGood::left(&kept, now);
    assert!(
        left <= good_for + Duration::from_secs(5) && left + Duration::from_secs(5) >= good_for,
        "{left:?} {good_for:?}"
    );
    assert_eq!(WhileGood::left(&kept, now + good_for + Duration::from_secs(5)), Duration::ZERO);
    assert_eq!(WhileGood::left(&Kept::default(), now), WITHOUT_SESSION);
}

/// Requirement 26 of docs/security.md: an audit record names only who asked for just that call.
#[tokio::test]
async fn requirement_26_what_is_cleaned_up_is_never_done_in_a_session_named_after_somebody() {
    let cache = world().await.cache();
    let mut of_alice = key();
    of_alice.requester = Some("alice".into());
    let named = Arc::into_inner(old_session(3000)).map(|mut session| {
        session.origin.requester = Some("alice".into());
        Arc::new(session)
    });
    put(&cache, &of_alice, named.unwrap()).await;
    assert!(cache.held("uid", None).await.is_none());
    put(&cache, &key(), old_session(100)).await;
    assert_eq!(cache.held("uid", None).await.unwrap().origin.requester, None);
}
