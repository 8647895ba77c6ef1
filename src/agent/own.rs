//! Events that the agent makes of itself: kinds `towline.*` of the catalogue. They go the same way as all others,
//! through guard and privacy into the spool, and are counted as generated.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::refinery::{Common, Harvest};
use crate::{
    deliver,
    event::{Event, EventId, Raw, Time, Value, field},
    spool::Notice,
    tail,
};

/// An event of the same kind about the same thing is repeated at most this often.
const REPEAT: Duration = Duration::from_secs(60);
/// Things that are remembered as said, at most.
const SAID_MAX: usize = 1000;

/// Something that happened to a source's file.
pub(crate) enum Said<'a> {
    /// Bytes were gone before they could be read.
    RotatedAway(&'a tail::Lost),
    /// It was truncated or rewritten.
    Truncated(&'a tail::Truncated),
    /// It cannot be read.
    Unreadable(&'a tail::Problem),
}

/// A destination that is watched for dead letters.
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) status: Arc<deliver::Status>,
    /// Dead letters that an event has told already.
    pub(crate) told: u64,
}

/// Makes the agent's own events.
pub(crate) struct Own {
    common: Common,
    destinations: Vec<Watched>,
    said: HashMap<String, Instant>,
    count: u64,
}

impl Own {
    pub(crate) fn new(common: Common, destinations: Vec<Watched>) -> Self {
        Self { common, destinations, said: HashMap::new(), count: 0 }
    }

    /// The agent begins.
    pub(crate) fn started(&mut self, harvest: &mut Harvest) {
        let text = format!("towline {} started", env!("CARGO_PKG_VERSION"));
        self.push("towline.started", &text, Time::now(), harvest, |_| {});
    }

    /// The agent ends in order.
    pub(crate) fn stopped(&mut self, harvest: &mut Harvest) {
        self.push("towline.stopped", "towline stopped in order", Time::now(), harvest, |_| {});
    }

    /// What happened to a file.
    pub(crate) fn say(&mut self, said: &Said<'_>, now: Time, harvest: &mut Harvest) {
        let (kind, path, text) = match said {
            Said::RotatedAway(lost) => {
                let bytes = lost.bytes.max(1);
                (
                    "towline.rotated_away",
                    &lost.path,
                    format!("at least {bytes} bytes were gone before they could be read"),
                )
            }
            Said::Truncated(truncated) => {
                let text =
                    format!("truncated or rewritten, generation {} begins", truncated.generation);
                ("towline.source_truncated", &truncated.path, text)
            }
            Said::Unreadable(problem) => {
                ("towline.source_unreadable", &problem.path, problem.message.clone())
            }
        };
        if matches!(said, Said::Unreadable(_)) && !self.is_news(kind, &text) {
            return;
        }
        self.about_file(kind, path, &text, now, harvest);
    }

    /// What the spool noticed.
    pub(crate) fn notice(&mut self, notice: &Notice, now: Time, harvest: &mut Harvest) {
        match notice {
            Notice::Dropped(range) => {
                let text = format!(
                    "the spool was full: {} events from sequence {} on were dropped, the oldest first",
                    range.len(),
                    range.first.0
                );
                self.push("towline.drop", &text, now, harvest, |_| {});
            }
            Notice::Lost(gap) => {
                let text = gap.to_string();
                self.push("towline.lost", &text, now, harvest, |_| {});
            }
        }
    }

    /// Looks after the destinations' dead letters.
    pub(crate) fn tick(&mut self, now: Time, harvest: &mut Harvest) {
        let mut news = Vec::new();
        for watched in &mut self.destinations {
            let view = watched.status.view();
            let dead = view.mark.tally.dead;
            if dead > watched.told {
                news.push((
                    watched.name.clone(),
                    dead - watched.told,
                    view.dead_letter.unwrap_or_default(),
                ));
            }
        }
        for (name, count, reason) in news {
            if !self.is_news("towline.dead_letter", &name) {
                continue;
            }
            let text = format!("destination {name} refused {count} events for good: {reason}");
            self.push("towline.dead_letter", &text, now, harvest, |event| {
                event.push_text(field::ERROR_MESSAGE, reason.as_bytes());
            });
            if let Some(watched) = self.destinations.iter_mut().find(|watched| watched.name == name)
            {
                watched.told += count;
            }
        }
    }

    fn about_file(
        &mut self,
        kind: &str,
        path: &Path,
        text: &str,
        now: Time,
        harvest: &mut Harvest,
    ) {
        let text = format!("{}: {text}", path.display());
        self.push(kind, &text, now, harvest, |event| {
            event.push_text(field::LOG_PATH, path.as_os_str().as_encoded_bytes());
        });
    }

    /// Whether this was not said within [`REPEAT`].
    fn is_news(&mut self, kind: &str, what: &str) -> bool {
        let now = Instant::now();
        if self.said.len() >= SAID_MAX {
            self.said.retain(|_, at| now.duration_since(*at) < REPEAT);
        }
        let said =
            self.said.entry(format!("{kind} {what}")).or_insert_with(|| now - REPEAT - REPEAT);
        let news = now.duration_since(*said) >= REPEAT;
        if news {
            *said = now;
        }
        news
    }

    fn push(
        &mut self,
        kind: &str,
        text: &str,
        now: Time,
        harvest: &mut Harvest,
        add: impl FnOnce(&mut Event<Raw>),
    ) {
        // Kinds come from the shipped catalogue, which a user's folder may have emptied.
        let Some(id) = self.common.tables.kind_id(kind) else { return };
        self.count += 1;
        let mut event = Event::new(id, self.id(kind, now), now);
        event.push_text(field::MESSAGE, text.as_bytes());
        event.push_text(field::SERVICE_TYPE, b"towline");
        event.push_text(field::DATASET, b"towline.agent");
        event.push(field::PROCESS_PID, Value::Long(i64::from(std::process::id())));
        add(&mut event);
        let clean = self.common.guard.clean(event);
        harvest.events.push(self.common.privacy.apply(clean));
        harvest.books.generated += 1;
    }

    fn id(&self, kind: &str, now: Time) -> EventId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.common.agent_id).update(kind.as_bytes());
        hasher.update(&now.0.to_le_bytes()).update(&self.count.to_le_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        EventId(id)
    }
}
