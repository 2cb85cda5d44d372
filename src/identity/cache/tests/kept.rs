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
