//! Error classes and what a failure of each class leads to.

use std::time::Duration;

use crate::reason::Reason;

/// What kind of failure it is, which decides when to look again and when to call the object stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub enum Class {
    /// Somebody wrote first; look again at once.
    Conflict,
    /// It passes by itself: throttling, 5xx, timeouts, resets.
    Transient,
    /// Refused by STS or IAM. Policies propagate, so it may mend without a change here.
    Denied,
    /// Something named does not exist or is not ready. A watch wakes the object.
    Waiting,
    /// Only a change of the object or of what it names can mend it.
    Terminal,
}

impl Class {
    /// Label of metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Class::Conflict => "conflict",
            Class::Transient => "transient",
            Class::Denied => "denied",
            Class::Waiting => "waiting",
            Class::Terminal => "terminal",
        }
    }

    /// How long after the failure began the object is reported `Stalled`; `None` means never.
    pub fn stalled_after(self) -> Option<Duration> {
        match self {
            Class::Conflict | Class::Transient => None,
            Class::Denied => Some(Duration::from_secs(120)),
            Class::Waiting => Some(Duration::from_secs(300)),
            Class::Terminal => Some(Duration::ZERO),
        }
    }

    /// Delay before the next look after `failures` failures in a row (counted from 1). `jitter` is from 0 to 1 and
    /// spreads the delay over its upper half, so that objects that failed together do not return together.
    /// `None` means that only a change brings the object back.
    pub fn delay(self, failures: u32, jitter: f64) -> Option<Duration> {
        let (first, longest) = match self {
            Class::Conflict => (Duration::from_millis(100), Duration::from_secs(2)),
            Class::Transient => (Duration::from_secs(1), Duration::from_secs(300)),
            Class::Denied => (Duration::from_secs(15), Duration::from_secs(600)),
            Class::Waiting => (Duration::from_secs(30), Duration::from_secs(300)),
            Class::Terminal => return None,
        };
        let doublings = failures.saturating_sub(1).min(16);
        let full = first.saturating_mul(1 << doublings).min(longest);
        Some(full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0)))
    }
}

/// The failures in a row of one object, and when it is looked at again because of them. Each reason is counted by itself:
/// whoever mends one thing after another waits for none of those that are mended, and what fails by turns waits longer all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: Vec<(Reason, u32)>,
    last: Option<Reason>,
    due: Duration,
}

impl Backoff {
    /// Counts a failure at `now`, a time since any fixed start, and gives the delay until the next look. A failure that
    /// comes again before it was due, because a watch woke the object, is told again but makes nobody wait longer.
    pub fn fail(&mut self, class: Class, reason: Reason, now: Duration, jitter: f64) -> Option<Duration> {
        let is_early = Some(reason) == self.last && now < self.due;
        let failures = self.count(reason);
        if is_early {
            return class.delay(*failures, jitter).map(|delay| delay.min(self.due.saturating_sub(now)));
        }
        *failures = failures.saturating_add(1);
        let delay = class.delay(*failures, jitter)?;
        (self.last, self.due) = (Some(reason), now + delay);
        Some(delay)
    }

    fn count(&mut self, reason: Reason) -> &mut u32 {
        let known = self.failures.iter().position(|(known, _)| *known == reason);
        let at = known.unwrap_or_else(|| {
            self.failures.push((reason, 0));
            self.failures.len() - 1
        });
        &mut self.failures[at].1
    }
}

/// An error that knows its class and what may be said of it in public.
pub trait Classify {
    /// The class, which decides the retry.
    fn class(&self) -> Class;
    /// CamelCase reason for condition, event and metric.
    fn reason(&self) -> Reason;
    /// What happened, to what, and what to do next. Free of request ids, times and secrets, so that a repeated failure
    /// leaves a status unchanged; at most [`MAX_MESSAGE`] characters.
    fn public(&self) -> String;
}

/// Longest message in a condition, in characters.
pub const MAX_MESSAGE: usize = 1024;

/// A failure as the status and the requeue policy need it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// The class, which decides the retry.
    pub class: Class,
    /// CamelCase reason for condition, event and metric.
    pub reason: Reason,
    /// What happened and what to do next.
    pub message: String,
}

impl Failure {
    /// A failure with its message bounded.
    pub fn new(class: Class, reason: Reason, message: impl Into<String>) -> Self {
        Self { class, reason, message: bounded(&message.into()) }
    }

    /// Whether it is worth an event: waiting for one's turn is not, and a thousand objects may do so.
    pub fn is_news(&self) -> bool {
        self.class != Class::Conflict && self.reason != Reason::WaitingForQuota
    }
}

impl<E: Classify> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.class(), error.reason(), error.public())
    }
}

/// Cuts a text at [`MAX_MESSAGE`] characters and marks the cut.
pub fn bounded(text: &str) -> String {
    if text.chars().count() <= MAX_MESSAGE {
        return text.to_owned();
    }
    text.chars().take(MAX_MESSAGE - 1).chain(['…']).collect()
}

/// When a reconcile wants to be called again, apart from changes that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Requeue {
    /// Only on a change.
    OnChange,
    /// On a change, and at the latest after this time.
    After(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_ceiling_and_stay_there() {
        for class in [Class::Conflict, Class::Transient, Class::Denied, Class::Waiting] {
            let delays: Vec<_> = (1..40).filter_map(|n| class.delay(n, 1.0)).collect();
            assert!(delays.windows(2).all(|pair| pair[0] <= pair[1]), "{class:?}");
            assert_eq!(delays.last(), class.delay(u32::MAX, 1.0).as_ref());
        }
        assert_eq!(Class::Transient.delay(1, 1.0), Some(Duration::from_secs(1)));
        assert_eq!(Class::Transient.delay(99, 1.0), Some(Duration::from_secs(300)));
        assert_eq!(Class::Denied.delay(99, 0.0), Some(Duration::from_secs(300)));
        assert_eq!(Class::Terminal.delay(1, 1.0), None);
    }

    #[test]
    fn a_failure_that_a_watch_brought_early_makes_nobody_wait_longer() {
        let mut backoff = Backoff::default();
        let at = Duration::from_secs;
        let mut fail = |class, second| backoff.fail(class, Reason::AccessDenied, at(second), 1.0);
        assert_eq!(fail(Class::Denied, 100), Some(at(15)));
        for early in 101..115 {
            assert_eq!(fail(Class::Denied, early), Some(at(115 - early)));
        }
        assert_eq!(fail(Class::Denied, 115), Some(at(30)));
        assert_eq!(fail(Class::Terminal, 200), None);
    }

    #[test]
    fn whoever_mends_one_thing_after_another_waits_for_the_last_one_alone() {
        let (mut backoff, at) = (Backoff::default(), Duration::from_secs);
        let mut fail = |reason, second| backoff.fail(Class::Denied, reason, at(second), 1.0);
        assert_eq!(fail(Reason::SecretUnreadable, 0), Some(at(15)));
        assert_eq!(fail(Reason::SecretUnreadable, 15), Some(at(30)));
        assert_eq!(fail(Reason::SecretNotForIssuer, 20), Some(at(15)), "a step further");
        assert_eq!(fail(Reason::AccessDenied, 25), Some(at(15)));
        assert_eq!(fail(Reason::AccessDenied, 30), Some(at(10)), "seen early, and told again");
        // By turns, as often as somebody likes: each turn is longer than the one before.
        assert_eq!(fail(Reason::SecretNotForIssuer, 40), Some(at(30)));
        assert_eq!(fail(Reason::AccessDenied, 70), Some(at(30)));
        assert_eq!(fail(Reason::SecretNotForIssuer, 100), Some(at(60)));
    }

    #[test]
    fn messages_are_cut_at_characters_not_bytes() {
        let long = "é".repeat(MAX_MESSAGE + 10);
        assert_eq!(bounded(&long).chars().count(), MAX_MESSAGE);
        assert!(bounded(&long).ends_with('…'));
        assert_eq!(bounded("short"), "short");
    }
}
