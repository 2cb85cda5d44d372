//! The life of the process under test, which ends in the middle of things when a test wants it to.

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Counts what the process changes, in AWS and at the API server. Where its life ends with a change, that change is made and
/// the process never hears of it, nor gets it another answer.
#[derive(Default)]
pub(crate) struct Life(Mutex<Lived>);

#[derive(Default)]
struct Lived {
    tries: usize,
    changes: usize,
    ends_at: Option<usize>,
    ended: CancellationToken,
}

impl Life {
    /// It ends with the n-th change from now on, counted from 1.
    pub(crate) fn ends_with(&self, change: usize) {
        let mut lived = self.0.lock();
        lived.ends_at = Some(lived.changes + change);
    }

    /// Another process begins.
    pub(crate) fn begin(&self) {
        let mut lived = self.0.lock();
        (lived.ends_at, lived.ended) = (None, CancellationToken::new());
    }

    pub(crate) fn changes(&self) -> usize {
        self.0.lock().changes
    }

    /// Changes that were asked for, made or not.
    pub(crate) fn tries(&self) -> usize {
        self.0.lock().tries
    }

    /// A change is asked for.
    pub(crate) fn tries_to_change(&self) {
        self.0.lock().tries += 1;
    }

    fn end(&self) -> CancellationToken {
        self.0.lock().ended.clone()
    }

    /// Something was changed. Does not come back where life ends with it.
    pub(crate) async fn changed(&self) {
        let ends = {
            let mut lived = self.0.lock();
            lived.changes += 1;
            lived.ends_at.is_some_and(|at| lived.changes >= at)
        };
        if ends {
            self.end().cancel();
            std::future::pending::<()>().await;
        }
    }

    /// Does not come back once life has ended.
    pub(crate) async fn lives(&self) {
        if self.end().is_cancelled() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        self.end().cancelled().await;
    }
}
