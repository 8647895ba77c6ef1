//! Finds the file that a position belongs to when its path leads elsewhere: a rotated sibling, by content.
//!
//! All files of the folder are candidates, whatever the source's globs say: rotation schemes name files freely.
//! The head must fit, and the bytes before the position. A compressed copy is unpacked for that.

use std::{
    collections::HashSet,
    fs::{self, DirEntry, Metadata},
    io,
    os::unix::{ffi::OsStrExt, fs::DirEntryExt},
    path::{Path, PathBuf},
};

use super::{
    Position,
    body::Body,
    discover::COMPRESSED,
    identity::{self, Inode},
};
use crate::event::Time;

/// Entries of a folder that one search looks at, at most.
const ENTRIES_MAX: usize = 100_000;
/// Files that one search opens, at most.
const OPENED_MAX: usize = 512;
/// Files that were rotated unseen, at most, in one search.
const BETWEEN_MAX: usize = 64;
/// Times of two files are comparable only so far: most file systems take the time of the last timer tick, but
/// a finer one for a file that was looked at (seen with ext4, Linux 6.13).
const CLOCK_GRAIN_NS: i64 = 20_000_000;
/// With a shorter fingerprint only a file whose name begins with the old one is believed.
const HEAD_BYTES_SURE: u32 = 64;

/// A file that holds everything before a position.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) body: Body,
    /// `None` if compressed.
    pub(super) plain: Option<Plain>,
}

/// What is known of an uncompressed one.
pub(super) struct Plain {
    pub(super) inode: Inode,
    pub(super) size: u64,
}

/// What a search came to.
pub(super) enum Search {
    Found(Box<Found>),
    /// Surely not there. Names a compressed copy that cannot be unpacked, if one is likely.
    Missing(Option<PathBuf>),
    /// The folder cannot be read: nothing is known.
    Unknown,
}

/// Whether a rotated file of this name can come from `original`: `a.log.1`, `a.log-20261124`, `a-1.log`.
pub(super) fn is_related(name: &Path, original: &Path) -> bool {
    let (Some(name), Some(full)) = (name.file_name(), original.file_name()) else { return false };
    let (name, full) = (name.as_bytes(), full.as_bytes());
    if let Some(rest) = name.strip_prefix(full) {
        return !rest.is_empty();
    }
    let (Some(stem), Some(extension)) = (original.file_stem(), original.extension()) else {
        return false;
    };
    let middle = unpacked_name(name)
        .strip_prefix(stem.as_bytes())
        .and_then(|rest| rest.strip_suffix(extension.as_bytes()))
        .and_then(|rest| rest.strip_suffix(b"."));
    middle.is_some_and(is_count)
}

/// A file that was made and rotated away while nobody looked.
pub(super) struct Between {
    pub(super) path: PathBuf,
    pub(super) body: Body,
    pub(super) meta: Metadata,
}

/// Rotated files of the same log that are newer than `since`, oldest first. `skip` names files that are known.
///
/// Only names that count or date are believed: `a.log.2`, `a.log-20261124.gz`.
pub(super) fn between(original: &Path, since: Time, skip: &dyn Fn(Inode) -> bool) -> Vec<Between> {
    let since = since.0.saturating_sub(CLOCK_GRAIN_NS);
    let entries = original.parent().and_then(|folder| fs::read_dir(folder).ok());
    let mut found: Vec<_> = entries
        .into_iter()
        .flat_map(|entries| entries.flatten().take(ENTRIES_MAX))
        .map(|entry| entry.path())
        .filter(|path| is_related(path, original) && counts(path, original))
        .filter_map(|path| {
            let (body, meta) = Body::open_any(&path).ok()?;
            let wanted = identity::modified(&meta).0 >= since && !skip(Inode::of(&meta));
            wanted.then_some(Between { path, body, meta })
        })
        .take(BETWEEN_MAX)
        .collect();
    found.sort_by_key(|between| identity::modified(&between.meta));
    found
}

/// Whether what a rotation added to the name is a number or a date.
fn counts(path: &Path, original: &Path) -> bool {
    let (Some(name), Some(full)) = (path.file_name(), original.file_name()) else { return false };
    let name = unpacked_name(name.as_bytes());
    // Other related names are so already.
    name.strip_prefix(full.as_bytes()).is_none_or(is_count)
}

fn is_count(added: &[u8]) -> bool {
    added.len() > 1 && added.iter().all(|b| b.is_ascii_digit() || b"-._T".contains(b))
}

fn unpacked_name(name: &[u8]) -> &[u8] {
    let stripped = COMPRESSED
        .iter()
        .find_map(|c| name.strip_suffix(c.as_bytes()).and_then(|rest| rest.strip_suffix(b".")));
    stripped.unwrap_or(name)
}

/// Where in the folder of `path` an inode is now, by the folder's entries alone.
pub(super) fn place_of(inode: u64, path: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(path.parent()?).ok()?;
    entries.flatten().take(ENTRIES_MAX).find(|e| e.ino() == inode).map(|e| e.path())
}

/// Whose an inode is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    Nobody,
    /// Known as finished: believed if no other fits.
    Finished,
    /// Being read as another file.
    Another,
}

/// What is searched for.
pub(super) struct Wanted<'w> {
    pub(super) position: &'w Position,
    /// Bytes behind the position that are known.
    pub(super) after: &'w [u8],
    pub(super) owner: &'w dyn Fn(Inode) -> Owner,
}

/// Searches the folder of the position's path, and that of the file it links to.
pub(super) fn find(wanted: &Wanted<'_>) -> Search {
    let position = wanted.position;
    let real = fs::canonicalize(&position.path).ok();
    let folders = [Some(position.path.as_path()), real.as_deref()];
    let folders: HashSet<_> = folders.into_iter().flatten().filter_map(Path::parent).collect();
    let mut candidates = Vec::new();
    for folder in folders {
        match list(folder, wanted) {
            Ok(found) => candidates.extend(found),
            Err(_) => return Search::Unknown,
        }
    }
    candidates.sort_by_key(|candidate| candidate.rank);
    let mut unreadable = None;
    for candidate in candidates.into_iter().take(OPENED_MAX) {
        match candidate.open(wanted) {
            Ok(Some(found)) => return Search::Found(Box::new(found)),
            Ok(None) => {}
            Err(Unreadable) => unreadable = unreadable.or(Some(candidate.path)),
        }
    }
    Search::Missing(unreadable)
}

/// The likeliest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The very inode.
    Same,
    Related(Owner),
    Compressed,
    Unrelated(Owner),
}

struct Candidate {
    rank: Rank,
    path: PathBuf,
    compressed: Option<Vec<u8>>,
}

/// It is compressed in a way that cannot be unpacked here.
struct Unreadable;

fn list(folder: &Path, wanted: &Wanted<'_>) -> io::Result<Vec<Candidate>> {
    let entries = fs::read_dir(folder)?.flatten().take(ENTRIES_MAX);
    Ok(entries.filter_map(|entry| Candidate::of(&entry, wanted)).collect())
}

impl Candidate {
    fn of(entry: &DirEntry, wanted: &Wanted<'_>) -> Option<Self> {
        let position = wanted.position;
        if entry.file_type().ok()?.is_dir() {
            return None;
        }
        let path = entry.path();
        let extension = path.extension().map(|e| e.as_bytes().to_ascii_lowercase());
        let compressed = extension.filter(|e| COMPRESSED.iter().any(|known| known.as_bytes() == e));
        let is_same = entry.ino() == position.inode;
        let owner = (wanted.owner)(Inode { device: position.device, inode: entry.ino() });
        let rank = match (&compressed, is_related(&path, &position.path)) {
            (None, _) if is_same => Rank::Same,
            (_, _) if owner == Owner::Another => return None,
            (None, true) => Rank::Related(owner),
            (Some(_), true) => Rank::Compressed,
            (None, false) if position.head_bytes >= HEAD_BYTES_SURE => Rank::Unrelated(owner),
            (_, false) => return None,
        };
        Some(Self { rank, path, compressed })
    }

    fn open(&self, wanted: &Wanted<'_>) -> Result<Option<Found>, Unreadable> {
        let position = wanted.position;
        match self.compressed.as_deref() {
            Some(b"gz") => return Ok(self.unpack(wanted)),
            Some(_) => return Err(Unreadable),
            None => {}
        }
        let Ok((mut body, meta)) = Body::open(&self.path) else { return Ok(None) };
        let inode = Inode::of(&meta);
        let is_known = inode == Inode::of_position(position) || position.head_bytes > 0;
        let is_free = (wanted.owner)(inode) != Owner::Another;
        if !is_known || !is_free || meta.len() < position.offset || !wanted.is_in(&mut body) {
            return Ok(None);
        }
        let plain = Some(Plain { inode, size: meta.len() });
        Ok(Some(Found { path: self.path.clone(), body, plain }))
    }

    fn unpack(&self, wanted: &Wanted<'_>) -> Option<Found> {
        let mut body = Body::open_gz(&self.path).ok()?;
        let is_known = wanted.position.head_bytes > 0;
        (is_known && wanted.is_in(&mut body)).then(|| Found {
            path: self.path.clone(),
            body,
            plain: None,
        })
    }
}

impl Wanted<'_> {
    /// Whether a file has everything that is known, as far as it goes behind the position.
    fn is_in(&self, body: &mut Body) -> bool {
        if !identity::holds(body, self.position).unwrap_or(false) {
            return false;
        }
        let mut after = vec![0; self.after.len()];
        let read = body.read_at(self.position.offset, &mut after);
        read.is_ok_and(|read| after[..read] == self.after[..read])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_known_by_their_beginning() {
        let related = |name| is_related(Path::new(name), Path::new("/var/log/a.log"));
        for name in ["a.log.1", "a.log-20261124", "a.log.2.gz", "a-20261124.log.gz", "a.1.log"] {
            assert!(related(name), "{name}");
        }
        for name in ["a.log", "b.log.1", "ab.log", "a-b.log", "a.txt", "alog"] {
            assert!(!related(name), "{name}");
        }
    }
}
