//! The timeline of a run as bars: one row a visit, all on one scale.

use jiff::{SignedDuration, Timestamp};

use super::told::{Mark, took};
use crate::api::v1alpha1::{Timeline, Visit};

/// How wide the scale is. Bars are stretched to whatever room there is.
const WIDTH: i64 = 1000;
/// The shortest bar that can be seen.
const SHORTEST: i64 = 4;

/// One visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub state: String,
    /// How deep inside Map and Parallel states it is.
    pub depth: usize,
    pub mark: Mark,
    pub took: String,
    /// Left end and width, of 1000.
    pub from: i64,
    pub width: i64,
    pub retries: i64,
    pub iterations: Option<String>,
    pub error: Option<String>,
    pub cause: Option<String>,
}

/// The rows and the length of the scale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gantt {
    pub bars: Vec<Bar>,
    pub span: String,
    pub omitted: i64,
}

impl Gantt {
    /// Of a timeline; what has not ended goes on until now.
    pub fn of(timeline: &Timeline, now: Timestamp) -> Self {
        let from = |visit: &Visit| visit.entered_at.as_ref().map(|time| time.0);
        let until = |visit: &Visit| visit.exited_at.as_ref().map_or(now, |time| time.0);
        let Some(begin) = timeline.visits.iter().filter_map(from).min() else { return Self::default() };
        let end = timeline.visits.iter().map(until).max().unwrap_or(now);
        let span = length(begin, end);
        let scaled = |time: i64| if span == 0 { 0 } else { (time * WIDTH / span).clamp(0, WIDTH) };
        let bars = timeline.visits.iter().map(|visit| {
            let entered = from(visit).unwrap_or(begin);
            let long = length(entered, until(visit));
            let width = scaled(long).clamp(SHORTEST, WIDTH);
            Bar {
                state: visit.state.clone(),
                depth: visit.path.matches("/States/").count().saturating_sub(1).min(6),
                mark: Mark::visit(visit.result),
                took: took(SignedDuration::from_millis(long)),
                from: scaled(length(begin, entered)).min(WIDTH - width),
                width,
                retries: visit.retries,
                iterations: visit.iterations.map(|all| {
                    let more = [(all.failed, "failed"), (all.running, "running")];
                    let more = more.iter().filter(|(count, _)| *count > 0);
                    let all = format!("{} of {} items", all.succeeded, all.total);
                    more.fold(all, |told, (count, word)| format!("{told}, {count} {word}"))
                }),
                error: visit.error.clone(),
                cause: visit.cause.clone(),
            }
        });
        let bars = bars.collect();
        Self { bars, span: took(SignedDuration::from_millis(span)), omitted: timeline.omitted }
    }
}

fn length(from: Timestamp, until: Timestamp) -> i64 {
    i64::try_from(until.duration_since(from).as_millis()).unwrap_or(i64::MAX / WIDTH).max(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bars_stand_where_their_visits_were() {
        let timeline: Timeline = serde_json::from_value(json!({"visits": [
            {"path": "/States/A", "state": "A", "enteredAt": "2027-01-31T12:00:00.000000Z", "exitedAt": "2027-01-31T12:00:02.500000Z", "result": "Succeeded"},
            {"path": "/States/M", "state": "M", "enteredAt": "2027-01-31T12:00:02.500000Z", "result": "Running",
                "iterations": {"total": 9, "succeeded": 4, "failed": 1, "running": 2}},
            {"path": "/States/M/ItemProcessor/States/B", "state": "B", "enteredAt": "2027-01-31T12:00:09.999000Z", "exitedAt": "2027-01-31T12:00:10.000000Z", "result": "Failed", "error": "Boom", "retries": 2},
        ]})).unwrap();
        let gantt = Gantt::of(&timeline, "2027-01-31T12:00:10Z".parse().unwrap());
        assert_eq!(gantt.span, "10.0s");
        let seen: Vec<_> = gantt.bars.iter().map(|bar| (bar.depth, bar.from, bar.width, bar.took.as_str())).collect();
        assert_eq!(seen, [(0, 0, 250, "2.5s"), (0, 250, 750, "7.5s"), (1, 996, 4, "1ms")]);
        assert_eq!(gantt.bars[1].iterations.as_deref(), Some("4 of 9 items, 1 failed, 2 running"));
    }

    #[test]
    fn a_timeline_without_times_or_length_has_no_scale() {
        let now = "2027-01-31T12:00:10Z".parse().unwrap();
        assert_eq!(Gantt::of(&Timeline::default(), now), Gantt::default());
        let visit = json!({"visits": [{"path": "/States/A", "state": "A", "enteredAt": "2027-01-31T12:00:00Z", "exitedAt": "2027-01-31T12:00:00Z"}]});
        let gantt = Gantt::of(&serde_json::from_value(visit).unwrap(), now);
        assert_eq!((gantt.bars[0].from, gantt.bars[0].width), (0, SHORTEST));
    }
}
