//! Files → chunks of complete lines. Knows identity, rotation and waking; knows nothing of records or meaning.

mod arrive;
mod body;
mod copies;
mod depart;
mod discover;
mod follow;
mod handles;
mod identity;
mod lines;
mod matching;
mod resume;
mod rotated;
mod scan;
mod serve;
mod table;
mod tailer;
mod wake;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use self::{
    matching::{Matching, matching},
    tailer::Tailer,
    wake::Interrupter,
};
use crate::event::Time;

/// Random name that a file gets at first sight and that a rotated copy inherits.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize,
)]
pub struct FileId(pub [u8; 16]);

/// Where reading a file is safely in the spool: everything before `offset` is there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// The file's own name.
    pub file: FileId,
    /// Name of the configured source that reads it.
    pub source: String,
    /// Where it was last seen. Never used alone to recognise it.
    pub path: PathBuf,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Grows with each truncation.
    pub generation: u32,
    /// Bytes that are in the spool.
    pub offset: u64,
    /// How many bytes of the file's head `head_hash` covers.
    pub head_bytes: u32,
    /// Hash of the file's head.
    pub head_hash: u64,
    /// How many bytes before `offset` `tail_hash` covers (at most 256).
    pub tail_bytes: u32,
    /// Hash of the bytes before `offset`.
    pub tail_hash: u64,
    /// Layout that was decided for it, if any.
    pub layout: Option<String>,
    /// The file is finished (rotated and read to its end, or gone): kept only to recognise it.
    pub finished: bool,
}

/// Where to begin with a file that was never seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At its first byte.
    #[default]
    Beginning,
    /// At its end.
    End,
}

/// What to tail for one source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Name of the source.
    pub source: String,
    /// Globs of files.
    pub files: Vec<String>,
    /// Globs of files to leave out.
    pub exclude: Vec<String>,
    /// Where to begin with files never seen.
    pub start: Start,
    /// How long an open record waits for a continuation.
    pub record_wait: Duration,
}

/// How complete the bytes of a chunk are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flush {
    /// More may belong to the last record.
    No,
    /// Nothing was added for `record_wait`, or the record is as long as one may be: every line in the chunk belongs to a complete record.
    Idle,
    /// The file, or its generation, is finished: everything is complete, also a final line without a newline.
    End,
}

/// Bytes of one file: complete lines, or with [`Flush::End`] all that is left.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Index of the source in the settings.
    pub source: usize,
    /// The file's own name.
    pub file: FileId,
    /// How often the file was truncated.
    pub generation: u32,
    /// The path it was found by; stays the same when it is rotated.
    pub path: &'a Path,
    /// When the file was last changed, as far as known.
    pub modified: Time,
    /// Offset of the first byte.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'a [u8],
    /// How complete they are. [`Flush::No`] only if the last line is whole.
    pub flush: Flush,
    /// How many bytes of the last line are left out because it is longer than 1 MiB; it ends in a newline here all the same.
    pub cut: u64,
    /// Layout that was decided for this generation.
    pub layout: Option<&'a str>,
}

/// What was done with a chunk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Bytes consumed: those of complete records. What is left comes again with more behind it.
    pub bytes: usize,
    /// The layout, if it was decided just now; `None` leaves it as it is.
    pub layout: Option<String>,
}

/// What a turn came to, chunks aside.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Chunks that were handed out.
    pub chunks: usize,
    /// There is more to read at once.
    pub more: bool,
    /// Bytes gone before they could be read.
    pub lost: Vec<Lost>,
    /// Files that were truncated or rewritten: a new generation begins.
    pub truncated: Vec<Truncated>,
    /// What went wrong since the last turn; each is said once, until it is over.
    pub problems: Vec<Problem>,
}

/// Bytes that were gone before they could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Index of the source in the settings.
    pub source: usize,
    /// The file.
    pub path: PathBuf,
    /// At least so many; 0 if nobody can know (the file went while the agent was down), perhaps none.
    pub bytes: u64,
}

/// A file was truncated or rewritten.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Truncated {
    /// Index of the source in the settings.
    pub source: usize,
    /// The file.
    pub path: PathBuf,
    /// The file's own name.
    pub file: FileId,
    /// The generation that begins.
    pub generation: u32,
}

/// Something that keeps a file or a folder from being read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Index of the source in the settings, if it concerns one.
    pub source: Option<usize>,
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub message: String,
}

/// How far one file is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileStatus {
    /// Index of the source in the settings.
    pub source: usize,
    /// The file's own name.
    pub file: FileId,
    /// Where it is now.
    pub path: PathBuf,
    /// Its size when last looked at.
    pub size: u64,
    /// Bytes consumed.
    pub offset: u64,
    /// Bytes not consumed.
    pub lag: u64,
    /// When it was last changed.
    pub modified: Time,
    /// It was rotated away and is read to its end.
    pub rotated: bool,
}

/// Why tailing cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A glob cannot be compiled.
    #[error("source \"{source_name}\": glob \"{glob}\": {why}")]
    Glob {
        /// Name of the source.
        source_name: String,
        /// The glob.
        glob: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system has no random bytes.
    #[error("cannot make a file id")]
    Random(#[source] std::io::Error),
}

/// Files that are open at a time, at most; idle ones are closed and opened again.
const OPEN_FILES_MAX: usize = 4_096;

/// Half of what the system allows this process is for tailed files.
fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.and_then(|limit| usize::try_from(limit / 2).ok()).unwrap_or(usize::MAX);
    OPEN_FILES_MAX.min(limit)
}
