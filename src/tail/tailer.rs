//! Turns: wait, look at what changed, hand out lines fairly.
//!
//! A turn serves recently woken files with little to read first, then backlogs in rotation, each at most 1 MiB,
//! so that no backlog holds up another file. Where files are and what became of them is the business of `scan` and what it calls.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Chunk, Error, FileId, FileStatus, Interrupter, Position, Problem, Settings, Taken, Turn,
    copies::Held,
    discover::Globs,
    follow::{Follow, Outcome, Patience, Share, Stage},
    identity::Inode,
    rotated::Owner,
    table::Table,
    wake::Wake,
};
use crate::event::Time;

/// What one turn hands out at most, whole files' shares counted.
const TURN_BYTES: u64 = 4 << 20;
/// A file with more to read than this waits its turn among the backlogs.
const BACKLOG_BYTES: u64 = 1 << 20;
/// Bytes kept in memory for all files together; beyond that they are read again.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// What refused complete records is not asked again before.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// Problems that are remembered as said, at most.
const SAID_MAX: usize = 10_000;
/// Lines that come faster than this are gathered, so that not each costs a turn.
const GATHER: Duration = Duration::from_millis(10);

/// How often to look, and how long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Between looks at known files.
    pub(super) poll: Duration,
    /// Between walks of the globs.
    pub(super) scan: Duration,
    /// For late lines in a renamed file.
    pub(super) renamed: Duration,
    /// For late lines in a deleted file, whose writer may not know.
    pub(super) deleted: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            scan: Duration::from_secs(5),
            renamed: Duration::from_secs(5),
            deleted: Duration::from_secs(30),
        }
    }
}

/// A configured source.
pub(super) struct Source {
    pub(super) settings: Settings,
    pub(super) globs: Globs,
    /// No position of it was known at the start: `start` applies to what the first walk finds.
    pub(super) is_new: bool,
}

/// All files of all sources. One thread owns it.
pub struct Tailer {
    pub(super) sources: Vec<Source>,
    pub(super) table: Table,
    pub(super) wake: Wake,
    pub(super) times: Times,
    pub(super) turn: Turn,
    /// Files that may be open at a time.
    pub(super) open_max: usize,
    pub(super) open: usize,
    pub(super) next_poll: Instant,
    pub(super) next_scan: Instant,
    /// Files yet to be polled in this round.
    pub(super) to_poll: Vec<FileId>,
    pub(super) scanned_once: bool,
    /// Copies that are not read.
    pub(super) held: HashMap<(usize, Inode), Held>,
    /// A file → those that wait until it is read to its end.
    pub(super) waiting: HashMap<FileId, Vec<FileId>>,
    /// How many others a file waits for.
    waits: HashMap<FileId, usize>,
    fresh: VecDeque<FileId>,
    backlog: VecDeque<FileId>,
    queued: HashSet<FileId>,
    due: HashMap<FileId, Instant>,
    said: HashMap<PathBuf, String>,
    work: Vec<u8>,
    kept: usize,
    turns: u64,
    last_served: Option<Instant>,
    pub(super) hasty_until: Option<Instant>,
}

impl Tailer {
    /// Knows the positions; looks at no file before the first turn. Positions of other sources are left alone.
    ///
    /// # Errors
    /// A glob is wrong.
    pub fn new(
        settings: Vec<Settings>,
        positions: Vec<Position>,
        _now: Time,
    ) -> Result<Self, Error> {
        let (wake, error) = Wake::new();
        let mut tailer = Self::with(settings, positions, wake, Times::default())?;
        if let Some(error) = error {
            tailer.problem(
                None,
                PathBuf::new(),
                format!("watching is impossible, polling: {error}"),
            );
        }
        Ok(tailer)
    }

    pub(super) fn with(
        settings: Vec<Settings>,
        positions: Vec<Position>,
        wake: Wake,
        times: Times,
    ) -> Result<Self, Error> {
        let mut table = Table::default();
        let mut sources = Vec::with_capacity(settings.len());
        for settings in settings {
            let globs = Globs::new(&settings)?;
            let is_new = !positions.iter().any(|p| p.source == settings.source);
            sources.push(Source { settings, globs, is_new });
        }
        for position in positions {
            let source = sources.iter().position(|s| s.settings.source == position.source);
            if let Some(source) = source {
                table.remember(source, position);
            }
        }
        let now = Instant::now();
        Ok(Self {
            sources,
            table,
            wake,
            times,
            turn: Turn::default(),
            open_max: super::open_files_max(),
            open: 0,
            next_poll: now,
            next_scan: now,
            to_poll: Vec::new(),
            scanned_once: false,
            held: HashMap::new(),
            waiting: HashMap::new(),
            waits: HashMap::new(),
            fresh: VecDeque::new(),
            backlog: VecDeque::new(),
            queued: HashSet::new(),
            due: HashMap::new(),
            said: HashMap::new(),
            work: Vec::new(),
            kept: 0,
            turns: 0,
            last_served: None,
            hasty_until: None,
        })
    }

    /// Waits up to `wait` for something to read, then hands out chunks; `take` says how much of each it consumed.
    ///
    /// # Errors
    /// The system has no random bytes for a new file's id.
    pub fn turn(
        &mut self,
        wait: Duration,
        take: &mut dyn FnMut(Chunk<'_>) -> Taken,
    ) -> Result<Turn, Error> {
        let until = Instant::now() + wait;
        self.gather(until);
        loop {
            let now = Instant::now();
            let turn = self.step(now, take)?;
            if turn != Turn::default() || now >= until {
                return Ok(turn);
            }
            if self.wake.wait(until.min(self.next_due())) {
                return self.step(Instant::now(), take);
            }
        }
    }

    /// Ends the wait of a turn from another thread.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        self.wake.interrupter()
    }

    /// Positions that moved since the last call: what goes into the spool with the events.
    pub fn positions_changed(&mut self) -> Vec<Position> {
        self.table.take_changed()
    }

    /// Finished files that do not exist any more, since the last call: their positions may go.
    pub fn forgotten(&mut self) -> Vec<FileId> {
        self.table.take_forgotten()
    }

    /// How far each file is read, finished ones left out.
    #[must_use]
    pub fn files(&self) -> Vec<FileStatus> {
        let status = |follow: &Follow| FileStatus {
            source: follow.source,
            file: follow.id(),
            path: follow.position.path.clone(),
            size: follow.size,
            offset: follow.position.offset,
            lag: follow.lag(),
            modified: follow.modified,
            rotated: follow.stage != Stage::Live,
        };
        self.table.files.values().map(status).collect()
    }

    /// One turn without waiting.
    pub(super) fn step(
        &mut self,
        now: Instant,
        take: &mut dyn FnMut(Chunk<'_>) -> Taken,
    ) -> Result<Turn, Error> {
        self.turns += 1;
        self.notice(now)?;
        let due: Vec<_> =
            self.due.iter().filter(|&(_, &at)| at <= now).map(|(&id, _)| id).collect();
        for id in due {
            self.due.remove(&id);
            self.mark(id);
        }
        self.serve(now, take)?;
        self.turn.more = !self.fresh.is_empty() || !self.backlog.is_empty();
        Ok(std::mem::take(&mut self.turn))
    }

    /// When something must be done although nothing changes.
    fn next_due(&self) -> Instant {
        let timers = self.due.values().copied().min();
        timers.into_iter().fold(self.next_poll.min(self.next_scan), Instant::min)
    }

    fn gather(&self, until: Instant) {
        let Some(last) = self.last_served else { return };
        let idle = self.fresh.is_empty() && self.backlog.is_empty();
        let hasty = self.hasty_until.is_some_and(|until| Instant::now() < until);
        let at = (last + GATHER).min(until);
        if idle && !hasty {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
        }
    }

    /// Puts a file into the queue that fits it.
    pub(super) fn mark(&mut self, id: FileId) {
        let Some(follow) = self.table.files.get(&id) else { return };
        if self.waits.contains_key(&id) || !self.queued.insert(id) {
            return;
        }
        let queue = if follow.lag() > BACKLOG_BYTES { &mut self.backlog } else { &mut self.fresh };
        queue.push_back(id);
    }

    /// `id` is not served before `first` is read to its end.
    pub(super) fn wait_for(&mut self, first: FileId, id: FileId) {
        *self.waits.entry(id).or_default() += 1;
        self.waiting.entry(first).or_default().push(id);
    }

    /// Those who wait for this file go on.
    pub(super) fn release(&mut self, id: FileId) {
        for id in self.waiting.remove(&id).unwrap_or_default() {
            let left = self.waits.remove(&id).unwrap_or_default().saturating_sub(1);
            if left > 0 {
                self.waits.insert(id, left);
            }
            self.mark(id);
        }
    }

    fn serve(
        &mut self,
        now: Instant,
        take: &mut dyn FnMut(Chunk<'_>) -> Taken,
    ) -> Result<(), Error> {
        let mut left = TURN_BYTES;
        let mut again = Vec::new();
        // One backlog is served even if the fresh ones alone would fill every turn.
        let guaranteed = self.backlog.pop_front();
        let fresh = std::mem::take(&mut self.fresh);
        let mut order: VecDeque<_> = guaranteed.into_iter().chain(fresh).collect();
        while let Some(id) = order.pop_front().or_else(|| self.backlog.pop_front()) {
            if left == 0 {
                order.push_front(id);
                break;
            }
            self.queued.remove(&id);
            if self.waits.contains_key(&id) {
                continue;
            }
            let before = self.table.files.get(&id).map_or(0, |f| f.position.offset);
            if self.serve_one(id, now, take)? {
                again.push(id);
            }
            let after = self.table.files.get(&id).map_or(before, |f| f.position.offset);
            left = left.saturating_sub(after.saturating_sub(before).max(256));
        }
        order.extend(std::mem::take(&mut self.fresh));
        self.fresh = order;
        again.into_iter().for_each(|id| self.mark(id));
        Ok(())
    }

    /// `true`: there is more to read in it.
    fn serve_one(
        &mut self,
        id: FileId,
        now: Instant,
        take: &mut dyn FnMut(Chunk<'_>) -> Taken,
    ) -> Result<bool, Error> {
        if !self.open(id, now)? {
            return Ok(false);
        }
        let is_new = self.table.files.get(&id).is_some_and(|follow| follow.is_new);
        if is_new && self.hold_copy(id, now)? {
            return Ok(false);
        }
        let Some(follow) = self.table.files.get_mut(&id) else { return Ok(false) };
        let patience = patience(&self.sources[follow.source], self.times);
        let kept = follow.kept_bytes();
        let work = &mut self.work;
        let mut share = Share { now, patience, work, take, chunks: 0, changed: false };
        let outcome = follow.serve(&mut share);
        let (chunks, changed) = (share.chunks, share.changed);
        follow.served = self.turns;
        self.kept = (self.kept + follow.kept_bytes()).saturating_sub(kept);
        if self.kept > KEPT_BYTES_MAX {
            self.kept -= follow.kept_bytes();
            follow.drop_kept();
        }
        if chunks > 0 {
            self.turn.chunks += chunks;
            self.last_served = Some(now);
        }
        if changed {
            self.table.touch(id);
        }
        self.conclude(id, outcome, now)
    }

    fn conclude(
        &mut self,
        id: FileId,
        outcome: std::io::Result<Outcome>,
        now: Instant,
    ) -> Result<bool, Error> {
        if outcome.is_ok()
            && !self.said.is_empty()
            && let Some(follow) = self.table.files.get(&id)
        {
            self.said.remove(&follow.position.path);
        }
        match outcome {
            Ok(Outcome::More) => return Ok(true),
            Ok(Outcome::CaughtUp) => self.caught_up(id),
            Ok(Outcome::Refused) => {
                self.due.insert(id, now + REFUSED_PAUSE);
            }
            Ok(Outcome::Changed) => self.truncated(id, now)?,
            Ok(Outcome::Ended) => self.ended(id, now),
            Err(error) => {
                self.close(id);
                self.release(id);
                if let Some(follow) = self.table.files.get(&id) {
                    let (source, path) = (follow.source, follow.position.path.clone());
                    self.problem(Some(source), path, error.to_string());
                }
            }
        }
        Ok(false)
    }

    fn caught_up(&mut self, id: FileId) {
        let Some(follow) = self.table.files.get_mut(&id) else { return };
        let patience = patience(&self.sources[follow.source], self.times);
        let due = follow.due(patience);
        let gone = follow.shrunk();
        let rotated = follow.stage != Stage::Live;
        if let Some(due) = due {
            self.due.insert(id, due);
        }
        if gone > 0 {
            self.lost(id, gone);
        }
        if rotated {
            self.release(id);
        }
        self.close_idle();
    }

    /// Says a problem, unless it was said already.
    pub(super) fn problem(&mut self, source: Option<usize>, path: PathBuf, message: String) {
        if self.said.get(&path) == Some(&message) {
            return;
        }
        if self.said.len() < SAID_MAX {
            self.said.insert(path.clone(), message.clone());
        }
        self.turn.problems.push(Problem { source, path, message });
    }

    /// What was wrong with this path is over.
    pub(super) fn mended(&mut self, path: &std::path::Path) {
        if !self.said.is_empty() {
            self.said.remove(path);
        }
    }

    /// Whose an inode is, as `id` sees it. A file that nobody has read yet may still be a copy.
    pub(super) fn owner(&self, source: usize, inode: Inode, id: FileId) -> Owner {
        let owner = self.table.by_inode(source, inode).filter(|&owner| owner != id);
        let Some(owner) = owner else { return Owner::Nobody };
        match self.table.files.get(&owner) {
            Some(follow) if !follow.is_new => Owner::Another,
            None if self.table.done.contains_key(&owner) => Owner::Finished,
            Some(_) | None => Owner::Nobody,
        }
    }
}

fn patience(source: &Source, times: Times) -> Patience {
    Patience { record: source.settings.record_wait, renamed: times.renamed, deleted: times.deleted }
}
