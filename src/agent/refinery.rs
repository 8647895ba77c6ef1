//! One source's way from bytes to shippable events: records, meaning, memory, guard, filters.
//!
//! Synchronous and without I/O; the time is an argument. Everything that was read comes out as an event or is
//! counted as a drop under the name of the setting that dropped it.

use std::{collections::HashMap, sync::Arc};

use jiff::tz::TimeZone;

use crate::{
    config::{Level, Source, Unrecognised},
    event::{Event, EventId, KindId, Raw, Tables, Time, field},
    guard::{Clean, Guard, Privacy, Shippable},
    map::{Mapping, Origin, Scratch},
    parse::{Clock, Cut, Layout, Record, detect},
    session::{Limits, Memory, Rules},
    spool::BooksDelta,
    tail::{Chunk, FileId, Flush, Taken},
};

/// What decides the layout of a file: so many complete lines, or so many bytes, or the end of the file.
const LAYOUT_LINES: usize = 20;
const LAYOUT_BYTES: usize = 64 << 10;

/// Tag of a record that was longer than a record may be.
const TAG_CUT: &str = "cut";
/// Tag of lines that continue a record which was handed out before.
const TAG_LATE: &str = "late-continuation";

/// Reasons of drops, as the balance names them.
const DROPPED_LEVEL: &str = "level_min";
const DROPPED_UNRECOGNISED: &str = "unrecognised";

/// What all sources share.
#[derive(Clone)]
pub(crate) struct Common {
    /// What ids in events refer to.
    pub(crate) tables: Arc<Tables>,
    /// Makes text safe.
    pub(crate) guard: Arc<Guard>,
    /// Makes it private.
    pub(crate) privacy: Arc<Privacy>,
    /// Who we are.
    pub(crate) agent_id: [u8; 16],
    /// Whether the privacy profile lets whole lines through, so that it is worth copying them.
    pub(crate) keep_original: bool,
}

/// What came out of chunks.
#[derive(Default)]
pub(crate) struct Harvest {
    /// Events, in order.
    pub(crate) events: Vec<Event<Shippable>>,
    /// What was read, and what of it was dropped.
    pub(crate) books: BooksDelta,
}

/// Makes events of one source's lines.
pub(crate) struct Refinery {
    common: Common,
    source: String,
    mapping: Mapping,
    /// The layout that the configuration names.
    forced: Option<usize>,
    zone: TimeZone,
    memory: Option<Memory>,
    level_min: Option<Level>,
    /// Kinds that are dropped, with the reason that the balance shows.
    drop: HashMap<KindId, String>,
    unrecognised: Unrecognised,
    scratch: Scratch,
    cuts: Vec<Cut>,
}

impl Refinery {
    /// The refinery of a configured source. `Err` says what of it does not fit its mapping.
    pub(crate) fn new(common: Common, source: &Source, mapping: Mapping) -> Result<Self, String> {
        let forced =
            match &source.layout {
                None => None,
                Some(name) => Some(
                    mapping.layouts.iter().position(|layout| layout.name() == name).ok_or_else(
                        || format!("mapping {} has no layout \"{name}\"", mapping.name),
                    )?,
                ),
            };
        let rules = mapping.session.as_ref().map(|spec| Rules::new(spec, &common.tables));
        let memory = rules.transpose().map_err(|error| error.to_string())?;
        let drop = source
            .drop
            .iter()
            .filter_map(|name| Some((common.tables.kind_id(name)?, format!("drop:{name}"))))
            .collect();
        Ok(Self {
            source: source.name.clone(),
            forced,
            zone: source.time_zone.clone(),
            memory: memory.map(|rules| Memory::new(Arc::new(rules), Limits::default())),
            level_min: source.level_min,
            drop,
            unrecognised: source.unrecognised,
            scratch: Scratch::new(),
            cuts: Vec::new(),
            common,
            mapping,
        })
    }

    /// Makes events of the complete records of a chunk.
    pub(crate) fn refine(&mut self, chunk: &Chunk<'_>, now: Time, out: &mut Harvest) -> Taken {
        let Some((layout, decided)) = self.layout(chunk) else { return Taken::default() };
        let mut cuts = std::mem::take(&mut self.cuts);
        cuts.clear();
        let used = self.mapping.layouts[layout].records(chunk.bytes, chunk.flush, &mut cuts);
        let clock = Clock::new(self.zone.clone(), later(chunk.modified, now), None);
        let mut record = Record::new(b"");
        for (n, cut) in cuts.iter().enumerate() {
            record = record.reuse(&chunk.bytes[cut.start..cut.end]);
            let is_last = n + 1 == cuts.len();
            let left_out = if is_last { chunk.cut } else { 0 };
            let event = self.event(layout, &mut record, cut, chunk, &clock, now, left_out);
            out.books.read += 1;
            match self.reason_to_drop(&event) {
                Some(reason) => *out.books.dropped.entry(reason).or_default() += 1,
                None => out.events.push(self.common.privacy.apply(event)),
            }
        }
        self.cuts = cuts;
        let name = decided.then(|| self.mapping.layouts[layout].name().to_owned());
        Taken { bytes: used, layout: name }
    }

    /// Learns the connections of lines that were shipped before, so that later lines are completed by them.
    pub(crate) fn remember(&mut self, chunk: &Chunk<'_>, now: Time) {
        let Some((layout, _)) = self.layout(chunk).filter(|_| self.memory.is_some()) else {
            return;
        };
        let mut cuts = Vec::new();
        self.mapping.layouts[layout].records(chunk.bytes, chunk.flush, &mut cuts);
        let clock = Clock::new(self.zone.clone(), later(chunk.modified, now), None);
        let mut record = Record::new(b"");
        for cut in &cuts {
            record = record.reuse(&chunk.bytes[cut.start..cut.end]);
            self.meaning(layout, &mut record, cut, chunk, &clock, now);
        }
    }

    /// A file was rotated: connections that were open in it go on in its successor.
    pub(crate) fn inherit(&mut self, from: FileId, to: FileId) {
        if let Some(memory) = &mut self.memory {
            memory.inherit(from, to);
        }
    }

    /// A file is finished: its connections are not needed any more.
    pub(crate) fn forget(&mut self, file: FileId) {
        if let Some(memory) = &mut self.memory {
            memory.forget(file);
        }
    }

    /// The layout of a chunk, and whether it was decided just now. `None`: more lines are needed to tell.
    fn layout(&self, chunk: &Chunk<'_>) -> Option<(usize, bool)> {
        let layouts = &self.mapping.layouts;
        if let Some(forced) = self.forced {
            return Some((forced, false));
        }
        let known = |name: &str| layouts.iter().position(|layout| layout.name() == name);
        if let Some(known) = chunk.layout.and_then(known) {
            return Some((known, false));
        }
        let lines = memchr::memchr_iter(b'\n', chunk.bytes).take(LAYOUT_LINES).count();
        let enough = lines == LAYOUT_LINES || chunk.bytes.len() >= LAYOUT_BYTES;
        if !enough && chunk.flush == Flush::No {
            return None;
        }
        // A few lines decide for themselves; only a full look is kept.
        Some((detect(layouts, chunk.bytes).unwrap_or(0), enough))
    }

    /// Parses a record, gives it a meaning and completes it.
    fn meaning(
        &mut self,
        layout: usize,
        record: &mut Record<'_>,
        cut: &Cut,
        chunk: &Chunk<'_>,
        clock: &Clock,
        now: Time,
    ) -> Event<Raw> {
        let layout: &Layout = &self.mapping.layouts[layout];
        let line = record.line();
        debug_assert_eq!(line.len(), cut.end - cut.start);
        layout.parse(line, clock, record);
        let offset = chunk.offset + cut.start as u64;
        let origin = Origin {
            source: &self.source,
            file: chunk.file,
            generation: chunk.generation,
            path: chunk.path.as_os_str().as_encoded_bytes(),
            offset,
            read: now,
            agent_id: &self.common.agent_id,
            keep_original: self.common.keep_original,
            clock,
        };
        let mut event = Event::new(KindId(0), EventId::default(), now);
        self.mapping.map(record, &origin, &mut self.scratch, &mut event);
        if let Some(memory) = &mut self.memory {
            memory.apply(chunk.file, &self.source, offset, &mut event);
        }
        event
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call, and a struct would only name the same things again"
    )]
    fn event(
        &mut self,
        layout: usize,
        record: &mut Record<'_>,
        cut: &Cut,
        chunk: &Chunk<'_>,
        clock: &Clock,
        now: Time,
        left_out: u64,
    ) -> Event<Clean> {
        let mut event = self.meaning(layout, record, cut, chunk, clock, now);
        if cut.truncated || left_out > 0 {
            event.push_text(field::TAGS, TAG_CUT.as_bytes());
            let length = cut.full_len as u64 + left_out;
            event.push_text(field::TRUNCATED, format!("record length={length}").as_bytes());
        }
        if !cut.begins {
            event.push_text(field::TAGS, TAG_LATE.as_bytes());
        }
        self.common.guard.clean(event)
    }

    /// The setting that drops an event, if one does.
    fn reason_to_drop(&self, event: &Event<Clean>) -> Option<String> {
        if !event.recognised && self.unrecognised == Unrecognised::Drop {
            return Some(DROPPED_UNRECOGNISED.to_owned());
        }
        if let Some(reason) = self.drop.get(&event.kind) {
            return Some(reason.clone());
        }
        let least = self.level_min?;
        let level = Level::of(event.text_of(field::LEVEL)?)?;
        (level < least).then(|| DROPPED_LEVEL.to_owned())
    }
}

/// What a log does not say of its times is told by the file's age; a clock that is behind must not matter.
fn later(modified: Time, now: Time) -> Time {
    if modified == Time::default() { now } else { modified }
}
