//! Rotation in every way that is known, while running and while down.

use std::os::unix::fs::symlink;

use flate2::{Compression, write::GzEncoder};

use super::*;

fn line(n: usize) -> String {
    format!("Nov 24 10:00:{n:02} line number {n} of the log\n")
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(line).collect()
}

fn compress(desk: &Desk, from: &str, to: &str) {
    let file = File::create(desk.path(to)).expect("can be made");
    let mut gz = GzEncoder::new(file, Compression::fast());
    gz.write_all(&fs::read(desk.path(from)).expect("is there")).expect("can be written");
    gz.finish().expect("can be written");
    fs::remove_file(desk.path(from)).expect("is there");
}

/// As if it had last been written so long ago: times of quick tests are too near to be told apart.
fn age(desk: &Desk, name: &str, seconds: u64) {
    let time = std::time::SystemTime::now() - Duration::from_secs(seconds);
    File::open(desk.path(name)).and_then(|file| file.set_modified(time)).expect("can be set");
}

fn finished(desk: &Desk) -> usize {
    desk.positions.values().filter(|p| p.finished).count()
}

#[test]
fn rename_and_create() {
    for glob in ["a.log", "a.log*"] {
        let mut desk = Desk::new(&[glob]);
        desk.append("a.log", lines(0..3));
        desk.second();
        desk.append("a.log", line(3));
        desk.rename("a.log", "a.log.1");
        desk.append("a.log", lines(4..6));
        desk.second();
        assert_eq!(desk.text(), lines(0..6), "{glob}");
        // The writer still holds the old one.
        desk.append("a.log.1", line(6));
        desk.second();
        assert_eq!(desk.text(), line(6), "{glob}");
        desk.append("a.log.1", "no newline");
        desk.minute();
        assert_eq!(desk.got.last().expect("the end").flush, Flush::End);
        assert_eq!(desk.text(), "no newline", "{glob}");
        assert_eq!((desk.positions.len(), finished(&desk)), (2, 1), "{glob}");
        desk.append("a.log.1", " and very late\n");
        desk.minute();
        assert_eq!(desk.text(), " and very late\n");
        desk.restart();
        desk.minute();
        desk.text();
        desk.append("a.log", line(7));
        desk.restart();
        assert_eq!(desk.text(), line(7), "{glob}");
        assert_eq!(desk.lost, []);
    }
}

#[test]
fn rename_and_create_while_down() {
    for (glob, rotated) in [("a.log", "a.log.1"), ("a.log*", "a.log.1"), ("a.log", "whatever")] {
        let mut desk = Desk::new(&[glob]);
        desk.append("a.log", lines(0..3));
        desk.second();
        let id = *desk.positions.keys().next().expect("one");
        desk.append("a.log", lines(3..5));
        desk.rename("a.log", rotated);
        desk.append("a.log", lines(5..7));
        desk.restart();
        assert_eq!(desk.text(), lines(0..7), "{glob} {rotated}");
        desk.minute();
        desk.restart();
        desk.minute();
        assert_eq!(desk.text(), "", "{glob} {rotated}");
        assert!(desk.positions[&id].finished);
        assert_eq!(desk.positions.len(), 2);
        assert_eq!(desk.lost, []);
    }
}

#[test]
fn rotated_several_times_while_down() {
    for glob in ["a.log", "a.log*"] {
        let mut desk = Desk::new(&[glob]);
        desk.append("a.log.9", "from before the log was followed\n");
        desk.append("a.log.pos", "not a log\n");
        age(&desk, "a.log.9", 86_400);
        desk.append("a.log", lines(0..3));
        desk.second();
        desk.text();
        desk.append("a.log", line(3));
        desk.rename("a.log", "a.log.3");
        desk.append("x", lines(4..6));
        compress(&desk, "x", "a.log.2.gz");
        desk.append("a.log.1", lines(6..8));
        for (name, age_seconds) in [("a.log.3", 3), ("a.log.2.gz", 2), ("a.log.1", 1)] {
            age(&desk, name, age_seconds);
        }
        desk.append("a.log", line(8));
        desk.restart();
        assert_eq!(desk.text(), lines(3..9), "in order");
        desk.minute();
        desk.restart();
        desk.minute();
        assert_eq!(desk.text(), "", "{glob}");
    }
}

#[test]
fn rotated_and_compressed_while_down() {
    for gz in ["a.log.1.gz", "a-20261124.log.gz"] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", lines(0..30));
        desk.second();
        desk.append("a.log", lines(30..60));
        desk.append("a.log", "no newline");
        desk.rename("a.log", "a.log.1");
        compress(&desk, "a.log.1", gz);
        desk.append("a.log", line(60));
        desk.restart();
        assert_eq!(desk.text(), lines(0..60) + "no newline" + &line(60));
        desk.restart();
        desk.minute();
        assert_eq!(desk.text(), "");
        assert_eq!(desk.lost, []);
    }
}

#[test]
fn a_large_compressed_file_is_resumed() {
    let mut desk = Desk::new(&["a.log"]);
    let big: String = (0..100_000).map(|n| format!("number {n} of the large log file\n")).collect();
    desk.append("a.log", &big[..big.len() / 2]);
    desk.second();
    desk.append("a.log", &big[big.len() / 2..]);
    desk.rename("a.log", "a.log.1");
    compress(&desk, "a.log.1", "a.log.1.gz");
    // Killed in the middle of it.
    desk.tailer = tailer(&desk.settings, desk.positions.values().cloned().collect());
    let got = &mut desk.got;
    let mut room = 300_000;
    let mut some = |chunk: Chunk<'_>| {
        if room < chunk.bytes.len() {
            return Taken::default();
        }
        room -= chunk.bytes.len();
        take(Taking::All, got, &chunk)
    };
    desk.tailer.step(desk.now, &mut some).expect("a turn");
    for position in desk.tailer.positions_changed() {
        desk.positions.insert(position.file, position);
    }
    desk.restart();
    desk.minute();
    assert!(desk.text() == big);
}

#[test]
fn compressed_in_a_way_that_cannot_be_read_is_said() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", lines(0..3));
    desk.second();
    desk.rename("a.log", "a.log.1.zst");
    fs::write(desk.path("a.log.1.zst"), "not the same").expect("can be written");
    desk.append("a.log", line(3));
    desk.restart();
    assert_eq!(desk.text(), lines(0..4));
    assert_eq!(desk.problems.len(), 1);
    assert!(desk.problems[0].path.ends_with("a.log.1.zst"));
    assert_eq!(desk.lost.len(), 1);
}

#[test]
fn copytruncate() {
    for glob in ["a.log", "a.log*"] {
        let mut desk = Desk::new(&[glob]);
        desk.append("a.log", lines(0..3));
        desk.second();
        // Written, copied and truncated before anybody looks; then it grows beyond where it was.
        desk.append("a.log", lines(3..5));
        desk.copytruncate("a.log", "a.log.1");
        desk.append("a.log", lines(5..20));
        desk.second();
        assert_eq!(desk.text(), lines(0..20), "{glob}");
        assert_eq!(desk.truncated.len(), 1);
        desk.minute();
        desk.append("a.log", line(20));
        desk.restart();
        desk.minute();
        assert_eq!(desk.text(), line(20), "{glob}");
        assert_eq!(desk.lost, []);
    }
}

#[test]
fn copytruncate_while_down() {
    for glob in ["a.log", "a.log*"] {
        let mut desk = Desk::new(&[glob]);
        desk.append("a.log", lines(0..3));
        desk.second();
        desk.append("a.log", lines(3..5));
        desk.copytruncate("a.log", "a.log.1");
        desk.append("a.log", lines(5..20));
        desk.restart();
        assert_eq!(desk.text(), lines(0..20), "{glob}");
        desk.restart();
        desk.minute();
        assert_eq!(desk.text(), "", "{glob}");
        assert_eq!(desk.lost, []);
    }
}

#[test]
fn copytruncate_takes_no_open_record() {
    let mut desk = Desk::new(&["a.log"]);
    desk.taking = Taking::Records;
    desk.append("a.log", lines(0..3));
    desk.second();
    // The last line was read, not consumed, and is in no copy.
    desk.truncate("a.log");
    desk.append("a.log", line(3));
    desk.second();
    desk.second();
    desk.second();
    assert_eq!(desk.text(), lines(0..4));
    assert_eq!(desk.lost, []);
}

#[test]
fn a_copy_that_is_seen_before_the_truncation() {
    let mut desk = Desk::new(&["a.log*"]);
    desk.append("a.log", lines(0..30));
    desk.minute();
    fs::copy(desk.path("a.log"), desk.path("a.log.1")).expect("can be copied");
    desk.minute();
    desk.append("a.log", line(30));
    desk.second();
    desk.truncate("a.log");
    desk.append("a.log", line(31));
    desk.minute();
    assert_eq!(desk.text(), lines(0..32));
    desk.rename("a.log.1", "a.log.2");
    desk.minute();
    desk.restart();
    desk.minute();
    assert_eq!(desk.text(), "");
}

#[test]
fn a_copy_that_ends_before_what_was_read() {
    let mut desk = Desk::new(&["a.log*"]);
    desk.append("a.log", lines(0..30));
    desk.second();
    fs::copy(desk.path("a.log"), desk.path("a.log.1")).expect("can be copied");
    desk.append("a.log", line(30));
    desk.second();
    desk.truncate("a.log");
    desk.append("a.log", line(31));
    desk.minute();
    assert_eq!(desk.text(), lines(0..32));
}

#[test]
fn a_writer_that_goes_on_where_it_was_leaves_a_hole() {
    use std::os::unix::fs::FileExt;
    let mut desk = Desk::new(&["a.log"]);
    let writer = File::create(desk.path("a.log")).expect("can be made");
    let big = lines(0..50_000);
    writer.write_all_at(big.as_bytes(), 0).expect("can be written");
    desk.second();
    assert!(desk.text() == big);
    desk.copytruncate("a.log", "a.log.1");
    writer.write_all_at(line(1).as_bytes(), big.len() as u64).expect("can be written");
    desk.second();
    assert_eq!(desk.got[0].offset, big.len() as u64);
    assert_eq!(desk.text(), line(1));
    let end = big.len() + line(1).len();
    writer.write_all_at(line(2).as_bytes(), end as u64).expect("can be written");
    desk.restart();
    assert_eq!(desk.text(), line(2));
    assert_eq!(desk.lost, []);
}

#[test]
fn truncated_in_place() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", lines(0..3));
    desk.second();
    desk.truncate("a.log");
    desk.second();
    desk.append("a.log", line(3));
    desk.second();
    assert_eq!(desk.text(), lines(0..4));
    assert_eq!((desk.truncated.len(), desk.truncated[0].generation), (1, 1));
    assert_eq!(desk.lost, []);
}

#[test]
fn unread_bytes_that_a_truncation_took_are_counted() {
    let mut desk = Desk::new(&["a.log"]);
    desk.taking = Taking::Nothing;
    desk.append("a.log", lines(0..50_000));
    desk.second();
    desk.truncate("a.log");
    desk.append("a.log", "fresh\n");
    desk.taking = Taking::All;
    desk.second();
    assert_eq!(desk.text(), "fresh\n");
    assert_eq!(desk.lost.len(), 1);
    assert_eq!(desk.lost[0].bytes, lines(0..50_000).len() as u64);
}

#[test]
fn deleted_while_read() {
    let mut desk = Desk::new(&["a.log"]);
    let mut writer = File::create(desk.path("a.log")).expect("can be made");
    writer.write_all(lines(0..3).as_bytes()).expect("can be written");
    desk.second();
    fs::remove_file(desk.path("a.log")).expect("is there");
    writer.write_all(lines(3..5).as_bytes()).expect("can be written");
    desk.second();
    writer.write_all(b"the end").expect("can be written");
    desk.second();
    assert_eq!(desk.text(), lines(0..5));
    desk.minute();
    assert_eq!(desk.text(), "the end");
    assert!(desk.tailer.files().is_empty(), "it is closed");
}

#[test]
fn deleted_and_made_again() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", lines(0..3));
    desk.second();
    desk.append("a.log", line(3));
    fs::remove_file(desk.path("a.log")).expect("is there");
    desk.append("a.log", line(4));
    desk.second();
    assert_eq!(desk.text(), lines(0..5));
    assert_eq!(desk.lost, []);
}

#[test]
fn the_same_inode_and_the_same_head_is_not_the_same_file() {
    let head = "=== the server starts: a banner that is the same every time it does so ===\n";
    for (old, new) in [(3, 1), (1, 3), (2, 2)] {
        let mut desk = Desk::new(&["a.log"]);
        let text = |from: usize, n: usize| head.to_owned() + &lines(from..from + n);
        desk.append("a.log", text(0, old));
        desk.second();
        // Written over in place: surely the same inode.
        fs::write(desk.path("a.log"), text(10, new)).expect("can be written");
        desk.restart();
        assert_eq!(desk.text(), text(0, old) + &text(10, new), "{old} {new}");
        let position = desk.positions.values().next().expect("one");
        assert_eq!((desk.positions.len(), position.generation), (1, 1));
    }
}

#[test]
fn an_inode_that_another_file_got_while_down() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("a.log", lines(0..3));
    desk.second();
    // The same inode under another name with other contents: as if a.log had been deleted.
    desk.rename("a.log", "b.log");
    fs::write(desk.path("b.log"), lines(10..12)).expect("can be written");
    desk.restart();
    assert_eq!(desk.text(), lines(0..3) + &lines(10..12));
    assert_eq!((desk.lost.len(), finished(&desk)), (1, 1));
}

#[test]
fn the_file_system_was_copied_while_down() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("a.log", lines(0..3));
    desk.second();
    fs::copy(desk.path("a.log"), desk.path("copy")).expect("can be copied");
    fs::remove_file(desk.path("a.log")).expect("is there");
    desk.rename("copy", "a.log");
    desk.append("a.log", line(3));
    desk.restart();
    assert_eq!(desk.text(), lines(0..4));
    assert_eq!(desk.positions.len(), 1);
}

#[test]
fn a_link_that_is_switched() {
    let mut desk = Desk::new(&["current.log"]);
    fs::create_dir(desk.path("days")).expect("a folder");
    desk.append("days/1", lines(0..3));
    symlink("days/1", desk.path("current.log")).expect("a link");
    desk.second();
    desk.append("days/1", line(3));
    desk.append("days/2", line(4));
    symlink("days/2", desk.path("next")).expect("a link");
    desk.rename("next", "current.log");
    desk.second();
    desk.append("days/1", line(5));
    desk.append("days/2", line(6));
    desk.second();
    let mut got: Vec<_> = desk.text().lines().map(|l| l.to_owned() + "\n").collect();
    got.sort();
    assert_eq!(got.concat(), lines(0..7));
    desk.minute();
    assert_eq!(desk.tailer.files().len(), 1);
}

#[test]
fn two_names_of_one_file_are_one_file() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("a.log", line(0));
    symlink("a.log", desk.path("b.log")).expect("a link");
    fs::hard_link(desk.path("a.log"), desk.path("c.log")).expect("a link");
    desk.minute();
    desk.append("b.log", line(1));
    desk.minute();
    assert_eq!(desk.text(), lines(0..2));
}

#[test]
fn an_archive_that_globs_match_is_not_tailed() {
    let mut desk = Desk::new(&["*"]);
    desk.append("old", line(0));
    compress(&desk, "old", "old.gz");
    desk.append("a.log", line(1));
    desk.minute();
    assert_eq!(desk.text(), line(1));
}

#[test]
fn files_beyond_the_limit_of_open_ones_are_closed_and_opened_again() {
    let mut desk = Desk::new(&["*.log"]);
    desk.tailer.open_max = 8;
    for n in 0..40 {
        desk.append(&format!("{n}.log"), format!("first of {n}\n"));
    }
    desk.second();
    assert!(desk.tailer.open <= 9, "{}", desk.tailer.open);
    assert_eq!(desk.text().lines().count(), 40);
    for n in 0..40 {
        desk.append(&format!("{n}.log"), format!("second of {n}\n"));
        if n % 4 == 0 {
            desk.rename(&format!("{n}.log"), &format!("{n}.log.1"));
        }
    }
    desk.minute();
    let mut got: Vec<_> = desk.text().lines().map(ToOwned::to_owned).collect();
    got.sort();
    let mut expected: Vec<_> = (0..40).map(|n| format!("second of {n}")).collect();
    expected.sort();
    assert_eq!(got, expected);
    assert!(desk.tailer.open <= 9, "{}", desk.tailer.open);
}

#[test]
fn a_finished_file_that_is_removed_is_forgotten_and_its_last_position_says_finished() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", lines(0..3));
    desk.second();
    desk.rename("a.log", "a.log.1");
    desk.minute();
    assert_eq!((desk.positions.len(), finished(&desk)), (1, 1));
    fs::remove_file(desk.path("a.log.1")).expect("is there");
    desk.minute();
    assert_eq!(desk.positions.len(), 0);

    // Rotated and removed within one walk: whoever keeps positions by `positions_changed` alone learns it too.
    desk.append("a.log", line(3));
    desk.minute();
    fs::remove_file(desk.path("a.log")).expect("is there");
    let positions: Vec<_> = desk.positions.values().cloned().collect();
    let mut down = tailer(&desk.settings, positions);
    down.step(desk.now, &mut |_| Taken::default()).expect("a turn");
    let last = down.positions_changed();
    assert_eq!(last.iter().map(|p| p.finished).collect::<Vec<_>>(), [true]);
}
