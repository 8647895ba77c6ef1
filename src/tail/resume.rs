//! Positions from before the start, and what happened while nobody looked.
//!
//! A position is first matched by inode, then by path, then by searching the folder for its bytes. What was
//! rotated several times unseen is read in the order of its times.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    Error, FileId, Lost, Position,
    body::Body,
    follow::Stage,
    identity::{self, Head, Inode},
    rotated::{self, Found, Search, Wanted},
    table::Resting,
    tailer::Tailer,
};
use crate::event::Time;

impl Tailer {
    /// A position from before the start; its inode is at this path.
    pub(super) fn resume(
        &mut self,
        id: FileId,
        path: &Path,
        meta: &Metadata,
        now: Instant,
    ) -> Result<(), Error> {
        let Some(resting) = self.table.unplaced.get(&id) else { return Ok(()) };
        let source = resting.source;
        let mut position = resting.position.clone();
        let Some((mut body, opened)) = self.open_at(source, path) else { return Ok(()) };
        if Inode::of(&opened) != Inode::of(meta) {
            return Ok(()); // Replaced this instant; the next walk sees what is there.
        }
        let same_path = position.path == path;
        let proof = identity::read_head(&mut body)
            .and_then(|start| Ok((start, identity::holds(&mut body, &position)?)));
        let (start, holds) = match proof {
            Ok(proof) => proof,
            Err(e) => {
                self.problem(Some(source), path.to_owned(), e.to_string());
                return Ok(());
            }
        };
        if !holds && !same_path {
            self.table.unindex_inode(source, Inode::of(meta), id);
            return self.newcomer(source, path, meta, now);
        }
        let shown = position.path.clone();
        let stage = match body {
            Body::Gz(_) => Stage::Archive,
            _ if same_path && self.sources[source].globs.matches(path) => Stage::Live,
            _ => Stage::Renamed(now),
        };
        position.path = path.to_owned();
        let since = identity::modified(&opened);
        let unknown = position.offset == 0 && position.head_bytes == 0;
        self.begin(source, position, shown, (body, &opened), stage, now);
        if let Some(follow) = self.table.files.get_mut(&id).filter(|_| holds) {
            follow.learn_head(&start);
        }
        match (holds, same_path) {
            (false, _) => self.truncated(id, now),
            (true, false) => self.read_between(id, since, Some(id), now),
            (true, true) if unknown => self.read_between_done(id, now),
            (true, true) => Ok(()),
        }
    }

    /// Positions from before the start whose files no glob names: rotated ones.
    pub(super) fn resume_elsewhere(&mut self, now: Instant) -> Result<(), Error> {
        let ids: Vec<_> = self.table.unplaced.keys().copied().collect();
        for id in ids {
            let Some(Resting { source, position, .. }) = self.table.unplaced.get(&id) else {
                continue;
            };
            let (path, inode) = (position.path.clone(), Inode::of_position(position));
            if self.sources[*source].globs.matches(&path) {
                continue;
            }
            if let Ok(meta) = fs::metadata(&path)
                && Inode::of(&meta) == inode
            {
                self.resume(id, &path, &meta, now)?;
            }
        }
        Ok(())
    }

    /// Positions from before the start whose files the walk did not come across.
    pub(super) fn settle_unplaced(&mut self, now: Instant) -> Result<(), Error> {
        let ids: Vec<_> = self.table.unplaced.keys().copied().collect();
        for id in ids {
            let Some(resting) = self.table.unplaced.get(&id) else { continue };
            let (source, path) = (resting.source, resting.position.path.clone());
            match fs::metadata(&path) {
                Ok(_) if self.sources[source].globs.matches(&path) => {}
                Ok(meta) if Inode::of(&meta) == Inode::of_position(&resting.position) => {}
                Ok(_) => self.settle(id, now)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.settle(id, now)?,
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Finds the rotated file of a position, or says that it is gone.
    pub(super) fn settle(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
        let Some(resting) = self.table.unplaced.get(&id) else { return Ok(()) };
        let (source, position) = (resting.source, resting.position.clone());
        let owner = |inode| self.owner(source, inode, id);
        match rotated::find(&Wanted { position: &position, after: &[], owner: &owner }) {
            Search::Found(found) => return self.found(source, position, *found, now),
            Search::Missing(unreadable) => {
                self.unreadable(source, unreadable);
                self.turn.lost.push(Lost { source, path: position.path, bytes: 0 });
                self.table.give_up(id);
            }
            Search::Unknown => {}
        }
        Ok(())
    }

    /// Reads on in the file that a search found.
    pub(super) fn found(
        &mut self,
        source: usize,
        mut position: Position,
        found: Found,
        now: Instant,
    ) -> Result<(), Error> {
        let id = position.file;
        let shown = self.table.files.get(&id).map_or(&position.path, |f| &f.shown).clone();
        self.table.unindex_inode(source, Inode::of_position(&position), id);
        let Ok(meta) = fs::metadata(&found.path) else { return Ok(()) };
        let stage = if found.plain.is_some() { Stage::Renamed(now) } else { Stage::Archive };
        if let Some(plain) = &found.plain {
            (position.device, position.inode) = (plain.inode.device, plain.inode.inode);
            position.path = found.path;
        }
        let since = identity::modified(&meta);
        self.begin(source, position, shown, (found.body, &meta), stage, now);
        self.read_between(id, since, Some(id), now)
    }

    /// Reads what was rotated after `since` and before anybody saw it, in its order; `first` is waited for.
    pub(super) fn read_between(
        &mut self,
        id: FileId,
        since: Time,
        mut first: Option<FileId>,
        now: Instant,
    ) -> Result<(), Error> {
        let Some(follow) = self.table.files.get(&id) else { return Ok(()) };
        let (source, shown) = (follow.source, follow.shown.clone());
        let known = |inode| self.table.by_inode(source, inode).is_some();
        let found = rotated::between(&shown, since, &known);
        if found.is_empty() {
            return Ok(());
        }
        let heads = self.table.heads(source);
        for mut between in found {
            let start = identity::read_head(&mut between.body).unwrap_or_default();
            // A compressed file keeps the head of the one that it was.
            if Head::levels(&start).any(|head| heads.contains(&head)) {
                continue;
            }
            let position = self.first_position(source, between.path, &between.meta)?;
            let next = position.file;
            let archive = matches!(between.body, Body::Gz(_));
            let stage = if archive { Stage::Archive } else { Stage::Renamed(now) };
            let opened = (between.body, &between.meta);
            self.begin(source, position, shown.clone(), opened, stage, now);
            if let Some(first) = first.replace(next) {
                self.wait_for(first, next);
            }
        }
        Ok(())
    }

    /// A known file of which nothing is known proves nothing: it may have been copied and truncated unseen. What
    /// is newer than its finished copies was not read.
    fn read_between_done(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
        let Some(follow) = self.table.files.get(&id) else { return Ok(()) };
        let (source, shown) = (follow.source, &follow.shown);
        let done = self.table.done.values().filter(|resting| {
            resting.source == source && rotated::is_related(&resting.position.path, shown)
        });
        let times = done.filter_map(|resting| fs::metadata(&resting.position.path).ok());
        match times.map(|meta| identity::modified(&meta)).max() {
            Some(since) => self.read_between(id, since, None, now),
            None => Ok(()),
        }
    }

    pub(super) fn unreadable(&mut self, source: usize, path: Option<PathBuf>) {
        if let Some(path) = path {
            let message = "a rotated file may be in here, but only .gz can be unpacked".to_owned();
            self.problem(Some(source), path, message);
        }
    }
}
