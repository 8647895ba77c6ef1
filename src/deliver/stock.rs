//! The spool as the feed of a courier.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Begin,
    feed::{Feed, Gap, Mark, Next},
    window::Tally,
};
use crate::{
    event::Time,
    spool::{Cause, Counts, Cursor, DeadLetter, DeadLetters, Error, Kept, Reader, Sequence, Spool},
};

/// Reason of events that the destination's filter left out.
pub const REASON_FILTER: &str = "filter";
/// Reason of events that were removed from a full spool before they were sent.
pub const REASON_SPOOL_FULL: &str = "spool_full";

/// One destination's way into the spool.
pub struct Stock {
    spool: Arc<Spool>,
    reader: Reader,
    cursor: Cursor,
    dead: DeadLetters,
}

impl Stock {
    /// Opens a destination's cursor; one that is new to the spool begins at `start`.
    ///
    /// # Errors
    /// When the cursor cannot be read or made.
    pub fn open(
        spool: Arc<Spool>,
        dead: DeadLetters,
        name: &str,
        start: Begin,
    ) -> Result<Self, Error> {
        let start = match start {
            Begin::Oldest => spool.oldest_sequence(),
            Begin::Now => spool.next_sequence(),
        };
        let cursor = spool.cursor(name, start)?;
        let reader = spool.reader(mark(cursor.kept()).safe);
        Ok(Self { spool, reader, cursor, dead })
    }

    /// How far the destination is.
    #[must_use]
    pub fn mark(&self) -> Mark {
        mark(self.cursor.kept())
    }
}

/// How far a destination is, by its cursor.
#[must_use]
pub fn mark(kept: &Kept) -> Mark {
    let counts = &kept.counts;
    let dropped = |reason: &str| counts.dropped.get(reason).copied().unwrap_or(0);
    let tally = Tally {
        shipped: counts.shipped,
        dead: counts.dead,
        lost: counts.lost,
        filtered: dropped(REASON_FILTER),
        dropped: dropped(REASON_SPOOL_FULL),
    };
    let safe = if kept.ended { kept.next } else { kept.safe.min(kept.next) };
    Mark { acked: kept.next, safe, tally }
}

/// A tally as the cursor counts it, beside what it counted for other reasons.
#[must_use]
pub fn counts(tally: &Tally, before: &Counts) -> Counts {
    let mut dropped = before.dropped.clone();
    set(&mut dropped, REASON_FILTER, tally.filtered);
    set(&mut dropped, REASON_SPOOL_FULL, tally.dropped);
    Counts { shipped: tally.shipped, dead: tally.dead, lost: tally.lost, dropped }
}

fn set(dropped: &mut BTreeMap<String, u64>, reason: &str, count: u64) {
    if count > 0 {
        dropped.insert(reason.to_owned(), count);
    }
}

impl Feed for Stock {
    fn next(&mut self, events_max: usize, bytes_max: usize) -> Result<Next, String> {
        match self.reader.next(events_max, bytes_max) {
            Ok(Some(batch)) => Ok(Next::Batch(batch)),
            Ok(None) => Ok(Next::Nothing),
            Err(Error::Gap(gap)) => Ok(Next::Gap(Gap {
                first: gap.range.first,
                next: gap.range.next,
                dropped: matches!(gap.cause, Cause::DroppedOldest),
                what: gap.to_string(),
            })),
            Err(error) => Err(error.to_string()),
        }
    }

    fn rewind(&mut self, to: Sequence) {
        if self.reader.position() != to {
            self.reader = self.spool.reader(to);
        }
    }

    fn save(&mut self, mark: &Mark) -> Result<(), String> {
        let counts = counts(&mark.tally, &self.cursor.kept().counts);
        let ended = mark.safe == mark.acked;
        let saved = self.cursor.mark(mark.acked, mark.safe, ended, &counts);
        saved.map_err(|error| error.to_string())
    }

    fn bury(&mut self, letters: &[DeadLetter<'_>]) -> Result<(), String> {
        self.dead.put(letters, Time::now()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_goes_to_the_cursor_and_what_others_counted_stays() {
        let tally = Tally { shipped: 10, dead: 1, filtered: 3, dropped: 4, lost: 5 };
        let before = Counts { dropped: [("before_start".into(), 7)].into(), ..Counts::default() };
        let counts = counts(&tally, &before);
        assert_eq!(counts.total(), 30);
        assert_eq!(counts.dropped["before_start"], 7);
        assert_eq!(counts.dropped[REASON_FILTER], 3);
    }
}
