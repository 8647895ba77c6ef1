//! What was read of a time, and what a clock makes of it.

use super::{
    Clock, DATE_SLACK, DAY, SECOND, YEAR_SLACK,
    civil::{civil_from_days, days_from_civil, days_in_month},
};
use crate::event::Time;

/// What was read of a time so far. Small, since it is copied for each line.
#[derive(Clone, Copy, Default)]
pub(in crate::parse) struct Fields {
    pub(super) year: Option<i16>,
    /// 0 where it was not said, as for the next two.
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) day_of_year: u16,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) afternoon: Option<bool>,
    pub(super) nanos: u32,
    /// Seconds east of UTC.
    pub(super) offset: Option<i32>,
    /// The whole time, where an item says it.
    pub(super) instant: Option<i64>,
}

impl Fields {
    pub(super) fn plausible(&self) -> bool {
        self.month <= 12
            && self.day <= 31
            && self.day_of_year <= 366
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
    }

    pub(in crate::parse) fn time(&self, clock: &Clock) -> Option<Time> {
        if let Some(instant) = self.instant {
            return Some(Time(instant));
        }
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        match (self.year.map(i64::from), month, day, self.day_of_year) {
            (Some(year), 1.., 1.., _) => self.at(year, month, day, clock),
            (Some(year), _, _, of_year @ 1..) => {
                let day = days_from_civil(year, 1, 1) + i64::from(of_year) - 1;
                let (year, month, day) = civil_from_days(day);
                self.at(year, month, day, clock)
            }
            (None, 1.., 1.., _) => self.in_latest_year(month, day, clock),
            (None, 0, 0, 0) => self.on_latest_day(clock),
            _ => None,
        }
    }

    /// The time of day in seconds.
    fn of_day(&self) -> i64 {
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        i64::from(hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second)
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
            Some(offset) => civil - i64::from(offset),
            None => clock.seconds_of(civil)?,
        };
        seconds.checked_mul(SECOND)?.checked_add(i64::from(self.nanos)).map(Time)
    }

    /// Without a year: the latest in which it is not later than the reference and a day.
    fn in_latest_year(&self, month: i64, day: i64, clock: &Clock) -> Option<Time> {
        if let Some(year) = clock.year {
            return self.at(i64::from(year), month, day, clock);
        }
        let (year, _, _) = civil_from_days(clock.reference_civil().div_euclid(DAY));
        let latest = clock.reference.0.saturating_add(YEAR_SLACK);
        // No zone is further than a day away from UTC: what is later than that need not be asked about.
        let latest_day = latest.div_euclid(DAY * SECOND) + 1;
        // Nine years back: a 29th of February may be eight years away (1896 to 1904).
        (year - 8..=year + 1)
            .rev()
            .filter(|year| days_from_civil(*year, month, day) <= latest_day)
            .filter_map(|year| self.at(year, month, day, clock))
            .find(|time| time.0 <= latest)
    }

    /// Without a date: the reference's, or the day before.
    fn on_latest_day(&self, clock: &Clock) -> Option<Time> {
        let reference = match self.offset {
            Some(offset) => clock.reference.seconds() + i64::from(offset),
            None => clock.reference_civil(),
        };
        let today = reference.div_euclid(DAY);
        let latest = clock.reference.0.saturating_add(DATE_SLACK);
        let time = self.on(today, clock)?;
        if time.0 <= latest { Some(time) } else { self.on(today - 1, clock) }
    }
}
