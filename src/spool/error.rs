//! What can go wrong with the spool, said to an administrator at three in the morning: where, what, and what to do.

use std::{fmt, io, path::PathBuf};

use super::{Range, Sequence};

/// A failure of the spool.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the state directory.
    #[error(
        "{} is in use by {}: one process per state directory; stop the other one or give this one its own `state`",
        path.display(),
        holder(*pid)
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// The operating system refused an operation.
    #[error("cannot {what} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// What was tried, to stand before the path.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A file was written by a later version.
    #[error(
        "{} has format {version}, but this towline knows formats up to {known}: \
         start the newer version again, or let it empty its spool before going back",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u16,
        /// The newest format that can be read.
        known: u16,
    },
    /// A reader met sequences without events. The next call reads on behind them.
    #[error("{0}")]
    Gap(Gap),
    /// The agent is stopping; nothing of the batch was kept.
    #[error("the spool is closing: the batch was not kept and will be read again")]
    Stopping,
    /// Events refer to tables that the spool was not opened with.
    #[error(
        "an event refers to {what} {id}, but the spool's tables end at {count}: \
         events must be made with the tables that the spool was opened with"
    )]
    Foreign {
        /// `kind` or `field`.
        what: &'static str,
        /// The id.
        id: u16,
        /// How many the tables have.
        count: usize,
    },
    /// An event is larger than a frame may be.
    #[error(
        "event {index} of the batch takes {bytes} bytes, more than the {max} that a frame can hold"
    )]
    EventTooLarge {
        /// Its place in the batch.
        index: usize,
        /// Its size as stored.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A cursor file is damaged.
    #[error(
        "{} is damaged ({why}): move it away to begin with the oldest event in the spool \
         (the destination may get events twice), or restore it from a backup",
        path.display()
    )]
    Cursor {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// Puts what was tried before what the system said.
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    /// The gap, if it is one: to be counted, after which reading goes on.
    #[must_use]
    pub fn gap(&self) -> Option<&Gap> {
        match self {
            Self::Gap(gap) => Some(gap),
            _ => None,
        }
    }

    /// Whether waiting may help: a full or failing disk, not a mistake.
    pub(crate) fn passes(&self) -> bool {
        use rustix::io::Errno;
        const PASSING: [Errno; 12] = [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::ROFS,
            Errno::IO,
            Errno::FBIG,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::INTR,
            Errno::MFILE,
            Errno::NFILE,
            Errno::STALE,
            Errno::TIMEDOUT,
        ];
        match self {
            Self::Io { source, .. } => {
                Errno::from_io_error(source).is_some_and(|errno| PASSING.contains(&errno))
            }
            _ => false,
        }
    }
}

impl Error {
    /// Whether space is what is missing.
    pub(crate) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// What helps against the usual refusals.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space or lower `spool.max_bytes`"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; look into the kernel's log, then remount it writable"
        }
        io::ErrorKind::PermissionDenied => {
            "; the folder and all in it must belong to the user that runs towline"
        }
        _ => "",
    }
}

/// Sequences that a reader cannot hand over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Which.
    pub range: Range,
    /// Why.
    pub cause: Cause,
    /// The segment, where there is one.
    pub path: PathBuf,
    /// Where in the segment the damage begins, bytes.
    pub offset: u64,
}

/// Why sequences hold nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The bytes are there and wrong; a copy is in `quarantine/`. Counts as lost.
    Corrupt(&'static str),
    /// The segment is not there, and nobody removed it for a reason. Counts as lost.
    Missing,
    /// Removed on purpose because the spool was full. Counts as dropped.
    DroppedOldest,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { first, next } = self.range;
        let (first, last) = (first.0, Sequence(next.0.saturating_sub(1)).0);
        match self.cause {
            Cause::Corrupt(why) => write!(
                f,
                "{} is damaged at byte {} ({why}): events {first} to {last} cannot be read; the bytes are kept in \
                 the folder `quarantine`; check the disk",
                self.path.display(),
                self.offset
            ),
            Cause::Missing => write!(
                f,
                "events {first} to {last} are missing in {}: segments were removed by hand or by another program",
                self.path.display()
            ),
            Cause::DroppedOldest => write!(
                f,
                "events {first} to {last} were dropped unsent because the spool was full (`spool.full = \"drop_oldest\"`)"
            ),
        }
    }
}
