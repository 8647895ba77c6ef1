//! What syslog messages look like, and that a strict reader of RFC 5424 takes any of them.

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
