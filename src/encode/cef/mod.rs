//! CEF, versions 0 and 1: `CEF:1|vendor|product|version|class id|name|severity|key=value …`.
//!
//! - Which field fills which key is data: [`table`], shipped as `mappings/schemas/cef.toml`.
//! - Every key once; no empty value; no space at either end of a value; limits count characters and what was cut
//!   ends in `…`; numbers only where a consumer can read them (ports, 32 bits, 64 bits); IPv6 in the `c6a` keys.
//! - A field that found no key goes into one JSON object under the table's `rest` key, sorted by name, so that
//!   nothing gets lost without a trace. `left_out` counts what did not fit there.
//! - Values escape `\` and `=` alone: clean text has no line ends. The header escapes `\` and `|`.

pub mod table;

mod plan;
pub(crate) mod shorten;
mod value;

use plan::{Candidate, Family, Keys, Kind, Own, Place};
use table::{CefTable, KeyType};

use crate::{
    encode::{
        Agent, family,
        found::{self, Found},
        scalar,
        special::Special,
        text,
    },
    event::{Event, Field, Tables, Value, field},
    guard::Shippable,
};

/// A typical message is about this long.
const BYTES_USUAL: usize = 1_024;

/// Room that the rest keeps for `,"left_out":65535}`.
const REST_RESERVE: usize = 24;

/// Characters of one text in the rest, at most.
const REST_TEXT_MAX: usize = 1_023;

/// Writes events as CEF.
#[derive(Debug)]
pub struct Cef {
    kinds: Vec<Kind>,
    families: Vec<Family>,
    /// For the rest, by field: where it stands among the names, and its name as JSON.
    names: Vec<(u32, Box<str>)>,
    /// ` cs6Label=fields cs6=`
    rest: Box<str>,
    rest_max: usize,
    host_name: Box<str>,
}

impl Cef {
    /// Prepares everything that does not change from event to event. `version` is 0 or 1; above counts as 1.
    #[must_use]
    pub fn new(version: u8, table: &CefTable, agent: &Agent, tables: &Tables) -> Self {
        let keys = Keys::new(version.min(1), table);
        let mut names: Vec<&str> = vec![table::OTHER];
        names.extend(table.custom.keys().map(String::as_str).filter(|name| *name != table::OTHER));
        let family_of =
            |kind: &str| names.iter().position(|name| *name == family(kind)).unwrap_or(0);
        let kinds = tables.kinds().iter();
        let rest = table.key.get(&table.rest.key).and_then(|key| key.length);
        Self {
            kinds: kinds.map(|kind| keys.kind(agent, kind, family_of(&kind.name))).collect(),
            families: names.iter().map(|name| keys.family(name, tables)).collect(),
            names: ranked_names(tables),
            rest: plan::lead(&table.rest.key, Some(&table.rest.label)).into(),
            rest_max: rest.unwrap_or(usize::MAX),
            host_name: agent.host_name.as_str().into(),
        }
    }

    /// Appends one message, without a line end.
    pub fn write(&self, event: &Event<Shippable>, out: &mut Vec<u8>) {
        // An event's kind is in its tables; one that is not would have nothing to say of itself.
        let Some(kind) = self.kinds.get(usize::from(event.kind.0)) else { return };
        out.reserve(BYTES_USUAL);
        out.extend_from_slice(kind.header.as_bytes());
        scalar::unsigned(
            out,
            event.severity.map_or(kind.severity, |severity| severity.min(10)).into(),
        );
        let end_of_header = out.len();
        let family = &self.families[kind.family];
        let (mut keys, mut rest) = (Found::new(), Found::new());
        self.sort_out(family, event, &mut keys, &mut rest);
        self.keys(kind, family, event, keys.sorted(), &mut rest, out);
        self.rest(event, rest.sorted(), out);
        // Every pair brings the space before it; that of the first becomes the header's last pipe.
        match out.get_mut(end_of_header) {
            Some(space) => *space = b'|',
            None => out.push(b'|'),
        }
    }

    /// Gives every field its key, or a place in the rest.
    fn sort_out(
        &self,
        family: &Family,
        event: &Event<Shippable>,
        keys: &mut Found,
        rest: &mut Found,
    ) {
        for (index, field) in (0_u32..).zip(&event.fields) {
            let id = usize::from(field.id.0);
            let blank = matches!(field.value, Value::Text(span) if is_blank(text(event, span)));
            match family.places.get(id) {
                Some(Place::Key(at)) if !blank => match family.accept(*at, event, field.value) {
                    Some(at) => keys.push(family.rank(at), index),
                    None => rest.push(self.names[id].0, index),
                },
                Some(Place::Rest) if !blank => rest.push(self.names[id].0, index),
                _ => {}
            }
        }
    }

    /// Keys in their order: the event's value, or what it has by itself. Losers go into the rest.
    fn keys(
        &self,
        kind: &Kind,
        family: &Family,
        event: &Event<Shippable>,
        entries: &[u64],
        rest: &mut Found,
        out: &mut Vec<u8>,
    ) {
        let slot_of = |entry: u64| (found::rank(entry) >> 24) as u8;
        let special = Special::of(event, *b"\\=");
        let mut own = kind.own.iter().peekable();
        for group in entries.chunk_by(|a, b| slot_of(*a) == slot_of(*b)) {
            let slot = slot_of(group[0]);
            while let Some((_, value)) = own.next_if(|(at, _)| *at < slot) {
                self.own(value, event, out);
            }
            own.next_if(|(at, _)| *at == slot);
            let candidate = &family.candidates[(found::rank(group[0]) & 0xffff) as usize];
            pair(candidate, event, special, event.fields[found::index(group[0])], out);
            for loser in &group[1..] {
                let index = found::index(*loser);
                let id = usize::from(event.fields[index].id.0);
                rest.push(self.names[id].0, u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
        own.for_each(|(_, value)| self.own(value, event, out));
    }

    fn own(&self, own: &Own, event: &Event<Shippable>, out: &mut Vec<u8>) {
        match own {
            Own::Ready(pair) => out.extend_from_slice(pair.as_bytes()),
            Own::OfOurHost(pair) if self.is_ours(event) => out.extend_from_slice(pair.as_bytes()),
            Own::OfOurHost(_) => {}
            Own::Time(lead) => {
                out.extend_from_slice(lead.as_bytes());
                scalar::integer(out, event.time.millis());
            }
            Own::Created(lead) => {
                out.extend_from_slice(lead.as_bytes());
                scalar::integer(out, event.created.millis());
            }
            Own::Id(lead) => {
                out.extend_from_slice(lead.as_bytes());
                scalar::hex(out, &event.id.0);
            }
        }
    }

    /// Whether the event happened on the host that we run on.
    fn is_ours(&self, event: &Event<Shippable>) -> bool {
        match event.get(field::HOST_NAME) {
            Some(Value::Text(span)) => span.is_empty() || text(event, span) == &*self.host_name,
            _ => true,
        }
    }

    /// ` cs6Label=fields cs6={"name":value,"name":[value,value]}`
    fn rest(&self, event: &Event<Shippable>, entries: &[u64], out: &mut Vec<u8>) {
        if entries.is_empty() {
            return;
        }
        out.extend_from_slice(self.rest.as_bytes());
        // Bytes with escapes are at least as many as the characters that the limit counts.
        let end = out.len().saturating_add(self.rest_max).saturating_sub(REST_RESERVE);
        let mut lead = b'{';
        let mut left_out = 0;
        for group in entries.chunk_by(|a, b| found::rank(*a) == found::rank(*b)) {
            let start = out.len();
            out.push(lead);
            self.rest_member(event, group, out);
            if out.len() > end {
                out.truncate(start);
                left_out += group.len();
            } else {
                lead = b',';
            }
        }
        if left_out > 0 {
            out.push(lead);
            out.extend_from_slice(br#""left_out":"#);
            scalar::unsigned(out, left_out as u64);
        }
        out.push(b'}');
    }

    fn rest_member(&self, event: &Event<Shippable>, group: &[u64], out: &mut Vec<u8>) {
        let field = |entry: &u64| event.fields[found::index(*entry)];
        out.push(b'"');
        out.extend_from_slice(self.names[usize::from(field(&group[0]).id.0)].1.as_bytes());
        out.extend_from_slice(b"\":");
        if group.len() == 1 {
            return rest_value(event, field(&group[0]).value, out);
        }
        for (n, entry) in group.iter().enumerate() {
            out.push(if n == 0 { b'[' } else { b',' });
            rest_value(event, field(entry).value, out);
        }
        out.push(b']');
    }
}

impl Family {
    /// The candidate that takes a value, if any does.
    #[inline]
    fn accept(&self, at: u16, event: &Event<Shippable>, value: Value) -> Option<u16> {
        let candidate = &self.candidates[usize::from(at)];
        let fits = match value {
            Value::Text(_) if candidate.ty == KeyType::String => true,
            Value::Text(span) => value::fits_text(candidate.ty, text(event, span)),
            other => value::fits(candidate.ty, other),
        };
        match (fits, value) {
            (true, _) => Some(at),
            (false, Value::Ip(_)) => {
                candidate.ipv6.filter(|at| value::fits(self.candidates[usize::from(*at)].ty, value))
            }
            (false, _) => None,
        }
    }

    /// Sorts by key, then by priority; holds the candidate itself.
    fn rank(&self, at: u16) -> u32 {
        let candidate = &self.candidates[usize::from(at)];
        u32::from(candidate.slot) << 24 | u32::from(candidate.priority) << 16 | u32::from(at)
    }
}

/// Whether nothing is left of a text without the spaces at its ends.
fn is_blank(text: &str) -> bool {
    !text.as_bytes().first().is_some_and(u8::is_ascii_graphic) && text.trim().is_empty()
}

fn pair(
    candidate: &Candidate,
    event: &Event<Shippable>,
    special: Special,
    field: Field,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(candidate.lead.as_bytes());
    match field.value {
        Value::Text(span) => {
            let text = text(event, span);
            if candidate.ty == KeyType::String && value::is_plain(text, candidate.length) {
                special.copy(event, span, value::escape, out);
            } else {
                value::text(out, candidate.ty, text, candidate.length);
            }
        }
        other => value::other(out, candidate.ty, other),
    }
}

fn rest_value(event: &Event<Shippable>, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Long(n) => scalar::integer(out, n),
        Value::Boolean(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
        Value::Double(n) if n.is_finite() => scalar::double(out, n),
        _ => {
            out.push(b'"');
            match value {
                Value::Text(span) => {
                    let (kept, was_cut) = value::cut(text(event, span), REST_TEXT_MAX);
                    value::json_inner(out, kept);
                    if was_cut {
                        out.extend_from_slice(value::CUT.as_bytes());
                    }
                }
                Value::Ip(ip) => scalar::ip(out, ip),
                Value::Date(time) => scalar::rfc3339(out, time, 9),
                Value::Double(n) => scalar::double(out, n),
                Value::Long(_) | Value::Boolean(_) => {}
            }
            out.push(b'"');
        }
    }
}

/// By field: its place among all names in alphabetical order, and its name as JSON.
fn ranked_names(tables: &Tables) -> Vec<(u32, Box<str>)> {
    let mut sorted: Vec<&str> = tables.fields().iter().map(|field| field.name.as_str()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let rank = |name: &str| {
        u32::try_from(sorted.partition_point(|other| *other < name)).unwrap_or(u32::MAX)
    };
    tables.fields().iter().map(|field| (rank(&field.name), plan::rest_name(&field.name))).collect()
}

#[cfg(test)]
pub(crate) mod tests;
