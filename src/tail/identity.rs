//! What makes a file the same file: fingerprints of its head and of the bytes before a position.
//!
//! Device and inode alone are reused, a path alone is renamed, so neither proves anything without the bytes.
//! A head's fingerprint covers a power of two (8 … 1,024 bytes), so that two files can be compared through a
//! table of hashes; the bytes before a position are covered as far as 256 go.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt};

use super::{FileId, Position, body::Body};
use crate::event::Time;

/// How many bytes of a head are fingerprinted at most.
pub(super) const HEAD_BYTES: usize = 1024;
/// The least that is fingerprinted; a shorter file has no fingerprint.
const HEAD_BYTES_MIN: usize = 8;
/// How many bytes before a position are fingerprinted at most.
pub(super) const TAIL_BYTES: usize = 256;

/// Where the file system keeps a file. Proves sameness only while the file is held open.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Inode {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino() }
    }

    pub(super) fn of_position(position: &Position) -> Self {
        Self { device: position.device, inode: position.inode }
    }
}

/// A new random name.
pub(super) fn new_id() -> io::Result<FileId> {
    let mut id = FileId::default();
    getrandom::fill(&mut id.0).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(id)
}

/// The same on every machine and in every version: it is kept in positions.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Last change of the contents, as an event's clock counts.
pub(super) fn modified(meta: &Metadata) -> Time {
    Time(meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()))
}

/// Fingerprint of a head.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Head {
    /// How many bytes it covers: 0, or a power of two from 8 to 1,024.
    pub(super) bytes: u32,
    pub(super) hash: u64,
}

impl Head {
    /// The widest fingerprint that these first bytes allow.
    pub(super) fn of(start: &[u8]) -> Self {
        Self::levels(start).next_back().unwrap_or_default()
    }

    /// The one that a position keeps.
    pub(super) fn of_position(position: &Position) -> Self {
        Self { bytes: position.head_bytes, hash: position.head_hash }
    }

    /// All fingerprints that these first bytes allow, narrowest first.
    pub(super) fn levels(start: &[u8]) -> impl DoubleEndedIterator<Item = Self> + '_ {
        let widths = HEAD_BYTES_MIN.ilog2()..=HEAD_BYTES.ilog2();
        widths.filter_map(|log| {
            let covered = start.get(..1 << log)?;
            Some(Self { bytes: 1 << log, hash: hash(covered) })
        })
    }

    /// Whether two heads are the same as far as both are known. Both are all levels, narrowest first.
    pub(super) fn agree(some: &[Self], others: &[Self]) -> bool {
        let common = some.len().min(others.len());
        common > 0 && some[common - 1] == others[common - 1]
    }

    /// Whether a file that begins with these bytes can be the one it was taken of.
    pub(super) fn fits(self, start: &[u8]) -> bool {
        usize::try_from(self.bytes)
            .ok()
            .and_then(|bytes| start.get(..bytes))
            .is_some_and(|covered| self.bytes == 0 || hash(covered) == self.hash)
    }
}

/// The first bytes of a file.
pub(super) fn read_head(body: &mut Body) -> io::Result<Vec<u8>> {
    let mut start = vec![0; HEAD_BYTES];
    let length = body.read_at(0, &mut start)?;
    start.truncate(length);
    Ok(start)
}

/// Whether everything before the position is in this file as it was when it was read.
pub(super) fn holds(body: &mut Body, position: &Position) -> io::Result<bool> {
    let head = Head::of_position(position);
    Ok(head.fits(&read_head(body)?) && tail_fits(body, position)?)
}

fn tail_fits(body: &mut Body, position: &Position) -> io::Result<bool> {
    let length = usize::try_from(position.tail_bytes).unwrap_or(usize::MAX).min(TAIL_BYTES);
    let mut tail = [0; TAIL_BYTES];
    let Some(from) = position.offset.checked_sub(length as u64) else { return Ok(false) };
    let read = body.read_at(from, &mut tail[..length])?;
    Ok(read == length && (length == 0 || hash(&tail[..length]) == position.tail_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_covers_powers_of_two_and_fits_only_what_it_covers() {
        assert_eq!(Head::of(b"short"), Head::default());
        let head = Head::of(b"Nov 24 10:00:00 s");
        assert_eq!(head.bytes, 16);
        assert!(head.fits(b"Nov 24 10:00:00 something longer"));
        assert!(!head.fits(b"Nov 24 10:00:01 something longer"));
        assert!(!head.fits(b"Nov 24"), "a shorter file cannot be the same");
        assert_eq!(
            Head::levels(&[7; 5000]).map(|h| h.bytes).collect::<Vec<_>>(),
            [8, 16, 32, 64, 128, 256, 512, 1024]
        );
    }

    #[test]
    fn heads_of_different_width_are_compared_as_far_as_both_go() {
        let levels = |bytes: &[u8]| Head::levels(bytes).collect::<Vec<_>>();
        let (short, long) =
            (levels(b"Nov 24 10:00:00 s"), levels(b"Nov 24 10:00:00 something long"));
        assert!(Head::agree(&short, &long) && Head::agree(&long, &short));
        assert!(!Head::agree(&levels(b"Nov 24 10:00:01 s"), &long));
        assert!(!Head::agree(&levels(b"short"), &long), "nothing is known");
    }

    #[test]
    fn hashes_are_the_same_in_every_version() {
        assert_eq!(hash(b""), 0xa6a1_f9f5_b949_13af);
    }
}
