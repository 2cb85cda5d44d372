//! What ends a wait from outside, and what is said then.

use std::time::Duration;

use super::Cluster;
use crate::cli::out::say;

/// Why a wait ends before what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Ctrl-C, a hangup or a request to terminate.
    Signal,
    /// So long was enough.
    After(Duration),
}

/// Says that nobody waits any more: what becomes of it, and how to come back. All verbs say it in these words.
pub(super) fn say_stopped(why: Why, what: &str, next: &str) {
    let (begin, after) = match why {
        // A terminal shows ^C in the line.
        Why::Signal => ("\n", String::new()),
        Why::After(longest) => ("", format!(" after {}s", longest.as_secs())),
    };
    say(&format!("{begin}Stopped waiting{after}: {what}. {next}"));
}

/// How to see a run again, and how to end it.
pub(super) fn back_to_run(cluster: &Cluster, name: &str) -> String {
    format!(
        "See it again: {}. Stop it: {}",
        cluster.command(&format!("watch {name}")),
        cluster.command(&format!("cancel {name}"))
    )
}

/// Ends once the plugin is to end: by Ctrl-C, a request to terminate, or because its terminal has gone. From the call on the
/// signals are heard, so that nothing is left behind.
#[cfg(unix)]
pub(super) fn asked_to_end() -> impl Future<Output = ()> {
    use std::task::Poll;
    use tokio::signal::unix::{SignalKind, signal};

    let hangup = (!hangups_are_ignored()).then(SignalKind::hangup);
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()].into_iter().chain(hangup);
    // A signal that cannot be heard ends the program, as without us.
    let mut signals: Vec<_> = kinds.filter_map(|kind| signal(kind).ok()).collect();
    std::future::poll_fn(move |context| {
        let heard = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if heard { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// The same where there are no signals.
#[cfg(not(unix))]
pub(super) fn asked_to_end() -> impl Future<Output = ()> {
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// True under `nohup`, which is to outlive its terminal. Where the system does not tell, whoever writes to no terminal does.
#[cfg(unix)]
fn hangups_are_ignored() -> bool {
    use std::io::IsTerminal;

    match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => ignores_hangups(&status),
        Err(_) => !std::io::stdout().is_terminal(),
    }
}

/// Reads the mask of ignored signals, in which the first bit is that of hangups.
#[cfg(unix)]
fn ignores_hangups(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// How often it is looked whether anybody reads.
#[cfg(unix)]
const LOOK: Duration = Duration::from_millis(200);

/// Ends once nobody reads standard output any more, as behind `head`: also while there is nothing to write. Never where there
/// is always somebody, as with a file.
#[cfg(unix)]
pub(super) async fn unread() {
    use std::os::fd::AsFd;
    use tokio::io::Interest;
    use tokio::net::unix::pipe::Sender;

    // Nothing is written here, so it is no matter that a write would block. What the system does not watch is no pipe.
    let out = std::io::stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    if let Ok(out) = out {
        while let Ok(seen) = out.ready(Interest::WRITABLE).await {
            if seen.is_write_closed() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    std::future::pending::<()>().await;
}

/// The same where the next write tells it.
#[cfg(not(unix))]
pub(super) async fn unread() {
    std::future::pending::<()>().await;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_begins_is_not_ended_by_a_hangup() {
        assert!(ignores_hangups("Name:\ta\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangups("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangups("Name:\ta\n"));
    }
}
