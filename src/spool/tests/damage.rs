//! Bits flip, tails are cut, files vanish: nothing is handed over changed, nothing is missing without a word.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    samples::{counted, event, position, read_all, settings, tables},
    sim::SimDisk,
};
use crate::{
    event::Time,
    spool::{Books, Cause, Error, Gap, Notice, Recovered, Sequence, Settings, Spool},
};

const LINES: u64 = 30;

fn sample_settings() -> Settings {
    Settings { segment_bytes: 2500, ..settings(Path::new("/spool")) }
}

fn open(disk: &SimDisk) -> (Arc<Spool>, Recovered) {
    Spool::open_on(Arc::new(disk.clone()), &sample_settings(), [7; 16], tables(), Time(1)).unwrap()
}

/// Line n has sequence n + 1; appends have one to three lines.
fn filled() -> (SimDisk, Arc<Spool>) {
    let disk = SimDisk::new();
    let (spool, _) = open(&disk);
    let mut line = 0;
    while line < LINES {
        let more = (1 + line % 3).min(LINES - line);
        let events: Vec<_> = (line..line + more).map(event).collect();
        line += more;
        spool.append(&events, &[position(line)], &counted(more), Time(1)).unwrap();
    }
    (disk, spool)
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let mut files = disk.files(Path::new("/spool"));
    files.retain(|path| path.extension().is_some_and(|end| end == "seg"));
    files
}

/// Every line is handed over as it was, is in a gap that was reported, or comes again because the position went back.
fn check_read(spool: &Spool, last: u64, what: &str) -> Vec<Gap> {
    let (events, gaps) = read_all(spool, 1);
    let mut told = BTreeSet::new();
    for (sequence, got) in events {
        assert_eq!(got, event(sequence.0 - 1), "{what}");
        assert!(told.insert(sequence.0), "{what}: {sequence:?} twice");
    }
    for gap in &gaps {
        for sequence in gap.range.first.0..gap.range.next.0 {
            assert!(told.insert(sequence), "{what}: {sequence} read and in {gap:?}");
        }
    }
    assert_eq!(told, (1..=last).collect(), "{what}: {gaps:?}");
    gaps
}

#[test]
fn any_flipped_bit_is_found_when_the_spool_is_opened() {
    let (whole, spool) = filled();
    drop(spool);
    let files = segments(&whole);
    assert!(files.len() >= 3);
    let mut lost = 0;
    for path in &files {
        for byte in 0..whole.read(path).len() {
            let disk = whole.after(super::sim::Left::All);
            disk.edit(path, |content| content[byte] ^= 1 << (byte % 8));
            let what = format!("byte {byte} of {}", path.display());
            let (spool, recovered) = open(&disk);
            let offset = spool.positions().first().map_or(0, |position| position.offset);
            let hole = recovered.hole.map_or(0, |hole| hole.len());
            let gaps = check_read(&spool, offset, &what);
            assert!(offset + hole <= LINES, "{what}");
            // What is damaged in the middle, behind the newest whole snapshot, can be read again.
            for gap in &recovered.corrupt {
                let lines = gap.range.first.0 - 1..gap.range.next.0 - 1;
                let unread = recovered.unread.iter().map(|u| u.position.offset..u.to);
                let again = unread.clone().any(|u| u.start <= lines.start && u.end >= lines.end);
                assert!(lines.is_empty() || again, "{what}: {gap:?} {:?}", recovered.unread);
            }
            let counted: u64 = gaps.iter().map(|gap| gap.range.len()).sum();
            assert_eq!(
                spool.books(),
                Books { read: offset, lost: counted, ..Books::default() },
                "{what}"
            );
            lost += counted;
            drop(spool);
            // Opening once more finds no news.
            let (spool, recovered) = open(&disk);
            assert_eq!(
                recovered,
                Recovered { next: spool.next_sequence(), ..Recovered::default() },
                "{what}"
            );
            assert_eq!(spool.positions().first().map_or(0, |position| position.offset), offset);
        }
    }
    assert!(lost > 0);
}

#[test]
fn any_flipped_bit_is_found_by_a_reader_of_a_running_spool() {
    let (disk, spool) = filled();
    for path in segments(&disk) {
        for byte in 0..disk.read(&path).len() {
            let flip = |content: &mut Vec<u8>| content[byte] ^= 1 << (byte % 8);
            disk.edit(&path, flip);
            check_read(&spool, LINES, &format!("byte {byte} of {}", path.display()));
            disk.edit(&path, flip);
        }
    }
    assert!(check_read(&spool, LINES, "restored").is_empty());
    // However many couriers met them, each sequence was counted once.
    assert!(spool.books().lost <= LINES);
    let lost = |notice: &Notice| matches!(notice, Notice::Lost(_));
    assert!(spool.take_notices().iter().all(lost));
    assert!(!disk.files(Path::new("/spool/quarantine")).is_empty());
}

#[test]
fn a_tail_cut_anywhere_goes_back_to_the_last_whole_append() {
    let (whole, spool) = filled();
    drop(spool);
    let last = segments(&whole).pop().unwrap();
    let length = whole.read(&last).len();
    for bytes in 0..length {
        let disk = whole.after(super::sim::Left::All);
        disk.edit(&last, |content| content.truncate(bytes));
        let (spool, recovered) = open(&disk);
        let offset = spool.positions()[0].offset;
        assert_eq!(spool.next_sequence().0 - 1, offset, "{recovered:?}");
        assert!(check_read(&spool, offset, &format!("cut at {bytes}")).is_empty());
        assert!(recovered.corrupt.is_empty());
    }
}

#[test]
fn a_tail_of_zeros_or_garbage_goes_and_is_kept() {
    let (whole, spool) = filled();
    drop(spool);
    let last = segments(&whole).pop().unwrap();
    for garbage in [vec![0; 5000], vec![0xff; 300], b"TWLSPOOL".repeat(50)] {
        let disk = whole.after(super::sim::Left::All);
        disk.edit(&last, |content| content.extend(&garbage));
        let (spool, recovered) = open(&disk);
        assert_eq!(recovered.torn.len(), 1);
        let kept = recovered.torn[0].kept.as_ref().unwrap();
        assert_eq!(disk.read(kept), garbage);
        assert!(check_read(&spool, LINES, "garbage").is_empty());
        assert_eq!(disk.read(&last), whole.read(&last));
    }
}

#[test]
fn a_segment_that_somebody_took_is_missed_by_name() {
    for running in [true, false] {
        for taken in 0..3 {
            let (disk, spool) = filled();
            let path = segments(&disk)[taken].clone();
            disk.delete(&path);
            let spool = if running {
                spool
            } else {
                drop(spool);
                open(&disk).0
            };
            let offset = spool.positions()[0].offset;
            let gaps = check_read(&spool, offset, &format!("segment {taken}"));
            assert!(gaps.iter().all(|gap| gap.cause == Cause::Missing), "{gaps:?}");
            // The newest one took its positions with it, if nobody knew them any more.
            assert_eq!(gaps.len(), usize::from(offset == LINES));
        }
    }
}

#[test]
fn a_segment_in_anothers_place_is_set_aside() {
    let (disk, spool) = filled();
    drop(spool);
    let files = segments(&disk);
    let other = disk.read(&files[0]);
    disk.edit(&files[1], |content| *content = other);
    let (spool, recovered) = open(&disk);
    assert_eq!(recovered.set_aside.len(), 1);
    let gaps = check_read(&spool, LINES, "swapped");
    assert_eq!(gaps.len(), 1);
}

#[test]
fn a_newer_format_is_left_alone() {
    let (disk, spool) = filled();
    drop(spool);
    let path = segments(&disk)[1].clone();
    disk.edit(&path, |content| {
        content[8] = 2;
        let check = crc32c::crc32c(&content[..156]);
        content[156..160].copy_from_slice(&check.to_le_bytes());
    });
    let before: Vec<_> = segments(&disk).iter().map(|path| disk.read(path)).collect();
    let refused =
        Spool::open_on(Arc::new(disk.clone()), &sample_settings(), [7; 16], tables(), Time(1));
    let Err(error) = refused else { panic!("opened") };
    assert!(matches!(error, Error::TooNew { version: 2, .. }));
    assert!(error.to_string().contains("start the newer version again"), "{error}");
    let after: Vec<_> = segments(&disk).iter().map(|path| disk.read(path)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_damaged_cursor_begins_again_and_no_sequence_is_used_twice() {
    let (disk, spool) = filled();
    let mut cursor = spool.cursor("siem", Sequence(1)).unwrap();
    cursor.advance(Sequence(9), &Default::default()).unwrap();
    drop(spool);
    let path = Path::new("/spool/cursors/siem.json");
    let whole = disk.read(path);
    for byte in 0..whole.len() {
        disk.edit(path, |content| content[byte] ^= 1 << (byte % 8));
        let (spool, recovered) = open(&disk);
        let cursor = spool.cursor("siem", spool.oldest_sequence()).unwrap();
        if recovered.cursors.is_empty() {
            // `a` and `A` are the same digit of a checksum, and its line end says nothing.
            assert!(byte >= whole.len() - 9);
            assert_eq!(cursor.next(), Sequence(9));
        } else {
            assert_eq!(cursor.next(), Sequence(1));
            assert!(recovered.next.0 > LINES + 1);
        }
        drop(spool);
        disk.edit(path, |content| *content = whole.clone());
    }
}

/// The cursor's own error, for those who load it while it is in use.
#[test]
fn a_damaged_cursor_says_what_to_do() {
    let (disk, spool) = filled();
    spool.cursor("siem", Sequence(1)).unwrap();
    disk.edit(Path::new("/spool/cursors/siem.json"), |content| content.truncate(10));
    let Err(error) = spool.cursor("siem", Sequence(1)) else { panic!("read") };
    let text = error.to_string();
    assert!(text.contains("/spool/cursors/siem.json is damaged"), "{text}");
    assert!(text.contains("move it away to begin with the oldest event"), "{text}");
}
