//! Every operation of a short life fails, or is the last one: what is left must always be enough.
//!
//! The life is the agent's: a reader that goes on where the positions say, a courier that ships and then moves its cursor. The lines
//! stay in their file throughout. After each fault the life goes on to its end without faults, and then everything is counted.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use rustix::io::Errno;

use super::{
    samples::{counted, event, position, settings, tables},
    sim::{Fault, LEFT, Left, SimDisk},
};
use crate::{
    event::{Tables, Time},
    spool::{Counts, Durability, Error, Kept, Sequence, Settings, Spool},
};

const LINES: u64 = 24;
const FOLDER: &str = "/spool";

/// What outlives the process: the log file (its lines are numbers), and what the receiver got.
#[derive(Default)]
struct Outside {
    /// How often each line came.
    received: BTreeMap<u64, u64>,
    /// Which line came under which sequence, as far as the cursor knew of it.
    known: BTreeMap<u64, u64>,
    /// Lines of which an append said that they are durable.
    durable: u64,
    crashes: u64,
}

struct Life {
    disk: SimDisk,
    settings: Settings,
    outside: Outside,
}

impl Life {
    fn new(durability: Durability) -> Self {
        let settings = Settings { durability, segment_bytes: 1500, ..settings(Path::new(FOLDER)) };
        Self { disk: SimDisk::new(), settings, outside: Outside::default() }
    }

    fn open(&self, tables: Arc<Tables>) -> Result<Arc<Spool>, Error> {
        let disk = Arc::new(self.disk.clone());
        Spool::open_on(disk, &self.settings, [7; 16], tables, Time(1)).map(|(spool, _)| spool)
    }

    /// Reads lines in batches of 1 to 4 and ships them, until this line.
    fn run(&mut self, until: u64, tables: Arc<Tables>) -> Result<(), Error> {
        let spool = self.open(tables)?;
        let mut cursor = spool.cursor("siem", Sequence(1))?;
        let mut reader = spool.reader(cursor.next());
        loop {
            let at = spool.positions().first().map_or(0, |position| position.offset);
            let more = (1 + at % 4).min(until.saturating_sub(at));
            if more > 0 {
                let events: Vec<_> = (at..at + more).map(event).collect();
                spool.append(&events, &[position(at + more)], &counted(more), Time(at as i64))?;
                if self.settings.durability == Durability::Batch {
                    self.outside.durable = at + more;
                } else if at % 3 == 0 {
                    spool.sync()?;
                    self.outside.durable = at + more;
                }
            }
            if at % 2 == 0 || more == 0 {
                let Some(batch) = reader.next(5, 1 << 20)? else {
                    if more == 0 {
                        return Ok(());
                    }
                    continue;
                };
                let count = batch.events.len() as u64;
                let lines: Vec<_> = batch.events.iter().map(|(s, e)| (s.0, line_of(e))).collect();
                for (_, line) in &lines {
                    *self.outside.received.entry(*line).or_default() += 1;
                }
                cursor.advance(batch.next, &Counts { shipped: count, ..Counts::default() })?;
                for (sequence, line) in lines {
                    let known = self.outside.known.insert(sequence, line);
                    assert!(known.is_none_or(|known| known == line), "sequence {sequence} reused");
                }
                spool.release(&[cursor.next()])?;
                self.check_balance(&spool, cursor.kept());
            }
        }
    }

    fn check_balance(&self, spool: &Spool, kept: &Kept) {
        let books = spool.books();
        let appended = books.read + books.generated;
        let accounted = kept.counts.total() - spool.repeated(kept) + spool.pending(kept.next);
        assert_eq!(appended, accounted, "{books:?} {kept:?} next {:?}", spool.next_sequence());
        let offset = spool.positions().first().map_or(0, |position| position.offset);
        assert_eq!(offset, appended, "the position runs with its events");
    }

    /// Two runs with other tables in the second, as after an upgrade.
    fn whole(&mut self) -> Result<(), Error> {
        self.run(LINES / 2, tables())?;
        self.run(LINES, other_tables())
    }

    /// After a crash: what is left, and on to the end.
    fn go_on(&mut self, left: Left) {
        self.outside.crashes += 1;
        self.disk = self.disk.after(left);
        {
            let spool = self.open(tables()).unwrap();
            let at = spool.positions().first().map_or(0, |position| position.offset);
            assert!(at >= self.outside.durable, "{at} of {} durable lines", self.outside.durable);
            if let Some(kept) = spool.cursors().unwrap().first() {
                self.check_balance(&spool, kept);
            }
            if left == Left::All {
                assert_eq!(spool.pending(Sequence(1)), at, "no sequence is skipped");
            }
        }
        self.whole().unwrap();
        self.check_received(left);
    }

    fn check_received(&self, left: Left) {
        let received: Vec<_> = self.outside.received.keys().copied().collect();
        assert_eq!(received, (0..LINES).collect::<Vec<_>>(), "every line came");
        if left == Left::All {
            // Shipped, and the cursor not written: at most one batch for each crash.
            let twice = self.outside.received.values().filter(|times| **times > 1).count();
            assert!(twice as u64 <= 5 * self.outside.crashes, "{twice} lines came twice");
        }
    }
}

fn line_of(event: &crate::event::Event<crate::guard::Shippable>) -> u64 {
    u64::from_le_bytes(event.id.0[..8].try_into().unwrap())
}

fn other_tables() -> Arc<Tables> {
    let old = tables();
    let mut kinds = old.kinds().to_vec();
    kinds[0].severity += 1;
    Arc::new(Tables::new(old.fields().to_vec(), kinds))
}

fn operations(durability: Durability) -> u64 {
    let mut life = Life::new(durability);
    life.whole().unwrap();
    life.check_received(Left::All);
    assert!(life.outside.received.values().all(|times| *times == 1));
    let operations = life.disk.operations();
    assert!(operations > 150, "{operations} operations are no life");
    operations
}

fn crash_everywhere(durability: Durability) {
    for at in 0..operations(durability) {
        for fault in [Fault::Crash, Fault::CrashWithin] {
            for left in LEFT {
                let mut life = Life::new(durability);
                life.disk.fail_at(at, fault);
                assert!(life.whole().is_err() && life.disk.crashed());
                life.go_on(left);
            }
        }
    }
}

#[test]
fn a_crash_at_any_operation_loses_nothing_when_each_batch_is_synced() {
    crash_everywhere(Durability::Batch);
}

#[test]
fn a_crash_at_any_operation_loses_nothing_when_couriers_run_ahead() {
    crash_everywhere(Durability::Interval);
}

/// The crash comes while the spool recovers from another one.
#[test]
fn a_crash_while_recovering_loses_nothing() {
    for left in LEFT {
        let life = operations(Durability::Interval);
        for first in [life / 4, life / 2, life * 2 / 3, life - 20] {
            let crashed = || {
                let mut life = Life::new(Durability::Interval);
                life.disk.fail_at(first, Fault::CrashWithin);
                assert!(life.whole().is_err());
                life.outside.crashes += 1;
                life.disk = life.disk.after(left);
                life
            };
            let whole = crashed();
            whole.open(other_tables()).unwrap();
            let operations = whole.disk.operations();
            assert!(operations > 10);
            for second in 0..operations {
                let mut life = crashed();
                life.disk.fail_at(second, Fault::CrashWithin);
                assert!(life.open(other_tables()).is_err());
                life.go_on(left);
            }
        }
    }
}

/// A disk that is full, failing or read-only for a while: appending waits, everything else says so and is tried again.
#[test]
fn a_fault_at_any_operation_only_delays() {
    for durability in [Durability::Batch, Durability::Interval] {
        for at in 0..operations(durability) {
            for (errno, times) in [(Errno::NOSPC, 1), (Errno::IO, 1), (Errno::ROFS, 7)] {
                let mut life = Life::new(durability);
                life.disk.fail_at(at, Fault::Fail(errno, times));
                // An error ends the process, as the agent may choose to; it starts again.
                while life.whole().is_err() {
                    life.outside.crashes += 1;
                    assert!(life.outside.crashes < 10);
                }
                life.check_received(Left::All);
            }
            let mut life = Life::new(durability);
            life.disk.fail_at(at, Fault::Short);
            life.whole().unwrap();
            assert!(life.outside.received.values().all(|times| *times == 1));
        }
    }
}
