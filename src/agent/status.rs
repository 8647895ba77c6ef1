//! What the status socket answers: the agent's parts, looked at together.

use std::sync::{Arc, PoisonError};

use super::reader::View;
use crate::{
    config::Config,
    deliver::{self, Courier, Status as CourierStatus, View as CourierView},
    encode,
    event::Time,
    report::{AgentStatus, Balance, DestinationStatus, SourceStatus, SpoolStatus, Status},
    spool::{Counts, Spool},
};

/// How often the books are read again when an append came in between.
const TRIES: usize = 100;

/// All that has something to tell.
pub(crate) struct Board {
    agent: AgentStatus,
    bytes_max: u64,
    sources: Vec<SourceStatus>,
    spool: Arc<Spool>,
    view: Arc<View>,
    destinations: Vec<Destination>,
}

/// A destination, and what its cursor counted before this run: also what its courier does not, such as events from
/// before it began.
struct Destination {
    name: String,
    status: Arc<CourierStatus>,
    before: Counts,
}

impl Board {
    pub(crate) fn new(
        config: &Config,
        agent: &encode::Agent,
        spool: &Arc<Spool>,
        view: &Arc<View>,
        couriers: &[(String, Courier)],
    ) -> Self {
        let source = |source: &crate::config::Source| SourceStatus {
            name: source.name.clone(),
            mapping: source.mapping.clone(),
            files: Vec::new(),
        };
        Self {
            agent: AgentStatus {
                name: agent.name.clone(),
                id: agent.id.iter().map(|byte| format!("{byte:02x}")).collect(),
                version: agent.version.to_owned(),
                pid: std::process::id(),
                started: Time::now(),
            },
            bytes_max: config.spool.bytes_max,
            sources: config.sources.iter().map(source).collect(),
            spool: spool.clone(),
            view: view.clone(),
            destinations: couriers
                .iter()
                .map(|(name, courier)| destination(name, courier, spool))
                .collect(),
        }
    }

    /// How far everything is.
    pub(crate) fn status(&self) -> Status {
        let files = self.view.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut sources = self.sources.clone();
        for (source, files) in sources.iter_mut().zip(files) {
            source.files = files;
        }
        Status {
            agent: self.agent.clone(),
            time: Time::now(),
            spool: SpoolStatus {
                bytes: self.spool.bytes(),
                bytes_max: self.bytes_max,
                next_sequence: self.spool.next_sequence().0,
                trouble: self.spool.trouble(),
                books: self.spool.books(),
            },
            sources,
            destinations: self
                .destinations
                .iter()
                .map(|destination| self.one(destination))
                .collect(),
        }
    }

    fn one(&self, destination: &Destination) -> DestinationStatus {
        let Destination { name, status, before } = destination;
        let mut view = status.view();
        let mut balance = self.balance(&view, before);
        // Books, spool and courier move on their own: look until nothing moved while looking.
        for _ in 0..TRIES {
            let seen = self.spool.next_sequence();
            view = status.view();
            balance = self.balance(&view, before);
            if balance.closes() && seen == self.spool.next_sequence() {
                break;
            }
        }
        DestinationStatus::of(name, &view, balance)
    }

    fn balance(&self, view: &CourierView, before: &Counts) -> Balance {
        let counts = deliver::counts(&view.mark.tally, before);
        Balance::of(&self.spool.books(), &counts, self.spool.pending(view.mark.acked))
    }
}

fn destination(name: &str, courier: &Courier, spool: &Spool) -> Destination {
    let cursors = spool.cursors().unwrap_or_default();
    let kept = cursors.into_iter().find(|kept| kept.destination == name);
    Destination {
        name: name.to_owned(),
        status: courier.status(),
        before: kept.map(|kept| kept.counts).unwrap_or_default(),
    }
}
