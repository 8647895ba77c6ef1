//! Random lives against a model that remembers everything: appends, reads, acknowledgements, ends of the process and of the machine,
//! cut tails, flipped bits.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use proptest::prelude::*;

use super::{
    samples::{counted, event, position, settings, tables},
    sim::{LEFT, Left, SimDisk},
};
use crate::{
    event::Time,
    spool::{Counts, Cursor, Durability, Gap, Reader, Sequence, Settings, Spool},
};

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Read(usize),
    Ack,
    Sync,
    Reopen(Left),
    /// So many bytes off the last segment, while the spool is closed.
    Cut(usize),
    /// A bit somewhere in one of the segments, while the spool is closed.
    Flip(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..6).prop_map(Step::Append),
        4 => (1_usize..9).prop_map(Step::Read),
        3 => Just(Step::Ack),
        2 => Just(Step::Sync),
        2 => (0_usize..4).prop_map(|n| Step::Reopen(LEFT[n])),
        1 => (1_usize..700).prop_map(Step::Cut),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(file, bit)| Step::Flip(file, bit)),
    ]
}

struct Open {
    spool: Arc<Spool>,
    reader: Reader,
    cursor: Cursor,
}

struct Model {
    disk: SimDisk,
    settings: Settings,
    open: Option<Open>,
    /// The line that got a sequence, the newest if a power cut took it back.
    lines: BTreeMap<u64, u64>,
    /// Sequences and lines that a courier has been told of and that its cursor has passed.
    acked: BTreeMap<u64, u64>,
    batch: Vec<(u64, u64)>,
    gaps: Vec<Gap>,
    damages: u32,
    flipped: bool,
}

impl Model {
    fn new(durability: Durability) -> Self {
        let settings =
            Settings { durability, segment_bytes: 1800, ..settings(Path::new("/spool")) };
        let disk = SimDisk::new();
        let (lines, acked) = Default::default();
        let (batch, gaps) = Default::default();
        let mut model = Self {
            disk,
            settings,
            open: None,
            lines,
            acked,
            batch,
            gaps,
            damages: 0,
            flipped: false,
        };
        model.reopen();
        model
    }

    fn reopen(&mut self) {
        let disk = Arc::new(self.disk.clone());
        let (spool, _) = Spool::open_on(disk, &self.settings, [7; 16], tables(), Time(1)).unwrap();
        let cursor = spool.cursor("siem", Sequence(1)).unwrap();
        assert!(spool.next_sequence() >= cursor.next(), "a cursor is never ahead");
        let reader = spool.reader(cursor.next());
        self.batch.clear();
        self.open = Some(Open { spool, reader, cursor });
    }

    fn take(&mut self, step: &Step) {
        let Open { spool, reader, cursor } = self.open.as_mut().unwrap();
        match step {
            Step::Append(more) => {
                let at = spool.positions().first().map_or(0, |position| position.offset);
                let events: Vec<_> = (at..at + more).map(event).collect();
                let first = spool
                    .append(&events, &[position(at + more)], &counted(*more), Time(1))
                    .unwrap();
                for n in 0..*more {
                    let acked = self.acked.get(&(first.0 + n));
                    assert!(acked.is_none(), "{first:?} + {n} was told of as another event");
                    self.lines.insert(first.0 + n, at + n);
                }
            }
            Step::Read(most) => match reader.next(*most, 1 << 20) {
                Ok(Some(batch)) => {
                    for (sequence, got) in batch.events {
                        let line = self.lines[&sequence.0];
                        assert_eq!(got, event(line));
                        self.batch.push((sequence.0, line));
                    }
                }
                Ok(None) => assert_eq!(
                    reader.position().0.max(spool.next_sequence().0),
                    spool.next_sequence().0
                ),
                Err(error) => self.gaps.push(error.gap().unwrap().clone()),
            },
            Step::Ack => {
                let counts = Counts { shipped: self.batch.len() as u64, ..Counts::default() };
                cursor.advance(reader.position(), &counts).unwrap();
                self.acked.extend(self.batch.drain(..));
                spool.release(&[cursor.next()]).unwrap();
            }
            Step::Sync => spool.sync().unwrap(),
            Step::Reopen(left) => {
                self.disk = self.disk.after(*left);
                self.reopen();
            }
            Step::Cut(bytes) => {
                self.open = None;
                self.damages += 1;
                if let Some(last) = self.segments().pop() {
                    self.disk.edit(&last, |content| {
                        content.truncate(content.len().saturating_sub(*bytes));
                    });
                }
                self.reopen();
            }
            Step::Flip(file, bit) => {
                self.open = None;
                let files = self.segments();
                self.disk.edit(&files[file % files.len()], |content| {
                    let bit = bit % (content.len() * 8).max(1);
                    if let Some(byte) = content.get_mut(bit / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                });
                self.damages += 1;
                self.flipped = true;
                self.reopen();
            }
        }
    }

    fn segments(&self) -> Vec<std::path::PathBuf> {
        let mut files = self.disk.files(Path::new("/spool"));
        files.retain(|path| path.extension().is_some_and(|end| end == "seg"));
        files
    }

    /// All lines before the position are in the spool once, were acknowledged, or were reported missing.
    fn finish(&mut self) {
        let Open { spool, cursor, .. } = self.open.as_ref().unwrap();
        let read = spool.positions().first().map_or(0, |position| position.offset);
        let (events, gaps) = super::samples::read_all(spool, cursor.next().0);
        let mut told = BTreeSet::new();
        let mut last = 0;
        for (sequence, got) in events {
            assert!(sequence.0 > last);
            last = sequence.0;
            let line = self.lines[&sequence.0];
            assert_eq!(got, event(line));
            // Two damages at once can take a position and leave its events: these come again.
            assert!(
                told.insert(line) || (self.flipped && self.damages > 1),
                "line {line} is in the spool twice"
            );
        }
        let gone = |gap: &Gap| gap.range.first.0..gap.range.next.0;
        let missing = gaps.iter().chain(&self.gaps).flat_map(gone);
        told.extend(missing.filter_map(|sequence| self.lines.get(&sequence)));
        told.extend(self.acked.values());
        let untold: Vec<_> = (0..read).filter(|line| !told.contains(line)).collect();
        assert!(untold.is_empty(), "lines {untold:?} went without a word");
        if !self.flipped {
            assert!(gaps.is_empty() && self.gaps.is_empty(), "{gaps:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_life_loses_a_line_in_silence(
        batch: bool,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut model = Model::new(if batch { Durability::Batch } else { Durability::Interval });
        for step in &steps {
            model.take(step);
        }
        model.finish();
    }
}
