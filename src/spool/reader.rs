//! Hands a courier the events from its cursor on. Each courier has one: own place, own file handle.
//!
//! A reader stops at the last appended frame and sees more as soon as it is there. It hands over every sequence once, in order,
//! or says in an error which it cannot hand over and why; only holes, which never held an event, pass without a word. Every byte goes
//! through the frame's checksum, and every event through the decoder's checks.

use std::{
    io,
    ops::Range as Bounds,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Batch, Cause, Error, Gap, Range, Sequence,
    bytes::{Bytes, Damage},
    codec,
    disk::{DiskFile, Mode, read_full},
    frame::{self, Header, Sections},
    segment::{self, Unreadable},
    shared::{Place, Segment, Shared, hold},
    walk::{Bad, Step, Walk},
};
use crate::{
    event::{Event, Tables},
    guard::Shippable,
};

/// Most events of a batch for which memory is taken at once.
const RESERVE_MAX: usize = 4096;

/// A place in the spool.
pub struct Reader {
    shared: Arc<Shared>,
    /// The sequence to be handed over next.
    next: u64,
    open: Option<Open>,
    /// The unpacked payload of the frame in hand.
    raw: Vec<u8>,
    /// What of it is still to be handed over.
    rest: Bounds<usize>,
    /// Found, and to be said once the events before it are handed over.
    gap: Option<Gap>,
}

/// The segment in hand.
struct Open {
    serial: u64,
    path: Arc<Path>,
    walk: Walk,
    tables: Arc<Tables>,
    /// Damage whose extent is not known yet: what comes next shows which sequences it held.
    bad: Option<Bad>,
}

/// What there is after the frame in hand.
enum Ahead {
    /// Another frame was taken in hand, with so many events.
    Frame(usize),
    /// Nothing yet.
    Nothing,
    /// Another segment is to be opened; it ends before this sequence.
    Segment(Segment, u64),
    /// Sequences that cannot be handed over.
    Gap(Gap),
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>, from: Sequence) -> Self {
        Self { shared, next: from.0.max(1), open: None, raw: Vec::new(), rest: 0..0, gap: None }
    }

    /// The sequence that the next call begins with.
    #[must_use]
    pub fn position(&self) -> Sequence {
        Sequence(self.next)
    }

    /// Goes to another sequence, usually back to what has to be sent again.
    pub fn seek(&mut self, to: Sequence) {
        (self.open, self.rest, self.gap) = (None, 0..0, None);
        self.next = to.0.max(1);
    }

    /// The next events, at most so many and about so many bytes as stored, but at least one. `None`: nothing new.
    ///
    /// An [`Error::Gap`] is said once: count it, and call again to read on behind it. After any other error the
    /// same place is tried again.
    pub fn next(&mut self, events_max: usize, bytes_max: usize) -> Result<Option<Batch>, Error> {
        let mut events = Vec::new();
        let mut tables = None;
        let mut bytes = 0;
        while self.gap.is_none() && events.len() < events_max.max(1) && bytes < bytes_max.max(1) {
            if let Some((of, event, size)) = self.take_event() {
                events.push(event);
                tables.get_or_insert(of);
                bytes += size;
                continue;
            }
            match self.ahead() {
                Ok(Ahead::Frame(count)) => events.reserve(count.min(events_max).min(RESERVE_MAX)),
                Ok(Ahead::Nothing) => break,
                Ok(Ahead::Gap(gap)) => self.gap = Some(gap),
                // A batch has one set of tables.
                Ok(Ahead::Segment(..)) if !events.is_empty() => break,
                Ok(Ahead::Segment(segment, end)) => self.enter(segment, end)?,
                Err(_) if !events.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        if let Some(tables) = tables {
            return Ok(Some(Batch { tables, events, next: Sequence(self.next) }));
        }
        let Some(gap) = self.gap.take() else { return Ok(None) };
        self.next = gap.range.next.0;
        Err(Error::Gap(gap))
    }

    /// The next event of the frame in hand. One that does not decode becomes a gap.
    #[expect(
        clippy::type_complexity,
        reason = "an event, its tables and its size, taken apart at once"
    )]
    fn take_event(&mut self) -> Option<(Arc<Tables>, (Sequence, Event<Shippable>), usize)> {
        let open = self.open.as_ref().filter(|_| !self.rest.is_empty() && self.gap.is_none())?;
        let mut bytes = Bytes(&self.raw[self.rest.clone()]);
        let decoded = codec::next_event(&mut bytes)
            .and_then(|event| Ok((codec::event(event, &open.tables)?, event.len())));
        self.rest.start = self.rest.end - bytes.0.len();
        match decoded {
            Ok((event, size)) => {
                let sequence = Sequence(self.next);
                self.next += 1;
                Some((open.tables.clone(), (sequence, event), size))
            }
            Err(why) => {
                let at = open.walk.at();
                self.gap = Some(self.damage(self.next + 1, why.0, at..at));
                None
            }
        }
    }

    fn ahead(&mut self) -> Result<Ahead, Error> {
        let place = hold(&self.shared.index).locate(self.next);
        let (segment, after, published) = match place {
            None => return Ok(Ahead::Nothing),
            Some(Place::Before(oldest)) => return Ok(Ahead::Gap(self.before(oldest))),
            Some(Place::In { segment, after, next }) => (segment, after, next),
        };
        let end = after.map_or(published, |(follows, _)| follows);
        if self.next >= end {
            // Nothing of ours is left in it. A hole may lie before the next one.
            let hole = after.filter(|(_, first)| self.next < *first);
            let Some((_, first)) = hole else { return Ok(Ahead::Nothing) };
            self.next = first;
            return self.ahead();
        }
        if self.open.as_ref().is_none_or(|open| open.serial != segment.serial) {
            return Ok(Ahead::Segment(segment, end));
        }
        if let Some(ahead) = self.frame(segment.bytes)? {
            return Ok(ahead);
        }
        let bad = self.open.as_mut().and_then(|open| open.bad.take());
        Ok(Ahead::Gap(match bad {
            Some(bad) => self.damage(end, bad.why.0, bad.at..bad.to),
            None => self.missing(end),
        }))
    }

    /// Takes the next frame with events for us in hand. `None` at the end of the segment.
    fn frame(&mut self, end: u64) -> Result<Option<Ahead>, Error> {
        loop {
            let Some(open) = &mut self.open else { return Ok(None) };
            let (header, at) = match open.walk.next(end).map_err(Error::io("read", &*open.path))? {
                Step::End => return Ok(None),
                Step::Bad(bad) => {
                    open.bad.get_or_insert(bad).to = bad.to;
                    continue;
                }
                Step::Frame { header, at } => (header, at),
            };
            let unpacked = frame::unpack(&header, open.walk.body(), &mut self.raw)
                .and_then(|()| Sections::find(&self.raw))
                .and_then(|sections| skip(&self.raw, sections.events, &header, self.next));
            match unpacked {
                Err(why) => {
                    let to = at + header.bytes();
                    open.bad.get_or_insert(Bad { at, to, why }).to = to;
                }
                Ok(events) => {
                    if let Some(ahead) = self.take_frame(&header, events) {
                        return Ok(Some(ahead));
                    }
                }
            }
        }
    }

    /// A good frame: settles what was bad before it.
    fn take_frame(&mut self, header: &Header, events: Bounds<usize>) -> Option<Ahead> {
        let bad = self.open.as_mut().and_then(|open| open.bad.take());
        if header.first > self.next {
            self.rest = events;
            return Some(Ahead::Gap(match bad {
                Some(bad) => self.damage(header.first, bad.why.0, bad.at..bad.to),
                None => self.missing(header.first),
            }));
        }
        if let Some(bad) = bad.filter(|_| header.first == self.next) {
            // It held no events, or they are behind us.
            self.damage(self.next, bad.why.0, bad.at..bad.to);
        }
        self.rest = events;
        (header.next() > self.next).then_some(Ahead::Frame(header.events as usize))
    }

    fn enter(&mut self, segment: Segment, end: u64) -> Result<(), Error> {
        (self.open, self.rest) = (None, 0..0);
        let file = match self.shared.disk.open(&segment.path, Mode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Released or dropped a moment ago: the index knows by now. Otherwise somebody took it.
                let listed =
                    hold(&self.shared.index).segments.iter().any(|s| s.serial == segment.serial);
                if listed {
                    self.gap = Some(self.missing(end));
                }
                return Ok(());
            }
            Err(error) => return Err(Error::io("open", &*segment.path)(error)),
        };
        match self.open_tables(&file, &segment.path)? {
            Ok((header, tables)) => {
                let walk = Walk::new(file, segment::salt(header.first), header.bytes());
                let (serial, path) = (segment.serial, segment.path);
                self.open = Some(Open { serial, path, walk, tables, bad: None });
            }
            Err(why) => self.gap = Some(self.damage_in(end, why.0, segment.path.to_path_buf())),
        }
        Ok(())
    }

    /// The outer error is the disk's, the inner the file's.
    fn open_tables(
        &self,
        file: &Arc<dyn DiskFile>,
        path: &Path,
    ) -> Result<Result<(segment::Header, Arc<Tables>), Damage>, Error> {
        let header = match segment::read_header(&**file) {
            Ok(header) => header,
            Err(Unreadable::Damaged(why)) => return Ok(Err(why)),
            Err(Unreadable::Io(source)) => return Err(Error::io("read", path)(source)),
            Err(Unreadable::TooNew(version)) => {
                let path = path.to_owned();
                return Err(Error::TooNew { path, version, known: segment::FORMAT });
            }
        };
        if let Some(tables) = self.shared.known_tables(&header.tables_hash) {
            return Ok(Ok((header, tables)));
        }
        let mut stored = vec![0; header.tables_stored as usize];
        read_full(&**file, &mut stored, segment::HEADER_BYTES as u64)
            .map_err(Error::io("read", path))?;
        Ok(segment::unpack_tables(&header, &stored).map(|tables| {
            let tables = Arc::new(tables);
            self.shared.remember_tables(header.tables_hash, &tables);
            (header, tables)
        }))
    }

    /// Sequences before the oldest segment.
    fn before(&mut self, oldest: u64) -> Gap {
        self.open = None;
        // Dropped ones are older than those that somebody took: each is said by itself.
        let dropped = hold(&self.shared.state).ledger.dropped_before.min(oldest);
        if self.next < dropped {
            let path = self.shared.folder.clone();
            return self.gap_to(dropped, Cause::DroppedOldest, path, 0);
        }
        self.missing(oldest)
    }

    /// Sequences without a trace. Where recovery knows why, it says so.
    fn missing(&self, next: u64) -> Gap {
        let gap = self.gap_to(next, Cause::Missing, self.shared.folder.clone(), 0);
        self.shared.lost(&gap);
        gap
    }

    fn damage(&self, next: u64, why: &'static str, bytes: Bounds<u64>) -> Gap {
        let path = self.open.as_ref().map_or(PathBuf::new(), |open| open.path.to_path_buf());
        let gap = self.gap_to(next, Cause::Corrupt(why), path, bytes.start);
        if let Some(open) = &self.open {
            self.shared.corrupt(&gap, open.walk.file(), bytes);
        }
        gap
    }

    fn damage_in(&self, next: u64, why: &'static str, path: PathBuf) -> Gap {
        let gap = self.gap_to(next, Cause::Corrupt(why), path, 0);
        self.shared.lost(&gap);
        gap
    }

    fn gap_to(&self, next: u64, cause: Cause, path: PathBuf, offset: u64) -> Gap {
        let range = Range { first: Sequence(self.next), next: Sequence(next) };
        Gap { range, cause, path, offset }
    }
}

/// Leaves out the events of a frame that come before `next`.
fn skip(
    raw: &[u8],
    mut events: Bounds<usize>,
    header: &Header,
    next: u64,
) -> Result<Bounds<usize>, Damage> {
    let before = next.saturating_sub(header.first).min(u64::from(header.events));
    let mut bytes = Bytes(&raw[events.clone()]);
    for _ in 0..before {
        codec::next_event(&mut bytes)?;
    }
    events.start = events.end - bytes.0.len();
    Ok(events)
}
