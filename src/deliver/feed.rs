//! Where batches come from and where it is written down what became of them: the spool, as a courier sees it.

use super::window::Tally;
use crate::spool::{Batch, DeadLetter, Sequence};

/// How far a destination is, as it is kept on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// Everything before this one is in `tally`.
    pub acked: Sequence,
    /// Everything before this one is beyond doubt: its segments may go. Never after `acked`, and equal to it after a
    /// run that ended in order.
    pub safe: Sequence,
    /// What became of the events before `acked`, since the destination exists.
    pub tally: Tally,
}

/// What comes next out of the spool.
#[derive(Debug)]
pub enum Next {
    /// Events.
    Batch(Batch),
    /// Sequences that cannot be handed over.
    Gap(Gap),
    /// Nothing new.
    Nothing,
}

/// Sequences that hold nothing to be delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// The first of them.
    pub first: Sequence,
    /// The one after the last.
    pub next: Sequence,
    /// They were dropped because a setting says so; else they are lost.
    pub dropped: bool,
    /// For people.
    pub what: String,
}

/// What a courier needs of the spool. Calls may wait for a disk; the courier makes them on a thread for that.
/// Errors are told and tried again: nothing is skipped because of one.
pub trait Feed: Send + 'static {
    /// What comes next.
    ///
    /// # Errors
    /// In words for an admin.
    fn next(&mut self, events_max: usize, bytes_max: usize) -> Result<Next, String>;

    /// Goes back: the next batch begins with this sequence.
    fn rewind(&mut self, to: Sequence);

    /// Writes the mark down, durably.
    ///
    /// # Errors
    /// In words for an admin.
    fn save(&mut self, mark: &Mark) -> Result<(), String>;

    /// Puts events among the dead letters, durably: all of them or, after an error, none.
    ///
    /// # Errors
    /// In words for an admin.
    fn bury(&mut self, letters: &[DeadLetter<'_>]) -> Result<(), String>;
}
