//! Why something was not delivered, in words for an admin, and how soon to try again.

use std::{fmt, time::Duration};

/// How soon to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// At once: an idle connection was closed under us, nothing is wrong.
    Now,
    /// Soon: the receiver took part of a batch, so it lives and only wants less.
    Soon,
    /// With growing pauses: the receiver or the way to it is in trouble.
    Grow,
    /// When the receiver said so (`Retry-After`), but not before the growing pause.
    After(Duration),
    /// Rarely: only a person can settle it (credentials, certificates, a missing index). Said loudly.
    Slow,
}

/// What went wrong, and how soon to try again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// For people: what, where, what to do.
    pub what: String,
    /// See [`Pace`].
    pub pace: Pace,
}

impl Trouble {
    /// Trouble that passes: growing pauses.
    pub(crate) fn grow(what: impl Into<String>) -> Self {
        Self { what: what.into(), pace: Pace::Grow }
    }

    /// Trouble that a person has to settle.
    pub(crate) fn slow(what: impl Into<String>) -> Self {
        Self { what: what.into(), pace: Pace::Slow }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Trouble {}
