//! What the agent says of itself: counters, the balance of each destination, and the socket that answers with both.
//!
//! It counts nothing: the spool's books and the destinations' cursors do.

mod balance;
mod rfc3339;
mod socket;
mod text;

pub use self::{
    balance::Balance,
    socket::{AskError, Socket, ask},
};

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{deliver::status::View, event::Time, spool::Books, tail};

/// The socket's name in the state folder.
const SOCKET: &str = "status.sock";

/// Where the agent of a state folder answers.
#[must_use]
pub fn socket_path(state: &Path) -> PathBuf {
    state.join(SOCKET)
}

/// How far an agent is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// The agent.
    pub agent: AgentStatus,
    /// When this was so.
    #[serde(with = "rfc3339")]
    pub time: Time,
    /// The spool.
    pub spool: SpoolStatus,
    /// By name, in the order of the configuration.
    pub sources: Vec<SourceStatus>,
    /// By name, in the order of the configuration.
    pub destinations: Vec<DestinationStatus>,
}

/// Who it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AgentStatus {
    /// ECS `agent.name`.
    pub name: String,
    /// ECS `agent.id`, in hexadecimal digits.
    pub id: String,
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it started.
    #[serde(with = "rfc3339")]
    pub started: Time,
}

/// What is in the spool.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SpoolStatus {
    /// Bytes of all segments.
    pub bytes: u64,
    /// What they may grow to.
    pub bytes_max: u64,
    /// The sequence of the next event.
    pub next_sequence: u64,
    /// Why reading waits, if it does: no room, or trouble with the disk.
    pub trouble: Option<String>,
    /// What was counted on the way in.
    pub books: Books,
}

/// What is read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its mapping.
    pub mapping: String,
    /// Its files.
    pub files: Vec<FileStatus>,
}

/// A file and how far it is read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FileStatus {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes that are read.
    pub offset: u64,
    /// Bytes that it has.
    pub bytes: u64,
    /// It was rotated away and is read to its end.
    pub rotated: bool,
    /// Its layout, once it is decided.
    pub layout: Option<String>,
}

impl FileStatus {
    /// What the tailer says of a file, and its layout.
    #[must_use]
    pub fn of(file: &tail::FileStatus, layout: Option<String>) -> Self {
        let tail::FileStatus { path, offset, size, rotated, .. } = file;
        Self { path: path.clone(), offset: *offset, bytes: *size, rotated: *rotated, layout }
    }
}

/// Where it is shipped to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DestinationStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its balance.
    pub balance: Balance,
    /// Whether it can be reached.
    pub state: Reach,
    /// The address it is connected to.
    pub peer: Option<String>,
    /// What went wrong last; kept after things went well again.
    pub trouble: Option<Trouble>,
    /// Reason of the newest dead letter.
    pub dead_letter: Option<String>,
    /// How often everything in doubt was sent again.
    pub replays: u64,
}

/// What went wrong, and when.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trouble {
    /// When.
    #[serde(with = "rfc3339")]
    pub time: Time,
    /// What.
    pub what: String,
}

/// Whether a destination can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// There is no connection, and no need for one so far.
    #[default]
    Idle,
    /// There is a connection.
    Connected,
    /// It is away, and tried again and again.
    Retrying,
    /// It is tried again, rarely: a person has to settle what is wrong.
    NeedsAPerson,
}

impl DestinationStatus {
    /// What a courier says of itself, and the balance of its destination.
    #[must_use]
    pub fn of(name: &str, view: &View, balance: Balance) -> Self {
        let state = match (&view.peer, view.waiting) {
            (_, Some(_)) if view.needs_a_person => Reach::NeedsAPerson,
            (_, Some(_)) => Reach::Retrying,
            (Some(_), None) => Reach::Connected,
            (None, None) => Reach::Idle,
        };
        let trouble = view.trouble.clone().map(|(time, what)| Trouble { time, what });
        Self {
            name: name.to_owned(),
            balance,
            state,
            peer: view.peer.clone(),
            trouble,
            dead_letter: view.dead_letter.clone(),
            replays: view.replays,
        }
    }
}

/// Counts by reason.
pub type Reasons = BTreeMap<String, u64>;
