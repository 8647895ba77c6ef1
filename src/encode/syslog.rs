//! The header around a message: RFC 5424 with structured data, or RFC 3164.
//!
//! ```text
//! <109>1 2026-11-24T10:00:00.123456Z chat1.example.net towline - xmpp.auth_failure
//!        [towline@32473 id="…" seq="7" kind="xmpp.auth_failure"] CEF:1|…
//! ```
//!
//! - HOSTNAME is the host on which the event happened; APP-NAME is always `towline`, so that a receiver can select by
//!   it. The program that wrote the line is named in the message. No BOM: a reader may want `CEF:` first.
//! - Structured data is always whole. A message that would exceed `message_bytes_max` is cut as its schema allows
//!   and marked `truncated="true"`.
//! - RFC 3164 has no structured data, so neither sequence nor marks; CEF carries the event's id.
//! - The transport's framing is not done here.

use jiff::tz::TimeZone;

use super::{Agent, PRODUCT, cef, json, scalar, text};
use crate::{
    event::{Event, Tables, Time, Value, field},
    guard::Shippable,
    spool::Sequence,
};

/// SD-ID where none is configured; 32473 is the enterprise number for documentation.
pub const SD_ID: &str = "towline@32473";

/// Longest HOSTNAME, MSGID and SD-NAME (RFC 5424, section 6).
const HOST_NAME_MAX: usize = 255;
const MSG_ID_MAX: usize = 32;
const SD_NAME_MAX: usize = 32;

/// Bytes of the header and the structured data, about at most.
const BYTES_USUAL: usize = 256;

/// Syslog severity by an event's severity, 0–10: 7 debug, 6 informational, 5 notice, 4 warning, 3 error,
/// 2 critical, 1 alert. Never 0: many receivers write emergencies to every terminal.
const SEVERITY: [u8; 11] = [7, 6, 6, 5, 4, 4, 4, 3, 3, 2, 1];

/// What stands before the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Header {
    /// RFC 5424 with structured data.
    #[default]
    Rfc5424,
    /// RFC 3164, the old BSD form.
    Rfc3164,
}

/// Whether a message goes out for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sending {
    /// It does.
    #[default]
    First,
    /// It may have arrived before: `replay="true"`.
    Again,
}

/// Writes syslog messages.
#[derive(Debug)]
pub struct Syslog {
    header: Header,
    /// `<109>1 ` by an event's severity.
    priorities: [Box<str>; 11],
    kinds: Vec<Kind>,
    /// `[towline@32473 id="`
    sd_start: Box<str>,
    message_bytes_max: usize,
    /// HOSTNAME of our own host.
    host_name: Box<str>,
    zone: TimeZone,
}

#[derive(Debug)]
struct Kind {
    severity: u8,
    msg_id: Box<str>,
    /// Escaped as a PARAM-VALUE.
    name: Box<str>,
}

impl Syslog {
    /// Prepares everything that does not change from event to event. A facility above 23 counts as 23; an SD-ID that is
    /// no SD-NAME as [`SD_ID`].
    #[must_use]
    pub fn new(
        header: Header,
        facility: u8,
        sd_id: &str,
        message_bytes_max: usize,
        agent: &Agent,
        tables: &Tables,
    ) -> Self {
        let version = if header == Header::Rfc5424 { "1 " } else { "" };
        let priority = |severity: u8| {
            format!("<{}>{version}", u16::from(facility.min(23)) * 8 + u16::from(severity))
        };
        let kind = |def: &crate::event::KindDef| Kind {
            severity: def.severity.min(10),
            msg_id: printable(&def.name, MSG_ID_MAX).into(),
            name: escaped(&def.name),
        };
        Self {
            header,
            priorities: SEVERITY.map(|severity| priority(severity).into()),
            kinds: tables.kinds().iter().map(kind).collect(),
            sd_start: format!("[{} id=\"", if is_sd_name(sd_id) { sd_id } else { SD_ID }).into(),
            message_bytes_max,
            host_name: host_name(header, &agent.host_name).into(),
            zone: TimeZone::UTC,
        }
    }

    /// RFC 3164 has local time without a zone: the receiver's, hopefully ours. UTC where this is not called.
    #[must_use]
    pub fn in_zone(mut self, zone: TimeZone) -> Self {
        self.zone = zone;
        self
    }

    /// Appends one whole message; `message` appends what comes after the header.
    pub fn write(
        &self,
        sequence: Sequence,
        event: &Event<Shippable>,
        message: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        self.write_as(Sending::First, sequence, event, message, out);
    }

    /// The same, marked where it may have arrived before.
    pub fn write_as(
        &self,
        sending: Sending,
        sequence: Sequence,
        event: &Event<Shippable>,
        message: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        let Some(kind) = self.kinds.get(usize::from(event.kind.0)) else { return };
        let start = out.len();
        out.reserve(BYTES_USUAL);
        let severity = event.severity.unwrap_or(kind.severity).min(10);
        out.extend_from_slice(self.priorities[usize::from(severity)].as_bytes());
        let marks = match self.header {
            Header::Rfc5424 => Some(self.rfc5424(kind, sending, sequence, event, out)),
            Header::Rfc3164 => {
                self.rfc3164(event, out);
                None
            }
        };
        let body = out.len();
        message(out);
        if out.len() - start > self.message_bytes_max {
            shorten(start, marks, body, self.message_bytes_max, out);
        }
    }

    /// Up to the space before MSG. Returns where a further SD-PARAM can stand.
    fn rfc5424(
        &self,
        kind: &Kind,
        sending: Sending,
        sequence: Sequence,
        event: &Event<Shippable>,
        out: &mut Vec<u8>,
    ) -> usize {
        scalar::rfc3339(out, event.time, 6);
        out.push(b' ');
        self.host_name(event, out);
        out.push(b' ');
        out.extend_from_slice(PRODUCT.as_bytes());
        out.extend_from_slice(b" - ");
        out.extend_from_slice(kind.msg_id.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.sd_start.as_bytes());
        scalar::hex(out, &event.id.0);
        if sequence.0 > 0 {
            out.extend_from_slice(b"\" seq=\"");
            scalar::unsigned(out, sequence.0);
        }
        out.extend_from_slice(b"\" kind=\"");
        out.extend_from_slice(kind.name.as_bytes());
        out.push(b'"');
        if sending == Sending::Again {
            out.extend_from_slice(b" replay=\"true\"");
        }
        out.extend_from_slice(b"] ");
        out.len() - b"] ".len()
    }

    /// `Nov  2 10:00:00 chat1 towline: `
    fn rfc3164(&self, event: &Event<Shippable>, out: &mut Vec<u8>) {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let civil = scalar::Civil::of(self.local(event.time));
        let month = usize::try_from(civil.month - 1).unwrap_or_default();
        out.extend_from_slice(MONTHS.get(month).unwrap_or(&"Jan").as_bytes());
        out.extend_from_slice(if civil.day < 10 { b"  " } else { b" " });
        scalar::unsigned(out, civil.day.into());
        let second = civil.second_of_day;
        for (n, mark) in [(second / 3_600, b' '), (second / 60 % 60, b':'), (second % 60, b':')] {
            out.push(mark);
            out.push(b'0' + (n / 10) as u8);
            out.push(b'0' + (n % 10) as u8);
        }
        out.push(b' ');
        self.host_name(event, out);
        out.push(b' ');
        out.extend_from_slice(PRODUCT.as_bytes());
        out.extend_from_slice(b": ");
    }

    /// The time that a clock in our zone showed.
    fn local(&self, time: Time) -> Time {
        let Ok(instant) = jiff::Timestamp::from_nanosecond(time.0.into()) else { return time };
        let offset = i64::from(self.zone.to_offset(instant).seconds());
        Time(time.0.saturating_add(offset.saturating_mul(1_000_000_000)))
    }

    fn host_name(&self, event: &Event<Shippable>, out: &mut Vec<u8>) {
        match event.get(field::HOST_NAME) {
            Some(Value::Text(span)) if !span.is_empty() => {
                let name = host_name(self.header, text(event, span));
                out.extend_from_slice(name.as_bytes());
            }
            _ => out.extend_from_slice(self.host_name.as_bytes()),
        }
    }
}

/// Cuts the message `out[body..]` so that all from `start` has at most `bytes_max` bytes, if that is possible
/// without the header; says so at `marks`.
fn shorten(start: usize, marks: Option<usize>, body: usize, bytes_max: usize, out: &mut Vec<u8>) {
    const MARK: &[u8] = b" truncated=\"true\"";
    let mark = marks.map_or(0, |_| MARK.len());
    let room = bytes_max.saturating_sub(body - start + mark);
    let whole = String::from_utf8_lossy(&out[body..]).into_owned();
    out.truncate(body);
    out.extend_from_slice(shortened(&whole, room).as_bytes());
    if let Some(at) = marks {
        out.splice(at..at, MARK.iter().copied());
    }
}

/// The message as its schema allows to cut it; as any text where that is not enough.
fn shortened(message: &str, bytes_max: usize) -> String {
    let mut short = match message.as_bytes() {
        [b'C', b'E', b'F', b':', ..] => cef::shorten::shorten(message, bytes_max),
        [b'{', ..] => json::shorten(message, bytes_max),
        _ => message.to_owned(),
    };
    short.truncate(short.floor_char_boundary(bytes_max));
    short
}

/// A HOSTNAME: RFC 3164 has it without the domain, addresses aside.
fn host_name(header: Header, name: &str) -> String {
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let name = match header {
        Header::Rfc3164 if !is_address => name.split('.').next().unwrap_or(name),
        _ => name,
    };
    printable(name, HOST_NAME_MAX)
}

/// Text as PRINTUSASCII: other characters become `_`, none at all `-`.
fn printable(text: &str, bytes_max: usize) -> String {
    let clean = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    match text.is_empty() {
        true => "-".into(),
        false => text.chars().map(clean).take(bytes_max).collect(),
    }
}

/// A constant as PARAM-VALUE: `"`, `\` and `]` escaped, control characters as spaces.
fn escaped(text: &str) -> Box<str> {
    let mut value = String::new();
    for c in text.chars() {
        if matches!(c, '"' | '\\' | ']') {
            value.push('\\');
        }
        value.push(if c.is_control() { ' ' } else { c });
    }
    value.into()
}

/// SD-NAME of RFC 5424, and with an enterprise number, since no name of ours is registered.
fn is_sd_name(name: &str) -> bool {
    let right = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    let is_number = |number: &str| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let own =
        name.split_once('@').is_some_and(|(own, number)| !own.is_empty() && is_number(number));
    own && name.len() <= SD_NAME_MAX && name.bytes().all(right)
}

#[cfg(test)]
mod tests;
