//! What the agent says of itself: counters, the balance of each destination, and the socket that answers with both.
//!
//! It counts nothing: the spool's books and the destinations' cursors do. It knows no stage that works.

mod balance;
mod rfc3339;
mod socket;
mod text;

pub use self::{
    balance::{Balance, Counts},
    socket::{AskError, Socket, ask},
};

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{event::Time, spool::Books};

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
    /// Whether reading waits for room.
    pub waiting: bool,
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
    /// Bytes that are in the spool.
    pub offset: u64,
    /// Bytes that it has, where that is known.
    pub bytes: Option<u64>,
    /// Its layout, once it is decided.
    pub layout: Option<String>,
}

/// Where it is shipped to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DestinationStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its balance.
    pub balance: Balance,
    /// Whether the last try reached it.
    pub state: Reach,
    /// Why the last try failed, while it does.
    pub trouble: Option<String>,
    /// When it last took something.
    #[serde(with = "rfc3339::maybe")]
    pub last_ack: Option<Time>,
}

/// Whether a destination can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Nothing was sent yet.
    #[default]
    Untried,
    /// It took what was sent.
    Connected,
    /// It is away, and tried again and again.
    Retrying,
}

/// Counts by reason.
pub type Reasons = BTreeMap<String, u64>;
