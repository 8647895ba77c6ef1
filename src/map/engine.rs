//! The compiled mapping at work: one record in, one event out, no allocation on the way.

use std::sync::Arc;

use super::{
    Scratch, SessionSpec,
    coerce::{Constant, write_scalar},
    dispatch::Rank,
    fill::identity,
    index::Dispatch,
    names::{FastMap, NameId, Names},
    rules::{Alternative, Binding, Copying, KindRule, Lookup},
    view::View,
};
use crate::{
    event::{Event, FieldId, KindId, Raw, Tables, Time},
    parse::{Clock, Layout, Record, Scalar, Slice},
    tail::FileId,
};

/// Tag of events whose record had no time.
pub(crate) const TAG_NO_TIME: &str = "no-time-in-log";
/// Tag of events with values that did not fit their field.
pub(crate) const TAG_UNCOERCED: &str = "uncoerced";

/// A source mapping ready for use.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Name of the source mapping.
    pub name: String,
    /// How its program may write lines, in the order in which `auto` tries.
    pub layouts: Vec<Layout>,
    /// What ids in its events refer to.
    pub tables: Arc<Tables>,
    /// Memory per connection.
    pub session: Option<SessionSpec>,
    /// Tells it from every other mapping of this process, also from an earlier one of the same name.
    pub(crate) serial: u64,
    pub(crate) names: Names,
    /// Per name: the field of that name, if records are believed it.
    pub(crate) passing: Vec<Option<FieldId>>,
    pub(crate) message: NameId,
    pub(crate) timestamp: NameId,
    pub(crate) dispatch: Dispatch,
    /// By rank.
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) from: Vec<Copying>,
    pub(crate) constants: Vec<(FieldId, Constant)>,
    /// Where the connection's id stands: a field, or a name of the record.
    pub(crate) connection: Option<(Option<FieldId>, Lookup)>,
    pub(crate) kinds: FastMap<KindId>,
    pub(crate) unrecognised: KindId,
    /// Per field: its text is put into upper case.
    pub(crate) upper: Vec<bool>,
}

/// Where a record came from, and what else is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Name of the configured source.
    pub source: &'a str,
    /// The file's own name.
    pub file: FileId,
    /// The file's generation.
    pub generation: u32,
    /// The file's path.
    pub path: &'a [u8],
    /// Offset of the record's first byte.
    pub offset: u64,
    /// When it was read.
    pub read: Time,
    /// Identity of the agent.
    pub agent_id: &'a [u8; 16],
    /// The line itself goes into `event.original`.
    pub keep_original: bool,
    /// What the log does not say of its times.
    pub clock: &'a Clock,
}

impl Mapping {
    /// The meaning of one record. Always yields an event: an unrecognised one if no binding fits.
    pub fn map(
        &self,
        record: &Record<'_>,
        origin: &Origin<'_>,
        scratch: &mut Scratch,
        event: &mut Event<Raw>,
    ) {
        let kind = self.choose(record, origin.clock, scratch);
        event.kind = kind.unwrap_or(self.unrecognised);
        event.recognised = kind.is_some();
        event.id = identity(origin, record.line(), &mut scratch.identity);
        event.created = origin.read;
        event.fields.clear();
        event.text.0.clear();
        event.severity = self.binding(scratch.matched).and_then(|binding| binding.severity);
        self.fill(record, origin, scratch, event);
    }

    /// The binding that matched the record that was mapped last with this scratch.
    #[must_use]
    pub fn matched(&self, scratch: &Scratch) -> Option<&str> {
        self.binding(scratch.matched).map(|binding| binding.name.as_str())
    }

    /// All bindings that match a record, in the order in which they are tried: `map` takes the first.
    #[must_use]
    pub fn matching(&self, record: &Record<'_>, clock: &Clock, scratch: &mut Scratch) -> Vec<&str> {
        scratch.begin(self.serial, &self.names, record);
        self.gather(record, scratch, None);
        let ranks = std::mem::take(&mut scratch.candidates.ranks);
        let mut matching: Vec<&str> = Vec::new();
        for &rank in &ranks {
            let name = self.binding(Some(rank)).map_or("", |binding| binding.name.as_str());
            if self.attempt(rank, record, clock, scratch).is_some() && !matching.contains(&name) {
                matching.push(name);
            }
        }
        matching
    }

    fn binding(&self, rank: Option<Rank>) -> Option<&Binding> {
        self.bindings.get(self.alternatives.get(rank? as usize)?.binding)
    }

    pub(super) fn message(&self, record: &Record<'_>, scratch: &Scratch) -> Option<Slice> {
        match record.parts().get(scratch.part(self.message)?)?.value {
            Scalar::Text(slice) => Some(slice),
            _ => None,
        }
    }

    /// Finds the first alternative that matches, and its kind. Its captures are in `scratch.captured` then.
    pub(super) fn choose(
        &self,
        record: &Record<'_>,
        clock: &Clock,
        scratch: &mut Scratch,
    ) -> Option<KindId> {
        scratch.begin(self.serial, &self.names, record);
        let dispatch = &self.dispatch;
        let mut best: Option<(Rank, KindId)> = None;
        for (stage, least) in [dispatch.trie.least, dispatch.anywhere.least, dispatch.exact.least]
            .into_iter()
            .enumerate()
        {
            let Some(least) = least else { continue };
            if best.is_some_and(|(rank, _)| rank < least) {
                continue;
            }
            scratch.candidates.ranks.clear();
            self.gather(record, scratch, Some(stage));
            best = self.first(best, record, clock, scratch);
        }
        let (rank, kind) = best?;
        scratch.matched = Some(rank);
        Some(kind)
    }

    /// The candidates of one stage or of all, in order.
    fn gather(&self, record: &Record<'_>, scratch: &mut Scratch, stage: Option<usize>) {
        let message = self.message(record, scratch).map(|slice| record.text(slice));
        let wanted = |n: usize| stage.is_none_or(|stage| stage == n);
        let found = &mut scratch.candidates;
        if wanted(0)
            && let Some(message) = message
        {
            self.dispatch.trie.index.find(message, found);
        }
        if wanted(1)
            && let (Some(message), Some(index)) = (message, &self.dispatch.anywhere.index)
        {
            index.find(message, found);
        }
        if wanted(2) {
            let view = View { record, parts: &scratch.parts, epoch: scratch.epoch, message: None };
            let value = |name, out: &mut Vec<u8>| {
                let Some(scalar) = view.name(name) else { return false };
                write_scalar(scalar, out);
                out.extend_from_slice(view.of(scalar).text);
                true
            };
            self.dispatch.exact.index.find(&mut scratch.text, value, found);
        }
        found.ranks.sort_unstable();
        found.ranks.dedup();
    }

    fn first(
        &self,
        mut best: Option<(Rank, KindId)>,
        record: &Record<'_>,
        clock: &Clock,
        scratch: &mut Scratch,
    ) -> Option<(Rank, KindId)> {
        for n in 0..scratch.candidates.ranks.len() {
            let rank = scratch.candidates.ranks[n];
            if best.is_some_and(|(best, _)| best < rank) {
                break;
            }
            if let Some(kind) = self.attempt(rank, record, clock, scratch) {
                std::mem::swap(&mut scratch.captured, &mut scratch.trial);
                best = Some((rank, kind));
                break;
            }
        }
        best
    }

    /// Whether an alternative matches; what it captured is in `scratch.trial` then.
    fn attempt(
        &self,
        rank: Rank,
        record: &Record<'_>,
        clock: &Clock,
        scratch: &mut Scratch,
    ) -> Option<KindId> {
        scratch.tried += 1;
        let alternative = self.alternatives.get(rank as usize)?;
        let message = self.message(record, scratch);
        let view = View { record, parts: &scratch.parts, epoch: scratch.epoch, message };
        let (trial, buffer) = (&mut scratch.trial, &mut scratch.text);
        trial.clear();
        if !alternative.before.iter().all(|check| view.holds(check, &[], buffer)) {
            return None;
        }
        if let Some(template) = &alternative.template
            && !template.matches(record.text(message?), clock, trial)
        {
            return None;
        }
        if !alternative.after.iter().all(|check| view.holds(check, trial, buffer)) {
            return None;
        }
        match &alternative.kind {
            KindRule::Fixed(kind) => Some(*kind),
            KindRule::Built { prefix, lookups, suffix } => {
                buffer.clear();
                buffer.extend_from_slice(prefix.as_bytes());
                let found = lookups.iter().find_map(|lookup| view.find(lookup, trial))?;
                write_scalar(found.scalar, buffer);
                buffer.extend_from_slice(found.text);
                buffer.extend_from_slice(suffix.as_bytes());
                self.kinds.get(buffer.as_slice()).copied()
            }
        }
    }
}
