//! `towline run`: read, ship, until told to stop.

use clap::Args;

use super::{Exit, Failure, Global, begin_log, load};
use crate::agent;

/// Read the sources and ship their events until SIGTERM or SIGINT.
///
/// Everything is checked first; with an error nothing is read or sent. Stopping is in order: what was
/// read is on disk, what is in hand is sent as far as the deadline allows, the rest goes on at the
/// next start. Runs in the foreground.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {}

pub(super) fn run(global: &Global, _: &Arguments) -> Result<Exit, Failure> {
    let loaded = load(global)?;
    begin_log(global, &loaded.config);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    match agent::run(&loaded.config, &loaded.library, std::future::pending()) {
        Ok(()) => Ok(Exit::Done),
        Err(error @ agent::Error::Configuration(_)) => {
            Err(Failure::of(Exit::Configuration, &error))
        }
        Err(error) => Err(Failure::of(Exit::Failed, &error)),
    }
}
