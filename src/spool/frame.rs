//! A frame: one checksummed batch. Pure.
//!
//! ```text
//!  0 length  u32   bytes of payload after these 40
//!  4 crc     u32   CRC32C of the payload as stored
//!  8 flags   u16   1 snapshot · 2 lz4 · 4 more · 8 continues · 0x100 sealed · 0x200 leaves (the last two: kept for later)
//! 10 zero    u16
//! 12 events  u32   how many
//! 16 first   u64   sequence of the first; without events: of the next one to come
//! 24 time    i64   when it was appended, nanoseconds since 1970
//! 32 raw     u32   bytes of payload before compression
//! 36 check   u32   CRC32C of the 36 bytes before, continued from the segment's salt
//! 40 payload       sections: tag u8, length u32, bytes
//! ```
//! The header has a checksum of its own, so that a damaged payload still says which sequences it held, and a
//! damaged header lets the next frame be found: any 40 bytes that check are one. The salt makes a frame of
//! another segment, left on the disk by an earlier file, no frame here.
//!
//! Frames of one append belong together: all but the last have `more`, all but the first `continues`. Recovery keeps all of them or none.

use super::{
    bytes::{Bytes, Damage},
    codec::{self, Ids},
    state,
};
use crate::{event::Event, guard::Shippable, spool::Books, tail::Position};

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 40;

/// Largest frame, header included.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;

/// Payload at which an append goes on in another frame. Tiny in tests, so that appends of several frames are usual there.
pub(crate) const FRAME_BYTES_TARGET: usize = if cfg!(test) { 200 } else { 4 << 20 };

/// Largest event, as stored. With the target it stays below the largest frame.
pub(crate) const EVENT_BYTES_MAX: usize = 8 << 20;

/// Its positions and books are everything that is known, not changes.
pub(crate) const SNAPSHOT: u16 = 1;
/// The payload is an LZ4 block.
pub(crate) const LZ4: u16 = 2;
/// The next frame belongs to the same append.
pub(crate) const MORE: u16 = 4;
/// The frame before belongs to the same append.
pub(crate) const CONTINUES: u16 = 8;
const KNOWN: u16 = SNAPSHOT | LZ4 | MORE | CONTINUES;

const SECTION_EVENTS: u8 = 1;
const SECTION_POSITIONS: u8 = 2;
const SECTION_BOOKS: u8 = 3;
/// Sections from here on may be passed over by a reader that does not know them.
const SECTION_OPTIONAL: u8 = 0x80;

/// What a frame says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) length: u32,
    pub(crate) crc: u32,
    pub(crate) flags: u16,
    pub(crate) events: u32,
    pub(crate) first: u64,
    pub(crate) time: i64,
    pub(crate) raw: u32,
}

impl Header {
    pub(crate) fn encode(&self, salt: u32) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..4].copy_from_slice(&self.length.to_le_bytes());
        out[4..8].copy_from_slice(&self.crc.to_le_bytes());
        out[8..10].copy_from_slice(&self.flags.to_le_bytes());
        out[12..16].copy_from_slice(&self.events.to_le_bytes());
        out[16..24].copy_from_slice(&self.first.to_le_bytes());
        out[24..32].copy_from_slice(&self.time.to_le_bytes());
        out[32..36].copy_from_slice(&self.raw.to_le_bytes());
        let check = crc32c::crc32c_append(salt, &out[..36]);
        out[36..40].copy_from_slice(&check.to_le_bytes());
        out
    }

    /// Reads the header at the front of `bytes`.
    pub(crate) fn decode(bytes: &[u8], salt: u32) -> Result<Self, Damage> {
        let mut rest = Bytes(bytes);
        let head: [u8; HEADER_BYTES] = rest.array()?;
        // The search for the next frame tries every byte: the cheap tests come first.
        if head[10] != 0 || head[11] != 0 || head[3] > 1 {
            return Err(Damage("the frame's header is damaged"));
        }
        let mut fields = Bytes(&head);
        let header = Self {
            length: fields.u32()?,
            crc: fields.u32()?,
            flags: u16::from_le_bytes(fields.array()?),
            events: (u16::from_le_bytes(fields.array()?), fields.u32()?).1,
            first: u64::from_le_bytes(fields.array()?),
            time: i64::from_le_bytes(fields.array()?),
            raw: fields.u32()?,
        };
        if fields.u32()? != crc32c::crc32c_append(salt, &head[..36]) {
            return Err(Damage("the frame's header is damaged"));
        }
        header.check()
    }

    /// What a checksum cannot promise: that the numbers make sense together.
    fn check(self) -> Result<Self, Damage> {
        if self.flags & !KNOWN != 0 {
            return Err(Damage("the frame needs a newer version of towline"));
        }
        let most = (FRAME_BYTES_MAX - HEADER_BYTES) as u32;
        if self.length > most || self.raw > most || self.events > self.raw {
            return Err(Damage("the frame's header has impossible sizes"));
        }
        if self.flags & LZ4 == 0 && self.length != self.raw {
            return Err(Damage("the frame's header has impossible sizes"));
        }
        if self.first == 0 || self.first.checked_add(u64::from(self.events)).is_none() {
            return Err(Damage("the frame's sequences are impossible"));
        }
        Ok(self)
    }

    /// The sequence after its last event.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.events)
    }

    /// Bytes of the whole frame.
    pub(crate) fn bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.length)
    }

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// Whether payloads are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Compression {
    /// Cheapest for the processor.
    #[default]
    None,
    /// An LZ4 block per frame, where that is smaller.
    Lz4,
}

/// Builds the frames of one append in one buffer that is used again and again.
#[derive(Default)]
pub(crate) struct Builder {
    out: Vec<u8>,
    frames: Vec<Pending>,
    compression: Compression,
    snapshot: bool,
    open: Option<Open>,
    ids: Ids,
}

/// A finished frame whose header waits for its sequence.
struct Pending {
    start: usize,
    header: Header,
}

/// The frame that grows at the end of the buffer.
struct Open {
    start: usize,
    section: Option<(u8, usize)>,
    events: u32,
}

impl Builder {
    pub(crate) fn new(compression: Compression) -> Self {
        Self { compression, ..Self::default() }
    }

    /// Forgets what was built; keeps the memory unless a giant made it large.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
        self.out.shrink_to(4 * FRAME_BYTES_TARGET);
        self.frames.clear();
        self.snapshot = false;
        self.open = None;
        self.ids = Ids::default();
    }

    /// Marks what follows as everything that is known.
    pub(crate) fn snapshot(&mut self) {
        self.snapshot = true;
    }

    /// Adds events. Returns the index and size of one that is too large to be kept.
    pub(crate) fn events(&mut self, events: &[Event<Shippable>]) -> Result<(), (usize, usize)> {
        for (index, event) in events.iter().enumerate() {
            self.room(SECTION_EVENTS);
            let start = self.out.len();
            codec::put_event(&mut self.out, event, &mut self.ids);
            let bytes = self.out.len() - start;
            if bytes > EVENT_BYTES_MAX {
                return Err((index, bytes));
            }
            if let Some(open) = &mut self.open {
                open.events += 1;
            }
        }
        Ok(())
    }

    /// Adds a position, with the offset up to which the spool had its file before.
    pub(crate) fn position(&mut self, position: &Position, from: u64) {
        self.room(SECTION_POSITIONS);
        state::put_position(&mut self.out, position, from);
    }

    /// Adds the news that a file is known no longer.
    pub(crate) fn forget(&mut self, file: crate::tail::FileId) {
        self.room(SECTION_POSITIONS);
        state::put_forgotten(&mut self.out, file);
    }

    /// Adds the books as they stand after this append.
    pub(crate) fn books(&mut self, books: &Books, ledger: &state::Ledger) {
        self.room(SECTION_BOOKS);
        state::put_books(&mut self.out, books, ledger);
    }

    /// The largest ids of the events.
    pub(crate) fn ids(&self) -> Ids {
        self.ids
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Settles sequences and checksums; the bytes can then be written. Can be called again for another segment.
    pub(crate) fn seal(&mut self, first: u64, time: i64, salt: u32) -> &[u8] {
        self.close_frame();
        let last = self.frames.len().saturating_sub(1);
        let mut next = first;
        for (index, frame) in self.frames.iter_mut().enumerate() {
            frame.header.first = next;
            frame.header.time = time;
            if index < last {
                frame.header.flags |= MORE;
            }
            if index > 0 {
                frame.header.flags |= CONTINUES;
            }
            next = frame.header.next();
            let start = frame.start;
            self.out[start..start + HEADER_BYTES].copy_from_slice(&frame.header.encode(salt));
        }
        &self.out
    }

    /// The frames' headers after [`Builder::seal`].
    pub(crate) fn headers(&self) -> impl Iterator<Item = Header> + '_ {
        self.frames.iter().map(|frame| frame.header)
    }

    /// Makes sure that a frame is open, has room, and stands in this section.
    fn room(&mut self, section: u8) {
        let full = |open: &Open| self.out.len() - open.start > FRAME_BYTES_TARGET;
        // The books stay with the positions that they count up to, so that damage takes both or none.
        if section != SECTION_BOOKS && self.open.as_ref().is_some_and(full) {
            self.close_frame();
        }
        let open = self.open.get_or_insert_with(|| {
            let start = self.out.len();
            self.out.extend_from_slice(&[0; HEADER_BYTES]);
            Open { start, section: None, events: 0 }
        });
        if open.section.is_some_and(|(tag, _)| tag == section) {
            return;
        }
        close_section(&mut self.out, open);
        open.section = Some((section, self.out.len() + 1));
        self.out.extend_from_slice(&[section, 0, 0, 0, 0]);
    }

    fn close_frame(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        close_section(&mut self.out, &mut open);
        let body = open.start + HEADER_BYTES;
        let raw = (self.out.len() - body) as u32;
        let mut flags = if self.snapshot { SNAPSHOT } else { 0 };
        if self.compression == Compression::Lz4 {
            let packed = lz4_flex::block::compress(&self.out[body..]);
            if packed.len() < raw as usize {
                self.out.truncate(body);
                self.out.extend_from_slice(&packed);
                flags |= LZ4;
            }
        }
        let payload = &self.out[body..];
        let (length, crc) = (payload.len() as u32, crc32c::crc32c(payload));
        let header = Header { length, crc, flags, events: open.events, first: 1, time: 0, raw };
        self.frames.push(Pending { start: open.start, header });
    }
}

fn close_section(out: &mut [u8], open: &mut Open) {
    if let Some((_, at)) = open.section.take() {
        let length = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Checks a payload and unpacks it into `raw`.
pub(crate) fn unpack(header: &Header, payload: &[u8], raw: &mut Vec<u8>) -> Result<(), Damage> {
    if payload.len() != header.length as usize || crc32c::crc32c(payload) != header.crc {
        return Err(Damage("the frame's checksum does not fit its content"));
    }
    raw.clear();
    if !header.has(LZ4) {
        raw.extend_from_slice(payload);
        return Ok(());
    }
    raw.resize(header.raw as usize, 0);
    match lz4_flex::block::decompress_into(payload, raw) {
        Ok(length) if length == header.raw as usize => Ok(()),
        _ => Err(Damage("the frame cannot be decompressed")),
    }
}

/// The parts of an unpacked payload. Each may be empty.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Sections {
    pub(crate) events: std::ops::Range<usize>,
    pub(crate) positions: std::ops::Range<usize>,
    pub(crate) books: std::ops::Range<usize>,
}

impl Sections {
    pub(crate) fn find(raw: &[u8]) -> Result<Self, Damage> {
        let mut found = Self::default();
        let mut bytes = Bytes(raw);
        while !bytes.is_empty() {
            let tag = bytes.byte()?;
            let length = bytes.u32()? as usize;
            let start = raw.len() - bytes.0.len();
            bytes.take(length)?;
            let range = start..start + length;
            match tag {
                SECTION_EVENTS => found.events = range,
                SECTION_POSITIONS => found.positions = range,
                SECTION_BOOKS => found.books = range,
                SECTION_OPTIONAL.. => {}
                _ => return Err(Damage("the frame has a section of an unknown kind")),
            }
        }
        Ok(found)
    }
}
