//! The spool as the feed of a courier.

use std::sync::Arc;

use super::{
    Begin,
    feed::{Feed, Gap, Letter, Mark, Next},
    window::Tally,
};
use crate::spool::{Cause, Counts, Cursor, Error, Kept, Reader, Sequence, Spool};

/// Reason of events that the destination's filter left out.
pub const REASON_FILTER: &str = "filter";
/// Reason of events that were removed from a full spool before they were sent.
pub const REASON_SPOOL_FULL: &str = "spool_full";

/// Puts a letter where dead letters are kept.
pub type Bury = Box<dyn FnMut(&Letter<'_>) -> Result<(), String> + Send>;

/// One destination's way into the spool.
pub struct Stock {
    spool: Arc<Spool>,
    reader: Reader,
    cursor: Cursor,
    /// What the cursor's counts hold already.
    written: Tally,
    bury: Bury,
}

impl Stock {
    /// Opens a destination's cursor; one that is new to the spool begins at `start`.
    ///
    /// # Errors
    /// When the cursor cannot be read or made.
    pub fn open(spool: Arc<Spool>, name: &str, start: Begin, bury: Bury) -> Result<Self, Error> {
        let start = match start {
            Begin::Oldest => spool.oldest_sequence(),
            Begin::Now => spool.next_sequence(),
        };
        let cursor = spool.cursor(name, start)?;
        let mark = mark(cursor.kept());
        let reader = spool.reader(mark.safe);
        Ok(Self { spool, reader, cursor, written: mark.tally, bury })
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
    Mark { acked: kept.next, safe: kept.needs(), tally }
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
        let counts = since(self.written, mark.tally);
        self.written = mark.tally;
        self.cursor.note(mark.acked, &counts);
        self.cursor.keep_from(mark.safe);
        // What was noted stays noted: a later save writes it all.
        self.cursor.save().map_err(|error| error.to_string())
    }

    fn bury(&mut self, letter: &Letter<'_>) -> Result<(), String> {
        (self.bury)(letter)
    }
}

/// What was counted between two tallies.
fn since(before: Tally, now: Tally) -> Counts {
    let mut counts = Counts {
        shipped: now.shipped.saturating_sub(before.shipped),
        dead: now.dead.saturating_sub(before.dead),
        lost: now.lost.saturating_sub(before.lost),
        ..Counts::default()
    };
    for (reason, count) in [
        (REASON_FILTER, now.filtered.saturating_sub(before.filtered)),
        (REASON_SPOOL_FULL, now.dropped.saturating_sub(before.dropped)),
    ] {
        if count > 0 {
            counts.dropped.insert(reason.into(), count);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_goes_to_the_cursor_and_comes_back() {
        let tally = Tally { shipped: 10, dead: 1, filtered: 3, dropped: 4, lost: 5 };
        let mut counts = since(Tally::default(), tally);
        assert_eq!(counts.total(), 23);
        let more = Tally { shipped: 12, filtered: 4, ..tally };
        counts.add(&since(tally, more));
        assert_eq!(counts.total(), 26);
        assert_eq!(counts.dropped[REASON_FILTER], 4);
    }
}
