//! One record's bytes → its parts.

use super::{Format, Layout, Line};
use crate::parse::{
    json, logfmt,
    names::{self, REQUIRED_MAX},
    record::{Name, Record, Scalar, Slice},
    syslog,
    template::{CaptureType, Captured, unescape},
    time::Clock,
};

/// What a record looked like.
pub(super) struct Looks {
    /// It is of this layout.
    pub(super) fits: bool,
    /// Every required name was there.
    pub(super) complete: bool,
}

impl Layout {
    /// Takes a record apart. False if it does not look like this layout: the record then has one part, `message`, which
    /// is the whole line (or what follows a syslog header).
    pub fn parse<'l>(&self, line: &'l [u8], clock: &Clock, record: &mut Record<'l>) -> bool {
        self.look(line, clock, record).fits
    }

    pub(super) fn look<'l>(&self, line: &'l [u8], clock: &Clock, record: &mut Record<'l>) -> Looks {
        record.begin(line);
        record.know(self.names.all());
        let end = line.len() - usize::from(line.ends_with(b"\r"));
        let header = match &self.syslog {
            None => Some(0),
            Some(header) => header.parse(record, &self.names, clock),
        };
        let Some(start) = header else { return self.nothing(record, 0, end) };
        let outer = record.parts().len();
        let required = match self.format {
            Format::Json => {
                let rules = json::Rules { names: &self.names, time: &self.time, clock };
                json::parse(record, start, end, &rules)
            }
            Format::Text => self.text(record, start, end, clock).then_some(0),
        };
        let Some(required) = required else { return self.nothing(record, start, end) };
        if outer > 0 {
            record.prefer_from(outer);
        }
        self.finish(record);
        let complete = required & self.names.required() == self.names.required();
        const { assert!(REQUIRED_MAX <= 32) };
        Looks { fits: true, complete }
    }

    fn nothing(&self, record: &mut Record<'_>, start: usize, end: usize) -> Looks {
        let message = Scalar::Text(Slice::line(start.min(end), end));
        record.push(Name::Known(names::MESSAGE), message);
        self.finish(record);
        Looks { fits: false, complete: false }
    }

    fn text(&self, record: &mut Record<'_>, start: usize, end: usize, clock: &Clock) -> bool {
        let start = start.min(end);
        if self.lines.is_empty() {
            record.push(Name::Known(names::MESSAGE), Scalar::Text(Slice::line(start, end)));
            return true;
        }
        let line = record.line();
        let mut captured = record.take_captured();
        let matched = self.lines.iter().find(|known| {
            captured.clear();
            known.template.matches(&line[start..end], clock, &mut captured)
        });
        if let Some(known) = matched {
            let outer = Slice::line(start, end);
            for one in &captured {
                self.keep(record, known, one, outer);
            }
        }
        record.give_captured(captured);
        matched.is_some()
    }

    fn keep(&self, record: &mut Record<'_>, line: &Line, captured: &Captured, outer: Slice) {
        let slot = usize::from(captured.slot);
        let (Some(spec), Some(id)) = (line.template.captures().get(slot), line.slots.get(slot))
        else {
            return;
        };
        let value = match captured.value {
            Scalar::Text(slice) => Scalar::Text(slice.within(outer)),
            other => other,
        };
        let value = match value {
            Scalar::Text(slice) if captured.escaped => Scalar::Text(unescaped(record, slice)),
            other => other,
        };
        if let (CaptureType::Kv, Scalar::Text(run)) = (&spec.ty, value) {
            self.spread(record, run);
            if spec.name == "_" {
                return;
            }
        }
        record.push(Name::Known(*id), value);
    }

    /// Makes a part of each pair of a run.
    fn spread(&self, record: &mut Record<'_>, run: Slice) {
        let line = record.line();
        let text = line.get(run.range()).unwrap_or_default();
        for pair in logfmt::pairs(text) {
            let key = Slice::line(pair.key.start, pair.key.end).within(run);
            let value = Slice::line(pair.value.start, pair.value.end).within(run);
            let value = if pair.escaped { unescaped(record, value) } else { value };
            let name = self.names.resolve(record, key).name;
            record.push(name, Scalar::Text(value));
        }
    }

    /// What is the same for all formats: names of levels, nanoseconds beside a time, control characters.
    fn finish(&self, record: &mut Record<'_>) {
        if self.unescape_octal {
            record.rewrite_text(syslog::unescape_octal);
        }
        if !self.levels.is_empty() {
            self.name_level(record);
        }
        record.add_nanos();
    }

    fn name_level(&self, record: &mut Record<'_>) {
        let Some(at) = record.position(names::LEVEL) else { return };
        let value = record.parts()[at].value;
        let named = |written: &[u8]| {
            self.levels.iter().find(|level| *level.from == *written).map(|level| &level.to)
        };
        let name = match value {
            Scalar::Text(slice) => named(record.text(slice)),
            Scalar::Long(n) => named(n.to_string().as_bytes()),
            _ => None,
        };
        if let Some(name) = name {
            let name = record.store(name);
            record.replace(at, Scalar::Text(name));
        }
    }
}

fn unescaped(record: &mut Record<'_>, slice: Slice) -> Slice {
    let line = record.line();
    let text = line.get(slice.range()).unwrap_or_default();
    let start = record.arena().len();
    unescape(text, record.arena());
    record.stored(start)
}
