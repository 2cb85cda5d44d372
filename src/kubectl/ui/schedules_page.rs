//! Schedules and the next times of each.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::frame::Frame;
use super::kept::Schedule;
use super::site::{Site, answer};
use super::store::Kind;
use super::told::{Mark, When};
use crate::plan::schedule::cron::{Cron, time_zone};

/// Times that are told.
const NEXT: usize = 5;

#[derive(Template)]
#[template(path = "ui/schedules.html")]
struct SchedulesPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    namespace: Arc<str>,
    name: Arc<str>,
    workflow: String,
    schedule: String,
    zone: String,
    suspended: bool,
    ready: Mark,
    why: Option<(String, String)>,
    active: i64,
    last: Option<When>,
    missed: Option<When>,
    /// In the schedule's own zone, and how soon.
    next: Vec<(When, String)>,
    no_next: String,
}

pub(super) async fn show(State(site): State<Arc<Site>>) -> Response {
    let frame = Frame::new(&site, "Schedules", "schedules", &[Kind::Schedules]);
    let now = Timestamp::now();
    let rows = site.store.schedules.all(|_, _| true).into_iter().map(|((namespace, name), one)| {
        let (next, no_next) = match times(&one, now) {
            _ if one.suspended => (Vec::new(), "Suspended: nothing is started.".to_owned()),
            Ok(next) if next.is_empty() => (next, "No time within five years.".to_owned()),
            Ok(next) => (next, String::new()),
            Err(why) => (Vec::new(), why),
        };
        let why = one.ready.as_ref().filter(|ready| ready.status != "True");
        Row {
            namespace,
            name,
            workflow: one.workflow.clone(),
            schedule: one.cron.clone(),
            zone: one.zone.clone().unwrap_or_else(|| "UTC".to_owned()),
            suspended: one.suspended,
            ready: Mark::condition(one.ready.as_ref()),
            why: why.map(|ready| (ready.reason.clone(), ready.message.clone())),
            active: one.active,
            last: one.last.map(|time| When::of(time, now)),
            missed: one.missed.map(|time| When::of(time, now)),
            next,
            no_next,
        }
    });
    answer(StatusCode::OK, &SchedulesPage { frame, rows: rows.collect() })
}

/// The next times, as the operator reckons them.
fn times(one: &Schedule, now: Timestamp) -> Result<Vec<(When, String)>, String> {
    let cron = Cron::parse(&one.cron)?;
    let zone = one.zone.as_deref().map_or(Ok(TimeZone::UTC), time_zone)?;
    // An interval counts from the last run, which only the status knows.
    let first = match &cron {
        Cron::Every(_) => one.next.filter(|next| *next > now).or_else(|| cron.next(one.last.unwrap_or(now), &zone)),
        Cron::Calendar(_) => cron.next(now, &zone),
    };
    let all = std::iter::successors(first, |time| cron.next(*time, &zone)).take(NEXT);
    let told = |time: Timestamp| {
        let local = time.to_zoned(zone.clone()).strftime("%a %d %b %Y, %H:%M").to_string();
        (When::of(time, now), local)
    };
    Ok(all.map(told).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_five_times_are_those_of_the_schedules_zone() {
        let schedule = |text: &str, zone: Option<&str>| Schedule {
            workflow: "fulfil".into(),
            cron: text.into(),
            zone: zone.map(str::to_owned),
            suspended: false,
            active: 0,
            last: None,
            missed: None,
            next: None,
            ready: None,
        };
        let now = "2027-03-27T12:00:00Z".parse().unwrap();
        let next = |text: &str, zone| {
            let times = times(&schedule(text, zone), now);
            times.map(|times| times.into_iter().map(|(_, local)| local).collect::<Vec<_>>())
        };
        let found = next("30 6 * * *", Some("Europe/Berlin")).unwrap();
        assert_eq!(found.len(), 5);
        assert_eq!(found[0], "Sun 28 Mar 2027, 06:30");
        let times = times(&schedule("30 6 * * *", Some("Europe/Berlin")), now).unwrap();
        assert_eq!(times[0].0.machine, "2027-03-28T04:30:00Z", "summer has begun");
        assert_eq!(next("@every 1h", None).unwrap().len(), 5);
        assert_eq!(next("0 0 31 2 *", None).unwrap(), Vec::<String>::new());
        assert!(next("x", None).is_err() && next("0 0 * * *", Some("Mars/Base")).is_err());
    }
}
