//! Waking the reader: what the system reports of watched folders, gathered until the reader asks.
//!
//! Folders are watched, not files: a rename or a new file is seen too, and ten thousand files need one watch.
//! Where watching fails (no inotify, limit reached) the slow poll of the tailer alone is enough.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{CreateKind, ModifyKind, RemoveKind},
};

/// Folders that are watched at most; others are polled.
const FOLDERS_MAX: usize = 8_192;
/// Changed paths that are remembered at most; beyond that everything is looked at.
const PATHS_MAX: usize = 65_536;

/// What changed since the last look.
#[derive(Default)]
pub(super) struct Changes {
    /// Files that changed, came or went, by the names their folders were watched under.
    pub(super) paths: Vec<PathBuf>,
    /// Folders came or went, or events were lost: look at everything.
    pub(super) rescan: bool,
}

#[derive(Default)]
struct Pending {
    paths: HashSet<PathBuf>,
    gone: Vec<PathBuf>,
    rescan: bool,
    interrupted: bool,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    woken: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Every change of it is a single step, so a panic elsewhere leaves it whole.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, event: notify::Result<Event>) {
        let Ok(event) = event else {
            self.lock().rescan = true;
            return self.woken.notify_one();
        };
        let mut pending = self.lock();
        match event.kind {
            // Opening and closing, our own included, changes nothing.
            EventKind::Access(_) => return,
            EventKind::Create(CreateKind::Folder) => pending.rescan = true,
            EventKind::Remove(RemoveKind::Folder | RemoveKind::Other)
            | EventKind::Modify(ModifyKind::Name(_)) => {
                pending.gone.extend(event.paths.iter().cloned());
            }
            _ => {}
        }
        pending.rescan |= event.need_rescan();
        pending.paths.extend(event.paths);
        if pending.paths.len() + pending.gone.len() > PATHS_MAX {
            pending.paths.clear();
            pending.gone.clear();
            pending.rescan = true;
        }
        drop(pending);
        self.woken.notify_one();
    }
}

/// Ends the wait of a turn from another thread.
#[derive(Clone)]
pub struct Interrupter(Arc<Shared>);

impl Interrupter {
    /// The turn that is waiting, or the next one, does not wait.
    pub fn interrupt(&self) {
        self.0.lock().interrupted = true;
        self.0.woken.notify_one();
    }
}

/// The watched folders.
pub(super) struct Wake {
    shared: Arc<Shared>,
    watcher: Option<RecommendedWatcher>,
    /// Real folder → the names that globs and links know it by.
    folders: HashMap<PathBuf, Vec<PathBuf>>,
    /// Names that are in `folders`.
    names: HashSet<PathBuf>,
    full: bool,
}

impl Wake {
    /// Watches nothing yet. An error is why only polling remains.
    pub(super) fn new() -> (Self, Option<notify::Error>) {
        let mut wake = Self::polling();
        let shared = Arc::clone(&wake.shared);
        match notify::recommended_watcher(move |event| shared.report(event)) {
            Ok(watcher) => wake.watcher = Some(watcher),
            Err(e) => return (wake, Some(e)),
        }
        (wake, None)
    }

    /// Never watches anything.
    pub(super) fn polling() -> Self {
        Self {
            shared: Arc::default(),
            watcher: None,
            folders: HashMap::new(),
            names: HashSet::new(),
            full: false,
        }
    }

    pub(super) fn interrupter(&self) -> Interrupter {
        Interrupter(Arc::clone(&self.shared))
    }

    /// Whether changes of watched folders are reported at all.
    pub(super) fn watches(&self) -> bool {
        self.watcher.is_some() && !self.full
    }

    /// Watches a folder under this name. An error is said once; polling goes on.
    pub(super) fn watch(&mut self, folder: &Path) -> Result<(), notify::Error> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        if self.full || self.names.contains(folder) {
            return Ok(());
        }
        let Ok(real) = fs::canonicalize(folder) else { return Ok(()) };
        if !self.folders.contains_key(&real) {
            let watched = if self.folders.len() < FOLDERS_MAX {
                watcher.watch(&real, RecursiveMode::NonRecursive)
            } else {
                Err(notify::Error::generic("too many folders to watch"))
            };
            self.full = watched.is_err();
            watched?;
        }
        self.names.insert(folder.to_owned());
        self.folders.entry(real).or_default().push(folder.to_owned());
        Ok(())
    }

    /// What changed since the last call.
    pub(super) fn changes(&mut self) -> Changes {
        let (paths, gone, mut rescan) = {
            let mut pending = self.shared.lock();
            if pending.paths.is_empty() && pending.gone.is_empty() && !pending.rescan {
                return Changes::default();
            }
            let paths = std::mem::take(&mut pending.paths);
            (paths, std::mem::take(&mut pending.gone), std::mem::take(&mut pending.rescan))
        };
        for path in gone {
            rescan |= self.forget(&path);
        }
        let paths = paths.into_iter().flat_map(|path| self.named(path)).collect();
        Changes { paths, rescan }
    }

    /// A folder that is gone must be watched anew if it comes again.
    fn forget(&mut self, folder: &Path) -> bool {
        let Some(names) = self.folders.remove(folder) else { return false };
        for name in names {
            self.names.remove(&name);
        }
        if let Some(watcher) = &mut self.watcher {
            // Fails if the system has ended the watch itself.
            let _ = watcher.unwatch(folder);
        }
        self.full = false;
        true
    }

    /// The reported path under all names of its folder.
    fn named(&self, path: PathBuf) -> Vec<PathBuf> {
        let known = path.parent().and_then(|folder| self.folders.get(folder));
        match (known, path.file_name()) {
            (Some(folders), Some(name)) => folders.iter().map(|f| f.join(name)).collect(),
            _ => vec![path],
        }
    }

    /// Waits until something changes, somebody interrupts, or the time is over. `true`: interrupted.
    pub(super) fn wait(&self, until: Instant) -> bool {
        let mut pending = self.shared.lock();
        loop {
            if std::mem::take(&mut pending.interrupted) {
                return true;
            }
            if !pending.paths.is_empty() || !pending.gone.is_empty() || pending.rescan {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return false;
            }
            let waited = self.shared.woken.wait_timeout(pending, left);
            pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
