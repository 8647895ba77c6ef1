//! Copies that a rotation makes before it truncates the file, where globs match them too.
//!
//! A new file whose name says that it comes from a known one, and whose bytes are that one's, is held back: its
//! lines were read already, or are read by the file itself when it is truncated. It is read on its own only when
//! it becomes another.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path, time::Instant};

use super::{
    Error, FileId,
    arrive::mark_position,
    body::Body,
    follow::Follow,
    identity::{self, Head, Inode, TAIL_BYTES},
    rotated,
    tailer::Tailer,
};

/// A file that is not read because it is a copy.
pub(super) struct Held {
    of: FileId,
    generation: u32,
}

/// What a new file is to a known one.
#[derive(PartialEq, Eq)]
enum Likeness {
    None,
    /// It is its beginning, or all of it.
    Copy,
    /// It is what the known one was before it was truncated.
    Former,
}

impl Tailer {
    /// Before the first byte of a new file is read. `true`: it is a copy and not read.
    pub(super) fn hold_copy(&mut self, id: FileId, now: Instant) -> Result<bool, Error> {
        let Some(follow) = self.table.files.get_mut(&id) else { return Ok(false) };
        let (source, path) = (follow.source, follow.position.path.clone());
        let Some((start, last, size)) = follow.body.as_mut().and_then(sample) else {
            return Ok(false);
        };
        if start.is_empty() && follow.position.offset == 0 {
            return Ok(false);
        }
        if follow.position.offset > 0 {
            follow.is_new = false;
            return Ok(false);
        }
        for original in self.originals(source, &path) {
            match self.likeness(original, &start, &last, size, now)? {
                Likeness::None => {}
                Likeness::Copy => {
                    self.hold(id, original);
                    return Ok(true);
                }
                Likeness::Former => {
                    self.finish_copy(id, size);
                    return Ok(true);
                }
            }
            if !self.table.files.contains_key(&id) {
                return Ok(true);
            }
        }
        if let Some(follow) = self.table.files.get_mut(&id) {
            follow.is_new = false;
        }
        self.table.touch(id);
        Ok(false)
    }

    /// Known files that a file of this name can be a copy of.
    pub(super) fn originals(&self, source: usize, path: &Path) -> Vec<FileId> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Vec::new();
        };
        let name = name.as_bytes();
        let extension = path.extension().map(OsStr::as_bytes).unwrap_or_default();
        let mut ids = Vec::new();
        for end in 1..name.len() {
            let plain = name[..end].to_vec();
            let extended = [&name[..end], b".", extension].concat();
            for name in [plain, extended] {
                ids.extend(self.table.by_path(&folder.join(OsStr::from_bytes(&name))));
            }
        }
        ids.retain(|id| {
            self.table.files.get(id).is_some_and(|known| {
                known.source == source && rotated::is_related(path, &known.shown)
            })
        });
        ids.dedup();
        ids
    }

    fn likeness(
        &mut self,
        original: FileId,
        start: &[Head],
        last: &[u8],
        size: u64,
        now: Instant,
    ) -> Result<Likeness, Error> {
        let Some(known) = self.table.files.get_mut(&original) else { return Ok(Likeness::None) };
        if known.rest.is_none() && Head::agree(&known.heads, start) {
            let Some(mut body) = reopen(known) else { return Ok(Likeness::None) };
            if !identity::holds(&mut body, &known.position).unwrap_or(false) {
                self.truncated(original, now)?;
            } else if has(&mut body, last, size) {
                return Ok(Likeness::Copy);
            }
        }
        let Some(known) = self.table.files.get(&original) else { return Ok(Likeness::None) };
        let former = known
            .past
            .as_ref()
            .is_some_and(|past| Head::agree(&past.heads, start) && size <= past.size);
        let present =
            known.rest.is_some() && Head::agree(&known.heads, start) && size <= known.proved;
        Ok(if former || present { Likeness::Former } else { Likeness::None })
    }

    fn hold(&mut self, id: FileId, original: FileId) {
        let Some(known) = self.table.files.get(&original) else { return };
        let held = Held { of: original, generation: known.position.generation };
        self.close(id);
        if let Some(follow) = self.table.drop_follow(id) {
            self.held.insert((follow.source, follow.inode()), held);
            self.release(id);
        }
    }

    /// The copy holds nothing that is not read elsewhere; it is kept to be recognised.
    fn finish_copy(&mut self, id: FileId, size: u64) {
        let Some(follow) = self.table.files.get_mut(&id) else { return };
        if let Some(mut body) = follow.body.take() {
            self.open = self.open.saturating_sub(1);
            // A position that cannot be made exact is still known by its inode.
            let _ = mark_position(&mut follow.position, &mut body, size);
        }
        self.table.finish(id);
        self.release(id);
    }

    /// Looks again at a file that is held back. `true`: it still is, or is done.
    pub(super) fn reconsider(
        &mut self,
        source: usize,
        inode: Inode,
        path: &Path,
    ) -> Result<bool, Error> {
        let Some(held) = self.held.get(&(source, inode)) else { return Ok(false) };
        let known = self.table.files.get_mut(&held.of);
        let same = known
            .filter(|known| known.position.generation == held.generation && known.rest.is_none());
        let Some(known) = same else {
            self.held.remove(&(source, inode));
            self.remember_copy(source, path)?;
            return Ok(true);
        };
        let original = reopen(known);
        let copy = Body::open(path).ok().and_then(|(mut body, _)| sample(&mut body));
        let (Some(mut original), Some((_, last, size))) = (original, copy) else { return Ok(true) };
        let is_copy = has(&mut original, &last, size)
            || !identity::holds(&mut original, &known.position).unwrap_or(false);
        if !is_copy {
            self.held.remove(&(source, inode));
        }
        Ok(is_copy)
    }

    /// A copy whose bytes are read elsewhere: never read on its own.
    pub(super) fn remember_copy(&mut self, source: usize, path: &Path) -> Result<(), Error> {
        let Ok((mut body, meta)) = Body::open(path) else { return Ok(()) };
        self.held.remove(&(source, Inode::of(&meta)));
        if let Some(id) = self.table.by_inode(source, Inode::of(&meta)) {
            if self.table.files.get(&id).is_some_and(|follow| follow.is_new) {
                self.finish_copy(id, meta.len());
            }
            return Ok(());
        }
        let mut position = self.first_position(source, path.to_owned(), &meta)?;
        position.finished = true;
        if mark_position(&mut position, &mut body, meta.len()).is_ok() {
            self.table.done_already(source, position);
        }
        Ok(())
    }
}

/// A file's body, opened for a moment if it is closed.
fn reopen(follow: &Follow) -> Option<Body> {
    let (body, meta) = Body::open(&follow.position.path).ok()?;
    (Inode::of(&meta) == follow.inode()).then_some(body)
}

/// Head, last bytes and size of a file.
fn sample(body: &mut Body) -> Option<(Vec<Head>, Vec<u8>, u64)> {
    let size = body.metadata()?.ok()?.len();
    let start = Head::levels(&identity::read_head(body).ok()?).collect();
    let mut last = vec![0; TAIL_BYTES.min(usize::try_from(size).unwrap_or(TAIL_BYTES))];
    let read = body.read_at(size - last.len() as u64, &mut last).ok()?;
    (read == last.len()).then_some((start, last, size))
}

/// Whether the last bytes of a file of this size are in this one at the same place.
fn has(body: &mut Body, last: &[u8], size: u64) -> bool {
    let mut here = vec![0; last.len()];
    let read = body.read_at(size - last.len() as u64, &mut here);
    read.is_ok_and(|read| read == last.len()) && here == last
}
