//! All files that are known, and the ways to find one: by inode, by path, by the fingerprint of its head.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{
    FileId, Position,
    follow::{Follow, Stage},
    identity::{Head, Inode},
};

/// A position whose file is not being read.
pub(super) struct Resting {
    pub(super) source: usize,
    pub(super) position: Position,
    /// Seen in this run to hold what it should.
    pub(super) proved: bool,
}

/// Everything that is known of files.
#[derive(Default)]
pub(super) struct Table {
    /// Files that are read.
    pub(super) files: HashMap<FileId, Follow>,
    /// Files that are finished; kept to recognise them.
    pub(super) done: HashMap<FileId, Resting>,
    /// Positions from before the start whose file is not found yet.
    pub(super) unplaced: HashMap<FileId, Resting>,
    inodes: HashMap<(usize, Inode), FileId>,
    paths: HashMap<PathBuf, Vec<FileId>>,
    changed: HashSet<FileId>,
    /// Changed positions of forgotten files: who does not ask for the forgotten ones must know that they are
    /// finished.
    last_words: Vec<Position>,
    forgotten: Vec<FileId>,
}

impl Table {
    /// A position from before the start.
    pub(super) fn remember(&mut self, source: usize, position: Position) {
        let id = position.file;
        self.inodes.insert((source, Inode::of_position(&position)), id);
        self.index_path(&position.path, id);
        let finished = position.finished;
        let resting = Resting { source, position, proved: false };
        let kept = if finished { &mut self.done } else { &mut self.unplaced };
        kept.insert(id, resting);
    }

    /// A file begins to be read.
    pub(super) fn follow(&mut self, follow: Follow) {
        let id = follow.id();
        self.done.remove(&id);
        self.unplaced.remove(&id);
        self.inodes.insert((follow.source, follow.inode()), id);
        for path in [Some(&follow.shown), Some(&follow.position.path), follow.real.as_ref()] {
            path.into_iter().for_each(|path| self.index_path(path, id));
        }
        if !follow.is_new {
            self.changed.insert(id);
        }
        self.files.insert(id, follow);
    }

    /// A file is read to its end.
    pub(super) fn finish(&mut self, id: FileId) {
        let Some(mut follow) = self.files.remove(&id) else { return };
        follow.position.finished = true;
        self.unindex_path(&follow.shown, id);
        follow.real.iter().for_each(|real| self.unindex_path(real, id));
        self.index_path(&follow.position.path, id);
        let resting = Resting { source: follow.source, position: follow.position, proved: true };
        if follow.stage == Stage::Archive {
            // A later file may get the inode that the uncompressed one had.
            self.inodes.remove(&(resting.source, Inode::of_position(&resting.position)));
        }
        self.done.insert(id, resting);
        self.changed.insert(id);
    }

    /// A file that turns out not to be one of its own.
    pub(super) fn drop_follow(&mut self, id: FileId) -> Option<Follow> {
        let follow = self.files.remove(&id)?;
        self.unindex_inode(follow.source, follow.inode(), id);
        for path in [Some(&follow.shown), Some(&follow.position.path), follow.real.as_ref()] {
            path.into_iter().for_each(|path| self.unindex_path(path, id));
        }
        self.changed.remove(&id);
        Some(follow)
    }

    /// A position whose file is nowhere any more.
    pub(super) fn give_up(&mut self, id: FileId) {
        if let Some(mut resting) = self.unplaced.remove(&id) {
            resting.position.finished = true;
            self.inodes.remove(&(resting.source, Inode::of_position(&resting.position)));
            self.done.insert(id, resting);
            self.changed.insert(id);
        }
    }

    /// A finished file that does not exist any more.
    pub(super) fn forget(&mut self, id: FileId) {
        if let Some(resting) = self.done.remove(&id) {
            self.unindex_inode(resting.source, Inode::of_position(&resting.position), id);
            self.unindex_path(&resting.position.path, id);
            if self.changed.remove(&id) {
                self.last_words.push(resting.position);
            }
            self.forgotten.push(id);
        }
    }

    /// A file that is finished before it is ever read: a copy of another.
    pub(super) fn done_already(&mut self, source: usize, position: Position) {
        let id = position.file;
        self.remember(source, position);
        self.changed.insert(id);
    }

    pub(super) fn set_path(&mut self, id: FileId, path: PathBuf) {
        let old = match (self.files.get_mut(&id), self.done.get_mut(&id)) {
            (Some(follow), _) => {
                let old = std::mem::replace(&mut follow.position.path, path.clone());
                (old != follow.shown).then_some(old)
            }
            (None, Some(resting)) => {
                Some(std::mem::replace(&mut resting.position.path, path.clone()))
            }
            (None, None) => return,
        };
        if let Some(old) = old {
            self.unindex_path(&old, id);
        }
        self.index_path(&path, id);
        self.changed.insert(id);
    }

    pub(super) fn is_known(&self, id: FileId) -> bool {
        self.position(id).is_some() || self.unplaced.contains_key(&id)
    }

    pub(super) fn touch(&mut self, id: FileId) {
        self.changed.insert(id);
    }

    pub(super) fn by_inode(&self, source: usize, inode: Inode) -> Option<FileId> {
        self.inodes.get(&(source, inode)).copied()
    }

    pub(super) fn unindex_inode(&mut self, source: usize, inode: Inode, id: FileId) {
        if self.by_inode(source, inode) == Some(id) {
            self.inodes.remove(&(source, inode));
        }
    }

    pub(super) fn by_path(&self, path: &Path) -> Vec<FileId> {
        self.paths.get(path).cloned().unwrap_or_default()
    }

    /// Fingerprints of the heads of all files of a source.
    pub(super) fn heads(&self, source: usize) -> HashSet<Head> {
        let done = self.done.values().filter(|resting| resting.source == source);
        let done = done.map(|resting| Head::of_position(&resting.position));
        let files = self.files.values().filter(|follow| follow.source == source);
        let files = files.flat_map(|follow| {
            let past = follow.past.iter().filter_map(|past| past.heads.last());
            past.copied().chain([Head::of_position(&follow.position)])
        });
        done.chain(files).filter(|head| head.bytes > 0).collect()
    }

    /// Positions that are other than at the last call.
    pub(super) fn take_changed(&mut self) -> Vec<Position> {
        let changed = std::mem::take(&mut self.changed);
        let mut positions = std::mem::take(&mut self.last_words);
        positions.extend(changed.into_iter().filter_map(|id| self.position(id).cloned()));
        positions
    }

    /// Positions that nobody needs any more, since the last call.
    pub(super) fn take_forgotten(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.forgotten)
    }

    fn position(&self, id: FileId) -> Option<&Position> {
        self.files
            .get(&id)
            .map(|follow| &follow.position)
            .or_else(|| self.done.get(&id).map(|resting| &resting.position))
    }

    fn index_path(&mut self, path: &Path, id: FileId) {
        let ids = self.paths.entry(path.to_owned()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }

    fn unindex_path(&mut self, path: &Path, id: FileId) {
        if let Some(ids) = self.paths.get_mut(path) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.paths.remove(path);
            }
        }
    }
}
