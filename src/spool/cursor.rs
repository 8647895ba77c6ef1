//! How far a destination has come: the next sequence, and what became of those before it.
//!
//! One small JSON file per destination in `cursors/`, replaced atomically (new file, sync, rename, sync of the folder). Its second
//! line is the CRC32C of the first. A damaged one is an error that says so; when the spool is opened it is moved to
//! `quarantine/` and reported, and its destination begins with the oldest event in the spool: twice rather than never.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    Error, Sequence,
    disk::{Disk, Mode, read_full, replace},
};

/// The folder within the spool.
pub(crate) const FOLDER: &str = "cursors";
const FORMAT: u16 = 1;
/// Largest cursor file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// What became of events at one destination.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Delivered, as the destination answered.
    pub shipped: u64,
    /// Put away as dead letters.
    pub dead: u64,
    /// Never readable here, see [`super::Cause`].
    pub lost: u64,
    /// Left out on purpose, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds what happened since.
    pub fn add(&mut self, more: &Self) {
        self.shipped += more.shipped;
        self.dead += more.dead;
        self.lost += more.lost;
        for (reason, count) in &more.dropped {
            *self.dropped.entry(reason.clone()).or_default() += count;
        }
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shipped + self.dead + self.lost + self.dropped.values().sum::<u64>()
    }
}

/// What a cursor file says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// Format of the file.
    version: u16,
    /// The destination's name.
    pub destination: String,
    /// The sequence that it gets next.
    pub next: Sequence,
    /// Everything before this one is beyond doubt there, so that its segments may go. Never after `next`.
    pub safe: Sequence,
    /// The last run ended in order: nothing between `safe` and `next` is in doubt.
    pub ended: bool,
    /// What became of the events before.
    pub counts: Counts,
}

/// The cursor of one destination. One owner moves it.
pub struct Cursor {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    kept: Kept,
}

impl Cursor {
    /// Reads a destination's cursor; one never seen begins at `start` and is written down at once.
    pub(crate) fn load(
        disk: Arc<dyn Disk>,
        spool: &Path,
        destination: &str,
        start: Sequence,
        counts: Counts,
    ) -> Result<Self, Error> {
        let path = spool.join(FOLDER).join(file_name(destination));
        if let Some(kept) = read(&*disk, &path)? {
            return Ok(Self { disk, path, kept });
        }
        let kept = Kept {
            version: FORMAT,
            destination: destination.to_owned(),
            next: start,
            safe: start,
            ended: true,
            counts,
        };
        let cursor = Self { disk, path, kept };
        cursor.save()?;
        Ok(cursor)
    }

    /// What it says.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The sequence that the destination gets next.
    #[must_use]
    pub fn next(&self) -> Sequence {
        self.kept.next
    }

    /// Moves it, with what happened on the way, and makes that durable. Never moves back. After an error it has moved
    /// in memory; the next call, or [`Cursor::save`], writes it all.
    pub fn advance(&mut self, next: Sequence, counts: &Counts) -> Result<(), Error> {
        self.note(next, counts);
        self.save()
    }

    /// Moves it in memory only: a crash then repeats what came since the last save.
    pub fn note(&mut self, next: Sequence, counts: &Counts) {
        self.kept.next = self.kept.next.max(next);
        self.kept.safe = self.kept.next;
        self.kept.counts.add(counts);
    }

    /// Moves it, with all that became of the events before, where what was acknowledged can stay in doubt for a while;
    /// makes that durable.
    pub fn mark(
        &mut self,
        next: Sequence,
        safe: Sequence,
        ended: bool,
        counts: &Counts,
    ) -> Result<(), Error> {
        self.kept.next = self.kept.next.max(next);
        self.kept.safe = safe.min(self.kept.next);
        self.kept.ended = ended;
        self.kept.counts = counts.clone();
        self.save()
    }

    /// Makes durable where it stands.
    pub fn save(&self) -> Result<(), Error> {
        replace(&*self.disk, &self.path, &encode(&self.kept))
    }
}

fn encode(kept: &Kept) -> Vec<u8> {
    // Strings and numbers: serialising them cannot fail, and an empty file would be seen as damaged.
    let mut line = serde_json::to_vec(kept).unwrap_or_default();
    let crc = crc32c::crc32c(&line);
    line.extend_from_slice(format!("\n{crc:08x}\n").as_bytes());
    line
}

fn decode(bytes: &[u8]) -> Result<Kept, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let (line, crc) = text.split_once('\n').ok_or("its second line is missing")?;
    let kept: Kept = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if kept.version > FORMAT {
        return Err(format!("it has format {}, newer than this towline's {FORMAT}", kept.version));
    }
    if u32::from_str_radix(crc.trim_end(), 16).ok() != Some(crc32c::crc32c(line.as_bytes())) {
        return Err(
            "its checksum does not fit; for a cursor set by hand, remove the file".to_owned()
        );
    }
    Ok(kept)
}

/// The cursor in a file; nothing if there is no file.
fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Kept>, Error> {
    let file = match disk.open(path, Mode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let bytes = file.bytes().map_err(Error::io("read", path))?.min(BYTES_MAX);
    let mut content = vec![0; bytes as usize];
    let read = read_full(&*file, &mut content, 0).map_err(Error::io("read", path))?;
    content.truncate(read);
    decode(&content).map(Some).map_err(|why| Error::Cursor { path: path.to_owned(), why })
}

/// All cursors, by name. Those that are damaged are errors in their place.
#[expect(clippy::type_complexity, reason = "a name and what came of it, used once")]
pub(crate) fn load_all(
    disk: &dyn Disk,
    spool: &Path,
) -> Result<Vec<(String, Result<Kept, Error>)>, Error> {
    let folder = spool.join(FOLDER);
    let mut names = disk.list(&folder).map_err(Error::io("list", &folder))?;
    names.sort();
    let mut all = Vec::new();
    for name in names {
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        if let Some(kept) = read(disk, &folder.join(&name)).transpose() {
            all.push((stem.to_owned(), kept));
        }
    }
    Ok(all)
}

pub(crate) fn file_name(destination: &str) -> String {
    file_stem(destination) + ".json"
}

/// A part of a file name for any name of a destination.
pub(crate) fn file_stem(destination: &str) -> String {
    let mut name = String::new();
    for byte in destination.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) {
            name.push(byte as char);
        } else {
            name.push_str(&format!("%{byte:02x}"));
        }
    }
    name
}
