//! The compiled mapping at work: one record in, one event out, no allocation on the way.

use std::sync::Arc;

use super::{
    SessionSpec,
    coerce::{Constant, write_scalar},
    compile::{ADDRESSES, Dispatch},
    dispatch::{Candidates, Rank},
    emit::{Emit, From, Seen},
    jid::Jid,
    names::{FastMap, NameId, Names},
    rules::{self, Alternative, Binding, Check, Copying, KindRule, Lookup, Target},
};
use crate::{
    event::{Event, EventId, FieldId, KindId, Raw, Tables, Time, field},
    parse::{Captured, Clock, Layout, Record, Scalar, Slice, template},
    tail::FileId,
};

/// Tag of events whose record had no time.
pub(crate) const TAG_NO_TIME: &str = "no-time-in-log";
/// Tag of events with values that did not fit their field.
pub(crate) const TAG_UNCOERCED: &str = "uncoerced";

/// Buffers that grow beyond this for one record are given back.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

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
    /// Per address field (`*.ip`): the field for the host's name, where there is one.
    pub(crate) domains: Vec<Option<FieldId>>,
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

/// Buffers that are reused from record to record. One serves any number of mappings, one after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Per name: the record in which it was seen last, and the part.
    parts: Vec<(u32, u16)>,
    /// Per part of the record: its name, where the mapping knows it.
    names: Vec<Option<NameId>>,
    recall: Recall,
    epoch: u32,
    pub(crate) seen: Seen,
    candidates: Candidates,
    /// Captures of the alternative that matched, and of the one that is being tried.
    captured: Vec<Captured>,
    trial: Vec<Captured>,
    text: Vec<u8>,
    identity: Vec<u8>,
    /// Which alternative matched the last record.
    matched: Option<Rank>,
    /// How many alternatives were tried for the last record.
    tried: usize,
}

/// Names of the last record's parts. Records of one layout have the same names at the same places, and comparing
/// costs less than hashing.
#[derive(Debug, Default)]
struct Recall {
    /// [`Mapping::serial`] of the mapping that gave the ids.
    serial: u64,
    names: Vec<(Vec<u8>, Option<NameId>)>,
}

impl Recall {
    /// Longer names are not remembered.
    const NAME_BYTES_MAX: usize = 64;

    fn find(&mut self, at: usize, name: &[u8], names: &Names) -> Option<NameId> {
        if let Some((known, id)) = self.names.get(at)
            && known == name
        {
            return *id;
        }
        let id = names.find(name);
        if at == self.names.len() {
            self.names.push((Vec::new(), None));
        }
        if let Some((known, known_id)) =
            self.names.get_mut(at).filter(|_| name.len() <= Self::NAME_BYTES_MAX)
        {
            known.clear();
            known.extend_from_slice(name);
            *known_id = id;
        }
        id
    }
}

impl Scratch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What mapping the last record cost: bytes of it that dispatch looked at, and bindings that were tried.
    #[must_use]
    pub fn cost(&self) -> (usize, usize) {
        (self.candidates.touched, self.tried)
    }

    fn begin(&mut self, names: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.parts.fill((0, 0));
            self.epoch = 1;
        }
        if self.parts.len() < names {
            self.parts.resize(names, (0, 0));
        }
        self.candidates.begin();
        self.captured.clear();
        self.matched = None;
        self.tried = 0;
        for buffer in [&mut self.text, &mut self.identity] {
            buffer.clear();
            buffer.shrink_to(BUFFER_BYTES_KEPT);
        }
    }

    fn part(&self, name: NameId) -> Option<usize> {
        let (epoch, part) = self.parts[usize::from(name.0)];
        (epoch == self.epoch).then_some(usize::from(part))
    }
}

/// A record whose parts have been found, for the look-ups of one mapping.
struct View<'v, 'l> {
    record: &'v Record<'l>,
    parts: &'v [(u32, u16)],
    epoch: u32,
    /// The message, of which captures are slices.
    message: Option<Slice>,
}

/// A value that was looked up.
#[derive(Clone, Copy)]
struct Found<'v> {
    scalar: Scalar,
    text: &'v [u8],
    /// The text has backslash escapes.
    escaped: bool,
}

impl<'v> View<'v, '_> {
    fn name(&self, name: NameId) -> Option<Scalar> {
        let (epoch, part) = *self.parts.get(usize::from(name.0))?;
        if epoch != self.epoch {
            return None;
        }
        Some(self.record.parts().get(usize::from(part))?.value).filter(|v| *v != Scalar::Null)
    }

    fn of(&self, scalar: Scalar) -> Found<'v> {
        let text = match scalar {
            Scalar::Text(slice) => self.record.text(slice),
            _ => &[],
        };
        Found { scalar, text, escaped: false }
    }

    fn captured(&self, captured: Captured) -> Option<Found<'v>> {
        let scalar = match captured.value {
            Scalar::Text(slice) => Scalar::Text(slice.within(self.message?)),
            other => other,
        };
        Some(Found { escaped: captured.escaped, ..self.of(scalar) })
    }

    fn origin(&self, origin: rules::Origin, captured: &[Captured]) -> Option<Found<'v>> {
        match origin {
            rules::Origin::Name(name) => self.name(name).map(|scalar| self.of(scalar)),
            rules::Origin::Capture(slot) => {
                self.captured(*captured.iter().find(|captured| captured.slot == slot)?)
            }
        }
    }

    /// A value by its name. An empty text counts as not there.
    fn find(&self, lookup: &Lookup, captured: &[Captured]) -> Option<Found<'v>> {
        let whole = lookup.whole.and_then(|origin| self.origin(origin, captured));
        let filled =
            |found: &Found<'_>| !matches!(found.scalar, Scalar::Text(_)) || !found.text.is_empty();
        if let Some(found) = whole.filter(filled) {
            return Some(found);
        }
        let (origin, part) = lookup.part?;
        let found = self.origin(origin, captured)?;
        let text = Jid::split(found.text).part(part);
        (!text.is_empty()).then_some(Found { text, ..found })
    }

    fn holds(&self, check: &Check, captured: &[Captured], buffer: &mut Vec<u8>) -> bool {
        let found = self.find(&check.lookup, captured);
        let text = found.map(|found| match found.scalar {
            Scalar::Text(_) => found.text,
            scalar => {
                buffer.clear();
                write_scalar(scalar, buffer);
                buffer.as_slice()
            }
        });
        check.test.holds(text)
    }
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
        scratch.begin(self.names.len());
        self.find_parts(record, scratch);
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

    /// Notes for each name that the mapping knows which part has it; the first of several.
    fn find_parts(&self, record: &Record<'_>, scratch: &mut Scratch) {
        let Scratch { parts, names, recall, epoch, .. } = scratch;
        if recall.serial != self.serial {
            *recall = Recall { serial: self.serial, names: Vec::new() };
        }
        names.clear();
        for (at, part) in record.parts().iter().enumerate() {
            let name = recall.find(at, record.name_bytes(part), &self.names);
            names.push(name);
            let Some(name) = name else { continue };
            let slot = &mut parts[usize::from(name.0)];
            if slot.0 != *epoch {
                *slot = (*epoch, u16::try_from(at).unwrap_or(u16::MAX));
            }
        }
    }

    fn message(&self, record: &Record<'_>, scratch: &Scratch) -> Option<Slice> {
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
        scratch.begin(self.names.len());
        self.find_parts(record, scratch);
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

    /// Fills an event's fields, the ones that go before others first.
    fn fill(
        &self,
        record: &Record<'_>,
        origin: &Origin<'_>,
        scratch: &mut Scratch,
        event: &mut Event<Raw>,
    ) {
        let message = self.message(record, scratch);
        let view = View { record, parts: &scratch.parts, epoch: scratch.epoch, message };
        let captured = scratch.captured.as_slice();
        let mut emit = Emit::new(self, origin, event, &mut scratch.seen, &mut scratch.text);
        if let Some(alternative) =
            scratch.matched.and_then(|rank| self.alternatives.get(rank as usize))
        {
            emit.begin(From::Capture);
            for one in captured {
                let Some(found) = view.captured(*one) else { continue };
                match alternative.targets.get(usize::from(one.slot)) {
                    Some(Target::Field(id)) => {
                        emit.put(*id, found.scalar, found.text, found.escaped)
                    }
                    Some(Target::Time) => emit.time(found.scalar, found.text),
                    Some(Target::Nothing) | None => {}
                }
            }
            emit.begin(From::Binding);
            copy(&mut emit, &alternative.from, &view, captured);
            emit.begin(From::BindingConstant);
            let binding = &self.bindings[alternative.binding];
            binding.constants.iter().for_each(|(id, constant)| emit.constant(*id, constant));
        }
        emit.begin(From::Source);
        copy(&mut emit, &self.from, &view, captured);
        emit.begin(From::Part);
        self.pass(&mut emit, &view, &scratch.names);
        emit.begin(From::SourceConstant);
        self.constants.iter().for_each(|(id, constant)| emit.constant(*id, constant));
        emit.begin(From::Derived);
        self.connection(&mut emit, &view);
        emit.addresses(&ADDRESSES);
        emit.finish(record.line());
    }

    /// Parts of the record that are fields by name.
    fn pass(&self, emit: &mut Emit<'_>, view: &View<'_, '_>, names: &[Option<NameId>]) {
        for (part, name) in view.record.parts().iter().zip(names) {
            let Some(name) = *name else { continue };
            let found = view.of(part.value);
            if let Some(id) = self.passing.get(usize::from(name.0)).copied().flatten() {
                emit.put(id, found.scalar, found.text, false);
            } else if name == self.timestamp {
                emit.time(found.scalar, found.text);
            }
        }
    }

    /// Copies the connection's id into its field, where it is one.
    fn connection(&self, emit: &mut Emit<'_>, view: &View<'_, '_>) {
        let (Some((id, lookup)), Some(session)) = (&self.connection, &self.session) else { return };
        if *id == Some(field::CONNECTION_ID) {
            return;
        }
        let Some(found) = view.find(lookup, &[]) else { return };
        let is_one = |text: &[u8]| {
            session.matching.is_empty()
                || session.matching.iter().any(|glob| super::glob::matches(glob.as_bytes(), text))
        };
        if is_one(found.text) {
            emit.put(field::CONNECTION_ID, found.scalar, found.text, false);
        }
    }
}

fn copy(emit: &mut Emit<'_>, from: &[Copying], view: &View<'_, '_>, captured: &[Captured]) {
    for one in from {
        if let Some(found) = one.lookups.iter().find_map(|lookup| view.find(lookup, captured)) {
            emit.put(one.field, found.scalar, found.text, found.escaped);
        }
    }
}

/// [`EventId`]: the same for the same line of the same place, whenever it is read.
fn identity(origin: &Origin<'_>, line: &[u8], buffer: &mut Vec<u8>) -> EventId {
    /// Number of the event among those of the same record. A record makes one.
    const ORDINAL: u32 = 0;
    buffer.clear();
    buffer.extend_from_slice(origin.agent_id);
    buffer.extend_from_slice(&origin.file.0);
    buffer.extend_from_slice(&origin.generation.to_le_bytes());
    buffer.extend_from_slice(&origin.offset.to_le_bytes());
    buffer.extend_from_slice(&ORDINAL.to_le_bytes());
    buffer.extend_from_slice(line);
    let hash = blake3::hash(buffer);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    EventId(id)
}

/// Resolves the backslash escapes of a quoted run.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    template::unescape(text, out);
}
