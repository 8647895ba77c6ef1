//! How fast it is, in time on the processor: `cargo test --release --lib spool::tests::speed -- --ignored --nocapture`. Prints, proves nothing else.

use std::{hint::black_box, time::Duration};

use super::samples::{counted, position, settings, tables};
use crate::{
    event::{Event, EventId, Field, FieldId, KindId, Span, Time, Value, field},
    guard::Shippable,
    spool::{
        Sequence, Settings, Spool,
        bytes::Bytes,
        codec::{self, Ids},
    },
};

const BATCH: usize = 500;
const BATCHES: usize = 1000;

/// As a chat server's line becomes it: 14 fields, 330 bytes of text.
fn usual(n: u64) -> Event<Shippable> {
    let words = ["romeo", "example.net", "c2s55d0b8f2a10", "info", "/var/log/chat/server.log"];
    let message =
        format!("Client connected and authenticated as romeo{n}@example.net with TLSv1.3 ");
    let mut text = message.repeat(3);
    let mut fields = vec![Field {
        id: field::MESSAGE,
        value: Value::Text(Span { start: 0, end: text.len() as u32 }),
    }];
    for (index, word) in words.iter().chain(&words[..4]).enumerate() {
        let start = text.len() as u32;
        text.push_str(word);
        let span = Span { start, end: text.len() as u32 };
        fields.push(Field { id: FieldId(3 + index as u16), value: Value::Text(span) });
    }
    let address = Value::Ip([192, 0, 2, n as u8].into());
    fields.push(Field { id: field::SOURCE_IP, value: address });
    fields.push(Field { id: field::SOURCE_PORT, value: Value::Long(40_000 + (n % 20_000) as i64) });
    fields.push(Field { id: field::LOG_OFFSET, value: Value::Long(n as i64 * 420) });
    fields.push(Field { id: field::PROCESS_PID, value: Value::Long(4711) });
    let mut id = [0x5a; 16];
    id[..8].copy_from_slice(&n.to_le_bytes());
    Event {
        kind: KindId(0),
        recognised: true,
        id: EventId(id),
        time: Time(1_700_000_000_000_000_000 + n as i64),
        created: Time(1_700_000_000_500_000_000 + n as i64),
        severity: None,
        fields,
        text: Shippable::revalidate(text.into_bytes()).unwrap(),
    }
}

/// Time that this thread spent on a processor, kernel included: other load on the machine does not count.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn report(what: &str, begun: Duration, events: usize, bytes: u64) {
    let seconds = (processor_time() - begun).as_secs_f64();
    let (ns, rate) = (seconds * 1e9 / events as f64, bytes as f64 / seconds / 1e6);
    eprintln!("{what:<22} {ns:7.0} ns/event {rate:8.0} MB/s");
}

#[test]
#[ignore = "a measurement, for release builds"]
fn nanoseconds_per_event() {
    let events: Vec<_> = (0..BATCH as u64).map(usual).collect();
    let tables = tables();
    let count = BATCH * BATCHES;

    let mut out = Vec::new();
    let begun = processor_time();
    for _ in 0..BATCHES {
        out.clear();
        events.iter().for_each(|event| codec::put_event(&mut out, event, &mut Ids::default()));
        black_box(&out);
    }
    report("encode", begun, count, (out.len() * BATCHES) as u64);
    eprintln!("{:<22} {:7} bytes", "an event as stored", out.len() / BATCH);

    let begun = processor_time();
    for _ in 0..BATCHES {
        let mut bytes = Bytes(&out);
        while !bytes.is_empty() {
            black_box(codec::event(codec::next_event(&mut bytes).unwrap(), &tables).unwrap());
        }
    }
    report("decode", begun, count, (out.len() * BATCHES) as u64);

    let folder = tempfile::tempdir().unwrap();
    let settings =
        Settings { bytes_max: 1 << 40, segment_bytes: 64 << 20, ..settings(folder.path()) };
    let (spool, _) = Spool::open(&settings, [7; 16], tables.clone(), Time(1)).unwrap();
    let begun = processor_time();
    for n in 0..BATCHES as u64 {
        spool.append(&events, &[position(n)], &counted(BATCH as u64), Time(1)).unwrap();
    }
    report("append (page cache)", begun, count, spool.bytes());
    let begun = processor_time();
    spool.sync().unwrap();
    report("the last sync", begun, count, spool.bytes());

    let mut reader = spool.reader(Sequence(1));
    let begun = processor_time();
    while let Some(batch) = reader.next(1000, 1 << 20).unwrap() {
        black_box(batch);
    }
    report("read", begun, count, spool.bytes());

    let bytes = spool.bytes();
    drop(spool);
    let begun = processor_time();
    Spool::open(&settings, [7; 16], tables, Time(1)).unwrap();
    report("open", begun, count, bytes);
}
