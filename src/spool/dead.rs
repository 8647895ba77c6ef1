//! Dead letters: events that a destination will never take, kept with its reason.
//!
//! One JSON object a line in `<folder>/<destination>.jsonl`: `time` (RFC 3339), `sequence`, `event_id`, `kind`, `status`, `reason`,
//! `body` (the event as it was sent). They are on the disk before the cursor passes the event; a crash in between repeats the line, with
//! the same `event_id`. A file that has reached a quarter of the size or the age that is kept is renamed to
//! `<destination>.<time>.jsonl`; those go when they are too old or too much together, the oldest first.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;

use super::{
    Error, Sequence, cursor,
    disk::{Disk, DiskFile, Mode, append_all, read_full},
};
use crate::event::{EventId, Time};

/// Longest reason that is kept, bytes. It is the receiver's text, so its end may be cut.
const REASON_BYTES_MAX: usize = 4096;
/// Longest body that is kept, bytes.
const BODY_BYTES_MAX: usize = 4 << 20;

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Size of all files of a destination together, bytes.
    pub bytes_max: u64,
    /// Age of a letter. Some may stay a quarter longer.
    pub age_max: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, age_max: Duration::from_secs(30 * 24 * 3600) }
    }
}

/// An event that a destination will never take.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// Its number in the spool.
    pub sequence: Sequence,
    /// Its identity.
    pub id: EventId,
    /// Its kind's name.
    pub kind: &'a str,
    /// The receiver's status, 0 where it has none.
    pub status: u16,
    /// The receiver's reason.
    pub reason: &'a str,
    /// The event as it was sent.
    pub body: &'a [u8],
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    sequence: u64,
    event_id: String,
    kind: &'a str,
    status: u16,
    reason: &'a str,
    body: &'a str,
}

/// The dead letters of one destination.
pub struct DeadLetters {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    stem: String,
    keep: Keep,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    /// A failed write may have left something behind the whole lines.
    dirty: bool,
    /// When its first letter was put in.
    began: Option<Time>,
    line: Vec<u8>,
}

impl DeadLetters {
    /// Opens or makes a destination's file. A last line that a crash left unfinished goes: its event comes again.
    pub fn open(
        disk: Arc<dyn Disk>,
        folder: &Path,
        destination: &str,
        keep: Keep,
    ) -> Result<Self, Error> {
        disk.create_folder(folder).map_err(Error::io("create the folder", folder))?;
        let stem = cursor::file_stem(destination);
        let path = folder.join(format!("{stem}.jsonl"));
        let file = open(&*disk, &path)?;
        let bytes = whole_lines(&*file).map_err(Error::io("read", &path))?;
        file.truncate(bytes).map_err(Error::io("cut", &path))?;
        disk.sync_folder(folder).map_err(Error::io("sync", folder))?;
        let began = first_time(&*file).map_err(Error::io("read", &path))?;
        let folder = folder.to_owned();
        Ok(Self { disk, folder, stem, keep, file, bytes, dirty: false, began, line: Vec::new() })
    }

    /// Puts letters away; returns when they are on the disk. After an error none of them is.
    pub fn put(&mut self, letters: &[DeadLetter<'_>], now: Time) -> Result<(), Error> {
        self.line.clear();
        letters.iter().for_each(|letter| write_line(&mut self.line, letter, now));
        self.tidy(now)?;
        let path = self.path();
        if self.dirty {
            self.file.truncate(self.bytes).map_err(Error::io("cut", &path))?;
        }
        self.dirty = true;
        let written = append_all(&*self.file, &self.line)
            .map_err(Error::io("write", &path))
            .and_then(|()| self.file.sync().map_err(Error::io("sync", &path)));
        if written.is_ok() {
            self.dirty = false;
            self.bytes += self.line.len() as u64;
            self.began.get_or_insert(now);
        }
        written
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.jsonl", self.stem))
    }

    /// Begins a new file when this one is large or old enough, and lets old ones go. For a timer; [`DeadLetters::put`] does it too.
    pub fn tidy(&mut self, now: Time) -> Result<(), Error> {
        let large = self.bytes + self.line.len() as u64 > self.keep.bytes_max / 4;
        let old = self.began.is_some_and(|began| age(began, now) > self.keep.age_max / 4);
        if self.bytes > 0 && !self.dirty && (large || old) {
            let path = self.path();
            let full = self.folder.join(format!("{}.{:020}.jsonl", self.stem, now.0.max(0)));
            match self.disk.rename(&path, &full) {
                // An earlier attempt came this far and failed after it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(Error::io("rename", &path))?,
            }
            self.file = open(&*self.disk, &path)?;
            (self.bytes, self.began) = (0, None);
            self.disk.sync_folder(&self.folder).map_err(Error::io("sync", &self.folder))?;
        }
        self.bound(now)
    }

    fn bound(&self, now: Time) -> Result<(), Error> {
        let mut left = self.keep.bytes_max / 4 * 3;
        for (time, path) in self.finished()?.into_iter().rev() {
            let bytes = self
                .disk
                .open(&path, Mode::Read)
                .and_then(|file| file.bytes())
                .map_err(Error::io("read", &path))?;
            if age(Time(time), now) > self.keep.age_max || bytes > left {
                left = 0;
                self.disk.remove(&path).map_err(Error::io("remove", &path))?;
            }
            left = left.saturating_sub(bytes);
        }
        Ok(())
    }

    /// Files that are written no longer, with the time of their end, the oldest first.
    fn finished(&self) -> Result<Vec<(i64, PathBuf)>, Error> {
        let names = self.disk.list(&self.folder).map_err(Error::io("list", &self.folder))?;
        let mut found = Vec::new();
        for name in names {
            let time = name
                .to_str()
                .and_then(|name| name.strip_prefix(&self.stem)?.strip_prefix('.'))
                .and_then(|rest| rest.strip_suffix(".jsonl")?.parse().ok());
            found.extend(time.map(|time: i64| (time, self.folder.join(&name))));
        }
        found.sort();
        Ok(found)
    }
}

fn age(since: Time, now: Time) -> Duration {
    Duration::from_nanos(now.0.saturating_sub(since.0).max(0) as u64)
}

/// The time of the first letter of a file.
fn first_time(file: &dyn DiskFile) -> std::io::Result<Option<Time>> {
    let mut head = [0; 64];
    let read = read_full(file, &mut head, 0)?;
    let time = std::str::from_utf8(&head[..read])
        .ok()
        .and_then(|head| head.strip_prefix("{\"time\":\"")?.split_once('"'))
        .and_then(|(time, _)| time.parse::<jiff::Timestamp>().ok());
    Ok(time.and_then(|time| i64::try_from(time.as_nanosecond()).ok()).map(Time))
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
    match disk.open(path, Mode::Append) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            disk.open(path, Mode::Create).map_err(Error::io("create", path))
        }
        other => other.map_err(Error::io("open", path)),
    }
}

/// Bytes up to the last line end.
fn whole_lines(file: &dyn DiskFile) -> std::io::Result<u64> {
    let mut end = file.bytes()?;
    let mut piece = vec![0; 64 << 10];
    while end > 0 {
        let start = end.saturating_sub(piece.len() as u64);
        let length = read_full(file, &mut piece[..(end - start) as usize], start)?;
        if let Some(at) = memchr::memrchr(b'\n', &piece[..length]) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn write_line(out: &mut Vec<u8>, letter: &DeadLetter<'_>, now: Time) {
    let body = &letter.body[..letter.body.len().min(BODY_BYTES_MAX)];
    let line = Line {
        time: jiff::Timestamp::from_nanosecond(now.0.into()).unwrap_or_default().to_string(),
        sequence: letter.sequence.0,
        event_id: letter.id.to_string(),
        kind: letter.kind,
        status: letter.status,
        reason: &letter.reason[..letter.reason.floor_char_boundary(REASON_BYTES_MAX)],
        // Encoders write UTF-8; only a body that was cut in the middle of a character has a mark at its end.
        body: &String::from_utf8_lossy(body),
    };
    // Writing text to memory cannot fail.
    _ = serde_json::to_writer(&mut *out, &line);
    _ = out.write_all(b"\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::disk::RealDisk;

    const DAY: i64 = 24 * 3600 * 1_000_000_000;

    fn letter(sequence: u64, body: &[u8]) -> DeadLetter<'_> {
        DeadLetter {
            sequence: Sequence(sequence),
            id: EventId([0xab; 16]),
            kind: "xmpp.auth_failure",
            status: 400,
            reason: "document_parsing_exception: \"bad\"\nline two",
            body,
        }
    }

    fn open(folder: &Path, bytes_max: u64) -> DeadLetters {
        let keep = Keep { bytes_max, ..Keep::default() };
        DeadLetters::open(Arc::new(RealDisk), folder, "siem", keep).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            RealDisk.list(folder).unwrap().into_iter().map(|n| n.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_letter_is_one_line_with_all_that_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut dead = open(folder.path(), 1 << 20);
        dead.put(&[letter(7, b"{\"a\":1}"), letter(8, b"x")], Time(DAY)).unwrap();
        let text = std::fs::read_to_string(folder.path().join("siem.jsonl")).unwrap();
        expect_test::expect![[r#"
            {"time":"1970-01-02T00:00:00Z","sequence":7,"event_id":"abababababababababababababababab","kind":"xmpp.auth_failure","status":400,"reason":"document_parsing_exception: \"bad\"\nline two","body":"{\"a\":1}"}
            {"time":"1970-01-02T00:00:00Z","sequence":8,"event_id":"abababababababababababababababab","kind":"xmpp.auth_failure","status":400,"reason":"document_parsing_exception: \"bad\"\nline two","body":"x"}
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn an_unfinished_line_goes_when_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), 1 << 20).put(&[letter(7, b"x")], Time(0)).unwrap();
        let path = folder.path().join("siem.jsonl");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole, &b"{\"time\":\"19"[..]].concat()).unwrap();
        open(folder.path(), 1 << 20);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        std::fs::write(&path, "{\"time\":\"19").unwrap();
        open(folder.path(), 1 << 20);
        assert!(std::fs::read(&path).unwrap().is_empty());
    }

    #[test]
    fn old_files_go_by_size_and_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let body = [b'x'; 1000];
        let mut dead = open(folder.path(), 8000);
        for n in 0..50 {
            dead.put(&[letter(n as u64, &body)], Time(n)).unwrap();
            let size = |name| std::fs::metadata(folder.path().join(name)).unwrap().len();
            assert!(names(folder.path()).iter().map(size).sum::<u64>() <= 8000);
        }
        assert!(names(folder.path()).len() > 2);
        // Opened again it knows how old its first letter is, without a new one.
        let mut dead = open(folder.path(), 8000);
        dead.tidy(Time(29 * DAY)).unwrap();
        assert!(names(folder.path()).contains(&format!("siem.{:020}.jsonl", 29 * DAY)));
        dead.tidy(Time(31 * DAY)).unwrap();
        assert_eq!(names(folder.path()).len(), 2, "only what was finished on day 29");
        dead.tidy(Time(60 * DAY)).unwrap();
        assert_eq!(names(folder.path()), ["siem.jsonl"]);
    }
}
