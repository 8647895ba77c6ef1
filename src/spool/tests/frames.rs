//! The bytes of frames: what goes in comes out, and nothing else does.

use std::{net::IpAddr, sync::Arc};

use proptest::prelude::*;

use super::samples::{event, position, tables};
use crate::{
    event::{Event, EventId, Field, FieldId, KindId, Span, Tables, Time, Value},
    guard::Shippable,
    spool::{
        Books, Range, Sequence,
        bytes::{Bytes, Damage},
        codec::{self, Ids},
        frame::{Builder, Compression, HEADER_BYTES, Header, Sections, unpack},
        segment, state,
        state::{Ledger, State},
    },
    tail::{FileId, Position},
};

fn value(text: String) -> impl Strategy<Value = Value> {
    let length = text.len();
    let span = (0..=length, 0..=length).prop_map(move |(a, b)| {
        let boundary = |n| text.floor_char_boundary(n) as u32;
        let (a, b) = (boundary(a), boundary(b));
        Value::Text(Span { start: a.min(b), end: a.max(b) })
    });
    prop_oneof![
        4 => span,
        1 => any::<i64>().prop_map(Value::Long),
        1 => (-1e300..1e300).prop_map(Value::Double),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => any::<IpAddr>().prop_map(Value::Ip),
        1 => any::<i64>().prop_map(|time| Value::Date(Time(time))),
    ]
}

prop_compose! {
    fn any_event()(text in "[a-zé€ 𝄞]{0,40}")(
        fields in proptest::collection::vec((0_u16..30, value(text.clone())), 0..12),
        (kind, recognised, severity) in (0_u16..2, any::<bool>(), proptest::option::of(0_u8..=10)),
        (id, time, created) in any::<([u8; 16], i64, i64)>(),
        text in Just(text),
    ) -> Event<Shippable> {
        let field = |(id, value)| Field { id: FieldId(id), value };
        Event {
            kind: KindId(kind),
            recognised,
            id: EventId(id),
            time: Time(time),
            created: Time(created),
            severity,
            fields: fields.into_iter().map(field).collect(),
            text: Shippable::revalidate(text.into_bytes()).unwrap(),
        }
    }
}

/// A frame, taken apart again.
type Decoded = (Header, Vec<Event<Shippable>>, State);

/// All frames of one append, taken apart again.
fn decode_all(bytes: &[u8], salt: u32, tables: &Tables) -> Result<Vec<Decoded>, Damage> {
    let mut rest = bytes;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let header = Header::decode(rest, salt)?;
        let frame = rest.get(HEADER_BYTES..header.bytes() as usize).ok_or(Damage("short"))?;
        let mut raw = Vec::new();
        unpack(&header, frame, &mut raw)?;
        let sections = Sections::find(&raw)?;
        let mut bytes = Bytes(&raw[sections.events]);
        let mut events = Vec::new();
        while !bytes.is_empty() {
            events.push(codec::event(codec::next_event(&mut bytes)?, tables)?);
        }
        let mut state = State::default();
        state.fold(false, &raw[sections.positions], &raw[sections.books])?;
        frames.push((header, events, state));
        rest = &rest[header.bytes() as usize..];
    }
    Ok(frames)
}

fn sample_books() -> (Books, Ledger) {
    let range = |first, next| Range { first: Sequence(first), next: Sequence(next) };
    let dropped = [("level".to_owned(), 3), ("kind".to_owned(), u64::MAX)].into();
    let books = Books { read: 1 << 40, generated: 5, dropped, lost: 7 };
    let ledger = Ledger { dropped_before: 9, lost: vec![range(3, 10)], holes: vec![range(20, 30)] };
    (books, ledger)
}

proptest! {
    #[test]
    fn events_come_back(
        events in proptest::collection::vec(any_event(), 0..12),
        first in 1_u64..1 << 60,
        lz4: bool,
    ) {
        let tables = tables();
        let mut builder = Builder::new(if lz4 { Compression::Lz4 } else { Compression::None });
        builder.events(&events).unwrap();
        builder.position(&position(7), 3);
        let (books, ledger) = sample_books();
        builder.books(&books, &ledger);
        let frames = decode_all(builder.seal(first, 5, 99), 99, &tables).unwrap();
        let mut next = first;
        for (header, events, _) in &frames {
            prop_assert_eq!((header.first, header.events as usize), (next, events.len()));
            next = header.next();
        }
        let back: Vec<_> = frames.iter().flat_map(|(_, events, _)| events.clone()).collect();
        prop_assert_eq!(back, events);
        let last = &frames.last().unwrap().2;
        prop_assert_eq!((&last.books, &last.ledger), (&books, &ledger));
        prop_assert_eq!(last.positions(), [position(7)]);
    }

    /// The checksum is right and the content is not: what a mistake or a forger would write.
    #[test]
    fn no_content_is_trusted(event in any_event(), at: usize, byte: u8, cut: usize) {
        let tables = tables();
        let mut bytes = Vec::new();
        codec::put_event(&mut bytes, &event, &mut Ids::default());
        let length = bytes.len();
        bytes[4 + at % (length - 4)] = byte;
        if let Ok(event) = codec::event(&bytes[4..], &tables) {
            check_sound(&event, &tables);
        }
        if let Ok(event) = codec::event(&bytes[4..4 + cut % (length - 4)], &tables) {
            check_sound(&event, &tables);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
        let tables = tables();
        _ = Header::decode(&bytes, 0);
        _ = segment::Header::decode(&bytes);
        _ = Sections::find(&bytes);
        _ = State::default().fold(true, &bytes, &bytes);
        if let Ok(event) = codec::event(&bytes, &tables) {
            check_sound(&event, &tables);
        }
        let header = Header {
            length: bytes.len() as u32,
            crc: crc32c::crc32c(&bytes),
            flags: crate::spool::frame::LZ4,
            events: 0,
            first: 1,
            time: 0,
            raw: 1000,
        };
        _ = unpack(&header, &bytes, &mut Vec::new());
    }

    #[test]
    fn positions_come_back(
        (file, path, offset, from) in any::<([u8; 16], Vec<u8>, u64, u64)>(),
        (device, inode, generation, head_bytes) in any::<(u64, u64, u32, u32)>(),
        (head_hash, tail_bytes, tail_hash, finished) in any::<(u64, u32, u64, bool)>(),
        (source, layout) in (".{0,9}", proptest::option::of(".{0,9}")),
    ) {
        use std::os::unix::ffi::OsStringExt;
        let file = FileId(file);
        let path = std::ffi::OsString::from_vec(path).into();
        let position = Position {
            file, source, path, device, inode, generation, offset, head_bytes, head_hash, tail_bytes,
            tail_hash, layout, finished,
        };
        let mut bytes = Vec::new();
        state::put_position(&mut bytes, &position, from);
        let mut state = State::default();
        let unread = state.fold(false, &bytes, &[]).unwrap();
        prop_assert_eq!(state.positions(), [position]);
        prop_assert_eq!(unread.first().map_or(0, |unread| unread.to), from);
        bytes.clear();
        state::put_forgotten(&mut bytes, file);
        state.fold(false, &bytes, &[]).unwrap();
        prop_assert!(state.positions().is_empty());
    }
}

/// What every later stage may rely on.
fn check_sound(event: &Event<Shippable>, tables: &Tables) {
    assert!(usize::from(event.kind.0) < tables.kinds().len());
    assert!(event.severity.is_none_or(|severity| severity <= 10));
    for field in &event.fields {
        assert!(usize::from(field.id.0) < tables.fields().len());
        match field.value {
            Value::Text(span) => assert!(event.text.as_str().get(span.range()).is_some()),
            Value::Double(number) => assert!(number.is_finite()),
            _ => {}
        }
    }
}

fn frame_of(events: &[Event<Shippable>], salt: u32) -> Vec<u8> {
    let mut builder = Builder::new(Compression::None);
    builder.events(events).unwrap();
    builder.seal(1, 5, salt).to_vec()
}

#[test]
fn every_single_flipped_bit_is_found() {
    let tables = tables();
    let whole = frame_of(&[event(1)], 4);
    assert_eq!(decode_all(&whole, 4, &tables).unwrap().len(), 1);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_all(&flipped, 4, &tables).is_err(), "bit {bit}");
    }
}

#[test]
fn a_frame_of_another_segment_is_none() {
    let whole = frame_of(&[event(1)], segment::salt(1));
    assert!(Header::decode(&whole, segment::salt(1)).is_ok());
    assert!(Header::decode(&whole, segment::salt(2)).is_err());
}

/// A newer version's frames are not taken for damage that may be passed over silently: they are refused by name.
#[test]
fn unknown_flags_are_named() {
    let whole = frame_of(&[event(1)], 0);
    for flag in [0x10_u16, 0x100, 0x200, 0x8000] {
        let mut header = Header::decode(&whole, 0).unwrap();
        header.flags |= flag;
        let error = Header::decode(&header.encode(0), 0).unwrap_err();
        assert_eq!(error, Damage("the frame needs a newer version of towline"));
    }
}

#[test]
fn impossible_headers_are_refused() {
    let good = Header::decode(&frame_of(&[event(1)], 0), 0).unwrap();
    let bad = [
        Header { length: 17 << 20, raw: 17 << 20, ..good },
        Header { raw: good.raw + 1, ..good },
        Header { events: good.raw + 1, ..good },
        Header { first: 0, ..good },
        Header { first: u64::MAX, ..good },
    ];
    for header in bad {
        assert!(Header::decode(&header.encode(0), 0).is_err(), "{header:?}");
    }
}

#[test]
fn a_span_outside_its_text_is_written_as_empty() {
    let mut broken = event(1);
    broken.fields[0].value = Value::Text(Span { start: 3, end: 9999 });
    let tables = tables();
    let back = decode_all(&frame_of(&[broken], 0), 0, &tables).unwrap();
    assert_eq!(back[0].1[0].fields[0].value, Value::Text(Span::default()));
}

#[test]
fn an_event_too_large_for_a_frame_is_refused_by_its_place() {
    let mut giant = event(1);
    giant.text = Shippable::revalidate(vec![b'x'; 9 << 20]).unwrap();
    let refused = Builder::new(Compression::None).events(&[event(0), giant]).unwrap_err();
    assert_eq!(refused.0, 1);
    assert!(refused.1 > 9 << 20);
}

#[test]
fn files_beyond_the_limit_go_finished_ones_first() {
    let mut state = State::default();
    let file = |n: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_le_bytes());
        Position { file: FileId(id), finished: n % 2 == 1, ..Position::default() }
    };
    let max = state::POSITIONS_MAX as u32;
    (0..=max).for_each(|n| state.moved(file(n)));
    let kept = state.positions();
    assert!(kept.len() <= max as usize);
    assert_eq!(kept.iter().filter(|position| !position.finished).count() as u32, max / 2 + 1);
    assert!(!kept.contains(&file(1)) && kept.contains(&file(max - 1)));
}

#[test]
fn tables_come_back() {
    let tables = tables();
    let packed = segment::Packed::new(&tables).unwrap();
    let header = segment::Header {
        agent_id: [1; 16],
        key_id: [0; 16],
        first: 5,
        follows: 4,
        time: 6,
        previous: [2; 32],
        tables_hash: packed.hash,
        tables_stored: packed.stored.len() as u32,
        tables_crc: crc32c::crc32c(&packed.stored),
        tables_raw: packed.raw_bytes,
    };
    let decoded = segment::Header::decode(&header.encode()).unwrap();
    assert_eq!(decoded, header);
    let back: Arc<Tables> = segment::unpack_tables(&decoded, &packed.stored).unwrap().into();
    assert_eq!((back.fields(), back.kinds()), (tables.fields(), tables.kinds()));
    assert_eq!(back.field_id("message"), tables.field_id("message"));
}
