//! The calendar, in whole milliseconds of UTC.

pub(super) const DAY: i64 = 86_400_000;

/// Days from 1970 to the first of this month, which counts from 0 and may be any number.
pub(super) fn days_before(year: i64, month: i64) -> i64 {
    let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12));
    // The year begins in March, so that the leap day is its last.
    let shifted = (month + 10) % 12;
    let year = if month < 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * shifted + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A point in time, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub year: i64,
    /// From 0.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// Of that day.
    pub millis: i64,
    pub total: i64,
}

impl Date {
    pub(super) fn of(total: i64) -> Self {
        let days = total.div_euclid(DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = (shifted + 2) % 12;
        let year = year_of_era + era * 400 + i64::from(month < 2);
        Self { year, month, day, millis: total.rem_euclid(DAY), total }
    }

    fn today(self) -> i64 {
        self.total - self.millis
    }

    /// What a component of a picture shows: a number, where it is one.
    pub(super) fn component(self, component: char) -> Option<i64> {
        let hours = self.millis / 3_600_000;
        Some(match component {
            'Y' => self.year,
            'M' => self.month + 1,
            'D' => self.day,
            'd' => self.today() / DAY - days_before(self.year, 0) + 1,
            'F' => weekday(self.today()),
            'W' => self.week((self.year, 0), 12, 52),
            'w' => self.week((self.year, self.month), 1, 4),
            'X' => {
                let after = self.total >= first_week(self.year + 1, 0);
                self.year + i64::from(after) - i64::from(self.total < first_week(self.year, 0))
            }
            'x' => {
                let after = self.total >= first_week(self.year, self.month + 1);
                let before = self.total < first_week(self.year, self.month);
                (self.month + i64::from(after) - i64::from(before)).rem_euclid(12) + 1
            }
            'H' => hours,
            'h' => (hours + 11) % 12 + 1,
            'P' => i64::from(hours >= 12),
            'm' => self.millis / 60_000 % 60,
            's' => self.millis / 1000 % 60,
            'f' => self.millis % 1000,
            _ => return None,
        })
    }

    /// The week of a year or month, whose neighbours are so many months away.
    fn week(self, (year, month): (i64, i64), step: i64, usual: i64) -> i64 {
        let weeks = |start: i64| (self.today() - start).div_euclid(7 * DAY) + 1;
        let week = weeks(first_week(year, month));
        if week > usual && self.today() >= first_week(year, month + step) {
            return 1;
        }
        if week < 1 { weeks(first_week(year, month - step)) } else { week }
    }
}

/// 1 is Monday.
fn weekday(day: i64) -> i64 {
    (day.div_euclid(DAY) + 3).rem_euclid(7) + 1
}

/// Where the first week begins: the one with the first Thursday.
fn first_week(year: i64, month: i64) -> i64 {
    let first = days_before(year, month) * DAY;
    let weekday = weekday(first);
    if weekday > 4 { first + (8 - weekday) * DAY } else { first - (weekday - 1) * DAY }
}
