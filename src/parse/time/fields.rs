//! What was read of a time, and what a clock makes of it.

use super::{
    Clock, DATE_SLACK, DAY, SECOND, YEAR_SLACK,
    civil::{civil_from_days, days_from_civil, days_in_month},
};
use crate::event::Time;

/// What was read of a time so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields {
    pub(super) year: Option<i64>,
    pub(super) month: Option<i64>,
    pub(super) day: Option<i64>,
    pub(super) day_of_year: Option<i64>,
    pub(super) hour: i64,
    pub(super) afternoon: Option<bool>,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanos: i64,
    pub(super) offset: Option<i64>,
    /// The whole time, where an item says it.
    pub(super) instant: Option<i64>,
}

impl Fields {
    pub(super) fn plausible(&self) -> bool {
        let within =
            |value: Option<i64>, most| value.is_none_or(|value| (1..=most).contains(&value));
        within(self.month, 12)
            && within(self.day, 31)
            && within(self.day_of_year, 366)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
    }

    pub(super) fn time(&self, clock: &Clock) -> Option<Time> {
        if let Some(instant) = self.instant {
            return Some(Time(instant));
        }
        match (self.year, self.month, self.day, self.day_of_year) {
            (Some(year), Some(month), Some(day), _) => self.at(year, month, day, clock),
            (Some(year), _, _, Some(day)) => {
                let (year, month, day) = civil_from_days(days_from_civil(year, 1, 1) + day - 1);
                self.at(year, month, day, clock)
            }
            (None, Some(month), Some(day), _) => self.in_latest_year(month, day, clock),
            (None, None, None, None) => self.on_latest_day(clock),
            _ => None,
        }
    }

    /// The time of day as seconds.
    fn of_day(&self) -> i64 {
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        hour * 3_600 + self.minute * 60 + self.second
    }

    fn at(&self, year: i64, month: i64, day: i64, clock: &Clock) -> Option<Time> {
        if day > days_in_month(year, month) {
            return None;
        }
        self.on(days_from_civil(year, month, day), clock)
    }

    fn on(&self, day: i64, clock: &Clock) -> Option<Time> {
        let civil = day * DAY + self.of_day();
        let seconds = match self.offset {
            Some(offset) => civil - offset,
            None => clock.seconds_of(civil)?,
        };
        seconds.checked_mul(SECOND)?.checked_add(self.nanos).map(Time)
    }

    /// Without a year: the latest in which it is not later than the reference and a day.
    fn in_latest_year(&self, month: i64, day: i64, clock: &Clock) -> Option<Time> {
        if let Some(year) = clock.year {
            return self.at(i64::from(year), month, day, clock);
        }
        let (year, _, _) = civil_from_days(clock.reference_civil().div_euclid(DAY));
        let latest = clock.reference.0.saturating_add(YEAR_SLACK);
        // Nine years back: a 29th of February may be eight years away (1896 to 1904).
        (0..=9)
            .filter_map(|back| self.at(year + 1 - back, month, day, clock))
            .find(|time| time.0 <= latest)
    }

    /// Without a date: the reference's, or the day before.
    fn on_latest_day(&self, clock: &Clock) -> Option<Time> {
        let reference = match self.offset {
            Some(offset) => clock.reference.seconds() + offset,
            None => clock.reference_civil(),
        };
        let today = reference.div_euclid(DAY);
        let latest = clock.reference.0.saturating_add(DATE_SLACK);
        let time = self.on(today, clock)?;
        if time.0 <= latest { Some(time) } else { self.on(today - 1, clock) }
    }
}
