//! The thread left of the spool: takes chunks from the tailer, lets the source's refinery make events of them, and
//! appends both events and positions in one frame. When the spool is full it waits there, and so does reading.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{error, info, warn};

use super::{
    own::{Own, Said},
    refinery::{Harvest, Refinery},
};
use crate::{
    event::Time,
    report,
    spool::{Error as SpoolError, Spool},
    tail::{Chunk, FileId, Flush, Tailer, Taken, Turn},
};

/// How long a turn waits when there is nothing to read; also how often the agent looks after itself.
const WAIT: Duration = Duration::from_secs(1);
/// How long to pause after an error of the disk.
const PAUSE: Duration = Duration::from_secs(1);
/// So much of a file before its position is read again at start, to know its connections.
const LOOK_BACK_BYTES: u64 = 1 << 20;
/// Bytes that prove that a path still leads to the file that a chunk came from.
const PROOF_BYTES: usize = 4096;

/// What the reader tells of itself while it runs.
#[derive(Default)]
pub(crate) struct View {
    /// Files by source, in the order of the configuration.
    pub(crate) files: Mutex<Vec<Vec<report::FileStatus>>>,
}

/// The reader and all it owns.
pub(crate) struct Reader {
    pub(crate) tailer: Tailer,
    pub(crate) refineries: Vec<Refinery>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) own: Own,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) view: Arc<View>,
    /// Files whose connections are known, or need not be.
    pub(crate) seen: HashSet<FileId>,
    /// The file that was last seen first at a path, by source: its successor's connections begin with its own.
    pub(crate) latest: HashMap<(usize, PathBuf), FileId>,
}

impl Reader {
    /// Reads until told to stop; then says so in an event. A record that is still open stays in its file.
    pub(crate) fn run(mut self) {
        let mut viewed = Instant::now();
        self.view();
        let mut harvest = Harvest::default();
        self.own.started(&mut harvest);
        let mut wait = Duration::ZERO;
        while !self.stop.load(Ordering::SeqCst) {
            if !self.turn(wait, &mut harvest) {
                break;
            }
            wait = WAIT;
            if viewed.elapsed() >= WAIT {
                self.view();
                viewed = Instant::now();
            }
        }
        self.own.stopped(&mut harvest);
        self.append(&mut harvest);
        info!("reading has stopped");
    }

    /// One turn and its frame. False when the spool takes nothing any more.
    fn turn(&mut self, wait: Duration, harvest: &mut Harvest) -> bool {
        let now = Time::now();
        let Self { tailer, refineries, seen, latest, .. } = self;
        let turn = tailer.turn(wait, &mut |chunk| {
            let Some(refinery) = refineries.get_mut(chunk.source) else { return Taken::default() };
            let now = Time::now();
            if seen.insert(chunk.file) {
                look_back(&chunk, refinery, now);
                let before = latest.insert((chunk.source, chunk.path.to_owned()), chunk.file);
                if let Some(before) = before.filter(|_| chunk.offset == 0) {
                    refinery.inherit(before, chunk.file);
                }
            }
            refinery.refine(&chunk, now, harvest)
        });
        match turn {
            Ok(turn) => self.say(&turn, harvest),
            Err(problem) => {
                error!("reading failed, trying again: {problem}");
                std::thread::sleep(PAUSE);
            }
        }
        for notice in self.spool.take_notices() {
            self.own.notice(&notice, now, harvest);
        }
        self.own.tick(now, harvest);
        self.append(harvest)
    }

    /// What happened to files becomes events and lines of the agent's own log.
    fn say(&mut self, turn: &Turn, harvest: &mut Harvest) {
        let now = Time::now();
        for lost in &turn.lost {
            warn!(path = %lost.path.display(), bytes = lost.bytes, "bytes were gone before they could be read");
            self.own.say(&Said::RotatedAway(lost), now, harvest);
        }
        for truncated in &turn.truncated {
            info!(path = %truncated.path.display(), "the file was truncated: reading it from its beginning");
            self.own.say(&Said::Truncated(truncated), now, harvest);
        }
        for problem in &turn.problems {
            warn!(path = %problem.path.display(), "{}", problem.message);
            self.own.say(&Said::Unreadable(problem), now, harvest);
        }
    }

    /// Appends what was harvested and the positions behind it. Tries until it is done or the agent stops.
    fn append(&mut self, harvest: &mut Harvest) -> bool {
        let positions = self.tailer.positions_changed();
        let gone = self.tailer.forgotten();
        for file in &gone {
            self.refineries.iter_mut().for_each(|refinery| refinery.forget(*file));
            self.seen.remove(file);
            self.latest.retain(|_, latest| latest != file);
        }
        self.spool.forget_files(&gone);
        if harvest.events.is_empty()
            && harvest.books.is_empty()
            && positions.is_empty()
            && gone.is_empty()
        {
            return true;
        }
        loop {
            match self.spool.append(&harvest.events, &positions, &harvest.books, Time::now()) {
                Ok(_) => break,
                Err(SpoolError::Stopping) => return false,
                Err(problem) => {
                    error!("nothing can be written to the spool, reading waits: {problem}");
                    std::thread::sleep(PAUSE);
                    if self.stop.load(Ordering::SeqCst) {
                        return false;
                    }
                }
            }
        }
        harvest.events.clear();
        harvest.books = Default::default();
        true
    }

    fn view(&self) {
        let mut files = vec![Vec::new(); self.refineries.len()];
        for file in self.tailer.files() {
            if let Some(files) = files.get_mut(file.source) {
                let layout = None;
                files.push(report::FileStatus::of(&file, layout));
            }
        }
        *self.view.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }
}

/// Reads what stands before a file's position again, so that its connections are known; nothing of it is shipped.
fn look_back(chunk: &Chunk<'_>, refinery: &mut Refinery, now: Time) {
    if chunk.offset == 0 {
        return;
    }
    let Some(before) = bytes_before(chunk) else {
        warn!(path = %chunk.path.display(), "what was read before cannot be read again: its connections are unknown");
        return;
    };
    let whole = before.len() as u64 == chunk.offset;
    let begin =
        if whole { 0 } else { memchr::memchr(b'\n', &before).map_or(before.len(), |n| n + 1) };
    let offset = chunk.offset - (before.len() - begin) as u64;
    refinery.remember(
        &Chunk { offset, bytes: &before[begin..], flush: Flush::Idle, cut: 0, ..*chunk },
        now,
    );
}

/// Up to [`LOOK_BACK_BYTES`] before a chunk, if its path still leads to the same bytes.
fn bytes_before(chunk: &Chunk<'_>) -> Option<Vec<u8>> {
    let file = File::open(chunk.path).ok()?;
    let proof = &chunk.bytes[..chunk.bytes.len().min(PROOF_BYTES)];
    let mut there = vec![0; proof.len()];
    file.read_exact_at(&mut there, chunk.offset).ok()?;
    if there != proof {
        return None;
    }
    let length = chunk.offset.min(LOOK_BACK_BYTES);
    let mut before = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut before, chunk.offset - length).ok()?;
    Some(before)
}
