//! A line taken apart: named values that are ranges of the line, or of an arena for what had to be unescaped.
//!
//! A record is reused from line to line, so that its buffers are allocated once. It has at most [`PARTS_MAX`]
//! parts; what exceeds that, or the depth and length that a name may have, is left out or kept as raw text, and
//! [`Record::cut`] says so.

use std::{net::IpAddr, ops::Range, sync::Arc};

use super::{names, template::Captured};
use crate::event::Time;

/// Most parts that a record has.
pub const PARTS_MAX: usize = 256;
/// Longest name of a part, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Most levels of nested objects whose names are joined by dots; deeper ones stay JSON text.
pub const DEPTH_MAX: usize = 16;

/// A range of the record's line or of its arena.
///
/// Two words without padding: such a value travels in registers, where a third member costs more than a third of the
/// time of parsing JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slice {
    /// First byte; with [`ARENA`] for a range of the arena.
    start: u32,
    /// One past the last byte; with the same mark.
    end: u32,
}

/// Marks both ends of a range of the arena.
const ARENA: u32 = 1 << 31;

impl Slice {
    /// A range of the line. Positions beyond 2 GiB are cut to that.
    #[must_use]
    #[inline]
    pub fn line(start: usize, end: usize) -> Self {
        Self { start: narrow(start), end: narrow(end) }
    }

    /// A range of the arena.
    fn arena(start: usize, end: usize) -> Self {
        Self { start: narrow(start) | ARENA, end: narrow(end) | ARENA }
    }

    /// Whether it is a range of the arena, which the record made, not of the line.
    #[must_use]
    pub fn in_arena(self) -> bool {
        self.start & ARENA != 0
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A slice that was taken relative to the text of `outer`, as a slice of the record: what a template captured in
    /// the `message` part becomes a slice of the line (or the arena) in which the message is.
    #[must_use]
    pub fn within(self, outer: Slice) -> Self {
        let at = |place: u32| outer.start.saturating_add(place & !ARENA).min(outer.end);
        Self { start: at(self.start), end: at(self.end) }
    }

    /// What is left without the first `n` bytes.
    #[must_use]
    pub(crate) fn skip(self, n: usize) -> Self {
        Self { start: self.start.saturating_add(narrow(n)).min(self.end), ..self }
    }

    /// As a range for slicing the text that it is a slice of.
    #[must_use]
    #[inline]
    pub fn range(self) -> Range<usize> {
        (self.start & !ARENA) as usize..(self.end & !ARENA) as usize
    }
}

#[inline]
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX).min(ARENA - 1)
}

/// A value of a part.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scalar {
    /// Bytes, as they came (or unescaped).
    Text(Slice),
    /// An integer.
    Long(i64),
    /// A floating point number, always finite.
    Double(f64),
    /// A truth value.
    Boolean(bool),
    /// JSON's `null`.
    Null,
    /// A point in time.
    Time(Time),
    /// An address; IPv4-mapped IPv6 addresses are IPv4.
    Ip(IpAddr),
}

/// The name of a part: one that the layout knows beforehand, or text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name {
    /// Index in the layout's names.
    Known(u16),
    /// Its text.
    Text(Slice),
}

/// One named value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Part {
    pub(crate) name: Name,
    /// Its value.
    pub value: Scalar,
}

/// Named parts of a line; what they mean is unknown.
#[derive(Clone, Debug, Default)]
pub struct Record<'l> {
    line: &'l [u8],
    arena: Vec<u8>,
    parts: Vec<Part>,
    /// What [`Name::Known`] refers to.
    names: Arc<[Box<str>]>,
    cut: bool,
    captured: Vec<Captured>,
}

impl<'l> Record<'l> {
    /// A record without parts.
    #[must_use]
    pub fn new(line: &'l [u8]) -> Self {
        Self { line, ..Self::default() }
    }

    /// The same buffers for another line.
    #[must_use]
    pub fn reuse<'m>(self, line: &'m [u8]) -> Record<'m> {
        let Record { mut arena, mut parts, names, captured, .. } = self;
        arena.clear();
        parts.clear();
        Record { line, arena, parts, names, cut: false, captured }
    }

    /// The whole line that it was made of.
    #[must_use]
    pub fn line(&self) -> &'l [u8] {
        self.line
    }

    /// All parts in the order in which they were found. The elements of an array are parts of the same name.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Something was left out or kept unparsed because it exceeded a maximum.
    #[must_use]
    pub fn cut(&self) -> bool {
        self.cut
    }

    /// A part's dotted name: `log.level`, whether JSON wrote it nested or not. Empty if it is no UTF-8.
    #[must_use]
    pub fn name(&self, part: &Part) -> &str {
        std::str::from_utf8(self.name_bytes(part)).unwrap_or_default()
    }

    /// The same without the check for UTF-8.
    #[must_use]
    pub fn name_bytes(&self, part: &Part) -> &[u8] {
        match part.name {
            Name::Known(id) => self.names.get(usize::from(id)).map_or(&[], |name| name.as_bytes()),
            Name::Text(slice) => self.text(slice),
        }
    }

    /// The bytes of a slice; empty for one that lies outside.
    #[must_use]
    pub fn text(&self, slice: Slice) -> &[u8] {
        let all = if slice.in_arena() { self.arena.as_slice() } else { self.line };
        all.get(slice.range()).unwrap_or_default()
    }

    /// The first value of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Scalar> {
        self.parts
            .iter()
            .find(|part| self.name_bytes(part) == name.as_bytes())
            .map(|part| part.value)
    }

    /// The bytes of the first value of that name, if it is text.
    #[must_use]
    pub fn bytes_of(&self, name: &str) -> Option<&[u8]> {
        match self.find(name)? {
            Scalar::Text(slice) => Some(self.text(slice)),
            _ => None,
        }
    }

    /// Forgets all parts and goes to another line of the same life.
    pub(crate) fn begin(&mut self, line: &'l [u8]) {
        self.line = line;
        self.parts.clear();
        self.arena.clear();
        self.cut = false;
    }

    /// Says what known names are; cheap when they are the same as for the last line.
    pub(crate) fn know(&mut self, names: &Arc<[Box<str>]>) {
        if !Arc::ptr_eq(&self.names, names) {
            self.names = Arc::clone(names);
        }
    }

    /// Adds a part, unless there are too many.
    pub fn push(&mut self, name: Name, value: Scalar) {
        if self.parts.len() < PARTS_MAX {
            self.parts.push(Part { name, value });
        } else {
            self.cut = true;
        }
    }

    /// Adds a part under a name that is copied.
    pub fn push_named(&mut self, name: &[u8], value: Scalar) {
        if name.len() > NAME_BYTES_MAX {
            self.cut = true;
            return;
        }
        let name = self.store(name);
        self.push(Name::Text(name), value);
    }

    /// Copies bytes into the arena.
    pub fn store(&mut self, bytes: &[u8]) -> Slice {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        self.stored(start)
    }

    /// The arena, to append to; [`Record::stored`] makes a slice of what was appended.
    pub(crate) fn arena(&mut self) -> &mut Vec<u8> {
        &mut self.arena
    }

    /// What was appended to the arena since it had `start` bytes.
    pub(crate) fn stored(&self, start: usize) -> Slice {
        Slice::arena(start, self.arena.len())
    }

    /// Appends the bytes of a slice to the arena.
    pub(crate) fn append(&mut self, slice: Slice) {
        if slice.in_arena() {
            let range = slice.range();
            if range.start <= range.end && range.end <= self.arena.len() {
                self.arena.extend_from_within(range);
            }
        } else {
            let bytes = self.line.get(slice.range()).unwrap_or_default();
            self.arena.extend_from_slice(bytes);
        }
    }

    /// `prefix.name` in the arena.
    pub(crate) fn join(&mut self, prefix: Slice, name: Slice) -> Slice {
        let start = self.arena.len();
        self.append(prefix);
        self.arena.push(b'.');
        self.append(name);
        self.stored(start)
    }

    /// Whether a part has that name.
    pub(crate) fn has(&self, name: Name) -> bool {
        self.parts.iter().any(|part| match (part.name, name) {
            (Name::Known(a), Name::Known(b)) => a == b,
            (Name::Text(a), Name::Text(b)) => a.len() == b.len() && self.text(a) == self.text(b),
            _ => false,
        })
    }

    /// What [`Record::back_to`] returns to.
    pub(crate) fn mark(&self) -> (usize, usize, bool) {
        (self.parts.len(), self.arena.len(), self.cut)
    }

    /// Forgets what was added since then.
    pub(crate) fn back_to(&mut self, (parts, arena, cut): (usize, usize, bool)) {
        self.parts.truncate(parts);
        self.arena.truncate(arena);
        self.cut = cut;
    }

    pub(crate) fn set_cut(&mut self) {
        self.cut = true;
    }

    /// Buffer for what templates capture, kept here so that it is allocated once.
    pub(crate) fn take_captured(&mut self) -> Vec<Captured> {
        std::mem::take(&mut self.captured)
    }

    pub(crate) fn give_captured(&mut self, captured: Vec<Captured>) {
        self.captured = captured;
    }

    /// Index of the first part of a known name.
    pub(crate) fn position(&self, id: u16) -> Option<usize> {
        self.parts.iter().position(|part| part.name == Name::Known(id))
    }

    pub(crate) fn replace(&mut self, part: usize, value: Scalar) {
        self.parts[part].value = value;
    }

    /// Removes those of the first `outer` parts whose known name a later part has too: what a line itself says
    /// is more exact than what a header before it says.
    pub(crate) fn prefer_from(&mut self, outer: usize) {
        let mut at = 0;
        let mut end = outer.min(self.parts.len());
        while at < end {
            let name = self.parts[at].name;
            let again = matches!(name, Name::Known(_))
                && self.parts[end..].iter().any(|later| later.name == name);
            if again {
                self.parts.remove(at);
                end -= 1;
            } else {
                at += 1;
            }
        }
    }

    /// Rewrites each text value for which `rewrite` appends another one to the arena.
    pub(crate) fn rewrite_text(&mut self, rewrite: impl Fn(&[u8], &mut Vec<u8>) -> bool) {
        let mut arena = std::mem::take(&mut self.arena);
        for part in &mut self.parts {
            let Scalar::Text(slice) = part.value else { continue };
            // Only the line can hold such text: what is in the arena was unescaped already.
            let text = if slice.in_arena() { None } else { self.line.get(slice.range()) };
            let start = arena.len();
            if text.is_some_and(|text| rewrite(text, &mut arena)) {
                part.value = Scalar::Text(Slice::arena(start, arena.len()));
            }
        }
        self.arena = arena;
    }

    /// Adds `@timestamp.nanos`, for writers that say seconds and nanoseconds apart, to `@timestamp`.
    pub(crate) fn add_nanos(&mut self) {
        let Some(nanos) = self.position(names::NANOS) else { return };
        let Scalar::Long(more @ 0..1_000_000_000) = self.parts[nanos].value else { return };
        let Some(time) = self.position(names::TIMESTAMP) else { return };
        if let Scalar::Time(Time(whole)) = self.parts[time].value
            && whole % 1_000_000_000 == 0
        {
            self.parts[time].value = Scalar::Time(Time(whole.saturating_add(more)));
            self.parts.remove(nanos);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_known_and_by_copied_names() {
        let mut record = Record::new(b"hello world");
        record.know(&Arc::from(vec![Box::from("message"), Box::from("log.level")]));
        record.push(Name::Known(0), Scalar::Text(Slice::line(6, 11)));
        record.push_named(b"own", Scalar::Long(7));
        assert_eq!(record.bytes_of("message"), Some(&b"world"[..]));
        assert_eq!(record.find("own"), Some(Scalar::Long(7)));
        assert_eq!(record.find("log.level"), None);
        assert_eq!(record.name(&record.parts()[1]), "own");
        let again = record.reuse(b"x");
        assert!(again.parts().is_empty());
        assert_eq!(again.line(), b"x");
    }

    #[test]
    fn more_than_the_maximum_is_left_out_and_said() {
        let mut record = Record::new(b"");
        for n in 0..=PARTS_MAX {
            assert!(!record.cut());
            record.push(Name::Known(0), Scalar::Long(i64::try_from(n).expect("small")));
        }
        assert!(record.cut());
        assert_eq!(record.parts().len(), PARTS_MAX);
    }

    #[test]
    fn a_slice_of_a_slice_stays_inside() {
        let outer = Slice::arena(10, 20);
        let inner = Slice::line(2, 5).within(outer);
        assert_eq!(inner, Slice::arena(12, 15));
        assert_eq!(Slice::line(8, 99).within(outer).len(), 2);
    }
}
