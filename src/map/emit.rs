//! Putting values into an event: each field once, of its type, from the place that goes before the others.

use super::{
    coerce::{self, Constant, Fit, fit, write_scalar},
    engine::{Mapping, Origin, TAG_NO_TIME, TAG_UNCOERCED},
    fill::unescape,
    jid::{Jid, JidPart},
};
use crate::{
    event::{Event, FieldId, FieldType, Raw, Span, Time, Value, field},
    parse::{Clock, Scalar},
};

/// Most values that are kept as `towline.uncoerced` for one event.
const UNCOERCED_MAX: usize = 32;

/// Where a value comes from; the earlier ones go before the later ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum From {
    Capture,
    Binding,
    BindingConstant,
    Source,
    Part,
    SourceConstant,
    Derived,
}

/// Per field: the event in which it was set last, and from where.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    fields: Vec<(u32, u8)>,
    epoch: u32,
}

impl Seen {
    fn begin(&mut self, fields: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.fields.fill((0, 0));
            self.epoch = 1;
        }
        if self.fields.len() < fields {
            self.fields.resize(fields, (0, 0));
        }
    }

    fn has(&self, id: FieldId) -> bool {
        self.fields[usize::from(id.0)].0 == self.epoch
    }
}

/// Fills one event.
pub(crate) struct Emit<'e> {
    mapping: &'e Mapping,
    origin: &'e Origin<'e>,
    event: &'e mut Event<Raw>,
    seen: &'e mut Seen,
    buffer: &'e mut Vec<u8>,
    from: From,
    time: Option<Time>,
    uncoerced: usize,
    /// The whole addresses of the fields of `ADDRESSES`, resource included.
    addresses: [Option<Span>; 2],
}

impl<'e> Emit<'e> {
    pub(crate) fn new(
        mapping: &'e Mapping,
        origin: &'e Origin<'e>,
        event: &'e mut Event<Raw>,
        seen: &'e mut Seen,
        buffer: &'e mut Vec<u8>,
    ) -> Self {
        seen.begin(mapping.tables.fields().len());
        Self {
            mapping,
            origin,
            event,
            seen,
            buffer,
            from: From::Capture,
            time: None,
            uncoerced: 0,
            addresses: [None; 2],
        }
    }

    /// The values that follow come from there.
    pub(crate) fn begin(&mut self, from: From) {
        self.from = from;
    }

    /// Whether the field may take a(nother) value from here; if so it counts as set.
    fn take(&mut self, id: FieldId) -> bool {
        let slot = &mut self.seen.fields[usize::from(id.0)];
        let from = self.from as u8;
        let free = slot.0 != self.seen.epoch;
        let more = !free && slot.1 == from && self.mapping.tables.field(id).array;
        if free {
            *slot = (self.seen.epoch, from);
        }
        free || more
    }

    fn clock(&self) -> &'e Clock {
        self.origin.clock
    }

    /// Sets a field, if it is not set yet. An empty text or `null` sets nothing.
    pub(crate) fn put(&mut self, id: FieldId, scalar: Scalar, text: &[u8], escaped: bool) {
        let mut unescaped = Vec::new();
        let text = if escaped && text.contains(&b'\\') {
            unescape(text, &mut unescaped);
            unescaped.as_slice()
        } else {
            text
        };
        match fit(self.mapping.tables.field(id).ty, scalar, text, self.clock()) {
            Fit::Nothing => {}
            Fit::Misfit => self.misfit(&self.mapping.tables.field(id).name, scalar, text),
            Fit::Value(value) => {
                if self.take(id) {
                    self.event.push(id, value);
                }
            }
            Fit::Text => {
                if self.take(id) {
                    self.text(id, text);
                }
            }
            Fit::Written => {
                if self.take(id) {
                    self.buffer.clear();
                    write_scalar(scalar, self.buffer);
                    self.event.push_text(id, self.buffer);
                }
            }
        }
    }

    fn text(&mut self, id: FieldId, text: &[u8]) {
        let mut span = self.event.store(text);
        match id {
            field::LEVEL => {
                if let Some(level) = coerce::level(text) {
                    span = self.event.store(level.as_bytes());
                } else {
                    self.event.text.0[span.range()].make_ascii_lowercase();
                }
            }
            field::JID | field::TARGET_JID => {
                self.addresses[usize::from(id == field::TARGET_JID)] = Some(span);
                let bare = u32::try_from(Jid::split(text).bare.len()).unwrap_or(u32::MAX);
                span.end = span.start.saturating_add(bare).min(span.end);
                if span.is_empty() {
                    return;
                }
            }
            _ if self.mapping.upper[usize::from(id.0)] => {
                self.event.text.0[span.range()].make_ascii_uppercase();
            }
            _ => {}
        }
        self.event.push(id, Value::Text(span));
    }

    /// Sets a field to a constant, if it is not set yet.
    pub(crate) fn constant(&mut self, id: FieldId, constant: &Constant) {
        if !self.take(id) {
            return;
        }
        match constant {
            Constant::Text(text) => self.text(id, text.as_bytes()),
            Constant::Value(value) => self.event.push(id, *value),
        }
    }

    /// Sets the event's time, if it is not set yet.
    pub(crate) fn time(&mut self, scalar: Scalar, text: &[u8]) {
        if self.time.is_some() {
            return;
        }
        match fit(FieldType::Date, scalar, text, self.clock()) {
            Fit::Value(Value::Date(time)) => self.time = Some(time),
            Fit::Nothing => {}
            _ => self.misfit("@timestamp", scalar, text),
        }
    }

    /// Keeps a value that is not of its field's type where any text may stand.
    fn misfit(&mut self, name: &str, scalar: Scalar, text: &[u8]) {
        self.uncoerced += 1;
        if self.uncoerced > UNCOERCED_MAX {
            return;
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.push(b'=');
        write_scalar(scalar, self.buffer);
        self.buffer.extend_from_slice(text);
        self.event.push_text(field::UNCOERCED, self.buffer);
    }

    /// Parts of addresses, where nothing else says them.
    pub(crate) fn addresses(&mut self, fields: &[(FieldId, [Option<FieldId>; 3]); 2]) {
        for (n, (_, targets)) in fields.iter().enumerate() {
            let Some(span) = self.addresses[n] else { continue };
            let parts = [JidPart::Local, JidPart::Domain, JidPart::Resource];
            for (target, part) in targets.iter().zip(parts) {
                let Some(target) = target.filter(|target| !self.seen.has(*target)) else {
                    continue;
                };
                let address = &self.event.text.0[span.range()];
                let part = Jid::split(address).part(part);
                if part.is_empty() {
                    continue;
                }
                // A part is a range of the address: nothing has to be copied.
                let start = part.as_ptr() as usize - address.as_ptr() as usize;
                let start = span.start + u32::try_from(start).unwrap_or(u32::MAX);
                let end = start + u32::try_from(part.len()).unwrap_or(u32::MAX);
                if self.take(target) {
                    self.event.push(target, Value::Text(Span { start, end }));
                }
            }
        }
    }

    /// What every event has.
    pub(crate) fn finish(mut self, line: &[u8]) {
        self.event.time = self.time.unwrap_or(self.origin.read);
        if self.time.is_none() {
            self.event.push_text(field::TAGS, TAG_NO_TIME.as_bytes());
        }
        if self.uncoerced > 0 {
            self.event.push_text(field::TAGS, TAG_UNCOERCED.as_bytes());
        }
        self.begin(From::Derived);
        if self.take(field::DATASET) {
            self.event.push_text(field::DATASET, self.mapping.name.as_bytes());
        }
        self.event.push_text(field::LOG_PATH, self.origin.path);
        let offset = i64::try_from(self.origin.offset).unwrap_or(i64::MAX);
        self.event.push(field::LOG_OFFSET, Value::Long(offset));
        if self.origin.keep_original {
            self.event.push_text(field::ORIGINAL, line);
        }
    }
}
