//! How far a destination is: which batches count as delivered, and which of them are still in doubt.
//!
//! ```text
//!            safe                acked                 sent
//!  ───────────┼────────────────────┼────────────────────┼──────────▶ sequence
//!   can go    │ acknowledged, but  │ written, no        │ to come
//!             │ within the window  │ evidence yet       │
//! ```
//!
//! Plain TLS or TCP syslog has no acknowledgement. A batch is *acked* when the peer's kernel has it; its program
//! may still lose what it has not read. So when the peer closes a connection that we did not close, everything
//! behind `safe` is sent again: what was sent in the last [`REPLAY_AGE`], or the last [`REPLAY_BYTES`], whichever
//! is more. A receiver that acknowledges by itself has no such window: there `safe` is `acked`.
//!
//! Pure: knows no socket and no clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::spool::Sequence;

/// What was sent within this time before a connection broke is in doubt.
pub(crate) const REPLAY_AGE: Duration = Duration::from_secs(10);
/// So many bytes before the break are in doubt, however old (what a peer's kernel may hold unread).
pub(crate) const REPLAY_BYTES: u64 = 8 << 20;
/// Acknowledged entries smaller than this are joined, so that the window stays short under a trickle.
const ENTRY_BYTES_MIN: u64 = 16 << 10;
/// More events than this are not held in doubt, see [`Window::holds_too_much`].
const HELD_EVENTS_MAX: u64 = 500_000;

/// What became of events, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Delivered.
    pub shipped: u64,
    /// Put among the dead letters.
    pub dead: u64,
    /// Left out by the destination's filter.
    pub filtered: u64,
    /// Removed from a full spool before they could be sent, as its setting says.
    pub dropped: u64,
    /// Damaged or missing in the spool.
    pub lost: u64,
}

impl Tally {
    /// Adds another one.
    pub(crate) fn add(&mut self, other: Self) {
        self.shipped += other.shipped;
        self.dead += other.dead;
        self.filtered += other.filtered;
        self.dropped += other.dropped;
        self.lost += other.lost;
    }
}

/// How long what was acknowledged stays in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    /// Not at all: the receiver itself said that it has it.
    None,
    /// See [`REPLAY_AGE`] and [`REPLAY_BYTES`].
    Window,
}

/// One batch on its way.
struct Entry {
    /// The sequence after it.
    next: Sequence,
    /// What it brings to the books once it counts.
    tally: Tally,
    /// Bytes written to the connection up to its end.
    end: u64,
    /// Bytes of it.
    bytes: u64,
    /// When it was written.
    at: Instant,
}

/// What to do after a break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rewind {
    /// Send again from here.
    pub(crate) from: Sequence,
    /// Everything before this one is in the books already.
    pub(crate) counted: Sequence,
    /// Everything before this one may be a repetition.
    pub(crate) replay: Sequence,
}

/// How far one destination is.
pub(crate) struct Window {
    doubt: Doubt,
    safe: Sequence,
    acked: Sequence,
    sent: Sequence,
    /// The first `settled` of them are acknowledged.
    entries: VecDeque<Entry>,
    settled: usize,
    written: u64,
}

impl Window {
    /// Nothing on its way; the books stand at `acked`, and sending begins at `safe`.
    pub(crate) fn new(doubt: Doubt, safe: Sequence, acked: Sequence) -> Self {
        Self {
            doubt,
            safe,
            acked: acked.max(safe),
            sent: safe,
            entries: VecDeque::new(),
            settled: 0,
            written: 0,
        }
    }

    /// A batch was written; the connection has now taken `written` bytes in all.
    pub(crate) fn sent(&mut self, next: Sequence, tally: Tally, written: u64, now: Instant) {
        let bytes = written.saturating_sub(self.written);
        self.written = written;
        self.sent = self.sent.max(next);
        self.entries.push_back(Entry { next, tally, end: written, bytes, at: now });
    }

    /// The peer has the first `bytes` bytes of the connection. Returns what that brings to the books.
    pub(crate) fn acknowledge(&mut self, bytes: u64, now: Instant) -> Tally {
        let mut tally = Tally::default();
        while let Some(entry) = self.entries.get_mut(self.settled).filter(|e| e.end <= bytes) {
            tally.add(std::mem::take(&mut entry.tally));
            self.acked = self.acked.max(entry.next);
            self.settled += 1;
            self.join_last();
        }
        self.age(now);
        tally
    }

    /// Joins the newest acknowledged entry with the one before it, when that one is small.
    fn join_last(&mut self) {
        let Some(before) = self.settled.checked_sub(2) else { return };
        if self.entries[before].bytes >= ENTRY_BYTES_MIN {
            return;
        }
        if let Some(joined) = self.entries.remove(before) {
            self.settled -= 1;
            self.entries[before].bytes += joined.bytes;
        }
    }

    /// Lets go of what is no longer in doubt.
    pub(crate) fn age(&mut self, now: Instant) {
        while self.settled > 0 {
            let Some(entry) = self.entries.front() else { return };
            let old = now.saturating_duration_since(entry.at) >= REPLAY_AGE
                && self.written.saturating_sub(entry.end) >= REPLAY_BYTES;
            // A batch that was filtered out as a whole was never on the wire.
            if !old && entry.bytes > 0 && self.doubt == Doubt::Window {
                return;
            }
            self.safe = self.safe.max(entry.next);
            self.entries.pop_front();
            self.settled -= 1;
        }
    }

    /// The connection broke, perhaps in the middle of a batch that ends before `in_hand`.
    pub(crate) fn broke(&mut self, in_hand: Option<Sequence>) -> Rewind {
        self.entries.clear();
        self.settled = 0;
        self.written = 0;
        let replay = self.sent.max(in_hand.unwrap_or_default());
        Rewind { from: self.safe, counted: self.acked, replay }
    }

    /// The connection ended in order: both sides closed, nothing was left unread. What it carried is not in doubt any
    /// more; what an earlier connection carried, and this one did not repeat, still is.
    pub(crate) fn ended(&mut self) {
        if let Some(last) = self.settled.checked_sub(1).and_then(|last| self.entries.get(last)) {
            self.safe = self.safe.max(last.next);
        }
        self.entries.clear();
        self.settled = 0;
        self.written = 0;
    }

    /// Whether something was written that has no evidence yet.
    pub(crate) fn in_flight(&self) -> bool {
        self.entries.len() > self.settled
    }

    /// Whether so much waits behind `safe` that it is better to end the connection in order, which settles all
    /// doubt, than to hold the spool: the window counts bytes on the wire, and a destination whose filter takes
    /// one event in a thousand would hold a thousand times as much.
    pub(crate) fn holds_too_much(&self, now: Instant) -> bool {
        let old = |e: &Entry| now.saturating_duration_since(e.at) >= REPLAY_AGE;
        self.acked.0.saturating_sub(self.safe.0) > HELD_EVENTS_MAX
            && self.entries.front().is_some_and(old)
    }

    /// Everything before this one counts.
    pub(crate) fn acked(&self) -> Sequence {
        self.acked
    }

    /// Everything before this one is beyond doubt: its segments may go.
    pub(crate) fn safe(&self) -> Sequence {
        self.safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(shipped: u64) -> Tally {
        Tally { shipped, ..Tally::default() }
    }

    #[test]
    fn a_batch_counts_when_its_last_byte_is_acknowledged() {
        let now = Instant::now();
        let mut window = Window::new(Doubt::Window, Sequence(1), Sequence(1));
        window.sent(Sequence(11), shipped(10), 1000, now);
        window.sent(Sequence(21), shipped(10), 2000, now);
        assert_eq!(window.acknowledge(999, now), Tally::default());
        assert_eq!(window.acknowledge(1500, now), shipped(10));
        assert_eq!(window.acked(), Sequence(11));
        assert!(window.in_flight());
        assert_eq!(window.acknowledge(2000, now), shipped(10));
        assert!(!window.in_flight());
        assert_eq!((window.safe(), window.acked()), (Sequence(1), Sequence(21)));
    }

    #[test]
    fn a_receiver_that_answers_leaves_no_doubt() {
        let now = Instant::now();
        let mut window = Window::new(Doubt::None, Sequence(5), Sequence(5));
        window.sent(Sequence(9), shipped(4), 100, now);
        window.acknowledge(100, now);
        assert_eq!((window.safe(), window.acked()), (Sequence(9), Sequence(9)));
    }

    #[test]
    fn only_what_is_old_and_far_behind_leaves_the_window() {
        let start = Instant::now();
        let mut window = Window::new(Doubt::Window, Sequence(1), Sequence(1));
        let mb = 1 << 20;
        for n in 1..=20u64 {
            let at = start + Duration::from_secs(n);
            window.sent(Sequence(n + 1), shipped(1), n * mb, at);
            window.acknowledge(n * mb, at);
        }
        // At second 20, entries up to second 10 are old enough, and those up to 12 MiB far enough behind.
        assert_eq!(window.safe(), Sequence(11));
        let rewind = window.broke(Some(Sequence(30)));
        assert_eq!(
            rewind,
            Rewind { from: Sequence(11), counted: Sequence(21), replay: Sequence(30) }
        );
    }

    #[test]
    fn silence_alone_does_not_settle_the_last_bytes() {
        let start = Instant::now();
        let mut window = Window::new(Doubt::Window, Sequence(1), Sequence(1));
        window.sent(Sequence(2), shipped(1), 500, start);
        window.acknowledge(500, start);
        window.age(start + Duration::from_secs(3600));
        assert_eq!(window.safe(), Sequence(1));
        window.ended();
        assert_eq!(window.safe(), Sequence(2));
    }

    #[test]
    fn an_end_in_order_settles_only_what_that_connection_carried() {
        let now = Instant::now();
        let mut window = Window::new(Doubt::Window, Sequence(1), Sequence(1));
        window.sent(Sequence(101), shipped(100), 10_000, now);
        window.acknowledge(10_000, now);
        window.broke(None);
        window.ended();
        assert_eq!((window.safe(), window.acked()), (Sequence(1), Sequence(101)));
        window.sent(Sequence(51), Tally::default(), 5_000, now);
        window.acknowledge(5_000, now);
        window.ended();
        assert_eq!((window.safe(), window.acked()), (Sequence(51), Sequence(101)));
    }

    #[test]
    fn what_was_filtered_out_holds_nothing() {
        let now = Instant::now();
        let mut window = Window::new(Doubt::Window, Sequence(1), Sequence(1));
        window.sent(Sequence(100), Tally { filtered: 99, ..Tally::default() }, 0, now);
        window.acknowledge(0, now);
        assert_eq!(window.safe(), Sequence(100));
        window.sent(Sequence(101), shipped(1), 500, now);
        window.sent(Sequence(900_000), Tally::default(), 500, now);
        window.acknowledge(500, now);
        assert_eq!(window.safe(), Sequence(100));
        assert!(!window.holds_too_much(now));
        assert!(window.holds_too_much(now + REPLAY_AGE));
    }

    #[test]
    fn a_replay_is_not_counted_backwards() {
        let now = Instant::now();
        let mut window = Window::new(Doubt::Window, Sequence(3), Sequence(10));
        window.sent(Sequence(7), Tally::default(), 100, now);
        window.acknowledge(100, now);
        assert_eq!(window.acked(), Sequence(10));
    }

    #[test]
    fn a_trickle_stays_short_and_loses_nothing() {
        let now = Instant::now();
        let mut window = Window::new(Doubt::Window, Sequence(1), Sequence(1));
        let mut total = Tally::default();
        let mut written = 0;
        for n in 1..=100_000u64 {
            written += 300;
            window.sent(Sequence(n + 1), shipped(1), written, now + Duration::from_millis(n * 100));
            total.add(window.acknowledge(written, now + Duration::from_millis(n * 100)));
        }
        assert_eq!(total, shipped(100_000));
        assert_eq!(window.acked(), Sequence(100_001));
        let in_doubt = 100_001 - window.safe().0;
        let enough = REPLAY_BYTES / 300;
        assert!((enough..enough + 200).contains(&in_doubt), "{in_doubt} of {enough}");
        assert!(window.entries.len() < 1000, "{}", window.entries.len());
    }
}
