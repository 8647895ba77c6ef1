//! One file being read: window by window, lines handed out, truncation noticed.
//!
//! Nothing but `kept` is held between turns. Each window begins up to 256 bytes *before* the position, so that
//! the very read that brings new bytes also proves that the old ones are still there; what was read and not yet
//! consumed is compared as well. A file that fails this was truncated or rewritten since.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Chunk, FileId, Flush, Position, Taken,
    body::{Body, Memory},
    identity::{Head, Inode, TAIL_BYTES, hash, read_head},
    lines::{self, LINE_BYTES_MAX, OPEN_BYTES_MAX},
};
use crate::event::Time;

/// How much one file may hand out in one turn.
const TURN_BYTES: usize = 1 << 20;
/// Size of one read: small enough to stay in the cache until the lines in it are parsed.
const READ_BYTES: usize = 256 << 10;

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
    kept: Vec<u8>,
    /// How many bytes of `kept` lie before the position.
    kept_tail: usize,
    /// Complete lines after the position that were offered and left.
    offered: usize,
    /// [`Flush::Idle`] was said since the last growth.
    idle_said: bool,
    /// End of what was seen.
    seen_end: u64,
    /// An over-long line has no newline before this offset.
    scanned: u64,
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

/// Part of a file in the work buffer.
struct Window {
    /// Bytes before the position.
    tail: usize,
    /// Bytes from the position on.
    len: usize,
    /// Nothing follows, for now.
    at_end: bool,
}

/// Lines to offer.
struct Piece {
    bytes: usize,
    flush: Flush,
    /// Set if the last line is cut.
    cut: Option<Cut>,
}

/// What is left out of an over-long line.
struct Cut {
    bytes: u64,
    /// Offset of the next line.
    next: u64,
}

enum Next {
    Offer(Piece),
    /// The window holds no end of a line.
    Stretch,
    Nothing,
}

enum Long {
    Offer(Piece),
    Wait(Outcome),
}

enum LineEnd {
    /// A newline is at this offset.
    Newline(u64),
    /// The file's present end comes first.
    Open(u64),
    /// Not found within this turn's share.
    Far,
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

    fn end_due(&self, patience: Patience) -> Option<Instant> {
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

    /// Reads and offers lines until the turn's share is used up or there are none. The body must be open.
    pub(super) fn serve(&mut self, turn: &mut Share<'_>) -> io::Result<Outcome> {
        let Some(mut head) = self.check_head()? else { return Ok(Outcome::Changed) };
        let size = self.size;
        let (mut budget, mut reach, mut force) = (TURN_BYTES, READ_BYTES, false);
        while budget > 0 {
            let Some(window) = self.window(turn, reach)? else { return Ok(Outcome::Changed) };
            self.proved = self.proved.max(size).max(self.seen_end);
            if let Some(start) = head.take() {
                // Only now: a short old head may fit by chance what was rewritten.
                self.learn_head(&start);
            }
            let piece = match self.next(turn, &window, force) {
                Next::Offer(piece) => piece,
                Next::Nothing => return Ok(self.rested(turn, &window)),
                Next::Stretch if reach == READ_BYTES => {
                    reach = LINE_BYTES_MAX + 1;
                    continue;
                }
                Next::Stretch => match self.long(turn, &mut budget)? {
                    Long::Offer(piece) => piece,
                    Long::Wait(outcome) => return Ok(outcome),
                },
            };
            let consumed = self.offer(&piece, &window, turn)?;
            let all = consumed == piece.bytes;
            match piece.flush {
                Flush::End if all => return Ok(Outcome::Ended),
                _ if window.at_end => return Ok(Outcome::CaughtUp),
                Flush::Idle | Flush::End if !all => return Ok(Outcome::Refused),
                _ => {}
            }
            force = consumed == 0 && self.offered >= OPEN_BYTES_MAX;
            reach = READ_BYTES;
            budget = budget.saturating_sub(consumed.max(READ_BYTES / 4));
        }
        Ok(Outcome::More)
    }

    /// Whether the head is what it was: `None` if not, else the head where there is one to look at.
    fn check_head(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let (None, Some(body @ Body::Plain(_))) = (&self.rest, &mut self.body) else {
            return Ok(Some(None));
        };
        let start = read_head(body)?;
        Ok(Head::of_position(&self.position).fits(&start).then_some(Some(start)))
    }

    /// Takes the fingerprints of a head that fits.
    pub(super) fn learn_head(&mut self, start: &[u8]) {
        let known = Head::of_position(&self.position);
        if self.heads.is_empty() || Head::of(start).bytes > known.bytes {
            self.heads = Head::levels(start).collect();
            let widest = self.heads.last().copied().unwrap_or_default();
            (self.position.head_bytes, self.position.head_hash) = (widest.bytes, widest.hash);
        }
    }

    /// Reads from the position on, `reach` bytes further than was offered. `None`: what is there contradicts
    /// what was read before.
    fn window(&mut self, turn: &mut Share<'_>, reach: usize) -> io::Result<Option<Window>> {
        let tail = usize::try_from(self.position.tail_bytes).unwrap_or(usize::MAX).min(TAIL_BYTES);
        let Some(from) = self.position.offset.checked_sub(tail as u64) else { return Ok(None) };
        let want = tail + self.offered + reach;
        if turn.work.len() < want {
            turn.work.resize(want, 0);
        }
        let read = self.bytes()?.read_at(from, &mut turn.work[..want])?;
        let work = &turn.work[..read];
        let kept = self.kept();
        let same = read >= tail && (tail == 0 || hash(&work[..tail]) == self.position.tail_hash);
        if !same {
            return Ok(None);
        }
        let window = Window { tail, len: read - tail, at_end: read < want };
        let (data, known) = (&work[tail..], kept.len().min(window.len));
        if data[..known] != kept[..known] || (window.at_end && known < kept.len()) {
            return Ok(None);
        }
        self.saw(self.position.offset + window.len as u64, turn.now);
        Ok(Some(window))
    }

    fn bytes(&mut self) -> io::Result<&mut Body> {
        match (&mut self.rest, &mut self.body) {
            (Some(rest), _) => Ok(&mut rest.body),
            (None, Some(body)) => Ok(body),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn saw(&mut self, end: u64, now: Instant) {
        if end > self.seen_end {
            self.seen_end = end;
            self.grown = now;
            self.idle_said = false;
        }
        if self.rest.is_none() {
            self.size = self.size.max(end);
        }
    }

    fn next(&self, turn: &Share<'_>, window: &Window, force: bool) -> Next {
        let data = window.data(turn.work);
        let fresh = data.get(self.offered..).and_then(lines::complete).map(|n| self.offered + n);
        let offer = |bytes, flush| Next::Offer(Piece { bytes, flush, cut: None });
        if window.at_end && self.is_over(turn) && !data.is_empty() {
            return offer(data.len(), Flush::End);
        }
        let waited = window.at_end && turn.now >= self.grown + turn.patience.record;
        if force || (waited && self.offered > 0 && !self.idle_said) {
            return offer(fresh.unwrap_or(self.offered), Flush::Idle);
        }
        match fresh {
            Some(bytes) => offer(bytes, Flush::No),
            None if window.at_end => Next::Nothing,
            None => Next::Stretch,
        }
    }

    fn is_over(&self, turn: &Share<'_>) -> bool {
        self.end_due(turn.patience).is_some_and(|due| turn.now >= due)
    }

    /// Nothing to offer: keeps what was read, or says that the file is done.
    fn rested(&mut self, turn: &Share<'_>, window: &Window) -> Outcome {
        if window.len == 0 && self.is_over(turn) {
            return Outcome::Ended;
        }
        self.keep(turn.work, window, 0);
        Outcome::CaughtUp
    }

    /// A line is longer than may be: looks for its end, then offers its first part.
    fn long(&mut self, turn: &mut Share<'_>, budget: &mut usize) -> io::Result<Long> {
        let first_part = self.offered + LINE_BYTES_MAX;
        let left_out = self.position.offset + first_part as u64;
        let (flush, end, next) = match self.line_end(left_out, turn, budget)? {
            LineEnd::Newline(at) => (Flush::Idle, at, at + 1),
            LineEnd::Open(at) if self.is_over(turn) => (Flush::End, at, at),
            LineEnd::Open(_) => return Ok(Long::Wait(Outcome::CaughtUp)),
            LineEnd::Far => return Ok(Long::Wait(Outcome::More)),
        };
        let Some(window) = self.window(turn, LINE_BYTES_MAX + 1)? else {
            return Ok(Long::Wait(Outcome::Changed));
        };
        turn.work[window.tail + first_part] = b'\n';
        let cut = Some(Cut { bytes: end - left_out, next });
        Ok(Long::Offer(Piece { bytes: first_part + 1, flush, cut }))
    }

    /// Where the line that goes on at `from` ends. Remembers how far it has looked.
    fn line_end(
        &mut self,
        from: u64,
        turn: &mut Share<'_>,
        budget: &mut usize,
    ) -> io::Result<LineEnd> {
        let mut at = from.max(self.scanned);
        while *budget > 0 {
            let read = self.bytes()?.read_at(at, &mut turn.work[..READ_BYTES])?;
            if let Some(found) = memchr::memchr(b'\n', &turn.work[..read]) {
                return Ok(LineEnd::Newline(at + found as u64));
            }
            at += read as u64;
            self.scanned = at;
            self.saw(at, turn.now);
            if read < READ_BYTES {
                return Ok(LineEnd::Open(at));
            }
            *budget = budget.saturating_sub(read);
        }
        Ok(LineEnd::Far)
    }

    fn offer(&mut self, piece: &Piece, window: &Window, turn: &mut Share<'_>) -> io::Result<usize> {
        let taken = (turn.take)(Chunk {
            source: self.source,
            file: self.position.file,
            generation: self.position.generation,
            path: &self.shown,
            modified: self.modified,
            offset: self.position.offset,
            bytes: &window.data(turn.work)[..piece.bytes],
            flush: piece.flush,
            cut: piece.cut.as_ref().map_or(0, |cut| cut.bytes),
            layout: self.position.layout.as_deref(),
        });
        turn.chunks += 1;
        let consumed = taken.bytes.min(piece.bytes);
        turn.changed |= consumed > 0;
        if let Some(layout) = taken.layout {
            turn.changed |= self.position.layout.as_ref() != Some(&layout);
            self.position.layout = Some(layout);
        }
        self.idle_said |= piece.flush == Flush::Idle;
        match &piece.cut {
            Some(cut) if consumed == piece.bytes => self.jump(cut.next)?,
            _ => self.advance(consumed, piece, window, turn.work),
        }
        Ok(consumed)
    }

    /// Moves the position over consumed bytes of the window.
    fn advance(&mut self, consumed: usize, piece: &Piece, window: &Window, work: &[u8]) {
        let complete = if piece.cut.is_some() { self.offered } else { piece.bytes };
        self.offered = complete.saturating_sub(consumed);
        if consumed > 0 {
            self.scanned = 0;
            let at = window.tail + consumed;
            let tail = at.min(TAIL_BYTES);
            self.position.offset += consumed as u64;
            self.position.tail_hash = hash(&work[at - tail..at]);
            self.position.tail_bytes = u32::try_from(tail).unwrap_or(0);
        }
        self.keep(work, window, consumed);
    }

    /// Moves the position over a cut line.
    fn jump(&mut self, next: u64) -> io::Result<()> {
        let length = next.min(TAIL_BYTES as u64);
        let mut tail = [0; TAIL_BYTES];
        let tail = &mut tail[..usize::try_from(length).unwrap_or(0)];
        let read = self.bytes()?.read_at(next - length, tail)?;
        self.position.offset = next;
        // Had the file been truncated this instant, the hash would not fit, and that is then noticed.
        self.position.tail_hash = hash(&tail[..read]);
        self.position.tail_bytes = u32::try_from(length).unwrap_or(0);
        (self.offered, self.scanned) = (0, 0);
        self.drop_kept();
        Ok(())
    }

    /// Keeps what is read and not consumed, so that a truncation cannot take it.
    fn keep(&mut self, work: &[u8], window: &Window, consumed: usize) {
        let (at, end) = (window.tail + consumed, window.tail + window.len);
        if at == end || !window.at_end {
            return self.drop_kept();
        }
        let tail = at.min(TAIL_BYTES);
        self.kept.clear();
        self.kept.extend_from_slice(&work[at - tail..end]);
        self.kept_tail = tail;
    }
}

impl Window {
    fn data<'w>(&self, work: &'w [u8]) -> &'w [u8] {
        &work[self.tail..self.tail + self.len]
    }
}
