//! Times as logs write them → nanoseconds since the epoch.
//!
//! Logs leave out the zone, the year, even the date; [`Clock`] says what to assume. Formats are strftime's, compiled
//! once. Years that a 64-bit count of nanoseconds cannot hold (before 1678, after 2261) are no times.

mod civil;
mod fields;
mod read;

use std::cell::Cell;

use jiff::{Timestamp, tz::TimeZone};

pub(super) use self::fields::Fields;
use self::{civil::civil_from_days, read::read_item};
use crate::event::Time;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;
/// How far an event may lie in the future of the reference before its year is taken to be the one before.
const YEAR_SLACK: i64 = DAY * SECOND;
/// The same for a time of day without a date.
const DATE_SLACK: i64 = 3_600 * SECOND;

/// What a log does not say.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    /// The file's modification time, or now: an event is not later than this and a day.
    pub reference: Time,
    /// The year of times without one, where the user knows it.
    pub year: Option<i16>,
    /// The hour (of civil seconds) that was asked for last and its offset: lines come in order, and asking a
    /// time zone costs more than the rest of the parsing. Never holds an hour with a transition in it.
    last: Cell<Option<(i64, i64)>>,
    /// The reference's offset, with the reference that it was asked for.
    reference_offset: Cell<Option<(Time, i64)>>,
}

impl Clock {
    /// A clock of these assumptions.
    #[must_use]
    pub fn new(zone: TimeZone, reference: Time, year: Option<i16>) -> Self {
        Self { zone, reference, year, last: Cell::new(None), reference_offset: Cell::new(None) }
    }

    /// The zone of times without one.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// UTC.
    #[must_use]
    pub fn utc(reference: Time) -> Self {
        Self::new(TimeZone::UTC, reference, None)
    }

    /// Seconds since the epoch of a civil time, given as if it were UTC. In a fold the first of both, in a gap the
    /// time after it (RFC 5545, what jiff calls compatible).
    fn seconds_of(&self, civil_seconds: i64) -> Option<i64> {
        if self.zone == TimeZone::UTC {
            return Some(civil_seconds);
        }
        let hour = civil_seconds.div_euclid(3_600);
        if let Some((last, offset)) = self.last.get()
            && last == hour
        {
            return Some(civil_seconds - offset);
        }
        let first = self.ask(hour * 3_600)?;
        let end = self.ask(hour * 3_600 + 3_599)?;
        if end - first == 3_599 {
            // Half-hour transitions inside the hour would differ here as well; a fold that covers the whole hour has
            // one answer for all of it, the first.
            let offset = hour * 3_600 - first;
            self.last.set(Some((hour, offset)));
            return Some(civil_seconds - offset);
        }
        self.ask(civil_seconds)
    }

    fn ask(&self, civil_seconds: i64) -> Option<i64> {
        let (year, month, day) = civil_from_days(civil_seconds.div_euclid(DAY));
        let of_day = civil_seconds.rem_euclid(DAY);
        let part = |n: i64| i8::try_from(n).ok();
        let datetime = jiff::civil::DateTime::new(
            i16::try_from(year).ok()?,
            part(month)?,
            part(day)?,
            part(of_day / 3_600)?,
            part(of_day / 60 % 60)?,
            part(of_day % 60)?,
            0,
        )
        .ok()?;
        Some(self.zone.to_ambiguous_timestamp(datetime).compatible().ok()?.as_second())
    }

    /// The reference as civil seconds in the zone.
    fn reference_civil(&self) -> i64 {
        let seconds = self.reference.seconds();
        if let Some((reference, offset)) = self.reference_offset.get()
            && reference == self.reference
        {
            return seconds + offset;
        }
        let Ok(at) = Timestamp::from_second(seconds) else { return seconds };
        let offset = i64::from(self.zone.to_offset(at).seconds());
        self.reference_offset.set(Some((self.reference, offset)));
        seconds + offset
    }
}

/// How a log writes a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimeFormat {
    items: Vec<Item>,
}

/// A format that cannot be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TimeFormatError {
    /// Byte in the format where it went wrong.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Item {
    Literal(u8),
    /// A space of the format: one or more of the text.
    Spaces,
    Year,
    YearOfCentury,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Weekday,
    Hour,
    Hour12,
    AmPm,
    Minute,
    Second,
    /// Digits after the second.
    Fraction,
    /// A dot or comma and digits, or nothing.
    MaybeFraction,
    /// `Z`, `+hh`, `+hhmm`, `+hh:mm`.
    Offset,
    /// A zone's abbreviation: UTC or GMT is believed, another one only skipped.
    ZoneName,
    Epoch(Unit),
    /// `%b %d %H:%M:%S` in one.
    Stamp,
    /// `%Y-%m-%d %H:%M:%S` in one, with these separators of the date's parts and of date and time.
    DateTime([u8; 3]),
    Rfc3339,
    /// To the letter, for places where a guess would be wrong.
    StrictRfc3339,
    Auto,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Seconds,
    Millis,
    Nanos,
}

impl TimeFormat {
    /// Compiles a strftime format, or one of the names `rfc3339`, `epoch`, `epoch_ms`, `epoch_ns`, `auto`.
    ///
    /// `%Y %y %m %b %B %d %e %j %H %k %I %l %p %M %S %f %3f %6f %9f %L %.f %z %:z %Z %a %A %s %F %T %R %%`. `%d` takes a
    /// leading space, `%.f` is an optional fraction after a dot or a comma, `%z` takes `Z` too.
    pub fn compile(format: &str) -> Result<Self, TimeFormatError> {
        let single = |item| Ok(Self { items: vec![item] });
        match format {
            "rfc3339" => return single(Item::Rfc3339),
            "epoch" => return single(Item::Epoch(Unit::Seconds)),
            "epoch_ms" => return single(Item::Epoch(Unit::Millis)),
            "epoch_ns" => return single(Item::Epoch(Unit::Nanos)),
            "auto" => return single(Item::Auto),
            _ => {}
        }
        let mut items = Vec::new();
        let bytes = format.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            at += match bytes[at] {
                b'%' => {
                    directive(&bytes[at + 1..], &mut items).ok_or_else(|| TimeFormatError {
                        offset: at,
                        message: format!(
                            "unknown directive `{}` in a time format",
                            format[at..].chars().take(2).collect::<String>()
                        ),
                    })? + 1
                }
                b' ' => {
                    items.push(Item::Spaces);
                    1
                }
                byte => {
                    items.push(Item::Literal(byte));
                    1
                }
            };
        }
        if items.iter().all(|item| matches!(item, Item::Literal(_) | Item::Spaces)) {
            return Err(TimeFormatError {
                offset: 0,
                message: "a time format without any directive".to_owned(),
            });
        }
        Ok(Self { items: fused(items) })
    }

    /// RFC 3339 to the letter: a `T`, a dot before the fraction, an offset.
    pub(super) fn strict_rfc3339() -> Self {
        Self { items: vec![Item::StrictRfc3339] }
    }

    /// The time at the beginning of the text, and how many bytes it took.
    #[must_use]
    pub fn parse(&self, text: &[u8], clock: &Clock) -> Option<(Time, usize)> {
        let mut fields = Fields::default();
        let used = self.read(text, &mut fields)?;
        Some((fields.time(clock)?, used))
    }

    /// How many bytes of the text look like this format; cheap, asks no time zone.
    #[must_use]
    pub fn scan(&self, text: &[u8]) -> Option<usize> {
        self.read(text, &mut Fields::default())
    }

    /// Reads the time at the beginning of the text; how many bytes it took.
    pub(super) fn read(&self, text: &[u8], fields: &mut Fields) -> Option<usize> {
        let mut rest = text;
        for item in &self.items {
            rest = read_item(item, rest, fields)?;
        }
        fields.plausible().then_some(text.len() - rest.len())
    }
}

/// Joins the two commonest runs of items into one item each: they are read for every line.
fn fused(items: Vec<Item>) -> Vec<Item> {
    use Item::{Day, Hour, Literal, Minute, Month, MonthName, Second, Spaces, Year};
    const COLON: Item = Literal(b':');
    match items.as_slice() {
        [MonthName, Spaces, Day, Spaces, Hour, COLON, Minute, COLON, Second, rest @ ..] => {
            [&[Item::Stamp], rest].concat()
        }
        [
            Year,
            Literal(a),
            Month,
            Literal(b),
            Day,
            between,
            Hour,
            COLON,
            Minute,
            COLON,
            Second,
            rest @ ..,
        ] => {
            let separator = match between {
                Literal(byte) => *byte,
                Spaces => b' ',
                _ => return items,
            };
            [&[Item::DateTime([*a, *b, separator])], rest].concat()
        }
        _ => items,
    }
}

/// Compiles what follows a `%`; how many bytes it took.
fn directive(after: &[u8], items: &mut Vec<Item>) -> Option<usize> {
    let mut all = |new: &[Item]| items.extend_from_slice(new);
    let colon = Item::Literal(b':');
    let dash = Item::Literal(b'-');
    match after {
        [b'.', b'f', ..] => all(&[Item::MaybeFraction]),
        [b'.', b'0'..=b'9', b'f', ..] => {
            all(&[Item::MaybeFraction]);
            return Some(3);
        }
        [b':', b'z', ..] => all(&[Item::Offset]),
        [b'0'..=b'9', b'f', ..] => all(&[Item::Fraction]),
        [one, ..] => {
            match one {
                b'Y' => all(&[Item::Year]),
                b'y' => all(&[Item::YearOfCentury]),
                b'm' => all(&[Item::Month]),
                b'b' | b'B' | b'h' => all(&[Item::MonthName]),
                b'd' | b'e' => all(&[Item::Day]),
                b'j' => all(&[Item::DayOfYear]),
                b'a' | b'A' => all(&[Item::Weekday]),
                b'H' | b'k' => all(&[Item::Hour]),
                b'I' | b'l' => all(&[Item::Hour12]),
                b'p' | b'P' => all(&[Item::AmPm]),
                b'M' => all(&[Item::Minute]),
                b'S' => all(&[Item::Second]),
                b'f' | b'L' | b'N' => all(&[Item::Fraction]),
                b'z' => all(&[Item::Offset]),
                b'Z' => all(&[Item::ZoneName]),
                b's' => all(&[Item::Epoch(Unit::Seconds)]),
                b'F' => all(&[Item::Year, dash.clone(), Item::Month, dash, Item::Day]),
                b'T' => all(&[Item::Hour, colon.clone(), Item::Minute, colon, Item::Second]),
                b'R' => all(&[Item::Hour, colon, Item::Minute]),
                b'%' => all(&[Item::Literal(b'%')]),
                _ => return None,
            }
            return Some(1);
        }
        [] => return None,
    }
    Some(2)
}

/// A number as a time: a count since the epoch, its unit told by its size. What would lie before 1973 is none.
#[must_use]
pub fn of_integer(count: i64) -> Option<Time> {
    let unit = match count {
        100_000_000..=99_999_999_999 => SECOND,
        100_000_000_000..=99_999_999_999_999 => 1_000_000,
        100_000_000_000_000..=99_999_999_999_999_999 => 1_000,
        100_000_000_000_000_000.. => 1,
        _ => return None,
    };
    count.checked_mul(unit).map(Time)
}

/// The same for a number with a fraction, rounded to microseconds: finer ones a double does not hold.
#[must_use]
pub fn of_float(count: f64) -> Option<Time> {
    let micros = match count {
        1e8..1e11 => count * 1e6,
        1e11..1e14 => count * 1e3,
        1e14..1e17 => count,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 1e17, far inside an i64")]
    (micros.round() as i64).checked_mul(1_000).map(Time)
}

#[cfg(test)]
mod tests;
