//! A batch as bytes for one destination: what is in hand between the spool and a receiver.

use bytes::Bytes;

use super::window::Tally;
use std::sync::Arc;

use crate::{
    event::{EventId, KindId, Tables},
    spool::{DeadLetter, Sequence},
};

/// One event as bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// Its number in the spool.
    pub(crate) sequence: Sequence,
    /// Its identity.
    pub(crate) id: EventId,
    /// What happened.
    pub(crate) kind: KindId,
    /// Where its bytes are in the parcel's buffer.
    pub(crate) start: usize,
    /// Where the event itself begins, after what frames it.
    pub(crate) body: usize,
    /// One past its last byte.
    pub(crate) end: usize,
}

/// An event that its receiver will never take.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Which.
    pub(crate) item: Item,
    /// The receiver's status.
    pub(crate) status: u16,
    /// The receiver's reason.
    pub(crate) reason: String,
}

/// Consecutive events as bytes, ready to be sent.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// All bytes, in order, without gaps.
    pub(crate) bytes: Bytes,
    /// What is still to be delivered. A receiver that takes only some leaves the others here.
    pub(crate) items: Vec<Item>,
    /// What will never be taken, until it is among the dead letters.
    pub(crate) refused: Vec<Refused>,
    /// The sequence after it.
    pub(crate) next: Sequence,
    /// What kinds refer to.
    pub(crate) tables: Arc<Tables>,
    /// What it brings to the books if everything is delivered.
    pub(crate) tally: Tally,
}

impl Parcel {
    /// What was refused for good, as dead letters.
    pub(crate) fn letters(&self) -> Vec<DeadLetter<'_>> {
        self.refused.iter().map(|refused| self.letter(refused)).collect()
    }

    fn letter<'a>(&'a self, refused: &'a Refused) -> DeadLetter<'a> {
        let Refused { item, status, reason } = refused;
        let kind = self.tables.kinds().get(usize::from(item.kind.0));
        DeadLetter {
            sequence: item.sequence,
            id: item.id,
            kind: kind.map_or("", |kind| &kind.name),
            status: *status,
            reason,
            body: self.bytes.get(item.body..item.end).unwrap_or_default().trim_ascii_end(),
        }
    }

    /// Takes what was refused for good out, as a parcel of its own over the same bytes.
    pub(crate) fn take_refused(&mut self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            items: Vec::new(),
            refused: std::mem::take(&mut self.refused),
            next: self.next,
            tables: self.tables.clone(),
            tally: self.tally,
        }
    }

    /// The bytes of one event, as they travel.
    pub(crate) fn slice(&self, item: &Item) -> &[u8] {
        self.bytes.get(item.start..item.end).unwrap_or_default()
    }

    /// Whether all of it is still to be delivered, so that `bytes` can go as it is.
    pub(crate) fn is_whole(&self) -> bool {
        let len: usize = self.items.iter().map(|i| i.end - i.start).sum();
        len == self.bytes.len()
    }
}

/// What a receiver made of a parcel.
#[derive(Debug)]
pub(crate) enum Sent {
    /// All of it was taken or refused for good; evidence may follow.
    Taken,
    /// What is left in the parcel is to be sent again.
    Left(super::trouble::Trouble),
    /// The connection broke: also what was sent before is in doubt.
    Broken(super::trouble::Trouble),
}
