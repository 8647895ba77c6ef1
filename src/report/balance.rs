//! The balance: what became of every record, for each destination. It closes at every moment.
//!
//! ```text
//! read + generated = shipped + pending + dead + dropped{reason} + lost
//! ```

use serde::{Deserialize, Serialize};

use super::Reasons;
use crate::spool::{Books, Counts};

/// What became of every record, for one destination.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Balance {
    /// Records read from files.
    pub read: u64,
    /// Events that the agent itself made.
    pub generated: u64,
    /// Events it has acknowledged.
    pub shipped: u64,
    /// Events in the spool that it has yet to get.
    pub pending: u64,
    /// Events it will never take, kept as dead letters.
    pub dead: u64,
    /// Records dropped by an explicit setting, before the spool or behind it, by reason.
    pub dropped: Reasons,
    /// Events that became unreadable in the spool before it got them.
    pub lost: u64,
}

impl Balance {
    /// The balance of a destination: what was counted on the way into the spool, what its cursor counted, and how many
    /// events the spool holds from its cursor on ([`Spool::pending`](crate::spool::Spool::pending)).
    #[must_use]
    pub fn of(books: &Books, counts: &Counts, pending: u64) -> Self {
        let mut dropped = books.dropped.clone();
        for (reason, count) in &counts.dropped {
            *dropped.entry(reason.clone()).or_default() += count;
        }
        Self {
            read: books.read,
            generated: books.generated,
            shipped: counts.shipped,
            pending,
            dead: counts.dead,
            dropped,
            lost: counts.lost,
        }
    }

    /// Records that went in.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.read.saturating_add(self.generated)
    }

    /// Records whose whereabouts are known.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        let known = [self.shipped, self.pending, self.dead, self.lost];
        known.iter().chain(self.dropped.values()).fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether every record is accounted for, once.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.taken() == self.accounted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(reasons: &[(&str, u64)]) -> Reasons {
        reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    }

    #[test]
    fn adds_up_what_was_dropped_before_and_behind_the_spool() {
        let books = Books {
            read: 100,
            generated: 2,
            dropped: reasons(&[("level", 7)]),
            // Another destination had one of them before.
            lost: 2,
        };
        let counts = Counts {
            shipped: 70,
            dead: 3,
            lost: 1,
            dropped: reasons(&[("filter", 5), ("level", 1)]),
        };
        let balance = Balance::of(&books, &counts, 15);
        assert_eq!(balance.dropped, reasons(&[("filter", 5), ("level", 8)]));
        assert_eq!((balance.taken(), balance.accounted()), (102, 102));
        assert!(balance.closes());
        assert!(!Balance { pending: 14, ..balance }.closes());
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let balance = Balance {
            read: u64::MAX,
            generated: 1,
            shipped: u64::MAX,
            pending: 9,
            ..Balance::default()
        };
        assert!(balance.closes());
    }
}
