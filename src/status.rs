//! Conditions as kstatus, `kubectl wait` and people expect them.
//!
//! `Ready` is always present. `Reconciling` and `Stalled` are there only while true: a plain `Ready=False` counts as in
//! progress for ever, and only `Stalled=True` is failure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::outcome::{Failure, bounded};
use crate::reason::Reason;

/// Sums up all others.
pub const READY: &str = "Ready";
/// Present and true while work goes on.
pub const RECONCILING: &str = "Reconciling";
/// Present and true when only a person can help.
pub const STALLED: &str = "Stalled";

/// Present and true of a run that has ended badly.
pub const FAILED: &str = "Failed";

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

impl Truth {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
}

/// Conditions under construction: starts from those an object has, so that transition times survive.
#[derive(Clone, Debug)]
pub struct Conditions {
    list: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Starts from what the object carries.
    pub fn new(existing: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { list: existing.to_vec(), generation, now }
    }

    /// Sets one condition; its transition time moves only when its status does.
    pub fn set(&mut self, kind: &str, truth: Truth, reason: Reason, message: &str) -> &mut Self {
        let message = bounded(message);
        let condition = Condition {
            type_: kind.to_owned(),
            status: truth.as_str().to_owned(),
            reason: reason.as_str().to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time: Time(self.now),
        };
        match self.list.iter_mut().find(|present| present.type_ == kind) {
            Some(present) => {
                let since = if present.status == condition.status {
                    present.last_transition_time.clone()
                } else {
                    condition.last_transition_time.clone()
                };
                *present = Condition { last_transition_time: since, ..condition };
            }
            None => self.list.push(condition),
        }
        self
    }

    /// Takes one condition away.
    pub fn remove(&mut self, kind: &str) -> &mut Self {
        self.list.retain(|condition| condition.type_ != kind);
        self
    }

    /// All is as the spec says.
    pub fn ready(&mut self, reason: Reason, message: &str) -> &mut Self {
        self.set(READY, Truth::True, reason, message).remove(RECONCILING).remove(STALLED)
    }

    /// Work goes on without a failure.
    pub fn progressing(&mut self, reason: Reason, message: &str) -> &mut Self {
        self.set(READY, Truth::False, reason, message);
        self.set(RECONCILING, Truth::True, reason, message).remove(STALLED)
    }

    /// Something failed. Whether it is called stalled depends on its class and on how long the object is not ready.
    pub fn failed(&mut self, failure: &Failure) -> &mut Self {
        self.set(READY, Truth::False, failure.reason, &failure.message);
        let since = self.get(READY).map_or(self.now, |ready| ready.last_transition_time.0);
        let waited = self.now.duration_since(since);
        let stalled = failure
            .class
            .stalled_after()
            .is_some_and(|limit| waited >= jiff::SignedDuration::try_from(limit).unwrap_or(jiff::SignedDuration::MAX));
        if stalled {
            self.set(STALLED, Truth::True, failure.reason, &failure.message).remove(RECONCILING)
        } else {
            self.set(RECONCILING, Truth::True, failure.reason, &failure.message).remove(STALLED)
        }
    }

    /// One condition, where it is present.
    pub fn get(&self, kind: &str) -> Option<&Condition> {
        find(&self.list, kind)
    }

    /// The finished list, in a stable order: by type, `Ready` first.
    pub fn finish(mut self) -> Vec<Condition> {
        self.list.sort_by(|a, b| (a.type_ != READY, &a.type_).cmp(&(b.type_ != READY, &b.type_)));
        self.list
    }
}

/// One condition of a list.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// True when the condition is present and `True`.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// Why an object waits for a person, if it does. A run that ended badly is called stalled as well, for tools that know no other
/// word for failure; but it has ended, and waits for nobody.
pub fn waits_for_person(conditions: &[Condition]) -> Option<&str> {
    let stalled = find(conditions, STALLED)?;
    let ended = find(conditions, FAILED).is_some_and(|failed| failed.reason == stalled.reason);
    (!ended).then_some(stalled.reason.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::outcome::Class;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let mut first = Conditions::new(&[], Some(1), at(10));
        first.ready(Reason::Synced, "");
        let first = first.finish();
        let mut second = Conditions::new(&first, Some(2), at(20));
        second.ready(Reason::StillSynced, "other words");
        let second = second.finish();
        assert_eq!(second[0].last_transition_time, first[0].last_transition_time);
        assert_eq!(second[0].observed_generation, Some(2));
        let mut third = Conditions::new(&second, Some(2), at(30));
        third.progressing(Reason::Updating, "");
        assert_eq!(third.get(READY).unwrap().last_transition_time, Time(at(30)));
    }

    #[test]
    fn a_denial_stalls_after_two_minutes_and_readiness_clears_it() {
        let denied = Failure::new(Class::Denied, Reason::AccessDenied, "no");
        let mut conditions = Conditions::new(&[], Some(1), at(0));
        conditions.failed(&denied);
        assert!(conditions.get(RECONCILING).is_some() && conditions.get(STALLED).is_none());
        let mut later = Conditions::new(&conditions.finish(), Some(1), at(121));
        later.failed(&denied);
        assert!(later.get(STALLED).is_some() && later.get(RECONCILING).is_none());
        later.ready(Reason::RoleAssumed, "");
        assert!(later.get(STALLED).is_none());
    }

    #[test]
    fn a_terminal_failure_stalls_at_once() {
        let mut conditions = Conditions::new(&[], Some(1), at(0));
        conditions.failed(&Failure::new(Class::Terminal, Reason::DefinitionInvalid, "no"));
        assert!(is_true(&conditions.finish(), STALLED));
    }

    #[test]
    fn a_run_that_ended_badly_waits_for_nobody_until_something_else_fails() {
        let mut conditions = Conditions::new(&[], Some(1), at(0));
        conditions.set(FAILED, Truth::True, Reason::Cancelled, "").set(STALLED, Truth::True, Reason::Cancelled, "");
        assert_eq!(waits_for_person(&conditions.clone().finish()), None);
        conditions.failed(&Failure::new(Class::Terminal, Reason::Forbidden, "no"));
        assert_eq!(waits_for_person(&conditions.clone().finish()), Some("Forbidden"));
        conditions.ready(Reason::Succeeded, "");
        assert_eq!(waits_for_person(&conditions.finish()), None);
    }
}
