//! Opening and closing: only so many files are open at a time.

use std::{fs::Metadata, io, path::Path, time::Instant};

use super::{
    Error, FileId,
    body::Body,
    follow::{Follow, Stage},
    identity::Inode,
    tailer::Tailer,
};

impl Tailer {
    /// Makes sure that a file can be read. `false`: not now.
    pub(super) fn open(&mut self, id: FileId, now: Instant) -> Result<bool, Error> {
        let Some(follow) = self.table.files.get(&id) else { return Ok(false) };
        if follow.body.is_some() || follow.rest.is_some() {
            return Ok(true);
        }
        let (source, path, inode) = (follow.source, follow.position.path.clone(), follow.inode());
        match Body::open_any(&path) {
            Ok((body, meta)) if Inode::of(&meta) == inode => {
                if let Some(follow) = self.table.files.get_mut(&id) {
                    follow.body = Some(body);
                    self.open += 1;
                }
                self.close_idle();
                Ok(true)
            }
            Ok(_) => self.departed(id, now).map(|()| false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.departed(id, now).map(|()| false),
            Err(e) => {
                self.problem(Some(source), path, e.to_string());
                self.release(id);
                Ok(false)
            }
        }
    }

    pub(super) fn open_at(&mut self, source: usize, path: &Path) -> Option<(Body, Metadata)> {
        match Body::open_any(path) {
            Ok(opened) => {
                self.mended(path);
                Some(opened)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                self.problem(Some(source), path.to_owned(), e.to_string());
                None
            }
        }
    }

    pub(super) fn close(&mut self, id: FileId) {
        let follow = self.table.files.get_mut(&id);
        if follow.is_some_and(|follow| follow.body.take().is_some()) {
            self.open = self.open.saturating_sub(1);
        }
    }

    /// Closes what was served longest ago, an eighth at a time, when too many are open.
    pub(super) fn close_idle(&mut self) {
        if self.open <= self.open_max {
            return;
        }
        let idle = |f: &&Follow| f.body.is_some() && f.stage == Stage::Live && !f.behind();
        let mut idle: Vec<_> =
            self.table.files.values().filter(idle).map(|f| (f.served, f.id())).collect();
        idle.sort_unstable();
        for (_, id) in idle.into_iter().take(self.open_max / 8 + 1) {
            self.close(id);
        }
    }
}
