//! What the writer and the readers of one spool share: which segments there are, how far they are written, the state.
//!
//! Locks are held briefly and never while waiting. Who needs two takes `state` before `index`.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Error, Gap, Range, Sequence,
    disk::{Disk, DiskFile},
    quarantine,
    state::State,
};
use crate::event::Tables;

/// How long a wait for room or for the disk lasts before both are looked at again.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 200 });
/// Most notices that wait to be taken; the oldest go first.
const NOTICES_MAX: usize = 256;
/// Most tables of old segments that are kept for readers.
const TABLES_MAX: usize = 4;

/// Takes a lock. A panic of another thread leaves nothing half-changed behind our locks.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that the agent should say in an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The spool was full and the oldest segment with these events went.
    Dropped(Range),
    /// Sequences turned out to be unreadable. The range is empty where a damaged frame held positions only.
    Lost(Gap),
}

/// Called after an append with the sequence that comes next.
pub type Listener = Box<dyn Fn(Sequence) + Send + Sync>;

/// One spool's common ground.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) index: Mutex<Index>,
    pub(crate) state: Mutex<State>,
    pub(crate) tail: Mutex<Tail>,
    pub(crate) listeners: Mutex<Vec<Listener>>,
    room: Condvar,
    notices: Mutex<VecDeque<Notice>>,
    trouble: Mutex<Option<String>>,
    tables: Mutex<VecDeque<([u8; 32], Arc<Tables>)>>,
    stop: AtomicBool,
}

/// The segments, oldest first. Never empty once the spool is open.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) segments: VecDeque<Segment>,
    /// The sequence after the last event that readers may see.
    pub(crate) next: u64,
    /// Grows with each segment, so that a replaced one is not taken for itself.
    pub(crate) serial: u64,
}

/// A segment as readers may see it.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) serial: u64,
    pub(crate) path: Arc<Path>,
    pub(crate) first: u64,
    pub(crate) follows: u64,
    pub(crate) bytes: u64,
}

/// The file that is appended to, for those who sync it.
pub(crate) struct Tail {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) path: Arc<Path>,
    /// The sequence after the last event written.
    pub(crate) written: u64,
    /// Bytes written.
    pub(crate) bytes: u64,
    /// Bytes that survive a power cut.
    pub(crate) synced: u64,
    /// A sync failed: the file must be written anew.
    pub(crate) broken: bool,
}

/// Where a sequence is.
pub(crate) enum Place {
    /// Before all segments, which begin here.
    Before(u64),
    /// In (or right behind) this segment.
    In { segment: Segment, after: Option<(u64, u64)>, next: u64 },
}

impl Index {
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub(crate) fn add(&mut self, path: &Path, first: u64, follows: u64, bytes: u64) {
        self.serial += 1;
        // A segment that never got an event has the name of its successor, which takes its place.
        if self.segments.back().is_some_and(|last| last.first == first) {
            self.segments.pop_back();
        }
        let (serial, path) = (self.serial, path.into());
        self.segments.push_back(Segment { serial, path, first, follows, bytes });
    }

    /// The last segment is another file now, with the same content.
    pub(crate) fn renew(&mut self) {
        self.serial += 1;
        if let Some(last) = self.segments.back_mut() {
            last.serial = self.serial;
        }
    }

    pub(crate) fn locate(&self, sequence: u64) -> Option<Place> {
        let behind = self.segments.partition_point(|segment| segment.first <= sequence);
        let Some(at) = behind.checked_sub(1) else {
            return self.segments.front().map(|oldest| Place::Before(oldest.first));
        };
        let after = self.segments.get(behind).map(|after| (after.follows, after.first));
        let segment = self.segments.get(at)?.clone();
        Some(Place::In { segment, after, next: self.next })
    }
}

impl Shared {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        index: Index,
        state: State,
        tail: Tail,
    ) -> Self {
        Self {
            disk,
            folder,
            index: Mutex::new(index),
            state: Mutex::new(state),
            tail: Mutex::new(tail),
            listeners: Mutex::default(),
            room: Condvar::new(),
            notices: Mutex::default(),
            trouble: Mutex::default(),
            tables: Mutex::default(),
            stop: AtomicBool::new(false),
        }
    }

    /// Waits a moment, or until something was released.
    pub(crate) fn pause(&self) -> Result<(), Error> {
        if self.stopping() {
            return Err(Error::Stopping);
        }
        let index = hold(&self.index);
        drop(self.room.wait_timeout(index, PAUSE));
        if self.stopping() { Err(Error::Stopping) } else { Ok(()) }
    }

    pub(crate) fn wake(&self) {
        self.room.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Tells those who wait for events that there are some.
    pub(crate) fn announce(&self, next: u64) {
        hold(&self.listeners).iter().for_each(|listener| listener(Sequence(next)));
    }

    pub(crate) fn notice(&self, notice: Notice) {
        let mut notices = hold(&self.notices);
        if notices.len() >= NOTICES_MAX {
            notices.pop_front();
        }
        notices.push_back(notice);
    }

    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        hold(&self.notices).drain(..).collect()
    }

    /// Says once that something keeps the spool from writing, and once that it is over.
    pub(crate) fn trouble(&self, why: Option<String>) {
        let mut trouble = hold(&self.trouble);
        if trouble.is_none()
            && let Some(why) = &why
        {
            tracing::warn!("the spool waits, nothing is lost: {why}");
        }
        if trouble.is_some() && why.is_none() {
            tracing::info!("the spool goes on");
        }
        *trouble = why;
    }

    pub(crate) fn what_troubles(&self) -> Option<String> {
        hold(&self.trouble).clone()
    }

    /// Notes damage that a reader found: once counted, once kept aside, once noticed.
    pub(crate) fn corrupt(&self, gap: &Gap, file: &dyn DiskFile, bytes: std::ops::Range<u64>) {
        if self.lost(gap) && !bytes.is_empty() {
            quarantine::keep(&*self.disk, &self.folder, &gap.path, file, bytes);
        }
    }

    /// Notes that sequences cannot be read. False when that was known.
    pub(crate) fn lost(&self, gap: &Gap) -> bool {
        let new = gap.range.is_empty() || hold(&self.state).lose(gap.range);
        if new {
            self.notice(Notice::Lost(gap.clone()));
        }
        new
    }

    /// Tables that were read or written before.
    pub(crate) fn known_tables(&self, hash: &[u8; 32]) -> Option<Arc<Tables>> {
        hold(&self.tables).iter().find(|(known, _)| known == hash).map(|(_, tables)| tables.clone())
    }

    pub(crate) fn remember_tables(&self, hash: [u8; 32], tables: &Arc<Tables>) {
        let mut known = hold(&self.tables);
        if known.iter().any(|(old, _)| *old == hash) {
            return;
        }
        known.push_front((hash, tables.clone()));
        known.truncate(TABLES_MAX);
    }
}
