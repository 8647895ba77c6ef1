//! Files → chunks of complete lines. Knows identity, rotation and waking; knows nothing of records or meaning.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

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
