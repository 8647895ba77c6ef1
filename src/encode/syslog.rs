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
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::encode::{
        Cef, CefTable, Ecs,
        fixture::{self, Build},
    };

    /// A reader of RFC 5424, as strict as its grammar.
    mod strict {
        use std::collections::BTreeMap;

        #[derive(Debug)]
        pub(super) struct Message {
            pub(super) priority: u16,
            pub(super) time: String,
            pub(super) host: String,
            pub(super) app: String,
            pub(super) proc_id: String,
            pub(super) msg_id: String,
            pub(super) sd_id: String,
            pub(super) params: BTreeMap<String, String>,
            pub(super) msg: String,
        }

        fn take<'t>(rest: &mut &'t str, end: &str) -> &'t str {
            let (word, after) =
                rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} in {rest:?}"));
            *rest = after;
            word
        }

        fn field(rest: &mut &str, max: usize) -> String {
            let word = take(rest, " ");
            assert!(!word.is_empty() && word.len() <= max, "{word:?}");
            assert!(word.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{word:?}");
            word.to_owned()
        }

        pub(super) fn parse(text: &str) -> Message {
            let mut rest = text.strip_prefix('<').expect("<");
            let digits = take(&mut rest, ">");
            let priority: u16 = digits.parse().expect("PRI");
            assert!(priority <= 191 && digits == priority.to_string(), "{digits}");
            rest = rest.strip_prefix("1 ").expect("version 1");
            let time = field(&mut rest, 32);
            let (_, fraction) = time.split_once('.').unwrap_or(("", "0Z"));
            assert!((2..=7).contains(&fraction.len()), "{time}");
            time.parse::<jiff::Timestamp>().expect("RFC 3339");
            let host = field(&mut rest, 255);
            let app = field(&mut rest, 48);
            let proc_id = field(&mut rest, 128);
            let msg_id = field(&mut rest, 32);
            rest = rest.strip_prefix('[').expect("structured data");
            let (sd_id, params) = element(&mut rest);
            let msg = rest.strip_prefix(' ').expect("a space before MSG").to_owned();
            Message { priority, time, host, app, proc_id, msg_id, sd_id, params, msg }
        }

        fn sd_name(name: &str) -> String {
            assert!((1..=32).contains(&name.len()), "{name:?}");
            let right = |byte: u8| (0x21..=0x7e).contains(&byte) && !b"=]\"".contains(&byte);
            assert!(name.bytes().all(right), "{name:?}");
            name.to_owned()
        }

        fn element(rest: &mut &str) -> (String, BTreeMap<String, String>) {
            let end = rest.find([' ', ']']).expect("an end of the SD-ID");
            let id = sd_name(&rest[..end]);
            *rest = &rest[end..];
            let mut params = BTreeMap::new();
            while let Some(after) = rest.strip_prefix(' ') {
                *rest = after;
                let name = sd_name(take(rest, "=\""));
                assert!(params.insert(name, value(rest)).is_none());
            }
            *rest = rest.strip_prefix(']').expect("]");
            (id, params)
        }

        fn value(rest: &mut &str) -> String {
            let mut value = String::new();
            let mut chars = rest.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        *rest = &rest[at + 1..];
                        return value;
                    }
                    ']' => panic!("bare ] in {rest:?}"),
                    '\\' => value.push(chars.next().expect("an escaped character").1),
                    c => value.push(c),
                }
            }
            panic!("no end of a value in {rest:?}");
        }
    }

    fn syslog(header: Header, tables: &Tables, bytes_max: usize) -> Syslog {
        Syslog::new(header, 13, SD_ID, bytes_max, &fixture::agent(), tables)
    }

    fn write(syslog: &Syslog, sending: Sending, event: &Event<Shippable>, message: &str) -> String {
        let mut out = Vec::new();
        let append = |out: &mut Vec<u8>| out.extend_from_slice(message.as_bytes());
        syslog.write_as(sending, Sequence(7), event, append, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn rfc_5424_with_structured_data() {
        let tables = fixture::tables();
        let event = fixture::auth_failure(&tables);
        let text = write(&syslog(Header::Rfc5424, &tables, 8_192), Sending::First, &event, "CEF:");
        expect![[r#"<108>1 2025-11-21T10:00:00.123Z chat1.example.net towline - xmpp.auth_failure [towline@32473 id="0123456789abcdef0123456789abcdef" seq="7" kind="xmpp.auth_failure"] CEF:"#]].assert_eq(&text);
        let message = strict::parse(&text);
        assert_eq!(message.priority, 13 * 8 + 4);
        assert_eq!((message.app.as_str(), message.proc_id.as_str()), ("towline", "-"));
        assert_eq!(message.sd_id, SD_ID);
        assert_eq!(message.msg, "CEF:");
        let again = write(&syslog(Header::Rfc5424, &tables, 8_192), Sending::Again, &event, "CEF:");
        assert_eq!(strict::parse(&again).params["replay"], "true");
    }

    #[test]
    fn rfc_3164_pads_the_day_and_shows_local_time() {
        let tables = fixture::tables();
        let event = |time| {
            let mut event = Build::new(&tables, "tox.message_received").finish();
            event.time = Time(time);
            event
        };
        let utc = syslog(Header::Rfc3164, &tables, 8_192);
        let text = write(&utc, Sending::First, &event(1_762_000_000_000_000_000), "{}");
        expect!["<110>Nov  1 12:26:40 chat1 towline: {}"].assert_eq(&text);
        let berlin = utc.in_zone(TimeZone::get("Europe/Berlin").expect("a zone"));
        let text = write(&berlin, Sending::First, &event(1_767_222_000_500_000_000), "{}");
        expect!["<110>Jan  1 00:00:00 chat1 towline: {}"].assert_eq(&text);
    }

    #[test]
    fn every_severity_has_its_priority() {
        let tables = fixture::tables();
        let priority = |severity| {
            let event = Build::new(&tables, "towline.odd").severity(severity).finish();
            let text = write(&syslog(Header::Rfc5424, &tables, 8_192), Sending::First, &event, "x");
            strict::parse(&text).priority - 13 * 8
        };
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255].map(priority),
            [7, 6, 6, 5, 4, 4, 4, 3, 3, 2, 1, 1]
        );
    }

    #[test]
    fn names_are_printable_and_short() {
        let tables = fixture::tables();
        let host = "höst name ".repeat(40);
        let event = Build::new(&tables, "towline.odd").text("host.hostname", &host).finish();
        let text = write(&syslog(Header::Rfc5424, &tables, 8_192), Sending::First, &event, "x");
        let message = strict::parse(&text);
        assert!(message.host.starts_with("h_st_name_h_st_"));
        assert_eq!(message.host.len(), HOST_NAME_MAX);
        assert_eq!(message.msg_id, "towline.odd");
        assert_eq!(message.time, "2025-11-21T10:00:00.123Z");

        for wrong in
            ["", "towline", "@32473", "a b@1", "towline@", "towline@x", "a]@1", &"x".repeat(33)]
        {
            assert!(!is_sd_name(wrong), "{wrong}");
        }
        assert!(is_sd_name(SD_ID) && is_sd_name("acme-chat@64512.1"));
    }

    #[test]
    fn long_messages_are_cut_as_their_schema_allows() {
        let tables = fixture::tables();
        let event = Build::new(&tables, "xmpp.auth_failure")
            .text("message", &"ü=\\\" ".repeat(3_000))
            .text("user.name", "romeo")
            .finish();
        let table = CefTable::shipped().expect("the table");
        let (cef, ecs) =
            (Cef::new(1, &table, &fixture::agent(), &tables), Ecs::new(&fixture::agent(), &tables));
        for bytes_max in [800, 1_000, 2_048] {
            let syslog = syslog(Header::Rfc5424, &tables, bytes_max);
            let mut out = Vec::new();
            syslog.write(Sequence(1), &event, |out| cef.write(&event, out), &mut out);
            assert!(out.len() <= bytes_max);
            let message = strict::parse(std::str::from_utf8(&out).expect("UTF-8"));
            assert_eq!(message.params["truncated"], "true");
            let read = crate::encode::cef::tests::strict::parse(&message.msg).expect("CEF");
            assert_eq!(read.get("suser"), Some("romeo"));
            assert!(read.get("msg").expect("msg").ends_with('…'));
        }
        for bytes_max in [1_200, 2_048] {
            let syslog = syslog(Header::Rfc5424, &tables, bytes_max);
            let mut out = Vec::new();
            syslog.write(Sequence(1), &event, |out| ecs.write(Sequence(1), &event, out), &mut out);
            assert!(out.len() <= bytes_max, "{} > {bytes_max}", out.len());
            let message = strict::parse(std::str::from_utf8(&out).expect("UTF-8"));
            assert_eq!(message.params["truncated"], "true");
            let read: serde_json::Value = serde_json::from_str(&message.msg).expect("JSON");
            assert_eq!(read["user"]["name"], "romeo");
            assert!(read["message"].as_str().expect("text").ends_with('…'));
        }
    }

    proptest! {
        #[test]
        fn any_message_is_valid_and_within_the_limit(
            host in fixture::clean_text(20),
            message in fixture::clean_text(400),
            bytes_max in 250_usize..700,
            time: i64,
            severity: u8,
            sequence: u64,
        ) {
            let tables = fixture::tables();
            let mut event = Build::new(&tables, "towline.odd").text("host.hostname", &host).severity(severity).finish();
            event.time = Time(time);
            let mut out = Vec::new();
            let append = |out: &mut Vec<u8>| out.extend_from_slice(message.as_bytes());
            syslog(Header::Rfc5424, &tables, bytes_max).write(Sequence(sequence), &event, append, &mut out);
            prop_assert!(out.len() <= bytes_max);
            let read = strict::parse(std::str::from_utf8(&out).expect("UTF-8"));
            prop_assert!(message.starts_with(&read.msg));
            prop_assert_eq!(read.params.contains_key("truncated"), read.msg != message);
        }
    }
}
