//! Which bindings can match a line at all, found without asking each of them.
//!
//! ```text
//! pattern begins with literal text   trie over the leading literals: one walk down the message
//!   more than a handful in one node    + automaton over a further literal of each
//! pattern begins with a capture      automaton over the literal that tells it best from the others
//! no pattern, only `when`            hash of (name, exact value)
//! ```
//!
//! What is left (globs alone, patterns without any literal) is tried always; `check` complains about many of those.
//! A candidate is named by its rank: the order of precedence, the smallest first.

mod exact;
mod literals;
mod trie;

pub(crate) use exact::{ExactIndex, Key};
pub(crate) use literals::LiteralIndex;
pub(crate) use trie::{Trie, trie_entry};

/// Rank of an alternative of a binding: the smaller, the earlier it is tried.
pub(crate) type Rank = u32;

/// Candidates that were found, and what finding them cost.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    pub(crate) ranks: Vec<Rank>,
    /// Per literal of all indexes: the record in which it was seen last, so that one that occurs often in a line
    /// is counted once.
    seen: Vec<u32>,
    epoch: u32,
    /// Bytes of the message that were looked at, those of literals included.
    pub(crate) touched: usize,
}

impl Candidates {
    /// Forgets the last record's.
    pub(crate) fn begin(&mut self) {
        self.ranks.clear();
        self.touched = 0;
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.seen.fill(0);
            self.epoch = 1;
        }
    }

    /// Whether this is the literal's first occurrence in this record.
    fn first(&mut self, literal: usize) -> bool {
        if self.seen.len() <= literal {
            self.seen.resize(literal + 1, 0);
        }
        std::mem::replace(&mut self.seen[literal], self.epoch) != self.epoch
    }
}
