//! Where files are and what became of them: they appear, are renamed, deleted, truncated, found again.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    Error, FileId, Lost, Position, Start, Truncated,
    body::Body,
    discover::Visitor,
    follow::{Follow, Rest, Stage},
    identity::{self, Head, Inode, TAIL_BYTES},
    rotated::{self, Found, Owner, Search, Wanted},
    table::Resting,
    tailer::Tailer,
};
use crate::event::Time;

/// Known files that are looked at in one round of the poll.
const POLLED_MAX: usize = 1_000;
/// The same where nothing else tells of changes.
const POLLED_UNWATCHED_MAX: usize = 5_000;
/// Walks of the globs may take at most one part in so many of the time.
const SCAN_SHARE: u32 = 100;

#[derive(Default)]
struct Sights {
    files: Vec<(PathBuf, Option<u64>)>,
    folders: Vec<PathBuf>,
    problems: Vec<(PathBuf, io::Error)>,
}

impl Visitor for Sights {
    fn file(&mut self, path: PathBuf, inode: Option<u64>) {
        self.files.push((path, inode));
    }
    fn folder(&mut self, path: &Path) {
        self.folders.push(path.to_owned());
    }
    fn problem(&mut self, path: &Path, error: io::Error) {
        self.problems.push((path.to_owned(), error));
    }
}

impl Tailer {
    /// Looks at what was reported, and at what is due to be looked at.
    pub(super) fn notice(&mut self, now: Instant) -> Result<(), Error> {
        let changes = self.wake.changes();
        for path in changes.paths {
            self.reported(&path, now)?;
        }
        if changes.rescan {
            self.next_scan = now;
        }
        if now >= self.next_scan {
            let begun = Instant::now();
            self.scan(now)?;
            let pause = (begun.elapsed() * SCAN_SHARE).max(self.times.scan);
            self.next_scan = now + pause;
        }
        if now >= self.next_poll {
            self.next_poll = now + self.times.poll;
            self.poll(now)?;
        }
        Ok(())
    }

    fn reported(&mut self, path: &Path, now: Instant) -> Result<(), Error> {
        let ids = self.table.by_path(path);
        for &id in &ids {
            if self.table.files.contains_key(&id) {
                self.look(id, now)?;
            }
        }
        for source in 0..self.sources.len() {
            let known = ids.iter().any(|id| {
                self.table.files.get(id).is_some_and(|f| {
                    f.source == source && f.stage == Stage::Live && f.shown == path
                })
            });
            if !known && self.sources[source].globs.matches(path) {
                self.arrive(source, path, now)?;
            }
        }
        Ok(())
    }

    fn poll(&mut self, now: Instant) -> Result<(), Error> {
        if self.to_poll.is_empty() {
            self.to_poll = self.table.files.keys().copied().collect();
        }
        let most = if self.wake.watches() { POLLED_MAX } else { POLLED_UNWATCHED_MAX };
        let from = self.to_poll.len().saturating_sub(most);
        for id in self.to_poll.split_off(from) {
            self.look(id, now)?;
        }
        Ok(())
    }

    /// Walks all globs.
    fn scan(&mut self, now: Instant) -> Result<(), Error> {
        let mut later = Vec::new();
        self.resume_elsewhere(now)?;
        for source in 0..self.sources.len() {
            let mut found = Sights::default();
            if !self.sources[source].globs.walk(&mut found) {
                let message = "too many files below its globs: not all are read".to_owned();
                self.problem(Some(source), PathBuf::new(), message);
            }
            for folder in found.folders {
                self.mended(&folder);
                if let Err(e) = self.wake.watch(&folder) {
                    let message = format!("cannot be watched, polling: {e}");
                    self.problem(Some(source), folder, message);
                }
            }
            for (path, error) in found.problems {
                self.problem(Some(source), path, error.to_string());
            }
            for (path, inode) in found.files {
                if self.is_settled(source, &path, inode) {
                    continue;
                }
                // Files that are known by their inode first, so that nothing new is taken for them.
                match fs::metadata(&path).map(|meta| Inode::of(&meta)) {
                    Ok(inode) if self.table.by_inode(source, inode).is_none() => {
                        later.push((source, path));
                    }
                    _ => self.arrive(source, &path, now)?,
                }
            }
        }
        for (source, path) in later {
            self.arrive(source, &path, now)?;
        }
        self.settle_unplaced(now)?;
        self.forget_gone();
        self.scanned_once = true;
        Ok(())
    }

    /// Whether the walk tells nothing new about this path.
    fn is_settled(&self, source: usize, path: &Path, inode: Option<u64>) -> bool {
        let Some(inode) = inode else { return false };
        self.table.by_path(path).iter().any(|id| {
            self.table.files.get(id).is_some_and(|f| {
                f.source == source
                    && f.position.inode == inode
                    && f.position.path == path
                    && f.body.is_some()
            })
        })
    }

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
    fn revive(
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
            return self.newcomer(source, path, &meta, now);
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

    /// A position from before the start; its inode is at this path.
    fn resume(
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
        self.begin(source, position, shown, (body, &opened), stage, now);
        if let Some(follow) = self.table.files.get_mut(&id).filter(|_| holds) {
            follow.learn_head(&start);
        }
        match (holds, same_path) {
            (false, _) => self.truncated(id, now),
            (true, false) => self.read_between(id, since, Some(id), now),
            (true, true) => Ok(()),
        }
    }

    /// A file whose inode is not known.
    fn newcomer(
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
    fn begin(
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

    fn measured(&mut self, id: FileId, meta: &Metadata) {
        let Some(follow) = self.table.files.get_mut(&id) else { return };
        let modified = identity::modified(meta);
        if follow.measure(meta.len(), modified) {
            self.mark(id);
        }
    }

    /// Its path leads elsewhere.
    fn departed(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
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

    /// Reads on in the file that a search found.
    fn found(
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
    fn read_between(
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

    /// Positions from before the start whose files no glob names: rotated ones.
    fn resume_elsewhere(&mut self, now: Instant) -> Result<(), Error> {
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
    fn settle_unplaced(&mut self, now: Instant) -> Result<(), Error> {
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
    fn settle(&mut self, id: FileId, now: Instant) -> Result<(), Error> {
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

    fn unreadable(&mut self, source: usize, path: Option<PathBuf>) {
        if let Some(path) = path {
            let message = "a rotated file may be in here, but only .gz can be unpacked".to_owned();
            self.problem(Some(source), path, message);
        }
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

    /// Makes sure that a file can be read. `false`: not now.
    pub(super) fn open(&mut self, id: FileId, now: Instant) -> Result<bool, Error> {
        let Some(follow) = self.table.files.get(&id) else { return Ok(false) };
        if follow.body.is_some() || follow.rest.is_some() {
            return Ok(true);
        }
        let (source, path, inode) = (follow.source, follow.position.path.clone(), follow.inode());
        match Body::open_any(&path) {
            Ok((body, meta)) if Inode::of(&meta) == inode => {
                self.mended(&path);
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

    fn open_at(&mut self, source: usize, path: &Path) -> Option<(Body, Metadata)> {
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

    /// Finished files that are not found any more need not be recognised.
    fn forget_gone(&mut self) {
        let ids: Vec<_> = self.table.done.keys().copied().collect();
        for id in ids {
            let Some(resting) = self.table.done.get(&id) else { continue };
            let position = &resting.position;
            let path = &position.path;
            let there = fs::metadata(path).map(|meta| Inode::of(&meta));
            let Some(folder) = path.parent() else { continue };
            match there {
                Ok(inode) if inode == Inode::of_position(position) => {}
                Err(e) if e.kind() != io::ErrorKind::NotFound || !folder.is_dir() => {}
                _ => match rotated::place_of(position.inode, path) {
                    Some(place) => self.table.set_path(id, place),
                    None => self.table.forget(id),
                },
            }
        }
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
