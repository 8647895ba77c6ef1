//! A segment's header: what its frames need to be read alone. Pure but for [`read_header`].
//!
//! ```text
//!   0 magic "TWLSPOOL"      8 format u16 (1)    10 flags u16 (0; kept for sealing)   12 zero u32
//!  16 agent id, 16 bytes   32 key id, 16 bytes (zero: not sealed)
//!  48 first u64            sequence of its first event; also its name
//!  56 follows u64          sequence at which the segment before it ended; less than `first`: a hole
//!  64 time i64             when it was begun
//!  72 previous, 32 bytes   chain hash of the segment before it
//! 104 tables, 32 bytes     BLAKE3 of the tables' JSON
//! 136 tables stored u32   140 tables crc u32 (CRC32C as stored)   144 tables raw u32
//! 148 zero, 8 bytes       156 check u32 (CRC32C of the 156 bytes before)
//! 160 tables: JSON, LZ4 block      then frames, the first of them a snapshot
//! ```
//! The chain hash is BLAKE3 over this header and every frame's header, so it binds order, sizes and checksums of all that is
//! in a segment. It finds a swapped or exchanged file; proof against a forger is the Merkle log's work.

use std::{io, path::Path};

use super::{
    bytes::{Bytes, Damage},
    disk::{DiskFile, read_full},
    frame,
};
use crate::event::Tables;

/// Newest format that is written and read.
pub(crate) const FORMAT: u16 = 1;
/// Bytes of the header without the tables.
pub(crate) const HEADER_BYTES: usize = 160;
/// Largest tables, stored or not.
const TABLES_BYTES_MAX: usize = 16 << 20;
const MAGIC: &[u8; 8] = b"TWLSPOOL";

/// The fixed part of a segment's header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) agent_id: [u8; 16],
    pub(crate) key_id: [u8; 16],
    pub(crate) first: u64,
    pub(crate) follows: u64,
    pub(crate) time: i64,
    pub(crate) previous: [u8; 32],
    pub(crate) tables_hash: [u8; 32],
    pub(crate) tables_stored: u32,
    pub(crate) tables_crc: u32,
    pub(crate) tables_raw: u32,
}

/// Why a header cannot be used.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Damaged(Damage),
    TooNew(u16),
    Io(io::Error),
}

impl From<Damage> for Unreadable {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&FORMAT.to_le_bytes());
        out[16..32].copy_from_slice(&self.agent_id);
        out[32..48].copy_from_slice(&self.key_id);
        out[48..56].copy_from_slice(&self.first.to_le_bytes());
        out[56..64].copy_from_slice(&self.follows.to_le_bytes());
        out[64..72].copy_from_slice(&self.time.to_le_bytes());
        out[72..104].copy_from_slice(&self.previous);
        out[104..136].copy_from_slice(&self.tables_hash);
        out[136..140].copy_from_slice(&self.tables_stored.to_le_bytes());
        out[140..144].copy_from_slice(&self.tables_crc.to_le_bytes());
        out[144..148].copy_from_slice(&self.tables_raw.to_le_bytes());
        let check = crc32c::crc32c(&out[..156]);
        out[156..160].copy_from_slice(&check.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let head: [u8; HEADER_BYTES] = Bytes(bytes).array()?;
        let mut rest = Bytes(&head);
        if rest.take(8)? != MAGIC {
            return Err(Damage("it does not begin like a segment").into());
        }
        // The check is at the same place in every format, so that a damaged number is not taken for a newer format.
        if crc32c::crc32c(&head[..156]) != u32::from_le_bytes(Bytes(&head[156..]).array()?) {
            return Err(Damage("the segment's header is damaged").into());
        }
        let (format, flags) =
            (u16::from_le_bytes(rest.array()?), u16::from_le_bytes(rest.array()?));
        if format > FORMAT || flags != 0 {
            return Err(Unreadable::TooNew(format.max(FORMAT + u16::from(flags != 0))));
        }
        rest.take(4)?;
        let header = Self {
            agent_id: rest.array()?,
            key_id: rest.array()?,
            first: u64::from_le_bytes(rest.array()?),
            follows: u64::from_le_bytes(rest.array()?),
            time: i64::from_le_bytes(rest.array()?),
            previous: rest.array()?,
            tables_hash: rest.array()?,
            tables_stored: rest.u32()?,
            tables_crc: rest.u32()?,
            tables_raw: rest.u32()?,
        };
        let sizes = header.tables_stored.max(header.tables_raw) as usize;
        if sizes > TABLES_BYTES_MAX || header.first == 0 || header.follows > header.first {
            return Err(Damage("the segment's header has impossible numbers").into());
        }
        Ok(header)
    }

    /// Where the first frame begins.
    pub(crate) fn bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.tables_stored)
    }
}

/// Tables as a segment stores them.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) stored: Vec<u8>,
    pub(crate) raw_bytes: u32,
    pub(crate) hash: [u8; 32],
}

impl Packed {
    /// Tables are plain strings and numbers; that they cannot be written is a mistake in their types.
    pub(crate) fn new(tables: &Tables) -> io::Result<Self> {
        let json = serde_json::to_vec(tables)?;
        if json.len() > TABLES_BYTES_MAX {
            return Err(io::Error::other("the tables of fields and kinds are larger than 16 MiB"));
        }
        Ok(Self {
            stored: lz4_flex::block::compress(&json),
            raw_bytes: json.len() as u32,
            hash: *blake3::hash(&json).as_bytes(),
        })
    }
}

/// Unpacks stored tables.
pub(crate) fn unpack_tables(header: &Header, stored: &[u8]) -> Result<Tables, Damage> {
    if crc32c::crc32c(stored) != header.tables_crc {
        return Err(Damage("the segment's tables are damaged"));
    }
    let json = lz4_flex::block::decompress(stored, header.tables_raw as usize)
        .map_err(|_| Damage("the segment's tables cannot be decompressed"))?;
    if blake3::hash(&json) != header.tables_hash {
        return Err(Damage("the segment's tables are not those it names"));
    }
    serde_json::from_slice(&json).map_err(|_| Damage("the segment's tables are not readable"))
}

/// Reads the fixed part of a segment.
pub(crate) fn read_header(file: &dyn DiskFile) -> Result<Header, Unreadable> {
    let mut bytes = [0; HEADER_BYTES];
    read_full(file, &mut bytes, 0).map_err(Unreadable::Io)?;
    Header::decode(&bytes)
}

/// What a frame's checks are continued from: frames of other segments never fit.
pub(crate) fn salt(first: u64) -> u32 {
    crc32c::crc32c_append(0x5457_4c31, &first.to_le_bytes())
}

/// The file of a segment.
pub(crate) fn name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The first sequence of the segment of that name.
pub(crate) fn parse_name(name: &Path) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(".seg")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok().filter(|first| *first > 0) } else { None }
}

/// The running chain hash of a segment.
#[derive(Clone)]
pub(crate) struct Chain(blake3::Hasher);

impl Chain {
    pub(crate) fn new(header: &[u8; HEADER_BYTES]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(header);
        Self(hasher)
    }

    pub(crate) fn frame(&mut self, header: &frame::Header, salt: u32) {
        self.0.update(&header.encode(salt));
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}
