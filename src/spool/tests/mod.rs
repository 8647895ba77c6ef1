//! The spool as a whole, on a real folder.

mod bounds;
mod crash;
mod damage;
mod format;
mod frames;
mod model;
mod samples;
mod sim;
mod speed;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use self::samples::{counted, event, position, read_all, settings, tables};
use super::*;
use crate::event::Time;

fn open(folder: &Path) -> (Arc<Spool>, Recovered) {
    Spool::open(&settings(folder), [7; 16], tables(), Time(1)).unwrap()
}

#[test]
fn what_is_appended_is_read_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let events: Vec<_> = (0..10).map(event).collect();
    {
        let (spool, recovered) = open(folder.path());
        assert_eq!(recovered, Recovered { next: Sequence(1), ..Recovered::default() });
        let mut reader = spool.reader(Sequence(1));
        assert!(reader.next(100, 1 << 20).unwrap().is_none());
        assert_eq!(
            spool.append(&events[..4], &[position(4)], &counted(4), Time(5)).unwrap(),
            Sequence(1)
        );
        let batch = reader.next(3, 1 << 20).unwrap().unwrap();
        assert_eq!(batch.next, Sequence(4));
        assert_eq!(
            spool.append(&events[4..], &[position(10)], &counted(6), Time(6)).unwrap(),
            Sequence(5)
        );
        let batch = reader.next(100, 1 << 20).unwrap().unwrap();
        assert_eq!(batch.events.first().unwrap().0, Sequence(4));
        assert_eq!(batch.next, Sequence(11));
        assert!(reader.next(100, 1 << 20).unwrap().is_none());
    }
    let (spool, recovered) = open(folder.path());
    assert_eq!(recovered, Recovered { next: Sequence(11), ..Recovered::default() });
    assert_eq!(spool.positions(), [position(10)]);
    assert_eq!(spool.books(), counted(10));
    let (read, gaps) = read_all(&spool, 1);
    assert!(gaps.is_empty());
    assert_eq!(read, (1..).map(Sequence).zip(events).collect::<Vec<_>>());
}

#[test]
fn a_second_process_is_told_who_has_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let Err(error) = Spool::open(&settings(folder.path()), [7; 16], tables(), Time(1)) else {
        panic!("opened twice");
    };
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
}

#[test]
fn listeners_hear_of_each_append() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, _) = open(folder.path());
    let heard = Arc::new(AtomicU64::new(0));
    let ear = heard.clone();
    spool.subscribe(Box::new(move |next| ear.store(next.0, Ordering::SeqCst)));
    spool.append(&[event(0), event(1)], &[], &counted(2), Time(1)).unwrap();
    assert_eq!(heard.load(Ordering::SeqCst), 3);
}

#[test]
fn cursors_keep_segments_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (spool, _) = open(folder.path());
        for n in 0..200 {
            spool.append(&[event(n)], &[position(n + 1)], &counted(1), Time(1)).unwrap();
        }
        let mut cursor = spool.cursor("siem", spool.oldest_sequence()).unwrap();
        assert_eq!(cursor.next(), Sequence(1));
        assert_eq!(spool.release(&[cursor.next()]).unwrap(), 0);
        let shipped = Counts { shipped: 150, ..Counts::default() };
        cursor.advance(Sequence(151), &shipped).unwrap();
        assert!(spool.release(&[cursor.next()]).unwrap() > 0);
        assert_eq!(spool.pending(cursor.next()), 50);
    }
    let (spool, _) = open(folder.path());
    let cursor = spool.cursor("siem", Sequence(1)).unwrap();
    assert_eq!(cursor.next(), Sequence(151));
    assert_eq!(cursor.kept().counts.shipped, 150);
    assert!(spool.oldest_sequence() > Sequence(1));
    let (read, gaps) = read_all(&spool, 151);
    assert_eq!((read.len(), gaps.len()), (50, 0));
    assert_eq!(spool.positions(), [position(200)]);
}
