//! Events, positions and settings for tests.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    event::{
        Event, EventId, Field, FieldDef, FieldId, FieldType, KindDef, KindId, Span, Tables, Time,
        Value, field,
    },
    guard::Shippable,
    spool::{Books, Durability, Gap, Sequence, Settings, Spool, WhenFull},
    tail::{FileId, Position},
};

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.to_owned(),
        bytes_max: 1 << 20,
        segment_bytes: 4 << 10,
        reserve_percent: 0,
        durability: Durability::Interval,
        sync_interval: Duration::from_secs(1),
        full: WhenFull::Wait,
    }
}

pub(crate) fn tables() -> Arc<Tables> {
    let fields = field::NAMES.iter().map(|name| FieldDef {
        name: (*name).to_owned(),
        ty: FieldType::Keyword,
        array: false,
    });
    let kinds = ["xmpp.auth_failure", "xmpp.auth_success"].map(|name| KindDef {
        name: name.to_owned(),
        title: "Something happened".to_owned(),
        severity: 5,
        kind: "event".to_owned(),
        category: vec!["authentication".to_owned()],
        types: vec!["start".to_owned()],
        outcome: None,
        attack: Vec::new(),
        meaning: "It means that it happened.".to_owned(),
    });
    Arc::new(Tables::new(fields.collect(), kinds.to_vec()))
}

/// The event of line `n` of the one file there is.
pub(crate) fn event(n: u64) -> Event<Shippable> {
    let text = format!("romeo{n}@example.net says héllo {n}");
    let name = 5 + n.to_string().len() as u32;
    let text_field = |id, start, end| Field { id, value: Value::Text(Span { start, end }) };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_le_bytes());
    Event {
        kind: KindId((n % 2) as u16),
        recognised: !n.is_multiple_of(3),
        id: EventId(id),
        time: Time(1_700_000_000_000_000_000 + n as i64),
        created: Time(1_700_000_000_500_000_000 + n as i64),
        severity: n.is_multiple_of(5).then_some(7),
        fields: vec![
            text_field(field::MESSAGE, 0, text.len() as u32),
            text_field(field::USER_NAME, 0, name),
            Field { id: field::SOURCE_IP, value: Value::Ip([192, 0, 2, n as u8].into()) },
            Field { id: field::SOURCE_PORT, value: Value::Long(-(n as i64)) },
            Field { id: FieldId(20), value: Value::Boolean(n.is_multiple_of(2)) },
        ],
        text: Shippable::revalidate(text.into_bytes()).unwrap(),
    }
}

pub(crate) fn position(lines: u64) -> Position {
    Position {
        file: FileId([3; 16]),
        source: "chat".to_owned(),
        path: "/var/log/chat.log".into(),
        offset: lines,
        layout: Some("json".to_owned()),
        ..Position::default()
    }
}

pub(crate) fn counted(read: u64) -> Books {
    Books { read, ..Books::default() }
}

/// Everything from a sequence on, and what could not be read.
pub(crate) fn read_all(spool: &Spool, from: u64) -> (Vec<(Sequence, Event<Shippable>)>, Vec<Gap>) {
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    let mut reader = spool.reader(Sequence(from));
    loop {
        match reader.next(7, 600) {
            Ok(Some(batch)) => {
                // A hole may lie between its last event and the next one.
                assert!(batch.events.last().is_some_and(|last| last.0 < batch.next));
                events.extend(batch.events);
            }
            Ok(None) => return (events, gaps),
            Err(error) => gaps.push(error.gap().unwrap_or_else(|| panic!("{error}")).clone()),
        }
    }
}
