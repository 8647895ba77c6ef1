//! What a courier tells of itself while it runs.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{feed::Mark, trouble::Trouble};
use crate::event::Time;

/// A courier's state at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Where the connection leads, if there is one.
    pub peer: Option<String>,
    /// How far it is. `mark.safe` alone is as it is on disk: what it has passed may be released, also if the agent is
    /// killed right then and comes back to what the disk says.
    pub mark: Mark,
    /// What went wrong last, and when; kept after things went well again.
    pub trouble: Option<(Time, String)>,
    /// It waits this long before it tries again, because of `trouble`.
    pub waiting: Option<Duration>,
    /// A person has to settle `trouble`.
    pub needs_a_person: bool,
    /// Reason of the newest dead letter.
    pub dead_letter: Option<String>,
    /// How often everything in doubt was sent again.
    pub replays: u64,
}

/// A courier's state, shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Status(Mutex<View>);

impl Status {
    /// The state now.
    #[must_use]
    pub fn view(&self) -> View {
        self.lock().clone()
    }

    pub(crate) fn at(&self, mark: Mark, peer: Option<String>) {
        let mut view = self.lock();
        view.mark = Mark { safe: view.mark.safe, ..mark };
        if peer.is_some() {
            view.waiting = None;
        }
        view.peer = peer;
    }

    pub(crate) fn saved(&self, mark: Mark) {
        self.lock().mark.safe = mark.safe;
    }

    pub(crate) fn well(&self) {
        let mut view = self.lock();
        view.waiting = None;
        view.needs_a_person = false;
    }

    pub(crate) fn trouble(&self, trouble: &Trouble, pause: Duration) {
        let mut view = self.lock();
        view.trouble = Some((Time::now(), trouble.what.clone()));
        view.waiting = Some(pause);
        view.needs_a_person = trouble.pace == super::trouble::Pace::Slow;
    }

    pub(crate) fn dead_letter(&self, reason: &str) {
        self.lock().dead_letter = Some(reason.to_owned());
    }

    pub(crate) fn replayed(&self) {
        self.lock().replays += 1;
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        // A view is replaced field by field and stays readable whatever happened to its writer.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
