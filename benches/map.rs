//! What mapping costs per record: `cargo bench --bench map`.
//!
//! Prints nanoseconds per record for parsing and mapping lines of the shipped sources' own examples, and how the cost
//! changes when a source has 50, 200 or 1,000 bindings. Compare numbers of one run only.

#![allow(clippy::print_stdout, missing_docs)]

use std::{fmt::Write, hint::black_box, time::Instant};

use towline::{
    event::{Event, EventId, KindId, Time},
    map::{File, Layer, Library, Mapping, Origin, Scratch},
    parse::{Clock, Record},
    tail::FileId,
};

const RECORDS: u32 = 300_000;

fn main() {
    let library = Library::shipped().expect("the shipped mappings are right");
    for (source, line) in LINES {
        let mapping = library.mapping(source).expect("a source");
        let (parse, map) = measure(&mapping, line.as_bytes());
        println!("{source:10} parse {parse:5.0} ns  map {map:5.0} ns  {:.60}", line);
    }
    for line in GROWTH {
        for bindings in [50, 200, 1_000] {
            let mapping = many(bindings);
            let (_, map) = measure(&mapping, line.as_bytes());
            println!("{bindings:5} bindings  map {map:5.0} ns  {line}");
        }
    }
}

/// Nanoseconds per record of parsing and of mapping: the best of seven rounds.
fn measure(mapping: &Mapping, line: &[u8]) -> (f64, f64) {
    let clock = Clock::utc(Time(1_795_000_000_000_000_000));
    let layout = &mapping.layouts[0];
    let origin = Origin {
        source: "x",
        file: FileId::default(),
        generation: 0,
        path: b"/var/log/chat/chat.log",
        offset: 7,
        read: Time(1),
        agent_id: &[1; 16],
        keep_original: false,
        clock: &clock,
    };
    let mut scratch = Scratch::new();
    let mut event = Event::new(KindId(0), EventId::default(), Time(0));
    let mut record = Record::new(line);
    layout.parse(line, &clock, &mut record);
    let map = best(|| mapping.map(black_box(&record), &origin, &mut scratch, &mut event));
    assert!(event.recognised || line.ends_with(b"nobody knows"));
    let parse = best(|| {
        layout.parse(black_box(line), &clock, &mut record);
    });
    (parse, map)
}

fn best(mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..RECORDS / 7).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / f64::from(RECORDS / 7)
    };
    (0..7).map(|_| round(&mut work)).fold(f64::MAX, f64::min)
}

const LINES: &[(&str, &str)] = &[
    ("prosody", "Nov 21 10:00:00 c2s5600ca11ab1e\tinfo\tAuthenticated as benvolio@verona.example"),
    (
        "prosody",
        "Nov 21 10:00:00 verona.example:log_auth\tinfo\tFailed authentication attempt (not-authorized) for user tybalt@verona.example from IP: 203.0.113.200",
    ),
    ("prosody", "Nov 21 10:00:00 c2s5600ca11ab1e\tinfo\tnothing nobody knows"),
    (
        "tox-app",
        r#"{"ts":"2026-11-21T10:00:00.25Z","level":"INFO","app":"bot","bot":"benvolio","pid":1234,"event":"message_received","outcome":"success","self_pk":"A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0","friend_number":3,"friend_pk":"B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0","message":"how are you","length":11,"error":"OK","thread":"main","host":"verona","queue":4,"retry":false,"latency":0.25,"trace":"c0ffee","span":"beef"}"#,
    ),
];

const GROWTH: &[&str] = &[
    "x info: Failed 4 for romeo from 198.51.100.1: cause 32",
    "x info: Client connected reason 41 of romeo",
    "module43 info: anything at all that nobody knows",
    "x info: a line that has nothing to do with any of them, longer than most of them are, which nobody knows",
];

/// A source with so many bindings, which begin alike as those of real catalogues do.
fn many(bindings: usize) -> Mapping {
    let mut text = String::from(
        "about = 'X'\nfamily = 'xmpp'\nline = '{log.logger} {log.level}: {message:rest}'\n",
    );
    for n in 0..bindings {
        let pattern = match n % 4 {
            0 => format!(
                "message = 'Failed {} for {{user.name}} from {{source.ip:ip}}: cause {n}'",
                n % 7
            ),
            1 => format!("message = 'Client {{$x}} reason {n} of {{user.name}}'"),
            2 => format!("message = '{{$x}} has entered state{n}z with {{user.name}}'"),
            _ => format!("when = {{ 'log.logger' = 'module{n}' }}"),
        };
        write!(text, "[binding.b{n}]\nkind = 'xmpp.session_bind'\n{pattern}\n").expect("memory");
    }
    let mut files = towline::map::shipped_files();
    let name = "sources/x.toml".to_owned();
    files.push(File { path: name.clone().into(), name, layer: Layer::Shipped, text });
    Library::of(files).expect("right").mapping("x").expect("right")
}
