//! One event into one object, in a single walk over its fields sorted by place.

use super::{
    Ecs, FRAMEWORK, Kind, RELATED_MAX,
    plan::{Bundle, Own, Route, Slot},
    related::Related,
};
use crate::{
    encode::{
        found::{self, Found},
        json, scalar,
        special::Special,
        text,
    },
    event::{Event, FieldType, Value, field},
    guard::Shippable,
    spool::Sequence,
};

/// A typical object is about this long; the buffer grows at most once for it.
const BYTES_USUAL: usize = 1_536;

pub(super) struct Writer<'a> {
    ecs: &'a Ecs,
    kind: &'a Kind,
    sequence: Sequence,
    event: &'a Event<Shippable>,
    special: Special,
    /// The host name of the record, where it is not ours.
    foreign: Option<&'a str>,
    related: Candidates,
    /// Fields that have no place; their indices.
    leftover: Vec<u32>,
    at: &'a Slot,
    out: &'a mut Vec<u8>,
}

/// Fields whose values belong into `related.*`.
struct Candidates {
    list: [(Related, u32); RELATED_MAX],
    length: usize,
}

impl Candidates {
    fn push(&mut self, related: Related, index: u32) -> bool {
        let room = self.length < RELATED_MAX;
        if room {
            self.list[self.length] = (related, index);
            self.length += 1;
        }
        room
    }

    fn of(&self, related: Related) -> impl Iterator<Item = usize> + '_ {
        let all = self.list[..self.length].iter();
        all.filter(move |(of, _)| *of == related).map(|(_, index)| *index as usize)
    }
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        ecs: &'a Ecs,
        kind: &'a Kind,
        sequence: Sequence,
        event: &'a Event<Shippable>,
        out: &'a mut Vec<u8>,
    ) -> Self {
        let host = match event.get(field::HOST_NAME) {
            Some(Value::Text(span)) => text(event, span),
            _ => "",
        };
        let foreign = (!host.is_empty() && host != &*ecs.host.plain).then_some(host);
        let related = Candidates { list: [(Related::Ip, 0); RELATED_MAX], length: 0 };
        let at = &ecs.plan.head;
        let special = Special::of(event, *b"\"\\");
        let leftover = Vec::new();
        Self { ecs, kind, sequence, event, special, foreign, related, leftover, at, out }
    }

    pub(super) fn write(mut self) {
        self.out.reserve(BYTES_USUAL);
        self.head();
        let mut found = Found::new();
        self.sort_out(&mut found);
        self.walk(found.sorted());
        self.at.close_all(self.out);
        self.out.extend_from_slice(self.ecs.tail.as_bytes());
    }

    /// `{"@timestamp":…,"event":{` and what only we say of an event.
    fn head(&mut self) {
        self.out.extend_from_slice(br#"{"@timestamp":""#);
        scalar::rfc3339(self.out, self.event.time, 9);
        self.out.extend_from_slice(br#"","event":{"#);
        self.out.extend_from_slice(self.kind.head.as_bytes());
        scalar::unsigned(self.out, self.event.severity.unwrap_or(self.kind.severity).into());
        self.out.extend_from_slice(br#","id":""#);
        scalar::hex(self.out, &self.event.id.0);
        self.out.extend_from_slice(br#"","created":""#);
        scalar::rfc3339(self.out, self.event.created, 9);
    }

    /// Gives every field its place, or none.
    fn sort_out(&mut self, found: &mut Found) {
        for (index, field) in (0_u32..).zip(&self.event.fields) {
            let Some(target) = self.ecs.plan.targets.get(usize::from(field.id.0)) else { continue };
            match target.route {
                Route::Slot(rank) => {
                    found.push(rank, index);
                    if let Some(related) = related(target.related, field.value) {
                        self.related.push(related, index);
                    }
                }
                Route::Gather => {
                    let fits = related(target.related, field.value) == target.related;
                    if !fits || !target.related.is_some_and(|to| self.related.push(to, index)) {
                        self.leftover.push(index);
                    }
                }
                Route::Reserved => self.leftover.push(index),
            }
        }
    }

    /// Merges the event's fields with what the agent adds, both in the order of their places.
    fn walk(&mut self, entries: &[u64]) {
        let ecs = self.ecs;
        let mut own = ecs.plan.own.iter().peekable();
        let mut groups = entries.chunk_by(|a, b| found::rank(*a) == found::rank(*b));
        let mut next = groups.next();
        loop {
            let rank = next.map_or(u32::MAX, |group| found::rank(group[0]));
            while let Some((at, add)) = own.next_if(|(at, _)| *at < rank) {
                let slot = &ecs.plan.slots[*at as usize];
                match self.bundle(*add).filter(|bundle| bundle.last < rank) {
                    Some(bundle) => {
                        self.ready(slot, &bundle.text);
                        self.at = &ecs.plan.slots[bundle.last as usize];
                        while own.next_if(|(at, _)| *at <= bundle.last).is_some() {}
                    }
                    None => self.add(slot, *add, &[]),
                }
            }
            let Some(group) = next else { break };
            let slot = &ecs.plan.slots[rank as usize];
            match own.next_if(|(at, _)| *at == rank) {
                Some((_, Own::Uncoerced)) => self.add(slot, Own::Uncoerced, group),
                Some((_, add)) if !self.group(slot, group) => self.add(slot, *add, &[]),
                Some(_) => {}
                None => _ = self.group(slot, group),
            }
            next = groups.next();
        }
    }

    /// What begins with this value and can be written at once.
    fn bundle(&self, own: Own) -> Option<&'a Bundle> {
        match own {
            Own::HostHostname if self.foreign.is_none() => self.ecs.host.whole.as_ref(),
            Own::Framework => self.kind.threat.as_ref(),
            _ => None,
        }
    }

    /// The values of one field. False: none of them fitted, so nothing was written.
    fn group(&mut self, slot: &'a Slot, group: &[u64]) -> bool {
        let mut written = false;
        for index in group.iter().map(|entry| found::index(*entry)) {
            let field = self.event.fields[index];
            if !fits(slot.ty, field.value) || written && !slot.array {
                self.leftover.push(u32::try_from(index).unwrap_or(u32::MAX));
                continue;
            }
            self.element(slot, written);
            self.value(field.value);
            written = true;
        }
        written
    }

    /// Goes to a place and begins its value.
    #[inline]
    fn open(&mut self, slot: &'a Slot) {
        slot.lead_from(self.at, self.out);
        self.at = slot;
    }

    /// Begins an array's next element, or its first.
    fn element(&mut self, slot: &'a Slot, is_next: bool) {
        match is_next {
            true => self.out.extend_from_slice(slot.comma()),
            false => self.open(slot),
        }
    }

    /// A value without quotes.
    #[inline]
    fn value(&mut self, value: Value) {
        match value {
            Value::Text(span) => self.special.copy(self.event, span, json::inner, self.out),
            other => bare(other, self.out),
        }
    }

    /// What the agent says where the event has nothing to say.
    fn add(&mut self, slot: &'a Slot, own: Own, group: &[u64]) {
        let (kind, host) = (self.kind, &self.ecs.host);
        match own {
            Own::Action => self.ready(slot, &kind.action),
            Own::Dataset => self.ready(slot, &kind.dataset),
            Own::Module => self.module(slot),
            Own::Outcome => self.ready_if(slot, kind.outcome.as_deref()),
            // The record's own host.hostname came as a field; it names the host, too.
            Own::HostHostname => self.ready(slot, &host.name),
            Own::HostName => match self.foreign {
                Some(name) => self.named(slot, name),
                None => self.ready(slot, &host.name),
            },
            Own::HostIp if self.foreign.is_none() => self.ready_if(slot, host.ip.as_deref()),
            Own::HostIp => {}
            Own::Observer if self.foreign.is_some() => self.ready(slot, &host.observer),
            Own::Observer => {}
            Own::Related(related) => self.related(slot, related),
            Own::Framework => {
                let attack = kind.techniques.as_ref().map(|_| FRAMEWORK);
                self.ready_if(slot, attack);
            }
            Own::Technique => self.ready_if(slot, kind.techniques.as_deref()),
            Own::Subtechnique => self.ready_if(slot, kind.subtechniques.as_deref()),
            Own::Sequence if self.sequence.0 > 0 => {
                self.open(slot);
                scalar::unsigned(self.out, self.sequence.0);
            }
            Own::Sequence => {}
            Own::Uncoerced => self.uncoerced(slot, group),
        }
    }

    /// A value that is JSON already.
    fn ready(&mut self, slot: &'a Slot, json: &str) {
        self.open(slot);
        self.out.extend_from_slice(json.as_bytes());
    }

    fn ready_if(&mut self, slot: &'a Slot, json: Option<&str>) {
        if let Some(json) = json {
            self.ready(slot, json);
        }
    }

    fn named(&mut self, slot: &'a Slot, name: &str) {
        self.open(slot);
        json::inner(self.out, name);
    }

    /// The program that wrote the line, or the family of what it said.
    fn module(&mut self, slot: &'a Slot) {
        match self.event.get(field::SERVICE_TYPE) {
            Some(Value::Text(span)) if !span.is_empty() => {
                self.named(slot, text(self.event, span));
            }
            _ => self.ready(slot, &self.kind.family),
        }
    }

    /// A `related.*` list, every value once.
    fn related(&mut self, slot: &'a Slot, related: Related) {
        let event = self.event;
        let mut written = false;
        for n in 0..self.related.length {
            let (of, index) = self.related.list[n];
            let value_of = event.fields[index as usize].value;
            let mut before = self.related.list[..n].iter().filter(|(of, _)| *of == related);
            let is_known = |other: u32| same(event, event.fields[other as usize].value, value_of);
            if of != related || before.any(|(_, other)| is_known(*other)) {
                continue;
            }
            self.element(slot, written);
            self.value(value_of);
            written = true;
        }
        // Our own host is a host of the event where the record names no other.
        if related == Related::Hosts && self.foreign.is_none() && !self.names_our_host() {
            self.element(slot, written);
            self.out.extend_from_slice(self.ecs.host.name.as_bytes());
        }
    }

    fn names_our_host(&self) -> bool {
        let ours = |index: usize| match self.event.fields[index].value {
            Value::Text(span) => text(self.event, span) == &*self.ecs.host.plain,
            _ => false,
        };
        self.related.of(Related::Hosts).any(ours)
    }

    /// What had no place, as `name=value`, after what the event brought of it.
    fn uncoerced(&mut self, slot: &'a Slot, group: &[u64]) {
        if group.is_empty() && self.leftover.is_empty() {
            return;
        }
        let mut written = false;
        for entry in group {
            self.element(slot, std::mem::replace(&mut written, true));
            self.value(self.event.fields[found::index(*entry)].value);
        }
        for index in std::mem::take(&mut self.leftover) {
            self.element(slot, std::mem::replace(&mut written, true));
            let field = self.event.fields[index as usize];
            let name = self.ecs.plan.names.get(usize::from(field.id.0));
            self.out.extend_from_slice(name.map_or(&[], |name| name.as_bytes()));
            self.out.push(b'=');
            self.value(field.value);
        }
    }
}

/// A gathered value must be of its list's kind: an address, or text that is not empty.
fn related(named: Option<Related>, value: Value) -> Option<Related> {
    match (named, value) {
        (Some(Related::Ip) | None, Value::Ip(_)) => Some(Related::Ip),
        (Some(Related::Ip), _) => None,
        (Some(named), Value::Text(span)) if !span.is_empty() => Some(named),
        _ => None,
    }
}

fn same(event: &Event<Shippable>, a: Value, b: Value) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => text(event, a) == text(event, b),
        _ => a == b,
    }
}

/// Whether a receiver that knows the field's type will take the value.
fn fits(ty: FieldType, value: Value) -> bool {
    match (ty, value) {
        (_, Value::Double(n)) if !n.is_finite() => false,
        (FieldType::Keyword | FieldType::Text, _)
        | (FieldType::Long, Value::Long(_))
        | (FieldType::Double, Value::Long(_) | Value::Double(_))
        | (FieldType::Boolean, Value::Boolean(_))
        | (FieldType::Ip, Value::Ip(_))
        | (FieldType::Date, Value::Date(_)) => true,
        _ => false,
    }
}

/// A value other than text, without quotes.
fn bare(value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(_) => {}
        Value::Long(n) => scalar::integer(out, n),
        Value::Double(n) => scalar::double(out, n),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Ip(ip) => scalar::ip(out, ip),
        Value::Date(time) => scalar::rfc3339(out, time, 9),
    }
}
