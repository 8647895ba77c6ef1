//! How long an encoder takes: `cargo test --release --lib encode::speed -- --ignored --nocapture`.

use std::{hint::black_box, time::Instant};

use super::{
    Cef, CefTable, Ecs, Syslog,
    fixture::{agent, auth_failure, tables},
    syslog::{Header, SD_ID},
};
use crate::spool::Sequence;

/// The best of several rounds, in nanoseconds a call: what the code costs, not what else the machine did.
fn best(mut call: impl FnMut(&mut Vec<u8>)) -> u128 {
    const CALLS: u128 = 500;
    let mut out = Vec::with_capacity(1 << 16);
    let round = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            if out.len() > 1 << 15 {
                out.clear();
            }
            call(black_box(&mut out));
        }
        start.elapsed().as_nanos() / CALLS
    };
    (0..2_000).map(round).min().expect("rounds")
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_typical_event_takes_less_than_a_microsecond() {
    let (agent, tables) = (agent(), tables());
    let event = auth_failure(&tables);
    let table = CefTable::shipped().expect("the table");
    let ecs = Ecs::new(&agent, &tables);
    let cef = Cef::new(1, &table, &agent, &tables);
    let syslog = Syslog::new(Header::Rfc5424, 13, SD_ID, 8_192, &agent, &tables);

    let ecs = best(|out| ecs.write(Sequence(7), &event, out));
    let alone = best(|out| cef.write(&event, out));
    let framed = best(|out| syslog.write(Sequence(7), &event, |out| cef.write(&event, out), out));
    eprintln!("ECS {ecs} ns, CEF {alone} ns, CEF in RFC 5424 {framed} ns");
    assert!(ecs < 1_000 && framed < 1_000);
}
