//! The durable log on disk: events, file positions and cursors. Knows bytes and disks; knows nothing of files' content or of receivers.
//!
//! ```text
//! spool/lock                        whose it is
//! spool/00000000000000000001.seg    ┌ header ┬ tables ┬ snapshot ┬ frame ┬ frame ┬ …
//! spool/00000000000000180201.seg    └────────┴────────┴──────────┴───────┴───────┴─   what each is: `segment`, `frame`, `codec`, `state`
//! spool/cursors/<destination>.json  the next sequence and what became of those before it
//! dead/<destination>.jsonl          events that a destination will never take
//! spool/quarantine/                 bytes that are no frames, kept for an investigation
//! ```
//! Invariants. A frame is there whole or not at all. A sequence is never reused. A position never runs ahead of its events. A reader
//! hands over every sequence or says which it cannot. Nothing is removed that a cursor still needs, but where a setting says so.
//!
//! [`Spool`] is the whole of it; `writer`, `reader` and `recover` are its three halves, over the one seam [`disk`].

mod bytes;
mod codec;
mod cursor;
mod dead;
pub mod disk;
mod error;
mod frame;
mod lock;
mod log;
mod quarantine;
mod reader;
mod recover;
mod segment;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

pub use self::{
    cursor::{Counts, Cursor, Kept},
    dead::{DeadLetter, DeadLetters, Keep},
    error::{Cause, Error, Gap},
    log::{BEFORE_START, Spool},
    reader::Reader,
    recover::{Recovered, Torn},
    shared::{Listener, Notice},
    state::Unread,
};

use serde::{Deserialize, Serialize};

use crate::{
    event::{Event, Tables},
    guard::Shippable,
};

/// An event's number in the spool, from 1, never reused.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Sequence(pub u64);

/// Consecutive sequences.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub first: Sequence,
    /// The one after the last.
    pub next: Sequence,
}

impl Range {
    /// How many.
    #[must_use]
    pub fn len(self) -> u64 {
        self.next.0.saturating_sub(self.first.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// What both have in common.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), next: self.next.min(other.next) }
    }
}

/// What was counted on the way into the spool, in records. Kept in the spool itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Books {
    /// Records read from files.
    pub read: u64,
    /// Events that the agent itself made.
    pub generated: u64,
    /// Records dropped by an explicit setting, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Sequences whose events were found unreadable in the spool. What a destination lost of them its cursor counts.
    pub lost: u64,
}

/// What was counted since the last append.
pub type BooksDelta = Books;

/// Most reasons for drops that are counted apart; the others are counted together.
const REASONS_MAX: usize = 256;

impl Books {
    /// Adds what was counted since.
    pub fn add(&mut self, more: &Self) {
        self.read += more.read;
        self.generated += more.generated;
        self.lost += more.lost;
        for (reason, count) in &more.dropped {
            let full = self.dropped.len() >= REASONS_MAX && !self.dropped.contains_key(reason);
            let reason = if full { "other" } else { reason };
            *self.dropped.entry(reason.to_owned()).or_default() += count;
        }
    }

    /// Whether it counts nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Consecutive events, handed over together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What ids in the events refer to.
    pub tables: Arc<Tables>,
    /// The events, each with its sequence, ascending.
    pub events: Vec<(Sequence, Event<Shippable>)>,
    /// The cursor after this batch: the sequence that comes next. Not always the last event's plus one: a hole may lie
    /// between.
    pub next: Sequence,
}

/// When a frame counts as durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// fdatasync before anything counts.
    Batch,
    /// fdatasync every second; couriers may run ahead of it.
    #[default]
    Interval,
}

/// What to do when the spool is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Stop reading; lines stay in their files.
    #[default]
    Wait,
    /// Remove the oldest segment, counted.
    DropOldest,
}

/// How the spool is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The folder (`<state>/spool`).
    pub folder: PathBuf,
    /// Upper bound of all segments together, bytes.
    pub bytes_max: u64,
    /// Size at which a new segment begins, bytes.
    pub segment_bytes: u64,
    /// Part of the disk that stays free, in percent.
    pub reserve_percent: u8,
    /// See [`Durability`].
    pub durability: Durability,
    /// Time between syncs with [`Durability::Interval`].
    pub sync_interval: Duration,
    /// See [`WhenFull`].
    pub full: WhenFull,
}
