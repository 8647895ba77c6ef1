//! Connections that come and go, told from the lines of a busy server.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    event::{
        Event, EventId, FieldDef, FieldId, FieldType, KindDef, KindId, Raw, Tables, Time, Value,
        field,
    },
    map::SessionSpec,
    tail::FileId,
};

const FILE: FileId = FileId([1; 16]);

const CONNECT: KindId = KindId(0);
const DISCONNECT: KindId = KindId(1);
const TLS: KindId = KindId(2);
const AUTH_SUCCESS: KindId = KindId(3);
const AUTH_FAILURE: KindId = KindId(4);
const PASSWORD_CHECK: KindId = KindId(5);
const STANZA: KindId = KindId(6);
const REGISTERED: KindId = KindId(7);
const BOUND: KindId = KindId(8);

const TLS_VERSION: FieldId = FieldId(field::NAMES.len() as u16);
const MECHANISM: FieldId = FieldId(TLS_VERSION.0 + 1);

fn tables() -> Tables {
    let def = |name: &&str| FieldDef {
        name: (*name).to_owned(),
        ty: FieldType::Keyword,
        array: *name == "tags",
    };
    let kind = |(name, category, outcome): &(&str, &str, Option<&str>)| KindDef {
        name: (*name).to_owned(),
        title: String::new(),
        severity: 1,
        kind: "event".to_owned(),
        category: vec![(*category).to_owned()],
        types: Vec::new(),
        outcome: outcome.map(str::to_owned),
        attack: Vec::new(),
        meaning: String::new(),
    };
    let kinds = [
        ("xmpp.c2s_connect", "network", None),
        ("xmpp.c2s_disconnect", "network", None),
        ("xmpp.tls_established", "network", None),
        ("xmpp.auth_success", "authentication", Some("success")),
        ("xmpp.auth_failure", "authentication", Some("failure")),
        ("xmpp.auth_password_check", "authentication", None),
        ("xmpp.stanza", "network", None),
        ("xmpp.register_success", "iam", Some("success")),
        ("xmpp.session_bind", "session", None),
    ];
    let own = ["tls.version", "xmpp.sasl.mechanism"];
    Tables::new(
        field::NAMES.iter().chain(own.iter()).map(def).collect(),
        kinds.iter().map(kind).collect(),
    )
}

fn spec() -> SessionSpec {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    SessionSpec {
        id: "log.logger".to_owned(),
        matching: names(&["c2s*"]),
        starts: names(&["xmpp.c2s_connect"]),
        ends: names(&["xmpp.c2s_disconnect"]),
        keep: names(&[
            "source.ip",
            "source.port",
            "tls.version",
            "user.name",
            "user.domain",
            "xmpp.jid",
            "xmpp.sasl.mechanism",
        ]),
    }
}

fn memory(limits: Limits) -> Memory {
    Memory::new(Arc::new(Rules::new(&spec(), &tables()).unwrap()), limits)
}

/// A server's log: each call is one line.
struct Log {
    memory: Memory,
    offset: u64,
    time: i64,
}

impl Log {
    fn new() -> Self {
        Self { memory: memory(Limits::default()), offset: 0, time: 1_000_000_000 }
    }

    fn say(&mut self, id: &str, kind: KindId, fields: &[(FieldId, &str)]) -> Event<Raw> {
        let mut event = Event::new(kind, EventId::default(), Time(self.time));
        event.push_text(field::LOGGER, id.as_bytes());
        for (id, text) in fields {
            match *id {
                field::SOURCE_IP => event.push(*id, Value::Ip(text.parse().unwrap())),
                field::SOURCE_PORT => event.push(*id, Value::Long(text.parse().unwrap())),
                id => event.push_text(id, text.as_bytes()),
            }
        }
        self.memory.apply(FILE, "chat", self.offset, &mut event);
        self.offset += 100;
        self.time += 1_000_000;
        event
    }
}

fn told(event: &Event<Raw>, id: FieldId) -> Option<String> {
    event.get(id).map(|value| event.show(value).into_owned())
}

const ADDRESS: &[(FieldId, &str)] =
    &[(field::SOURCE_IP, "203.0.113.9"), (field::SOURCE_PORT, "40000")];
const ROMEO: &[(FieldId, &str)] = &[
    (field::USER_NAME, "romeo"),
    (field::USER_DOMAIN, "example.net"),
    (field::JID, "romeo@example.net"),
];

#[test]
fn later_lines_know_what_earlier_ones_said() {
    let mut log = Log::new();
    let opened = log.say("c2s1", CONNECT, ADDRESS);
    assert_eq!(told(&opened, field::CONNECTION_ID).as_deref(), Some("c2s1"));
    log.say("c2s1", TLS, &[(TLS_VERSION, "TLSv1.3")]);
    let success = log.say("c2s1", AUTH_SUCCESS, ROMEO);
    assert_eq!(told(&success, field::SOURCE_IP).as_deref(), Some("203.0.113.9"));
    assert_eq!(told(&success, field::SOURCE_PORT).as_deref(), Some("40000"));
    assert_eq!(told(&success, TLS_VERSION).as_deref(), Some("TLSv1.3"));
    let closed = log.say("c2s1", DISCONNECT, &[]);
    assert_eq!(told(&closed, field::USER_NAME).as_deref(), Some("romeo"));
    let ids = [&opened, &success, &closed].map(|event| told(event, field::SESSION_ID).unwrap());
    assert!(ids[0].len() == 32 && ids.iter().all(|id| *id == ids[0]));
    // Every field once.
    for id in [field::SOURCE_IP, field::USER_NAME, field::SESSION_ID, field::CONNECTION_ID] {
        assert!(closed.fields.iter().filter(|field| field.id == id).count() == 1);
    }
    // Closed is forgotten.
    let after = log.say("c2s1", STANZA, &[]);
    assert_eq!((told(&after, field::USER_NAME), told(&after, field::SESSION_ID)), (None, None));
    assert_eq!(log.memory.connections(), 0);
}

#[test]
fn a_hundred_connections_interleave_and_ids_are_reused() {
    const CONNECTIONS: usize = 150;
    let mut log = Log::new();
    let mut sessions = std::collections::HashSet::new();
    for round in 0..4 {
        let user = |n: usize| format!("user{n}-{round}");
        let ip = |n: usize| format!("198.51.{round}.{n}");
        let id = |n: usize| format!("c2s{n:x}");
        // Not every connection is closed in the log: the next opening of its id shows that it is gone.
        for n in 0..CONNECTIONS {
            let opened = log.say(&id(n), CONNECT, &[(field::SOURCE_IP, &ip(n))]);
            assert_eq!(told(&opened, field::USER_NAME), None, "nothing of the connection before");
            assert!(sessions.insert(told(&opened, field::SESSION_ID).unwrap()), "a new session");
        }
        for n in (0..CONNECTIONS).filter(|n| n % 5 != 4) {
            let event = log.say(&id(n), AUTH_SUCCESS, &[(field::USER_NAME, &user(n))]);
            assert_eq!(told(&event, field::SOURCE_IP), Some(ip(n)));
        }
        for n in (0..CONNECTIONS).rev() {
            let event = log.say(&id(n), STANZA, &[]);
            assert_eq!(told(&event, field::USER_NAME), (n % 5 != 4).then(|| user(n)));
            assert_eq!(told(&event, field::SOURCE_IP), Some(ip(n)));
        }
        for n in (0..CONNECTIONS).filter(|n| n % 3 == 0) {
            let event = log.say(&id(n), DISCONNECT, &[]);
            assert_eq!(told(&event, field::SOURCE_IP), Some(ip(n)));
        }
        assert_eq!(log.memory.connections(), CONNECTIONS - CONNECTIONS / 3);
    }
    assert_eq!(sessions.len(), 4 * CONNECTIONS);
}

#[test]
fn an_attempted_name_is_never_remembered() {
    let mut log = Log::new();
    log.say("c2s1", CONNECT, ADDRESS);
    let failed = log.say("c2s1", AUTH_FAILURE, &[(field::USER_NAME, "root"), (MECHANISM, "PLAIN")]);
    assert_eq!(told(&failed, field::SOURCE_IP).as_deref(), Some("203.0.113.9"));
    log.say("c2s1", PASSWORD_CHECK, &[(field::USER_NAME, "admin")]);
    let event = log.say("c2s1", STANZA, &[]);
    assert_eq!((told(&event, field::USER_NAME), told(&event, MECHANISM)), (None, None));
    // The outcome of the event goes before that of its kind.
    log.say("c2s1", AUTH_SUCCESS, &[(field::OUTCOME, "failure"), (field::USER_NAME, "root")]);
    assert_eq!(told(&log.say("c2s1", STANZA, &[]), field::USER_NAME), None);

    log.say("c2s1", AUTH_SUCCESS, ROMEO);
    let failed = log.say("c2s1", AUTH_FAILURE, &[]);
    assert_eq!(told(&failed, field::USER_NAME), None, "who failed is not who is logged in");
    log.say("c2s1", AUTH_FAILURE, &[(field::USER_NAME, "root")]);
    assert_eq!(told(&log.say("c2s1", STANZA, &[]), field::USER_NAME).as_deref(), Some("romeo"));
}

#[test]
fn values_of_two_never_mix() {
    let mut log = Log::new();
    log.say("c2s1", CONNECT, ADDRESS);
    log.say("c2s1", AUTH_SUCCESS, ROMEO);
    let other = log.say("c2s1", STANZA, &[(field::USER_NAME, "juliet")]);
    assert_eq!((told(&other, field::USER_DOMAIN), told(&other, field::JID)), (None, None));
    let same = log.say("c2s1", STANZA, &[(field::USER_NAME, "Romeo")]);
    assert_eq!(told(&same, field::USER_DOMAIN).as_deref(), Some("example.net"));
    let elsewhere = log.say("c2s1", STANZA, &[(field::SOURCE_IP, "192.0.2.7")]);
    assert_eq!(told(&elsewhere, field::SOURCE_PORT), None);
    // Who logs in next replaces all of the one before.
    log.say("c2s1", AUTH_SUCCESS, &[(field::USER_NAME, "juliet")]);
    let event = log.say("c2s1", STANZA, &[]);
    assert_eq!(told(&event, field::USER_NAME).as_deref(), Some("juliet"));
    assert_eq!((told(&event, field::USER_DOMAIN), told(&event, field::JID)), (None, None));
}

#[test]
fn an_account_is_a_name_only_while_nobody_is_logged_in() {
    let mut log = Log::new();
    log.say("c2s1", CONNECT, &[]);
    log.say("c2s1", REGISTERED, &[(field::USER_NAME, "romeo")]);
    assert_eq!(told(&log.say("c2s1", STANZA, &[]), field::USER_NAME).as_deref(), Some("romeo"));
    log.say("c2s1", BOUND, &[(field::USER_NAME, "juliet")]);
    log.say("c2s1", REGISTERED, &[(field::USER_NAME, "mercutio")]);
    assert_eq!(told(&log.say("c2s1", STANZA, &[]), field::USER_NAME).as_deref(), Some("juliet"));
}

#[test]
fn a_forged_line_teaches_nothing() {
    const FORGED: (FieldId, &str) = (field::TAGS, TAG_FORGERY);
    let mut log = Log::new();
    let opened = log.say("c2s1", CONNECT, ADDRESS);
    let forged = log.say("c2s1", AUTH_SUCCESS, &[(field::USER_NAME, "root"), FORGED]);
    assert_eq!((told(&forged, field::SOURCE_IP), told(&forged, field::SESSION_ID)), (None, None));
    log.say("c2s1", DISCONNECT, &[FORGED]);
    log.say("c2s1", CONNECT, &[(field::SOURCE_IP, "192.0.2.7"), FORGED]);
    let event = log.say("c2s1", STANZA, &[]);
    assert_eq!(told(&event, field::USER_NAME), None);
    assert_eq!(told(&event, field::SOURCE_IP).as_deref(), Some("203.0.113.9"));
    assert_eq!(told(&event, field::SESSION_ID), told(&opened, field::SESSION_ID));

    // A forger who does not know that he is one: what he said of an id is gone with its opening.
    log.say("c2s2", AUTH_SUCCESS, &[(field::USER_NAME, "root")]);
    assert_eq!(told(&log.say("c2s2", CONNECT, &[]), field::USER_NAME), None);
    assert_eq!(told(&log.say("c2s2", STANZA, &[]), field::USER_NAME), None);
}

#[test]
fn without_an_opening_there_is_memory_but_no_session() {
    let mut log = Log::new();
    log.say("c2s1", AUTH_SUCCESS, ROMEO);
    let event = log.say("c2s1", STANZA, &[]);
    assert_eq!(told(&event, field::USER_NAME).as_deref(), Some("romeo"));
    assert_eq!(told(&event, field::SESSION_ID), None);
    // Lines that say nothing take no place.
    log.say("c2s2", STANZA, &[]);
    assert_eq!(log.memory.connections(), 1);
}

#[test]
fn only_ids_that_match_are_connections() {
    let mut log = Log::new();
    for id in ["mod_s2s", "", &"c2s".repeat(ID_BYTES_MAX)] {
        let event = log.say(id, CONNECT, ADDRESS);
        assert_eq!(
            (told(&event, field::CONNECTION_ID), told(&event, field::SESSION_ID)),
            (None, None)
        );
    }
    assert_eq!(log.memory.connections(), 0);
}

#[test]
fn a_session_has_the_same_id_when_it_is_read_again() {
    let session = |offset| {
        let mut log = Log { offset, ..Log::new() };
        told(&log.say("c2s1", CONNECT, &[]), field::SESSION_ID)
    };
    assert_eq!(session(0), session(0));
    assert_ne!(session(0), session(1));
}

#[test]
fn a_connection_that_was_quiet_too_long_is_another() {
    let mut log = Log::new();
    log.say("c2s1", CONNECT, ADDRESS);
    log.time += i64::try_from(Duration::from_secs(23 * 3_600).as_nanos()).unwrap();
    assert!(told(&log.say("c2s1", STANZA, &[]), field::SESSION_ID).is_some());
    log.time += i64::try_from(Duration::from_secs(25 * 3_600).as_nanos()).unwrap();
    let event = log.say("c2s1", STANZA, &[]);
    assert_eq!((told(&event, field::SESSION_ID), told(&event, field::SOURCE_IP)), (None, None));
}

#[test]
fn files_know_nothing_of_each_other_but_by_rotation() {
    const NEXT: FileId = FileId([2; 16]);
    let mut log = Log::new();
    log.say("c2s1", CONNECT, ADDRESS);
    let ask = |log: &mut Log| {
        let mut event = Event::new(STANZA, EventId::default(), Time(log.time));
        event.push_text(field::LOGGER, b"c2s1");
        log.memory.apply(NEXT, "chat", 0, &mut event);
        told(&event, field::SOURCE_IP)
    };
    assert_eq!(ask(&mut log), None);
    log.memory.inherit(FILE, NEXT);
    assert_eq!(ask(&mut log).as_deref(), Some("203.0.113.9"));
    log.memory.forget(NEXT);
    assert_eq!((log.memory.connections(), log.memory.bytes()), (0, 0));
}

#[test]
fn memory_is_bounded() {
    let limits =
        Limits { connections: 100, files: 3, bytes: 60_000, idle: Duration::from_secs(60) };
    let mut memory = memory(limits);
    let name = "n".repeat(VALUE_BYTES_MAX);
    for n in 0..5_000_u32 {
        let mut event = Event::new(CONNECT, EventId::default(), Time(0));
        event.push_text(field::LOGGER, format!("c2s{n}").as_bytes());
        memory.apply(FileId([(n / 100 % 7) as u8; 16]), "chat", u64::from(n), &mut event);
        let mut event = Event::new(AUTH_SUCCESS, EventId::default(), Time(0));
        event.push_text(field::LOGGER, format!("c2s{n}").as_bytes());
        if n % 2 == 0 {
            event.push_text(field::USER_NAME, name.as_bytes());
        }
        memory.apply(FileId([(n / 100 % 7) as u8; 16]), "chat", u64::from(n), &mut event);
        assert!(memory.connections() <= 300 && memory.bytes() <= limits.bytes);
    }
    assert!(memory.connections() > 30);
    // What was seen last is still known.
    let mut event = Event::new(STANZA, EventId::default(), Time(0));
    event.push_text(field::LOGGER, b"c2s4999");
    memory.apply(FileId([(4_999 / 100 % 7) as u8; 16]), "chat", 0, &mut event);
    assert!(event.has(field::SESSION_ID));
    // What is too long to be remembered is not.
    let mut event = Event::new(AUTH_SUCCESS, EventId::default(), Time(0));
    event.push_text(field::LOGGER, b"c2sx");
    event.push_text(field::USER_NAME, "n".repeat(VALUE_BYTES_MAX + 1).as_bytes());
    memory.apply(FILE, "chat", 0, &mut event);
    let mut event = Event::new(STANZA, EventId::default(), Time(0));
    event.push_text(field::LOGGER, b"c2sx");
    memory.apply(FILE, "chat", 0, &mut event);
    assert!(!event.has(field::USER_NAME));
}

#[test]
fn unknown_names_are_errors() {
    let mut wrong = spec();
    wrong.starts.push("xmpp.nothing".to_owned());
    let error = Rules::new(&wrong, &tables()).unwrap_err();
    assert_eq!(error.to_string(), "unknown event kind `xmpp.nothing` in [session]");
    let mut wrong = spec();
    wrong.keep.push("user.nothing".to_owned());
    assert_eq!(
        Rules::new(&wrong, &tables()).unwrap_err(),
        RulesError::Field("user.nothing".to_owned())
    );
}

proptest! {
    /// Whatever comes, an event never gets a name or an address that was not said of its connection since its opening.
    #[test]
    fn nothing_leaks_between_connections(
        lines in prop::collection::vec((0_usize..4, 0_u16..9, 0_usize..3, any::<bool>()), 1..120),
    ) {
        let mut log = Log::new();
        let mut said = vec![std::collections::HashSet::<String>::new(); 4];
        for (connection, kind, user, with_user) in lines {
            let kind = KindId(kind);
            if kind == CONNECT {
                said[connection].clear();
            }
            // The name says which connection it was said on.
            let name = format!("user{user}-{connection}");
            let fields: &[(FieldId, &str)] = if with_user { &[(field::USER_NAME, &name)] } else { &[] };
            let event = log.say(&format!("c2s{connection}"), kind, fields);
            if with_user {
                said[connection].insert(name.clone());
            }
            if let Some(told) = told(&event, field::USER_NAME) {
                prop_assert!(said[connection].contains(&told));
            }
            if kind == DISCONNECT {
                said[connection].clear();
            }
        }
    }
}
