//! The tailer with real files, its clock in the test's hand and no watcher, so that every case is the slow one.

mod random;
mod rotation;

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    Chunk, FileId, Flush, Lost, Position, Problem, Settings, Start, Tailer, Taken, Truncated,
    lines::LINE_BYTES_MAX, tailer::Times, wake::Wake,
};

/// What was handed out, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Got {
    name: String,
    offset: u64,
    text: String,
    flush: Flush,
    cut: u64,
}

/// How the test takes chunks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    /// All of each.
    All,
    /// All but the last line, unless everything is complete: as if a continuation could follow.
    Records,
    /// Nothing: the agent is about to stop.
    Nothing,
}

/// A folder, a tailer over it, and all that it said.
struct Desk {
    folder: TempDir,
    settings: Settings,
    tailer: Tailer,
    now: Instant,
    taking: Taking,
    got: Vec<Got>,
    lost: Vec<Lost>,
    truncated: Vec<Truncated>,
    problems: Vec<Problem>,
    /// As the spool keeps them.
    positions: HashMap<FileId, Position>,
}

impl Desk {
    fn new(files: &[&str]) -> Self {
        Self::with(files, |_| {})
    }

    fn with(files: &[&str], change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files.iter().map(|f| format!("{}/{f}", folder.path().display())).collect();
        let mut settings = Settings {
            source: "test".to_owned(),
            files,
            exclude: Vec::new(),
            start: Start::Beginning,
            record_wait: Duration::from_millis(200),
        };
        change(&mut settings);
        let tailer = tailer(&settings, Vec::new());
        Self {
            folder,
            settings,
            tailer,
            now: Instant::now(),
            taking: Taking::All,
            got: Vec::new(),
            lost: Vec::new(),
            truncated: Vec::new(),
            problems: Vec::new(),
            positions: HashMap::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(text.as_ref())).expect("can be written");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("can be renamed");
    }

    fn copytruncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("can be copied");
        self.truncate(from);
    }

    fn truncate(&self, name: &str) {
        let file = OpenOptions::new().write(true).open(self.path(name)).expect("is there");
        file.set_len(0).expect("can be truncated");
    }

    /// Lets time pass in one step, then turns until there is nothing more.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        loop {
            let got = &mut self.got;
            let taking = self.taking;
            let mut take = |chunk: Chunk<'_>| take(taking, got, &chunk);
            let turn = self.tailer.step(self.now, &mut take).expect("a turn");
            self.lost.extend(turn.lost);
            self.truncated.extend(turn.truncated);
            self.problems.extend(turn.problems);
            for position in self.tailer.positions_changed() {
                self.positions.insert(position.file, position);
            }
            for file in self.tailer.forgotten() {
                self.positions.remove(&file);
            }
            if !turn.more {
                break;
            }
        }
    }

    /// A second: everything known is looked at.
    fn second(&mut self) {
        self.pass(Duration::from_secs(1));
    }

    /// Long enough for every walk and every wait.
    fn minute(&mut self) {
        for _ in 0..10 {
            self.pass(Duration::from_secs(6));
        }
    }

    /// The agent is killed and started again with what its spool has.
    fn restart(&mut self) {
        self.tailer = tailer(&self.settings, self.positions.values().cloned().collect());
        self.second();
    }

    /// All text since the last call, in the order in which it came.
    fn text(&mut self) -> String {
        self.got.drain(..).map(|got| got.text).collect()
    }
}

fn tailer(settings: &Settings, positions: Vec<Position>) -> Tailer {
    Tailer::with(vec![settings.clone()], positions, Wake::polling(), Times::default())
        .expect("settings are right")
}

fn take(taking: Taking, got: &mut Vec<Got>, chunk: &Chunk<'_>) -> Taken {
    assert!(chunk.flush == Flush::End || chunk.bytes.ends_with(b"\n"), "only whole lines");
    let bytes = match (taking, chunk.flush) {
        (Taking::Nothing, _) => 0,
        (Taking::All, _) | (Taking::Records, Flush::Idle | Flush::End) => chunk.bytes.len(),
        (Taking::Records, Flush::No) => {
            let body = &chunk.bytes[..chunk.bytes.len() - 1];
            memchr::memrchr(b'\n', body).map_or(0, |at| at + 1)
        }
    };
    let name = chunk.path.file_name().expect("a name").to_string_lossy().into_owned();
    if bytes > 0 {
        let text = String::from_utf8_lossy(&chunk.bytes[..bytes]).into_owned();
        let (offset, flush, cut) = (chunk.offset, chunk.flush, chunk.cut);
        got.push(Got { name, offset, text, flush, cut });
    }
    Taken { bytes, layout: None }
}

#[test]
fn lines_come_as_they_are_written() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\ntwo\n");
    desk.second();
    assert_eq!(desk.text(), "one\ntwo\n");
    desk.append("a.log", "thr");
    desk.second();
    assert_eq!(desk.text(), "", "no newline, no line");
    desk.append("a.log", "ee\nfour\n\nhalf");
    desk.second();
    assert_eq!(desk.got[0].offset, 8);
    assert_eq!(desk.text(), "three\nfour\n\n");
    desk.minute();
    assert_eq!(desk.text(), "");
    let status = desk.tailer.files();
    assert_eq!((status[0].size, status[0].offset, status[0].lag), (24, 20, 4));
}

#[test]
fn nothing_is_read_twice_after_a_restart() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\ntwo\nhal");
    desk.second();
    desk.append("a.log", "f\nthree\n");
    desk.restart();
    assert_eq!(desk.text(), "one\ntwo\nhalf\nthree\n");
    assert_eq!(desk.positions.len(), 1);
}

#[test]
fn an_open_record_is_closed_by_waiting_and_only_once() {
    let mut desk = Desk::new(&["a.log"]);
    desk.taking = Taking::Records;
    desk.append("a.log", "one\ntwo\n");
    desk.second();
    assert_eq!(desk.text(), "one\n");
    desk.pass(Duration::from_millis(199));
    assert_eq!(desk.text(), "");
    desk.pass(Duration::from_millis(1));
    assert_eq!(desk.got[0].flush, Flush::Idle);
    assert_eq!(desk.text(), "two\n");
    desk.minute();
    assert_eq!(desk.text(), "");
}

#[test]
fn our_own_stop_closes_no_record() {
    let mut desk = Desk::new(&["a.log"]);
    desk.taking = Taking::Records;
    desk.append("a.log", "head\n more\n");
    desk.second();
    desk.append("a.log", " and more\nhead\n");
    desk.restart();
    assert_eq!(desk.text(), "head\n more\n and more\n");
    assert_eq!(desk.positions.values().next().expect("one").offset, 21);
}

#[test]
fn what_is_not_consumed_comes_again() {
    let mut desk = Desk::new(&["a.log"]);
    desk.taking = Taking::Nothing;
    desk.append("a.log", "one\ntwo\n");
    desk.second();
    desk.second();
    assert_eq!(desk.text(), "");
    desk.taking = Taking::All;
    desk.append("a.log", "three\n");
    desk.second();
    assert_eq!(desk.text(), "one\ntwo\nthree\n");
}

#[test]
fn new_files_are_picked_up_and_excluded_ones_are_not() {
    let mut desk = Desk::with(&["*.log"], |s| s.exclude = vec!["debug*".to_owned()]);
    desk.append("a.log", "a\n");
    desk.append("debug.log", "noise\n");
    desk.second();
    desk.append("b.log", "b\n");
    desk.append("c.txt", "c\n");
    desk.minute();
    assert_eq!(desk.text(), "a\nb\n");
}

#[test]
fn start_at_the_end_is_for_what_is_there_at_first() {
    let mut desk = Desk::with(&["*.log"], |s| s.start = Start::End);
    desk.append("old.log", "old\nolder\nhal");
    desk.second();
    assert_eq!(desk.positions.len(), 1, "the position is kept though nothing was read");
    desk.append("old.log", "f\n");
    desk.append("new.log", "new\n");
    desk.minute();
    let text = desk.text();
    assert!(text == "half\nnew\n" || text == "new\nhalf\n", "{text}");
    desk.append("later.log", "later\n");
    desk.restart();
    assert_eq!(desk.text(), "later\n");
}

#[test]
fn a_name_is_bytes() {
    let mut desk = Desk::new(&["*.log"]);
    let path = desk.folder.path().join(OsStr::from_bytes(b"\xff\n.log"));
    fs::write(&path, "one\n").expect("can be written");
    desk.second();
    assert_eq!(desk.text(), "one\n");
    fs::write(&path, "one\ntwo\n").expect("can be written");
    desk.restart();
    assert_eq!(desk.text(), "two\n");
}

#[test]
fn an_over_long_line_is_cut_and_says_by_how_much() {
    for (extra, cut) in [(0, 0), (1, 1), (3 << 20, 3 << 20)] {
        let mut desk = Desk::new(&["a.log"]);
        desk.append("a.log", "before\n");
        desk.append("a.log", vec![b'x'; LINE_BYTES_MAX + extra]);
        desk.second();
        desk.append("a.log", "\nafter\n");
        desk.second();
        let bytes: usize = desk.got.iter().map(|g| g.text.len()).sum();
        assert_eq!(bytes, 7 + LINE_BYTES_MAX + 1 + 6, "{extra}");
        assert_eq!(desk.got.iter().map(|g| g.cut).sum::<u64>(), cut, "{extra}");
        let last = desk.got.last().expect("something");
        assert!(last.text.ends_with("after\n"));
        desk.append("a.log", "end\n");
        desk.got.clear();
        desk.restart();
        assert_eq!(desk.text(), "end\n");
    }
}

#[test]
fn an_over_long_line_closes_the_record_before_it() {
    let mut desk = Desk::new(&["a.log"]);
    desk.taking = Taking::Records;
    desk.append("a.log", "head\n");
    desk.append("a.log", vec![b'x'; LINE_BYTES_MAX + 5]);
    desk.append("a.log", "\nafter\nlast\n");
    desk.second();
    assert_eq!(desk.got.iter().map(|g| g.cut).collect::<Vec<_>>(), [5, 0]);
    assert!(desk.text().ends_with("x\nafter\n"));
}

#[test]
fn zeros_of_a_power_cut_are_handed_through() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", b"one\nto\0\0\0\0\0\0two\n");
    desk.second();
    assert_eq!(desk.text(), "one\nto\0\0\0\0\0\0two\n");
}

#[test]
fn a_backlog_does_not_hold_up_another_file() {
    let mut desk = Desk::new(&["*.log"]);
    desk.append("big.log", "0123456789abcde\n".repeat(4 << 20));
    desk.append("small.log", "first\n");
    desk.now += Duration::from_secs(1);
    let mut turns = 0;
    let mut small = Vec::new();
    loop {
        let mut take = |chunk: Chunk<'_>| {
            if chunk.path.ends_with("small.log") {
                small.push((turns, chunk.bytes.to_vec()));
            }
            Taken { bytes: chunk.bytes.len(), layout: None }
        };
        let turn = desk.tailer.step(desk.now, &mut take).expect("a turn");
        turns += 1;
        if turns == 5 {
            desk.append("small.log", "second\n");
            desk.now += Duration::from_secs(1);
        }
        if !turn.more {
            break;
        }
    }
    assert!(turns > 12, "64 MiB take a while: {turns}");
    assert_eq!(small, [(0, b"first\n".to_vec()), (5, b"second\n".to_vec())]);
}

#[test]
fn a_decided_layout_is_kept_with_the_position() {
    let mut desk = Desk::new(&["a.log"]);
    desk.append("a.log", "one\n");
    let mut seen = Vec::new();
    for _ in 0..2 {
        desk.now += Duration::from_secs(1);
        desk.append("a.log", "more\n");
        let mut take = |chunk: Chunk<'_>| {
            seen.push(chunk.layout.map(ToOwned::to_owned));
            let layout = chunk.layout.is_none().then(|| "ecs".to_owned());
            Taken { bytes: chunk.bytes.len(), layout }
        };
        desk.tailer.step(desk.now, &mut take).expect("a turn");
    }
    assert_eq!(seen, [None, Some("ecs".to_owned())]);
    assert_eq!(desk.tailer.positions_changed()[0].layout.as_deref(), Some("ecs"));
}

#[test]
fn a_file_that_cannot_be_read_is_said_once_and_tried_again() {
    let mut desk = Desk::new(&["*/a.log"]);
    fs::create_dir(desk.path("x")).expect("a folder");
    // A link to itself cannot be opened by anyone, root included.
    std::os::unix::fs::symlink("a.log", desk.path("x/a.log")).expect("a link");
    desk.minute();
    assert_eq!(desk.problems.len(), 1, "{:?}", desk.problems);
    fs::remove_file(desk.path("x/a.log")).expect("is there");
    desk.append("x/a.log", "one\n");
    desk.minute();
    assert_eq!(desk.text(), "one\n");
    assert_eq!(desk.problems.len(), 1);
}

#[test]
fn watching_wakes_the_reader_at_once() {
    let desk = Desk::new(&["*.log"]);
    let settings = vec![desk.settings.clone()];
    let mut tailer = Tailer::new(settings, Vec::new(), super::Time(0)).expect("settings are right");
    let mut read = Vec::new();
    let mut take = |chunk: Chunk<'_>| {
        read.extend_from_slice(chunk.bytes);
        Taken { bytes: chunk.bytes.len(), layout: None }
    };
    // The walks are far apart, so only the watcher can tell.
    tailer.times.poll = Duration::from_secs(3600);
    tailer.times.scan = Duration::from_secs(3600);
    tailer.turn(Duration::ZERO, &mut take).expect("a turn");
    let patience = Instant::now() + Duration::from_secs(20);
    for text in ["one\n", "two\n"] {
        desk.append("a.log", text);
        while tailer.turn(Duration::from_secs(1), &mut take).expect("a turn").chunks == 0 {
            assert!(Instant::now() < patience, "was not woken");
        }
    }
    assert_eq!(read, b"one\ntwo\n");
}

#[test]
fn a_wait_can_be_interrupted() {
    let desk = Desk::new(&["*.log"]);
    let mut tailer = tailer(&desk.settings, Vec::new());
    tailer.interrupter().interrupt();
    let begun = Instant::now();
    tailer.turn(Duration::from_secs(60), &mut |_| Taken::default()).expect("a turn");
    assert!(begun.elapsed() < Duration::from_secs(30));
}
