//! What the spool remembers beside events: how far each file is, the books, and which sequences are gone. Pure.
//!
//! A position's entry, then the books' (after the last frame, not the change: a lost frame takes no count with it):
//! ```text
//! position: flags u8 (1 finished, 2 layout, 4 forgotten: then only the file), file 16 bytes, source, path (varint length, bytes),
//!           device, inode, generation, offset, from, head bytes, tail bytes (varints), head hash, tail hash (u64), [layout]
//! books:    read, generated, lost, dropped before (varints), reasons (varint; name, varint each),
//!           lost ranges, holes (for each: varint; first, length varints each)
//! ```
//! `from` is where the file stood before the frame: a frame whose `from` lies beyond what is known tells which bytes of
//! the file an earlier, lost frame had covered.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use super::bytes::{Bytes, Damage, put_bytes, put_varint};
use crate::{
    spool::{Books, Range, Sequence},
    tail::{FileId, Position},
};

/// Most files whose position is kept; of those beyond, finished ones go first.
pub(crate) const POSITIONS_MAX: usize = 65_536;
/// Most reasons for drops that are written: those counted apart, and the others.
const REASONS_MAX: usize = 257;
/// Most lost ranges that are remembered one by one.
const RANGES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 1024;
const PATH_BYTES_MAX: usize = 16 << 10;

const FINISHED: u8 = 1;
const LAYOUT: u8 = 2;
const FORGOTTEN: u8 = 4;

/// Sequences that hold nothing any more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ledger {
    /// Segments below this sequence were removed because the spool was full.
    pub(crate) dropped_before: u64,
    /// Ranges found damaged, already counted in [`Books::lost`].
    pub(crate) lost: Vec<Range>,
    /// Ranges that were skipped when the spool was opened and never held an event.
    pub(crate) holes: Vec<Range>,
}

impl Ledger {
    /// How many of these sequences never held an event.
    pub(crate) fn holes_in(&self, range: Range) -> u64 {
        self.holes.iter().map(|hole| hole.and(range).len()).sum()
    }
}

/// Everything that a snapshot holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct State {
    known: BTreeMap<FileId, Known>,
    touched: u64,
    pub(crate) books: Books,
    pub(crate) ledger: Ledger,
}

#[derive(Clone, PartialEq, Debug)]
struct Known {
    position: Position,
    touched: u64,
}

/// A change of one file's position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Moved { position: Position, from: u64 },
    Forgotten(FileId),
}

/// Bytes of a file that a lost frame had covered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unread {
    /// The file as it was known before.
    pub position: Position,
    /// Where it was read on after the lost frame.
    pub to: u64,
    /// Some events of these bytes are in the spool: only a frame among several of one append was lost.
    pub partly: bool,
}

impl State {
    /// All positions, the longest untouched first.
    pub(crate) fn positions(&self) -> Vec<Position> {
        let mut known: Vec<_> = self.known.values().collect();
        known.sort_by_key(|known| known.touched);
        known.into_iter().map(|known| known.position.clone()).collect()
    }

    /// Where the spool has a file's present generation.
    pub(crate) fn offset(&self, file: FileId, generation: u32) -> u64 {
        match self.known.get(&file) {
            Some(known) if known.position.generation == generation => known.position.offset,
            _ => 0,
        }
    }

    pub(crate) fn moved(&mut self, position: Position) {
        self.touched += 1;
        let known = Known { position, touched: self.touched };
        match self.known.entry(known.position.file) {
            Entry::Occupied(mut entry) => *entry.get_mut() = known,
            Entry::Vacant(entry) => {
                entry.insert(known);
                self.bound();
            }
        }
    }

    pub(crate) fn forget(&mut self, file: FileId) {
        self.known.remove(&file);
    }

    /// Notes that a range is lost. False when that was known.
    pub(crate) fn lose(&mut self, range: Range) -> bool {
        let known = |lost: &Range| !lost.and(range).is_empty();
        if range.is_empty() || self.ledger.lost.iter().any(known) {
            return false;
        }
        self.books.lost += range.len();
        remember(&mut self.ledger.lost, range);
        true
    }

    /// Notes sequences that no event will have.
    pub(crate) fn skip(&mut self, range: Range) {
        remember(&mut self.ledger.holes, range);
    }

    /// Takes a change from a frame; says what an earlier frame, or with `torn` a part of this append, must have covered.
    fn apply(&mut self, change: Change, torn: bool) -> Option<Unread> {
        let (position, from) = match change {
            Change::Moved { position, from } => (position, from),
            Change::Forgotten(file) => {
                self.forget(file);
                return None;
            }
        };
        let known = self.known.get(&position.file).map(|known| &known.position);
        let before = match known {
            Some(known) if known.generation == position.generation => known.clone(),
            _ => Position { offset: 0, ..position.clone() },
        };
        let to = if torn { position.offset } else { from };
        self.moved(position);
        (before.offset < to).then_some(Unread { position: before, to, partly: torn })
    }

    fn bound(&mut self) {
        if self.known.len() <= POSITIONS_MAX {
            return;
        }
        // Many at once, so that the next thousand files cost nothing.
        let mut order: Vec<_> = self.known.values().collect();
        order.sort_by_key(|known| (!known.position.finished, known.touched));
        let gone: Vec<_> =
            order.iter().take(POSITIONS_MAX / 16).map(|known| known.position.file).collect();
        for file in gone {
            self.known.remove(&file);
        }
    }

    /// Takes the positions and books of a frame. Reads all before it changes anything.
    pub(crate) fn fold(
        &mut self,
        torn: bool,
        positions: &[u8],
        books: &[u8],
    ) -> Result<Vec<Unread>, Damage> {
        let mut changes = Vec::new();
        let mut rest = Bytes(positions);
        while !rest.is_empty() {
            changes.push(change(&mut rest)?);
        }
        let books = if books.is_empty() { None } else { Some(read_books(Bytes(books))?) };
        let mut unread = Vec::new();
        for change in changes {
            unread.extend(self.apply(change, torn));
        }
        if let Some((books, ledger)) = books {
            (self.books, self.ledger) = (books, ledger);
        }
        Ok(unread)
    }
}

/// Adds a range; of very many the oldest is forgotten.
fn remember(ranges: &mut Vec<Range>, range: Range) {
    if ranges.len() >= RANGES_MAX {
        ranges.remove(0);
    }
    ranges.push(range);
}

/// Writes a position's entry.
pub(crate) fn put_position(out: &mut Vec<u8>, position: &Position, from: u64) {
    let Position {
        file,
        source,
        path,
        device,
        inode,
        generation,
        offset,
        head_bytes,
        head_hash,
        tail_bytes,
        tail_hash,
        layout,
        finished,
    } = position;
    out.push(u8::from(*finished) * FINISHED + u8::from(layout.is_some()) * LAYOUT);
    out.extend_from_slice(&file.0);
    put_bytes(out, cut(source).as_bytes());
    let path = path.as_os_str().as_bytes();
    put_bytes(out, &path[..path.len().min(PATH_BYTES_MAX)]);
    let generation = u64::from(*generation);
    for number in [*device, *inode, generation, *offset, from, u64::from(*head_bytes)] {
        put_varint(out, number);
    }
    put_varint(out, u64::from(*tail_bytes));
    out.extend_from_slice(&head_hash.to_le_bytes());
    out.extend_from_slice(&tail_hash.to_le_bytes());
    if let Some(layout) = layout {
        put_bytes(out, cut(layout).as_bytes());
    }
}

/// Names come from the configuration and paths from the kernel, which have lower limits; what is longer would be refused
/// on its way back.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

/// Writes that a file is known no longer.
pub(crate) fn put_forgotten(out: &mut Vec<u8>, file: FileId) {
    out.push(FORGOTTEN);
    out.extend_from_slice(&file.0);
}

fn change(bytes: &mut Bytes<'_>) -> Result<Change, Damage> {
    let flags = bytes.byte()?;
    let file = FileId(bytes.array()?);
    if flags == FORGOTTEN {
        return Ok(Change::Forgotten(file));
    }
    if flags & !(FINISHED | LAYOUT) != 0 {
        return Err(Damage("a position has unknown flags"));
    }
    let mut position = Position {
        file,
        source: bytes.text(NAME_BYTES_MAX)?.to_owned(),
        path: Path::new(OsStr::from_bytes(bytes.bytes(PATH_BYTES_MAX)?)).to_owned(),
        device: bytes.varint()?,
        inode: bytes.varint()?,
        generation: bytes.small()?,
        offset: bytes.varint()?,
        finished: flags & FINISHED != 0,
        ..Position::default()
    };
    let from = bytes.varint()?;
    position.head_bytes = bytes.small()?;
    position.tail_bytes = bytes.small()?;
    position.head_hash = u64::from_le_bytes(bytes.array()?);
    position.tail_hash = u64::from_le_bytes(bytes.array()?);
    if flags & LAYOUT != 0 {
        position.layout = Some(bytes.text(NAME_BYTES_MAX)?.to_owned());
    }
    Ok(Change::Moved { position, from })
}

/// Writes the books' entry.
pub(crate) fn put_books(out: &mut Vec<u8>, books: &Books, ledger: &Ledger) {
    let Books { read, generated, dropped, lost } = books;
    for number in [*read, *generated, *lost, ledger.dropped_before] {
        put_varint(out, number);
    }
    put_varint(out, dropped.len().min(REASONS_MAX) as u64);
    for (reason, count) in dropped.iter().take(REASONS_MAX) {
        put_bytes(out, cut(reason).as_bytes());
        put_varint(out, *count);
    }
    for ranges in [&ledger.lost, &ledger.holes] {
        put_varint(out, ranges.len() as u64);
        for range in ranges {
            put_varint(out, range.first.0);
            put_varint(out, range.len());
        }
    }
}

fn read_books(mut bytes: Bytes<'_>) -> Result<(Books, Ledger), Damage> {
    let mut books = Books {
        read: bytes.varint()?,
        generated: bytes.varint()?,
        lost: bytes.varint()?,
        ..Books::default()
    };
    let mut ledger = Ledger { dropped_before: bytes.varint()?, ..Ledger::default() };
    for _ in 0..bytes.small::<u16>()? {
        let reason = bytes.text(NAME_BYTES_MAX)?.to_owned();
        books.dropped.insert(reason, bytes.varint()?);
    }
    ledger.lost = read_ranges(&mut bytes)?;
    ledger.holes = read_ranges(&mut bytes)?;
    if bytes.is_empty() { Ok((books, ledger)) } else { Err(Damage("the books are too long")) }
}

fn read_ranges(bytes: &mut Bytes<'_>) -> Result<Vec<Range>, Damage> {
    let mut ranges = Vec::new();
    for _ in 0..bytes.small::<u16>()? {
        let first = bytes.varint()?;
        let next = first.checked_add(bytes.varint()?).ok_or(Damage("a range is impossible"))?;
        ranges.push(Range { first: Sequence(first), next: Sequence(next) });
    }
    Ok(ranges)
}
