//! Times, phases and rights in words.

use jiff::{SignedDuration, Timestamp, Unit};

use crate::api::v1alpha1::{Phase, VisitResult};

/// A length of time as kubectl writes ages: `5s`, `3m10s`, `2h5m`, `3d4h`.
pub(super) fn age(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |first: i64, unit: char, second: i64, smaller: char| {
        if second == 0 { format!("{first}{unit}") } else { format!("{first}{unit}{second}{smaller}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () => format!("{days}d"),
    }
}

/// How long ago it was.
pub(super) fn since(time: Timestamp, now: Timestamp) -> String {
    age(now.duration_since(time))
}

/// How long something took that may take less than a second: `120ms`, `1.4s`, then as [`age`].
pub(super) fn took(length: SignedDuration) -> String {
    match length.as_millis().max(0) {
        millis if millis < 1_000 => format!("{millis}ms"),
        millis if millis < 10_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        _ => age(length),
    }
}

/// A time to the second, in UTC, as the API writes it.
pub(super) fn written(time: Timestamp) -> String {
    time.round(Unit::Second).unwrap_or(time).to_string()
}

/// A phase or result as it stands in a sentence: `timed out`.
pub(super) fn small(word: &str) -> String {
    word.to_lowercase().replace("timedout", "timed out")
}

/// The colour of a phase, for terminals.
pub(super) fn paint_phase(phase: Phase, colour: bool) -> String {
    let code = match phase {
        Phase::Succeeded | Phase::Dispatched => "32",
        Phase::Failed | Phase::TimedOut => "31",
        Phase::Aborted => "33",
        Phase::Pending | Phase::Starting | Phase::Running => "34",
    };
    paint(phase.as_str(), code, colour)
}

/// What became of a visit of a state: its sign, as drawings have it, with a word.
pub(super) fn result(result: VisitResult) -> (&'static str, &'static str, &'static str) {
    match result {
        VisitResult::Running => ("…", "Running", "34"),
        VisitResult::Succeeded => ("✔", "Succeeded", "32"),
        VisitResult::Caught => ("↷", "Caught", "33"),
        VisitResult::Failed => ("✘", "Failed", "31"),
        VisitResult::TimedOut => ("✘", "TimedOut", "31"),
        VisitResult::Aborted => ("■", "Aborted", "33"),
    }
}

pub(super) fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_in_a_sentence_is_words() {
        assert_eq!([small("TimedOut"), small("Succeeded")], ["timed out", "succeeded"]);
    }

    #[test]
    fn lengths_of_time_are_written_as_kubectl_writes_ages() {
        for (seconds, written) in [
            (0, "0s"),
            (119, "119s"),
            (190, "3m10s"),
            (3_000, "50m"),
            (7_500, "125m"),
            (18_300, "5h5m"),
            (900_000, "10d"),
        ] {
            assert_eq!(age(SignedDuration::from_secs(seconds)), written);
        }
        for (millis, written) in [(7, "7ms"), (1_460, "1.4s"), (61_000, "61s")] {
            assert_eq!(took(SignedDuration::from_millis(millis)), written);
        }
    }
}
