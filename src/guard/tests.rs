//! Whole events through the guard.

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;

use super::*;
use crate::{
    event::{Event, EventId, FieldDef, FieldType, KindDef, KindId, Raw, Tables, Time, field},
    map::{PrivacySpec, Treatment, UnrecognisedText},
};

/// Own fields of these tests, behind the well-known ones.
const BODY: FieldId = FieldId(field::NAMES.len() as u16);
const STACK_TRACE: FieldId = FieldId(BODY.0 + 1);
const PASSWORD: FieldId = FieldId(BODY.0 + 2);
const SUBJECT: FieldId = FieldId(BODY.0 + 3);

pub(crate) fn tables() -> Arc<Tables> {
    let own = [
        "tox.message.text",
        "error.stack_trace",
        "app.login.password",
        "xmpp.muc.subject",
        "towline.template.hash",
        "towline.template.length",
    ];
    let def = |name: &&str| FieldDef {
        name: (*name).to_owned(),
        ty: match *name {
            "message" | "error.message" | "tox.message.text" => FieldType::Text,
            "towline.template.length" => FieldType::Long,
            "source.ip" | "destination.ip" => FieldType::Ip,
            _ => FieldType::Keyword,
        },
        array: *name == "tags",
    };
    let kind = |name: &str| KindDef {
        name: name.to_owned(),
        title: "Message received".to_owned(),
        severity: 3,
        kind: "event".to_owned(),
        category: Vec::new(),
        types: Vec::new(),
        outcome: None,
        attack: Vec::new(),
        meaning: String::new(),
    };
    let fields = field::NAMES.iter().chain(own.iter()).map(def).collect();
    Arc::new(Tables::new(fields, vec![kind("tox.message_received"), kind("tox.unrecognised")]))
}

fn event(fields: &[(FieldId, &[u8])]) -> Event<Raw> {
    let mut event = Event::new(KindId(0), EventId::default(), Time(0));
    for (id, text) in fields {
        event.push_text(*id, text);
    }
    event
}

/// The guards of all modes, made once.
fn clean(mode: Mode, event: Event<Raw>) -> Event<Clean> {
    static GUARDS: OnceLock<[Guard; 3]> = OnceLock::new();
    let modes = [Mode::Escape, Mode::Strip, Mode::Reject];
    let guards = GUARDS.get_or_init(|| modes.map(|mode| Guard::new(mode, tables())));
    guards[modes.iter().position(|known| *known == mode).unwrap()].clean(event)
}

/// All text fields, as `name=value`.
fn shown<T: Text>(event: &Event<T>) -> Vec<String> {
    let tables = tables();
    let field = |f: &Field| format!("{}={}", tables.field(f.id).name, event.show(f.value));
    event.fields.iter().map(field).collect()
}

/// The shipped profile of that name.
pub(crate) fn profile(name: &str) -> PrivacySpec {
    let path = format!("{}/mappings/privacy/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let named = |names: &[(&str, Treatment)], value: &toml::Value| {
        names.iter().find(|(name, _)| Some(*name) == value.as_str()).unwrap().1
    };
    let text = table["unrecognised"].as_str().unwrap();
    PrivacySpec {
        name: name.to_owned(),
        about: table["about"].as_str().unwrap().to_owned(),
        default: named(Treatment::NAMES, &table["default"]),
        fields: table
            .get("fields")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flatten()
            .map(|(field, value)| (field.clone(), named(Treatment::NAMES, value)))
            .collect(),
        unrecognised: UnrecognisedText::NAMES.iter().find(|(name, _)| *name == text).unwrap().1,
    }
}

fn ship(name: &str, event: Event<Raw>) -> Event<Shippable> {
    let key = Some(&b"0123456789abcdef0123456789abcdef"[..]);
    let privacy = Privacy::new(&profile(name), tables(), key).unwrap();
    privacy.apply(clean(Mode::Escape, event))
}

#[test]
fn clean_text_is_moved_and_not_copied() {
    let raw = event(&[(field::MESSAGE, b"Authenticated as romeo"), (field::USER_NAME, b"romeo")]);
    let (spans, place) = (raw.fields.clone(), raw.text.0.as_ptr());
    let clean = clean(Mode::Escape, raw);
    assert_eq!(clean.fields, spans);
    assert_eq!(clean.text.0.as_ptr(), place);
}

#[test]
fn spans_follow_the_text() {
    let mut raw = event(&[(field::MESSAGE, b"a\tuser=r\xc3\xb6\nmeo\xff!")]);
    raw.push(field::USER_NAME, Value::Text(Span { start: 7, end: 14 }));
    raw.push(field::REASON, Value::Text(Span { start: 0, end: 1 }));
    raw.push(field::RESOURCE, Value::Text(Span { start: 7, end: 9 }));
    raw.push(field::LOGGER, Value::Text(Span { start: 9, end: 500 }));
    let shown = shown(&clean(Mode::Escape, raw));
    assert_eq!(
        shown,
        [
            r"message=a\u{09}user=rö\u{0a}meo\x{ff}!",
            r"user.name=rö\u{0a}meo",
            "event.reason=a",
            // Half a character is a byte that is no UTF-8.
            r"xmpp.resource=r\x{c3}",
            // Outside of the text there is nothing.
            "log.logger=",
        ]
    );
}

#[test]
fn a_character_over_two_fields_belongs_to_neither() {
    // U+2028 is e2 80 a8: two torn fields must not make one, nor hide one.
    let shown = shown(&clean(
        Mode::Escape,
        event(&[(field::USER_NAME, b"a\xe2\x80"), (field::REASON, b"\xa8b")]),
    ));
    assert_eq!(shown, [r"user.name=a\x{e2}\x{80}", r"event.reason=\x{a8}b"]);
}

#[test]
fn strip_and_reject_are_settings() {
    let raw = || event(&[(field::USER_NAME, b"ro\r\nmeo"), (field::REASON, br"C:\u{0a}")]);
    assert_eq!(
        shown(&clean(Mode::Strip, raw())),
        ["user.name=ro meo", r"event.reason=C:\u{5c}u{0a}"]
    );
    assert_eq!(
        shown(&clean(Mode::Reject, raw())),
        [r"event.reason=C:\u{5c}u{0a}", "tags=unsafe-text-rejected"]
    );
}

#[test]
fn long_text_is_cut_and_said_so() {
    let long = "é".repeat(20_000);
    let trace = "t".repeat(40_000);
    let event = event(&[
        (field::USER_NAME, long.as_bytes()),
        (field::MESSAGE, long.as_bytes()),
        (STACK_TRACE, trace.as_bytes()),
        (field::REASON, "x".repeat(1_024).as_bytes()),
    ]);
    let clean = clean(Mode::Escape, event);
    let lengths = [field::USER_NAME, field::MESSAGE, STACK_TRACE, field::REASON]
        .map(|id| clean.text_of(id).unwrap().len());
    assert_eq!(lengths, [1_024, 32_768, 32_768, 1_024]);
    let hash = |text: &str| blake3::hash(text.as_bytes()).to_hex()[..32].to_owned();
    assert_eq!(
        shown(&clean)[4..],
        [
            format!("towline.truncated=user.name length=40000 blake3={}", hash(&long)),
            format!("towline.truncated=message length=40000 blake3={}", hash(&long)),
            format!("towline.truncated=error.stack_trace length=40000 blake3={}", hash(&trace)),
        ]
    );
    // What was cut off is not in the event any more.
    assert!(clean.text.0.len() < 70_000);
}

#[test]
fn full_keeps_everything() {
    let mut raw = event(&[(field::ORIGINAL, b"x alice: hello bob"), (BODY, b"hello bob")]);
    raw.push(field::MESSAGE, Value::Text(Span { start: 2, end: 18 }));
    let shipped = ship("full", raw);
    assert_eq!(
        shown(&shipped),
        [
            "event.original=x alice: hello bob",
            "tox.message.text=hello bob",
            "message=alice: hello bob"
        ]
    );
}

#[test]
fn standard_ships_no_bodies() {
    let mut raw = event(&[(field::ORIGINAL, b"x alice: hello bob"), (field::USER_NAME, b"alice")]);
    raw.push(field::MESSAGE, Value::Text(Span { start: 2, end: 18 }));
    raw.push(BODY, Value::Text(Span { start: 9, end: 18 }));
    let shipped = ship("standard", raw);
    assert_eq!(
        shown(&shipped),
        ["user.name=alice", "message=alice: [text length=9]", "tox.message.text=[length=9]"]
    );
    assert!(!shipped.text.as_str().contains("hello"));
}

#[test]
fn a_body_that_is_stored_apart_is_found_in_the_message() {
    let raw = event(&[(field::MESSAGE, b"got \"hi\" (this) from bob"), (BODY, b"hi")]);
    assert_eq!(shown(&ship("standard", raw))[0], "message=got \"[text length=2]\" (this) from bob");
}

#[test]
fn a_message_whose_body_is_not_found_gives_way_to_the_title() {
    let raw = event(&[
        (field::MESSAGE, br#"got "say \"hi\"" from bob"#),
        (BODY, br#"say "hi""#),
        (field::ERROR_MESSAGE, b"OK"),
    ]);
    let shipped = shown(&ship("standard", raw));
    assert_eq!([&shipped[0], &shipped[2]], ["message=Message received", "error.message=OK"]);
    let long = "secret words ".repeat(200);
    let message = format!("got {long} from bob");
    let raw = event(&[(field::MESSAGE, message.as_bytes()), (SUBJECT, long.as_bytes())]);
    // The body field was cut, so nobody knows where the body ends.
    let shipped = ship("standard", raw);
    assert_eq!(shown(&shipped)[0], format!("message=got [subject length={}]", message.len() - 4));
    assert!(!shipped.text.as_str().contains("words"));
}

#[test]
fn standard_treats_unrecognised_text() {
    let mut raw = event(&[
        (field::MESSAGE, b"romeo@example.net says 'wherefore' from 203.0.113.9"),
        (field::LEVEL, b"info"),
    ]);
    raw.recognised = false;
    assert_eq!(
        shown(&ship("standard", raw.clone())),
        ["message=[jid] says '[quoted length=9]' from [ip]", "log.level=info"]
    );
    assert_eq!(
        shown(&ship("full", raw.clone()))[0],
        format!("message={}", "romeo@example.net says 'wherefore' from 203.0.113.9")
    );
    let hashed = shown(&ship("strict", raw));
    assert!(hashed[1].starts_with("towline.template.hash="));
    assert_eq!([&hashed[0], &hashed[2]], ["log.level=info", "towline.template.length=51"]);
}

#[test]
fn pseudonyms_reach_into_free_text() {
    let mut raw =
        event(&[(field::MESSAGE, b"Authenticated as romeo@example.net from 203.0.113.9")]);
    raw.push(field::JID, Value::Text(Span { start: 17, end: 34 }));
    raw.push(field::SOURCE_IP, Value::Ip("203.0.113.9".parse().unwrap()));
    let shipped = ship("pseudonymous", raw.clone());
    let (jid, ip) = (shipped.text_of(field::JID).unwrap(), shipped.get(field::SOURCE_IP).unwrap());
    let jid = std::str::from_utf8(jid).unwrap();
    assert_eq!(
        shown(&shipped)[0],
        format!("message=Authenticated as {jid} from {}", shipped.show(ip))
    );
    assert!(!shipped.text.as_str().contains("romeo"));
    assert!(Privacy::new(&profile("pseudonymous"), tables(), None).is_err());
    assert!(!shown(&ship("strict", raw)).join(" ").contains("Authenticated"));
}

#[test]
fn only_clean_text_comes_back() {
    assert_eq!(Shippable::revalidate(br"a\u{0a}b".to_vec()).unwrap().as_str(), r"a\u{0a}b");
    for bad in [&b"a\nb"[..], b"\xff", "\u{202e}".as_bytes(), b"\x1b[31m"] {
        assert_eq!(Shippable::revalidate(bad.to_vec()), Err(NotClean));
    }
}

#[test]
fn every_shipped_profile_can_be_used() {
    let mut found = 0;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/privacy");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let spec = profile(path.file_stem().unwrap().to_str().unwrap());
        assert!(Privacy::new(&spec, tables(), Some(&[7; 32])).is_ok());
        found += 1;
    }
    assert_eq!(found, 4);
}

/// The shipped profiles with all that is in them, made once.
fn profiles() -> &'static [Privacy] {
    static PROFILES: OnceLock<Vec<Privacy>> = OnceLock::new();
    PROFILES.get_or_init(|| {
        ["full", "standard", "pseudonymous", "strict"]
            .map(|name| Privacy::new(&profile(name), tables(), Some(&[7; 32])).unwrap())
            .into()
    })
}

fn any_event() -> impl Strategy<Value = Event<Raw>> {
    let piece = prop_oneof![
        any::<u8>().prop_map(|b| vec![b]),
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        prop::sample::select(vec![
            "password=",
            "<auth>",
            "</auth>",
            "<<\"",
            "\">>",
            "{",
            "}",
            "\"",
            "'",
            "\\u{",
            "@",
            "<body>",
            "xmlcdata,",
            "secret",
            "token: ",
            "Authorization: Basic ",
            "://a:b@c",
            "<field var='password'>",
            "<value>",
            "sasl_auth{",
            "&lt;",
            "&gt;",
            "\\\"",
            "var='",
            "text-private",
            "eyJ",
            "{text,",
            "body",
            "\n",
            " ",
            "=",
            ":",
        ])
        .prop_map(|s| s.as_bytes().to_vec()),
        "[ -~]{0,20}".prop_map(String::into_bytes),
    ];
    let text = prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat());
    let spans = prop::collection::vec((0_u16..36, 0_u32..300, 0_u32..300), 0..12);
    (text, spans, any::<bool>()).prop_map(|(text, spans, recognised)| {
        let mut event = Event::new(KindId(0), EventId::default(), Time(0));
        event.recognised = recognised;
        let len = u32::try_from(text.len()).unwrap();
        event.text = Raw(text);
        for (id, a, b) in spans {
            let (a, b) = (a.min(len), b.min(len));
            event.push(FieldId(id), Value::Text(Span { start: a.min(b), end: a.max(b) }));
        }
        event
    })
}

proptest! {
    #[test]
    fn any_event_becomes_shippable(event in any_event()) {
        for mode in [Mode::Escape, Mode::Strip, Mode::Reject] {
            let clean = clean(mode, event.clone());
            for field in &clean.fields {
                let span = text_span(field).unwrap();
                prop_assert!(clean.text.0.get(span.range()).is_some());
            }
            for privacy in profiles() {
                let shipped = privacy.apply(clean.clone());
                prop_assert!(text::is_clean(shipped.text.0.as_bytes()));
                for span in shipped.fields.iter().filter_map(text_span) {
                    prop_assert!(shipped.text.0.get(span.range()).is_some());
                }
            }
        }
    }
}

#[test]
fn secrets_go_from_every_field_under_every_profile() {
    let stanza = "<auth mechanism='PLAIN'>AGp1bGlldABzM2NyZXQ=</auth>";
    let long = format!("{} token=s3cret {}", "a".repeat(2_000), "b".repeat(500));
    let clean = clean(
        Mode::Escape,
        event(&[
            (field::ORIGINAL, format!("c2s1\tdebug\t{stanza}").as_bytes()),
            (field::MESSAGE, stanza.as_bytes()),
            (field::USER_NAME, b"password="),
            (field::ERROR_MESSAGE, b"bad password=s3cret for juliet"),
            (field::JID, b"juliet@example.net"),
            (PASSWORD, b"s3cret"),
            (SUBJECT, long.as_bytes()),
        ]),
    );
    assert!(!clean.text.0.contains("AGp1") && !clean.text.0.contains("s3cret"));
    assert_eq!(
        shown(&clean)[..6],
        [
            r"event.original=c2s1\u{09}debug\u{09}<auth mechanism='PLAIN'>[redacted]</auth>",
            "message=<auth mechanism='PLAIN'>[redacted]</auth>",
            "user.name=password=",
            "error.message=bad password=[redacted] for juliet",
            "xmpp.jid=juliet@example.net",
            "app.login.password=[redacted]",
        ]
    );
    // No hash of a text that had a secret: who knows the rest could try passwords.
    let note = format!("towline.truncated=xmpp.muc.subject length={} redacted", long.len());
    assert_eq!(shown(&clean)[7], note);
    for privacy in profiles() {
        let shipped = privacy.apply(clean.clone());
        assert!(!shipped.text.as_str().contains("s3cret"));
    }
}
