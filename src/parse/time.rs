//! Times as logs write them → nanoseconds since the epoch.
//!
//! Logs leave out the zone, the year, even the date; [`Clock`] says what to assume. Formats are strftime's, compiled
//! once. Years that a 64-bit count of nanoseconds cannot hold (before 1678, after 2261) are no times.

use std::cell::Cell;

use jiff::{Timestamp, civil, tz::TimeZone};

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
    /// The zone of times without one.
    pub zone: TimeZone,
    /// The file's modification time, or now: an event is not later than this and a day.
    pub reference: Time,
    /// The year of times without one, where the user knows it.
    pub year: Option<i16>,
    /// The hour (of civil seconds) that was asked for last and its offset: lines come in order, and asking a
    /// time zone costs more than the rest of the parsing. Never holds an hour with a transition in it.
    last: Cell<Option<(i64, i64)>>,
}

impl Clock {
    /// A clock of these assumptions.
    #[must_use]
    pub fn new(zone: TimeZone, reference: Time, year: Option<i16>) -> Self {
        Self { zone, reference, year, last: Cell::new(None) }
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
        let datetime = civil::DateTime::new(
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
        let Ok(at) = Timestamp::from_second(seconds) else { return seconds };
        seconds + i64::from(self.zone.to_offset(at).seconds())
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
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
    Rfc3339,
    Auto,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Seconds,
    Millis,
    Nanos,
}

/// What was read of a time so far.
#[derive(Clone, Copy, Default)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    nanos: i64,
    offset: Option<i64>,
    /// The whole time, where an item says it.
    instant: Option<i64>,
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
        Ok(Self { items })
    }

    /// The time at the beginning of the text, and how many bytes it took.
    #[must_use]
    pub fn parse(&self, text: &[u8], clock: &Clock) -> Option<(Time, usize)> {
        let (fields, used) = self.read(text)?;
        Some((fields.time(clock)?, used))
    }

    /// How many bytes of the text look like this format; cheap, asks no time zone.
    #[must_use]
    pub fn scan(&self, text: &[u8]) -> Option<usize> {
        self.read(text).map(|(_, used)| used)
    }

    fn read(&self, text: &[u8]) -> Option<(Fields, usize)> {
        let mut fields = Fields::default();
        let mut rest = text;
        for item in &self.items {
            rest = read_item(item, rest, &mut fields)?;
        }
        fields.plausible().then_some((fields, text.len() - rest.len()))
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

fn read_item<'t>(item: &Item, text: &'t [u8], fields: &mut Fields) -> Option<&'t [u8]> {
    let mut rest = text;
    match item {
        Item::Literal(byte) => rest = rest.strip_prefix(std::slice::from_ref(byte))?,
        Item::Spaces => {
            rest = rest.strip_prefix(b" ")?;
            while let Some(more) = rest.strip_prefix(b" ") {
                rest = more;
            }
        }
        Item::Year => fields.year = Some(fixed(&mut rest, 4)?),
        Item::YearOfCentury => {
            let year = fixed(&mut rest, 2)?;
            fields.year = Some(if year < 69 { 2_000 + year } else { 1_900 + year });
        }
        Item::Month => fields.month = Some(two(&mut rest)?),
        Item::MonthName => fields.month = Some(month_name(&mut rest)?),
        Item::Day => fields.day = Some(two(&mut rest)?),
        Item::DayOfYear => fields.day_of_year = Some(fixed(&mut rest, 3)?),
        Item::Weekday | Item::ZoneName => {
            let letters = rest.iter().take(16).take_while(|b| b.is_ascii_alphabetic()).count();
            let name = rest.get(..letters).filter(|name| !name.is_empty())?;
            if *item == Item::ZoneName && matches!(name, b"UTC" | b"GMT" | b"Z") {
                fields.offset = Some(0);
            }
            rest = &rest[letters..];
        }
        Item::Hour => fields.hour = two(&mut rest)?,
        Item::Hour12 => {
            fields.hour = two(&mut rest)?;
            if !(1..=12).contains(&fields.hour) {
                return None;
            }
        }
        Item::AmPm => {
            let (head, tail) = rest.split_at_checked(2)?;
            fields.afternoon = Some(match head {
                b"AM" | b"am" => false,
                b"PM" | b"pm" => true,
                _ => return None,
            });
            rest = tail;
        }
        Item::Minute => fields.minute = fixed(&mut rest, 2)?,
        Item::Second => fields.second = fixed(&mut rest, 2)?,
        Item::Fraction => fields.nanos = fraction(&mut rest)?,
        Item::MaybeFraction => fields.nanos = maybe_fraction(&mut rest),
        Item::Offset => fields.offset = Some(offset(&mut rest)?),
        Item::Epoch(unit) => fields.instant = Some(epoch(&mut rest, *unit)?),
        Item::Rfc3339 => rfc3339(&mut rest, fields)?,
        Item::Auto => auto(&mut rest, fields)?,
    }
    Some(rest)
}

/// Exactly `n` digits.
fn fixed(rest: &mut &[u8], n: usize) -> Option<i64> {
    let (digits, tail) = rest.split_at_checked(n)?;
    let mut value = 0;
    for byte in digits {
        value = value * 10 + i64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    *rest = tail;
    Some(value)
}

/// Two digits, or a space and a digit, or one digit.
fn two(rest: &mut &[u8]) -> Option<i64> {
    match **rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', ref tail @ ..] => {
            *rest = tail;
            Some(i64::from(a - b'0') * 10 + i64::from(b - b'0'))
        }
        [b' ', a @ b'0'..=b'9', ref tail @ ..] | [a @ b'0'..=b'9', ref tail @ ..] => {
            *rest = tail;
            Some(i64::from(a - b'0'))
        }
        _ => None,
    }
}

const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];

fn month_name(rest: &mut &[u8]) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(3)?;
    let at = MONTHS.iter().position(|month| month[..3].eq_ignore_ascii_case(head))?;
    let long = &MONTHS[at][3..];
    *rest = match tail.split_at_checked(long.len()) {
        Some((more, after)) if more.eq_ignore_ascii_case(long) => after,
        _ => tail,
    };
    i64::try_from(at + 1).ok()
}

/// One digit or more; those after the ninth are read and forgotten.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let (mut nanos, mut weight, mut used) = (0, SECOND / 10, 0);
    for byte in rest.iter().take(32).take_while(|b| b.is_ascii_digit()) {
        nanos += i64::from(byte - b'0') * weight;
        weight /= 10;
        used += 1;
    }
    *rest = &rest[used..];
    (used > 0).then_some(nanos)
}

fn maybe_fraction(rest: &mut &[u8]) -> i64 {
    let [b'.' | b',', digits @ ..] = *rest else { return 0 };
    let mut after = digits;
    let Some(nanos) = fraction(&mut after) else { return 0 };
    *rest = after;
    nanos
}

fn offset(rest: &mut &[u8]) -> Option<i64> {
    let (sign, mut after) = match *rest {
        [b'Z' | b'z', tail @ ..] => {
            *rest = tail;
            return Some(0);
        }
        [b'+', tail @ ..] => (1, tail),
        [b'-', tail @ ..] => (-1, tail),
        _ => return None,
    };
    let hours = fixed(&mut after, 2)?;
    let mut minutes_rest = after.strip_prefix(b":").unwrap_or(after);
    let minutes = fixed(&mut minutes_rest, 2);
    if minutes.is_some() {
        after = minutes_rest;
    }
    let minutes = minutes.unwrap_or(0);
    *rest = after;
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// A count of a unit since the epoch, with or without a fraction.
fn epoch(rest: &mut &[u8], unit: Unit) -> Option<i64> {
    let (negative, digits) = match *rest {
        [b'-', tail @ ..] => (true, tail),
        all => (false, all),
    };
    let used = digits.iter().take(20).take_while(|b| b.is_ascii_digit()).count();
    if used == 0 {
        return None;
    }
    let (digits, mut after) = digits.split_at(used);
    let whole = digits.iter().try_fold(0_i64, |whole, digit| {
        whole.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    })?;
    let part = match after {
        [b'.', b'0'..=b'9', ..] => maybe_fraction(&mut after),
        _ => 0,
    };
    *rest = after;
    let nanos = match unit {
        Unit::Seconds => whole.checked_mul(SECOND)?.checked_add(part),
        Unit::Millis => whole.checked_mul(1_000_000)?.checked_add(part / 1_000),
        Unit::Nanos => Some(whole),
    }?;
    Some(if negative { -nanos } else { nanos })
}

/// RFC 3339 and what is commonly written instead: a space for the `T`, a comma before the fraction, an offset without
/// a colon, or none at all (then it is the clock's zone).
fn rfc3339(rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
    let mut after = *rest;
    let literal = |after: &mut &[u8], any: &[u8]| {
        let (first, tail) = after.split_first()?;
        *after = tail;
        any.contains(first).then_some(())
    };
    fields.year = Some(fixed(&mut after, 4)?);
    literal(&mut after, b"-/.")?;
    fields.month = Some(fixed(&mut after, 2)?);
    literal(&mut after, b"-/.")?;
    fields.day = Some(fixed(&mut after, 2)?);
    literal(&mut after, b"Tt _")?;
    fields.hour = fixed(&mut after, 2)?;
    literal(&mut after, b":")?;
    fields.minute = fixed(&mut after, 2)?;
    if after.first() == Some(&b':') {
        after = &after[1..];
        fields.second = fixed(&mut after, 2)?;
        fields.nanos = maybe_fraction(&mut after);
    }
    let mut zone = after;
    if let Some(offset) = offset(&mut zone) {
        fields.offset = Some(offset);
        after = zone;
    }
    *rest = after;
    Some(())
}

/// What a JSON encoder may write: RFC 3339 or a count since the epoch, its unit told by its size.
fn auto(rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
    if rest.get(4).is_some_and(|byte| matches!(byte, b'-' | b'/' | b'.')) {
        let mut after = *rest;
        let mut found = Fields::default();
        if rfc3339(&mut after, &mut found).is_some() {
            *fields = found;
            *rest = after;
            return Some(());
        }
    }
    let digits = rest.iter().take(20).take_while(|b| b.is_ascii_digit()).count();
    let unit = match digits {
        // Fewer than nine digits would be before 1973: more likely no time at all.
        9..=11 => Unit::Seconds,
        12..=14 => Unit::Millis,
        15..=17 => return micros(rest, fields),
        18..=19 => Unit::Nanos,
        _ => return None,
    };
    fields.instant = Some(epoch(rest, unit)?);
    Some(())
}

fn micros(rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
    fields.instant = Some(epoch(rest, Unit::Nanos)?.checked_mul(1_000)?);
    Some(())
}

/// A number of JSON as a time: a count since the epoch, its unit told by its size.
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

/// The same for a number with a fraction. A double holds microseconds of today's seconds exactly enough: it is
/// rounded to those.
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

impl Fields {
    fn plausible(&self) -> bool {
        let within =
            |value: Option<i64>, most| value.is_none_or(|value| (1..=most).contains(&value));
        within(self.month, 12)
            && within(self.day, 31)
            && within(self.day_of_year, 366)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
    }

    fn time(&self, clock: &Clock) -> Option<Time> {
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
