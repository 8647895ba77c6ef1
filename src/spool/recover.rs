//! Opening a spool that a crash, a power cut or a bad disk may have left: what is there, what is whole, what is gone.
//!
//! Reads from the newest segment whose snapshot is whole to the last valid frame. A torn tail (nothing valid behind it) is kept
//! aside and cut; its lines are read again, as the positions went with it. A damaged frame in the middle is kept aside, counted and
//! reported with its sequences; the frames behind it count. Older segments are checked when they are read.

use std::path::{Path, PathBuf};

use super::{
    Cause, Error, Gap, Range, Sequence, cursor,
    disk::{Disk, DiskFile, Mode},
    frame::{self, MORE, SNAPSHOT, Sections},
    quarantine,
    segment::{self, Chain, Unreadable},
    state::{State, Unread},
    walk::{Step, Walk},
};
use std::sync::Arc;

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

/// How far a segment was folded into the state.
struct Folded {
    good_end: u64,
    next: u64,
    chain: Chain,
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
    let mut start = last;
    while start > 0 && !has_snapshot(&found.entries[start])? {
        start -= 1;
    }
    for index in start..=last {
        let follows = found.entries[index].header.follows;
        if index > start && found.valid_next < follows {
            let gap = gap(&found.entries[index], found.valid_next, follows, None);
            lose(found, gap);
        }
        let folded = fold_segment(disk, folder, found, index)?;
        found.valid_next = folded.next;
        if index == last {
            cut_tail(disk, folder, found, &folded)?;
        }
        found.chain = Some(folded.chain);
    }
    Ok(())
}

fn has_snapshot(entry: &Entry) -> Result<bool, Error> {
    let mut walk = walk(entry);
    let step = walk.next(entry.bytes).map_err(Error::io("read", &entry.path))?;
    let Step::Frame { header, .. } = step else { return Ok(false) };
    Ok(header.has(SNAPSHOT) && frame::unpack(&header, walk.body(), &mut Vec::new()).is_ok())
}

fn walk(entry: &Entry) -> Walk {
    Walk::new(entry.file.clone(), segment::salt(entry.header.first), entry.header.bytes())
}

/// Takes positions and books of all frames of a segment; reports what is damaged between valid ones.
fn fold_segment(
    disk: &dyn Disk,
    folder: &Path,
    found: &mut Found,
    index: usize,
) -> Result<Folded, Error> {
    let entry = &found.entries[index];
    let (path, bytes, salt) = (entry.path.clone(), entry.bytes, segment::salt(entry.header.first));
    let mut walk = walk(entry);
    let mut folded = Folded {
        good_end: entry.header.bytes(),
        next: entry.header.first,
        chain: Chain::new(&entry.header.encode()),
    };
    let (mut next, mut chain) = (folded.next, folded.chain.clone());
    // Frames of an append whose last one has not come yet.
    let mut group: Vec<(bool, Vec<u8>, Sections)> = Vec::new();
    let mut bad: Option<(u64, &'static str)> = None;
    loop {
        let (header, at) = match walk.next(bytes).map_err(Error::io("read", &path))? {
            Step::End => break,
            Step::Bad(damage) => {
                bad.get_or_insert((damage.at, damage.why.0));
                continue;
            }
            Step::Frame { header, at } => (header, at),
        };
        let mut raw = Vec::new();
        let checked = frame::unpack(&header, walk.body(), &mut raw)
            .and_then(|()| Sections::find(&raw))
            .and_then(|sections| {
                let order = super::bytes::Damage("the frame is out of order");
                if header.first < next { Err(order) } else { Ok(sections) }
            });
        let sections = match checked {
            Ok(sections) => sections,
            Err(why) => {
                bad.get_or_insert((at, why.0));
                continue;
            }
        };
        if bad.is_some() || header.first > next {
            let (from, why) = bad.take().unwrap_or((at, "frames are missing"));
            let entry = &found.entries[index];
            quarantine::keep(disk, folder, &path, &*entry.file, from..at);
            let gap = gap(entry, next, header.first, Some((from, why)));
            lose(found, gap);
            found.whole = false;
        }
        chain.frame(&header, salt);
        next = header.next();
        group.push((header.has(SNAPSHOT), raw, sections));
        if !header.has(MORE) {
            for (snapshot, raw, sections) in group.drain(..) {
                let (positions, books) = (&raw[sections.positions], &raw[sections.books]);
                match found.state.fold(snapshot, positions, books) {
                    Ok(unread) => found.report.unread.extend(unread),
                    Err(why) => _ = bad.get_or_insert((at, why.0)),
                }
            }
            folded = Folded { good_end: at + header.bytes(), next, chain: chain.clone() };
        }
    }
    Ok(folded)
}

/// Cuts what is behind the last valid frame of the last segment, and keeps it.
fn cut_tail(
    disk: &dyn Disk,
    folder: &Path,
    found: &mut Found,
    folded: &Folded,
) -> Result<(), Error> {
    let Some(entry) = found.entries.last_mut() else { return Ok(()) };
    if entry.bytes == folded.good_end {
        return Ok(());
    }
    let bytes = entry.bytes - folded.good_end;
    let kept =
        quarantine::keep(disk, folder, &entry.path, &*entry.file, folded.good_end..entry.bytes);
    entry.file.truncate(folded.good_end).map_err(Error::io("cut", &entry.path))?;
    entry.file.sync().map_err(Error::io("sync", &entry.path))?;
    entry.bytes = folded.good_end;
    found.report.torn.push(Torn { path: entry.path.clone(), bytes, kept });
    Ok(())
}

fn gap(entry: &Entry, first: u64, next: u64, damage: Option<(u64, &'static str)>) -> Gap {
    Gap {
        range: Range { first: Sequence(first), next: Sequence(next) },
        cause: damage.map_or(Cause::Missing, |(_, why)| Cause::Corrupt(why)),
        path: entry.path.clone(),
        offset: damage.map_or(0, |(at, _)| at),
    }
}

fn lose(found: &mut Found, gap: Gap) {
    if gap.range.is_empty() || found.state.lose(gap.range) {
        found.report.corrupt.push(gap);
    }
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
