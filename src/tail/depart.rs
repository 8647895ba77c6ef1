//! A file is not what or where it was: it grew, was renamed, deleted, truncated, or came to its end.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::Instant,
};

use super::{
    Error, FileId, Lost, Truncated,
    body::Body,
    follow::{Rest, Stage},
    identity::{self, Inode},
    rotated::{self, Owner, Search, Wanted},
    tailer::Tailer,
};

impl Tailer {
    /// Looks whether a file has grown, shrunk, or gone elsewhere.
    pub(super) fn look(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
        let Some(follow) = self.table.files.get(&id) else { return Ok(()) };
        let (source, path) = (follow.source, follow.position.path.clone());
        match follow.stage {
            Stage::Archive => return Ok(()),
            Stage::Deleted(_) => {
                let meta = follow.body.as_ref().and_then(Body::metadata);
                if let Some(Ok(meta)) = meta {
                    self.measured(id, &meta);
                }
                return Ok(());
            }
            Stage::Live | Stage::Renamed(_) => {}
        }
        match fs::metadata(&path) {
            Ok(meta) if Inode::of(&meta) == follow.inode() => {
                self.measured(id, &meta);
                Ok(())
            }
            Ok(_) => {
                let shown = follow.shown.clone();
                self.departed(id, now)?;
                self.arrive(source, &shown, now)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.departed(id, now),
            Err(e) => {
                self.problem(Some(source), path, e.to_string());
                Ok(())
            }
        }
    }

    pub(super) fn measured(&mut self, id: FileId, meta: &Metadata) {
        let Some(follow) = self.table.files.get_mut(&id) else { return };
        let modified = identity::modified(meta);
        if follow.measure(meta.len(), modified) {
            self.mark(id);
        }
    }

    /// Its path leads elsewhere.
    pub(super) fn departed(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
        let Some(follow) = self.table.files.get_mut(&id) else { return Ok(()) };
        let inode = follow.inode();
        let is_there = |path: &Path| fs::metadata(path).is_ok_and(|meta| Inode::of(&meta) == inode);
        let place = [Some(&follow.position.path), follow.real.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|path| {
                if is_there(path) {
                    Some(path.clone())
                } else {
                    rotated::place_of(inode.inode, path)
                }
            })
            .find(|path| is_there(path));
        let open = follow.body.as_ref().and_then(Body::metadata);
        let was_live = follow.stage == Stage::Live;
        if was_live {
            follow.stage = Stage::Renamed(now);
        }
        let mut since = follow.modified;
        if let Some(Ok(meta)) = &open {
            since = identity::modified(meta);
            if place.is_none() && meta.nlink() == 0 {
                follow.stage = Stage::Deleted(now);
            }
        }
        match (place, open) {
            (Some(place), _) => self.table.set_path(id, place),
            (None, Some(_)) => {}
            (None, None) => return self.vanished(id, now),
        }
        self.mark(id);
        if was_live { self.read_between(id, since, Some(id), now) } else { Ok(()) }
    }

    /// It was closed when it went: only a copy can still have its bytes.
    fn vanished(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
        let Some(follow) = self.table.files.get(&id) else { return Ok(()) };
        let unread = follow.size.saturating_sub(follow.position.offset);
        let (source, position) = (follow.source, follow.position.clone());
        let owner = |inode| self.owner(source, inode, id);
        match rotated::find(&Wanted { position: &position, after: &[], owner: &owner }) {
            Search::Found(found) => return self.found(source, position, *found, now),
            Search::Missing(unreadable) => {
                self.unreadable(source, unreadable);
                if unread > 0 {
                    self.lost(id, unread);
                }
                self.table.finish(id);
                self.release(id);
            }
            Search::Unknown => {}
        }
        Ok(())
    }

    /// What was before the position is not there any more: a copy, or what was kept, is read first.
    pub(super) fn truncated(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
        let Some(follow) = self.table.files.get(&id) else { return Ok(()) };
        if follow.rest.is_some() {
            // The copy is not one after all.
            self.next_generation(id, now);
            return Ok(());
        }
        let (source, own) = (follow.source, follow.inode());
        let (size, held) = (follow.proved, follow.held_end());
        let position = follow.position.clone();
        let owner = |inode| match inode == own {
            true => Owner::Another,
            false => self.owner(source, inode, id),
        };
        let search =
            rotated::find(&Wanted { position: &position, after: follow.kept(), owner: &owner });
        let mut since = follow.modified;
        let (copy, end) = match search {
            Search::Found(found) => {
                since = fs::metadata(&found.path).map_or(since, |meta| identity::modified(&meta));
                let plain = found.plain.as_ref().map(|plain| plain.size);
                if found.plain.is_some() {
                    self.remember_copy(source, &found.path)?;
                }
                let end = plain.unwrap_or(size);
                (Some(Rest { body: found.body }).filter(|_| end >= held), end)
            }
            Search::Missing(unreadable) => {
                self.unreadable(source, unreadable);
                (None, 0)
            }
            Search::Unknown => (None, 0),
        };
        let gone = size.saturating_sub(end.max(held));
        if gone > 0 {
            self.lost(id, gone);
        }
        self.read_between(id, since, None, now)?;
        let Some(follow) = self.table.files.get_mut(&id) else { return Ok(()) };
        follow.rest = copy.or_else(|| follow.take_kept());
        if follow.rest.is_none() {
            self.next_generation(id, now);
        } else {
            self.mark(id);
        }
        Ok(())
    }

    /// It is read to its end: the rest of an old generation, or the file itself.
    pub(super) fn ended(&mut self, id: FileId, now: Instant) {
        let Some(follow) = self.table.files.get(&id) else { return };
        if follow.rest.is_some() {
            return self.next_generation(id, now);
        }
        self.close(id);
        self.table.finish(id);
        self.release(id);
    }

    fn next_generation(&mut self, id: FileId, now: Instant) {
        let Some(follow) = self.table.files.get_mut(&id) else { return };
        follow.renew(now);
        self.turn.truncated.push(Truncated {
            source: follow.source,
            path: follow.shown.clone(),
            file: id,
            generation: follow.position.generation,
        });
        self.table.touch(id);
        self.mark(id);
    }

    pub(super) fn lost(&mut self, id: FileId, bytes: u64) {
        if let Some(follow) = self.table.files.get(&id) {
            let (source, path) = (follow.source, follow.shown.clone());
            self.turn.lost.push(Lost { source, path, bytes });
        }
    }
}
