//! `docs/spool-format.md` is true: the example in it is what is written today, and it is read as it says.

use std::{fmt::Write, path::Path, sync::Arc};

use super::{
    samples::{counted, read_all, settings},
    sim::SimDisk,
};
use crate::{
    event::{
        Event, EventId, Field, FieldDef, FieldId, FieldType, KindDef, KindId, Span, Tables, Time,
        Value,
    },
    guard::Shippable,
    spool::{
        Recovered, Sequence, Spool,
        disk::{Disk, Mode},
    },
    tail::{FileId, Position},
};

const DOCUMENT: &str = include_str!("../../../docs/spool-format.md");
const FILE: &str = "/spool/00000000000000000001.seg";

fn small_tables() -> Arc<Tables> {
    let user = FieldDef { name: "user.name".into(), ty: FieldType::Keyword, array: false };
    let failed = KindDef {
        name: "xmpp.auth_failure".into(),
        title: "XMPP authentication failed".into(),
        severity: 6,
        kind: "event".into(),
        category: vec![],
        types: vec![],
        outcome: None,
        attack: vec![],
        meaning: String::new(),
    };
    Arc::new(Tables::new(vec![user], vec![failed]))
}

fn romeo() -> Event<Shippable> {
    let span = Span { start: 0, end: 5 };
    Event {
        kind: KindId(0),
        recognised: true,
        id: EventId([0xe1; 16]),
        time: Time(1_763_942_400_000_000_000),
        created: Time(1_763_942_400_000_000_001),
        severity: None,
        fields: vec![Field { id: FieldId(0), value: Value::Text(span) }],
        text: Shippable::revalidate(b"romeo".to_vec()).unwrap(),
    }
}

fn place() -> Position {
    let (file, source, path) = (FileId([0xf1; 16]), "chat".into(), "/var/log/chat.log".into());
    Position { file, source, path, offset: 70, ..Position::default() }
}

fn open(disk: &SimDisk) -> (Arc<Spool>, Recovered) {
    let settings = settings(Path::new("/spool"));
    Spool::open_on(Arc::new(disk.clone()), &settings, [0xa1; 16], small_tables(), Time(7)).unwrap()
}

fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (index, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { *byte as char } else { '.' };
        let text: String = line.iter().map(shown).collect();
        writeln!(out, "{:04x}  {:<47}  {text}", index * 16, hex.join(" ")).unwrap();
    }
    out
}

fn example() -> &'static str {
    DOCUMENT.split_once("```hexdump\n").unwrap().1.split_once("```").unwrap().0
}

#[test]
fn the_example_in_the_document_is_what_is_written() {
    let disk = SimDisk::new();
    let (spool, _) = open(&disk);
    spool.append(&[romeo()], &[place()], &counted(1), Time(8)).unwrap();
    let written = dump(&disk.read(Path::new(FILE)));
    assert!(written == example(), "the document should say:\n{written}");
}

/// Also a reader of every released format: this file must be readable for ever.
#[test]
fn the_example_in_the_document_can_be_read() {
    let bytes: Vec<u8> = example()
        .lines()
        .flat_map(|line| line[6..53].split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let disk = SimDisk::new();
    disk.open(Path::new(FILE), Mode::Create).unwrap().append(&bytes).unwrap();
    let (spool, recovered) = open(&disk);
    assert_eq!(recovered, Recovered { next: Sequence(2), ..Recovered::default() });
    assert_eq!(read_all(&spool, 1), (vec![(Sequence(1), romeo())], vec![]));
    assert_eq!((spool.positions(), spool.books()), (vec![place()], counted(1)));
}

/// The cursor file is read by scripts too.
#[test]
fn a_cursor_is_two_lines_of_text() {
    let disk = SimDisk::new();
    let (spool, _) = open(&disk);
    spool.cursor("siem", Sequence(1)).unwrap();
    let text = String::from_utf8(disk.read(Path::new("/spool/cursors/siem.json"))).unwrap();
    expect_test::expect![[r#"
        {"version":1,"destination":"siem","next":1,"safe":1,"ended":true,"counts":{"shipped":0,"dead":0,"lost":0,"dropped":{}}}
        daf16d2a
    "#]]
    .assert_eq(&text);
}
