//! What ECS documents look like, and that any event becomes a valid one.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::{
    encode::fixture::{self, Build},
    event::{Time, Value},
};

fn write(tables: &Tables, event: &Event<Shippable>) -> String {
    let mut out = Vec::new();
    Ecs::new(&fixture::agent(), tables).write(Sequence(7), event, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn check(tables: &Tables, event: &Event<Shippable>, expected: Expect) {
    let text = write(tables, event);
    strict::parse(&text);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    expected.assert_eq(&serde_json::to_string_pretty(&value).expect("JSON"));
}

/// JSON without repeated members, which `serde_json::Value` would hide.
mod strict {
    use std::{collections::HashSet, fmt};

    use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

    struct Unique;

    impl<'de> Deserialize<'de> for Unique {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Walk)
        }
    }

    struct Walk;

    impl<'de> Visitor<'de> for Walk {
        type Value = Unique;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON without repeated members")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
            let mut names = HashSet::new();
            while let Some(name) = map.next_key::<String>()? {
                assert!(names.insert(name.clone()), "{name} is repeated");
                map.next_value::<Unique>()?;
            }
            Ok(Unique)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
            while seq.next_element::<Unique>()?.is_some() {}
            Ok(Unique)
        }

        fn visit_str<E>(self, _: &str) -> Result<Unique, E> {
            Ok(Unique)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Unique, E> {
            Ok(Unique)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Unique, E> {
            Ok(Unique)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Unique, E> {
            Ok(Unique)
        }
        fn visit_bool<E>(self, _: bool) -> Result<Unique, E> {
            Ok(Unique)
        }
    }

    pub(super) fn parse(text: &str) {
        serde_json::from_str::<Unique>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
}

#[test]
fn an_authentication_failure() {
    let tables = fixture::tables();
    check(
        &tables,
        &fixture::auth_failure(&tables),
        expect![[r#"
        {
          "@timestamp": "2025-11-21T10:00:00.123Z",
          "event": {
            "kind": "event",
            "category": [
              "authentication"
            ],
            "type": [
              "start"
            ],
            "code": "xmpp.auth_failure",
            "severity": 6,
            "id": "0123456789abcdef0123456789abcdef",
            "created": "2025-11-21T10:00:01Z",
            "action": "auth_failure",
            "dataset": "chat.server",
            "module": "chatd",
            "outcome": "failure"
          },
          "message": "Authentication failed (not-authorized): \"bad\" password",
          "host": {
            "hostname": "chat1.example.net",
            "ip": [
              "192.0.2.10",
              "2001:db8::10"
            ],
            "name": "chat1.example.net"
          },
          "log": {
            "file": {
              "path": "/var/log/chat/server.log"
            },
            "level": "info",
            "logger": "c2s55d0b8a1f2c0",
            "offset": 123456
          },
          "related": {
            "hosts": [
              "example.net",
              "chat1.example.net"
            ],
            "ip": [
              "203.0.113.7"
            ],
            "user": [
              "romeo",
              "romeo@example.net"
            ]
          },
          "service": {
            "type": "chatd"
          },
          "source": {
            "ip": "203.0.113.7",
            "port": 54321
          },
          "threat": {
            "framework": "MITRE ATT&CK",
            "technique": {
              "id": [
                "T1110"
              ],
              "subtechnique": {
                "id": [
                  "T1110.001"
                ]
              }
            }
          },
          "tls": {
            "version": "1.3"
          },
          "user": {
            "domain": "example.net",
            "name": "romeo"
          },
          "xmpp": {
            "connection": {
              "id": "c2s55d0b8a1f2c0"
            },
            "jid": "romeo@example.net",
            "sasl": {
              "mechanism": "SCRAM-SHA-1"
            }
          },
          "towline": {
            "sequence": 7
          },
          "agent": {
            "id": "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
            "name": "edge-1",
            "type": "towline",
            "version": "0.1.0"
          },
          "ecs": {
            "version": "8.11.0"
          }
        }"#]],
    );
}

#[test]
fn a_line_of_another_host_makes_us_the_observer() {
    let tables = fixture::tables();
    let event = Build::new(&tables, "tox.message_received")
        .text("host.hostname", "phone")
        .text("tox.peer.public_key", "AB")
        .value("tox.friend.number", Value::Long(3))
        .severity(9)
        .finish();
    check(
        &tables,
        &event,
        expect![[r#"
        {
          "@timestamp": "2025-11-21T10:00:00.123Z",
          "event": {
            "kind": "event",
            "type": [
              "info"
            ],
            "code": "tox.message_received",
            "severity": 9,
            "id": "0123456789abcdef0123456789abcdef",
            "created": "2025-11-21T10:00:01Z",
            "action": "message_received",
            "dataset": "tox.log",
            "module": "tox"
          },
          "host": {
            "hostname": "phone",
            "name": "phone"
          },
          "observer": {
            "hostname": "chat1.example.net",
            "ip": [
              "192.0.2.10",
              "2001:db8::10"
            ],
            "product": "Towline",
            "type": "shipper",
            "vendor": "Towline",
            "version": "0.1.0"
          },
          "related": {
            "hosts": [
              "phone"
            ],
            "user": [
              "AB"
            ]
          },
          "tox": {
            "friend": {
              "number": 3
            },
            "peer": {
              "public_key": "AB"
            }
          },
          "towline": {
            "sequence": 7
          },
          "agent": {
            "id": "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
            "name": "edge-1",
            "type": "towline",
            "version": "0.1.0"
          },
          "ecs": {
            "version": "8.11.0"
          }
        }"#]],
    );
}

#[test]
fn what_has_no_place_is_kept_as_text() {
    let tables = fixture::tables();
    let event = Build::new(&tables, "app.unrecognised")
        .text("user.name", "first \\ \"quoted\"")
        .text("user.name", "second")
        .text("source.ip", "token-of-an-address")
        .text("agent.name", "forged")
        .text("towline.uncoerced", "a=b")
        .value("towline.ratio", Value::Double(f64::NAN))
        .value("file.mtime", Value::Date(Time(0)))
        .value("tls.established", Value::Boolean(true))
        .text("tags", "x")
        .text("tags", "y")
        .text("event.action", "own-action")
        .text("related.user", "second")
        .finish();
    check(
        &tables,
        &event,
        expect![[r#"
        {
          "@timestamp": "2025-11-21T10:00:00.123Z",
          "event": {
            "kind": "event",
            "category": [
              "authentication"
            ],
            "type": [
              "start"
            ],
            "code": "app.unrecognised",
            "severity": 2,
            "id": "0123456789abcdef0123456789abcdef",
            "created": "2025-11-21T10:00:01Z",
            "action": "own-action",
            "dataset": "app.log",
            "module": "app"
          },
          "file": {
            "mtime": "1970-01-01T00:00:00Z"
          },
          "host": {
            "hostname": "chat1.example.net",
            "ip": [
              "192.0.2.10",
              "2001:db8::10"
            ],
            "name": "chat1.example.net"
          },
          "related": {
            "hosts": [
              "chat1.example.net"
            ],
            "user": [
              "first \\ \"quoted\"",
              "second"
            ]
          },
          "tags": [
            "x",
            "y"
          ],
          "tls": {
            "established": true
          },
          "user": {
            "name": "first \\ \"quoted\""
          },
          "towline": {
            "sequence": 7,
            "uncoerced": [
              "a=b",
              "agent.name=forged",
              "source.ip=token-of-an-address",
              "user.name=second",
              "towline.ratio=NaN"
            ]
          },
          "agent": {
            "id": "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
            "name": "edge-1",
            "type": "towline",
            "version": "0.1.0"
          },
          "ecs": {
            "version": "8.11.0"
          }
        }"#]],
    );
}

#[test]
fn a_value_that_is_also_a_parent_steps_down() {
    let tables = fixture::tables_with(&["tox.error", "tox.error.code"]);
    let event = Build::new(&tables, "tox.message_received")
        .text("tox.error", "too long")
        .text("tox.error.code", "TOO_LONG")
        .finish();
    let text = write(&tables, &event);
    assert!(text.contains(r#""error":{"code":"TOO_LONG","value":"too long"}"#), "{text}");
}

proptest! {
    /// Whatever fields of whatever types come in whatever order and number, and whatever names the tables have.
    #[test]
    fn any_event_is_valid_json_with_every_member_once(
        names in prop::collection::vec("[a-c@\"\\\\]{0,2}(\\.[a-c]{0,2}){0,9}", 0..20),
        text in fixture::clean_text(60),
        picks in prop::collection::vec((any::<prop::sample::Index>(), fixture::any_value()), 0..120),
    ) {
        let names: Vec<_> = names.iter().map(String::as_str).chain(fixture::EXTRA.iter().copied()).collect();
        let tables = fixture::tables_with(&names);
        let mut event = Build::new(&tables, "xmpp.auth_failure").text("message", &text).finish();
        fixture::add(&tables, &mut event, picks);
        strict::parse(&write(&tables, &event));
    }

    #[test]
    fn text_reads_back_equal(text in fixture::clean_text(200)) {
        let tables = fixture::tables();
        let event = Build::new(&tables, "xmpp.auth_failure").text("message", &text).finish();
        let value: serde_json::Value = serde_json::from_str(&write(&tables, &event)).expect("JSON");
        prop_assert_eq!(value["message"].as_str(), Some(text.as_str()));
    }
}
