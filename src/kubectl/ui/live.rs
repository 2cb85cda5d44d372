//! Tells a page that something on it changed. The page then asks for itself again: what it may show is decided in one place.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use futures::stream::unfold;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::site::{Asked, Site};
use super::store::{Change, Kind};

/// Changes that come together are told together, and a page is not told more often.
const TOGETHER: Duration = Duration::from_millis(500);

/// What a page waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish(Vec<String>);

impl Wish {
    fn read(text: &str) -> Self {
        Self(text.split(',').map(str::to_owned).collect())
    }

    /// `runs` is any run, `runs/shop/order` that one and what is known of it.
    fn is_for(&self, change: &Change) -> bool {
        self.0.iter().any(|one| {
            let mut parts = one.split('/');
            let kind = parts.next().unwrap_or_default();
            let of_history = change.kind == Kind::Histories && kind == Kind::Runs.name();
            let about = (parts.next(), parts.next());
            match (about, &change.key) {
                ((Some(namespace), Some(name)), Some(key)) => {
                    (kind == change.kind.name() || of_history) && (&*key.0, &*key.1) == (namespace, name)
                }
                // What a run is part of may have changed altogether.
                ((Some(_), _), None) => kind == change.kind.name() || of_history,
                _ => kind == change.kind.name(),
            }
        })
    }
}

struct Waiting {
    changes: Receiver<Change>,
    wish: Wish,
    /// Something changed before the page began to wait.
    behind: bool,
}

pub(super) async fn live(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let asked = Asked::read(query.as_deref().unwrap_or_default());
    // First the changes to come, then those that were: none falls between.
    let changes = site.store.changes();
    let seen = asked.get("seen").and_then(|seen| seen.parse().ok());
    let behind = seen != Some(site.store.version());
    let waiting = Waiting { changes, wish: Wish::read(asked.get("on").unwrap_or_default()), behind };
    let told = unfold(waiting, |mut waiting| async move {
        if !std::mem::take(&mut waiting.behind) {
            next(&mut waiting).await?;
        }
        Some((Ok(Event::default().data("changed")), waiting))
    });
    Sse::new(told).keep_alive(KeepAlive::default())
}

/// Waits for a change that the page is to be told of; `None` where there will be none.
async fn next(waiting: &mut Waiting) -> Option<()> {
    loop {
        match waiting.changes.recv().await {
            Ok(change) if waiting.wish.is_for(&change) => break,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => break,
            Err(RecvError::Closed) => return None,
        }
    }
    tokio::time::sleep(TOGETHER).await;
    // What came meanwhile is told with it.
    waiting.changes = waiting.changes.resubscribe();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_of_what_it_shows_alone() {
        let change = |kind, key: Option<(&str, &str)>| Change { kind, key: key.map(|(a, b)| (a.into(), b.into())) };
        let of = |wish: &str, change: &Change| Wish::read(wish).is_for(change);
        let run = change(Kind::Runs, Some(("shop", "order")));
        assert!(of("runs", &run) && of("workflows,runs", &run) && of("runs/shop/order", &run));
        assert!(
            !of("workflows", &run) && !of("runs/shop/other", &run) && !of("runs/bank/order", &run) && !of("", &run)
        );
        let history = change(Kind::Histories, Some(("shop", "order")));
        assert!(of("runs/shop/order", &history), "its history is a part of a run's page");
        assert!(!of("runs", &history) && !of("runs/shop/other", &history));
        let all = change(Kind::Runs, None);
        assert!(of("runs/shop/order", &all) && of("runs", &all) && !of("schedules", &all));
    }
}
