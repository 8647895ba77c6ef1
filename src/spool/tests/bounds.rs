//! Full spools, full disks and failing syncs.

use std::{path::Path, sync::Arc, thread};

use rustix::io::Errno;

use super::{
    samples::{counted, event, position, read_all, settings, tables},
    sim::{Fault, Left, SimDisk},
};
use crate::{
    event::Time,
    spool::{Cause, Durability, Error, Notice, Range, Sequence, Settings, Spool, WhenFull},
};

fn small(full: WhenFull) -> Settings {
    Settings { full, bytes_max: 12 << 10, segment_bytes: 3 << 10, ..settings(Path::new("/spool")) }
}

fn open(disk: &SimDisk, settings: &Settings) -> Arc<Spool> {
    Spool::open_on(Arc::new(disk.clone()), settings, [7; 16], tables(), Time(1)).unwrap().0
}

fn append(spool: &Spool, line: u64) -> Result<Sequence, Error> {
    spool.append(&[event(line)], &[position(line + 1)], &counted(1), Time(1))
}

fn range(first: u64, next: u64) -> Range {
    Range { first: Sequence(first), next: Sequence(next) }
}

/// Waits on the thing itself.
fn until(what: impl Fn() -> bool) {
    while !what() {
        thread::yield_now();
    }
}

#[test]
fn a_full_spool_waits_until_something_is_delivered() {
    let disk = SimDisk::new();
    let settings = small(WhenFull::Wait);
    let spool = open(&disk, &settings);
    let writer = spool.clone();
    let appended = thread::spawn(move || (0..200).try_for_each(|n| append(&writer, n).map(drop)));
    let mut reader = spool.reader(Sequence(1));
    let mut next = 1;
    while next <= 200 {
        until(|| spool.trouble().is_some() || spool.next_sequence().0 == 201);
        assert!(spool.bytes() <= settings.bytes_max);
        while let Some(batch) = reader.next(100, 1 << 20).unwrap() {
            assert_eq!(batch.events[0].0, Sequence(next));
            next = batch.next.0;
        }
        spool.release(&[Sequence(next)]).unwrap();
    }
    appended.join().unwrap().unwrap();
    assert_eq!(spool.trouble(), None);
    assert_eq!(spool.books(), counted(200));
}

#[test]
fn stopping_ends_the_wait_and_keeps_nothing_of_the_batch() {
    let disk = SimDisk::new();
    let spool = open(&disk, &small(WhenFull::Wait));
    let writer = spool.clone();
    let appended = thread::spawn(move || (0..).find_map(|n| append(&writer, n).err()).unwrap());
    until(|| spool.trouble().is_some());
    let next = spool.next_sequence();
    spool.stop();
    assert!(matches!(appended.join().unwrap(), Error::Stopping));
    assert_eq!(spool.next_sequence(), next);
    assert_eq!(spool.positions(), [position(next.0 - 1)]);
    assert_eq!(spool.books(), counted(next.0 - 1));
    drop(spool);
    let spool = open(&disk, &small(WhenFull::Wait));
    assert_eq!(read_all(&spool, 1).0.len() as u64, next.0 - 1);
}

#[test]
fn dropping_the_oldest_is_counted_for_those_who_missed_it() {
    let disk = SimDisk::new();
    let settings = small(WhenFull::DropOldest);
    let mut dropped = 0;
    {
        let spool = open(&disk, &settings);
        let mut reader = spool.reader(Sequence(1));
        append(&spool, 0).unwrap();
        reader.next(1, 1).unwrap().unwrap();
        for n in 1..200 {
            append(&spool, n).unwrap();
            assert!(spool.bytes() <= settings.bytes_max);
        }
        for notice in spool.take_notices() {
            let Notice::Dropped(range) = notice else { panic!("{notice:?}") };
            assert_eq!(range.first.0, dropped + 1);
            dropped = range.next.0 - 1;
        }
        assert!(dropped > 50);
        let (events, gaps) = read_all(&spool, 1);
        assert_eq!(gaps.len(), 1);
        assert_eq!((gaps[0].range, gaps[0].cause), (range(1, dropped + 1), Cause::DroppedOldest));
        assert_eq!(events.first().unwrap().0, Sequence(dropped + 1));
        assert_eq!(events.len() as u64, 200 - dropped);
        // One that was inside the dropped segment misses the rest of it.
        let error = reader.next(100, 1 << 20).unwrap_err();
        assert_eq!(error.gap().unwrap().range, range(2, dropped + 1));
    }
    let spool = open(&disk, &settings);
    let (_, gaps) = read_all(&spool, 1);
    assert_eq!((gaps[0].range, gaps[0].cause), (range(1, dropped + 1), Cause::DroppedOldest));
    assert_eq!(spool.books().lost, 0);
}

#[test]
fn the_disk_reserve_stays_free() {
    let disk = SimDisk::new();
    let settings = Settings { reserve_percent: 5, ..small(WhenFull::Wait) };
    let spool = open(&disk, &settings);
    disk.set_available((1 << 30) / 100 * 5 + 10);
    let writer = spool.clone();
    let appended = thread::spawn(move || append(&writer, 0));
    until(|| spool.trouble().is_some());
    assert!(spool.trouble().unwrap().contains("are to stay free"), "{:?}", spool.trouble());
    disk.set_available((1 << 30) / 100 * 6);
    assert_eq!(appended.join().unwrap().unwrap(), Sequence(1));
}

#[test]
fn a_batch_larger_than_the_whole_spool_still_gets_in() {
    let disk = SimDisk::new();
    let spool = open(&disk, &small(WhenFull::Wait));
    let events: Vec<_> = (0..300).map(event).collect();
    spool.append(&events, &[], &counted(300), Time(1)).unwrap();
    assert!(spool.bytes() > 12 << 10);
    assert_eq!(read_all(&spool, 1).0.len(), 300);
}

/// After a failed sync the kernel may say that all is well: only writing the data again makes it safe.
#[test]
fn what_a_failed_sync_forgot_is_written_again() {
    for durability in [Durability::Interval, Durability::Batch] {
        let disk = SimDisk::new();
        let settings = Settings { durability, bytes_max: 1 << 20, ..small(WhenFull::Wait) };
        let spool = open(&disk, &settings);
        let mut reader = spool.reader(Sequence(1));
        append(&spool, 0).unwrap();
        assert_eq!(reader.next(10, 1 << 20).unwrap().unwrap().next, Sequence(2));
        let mut failed = 0;
        for n in 1..60 {
            // Sooner or later it hits the sync after an append, the timer's, and one of a segment switch.
            disk.fail_at(n % 7, Fault::Fail(Errno::IO, 1));
            append(&spool, n).unwrap();
            while spool.sync().is_err() {
                failed += 1;
            }
        }
        disk.fail_at(u64::MAX, Fault::Crash);
        assert!(durability == Durability::Batch || failed > 3, "{failed}");
        let batches = std::iter::from_fn(|| reader.next(10, 1 << 20).unwrap());
        assert_eq!(batches.map(|batch| batch.events.len()).sum::<usize>(), 59);
        drop(spool);
        let spool = open(&disk.after(Left::Synced), &settings);
        let (events, gaps) = read_all(&spool, 1);
        assert_eq!((events.len(), gaps), (60, vec![]), "{durability:?}");
    }
}

#[test]
fn events_of_other_tables_are_refused() {
    let spool = open(&SimDisk::new(), &small(WhenFull::Wait));
    let mut stranger = event(0);
    stranger.kind.0 = 2;
    let error = spool.append(&[stranger], &[], &counted(1), Time(1)).unwrap_err();
    assert!(matches!(error, Error::Foreign { what: "kind", id: 2, count: 2 }), "{error}");
    let mut stranger = event(0);
    stranger.fields[0].id.0 = 500;
    let error = spool.append(&[stranger], &[], &counted(1), Time(1)).unwrap_err();
    assert!(matches!(error, Error::Foreign { what: "field", id: 500, .. }), "{error}");
    assert_eq!(append(&spool, 0).unwrap(), Sequence(1));
    assert_eq!(read_all(&spool, 1).0, [(Sequence(1), event(0))]);
}
