//! An event as the spool stores it. Pure.
//!
//! ```text
//! length   u32      of what follows
//! kind     varint   index into the segment's table of kinds
//! flags    u8       1: recognised, 2: has a severity of its own
//! id       16 bytes
//! time     i64      nanoseconds since 1970
//! created  zigzag   minus time
//! severity u8       with flag 2
//! fields   varint   how many, then for each: varint (field << 4 | tag) and the value
//! text              the rest
//! ```
//! Tags: 0 text (zigzag start minus the previous text's end, varint length), 1 long (zigzag), 2 double (8 bytes), 3 false,
//! 4 true, 5 IPv4 (4 bytes), 6 IPv6 (16 bytes), 7 date (zigzag minus time).
//!
//! Nothing that is read is believed: ids are inside the tables, spans inside the text and on character boundaries,
//! and the text goes through guard again.

use std::net::IpAddr;

use super::bytes::{Bytes, Damage, put_signed, put_varint};
use crate::{
    event::{Event, EventId, Field, FieldId, KindId, Span, Tables, Time, Value},
    guard::Shippable,
};

/// Most fields that an event keeps.
pub(crate) const EVENT_FIELDS_MAX: usize = 4096;

const RECOGNISED: u8 = 1;
const SEVERITY: u8 = 2;

const TEXT: u64 = 0;
const LONG: u64 = 1;
const DOUBLE: u64 = 2;
const FALSE: u64 = 3;
const TRUE: u64 = 4;
const IP4: u64 = 5;
const IP6: u64 = 6;
const DATE: u64 = 7;

/// The largest ids that were written: the caller compares them with its tables once a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ids {
    pub(crate) kind: u16,
    pub(crate) field: u16,
}

/// Writes an event.
pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event<Shippable>, ids: &mut Ids) {
    let start = out.len();
    let text = event.text.as_str();
    let fields = &event.fields[..event.fields.len().min(EVENT_FIELDS_MAX)];
    out.reserve(64 + fields.len() * 6 + text.len());
    out.extend_from_slice(&[0; 4]);
    ids.kind = ids.kind.max(event.kind.0);
    put_varint(out, u64::from(event.kind.0));
    out.push(
        u8::from(event.recognised) * RECOGNISED + u8::from(event.severity.is_some()) * SEVERITY,
    );
    out.extend_from_slice(&event.id.0);
    out.extend_from_slice(&event.time.0.to_le_bytes());
    put_signed(out, event.created.0.wrapping_sub(event.time.0));
    out.extend(event.severity.map(|severity| severity.min(10)));
    put_varint(out, fields.len() as u64);
    let mut end = 0;
    for field in fields {
        ids.field = ids.field.max(field.id.0);
        put_value(out, field, text, event.time, &mut end);
    }
    out.extend_from_slice(text.as_bytes());
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn put_value(out: &mut Vec<u8>, field: &Field, text: &str, time: Time, end: &mut u32) {
    let tag = |out: &mut Vec<u8>, tag: u64| put_varint(out, u64::from(field.id.0) << 4 | tag);
    match field.value {
        Value::Text(span) => {
            // A span outside its text reads as empty everywhere else; it is written as that.
            let span = if text.get(span.range()).is_some() { span } else { Span::default() };
            tag(out, TEXT);
            put_signed(out, i64::from(span.start) - i64::from(*end));
            put_varint(out, u64::from(span.end - span.start));
            *end = span.end;
        }
        Value::Long(number) => {
            tag(out, LONG);
            put_signed(out, number);
        }
        Value::Double(number) => {
            // Never infinite by its type's promise; were it, the event would be refused on its way back.
            let number = if number.is_finite() { number } else { 0.0 };
            tag(out, DOUBLE);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Boolean(truth) => tag(out, if truth { TRUE } else { FALSE }),
        Value::Ip(IpAddr::V4(ip)) => {
            tag(out, IP4);
            out.extend_from_slice(&ip.octets());
        }
        Value::Ip(IpAddr::V6(ip)) => {
            tag(out, IP6);
            out.extend_from_slice(&ip.octets());
        }
        Value::Date(date) => {
            tag(out, DATE);
            put_signed(out, date.0.wrapping_sub(time.0));
        }
    }
}

/// Takes the bytes of the next event off the front.
pub(crate) fn next_event<'a>(bytes: &mut Bytes<'a>) -> Result<&'a [u8], Damage> {
    let length = bytes.u32()?;
    bytes.take(length as usize)
}

/// Reads the bytes of one event.
pub(crate) fn event(bytes: &[u8], tables: &Tables) -> Result<Event<Shippable>, Damage> {
    let mut bytes = Bytes(bytes);
    let kind = KindId(bytes.small()?);
    if usize::from(kind.0) >= tables.kinds().len() {
        return Err(Damage("an event's kind is not in the tables"));
    }
    let flags = bytes.byte()?;
    if flags & !(RECOGNISED | SEVERITY) != 0 {
        return Err(Damage("an event has unknown flags"));
    }
    let id = EventId(bytes.array()?);
    let time = Time(i64::from_le_bytes(bytes.array()?));
    let created = Time(time.0.wrapping_add(bytes.signed()?));
    let severity = if flags & SEVERITY != 0 { Some(bytes.byte()?) } else { None };
    if severity.is_some_and(|severity| severity > 10) {
        return Err(Damage("an event's severity is above 10"));
    }
    let count = bytes.small::<usize>()?;
    if count > EVENT_FIELDS_MAX {
        return Err(Damage("an event has too many fields"));
    }
    let mut fields = Vec::with_capacity(count);
    let mut end = 0;
    for _ in 0..count {
        fields.push(value(&mut bytes, tables, time, &mut end)?);
    }
    let text = Shippable::revalidate(bytes.0.to_vec()).map_err(|_| Damage("text is not clean"))?;
    if !fields.iter().all(|field| inside(field, text.as_str())) {
        return Err(Damage("a value lies outside its text"));
    }
    let recognised = flags & RECOGNISED != 0;
    Ok(Event { kind, recognised, id, time, created, severity, fields, text })
}

fn inside(field: &Field, text: &str) -> bool {
    match field.value {
        Value::Text(span) => text.get(span.range()).is_some(),
        _ => true,
    }
}

fn value(
    bytes: &mut Bytes<'_>,
    tables: &Tables,
    time: Time,
    end: &mut u32,
) -> Result<Field, Damage> {
    let head = bytes.varint()?;
    let id = u16::try_from(head >> 4).map_err(|_| Damage("a field's id is too large"))?;
    if usize::from(id) >= tables.fields().len() {
        return Err(Damage("a field is not in the tables"));
    }
    let value = match head & 0xf {
        TEXT => Value::Text(span(bytes, end)?),
        LONG => Value::Long(bytes.signed()?),
        DOUBLE => {
            let number = f64::from_le_bytes(bytes.array()?);
            if !number.is_finite() {
                return Err(Damage("a number is not finite"));
            }
            Value::Double(number)
        }
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        IP4 => Value::Ip(bytes.array::<4>()?.into()),
        IP6 => Value::Ip(bytes.array::<16>()?.into()),
        DATE => Value::Date(Time(time.0.wrapping_add(bytes.signed()?))),
        _ => return Err(Damage("a value has an unknown type")),
    };
    Ok(Field { id: FieldId(id), value })
}

fn span(bytes: &mut Bytes<'_>, end: &mut u32) -> Result<Span, Damage> {
    let outside = Damage("a value lies outside its text");
    let start = i64::from(*end).checked_add(bytes.signed()?).ok_or(outside)?;
    let start = u32::try_from(start).map_err(|_| outside)?;
    *end = start.checked_add(bytes.small()?).ok_or(outside)?;
    Ok(Span { start, end: *end })
}
