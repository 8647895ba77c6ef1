//! Tables and events for the tests of the encoders.

use std::net::IpAddr;

use proptest::prelude::*;

use super::Agent;
use crate::{
    event::{
        Event, EventId, Field, FieldDef, FieldId, FieldType, KindDef, Span, Tables, Time, Value,
        field,
    },
    guard::Shippable,
};

pub(crate) fn agent() -> Agent {
    Agent {
        id: [0xa1; 16],
        name: "edge-1".into(),
        version: "0.1.0",
        host_name: "chat1.example.net".into(),
        host_ip: vec![IpAddr::from([192, 0, 2, 10]), "2001:db8::10".parse().expect("address")],
    }
}

/// Type and array rule as ECS has them for the names used here; keywords otherwise.
pub(crate) fn field_def(name: &str) -> FieldDef {
    let ty = match name {
        "message" | "error.message" => FieldType::Text,
        _ if name.ends_with(".ip") => FieldType::Ip,
        _ if [".port", ".offset", ".pid", ".number", ".id.number", ".bytes", ".size"]
            .iter()
            .any(|end| name.ends_with(end)) =>
        {
            FieldType::Long
        }
        "towline.ratio" => FieldType::Double,
        "tls.established" => FieldType::Boolean,
        "file.mtime" => FieldType::Date,
        _ => FieldType::Keyword,
    };
    let array = ["tags", "related.user", "related.ip", "host.ip", "towline.uncoerced"];
    FieldDef { name: name.into(), ty, array: array.contains(&name) }
}

fn kind(name: &str, title: &str, severity: u8) -> KindDef {
    KindDef {
        name: name.into(),
        title: title.into(),
        severity,
        kind: "event".into(),
        category: vec!["authentication".into()],
        types: vec!["start".into()],
        outcome: None,
        attack: Vec::new(),
        meaning: String::new(),
    }
}

/// The well-known fields, then these; four kinds.
pub(crate) fn tables_with(names: &[&str]) -> Tables {
    let fields = field::NAMES.iter().chain(names).map(|name| field_def(name)).collect();
    let failure = KindDef {
        outcome: Some("failure".into()),
        attack: vec!["T1110".into(), "T1110.001".into()],
        ..kind("xmpp.auth_failure", "Authentication failed", 6)
    };
    let message = KindDef {
        category: Vec::new(),
        types: vec!["info".into()],
        ..kind("tox.message_received", "Message received", 1)
    };
    let kinds = vec![
        failure,
        message,
        kind("app.unrecognised", "Unrecognised line", 2),
        kind("towline.odd", "Odd | title \\ with\nline", 10),
    ];
    Tables::new(fields, kinds)
}

/// Names beyond the well-known ones that tests and measurements use.
pub(crate) const EXTRA: &[&str] = &[
    "xmpp.sasl.mechanism",
    "xmpp.error.condition",
    "xmpp.muc.room",
    "xmpp.remote.domain",
    "tls.version",
    "tls.established",
    "tox.friend.number",
    "tox.message.id",
    "tox.peer.public_key",
    "tox.self.public_key",
    "file.name",
    "file.size",
    "file.mtime",
    "network.direction",
    "event.action",
    "related.user",
    "towline.ratio",
    "agent.name",
];

pub(crate) fn tables() -> Tables {
    tables_with(EXTRA)
}

/// Builds an event whose text went the way that all text goes.
pub(crate) struct Build<'t> {
    tables: &'t Tables,
    text: String,
    event: Event<()>,
}

impl<'t> Build<'t> {
    pub(crate) fn new(tables: &'t Tables, kind: &str) -> Self {
        let event = Event {
            kind: tables.kind_id(kind).expect("a kind of the fixture"),
            recognised: true,
            id: EventId(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"),
            time: Time(1_763_719_200_123_000_000),
            created: Time(1_763_719_201_000_000_000),
            severity: None,
            fields: Vec::new(),
            text: (),
        };
        Self { tables, text: String::new(), event }
    }

    pub(crate) fn severity(mut self, severity: u8) -> Self {
        self.event.severity = Some(severity);
        self
    }

    pub(crate) fn text(mut self, name: &str, text: &str) -> Self {
        let start = u32::try_from(self.text.len()).expect("short");
        self.text.push_str(text);
        let end = u32::try_from(self.text.len()).expect("short");
        self.push(name, Value::Text(Span { start, end }));
        self
    }

    pub(crate) fn value(mut self, name: &str, value: Value) -> Self {
        self.push(name, value);
        self
    }

    fn push(&mut self, name: &str, value: Value) {
        let id: FieldId = self.tables.field_id(name).expect("a field of the fixture");
        self.event.fields.push(Field { id, value });
    }

    pub(crate) fn finish(self) -> Event<Shippable> {
        let Event { kind, recognised, id, time, created, severity, fields, text: () } = self.event;
        let text = Shippable::revalidate(self.text.into_bytes()).expect("a test's text is clean");
        Event { kind, recognised, id, time, created, severity, fields, text }
    }
}

/// The event that most lines of a chat server are: fifteen fields.
pub(crate) fn auth_failure(tables: &Tables) -> Event<Shippable> {
    Build::new(tables, "xmpp.auth_failure")
        .text("log.level", "info")
        .text("log.logger", "c2s55d0b8a1f2c0")
        .text("message", "Authentication failed (not-authorized): \"bad\" password")
        .text("log.file.path", "/var/log/chat/server.log")
        .value("log.offset", Value::Long(123_456))
        .text("event.dataset", "chat.server")
        .text("service.type", "chatd")
        .text("user.name", "romeo")
        .text("user.domain", "example.net")
        .value("source.ip", Value::Ip(IpAddr::from([203, 0, 113, 7])))
        .value("source.port", Value::Long(54_321))
        .text("xmpp.jid", "romeo@example.net")
        .text("xmpp.connection.id", "c2s55d0b8a1f2c0")
        .text("xmpp.sasl.mechanism", "SCRAM-SHA-1")
        .text("tls.version", "1.3")
        .finish()
}

/// Text as `guard` lets it through, of at most so many characters; those that formats care about are frequent.
pub(crate) fn clean_text(length_max: usize) -> impl Strategy<Value = String> {
    let pattern = format!("([^\\p{{C}}\\p{{Zl}}\\p{{Zp}}]|[ =\\\\|\"\\]]){{0,{length_max}}}");
    prop::string::string_regex(&pattern)
        .expect("a pattern")
        .prop_filter("clean", |text| Shippable::revalidate(text.clone().into_bytes()).is_ok())
}

/// A value of any type; texts are spans of the event's first bytes.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let span = |(a, b): (u32, u32)| Span { start: a.min(b), end: a.max(b) };
    prop_oneof![
        (0_u32..60, 0_u32..60).prop_map(move |ends| Value::Text(span(ends))),
        any::<i64>().prop_map(Value::Long),
        (0_i64..70_000).prop_map(Value::Long),
        any::<f64>().prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        any::<[u16; 8]>().prop_map(|n| Value::Ip(IpAddr::from(n))),
        any::<[u8; 4]>().prop_map(|n| Value::Ip(IpAddr::from(n))),
        any::<i64>().prop_map(|n| Value::Date(Time(n))),
    ]
}

/// Adds values to any fields of the tables.
pub(crate) fn add(
    tables: &Tables,
    event: &mut Event<Shippable>,
    picks: Vec<(prop::sample::Index, Value)>,
) {
    for (pick, value) in picks {
        let id = FieldId(u16::try_from(pick.index(tables.fields().len())).expect("few"));
        event.fields.push(Field { id, value });
    }
}
