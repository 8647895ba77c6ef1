//! The durable log on disk: events, file positions and cursors.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

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

/// What was counted on the way into the spool, in records. Kept in the spool itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Books {
    /// Records read from files.
    pub read: u64,
    /// Events that the agent itself made.
    pub generated: u64,
    /// Records dropped by an explicit setting, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Events lost to a corrupt frame that could not be read again.
    pub lost: u64,
}

/// Consecutive events, handed over together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What ids in the events refer to.
    pub tables: Arc<Tables>,
    /// The events, each with its sequence, ascending.
    pub events: Vec<(Sequence, Event<Shippable>)>,
    /// The cursor after this batch: the sequence that comes next.
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
