//! Reading the items of a format, one after another.

use super::{Item, SECOND, Unit, fields::Fields};

pub(super) fn read_item<'t>(item: &Item, text: &'t [u8], fields: &mut Fields) -> Option<&'t [u8]> {
    let mut rest = text;
    match item {
        Item::Literal(byte) => rest = rest.strip_prefix(std::slice::from_ref(byte))?,
        Item::Spaces => {
            rest = rest.strip_prefix(b" ")?;
            while let Some(more) = rest.strip_prefix(b" ") {
                rest = more;
            }
        }
        Item::Year => fields.year = Some(four(&mut rest)?),
        Item::YearOfCentury => {
            let year = i16::from(two(&mut rest)?);
            fields.year = Some(if year < 69 { 2_000 + year } else { 1_900 + year });
        }
        Item::Month => fields.month = some(short(&mut rest)?)?,
        Item::MonthName => fields.month = month_name(&mut rest)?,
        Item::Day => fields.day = some(short(&mut rest)?)?,
        Item::DayOfYear => {
            let hundreds = u16::from(digit(&mut rest)?);
            fields.day_of_year = hundreds * 100 + u16::from(two(&mut rest)?);
            if fields.day_of_year == 0 {
                return None;
            }
        }
        Item::Weekday | Item::ZoneName => {
            let letters = rest.iter().take(16).take_while(|b| b.is_ascii_alphabetic()).count();
            let name = rest.get(..letters).filter(|name| !name.is_empty())?;
            if *item == Item::ZoneName && matches!(name, b"UTC" | b"GMT" | b"Z") {
                fields.offset = Some(0);
            }
            rest = &rest[letters..];
        }
        Item::Hour => fields.hour = short(&mut rest)?,
        Item::Hour12 => {
            fields.hour = short(&mut rest).filter(|hour| (1..=12).contains(hour))?;
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
        Item::Minute => fields.minute = two(&mut rest)?,
        Item::Second => fields.second = two(&mut rest)?,
        Item::Fraction => fields.nanos = fraction(&mut rest)?,
        Item::MaybeFraction => fields.nanos = maybe_fraction(&mut rest),
        Item::Offset => fields.offset = Some(offset(&mut rest)?),
        Item::Epoch(unit) => fields.instant = Some(epoch(&mut rest, *unit)?),
        Item::Stamp => stamp(&mut rest, fields).or_else(|| loose_stamp(&mut rest, fields))?,
        Item::DateTime(expected) => {
            let found = date_time(&mut rest, fields)?;
            if found != *expected {
                return None;
            }
        }
        Item::Rfc3339 => rfc3339(&mut rest, fields)?,
        Item::StrictRfc3339 => strict_rfc3339(&mut rest, fields)?,
        Item::Auto => auto(&mut rest, fields)?,
    }
    Some(rest)
}

/// Months and days count from 1; 0 would mean that there is none.
fn some(value: u8) -> Option<u8> {
    (value > 0).then_some(value)
}

fn digit(rest: &mut &[u8]) -> Option<u8> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    first.checked_sub(b'0').filter(|digit| *digit < 10)
}

/// Two digits.
#[inline]
fn two(rest: &mut &[u8]) -> Option<u8> {
    let [a @ b'0'..=b'9', b @ b'0'..=b'9', tail @ ..] = *rest else { return None };
    *rest = tail;
    Some((a - b'0') * 10 + (b - b'0'))
}

/// Four digits.
#[inline]
fn four(rest: &mut &[u8]) -> Option<i16> {
    Some(i16::from(two(rest)?) * 100 + i16::from(two(rest)?))
}

/// Two digits, or a space and a digit, or one digit.
#[inline]
fn short(rest: &mut &[u8]) -> Option<u8> {
    if let Some(value) = two(rest) {
        return Some(value);
    }
    *rest = rest.strip_prefix(b" ").unwrap_or(rest);
    digit(rest)
}

/// What follows the first three letters of a month's name when it is written in full.
const MONTHS: [&[u8]; 12] = [
    b"uary", b"ruary", b"ch", b"il", b"", b"e", b"y", b"ust", b"tember", b"ober", b"ember",
    b"ember",
];

fn month_name(rest: &mut &[u8]) -> Option<u8> {
    let (head, tail) = rest.split_first_chunk::<3>()?;
    let month = match &head.map(|b| b.to_ascii_lowercase()) {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return None,
    };
    let long = MONTHS[usize::from(month) - 1];
    *rest = match tail.split_at_checked(long.len()) {
        Some((more, after)) if more.eq_ignore_ascii_case(long) => after,
        _ => tail,
    };
    Some(month)
}

/// One digit or more; those after the ninth are read and forgotten.
fn fraction(rest: &mut &[u8]) -> Option<u32> {
    let (mut nanos, mut weight, mut used) = (0, 100_000_000, 0);
    for byte in rest.iter().take(32).take_while(|b| b.is_ascii_digit()) {
        nanos += u32::from(byte - b'0') * weight;
        weight /= 10;
        used += 1;
    }
    *rest = &rest[used..];
    (used > 0).then_some(nanos)
}

fn maybe_fraction(rest: &mut &[u8]) -> u32 {
    let [b'.' | b',', digits @ ..] = *rest else { return 0 };
    let mut after = digits;
    let Some(nanos) = fraction(&mut after) else { return 0 };
    *rest = after;
    nanos
}

fn offset(rest: &mut &[u8]) -> Option<i32> {
    let (sign, mut after) = match *rest {
        [b'Z' | b'z', tail @ ..] => {
            *rest = tail;
            return Some(0);
        }
        [b'+', tail @ ..] => (1, tail),
        [b'-', tail @ ..] => (-1, tail),
        _ => return None,
    };
    let hours = two(&mut after)?;
    let mut behind = after.strip_prefix(b":").unwrap_or(after);
    let minutes = match two(&mut behind) {
        Some(minutes) => {
            after = behind;
            minutes
        }
        None => 0,
    };
    *rest = after;
    let seconds = i32::from(hours) * 3_600 + i32::from(minutes) * 60;
    (hours <= 18 && minutes < 60).then_some(sign * seconds)
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
        [b'.', b'0'..=b'9', ..] => i64::from(maybe_fraction(&mut after)),
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

/// The 15 bytes of `Nov 22 01:15:03`, the commonest time without a year, at once.
pub(super) fn stamp(rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
    let (text, after) = rest.split_first_chunk::<15>()?;
    let mut name = &text[..3];
    fields.month = month_name(&mut name)?;
    let day = if text[4] == b' ' { digit_at(text, 5)? } else { pair_at(text, 4)? };
    fields.day = some(day)?;
    fields.hour = pair_at(text, 7)?;
    fields.minute = pair_at(text, 10)?;
    fields.second = pair_at(text, 13)?;
    let separated = text[3] == b' ' && text[6] == b' ' && text[9] == b':' && text[12] == b':';
    separated.then(|| *rest = after)
}

/// The same with a month in full or a day without padding.
fn loose_stamp(rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
    use Item::{Day, Hour, Literal, Minute, MonthName, Second, Spaces};
    const COLON: Item = Literal(b':');
    for item in [MonthName, Spaces, Day, Spaces, Hour, COLON, Minute, COLON, Second] {
        *rest = read_item(&item, rest, fields)?;
    }
    Some(())
}

/// The 19 bytes of `2026-11-22T01:13:21` at once, whatever separates date and time; the separators.
pub(super) fn date_time(rest: &mut &[u8], fields: &mut Fields) -> Option<[u8; 3]> {
    let (text, after) = rest.split_first_chunk::<19>()?;
    fields.year = Some(i16::from(pair_at(text, 0)?) * 100 + i16::from(pair_at(text, 2)?));
    fields.month = some(pair_at(text, 5)?)?;
    fields.day = some(pair_at(text, 8)?)?;
    fields.hour = pair_at(text, 11)?;
    fields.minute = pair_at(text, 14)?;
    fields.second = pair_at(text, 17)?;
    *rest = after;
    (text[13] == b':' && text[16] == b':').then_some([text[4], text[7], text[10]])
}

#[inline]
fn digit_at<const N: usize>(text: &[u8; N], at: usize) -> Option<u8> {
    let digit = text[at].wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

#[inline]
fn pair_at<const N: usize>(text: &[u8; N], at: usize) -> Option<u8> {
    Some(digit_at(text, at)? * 10 + digit_at(text, at + 1)?)
}

/// RFC 3339 and what is commonly written instead: a space for the `T`, a comma before the fraction, an offset without
/// a colon, or none at all (then it is the clock's zone).
fn rfc3339(rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
    let mut after = *rest;
    let separators = date_time(&mut after, fields)?;
    let [b'-' | b'/' | b'.', b'-' | b'/' | b'.', b'T' | b't' | b' ' | b'_'] = separators else {
        return None;
    };
    fields.nanos = maybe_fraction(&mut after);
    let mut zone = after;
    if let Some(offset) = offset(&mut zone) {
        fields.offset = Some(offset);
        after = zone;
    }
    *rest = after;
    Some(())
}

fn strict_rfc3339(rest: &mut &[u8], fields: &mut Fields) -> Option<()> {
    let text = *rest;
    rfc3339(rest, fields)?;
    let letters = matches!((text.get(4), text.get(10)), (Some(b'-'), Some(b'T' | b't')));
    (letters && text.get(19) != Some(&b',') && fields.offset.is_some()).then_some(())
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
