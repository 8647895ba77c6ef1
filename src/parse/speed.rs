//! Measurements, run by hand: `cargo test --release --lib parse::speed -- --ignored --nocapture`.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

use std::{hint::black_box, time::Instant};

use super::{Captured, Clock, Layout, LayoutSpec, Record, Template, TimeFormat};
use crate::{event::Time, tail::Flush};

/// Few rounds and many tries: the best try is one in which nobody else had the core.
const ROUNDS: u32 = 500;
const TRIES: u32 = 1_000;

/// 420 bytes, 16 members.
const JSON: &[u8] = br#"{"@timestamp":"2026-11-22T01:13:21.839Z","ecs.version":"1.2.0","log.level":"INFO","message":"bootstrap success error=OK","process.thread.name":"main","log.logger":"org.example.bot","app.bot":"dave","app.error":"OK","app.event":"bootstrap","app.node_host":"198.51.100.10","app.node_key":"AE2503EE6C9A18AF858A7A805E2772067999A9FF00AF2897CDEE7AC93A6B3B65","app.node_port":"33445","app.outcome":"success","app.pid":"12459","n":7}"#;

const HEADER: &str =
    "{@timestamp:time('%b %d %H:%M:%S')} {log.logger:until_tab}\t{log.level}\t{message:rest}";
const LINE: &[u8] = b"Nov 21 10:00:00 c2s557eac86fa40\tinfo\tAuthenticated as romeo@example.net";

fn clock(zone: &str) -> Clock {
    let zone = jiff::tz::TimeZone::get(zone).expect("a zone of the database");
    Clock::new(zone, Time(1_795_521_600_000_000_000), None)
}

fn measure(what: &str, mut run: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            run();
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS));
    }
    println!("{what}: {best:.0} ns");
}

fn layout(toml: &str) -> Layout {
    let spec: LayoutSpec = toml::from_str(toml).expect("a good specification");
    Layout::compile(&spec).expect("a good layout")
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    println!("JSON line of {} bytes, text line of {} bytes", JSON.len(), LINE.len());
    let utc = clock("UTC");
    let berlin = clock("Europe/Berlin");
    let json = layout("format = 'json'");
    let mut record = Record::new(b"");
    measure("JSON layout", || {
        assert!(json.parse(black_box(JSON), &utc, &mut record));
    });
    measure("yardstick: serde_json, DOM", || {
        let value: serde_json::Value = serde_json::from_slice(black_box(JSON)).expect("JSON");
        black_box(value);
    });
    measure("yardstick: 1000 dependent multiplications", || {
        let mut n = black_box(3_u64);
        for _ in 0..1000 {
            n = black_box(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
    });
    let nested = br#"{"@timestamp":"2026-11-22T01:13:19.780Z","log.level":"info","message":"a \"quoted\" one\n","ecs.version":"1.6.0","log":{"logger":"app.bot","origin":{"file":{"line":31,"name":"relay.py"},"function":"<module>"},"original":"x y z"},"process":{"name":"MainProcess","pid":12428,"thread":{"id":140101208615808,"name":"MainThread"}},"service":{"name":"bot"},"a":12453,"b":33600}"#;
    measure(&format!("nested JSON of {}", nested.len()), || {
        assert!(json.parse(black_box(nested), &utc, &mut record));
    });
    let text = layout(&format!("line = \"{}\"", HEADER.replace('\t', "\\t")));
    measure("text layout, UTC", || {
        assert!(text.parse(black_box(LINE), &utc, &mut record));
    });
    measure("text layout, Berlin", || {
        assert!(text.parse(black_box(LINE), &berlin, &mut record));
    });
    let header = Template::compile(HEADER).expect("good");
    let mut out: Vec<Captured> = Vec::new();
    measure("header template", || {
        out.clear();
        assert!(header.matches(black_box(LINE), &utc, &mut out));
    });
    let message = Template::compile("Authenticated as {xmpp.jid:jid}").expect("good");
    measure("message template", || {
        out.clear();
        assert!(message.matches(black_box(b"Authenticated as romeo@example.net"), &utc, &mut out));
    });
    let message = Template::compile(
        "({$transport}|{$pid}) Accepted c2s {$mechanism} authentication for {xmpp.jid:jid} by {$backend} backend from {source.ip:ip}",
    )
    .expect("good");
    measure("message template with 6 captures", || {
        out.clear();
        assert!(message.matches(black_box(b"(tls|<0.771.0>) Accepted c2s SCRAM-SHA-1 authentication for juliet@example.net by mnesia backend from 198.51.100.35"), &utc, &mut out));
    });
    let format = TimeFormat::compile("auto").expect("good");
    measure("auto time", || {
        assert!(format.parse(black_box(b"2026-11-22T01:13:21.839Z"), &utc).is_some());
    });
    let format = TimeFormat::compile("%b %d %H:%M:%S").expect("good");
    measure("yearless time, Berlin", || {
        assert!(format.parse(black_box(b"Nov 21 10:00:00"), &berlin).is_some());
    });
    let mut bytes = Vec::new();
    for _ in 0..100 {
        bytes.extend_from_slice(LINE);
        bytes.push(b'\n');
    }
    let mut cuts = Vec::new();
    measure("cutting of 100 text lines", || {
        cuts.clear();
        text.records(black_box(&bytes), Flush::Idle, &mut cuts);
        assert_eq!(cuts.len(), 100);
    });
    let syslog = layout("syslog = true\nline = \"{log.logger:until(': ')}: {message:rest}\"");
    let line = b"2026-11-22T01:15:13.234570+00:00 vm app[17595]: c2s557eac86fb70: Client connected";
    measure("syslog layout", || {
        assert!(syslog.parse(black_box(line), &utc, &mut record));
    });
}
