//! Opening a spool that a crash, a power cut or a bad disk may have left: what is there, what is whole, what is gone.
//!
//! Reads from the newest segment whose snapshot is whole to the last valid frame. A torn tail (nothing valid behind it) is kept
//! aside and cut; its lines are read again, as the positions went with it. A damaged frame in the middle is kept aside, counted and
//! reported with its sequences; the frames behind it count. Older segments are checked when they are read.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Cause, Error, Gap, Range, Sequence,
    bytes::Damage,
    cursor,
    disk::{Disk, DiskFile, Mode},
    frame::{self, CONTINUES, MORE, SNAPSHOT, Sections},
    quarantine,
    segment::{self, Chain, Unreadable},
    state::{State, Unread},
    walk::{Step, Walk},
};

/// What opening the spool found out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// The sequence of the next event.
    pub next: Sequence,
    /// Sequences skipped now: a courier had gone on before the disk had them, or their segment was damaged. Their lines
    /// are read again under new numbers.
    pub hole: Option<Range>,
    /// Damage in the middle, newly found. Counted as lost in the books.
    pub corrupt: Vec<Gap>,
    /// Bytes of files that the damaged frames had covered: they can be read again where the file still has them.
    pub unread: Vec<Unread>,
    /// Tails cut off.
    pub torn: Vec<Torn>,
    /// Segments with an unreadable header, moved to `quarantine/`, and why.
    pub set_aside: Vec<(PathBuf, &'static str)>,
    /// Cursors that could not be read, moved to `quarantine/`; their destinations begin with the oldest event. With the reason.
    pub cursors: Vec<(String, String)>,
}

/// A tail that was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// How many bytes.
    pub bytes: u64,
    /// Where they were kept.
    pub kept: Option<PathBuf>,
}

/// A segment whose header is good.
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) header: segment::Header,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
}

/// What there is to go on with.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    pub(crate) state: State,
    /// The sequence after the last valid event.
    pub(crate) valid_next: u64,
    /// The sequence that may be given next.
    pub(crate) next: u64,
    /// The last segment's chain hash.
    pub(crate) chain: Option<Chain>,
    /// Whether the last segment can be appended to.
    pub(crate) whole: bool,
    pub(crate) report: Recovered,
}

/// Looks at all that is in the folder, and repairs the end of the last segment.
pub(crate) fn recover(disk: &dyn Disk, folder: &Path) -> Result<Found, Error> {
    let mut found = Found { valid_next: 1, whole: true, ..Found::default() };
    let mut reserved = entries(disk, folder, &mut found)?;
    fold_all(disk, folder, &mut found)?;
    reserved = reserved.max(cursors(disk, folder, &mut found)?);
    found.next = found.valid_next.max(reserved);
    if found.next > found.valid_next {
        let range = Range { first: Sequence(found.valid_next), next: Sequence(found.next) };
        found.state.skip(range);
        found.report.hole = Some(range);
    }
    found.report.next = Sequence(found.next);
    Ok(found)
}

/// Reads all headers. Says which sequence is free behind segments that had to be set aside.
fn entries(disk: &dyn Disk, folder: &Path, found: &mut Found) -> Result<u64, Error> {
    let mut reserved = 1;
    let mut names = disk.list(folder).map_err(Error::io("list", folder))?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        if Path::new(&name).extension().is_some_and(|end| end == "tmp") {
            disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
        let Some(first) = segment::parse_name(Path::new(&name)) else { continue };
        let file = disk.open(&path, Mode::Append).map_err(Error::io("open", &path))?;
        let bytes = file.bytes().map_err(Error::io("read", &path))?;
        let why = match segment::read_header(&*file) {
            Ok(header) if header.first == first => {
                found.entries.push(Entry { path, header, file, bytes });
                continue;
            }
            Ok(_) => "its name is not that of its first event",
            Err(Unreadable::Damaged(damage)) => damage.0,
            Err(Unreadable::TooNew(version)) => {
                return Err(Error::TooNew { path, version, known: segment::FORMAT });
            }
            Err(Unreadable::Io(source)) => return Err(Error::Io { what: "read", path, source }),
        };
        reserved =
            reserved.max(last_sequence(&file, first, bytes).map_err(Error::io("read", &path))?);
        quarantine::set_aside(disk, folder, &path).map_err(Error::io("set aside", &path))?;
        found.report.set_aside.push((path, why));
    }
    Ok(reserved)
}

/// The sequence after the last frame of a segment whose header is unreadable.
fn last_sequence(file: &Arc<dyn DiskFile>, first: u64, bytes: u64) -> std::io::Result<u64> {
    let mut walk = Walk::new(file.clone(), segment::salt(first), segment::HEADER_BYTES as u64);
    let mut next = first;
    loop {
        match walk.skip(bytes)? {
            Step::End => return Ok(next),
            Step::Frame { header, .. } => next = next.max(header.next()),
            Step::Bad(_) => {}
        }
    }
}

/// Folds every segment from the newest whole snapshot on.
fn fold_all(disk: &dyn Disk, folder: &Path, found: &mut Found) -> Result<(), Error> {
    let Some(last) = found.entries.len().checked_sub(1) else { return Ok(()) };
    // A segment without its snapshot is not gone on with: what begins anew has one.
    found.whole = has_snapshot(&found.entries[last])?;
    let mut start = last;
    while start > 0 && !has_snapshot(&found.entries[start])? {
        start -= 1;
    }
    for index in start..=last {
        let entry = &found.entries[index];
        let (state, report) = (&mut found.state, &mut found.report);
        let mut fold = Fold::new(disk, folder, entry, state, report);
        if index > start && found.valid_next < entry.header.follows {
            fold.lose(found.valid_next, entry.header.follows, None);
        }
        fold.run()?;
        let Fold { good, damaged, next, .. } = fold;
        found.whole &= !damaged;
        if index == last {
            found.valid_next = good.next;
            cut_tail(disk, folder, found, good.end)?;
        } else {
            // It was whole once: what is left of a last append that is damaged stays readable.
            found.valid_next = next;
        }
        found.chain = Some(good.chain);
    }
    Ok(())
}

/// Whether a segment begins with a snapshot that is whole.
fn has_snapshot(entry: &Entry) -> Result<bool, Error> {
    let mut walk = entry.walk();
    let mut raw = Vec::new();
    loop {
        let step = walk.next(entry.bytes).map_err(Error::io("read", &entry.path))?;
        let Step::Frame { header, .. } = step else { return Ok(false) };
        if !header.has(SNAPSHOT) || frame::unpack(&header, walk.body(), &mut raw).is_err() {
            return Ok(false);
        }
        if !header.has(MORE) {
            return Ok(true);
        }
    }
}

impl Entry {
    fn walk(&self) -> Walk {
        let salt = segment::salt(self.header.first);
        Walk::new(self.file.clone(), salt, self.header.bytes())
    }
}

/// Takes the positions and books of a segment's frames into the state.
struct Fold<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    entry: &'a Entry,
    state: &'a mut State,
    report: &'a mut Recovered,
    /// After the last whole append.
    good: Good,
    /// After the last frame.
    next: u64,
    chain: Chain,
    /// Frames of an append whose last one has not come yet.
    group: Vec<(Vec<u8>, Sections)>,
    /// A frame of that append is lost, and with it some of the events that its positions are behind.
    torn: bool,
    /// Where damage began, and what it is.
    bad: Option<(u64, &'static str)>,
    /// Valid frames came behind damaged ones.
    damaged: bool,
}

/// A place behind a whole append.
struct Good {
    end: u64,
    next: u64,
    chain: Chain,
}

impl<'a> Fold<'a> {
    fn new(
        disk: &'a dyn Disk,
        folder: &'a Path,
        entry: &'a Entry,
        state: &'a mut State,
        report: &'a mut Recovered,
    ) -> Self {
        let chain = Chain::new(&entry.header.encode());
        let good =
            Good { end: entry.header.bytes(), next: entry.header.first, chain: chain.clone() };
        let (next, group) = (good.next, Vec::new());
        Self {
            disk,
            folder,
            entry,
            state,
            report,
            good,
            next,
            chain,
            group,
            torn: false,
            bad: None,
            damaged: false,
        }
    }

    fn run(&mut self) -> Result<(), Error> {
        let mut walk = self.entry.walk();
        loop {
            match walk.next(self.entry.bytes).map_err(Error::io("read", &self.entry.path))? {
                Step::End => return Ok(()),
                Step::Bad(bad) => _ = self.bad.get_or_insert((bad.at, bad.why.0)),
                Step::Frame { header, at } => self.frame(&header, at, walk.body()),
            }
        }
    }

    fn frame(&mut self, header: &frame::Header, at: u64, body: &[u8]) {
        let mut raw = Vec::new();
        let order = if header.first < self.next {
            Err(Damage("the frame is out of order"))
        } else {
            Ok(())
        };
        let parts = order
            .and_then(|()| frame::unpack(header, body, &mut raw))
            .and_then(|()| Sections::find(&raw));
        match parts {
            Ok(parts) => self.good_frame(header, at, raw, parts),
            Err(why) => _ = self.bad.get_or_insert((at, why.0)),
        }
    }

    fn good_frame(&mut self, header: &frame::Header, at: u64, raw: Vec<u8>, parts: Sections) {
        if self.bad.is_some() || header.first > self.next {
            let (from, why) = self.bad.take().unwrap_or((at, "frames are missing"));
            quarantine::keep(self.disk, self.folder, &self.entry.path, &*self.entry.file, from..at);
            self.lose(self.next, header.first, Some((from, why)));
            self.damaged = true;
            self.torn |= !self.group.is_empty();
        }
        self.torn |= header.has(CONTINUES) && self.group.is_empty();
        // What a damaged snapshot lacks, the segments before it have told.
        self.torn &= !header.has(SNAPSHOT);
        self.chain.frame(header, segment::salt(self.entry.header.first));
        self.next = header.next();
        self.group.push((raw, parts));
        if header.has(MORE) {
            return;
        }
        let torn = std::mem::take(&mut self.torn);
        for (raw, parts) in std::mem::take(&mut self.group) {
            match self.state.fold(torn, &raw[parts.positions], &raw[parts.books]) {
                Ok(unread) => self.report.unread.extend(unread),
                Err(why) => _ = self.bad.get_or_insert((at, why.0)),
            }
        }
        let end = at + header.bytes();
        self.good = Good { end, next: self.next, chain: self.chain.clone() };
    }

    /// Counts and reports sequences that are gone, unless that was done before.
    fn lose(&mut self, first: u64, next: u64, damage: Option<(u64, &'static str)>) {
        let gap = Gap {
            range: Range { first: Sequence(first), next: Sequence(next) },
            cause: damage.map_or(Cause::Missing, |(_, why)| Cause::Corrupt(why)),
            path: self.entry.path.clone(),
            offset: damage.map_or(0, |(at, _)| at),
        };
        if gap.range.is_empty() || self.state.lose(gap.range) {
            self.report.corrupt.push(gap);
        }
    }
}

/// Cuts what is behind the last whole append of the last segment, and keeps it.
fn cut_tail(disk: &dyn Disk, folder: &Path, found: &mut Found, end: u64) -> Result<(), Error> {
    let Some(entry) = found.entries.last_mut().filter(|entry| entry.bytes > end) else {
        return Ok(());
    };
    let kept = quarantine::keep(disk, folder, &entry.path, &*entry.file, end..entry.bytes);
    entry.file.truncate(end).map_err(Error::io("cut", &entry.path))?;
    entry.file.sync().map_err(Error::io("sync", &entry.path))?;
    found.report.torn.push(Torn { path: entry.path.clone(), bytes: entry.bytes - end, kept });
    entry.bytes = end;
    Ok(())
}

/// The largest sequence that a cursor stands at. Sets unreadable cursors aside.
fn cursors(disk: &dyn Disk, folder: &Path, found: &mut Found) -> Result<u64, Error> {
    let mut most = 1;
    let mut unknown = false;
    for (name, loaded) in cursor::load_all(disk, folder)? {
        match loaded {
            Ok(kept) => most = most.max(kept.next.0),
            Err(Error::Cursor { path, why }) => {
                quarantine::set_aside(disk, folder, &path)
                    .map_err(Error::io("set aside", &path))?;
                found.report.cursors.push((name, why));
                unknown = true;
            }
            Err(error) => return Err(error),
        }
    }
    // Nobody knows how far that courier had gone ahead of the disk: leave more room than it can have used.
    Ok(if unknown { (most.max(found.valid_next) | 0xf_ffff) + 1 } else { most })
}
