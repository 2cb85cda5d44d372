//! Times, lengths and outcomes in words, as the pages show them.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::v1alpha1::{Phase, VisitResult};
use crate::kubectl::words::{age, since};

/// A point in time: for machines, in full, and how long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// RFC 3339.
    pub machine: String,
    /// In full, for people.
    pub full: String,
    /// How long ago, or how soon.
    pub ago: String,
}

impl When {
    pub fn of(time: Timestamp, now: Timestamp) -> Self {
        let ago = if time > now { format!("in {}", since(now, time)) } else { format!("{} ago", since(time, now)) };
        let machine = Timestamp::from_second(time.as_second()).unwrap_or(time).to_string();
        Self { machine, full: time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(), ago }
    }
}

/// A length of time: exact where it is short.
pub(super) fn took(length: SignedDuration) -> String {
    let milliseconds = length.as_millis().max(0);
    match milliseconds {
        0..1000 => format!("{milliseconds}ms"),
        1000..100_000 => format!("{}.{}s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => age(length),
    }
}

/// A result: its word, and the icon and colour that go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub word: &'static str,
    /// Name of the icon and of the class.
    pub look: &'static str,
}

impl Mark {
    pub fn phase(phase: Phase) -> Self {
        let look = match phase {
            Phase::Succeeded => "good",
            Phase::Failed => "bad",
            Phase::TimedOut => "late",
            Phase::Aborted => "stop",
            Phase::Running => "run",
            Phase::Starting | Phase::Pending => "wait",
            Phase::Dispatched => "sent",
        };
        Self { word: phase.as_str(), look }
    }

    pub fn visit(result: VisitResult) -> Self {
        let (word, look) = match result {
            VisitResult::Running => ("Running", "run"),
            VisitResult::Succeeded => ("Succeeded", "good"),
            VisitResult::Caught => ("Caught", "caught"),
            VisitResult::Failed => ("Failed", "bad"),
            VisitResult::TimedOut => ("TimedOut", "late"),
            VisitResult::Aborted => ("Aborted", "stop"),
        };
        Self { word, look }
    }

    /// Of a condition that is good when true.
    pub fn condition(condition: Option<&Condition>) -> Self {
        match condition.map(|condition| condition.status.as_str()) {
            Some("True") => Self { word: "Yes", look: "good" },
            Some("False") => Self { word: "No", look: "bad" },
            _ => Self { word: "Unknown", look: "wait" },
        }
    }

    /// Of a finding.
    pub fn severity(severity: &str) -> Self {
        if severity == "Error" { Self { word: "Error", look: "bad" } } else { Self { word: "Warning", look: "caught" } }
    }
}

/// A condition for people: its reason and what it says.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub kind: String,
    pub mark: Mark,
    pub reason: String,
    pub message: String,
}

impl Told {
    pub fn of(condition: &Condition) -> Self {
        // Good when true, but for these two, which are there only when something is not as it should be.
        let mark = match (condition.type_.as_str(), condition.status.as_str()) {
            ("Stalled" | "Drifted" | "Failed", "True") => Mark { word: "Yes", look: "bad" },
            ("Reconciling" | "Waiting", "True") => Mark { word: "Yes", look: "wait" },
            ("Stalled" | "Drifted" | "Failed" | "Reconciling" | "Waiting", "False") => {
                Mark { word: "No", look: "good" }
            }
            _ => Mark::condition(Some(condition)),
        };
        let (reason, message) = (condition.reason.clone(), condition.message.clone());
        Self { kind: condition.type_.clone(), mark, reason, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_are_exact_and_long_ones_short() {
        for (milliseconds, text) in
            [(-5, "0ms"), (0, "0ms"), (840, "840ms"), (1500, "1.5s"), (99_999, "99.9s"), (190_000, "3m10s")]
        {
            assert_eq!(took(SignedDuration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn times_are_told_from_now() {
        let now: Timestamp = "2027-01-31T12:00:00Z".parse().unwrap();
        let at = |text: &str| When::of(text.parse().unwrap(), now);
        let then = at("2027-01-31T11:59:00.5Z");
        assert_eq!((then.machine.as_str(), then.ago.as_str()), ("2027-01-31T11:59:00Z", "59s ago"));
        assert_eq!(then.full, "2027-01-31 11:59:00 UTC");
        assert_eq!(at("2027-01-31T12:05:00Z").ago, "in 5m");
    }
}
