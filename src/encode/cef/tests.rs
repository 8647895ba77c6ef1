//! What CEF messages look like, and that a strict reader reads any of them back.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{shorten::shorten, *};
use crate::encode::fixture::{self, Build};

/// A reader of CEF as strict as the standard: it shares nothing with the writer.
pub(crate) mod strict {
    use std::collections::BTreeMap;

    #[derive(Debug)]
    pub(crate) struct Message {
        pub(crate) header: Vec<String>,
        pub(crate) pairs: BTreeMap<String, String>,
    }

    impl Message {
        pub(crate) fn get(&self, key: &str) -> Option<&str> {
            self.pairs.get(key).map(String::as_str)
        }
    }

    /// Reads a message, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Message, String> {
        let text = text.strip_prefix("CEF:").ok_or("no CEF:")?;
        let (header, extension) = header(text)?;
        match header[0].as_str() {
            "0" | "1" => {}
            other => return Err(format!("version {other}")),
        }
        for (field, max) in header[1..6].iter().zip([63, 63, 31, 1023, 512]) {
            if field.is_empty() || field.chars().count() > max {
                return Err(format!("header field {field:?}"));
            }
        }
        match header[6].parse::<u8>() {
            Ok(0..=10) if !header[6].starts_with('0') || header[6] == "0" => {}
            _ => return Err(format!("severity {:?}", header[6])),
        }
        Ok(Message { pairs: pairs(extension)?, header })
    }

    fn header(text: &str) -> Result<(Vec<String>, &str), String> {
        let mut fields = vec![String::new()];
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            let complete = fields.len() == 7;
            let field = fields.last_mut().ok_or("no field")?;
            match c {
                '|' if complete => return Ok((fields, &text[at + 1..])),
                '|' => fields.push(String::new()),
                '\\' => match chars.next() {
                    Some((_, c @ ('|' | '\\'))) => field.push(c),
                    other => return Err(format!("escape {other:?} in the header")),
                },
                c if c.is_control() => return Err(format!("{c:?} in the header")),
                c => field.push(c),
            }
        }
        Err("fewer than seven pipes".into())
    }

    fn pairs(mut rest: &str) -> Result<BTreeMap<String, String>, String> {
        let mut pairs = BTreeMap::new();
        while !rest.is_empty() {
            let (key, after) = rest.split_once('=').ok_or(format!("no = in {rest:?}"))?;
            if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(format!("key {key:?}"));
            }
            let end = end_of_value(after)?;
            let value = unescape(&after[..end])?;
            if value.is_empty() || value.trim() != value {
                return Err(format!("value {value:?} of {key}"));
            }
            if pairs.insert(key.to_owned(), value).is_some() {
                return Err(format!("{key} is repeated"));
            }
            rest = match &after[end..] {
                "" => "",
                next => next.strip_prefix(' ').ok_or("no space between pairs")?,
            };
        }
        labels(&pairs)?;
        Ok(pairs)
    }

    /// A value ends where ` key=` begins, or with the message.
    fn end_of_value(text: &str) -> Result<usize, String> {
        let mut escaped = false;
        for (at, c) in text.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '=' => return text[..at].rfind(' ').ok_or(format!("bare = in {text:?}")),
                _ => {}
            }
        }
        Ok(text.len())
    }

    fn unescape(text: &str) -> Result<String, String> {
        let mut value = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            value.push(match c {
                '\\' => match chars.next() {
                    Some(c @ ('\\' | '=')) => c,
                    Some('n') => '\n',
                    Some('r') => '\r',
                    other => return Err(format!("escape {other:?} in {text:?}")),
                },
                c if c.is_control() => return Err(format!("{c:?} in {text:?}")),
                c => c,
            });
        }
        Ok(value)
    }

    /// Custom keys have labels, labels have values, no label is used twice.
    fn labels(pairs: &BTreeMap<String, String>) -> Result<(), String> {
        const STEMS: &[&str] = &["cs", "cn", "cfp", "c6a", "deviceCustomDate"];
        let mut seen = Vec::new();
        for (key, value) in pairs {
            let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
            if STEMS.contains(&stem) && !pairs.contains_key(&format!("{key}Label")) {
                return Err(format!("{key} has no label"));
            }
            if let Some(of) = key.strip_suffix("Label") {
                if !pairs.contains_key(of) {
                    return Err(format!("{key} has no value"));
                }
                if seen.contains(&value) {
                    return Err(format!("the label {value} is used twice"));
                }
                seen.push(value);
            }
        }
        Ok(())
    }
}

static TABLE: std::sync::LazyLock<CefTable> =
    std::sync::LazyLock::new(|| CefTable::shipped().expect("the shipped table"));

fn cef(version: u8, tables: &Tables) -> Cef {
    Cef::new(version, &TABLE, &fixture::agent(), tables)
}

fn write(version: u8, tables: &Tables, event: &Event<Shippable>) -> String {
    let mut out = Vec::new();
    cef(version, tables).write(event, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn check(tables: &Tables, event: &Event<Shippable>, expected: Expect) -> strict::Message {
    let text = write(1, tables, event);
    expected.assert_eq(&text);
    strict::parse(&text).expect("CEF")
}

#[test]
fn an_authentication_failure() {
    let tables = fixture::tables();
    check(
        &tables,
        &fixture::auth_failure(&tables),
        expect![[
            r#"CEF:1|Towline|Towline|0.1.0|xmpp.auth_failure|Authentication failed|6|rt=1763719200123 externalId=0123456789abcdef0123456789abcdef cat=authentication act=auth_failure outcome=failure suser=romeo sntdom=example.net suid=romeo@example.net src=203.0.113.7 spt=54321 dvchost=chat1.example.net dvc=192.0.2.10 deviceExternalId=a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 deviceProcessName=chatd deviceFacility=c2s55d0b8a1f2c0 cs1Label=connectionId cs1=c2s55d0b8a1f2c0 cs2Label=saslMechanism cs2=SCRAM-SHA-1 cs5Label=tlsVersion cs5=1.3 msg=Authentication failed (not-authorized): "bad" password threatAttackID=T1110,T1110.001 cs6Label=fields cs6={"log.level":"info"}"#
        ]],
    );
}

#[test]
fn the_older_version_lacks_what_came_later() {
    let tables = fixture::tables();
    let event = fixture::auth_failure(&tables);
    let old = strict::parse(&write(0, &tables, &event)).expect("CEF");
    assert_eq!(old.header[0], "0");
    assert_eq!(old.get("threatAttackID"), None);
    let new = strict::parse(&write(1, &tables, &event)).expect("CEF");
    assert_eq!(new.get("threatAttackID"), Some("T1110,T1110.001"));
}

#[test]
fn addresses_of_version_6_and_numbers_have_their_own_keys() {
    let tables = fixture::tables();
    let event = Build::new(&tables, "tox.message_received")
        .text("host.hostname", "phone")
        .value("source.ip", Value::Ip("2001:db8::1".parse().expect("address")))
        .value("destination.ip", Value::Ip("::ffff:192.0.2.1".parse().expect("address")))
        .value("destination.port", Value::Long(70_000))
        .text("tox.peer.public_key", &"AB".repeat(32))
        .value("tox.friend.number", Value::Long(i64::MAX))
        .value("tox.message.id", Value::Long(4))
        .value("file.size", Value::Long(3_000_000_000))
        .text("network.direction", "inbound")
        .severity(9)
        .finish();
    check(
        &tables,
        &event,
        expect![[
            r#"CEF:1|Towline|Towline|0.1.0|tox.message_received|Message received|9|rt=1763719200123 externalId=0123456789abcdef0123456789abcdef act=message_received c6a2Label=Source IPv6 Address c6a2=2001:db8::1 dst=192.0.2.1 dvchost=phone deviceExternalId=a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 cs1Label=peerPublicKey cs1=ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB cn1Label=friendNumber cn1=9223372036854775807 cn2Label=messageId cn2=4 deviceDirection=0 cs6Label=fields cs6={"destination.port":70000,"file.size":3000000000}"#
        ]],
    );
}

#[test]
fn hostile_values_stay_inside_their_keys() {
    let tables = fixture::tables();
    let event = Build::new(&tables, "towline.odd")
        .text("user.name", " admin act=allowed suser=root \\")
        .text("user.name", "second \"=\\")
        .text("event.reason", "   ")
        .text("message", "pipe | stays\\u{0a}CEF:0|a|b|c|d|e|f|")
        .text("tags", "a")
        .text("tags", "b")
        .text("agent.name", "forged")
        .finish();
    let message = check(
        &tables,
        &event,
        expect![[
            r#"CEF:1|Towline|Towline|0.1.0|towline.odd|Odd \| title \\ with line|10|rt=1763719200123 externalId=0123456789abcdef0123456789abcdef cat=authentication act=odd suser=admin act\=allowed suser\=root \\ dvchost=chat1.example.net dvc=192.0.2.10 deviceExternalId=a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 msg=pipe | stays\\u{0a}CEF:0|a|b|c|d|e|f| cs6Label=fields cs6={"agent.name":"forged","tags":["a","b"],"user.name":"second \\"\=\\\\"}"#
        ]],
    );
    assert_eq!(message.get("suser"), Some("admin act=allowed suser=root \\"));
    assert_eq!(message.get("msg"), Some("pipe | stays\\u{0a}CEF:0|a|b|c|d|e|f|"));
    let rest: serde_json::Value =
        serde_json::from_str(message.get("cs6").expect("rest")).expect("JSON");
    assert_eq!(rest["user.name"], "second \"=\\");
    assert_eq!(rest["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(rest["agent.name"], "forged");
}

#[test]
fn limits_count_characters() {
    let tables = fixture::tables();
    let fits = "ü=".repeat(511) + "x";
    let event = Build::new(&tables, "xmpp.auth_failure").text("message", &fits).finish();
    let message = strict::parse(&write(1, &tables, &event)).expect("CEF");
    assert_eq!(message.get("msg"), Some(fits.as_str()));

    let event = Build::new(&tables, "xmpp.auth_failure").text("message", &(fits + "y")).finish();
    let message = strict::parse(&write(1, &tables, &event)).expect("CEF");
    let cut = "ü=".repeat(511) + "…";
    assert_eq!(message.get("msg"), Some(cut.as_str()));
}

#[test]
fn the_rest_says_how_much_it_left_out() {
    let names: Vec<_> = (0..40).map(|n| format!("app.field{n:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let tables = fixture::tables_with(&names);
    let mut event = Build::new(&tables, "app.unrecognised");
    for name in &names {
        event = event.text(name, &"=".repeat(200));
    }
    let message = strict::parse(&write(1, &tables, &event.finish())).expect("CEF");
    let rest = message.get("cs6").expect("rest");
    assert!(rest.chars().count() <= 4_000);
    let rest: serde_json::Map<_, _> = serde_json::from_str(rest).expect("JSON");
    let left_out = rest["left_out"].as_u64().expect("a number");
    assert!(left_out > 0);
    assert_eq!(rest.len() as u64 - 1 + left_out, 40);
}

/// Every key of the shipped table against the standard's dictionary.
#[test]
fn the_shipped_table_uses_keys_as_the_dictionary_has_them() {
    let table = &*TABLE;
    let dictionary = include_str!("../../../tests/data/cef-dictionary.csv");
    let mut known = std::collections::BTreeMap::new();
    for row in dictionary.lines().skip(1) {
        let columns: Vec<_> = row.split(',').collect();
        known.insert(columns[0], columns);
    }
    assert!(known.len() > 150);
    for (name, key) in &table.key {
        let row = known.get(name.as_str()).unwrap_or_else(|| panic!("{name} is no key"));
        let [_, ty, length, range, audience, since] = row[..] else { panic!("{row:?}") };
        assert_ne!(audience, "consumer", "{name} is not for senders");
        let expected = match (name.as_str(), ty, range) {
            ("deviceDirection", ..) => "direction",
            (_, "integer", "0..65535") => "port",
            // The list of the standard's later edition lacks c6a2, its special mappings have it.
            ("c6a2", "ip", _) => "ipv6",
            (_, ty, _) => ty,
        };
        assert_eq!(format!("{:?}", key.ty).to_lowercase(), expected, "type of {name}");
        if key.ty == table::KeyType::String {
            assert_eq!(key.length, length.parse().ok(), "length of {name}");
        }
        assert_eq!(key.since == 1, since == "1.2", "version of {name}");
        if let Some(label) = key.label.as_ref() {
            assert!(known.contains_key(format!("{name}Label").as_str()), "{label}");
        }
    }
}

#[test]
fn a_wrong_table_says_where() {
    let shipped = table::SHIPPED;
    for (from, to, expected) in [
        ("ipv6 = \"c6a2\"", "ipv6 = \"c6a9\"", "key.src.ipv6: there is no key c6a9"),
        (
            "label = \"room\"",
            "label = \"fields\"",
            "custom.xmpp.cs4: the label \"fields\" is used twice",
        ),
        (
            "key   = \"cs6\"",
            "key   = \"msg\"",
            "rest.key: has to be a string key that nothing else fills",
        ),
        ("[\"source.mac\"]", "[\"source.ip\"]", "key.src.from: source.ip has a key already"),
        (
            "cn3 = [{",
            "dpt = [{",
            "custom.tox.dpt: is not a key to give out: it is unknown, or filled already",
        ),
        (
            "vendor  =",
            "vendr =",
            "schemas/cef: unknown field `vendr`, expected one of `vendor`, `product`, `order`, `omit`, `rest`, `key`, `custom`",
        ),
        (
            "cfp4                     = { type = \"double\" }",
            "rawEvent = { type = \"string\" }",
            "key.rawEvent: is set by the receiving connector, never by a sender",
        ),
        (
            "cfp4                     = { type = \"double\" }",
            "cfp4 = { type = \"double\", from = [\"x\"] }",
            "key.cfp4: needs a label; fields for it are listed under custom",
        ),
        ("since = 1", "since = 2", "key.threatAttackID.since: is 0 or 1"),
        (
            "product = \"Towline\"",
            "product = 1",
            "schemas/cef: invalid type: integer `1`, expected a string",
        ),
    ] {
        assert!(shipped.contains(from), "{from}");
        let table: toml::Table = shipped.replacen(from, to, 1).parse().expect("TOML");
        let error = CefTable::from_value(table.into()).expect_err(to);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn shortening_cuts_the_longest_value_first_then_drops_pairs() {
    let tables = fixture::tables();
    let event = Build::new(&tables, "xmpp.auth_failure")
        .text("message", &"a\\=ü ".repeat(150))
        .text("user.name", &"u".repeat(100))
        .text("tags", "late")
        .finish();
    let whole = write(1, &tables, &event);
    let mut lengths = Vec::new();
    for bytes_max in 150..whole.len() {
        let short = shorten(&whole, bytes_max);
        assert!(short.len() <= bytes_max, "{} > {bytes_max}: {short}", short.len());
        let message = strict::parse(&short).unwrap_or_else(|error| panic!("{error}: {short}"));
        assert!(message.get("rt").is_some() && message.get("externalId").is_some());
        lengths.push(short.len());
    }
    // What is shortened to is close to what was allowed, as long as there is a long value to cut.
    assert!(whole.len() - 1 - lengths.last().expect("some") < 16);
    assert_eq!(shorten(&whole, whole.len()), whole);
}

proptest! {
    /// Whatever comes in, a strict reader can read it, and finds the value of every field somewhere.
    #[test]
    fn any_event_reads_back(
        version in 0_u8..2,
        kind in prop::sample::select(vec!["xmpp.auth_failure", "tox.message_received", "app.unrecognised", "towline.odd"]),
        text in fixture::clean_text(60),
        picks in prop::collection::vec((any::<prop::sample::Index>(), fixture::any_value()), 0..80),
    ) {
        let tables = fixture::tables();
        let mut event = Build::new(&tables, kind).text("message", &text).finish();
        fixture::add(&tables, &mut event, picks);
        let message = write(version, &tables, &event);
        let read = strict::parse(&message).map_err(TestCaseError::fail)?;
        let rest: serde_json::Map<String, serde_json::Value> = match read.get("cs6") {
            Some(rest) => serde_json::from_str(rest).expect("JSON"),
            None => serde_json::Map::new(),
        };
        prop_assert!(read.get("cs6").is_none_or(|rest| rest.chars().count() <= 4_000));
        let omit = &TABLE.omit;
        for field in &event.fields {
            let name = &tables.field(field.id).name;
            let shown = match field.value {
                Value::Text(span) => super::text(&event, span).trim().to_owned(),
                Value::Date(time) => {
                    let mut out = Vec::new();
                    scalar::rfc3339(&mut out, time, 9);
                    String::from_utf8(out).expect("ASCII")
                }
                Value::Ip(ip) => ip.to_canonical().to_string(),
                other => event.show(other).into_owned(),
            };
            let as_key = read.pairs.values().any(|value| *value == shown);
            let as_direction = name == "network.direction";
            let in_rest = rest.contains_key(name) || rest.contains_key("left_out");
            prop_assert!(
                shown.is_empty() || omit.contains(name) || as_key || as_direction || in_rest,
                "{} = {} in {}", name, shown, message
            );
        }
    }

    #[test]
    fn text_reads_back_equal(text in fixture::clean_text(300)) {
        let tables = fixture::tables();
        let event = Build::new(&tables, "xmpp.auth_failure").text("message", &text).finish();
        let read = strict::parse(&write(1, &tables, &event)).map_err(TestCaseError::fail)?;
        let trimmed = text.trim();
        prop_assert_eq!(read.get("msg"), (!trimmed.is_empty()).then_some(trimmed));
    }

    #[test]
    fn shortening_any_message_leaves_a_message(text in fixture::clean_text(200), bytes_max in 130_usize..600) {
        let tables = fixture::tables();
        let event = Build::new(&tables, "xmpp.auth_failure")
            .text("message", &text).text("user.name", &text).text("tls.version", &text).finish();
        let short = shorten(&write(1, &tables, &event), bytes_max);
        prop_assert!(short.len() <= bytes_max.max(160), "{}", short);
        strict::parse(&short).map_err(TestCaseError::fail)?;
    }
}
