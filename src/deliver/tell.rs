//! Tells of a destination's troubles: every one in its status, in the log only as often as is bearable.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{debug, error, info, warn};

use super::{
    parcel::Refused,
    status::Status,
    trouble::{Pace, Trouble},
};

/// The same trouble is told in the log at most this often.
const TELL_INTERVAL: Duration = Duration::from_secs(30);

/// The voice of one destination.
pub(crate) struct Teller {
    name: String,
    pub(crate) status: Arc<Status>,
    told: Option<(Instant, String)>,
}

impl Teller {
    /// A voice that has said nothing yet.
    pub(crate) fn new(name: &str, status: Arc<Status>) -> Self {
        Self { name: name.to_owned(), status, told: None }
    }

    /// Something went wrong for the `tries`-th time; the next try comes after `pause`.
    pub(crate) fn trouble(&mut self, trouble: &Trouble, tries: u32, pause: Duration) {
        let name = &self.name;
        if trouble.pace == Pace::Now {
            debug!(destination = name, "{trouble}");
            return;
        }
        self.status.trouble(trouble, pause);
        if self.was_told(trouble) {
            return;
        }
        match trouble.pace {
            Pace::Slow => error!(
                destination = name,
                tries, "{trouble}; nothing is lost, trying again in {pause:.1?}"
            ),
            _ => warn!(destination = name, tries, "{trouble}; trying again in {pause:.1?}"),
        }
        self.told = Some((Instant::now(), trouble.what.clone()));
    }

    fn was_told(&self, trouble: &Trouble) -> bool {
        self.told.as_ref().is_some_and(|(at, what)| {
            at.elapsed() < TELL_INTERVAL && (*what == trouble.what || trouble.pace == Pace::Soon)
        })
    }

    /// Things go well again, after so many tries.
    pub(crate) fn well(&mut self, tries: u32, peer: Option<String>) {
        if tries > 0 {
            info!(destination = self.name, peer, "delivering again");
        }
        self.told = None;
        self.status.well();
    }

    /// The receiver refuses events for good.
    pub(crate) fn refused(&self, refused: &[Refused]) {
        let Some(Refused { status, reason, .. }) = refused.last() else { return };
        self.status.dead_letter(reason);
        let (destination, count) = (&self.name, refused.len());
        warn!(destination, count, status, reason, "the receiver refuses events for good");
    }

    /// Reading ahead failed; it will be tried again, and then there is nothing else to do but to tell it.
    pub(crate) fn later(&self, trouble: &str) {
        debug!(destination = self.name, trouble, "reading ahead failed");
    }
}
