//! One file being read: window by window, lines handed out, truncation noticed.
//!
//! Nothing but `kept` is held between turns. Each window begins up to 256 bytes *before* the position, so that
//! the very read that brings new bytes also proves that the old ones are still there; what was read and not yet
//! consumed is compared as well. A file that fails this was truncated or rewritten since.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Chunk, FileId, Position, Taken,
    body::{Body, Memory},
    identity::{Head, Inode},
};
use crate::event::Time;

/// How long a file that gets no more lines is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Its path leads to it.
    Live,
    /// It was renamed away; its writer may still hold it open.
    Renamed(Instant),
    /// It has no name any more: only who holds it open can see what is written to it.
    Deleted(Instant),
    /// A compressed copy: nothing is ever added.
    Archive,
}

/// What a turn with one file came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// There is more to read.
    More,
    /// Read to its present end.
    CaughtUp,
    /// Complete records were offered and left: the agent is about to stop.
    Refused,
    /// The bytes before the position are not what they were.
    Changed,
    /// It got its [`Flush::End`], or had nothing left to get one for.
    Ended,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a continuation of the last record.
    pub(super) record: Duration,
    /// For late lines in a renamed file.
    pub(super) renamed: Duration,
    /// For late lines in a deleted file.
    pub(super) deleted: Duration,
}

/// The end of an older generation, found outside the file after a truncation and read first.
pub(super) struct Rest {
    pub(super) body: Body,
}

/// What a file was before it was truncated.
pub(super) struct Past {
    pub(super) heads: Vec<Head>,
    pub(super) size: u64,
}

/// A file that is being read.
pub(super) struct Follow {
    pub(super) source: usize,
    pub(super) position: Position,
    /// The path that its source's globs found it by; what events name.
    pub(super) shown: PathBuf,
    /// Where the links in `shown` led when it was found, if anywhere else.
    pub(super) real: Option<PathBuf>,
    /// `None`: closed, because it is idle and others need the handle, or because it could not be read.
    pub(super) body: Option<Body>,
    pub(super) rest: Option<Rest>,
    pub(super) stage: Stage,
    /// Size when last looked at; of several looks since it was last read, the greatest.
    pub(super) size: u64,
    /// Size that it had when its bytes were last proved to be what they were.
    pub(super) proved: u64,
    /// Last change when last looked at.
    pub(super) modified: Time,
    /// Fingerprints of the head, also the narrower ones: by them a copy is known.
    pub(super) heads: Vec<Head>,
    /// Its last generation.
    pub(super) past: Option<Past>,
    /// Nothing of it was read: it may yet turn out to be a copy.
    pub(super) is_new: bool,
    /// When bytes were last added.
    pub(super) grown: Instant,
    /// Number of the turn that served it last.
    pub(super) served: u64,
    /// Up to 256 bytes before the position, then the bytes after it that were read and not consumed.
    pub(super) kept: Vec<u8>,
    /// How many bytes of `kept` lie before the position.
    pub(super) kept_tail: usize,
    /// Complete lines after the position that were offered and left.
    pub(super) offered: usize,
    /// [`Flush::Idle`] was said since the last growth.
    pub(super) idle_said: bool,
    /// End of what was seen.
    pub(super) seen_end: u64,
    /// An over-long line has no newline before this offset.
    pub(super) scanned: u64,
}

/// What a file needs for its share of a turn.
pub(super) struct Share<'t> {
    pub(super) now: Instant,
    pub(super) patience: Patience,
    /// One buffer for all files.
    pub(super) work: &'t mut Vec<u8>,
    pub(super) take: &'t mut dyn FnMut(Chunk<'_>) -> Taken,
    /// Chunks handed out.
    pub(super) chunks: usize,
    /// The position is another than before.
    pub(super) changed: bool,
}

impl Follow {
    pub(super) fn new(source: usize, position: Position, shown: PathBuf, now: Instant) -> Self {
        Self {
            source,
            shown,
            real: None,
            body: None,
            rest: None,
            stage: Stage::Live,
            size: 0,
            proved: 0,
            modified: Time::default(),
            heads: Vec::new(),
            past: None,
            is_new: false,
            grown: now,
            served: 0,
            kept: Vec::new(),
            kept_tail: 0,
            offered: 0,
            idle_said: false,
            seen_end: position.offset,
            scanned: 0,
            position,
        }
    }

    pub(super) fn id(&self) -> FileId {
        self.position.file
    }

    pub(super) fn inode(&self) -> Inode {
        Inode::of_position(&self.position)
    }

    /// End of the bytes that are at hand even if the file goes.
    pub(super) fn held_end(&self) -> u64 {
        self.position.offset + (self.kept.len() - self.kept_tail) as u64
    }

    /// Bytes behind the position that were read.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept[self.kept_tail..]
    }

    /// Bytes that are kept between turns.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept.capacity()
    }

    /// Gives the kept bytes up; they are read again.
    pub(super) fn drop_kept(&mut self) {
        self.kept = Vec::new();
        self.kept_tail = 0;
    }

    /// Whether bytes may be left that no turn has seen.
    pub(super) fn behind(&self) -> bool {
        self.rest.is_some() || self.size > self.seen_end
    }

    /// Bytes that are not consumed.
    pub(super) fn lag(&self) -> u64 {
        self.size.saturating_sub(self.position.offset)
    }

    /// What was just measured. `true`: it should get a turn.
    pub(super) fn measure(&mut self, size: u64, modified: Time) -> bool {
        let woken = size != self.seen_end || modified != self.modified;
        // Of a file that shrank the former size says how much may be lost.
        self.size = self.size.max(size);
        self.modified = modified;
        woken && self.rest.is_none()
    }

    /// After it was read to its end: bytes that it had, were not read, and are gone.
    pub(super) fn shrunk(&mut self) -> u64 {
        if self.rest.is_some() || self.stage == Stage::Archive {
            return 0;
        }
        let gone = self.size.saturating_sub(self.seen_end);
        (self.size, self.proved) = (self.seen_end, self.seen_end);
        gone
    }

    /// When it needs a turn although nothing was added.
    pub(super) fn due(&self, patience: Patience) -> Option<Instant> {
        let record = (self.offered > 0 && !self.idle_said).then(|| self.grown + patience.record);
        let end = self.end_due(patience);
        [record, end].into_iter().flatten().min()
    }

    pub(super) fn end_due(&self, patience: Patience) -> Option<Instant> {
        match self.stage {
            Stage::Live if self.rest.is_none() => None,
            Stage::Live | Stage::Archive => Some(self.grown),
            Stage::Renamed(since) => Some(since.max(self.grown) + patience.renamed),
            Stage::Deleted(since) => Some(since.max(self.grown) + patience.deleted),
        }
    }

    /// The next generation begins at the file's first byte.
    pub(super) fn renew(&mut self, now: Instant) {
        self.position.generation += 1;
        self.position.layout = None;
        self.position.offset = 0;
        (self.position.tail_bytes, self.position.tail_hash) = (0, 0);
        (self.position.head_bytes, self.position.head_hash) = (0, 0);
        self.past = Some(Past { heads: std::mem::take(&mut self.heads), size: self.proved });
        self.rest = None;
        self.drop_kept();
        (self.offered, self.scanned) = (0, 0);
        (self.seen_end, self.size, self.proved) = (0, 0, 0);
        (self.grown, self.idle_said) = (now, false);
    }

    /// What was read of a file that no longer has it.
    pub(super) fn take_kept(&mut self) -> Option<Rest> {
        if self.kept.len() == self.kept_tail {
            return None;
        }
        let start = self.position.offset - self.kept_tail as u64;
        let bytes = std::mem::take(&mut self.kept);
        self.kept_tail = 0;
        Some(Rest { body: Body::Memory(Memory { start, bytes }) })
    }
}
