//! Looking around: what was reported, what the poll finds changed, what the walks of the globs find.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    Error,
    discover::{Visitor, is_compressed},
    follow::Stage,
    identity::Inode,
    rotated,
    tailer::Tailer,
};

/// Known files that are looked at in one round of the poll.
const POLLED_MAX: usize = 1_000;
/// The same where nothing else tells of changes.
const POLLED_UNWATCHED_MAX: usize = 5_000;
/// How long nothing is gathered after a rotated sibling appeared.
const HASTE: Duration = Duration::from_millis(100);
/// Walks of the globs may take at most one part in so many of the time.
const SCAN_SHARE: u32 = 100;

#[derive(Default)]
struct Sights {
    files: Vec<(PathBuf, Option<u64>)>,
    folders: Vec<PathBuf>,
    problems: Vec<(PathBuf, io::Error)>,
}

impl Visitor for Sights {
    fn file(&mut self, path: PathBuf, inode: Option<u64>) {
        self.files.push((path, inode));
    }
    fn folder(&mut self, path: &Path) {
        self.folders.push(path.to_owned());
    }
    fn problem(&mut self, path: &Path, error: io::Error) {
        self.problems.push((path.to_owned(), error));
    }
}

impl Tailer {
    /// Looks at what was reported, and at what is due to be looked at.
    pub(super) fn notice(&mut self, now: Instant) -> Result<(), Error> {
        let changes = self.wake.changes();
        for path in changes.paths {
            self.reported(&path, now)?;
        }
        if changes.rescan {
            self.next_scan = now;
        }
        if now >= self.next_scan {
            let begun = Instant::now();
            self.scan(now)?;
            let pause = (begun.elapsed() * SCAN_SHARE).max(self.times.scan);
            self.next_scan = now + pause;
        }
        if now >= self.next_poll {
            self.next_poll = now + self.times.poll;
            self.poll(now)?;
        }
        Ok(())
    }

    fn reported(&mut self, path: &Path, now: Instant) -> Result<(), Error> {
        let ids = self.table.by_path(path);
        for &id in &ids {
            if self.table.files.contains_key(&id) {
                self.look(id, now)?;
            }
        }
        for source in 0..self.sources.len() {
            let known = ids.iter().any(|id| {
                self.table.files.get(id).is_some_and(|f| {
                    f.source == source && f.stage == Stage::Live && f.shown == path
                })
            });
            if !known && self.sources[source].globs.matches(path) {
                self.arrive(source, path, now)?;
            }
            if ids.is_empty() {
                self.hurry(source, path, now);
            }
        }
        Ok(())
    }

    /// A copy is being made of a file: it may be truncated any moment, so what comes is not gathered.
    fn hurry(&mut self, source: usize, path: &Path, now: Instant) {
        for original in self.originals(source, path) {
            self.hasty_until = Some(now + HASTE);
            self.mark(original);
        }
    }

    fn poll(&mut self, now: Instant) -> Result<(), Error> {
        if self.to_poll.is_empty() {
            self.to_poll = self.table.files.keys().copied().collect();
        }
        let most = if self.wake.watches() { POLLED_MAX } else { POLLED_UNWATCHED_MAX };
        let from = self.to_poll.len().saturating_sub(most);
        for id in self.to_poll.split_off(from) {
            self.look(id, now)?;
        }
        Ok(())
    }

    /// Walks all globs.
    fn scan(&mut self, now: Instant) -> Result<(), Error> {
        let mut later = Vec::new();
        self.resume_elsewhere(now)?;
        for source in 0..self.sources.len() {
            let mut found = Sights::default();
            if !self.sources[source].globs.walk(&mut found) {
                let message = "too many files below its globs: not all are read".to_owned();
                self.problem(Some(source), PathBuf::new(), message);
            }
            for folder in found.folders {
                self.mended(&folder);
                if let Err(e) = self.wake.watch(&folder) {
                    let message = format!("cannot be watched, polling: {e}");
                    self.problem(Some(source), folder, message);
                }
            }
            for (path, error) in found.problems {
                self.problem(Some(source), path, error.to_string());
            }
            for (path, inode) in found.files {
                if self.is_settled(source, &path, inode) {
                    continue;
                }
                // Files that are known by their inode first, so that nothing new is taken for them.
                match fs::metadata(&path).map(|meta| Inode::of(&meta)) {
                    Ok(inode) if self.table.by_inode(source, inode).is_none() => {
                        later.push((source, path));
                    }
                    _ => self.arrive(source, &path, now)?,
                }
            }
        }
        for (source, path) in later {
            self.arrive(source, &path, now)?;
        }
        self.settle_unplaced(now)?;
        self.look_at_done(now)?;
        self.scanned_once = true;
        Ok(())
    }

    /// Whether the walk tells nothing new about this path.
    fn is_settled(&self, source: usize, path: &Path, inode: Option<u64>) -> bool {
        let Some(inode) = inode else { return false };
        self.table.by_path(path).iter().any(|id| {
            self.table.files.get(id).is_some_and(|f| {
                f.source == source
                    && f.position.inode == inode
                    && f.position.path == path
                    && f.body.is_some()
            })
        })
    }

    /// A finished file goes on when it grows after all; one that is gone need not be recognised any more.
    fn look_at_done(&mut self, now: Instant) -> Result<(), Error> {
        let ids: Vec<_> = self.table.done.keys().copied().collect();
        for id in ids {
            let Some(resting) = self.table.done.get(&id) else { continue };
            let position = &resting.position;
            let path = &position.path;
            let Some(folder) = path.parent() else { continue };
            match fs::metadata(path) {
                Ok(meta) if Inode::of(&meta) == Inode::of_position(position) => {
                    if meta.len() != position.offset && !is_compressed(path) {
                        let path = path.clone();
                        self.revive(id, &path, &meta, now)?;
                    }
                }
                Err(e) if e.kind() != io::ErrorKind::NotFound || !folder.is_dir() => {}
                _ => match rotated::place_of(position.inode, path) {
                    Some(place) => self.table.set_path(id, place),
                    None => self.table.forget(id),
                },
            }
        }
        Ok(())
    }
}
