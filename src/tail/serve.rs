//! A file's share of a turn: windows are read, lines offered, truncation noticed.

use std::{io, time::Instant};

use super::{
    Chunk, Flush,
    body::Body,
    follow::{Follow, Outcome, Share},
    identity::{Head, TAIL_BYTES, hash, read_head},
    lines::{self, LINE_BYTES_MAX, OPEN_BYTES_MAX},
};

/// How much one file may hand out in one turn.
const TURN_BYTES: usize = 1 << 20;
/// Size of one read: small enough to stay in the cache until the lines in it are parsed.
const READ_BYTES: usize = 256 << 10;

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
    /// Reads and offers lines until the turn's share is used up or there are none. The body must be open.
    pub(super) fn serve(&mut self, turn: &mut Share<'_>) -> io::Result<Outcome> {
        let Some(mut head) = self.check_head()? else { return Ok(Outcome::Changed) };
        if self.position.offset == 0 {
            self.skip_hole(turn)?;
        }
        let size = self.size;
        let (mut budget, mut reach, mut force) = (TURN_BYTES, READ_BYTES, false);
        while budget > 0 {
            let Some(window) = self.window(turn, reach)? else { return Ok(Outcome::Changed) };
            self.proved = self.proved.max(size).max(self.seen_end);
            if let Some(start) = head.take() {
                // Only now: a short old head may fit by chance what was rewritten.
                turn.changed |= self.learn_head(&start);
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

    /// A writer that does not append goes on where it was after its file was truncated, and leaves a hole before
    /// it: gigabytes of zeros that nobody wrote. They are no line, and not read.
    fn skip_hole(&mut self, turn: &mut Share<'_>) -> io::Result<()> {
        let (None, Some(body)) = (&self.rest, &mut self.body) else { return Ok(()) };
        let mut first = [1];
        if body.read_at(0, &mut first)? == 0 || first[0] != 0 {
            return Ok(());
        }
        let Some(mut at) = body.after_hole()? else { return Ok(()) };
        // The hole ends with a block, what was written begins inside one.
        let mut block = [0; 4096];
        let read = body.read_at(at, &mut block)?;
        at += block[..read].iter().take_while(|&&byte| byte == 0).count() as u64;
        self.jump(at)?;
        self.saw(at, turn.now);
        turn.changed = true;
        Ok(())
    }

    /// Whether the head is what it was: `None` if not, else the head where there is one to look at.
    fn check_head(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let (None, Some(body @ Body::Plain(_))) = (&self.rest, &mut self.body) else {
            return Ok(Some(None));
        };
        let start = read_head(body)?;
        Ok(Head::of_position(&self.position).fits(&start).then_some(Some(start)))
    }

    /// Takes the fingerprints of a head that fits. `true`: the position's is wider than before.
    pub(super) fn learn_head(&mut self, start: &[u8]) -> bool {
        let known = Head::of_position(&self.position);
        let widest = Head::of(start);
        if self.heads.is_empty() || widest.bytes > known.bytes {
            self.heads = Head::levels(start).collect();
        }
        if widest.bytes > known.bytes {
            (self.position.head_bytes, self.position.head_hash) = (widest.bytes, widest.hash);
        }
        widest.bytes > known.bytes
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
