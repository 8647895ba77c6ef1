//! A file is at a path: a new one, a known one under another name, or one that was finished.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    Error, FileId, Position, Start,
    body::Body,
    follow::{Follow, Stage},
    identity::{self, Head, Inode, TAIL_BYTES},
    tailer::Tailer,
};

impl Tailer {
    /// A file is at this path.
    pub(super) fn arrive(&mut self, source: usize, path: &Path, now: Instant) -> Result<(), Error> {
        let meta = match fs::metadata(path) {
            Ok(meta) if meta.is_file() => meta,
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => {
                self.problem(Some(source), path.to_owned(), e.to_string());
                return Ok(());
            }
        };
        if self.reconsider(source, Inode::of(&meta), path)? {
            return Ok(());
        }
        match self.table.by_inode(source, Inode::of(&meta)) {
            Some(id) if self.table.files.contains_key(&id) => self.meet(id, path, &meta, now),
            Some(id) if self.table.done.contains_key(&id) => self.revive(id, path, &meta, now),
            Some(id) => self.resume(id, path, &meta, now),
            None => self.newcomer(source, path, &meta, now),
        }
    }

    /// A file that is being read, perhaps under a new name.
    fn meet(
        &mut self,
        id: FileId,
        path: &Path,
        meta: &Metadata,
        now: Instant,
    ) -> Result<(), Error> {
        let Some(follow) = self.table.files.get_mut(&id) else { return Ok(()) };
        let inode = Inode::of(meta);
        let is_there = |path: &Path| fs::metadata(path).is_ok_and(|meta| Inode::of(&meta) == inode);
        if follow.position.path != path && !is_there(&follow.position.path) {
            let was_live = follow.stage == Stage::Live;
            if was_live {
                follow.stage = Stage::Renamed(now);
            }
            let shown = follow.shown.clone();
            let source = follow.source;
            self.table.set_path(id, path.to_owned());
            self.measured(id, meta);
            self.mark(id);
            if was_live {
                self.read_between(id, identity::modified(meta), Some(id), now)?;
            }
            return if shown == path { Ok(()) } else { self.arrive(source, &shown, now) };
        }
        self.measured(id, meta);
        Ok(())
    }

    /// A finished file: goes on if it has grown; a smaller one is another.
    pub(super) fn revive(
        &mut self,
        id: FileId,
        path: &Path,
        meta: &Metadata,
        now: Instant,
    ) -> Result<(), Error> {
        let Some(resting) = self.table.done.get(&id) else { return Ok(()) };
        let source = resting.source;
        let (offset, proved) = (resting.position.offset, resting.proved);
        if proved && meta.len() == offset {
            if resting.position.path != path {
                self.table.set_path(id, path.to_owned());
            }
            return Ok(());
        }
        let Some((mut body, meta)) = self.open_at(source, path) else { return Ok(()) };
        let Some(resting) = self.table.done.get_mut(&id) else { return Ok(()) };
        let holds = identity::holds(&mut body, &resting.position);
        if !matches!(holds, Ok(true)) {
            self.table.forget(id);
            let is_ours = self.sources[source].globs.matches(path);
            return if is_ours { self.newcomer(source, path, &meta, now) } else { Ok(()) };
        }
        resting.proved = true;
        if meta.len() > offset {
            let mut position = resting.position.clone();
            position.finished = false;
            position.path = path.to_owned();
            self.begin(source, position, path.to_owned(), (body, &meta), Stage::Renamed(now), now);
        }
        Ok(())
    }

    /// A file whose inode is not known.
    pub(super) fn newcomer(
        &mut self,
        source: usize,
        path: &Path,
        meta: &Metadata,
        now: Instant,
    ) -> Result<(), Error> {
        for id in self.table.by_path(path) {
            let Some(resting) = self.table.unplaced.get(&id) else { continue };
            if resting.source != source {
                continue;
            }
            let position = resting.position.clone();
            let Some((mut body, opened)) = self.open_at(source, path) else { return Ok(()) };
            if position.offset > 0 && identity::holds(&mut body, &position).unwrap_or(false) {
                return self.moved_here(position, source, (body, &opened), now);
            }
            self.settle(id, now)?;
        }
        self.admit(source, path, meta, now)
    }

    /// The known file has another inode: it was copied back, or its file system was.
    fn moved_here(
        &mut self,
        mut position: Position,
        source: usize,
        opened: (Body, &Metadata),
        now: Instant,
    ) -> Result<(), Error> {
        let id = position.file;
        self.table.unindex_inode(source, Inode::of_position(&position), id);
        let Inode { device, inode } = Inode::of(opened.1);
        (position.device, position.inode) = (device, inode);
        let shown = position.path.clone();
        self.begin(source, position, shown, opened, Stage::Live, now);
        Ok(())
    }

    /// A file that was never seen.
    fn admit(
        &mut self,
        source: usize,
        path: &Path,
        meta: &Metadata,
        now: Instant,
    ) -> Result<(), Error> {
        let Some((mut body, opened)) = self.open_at(source, path) else { return Ok(()) };
        if Inode::of(&opened) != Inode::of(meta) {
            return Ok(());
        }
        let mut position = self.first_position(source, path.to_owned(), &opened)?;
        if self.starts_at_end(source)
            && let Err(e) = place_at_end(&mut position, &mut body, opened.len())
        {
            self.problem(Some(source), path.to_owned(), e.to_string());
            return Ok(());
        }
        self.begin(source, position, path.to_owned(), (body, &opened), Stage::Live, now);
        Ok(())
    }

    fn starts_at_end(&self, source: usize) -> bool {
        let source = &self.sources[source];
        source.settings.start == Start::End && source.is_new && !self.scanned_once
    }

    /// Reading begins or goes on here.
    pub(super) fn begin(
        &mut self,
        source: usize,
        position: Position,
        shown: PathBuf,
        (body, meta): (Body, &Metadata),
        stage: Stage,
        now: Instant,
    ) {
        let id = position.file;
        self.mended(&position.path);
        let real = fs::canonicalize(&position.path).ok().filter(|real| *real != position.path);
        if let Some(folder) = real.as_deref().and_then(Path::parent) {
            // What cannot be watched is polled.
            let _ = self.wake.watch(folder);
        }
        let mut follow = Follow::new(source, position, shown, now);
        follow.real = real;
        follow.body = Some(body);
        follow.stage = stage;
        follow.size = meta.len();
        follow.modified = identity::modified(meta);
        let known = self.table.is_known(id);
        follow.is_new = !known && follow.position.offset == 0;
        self.table.follow(follow);
        self.open += 1;
        self.close_idle();
        if self.open > self.open_max && stage == Stage::Live {
            self.close(id);
        }
        if stage == Stage::Live {
            self.wait_for_rotated(id);
        }
        self.mark(id);
    }

    /// What was rotated away from its path is read first.
    fn wait_for_rotated(&mut self, id: FileId) {
        let Some(follow) = self.table.files.get(&id) else { return };
        let (source, path) = (follow.source, follow.shown.clone());
        for first in self.table.by_path(&path) {
            let waits = self.table.files.get(&first).is_some_and(|f| {
                f.source == source && f.stage != Stage::Live && f.shown == path && f.behind()
            });
            if waits {
                self.wait_for(first, id);
                self.mark(first);
            }
        }
    }

    pub(super) fn first_position(
        &self,
        source: usize,
        path: PathBuf,
        meta: &Metadata,
    ) -> Result<Position, Error> {
        let Inode { device, inode } = Inode::of(meta);
        Ok(Position {
            file: identity::new_id().map_err(Error::Random)?,
            source: self.sources[source].settings.source.clone(),
            path,
            device,
            inode,
            ..Position::default()
        })
    }
}

/// Puts a position before the last incomplete line of a file.
fn place_at_end(position: &mut Position, body: &mut Body, size: u64) -> io::Result<()> {
    let from = size.saturating_sub(64 << 10);
    let mut last = vec![0; usize::try_from(size - from).unwrap_or(0)];
    let read = body.read_at(from, &mut last)?;
    let line = super::lines::complete(&last[..read]);
    mark_position(position, body, line.map_or(size, |line| from + line as u64))
}

/// Sets a position with all that it is recognised by.
pub(super) fn mark_position(
    position: &mut Position,
    body: &mut Body,
    offset: u64,
) -> io::Result<()> {
    let head = Head::of(&identity::read_head(body)?);
    (position.head_bytes, position.head_hash) = (head.bytes, head.hash);
    let length = offset.min(TAIL_BYTES as u64);
    let mut tail = vec![0; usize::try_from(length).unwrap_or(0)];
    let read = body.read_at(offset - length, &mut tail)?;
    position.offset = offset;
    position.tail_bytes = u32::try_from(length).unwrap_or(0);
    position.tail_hash = identity::hash(&tail[..read]);
    Ok(())
}
