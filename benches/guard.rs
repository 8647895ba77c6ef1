//! What session, guard and privacy cost per event: `cargo bench --bench guard`.
//!
//! Prints nanoseconds per event of the shipped mappings, each stage by itself and without the cost of making the event.
//! Compare numbers of one run only.

#![allow(clippy::print_stdout, missing_docs)]

use std::{hint::black_box, sync::Arc, time::Instant};

use towline::{
    event::{Event, EventId, KindId, Raw, Tables, Time},
    guard::{Guard, Mode, Privacy},
    map::{Library, Mapping, Origin, Scratch},
    parse::{Clock, Record},
    session::{Limits, Memory, Rules},
    tail::FileId,
};

const ROUNDS: u32 = 15;
const EVENTS: u32 = 20_000;

fn main() {
    let library = Library::shipped().expect("the shipped mappings are right");
    println!("{:>7} {:>6} {:>8} {:>5}  ns per event", "session", "guard", "standard", "full");
    for (source, line) in LINES {
        let mapping = library.mapping(source).expect("a source");
        let event = event(&mapping, line.as_bytes());
        let tables = mapping.tables.clone();
        let guard = Guard::new(Mode::Escape, tables.clone());
        let clone = best(|| drop(black_box(event.clone())));
        let session = mapping.session.as_ref().map_or(0.0, |spec| {
            let rules = Rules::new(spec, &tables).expect("the shipped rules are right");
            let mut memory = Memory::new(Arc::new(rules), Limits::default());
            best(|| {
                let mut event = event.clone();
                memory.apply(FileId::default(), "chat", 7, &mut event);
                drop(black_box(event));
            }) - clone
        });
        let clean = best(|| drop(black_box(guard.clean(event.clone()))));
        let privacy = |name| {
            let privacy = profile(&library, name, &tables);
            best(|| drop(black_box(privacy.apply(guard.clean(event.clone()))))) - clean
        };
        let (standard, full) = (privacy("standard"), privacy("full"));
        println!(
            "{session:7.0} {:6.0} {standard:8.0} {full:5.0}  {source}: {line:.60}",
            clean - clone
        );
    }
}

fn profile(library: &Library, name: &str, tables: &Arc<Tables>) -> Privacy {
    let spec = library.privacy(name).expect("a shipped profile");
    Privacy::new(spec, tables.clone(), None).expect("it needs no key")
}

fn event(mapping: &Mapping, line: &[u8]) -> Event<Raw> {
    let clock = Clock::utc(Time(1_795_000_000_000_000_000));
    let origin = Origin {
        source: "chat",
        file: FileId::default(),
        generation: 0,
        path: b"/var/log/chat/chat.log",
        offset: 7,
        read: Time(1),
        agent_id: &[1; 16],
        keep_original: false,
        clock: &clock,
    };
    let mut record = Record::new(line);
    mapping.layouts[0].parse(line, &clock, &mut record);
    let mut event = Event::new(KindId(0), EventId::default(), Time(0));
    mapping.map(&record, &origin, &mut Scratch::new(), &mut event);
    event
}

fn best(mut work: impl FnMut()) -> f64 {
    let mut round = || {
        let start = Instant::now();
        (0..EVENTS).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / f64::from(EVENTS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::MAX, f64::min)
}

const LINES: &[(&str, &str)] = &[
    ("prosody", "Nov 21 10:00:00 c2s5600ca11ab1e\tinfo\tAuthenticated as benvolio@verona.example"),
    ("prosody", "Nov 21 10:00:00 c2s5600ca11ab1e\tinfo\tnothing nobody knows"),
    (
        "prosody",
        "Nov 21 10:00:00 c2s5600ca11ab1e\tdebug\tRECV: <message to='benvolio@verona.example'><body>well met</body></message>",
    ),
    (
        "tox-app",
        r#"{"ts":"2026-11-21T10:00:00.25Z","level":"INFO","app":"bot","bot":"benvolio","pid":1234,"event":"message_received","outcome":"success","self_pk":"A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0","friend_number":3,"friend_pk":"B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0","message":"how are you","length":11,"error":"OK"}"#,
    ),
    (
        "tox-app",
        r#"{"ts":"2026-11-21T10:00:00.25Z","level":"INFO","app":"bot","bot":"benvolio","pid":1234,"event":"message_received","outcome":"success","self_pk":"A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0","friend_number":3,"message":"привет\nпароль password=verona","length":11,"error":"OK"}"#,
    ),
];
