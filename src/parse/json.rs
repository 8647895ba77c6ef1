//! JSON lines, in one pass: each scalar becomes a part, named by its dotted path. No tree is built; text without
//! escapes stays where it is.
//!
//! Total: any bytes give an answer. Strict where a line would otherwise be mistaken for JSON (structure, numbers,
//! trailing bytes), lenient where programs are (control characters and invalid UTF-8 in strings are carried through).
//! The first of several equal keys wins. Objects deeper than [`DEPTH_MAX`], and objects and arrays inside arrays, stay
//! JSON text.

mod lexis;

use self::lexis::{escape, number, quote_or_backslash, string_end, white};
use super::{
    names::{self, Names, Resolved},
    record::{DEPTH_MAX, NAME_BYTES_MAX, Name, Record, Scalar, Slice},
    time::{Clock, TimeFormat},
};

/// Most levels of brackets in what is not taken apart.
const SKIP_DEPTH_MAX: u32 = 128;
/// Bits of the filter that tells which keys were certainly not seen yet.
const SEEN_BITS: usize = 256;

/// What the parser needs to know of a layout.
pub(crate) struct Rules<'r> {
    pub(crate) names: &'r Names,
    /// Formats of `@timestamp`, tried in order.
    pub(crate) time: &'r [TimeFormat],
    pub(crate) clock: &'r Clock,
}

/// Takes the JSON object apart that is the record's line from `from` to `end`. Adds its parts to the record and
/// returns the bits of the required names that were there; `None`, and the record as it was, if it is no JSON object
/// or something follows it.
pub(crate) fn parse(
    record: &mut Record<'_>,
    from: usize,
    end: usize,
    rules: &Rules<'_>,
) -> Option<u32> {
    let text = record.line().get(..end)?;
    let mark = record.mark();
    let mut parser = Parser { text, record, rules, required: 0, seen: [0; SEEN_BITS / 64] };
    let required = parser.document(from);
    if required.is_none() {
        record.back_to(mark);
    }
    required
}

/// Its functions take the place where something begins and return the place behind it.
struct Parser<'p, 'l> {
    text: &'l [u8],
    record: &'p mut Record<'l>,
    rules: &'p Rules<'p>,
    required: u32,
    seen: [u64; SEEN_BITS / 64],
}

impl Parser<'_, '_> {
    fn document(&mut self, from: usize) -> Option<u32> {
        let text = self.text;
        let mark = if text.get(from..)?.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let at = white(text, from + mark);
        if *text.get(at)? != b'{' {
            return None;
        }
        let end = white(text, self.members(at + 1, None, 1)?);
        (end == text.len()).then_some(self.required)
    }

    /// The members of an object, behind its opening brace, to behind its closing one.
    fn members(&mut self, mut at: usize, prefix: Option<Slice>, depth: usize) -> Option<usize> {
        let text = self.text;
        at = white(text, at);
        if *text.get(at)? == b'}' {
            return Some(at + 1);
        }
        loop {
            let (key, end) = self.string(white(text, at))?;
            at = white(text, end);
            if *text.get(at)? != b':' {
                return None;
            }
            let key = match prefix {
                Some(prefix) => self.record.join(prefix, key),
                None => key,
            };
            at = white(text, self.member(white(text, at + 1), key, depth)?);
            match *text.get(at)? {
                b',' => at += 1,
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    #[inline]
    fn member(&mut self, at: usize, key: Slice, depth: usize) -> Option<usize> {
        if key.len() > NAME_BYTES_MAX {
            self.record.set_cut();
            return self.skip(at);
        }
        let first = *self.text.get(at)?;
        if first == b'{' {
            if depth < DEPTH_MAX {
                return self.members(at + 1, Some(key), depth + 1);
            }
            self.record.set_cut();
        }
        if first == b'"' {
            return self.text_member(at, key);
        }
        let name = self.name(key);
        if first == b'[' {
            return self.elements(at + 1, name);
        }
        let (value, end) = self.other_value(at)?;
        if let Some(name) = name {
            self.keep(name, value, at, end);
        }
        Some(end)
    }

    /// A member whose value is text, as most are. Written so that names and values go straight into the part: moving
    /// them about as optional enums costs more than the rest.
    #[inline]
    fn text_member(&mut self, at: usize, key: Slice) -> Option<usize> {
        let names = self.rules.names;
        let found = names.look_up(self.record.text(key));
        match found.known {
            Some(id) if id != names::TIMESTAMP => {
                self.required |= found.required;
                let (text, end) = self.string(at)?;
                if self.first_time(usize::from(id), Name::Known(id)) {
                    self.record.push(Name::Known(id), Scalar::Text(text));
                }
                Some(end)
            }
            None if !names.renames_subtrees() => {
                self.required |= found.required;
                let (text, end) = self.string(at)?;
                if self.first_time(found.hash as usize, Name::Text(key)) {
                    self.record.push(Name::Text(key), Scalar::Text(text));
                }
                Some(end)
            }
            _ => {
                let name = self.name(key);
                let (text, end) = self.string(at)?;
                if let Some(name) = name {
                    self.keep(name, Scalar::Text(text), at, end);
                }
                Some(end)
            }
        }
    }

    /// What to call a key; `None` for one that was there already.
    fn name(&mut self, key: Slice) -> Option<Name> {
        let Resolved { name, required, hash } = self.rules.names.resolve(self.record, key);
        self.required |= required;
        let number = match name {
            Name::Known(id) => usize::from(id),
            Name::Text(_) => hash as usize,
        };
        self.first_time(number, name).then_some(name)
    }

    /// Whether a name was not there yet. `number` is the same for the same name.
    #[inline]
    fn first_time(&mut self, number: usize, name: Name) -> bool {
        let bit = number % SEEN_BITS;
        let (word, mask) = (&mut self.seen[bit / 64], 1 << (bit % 64));
        let maybe = *word & mask != 0;
        *word |= mask;
        !maybe || !self.record.has(name)
    }

    fn keep(&mut self, name: Name, value: Scalar, at: usize, end: usize) {
        let value = match name {
            Name::Known(names::TIMESTAMP) => self.timestamp(value, at, end),
            _ => value,
        };
        self.record.push(name, value);
    }

    /// Numbers are read again as they were written: a double would lose the nanoseconds.
    fn timestamp(&self, value: Scalar, at: usize, end: usize) -> Scalar {
        let written = match value {
            Scalar::Text(slice) => self.record.text(slice),
            Scalar::Long(_) | Scalar::Double(_) => &self.text[at..end],
            _ => return value,
        };
        let whole = |format: &TimeFormat| {
            let (time, used) = format.parse(written, self.rules.clock)?;
            (used == written.len()).then_some(Scalar::Time(time))
        };
        self.rules.time.iter().find_map(whole).unwrap_or(value)
    }

    /// The elements of an array, behind its opening bracket, to behind its closing one.
    fn elements(&mut self, mut at: usize, name: Option<Name>) -> Option<usize> {
        let text = self.text;
        at = white(text, at);
        if *text.get(at)? == b']' {
            return Some(at + 1);
        }
        loop {
            at = white(text, at);
            let (value, end) = self.value(at)?;
            if let Some(name) = name {
                self.keep(name, value, at, end);
            }
            at = white(text, end);
            match *text.get(at)? {
                b',' => at += 1,
                b']' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Any value as one scalar: objects and arrays as their JSON text.
    #[inline]
    fn value(&mut self, at: usize) -> Option<(Scalar, usize)> {
        if *self.text.get(at)? == b'"' {
            let (text, end) = self.string(at)?;
            return Some((Scalar::Text(text), end));
        }
        self.other_value(at)
    }

    fn other_value(&mut self, at: usize) -> Option<(Scalar, usize)> {
        let text = self.text;
        let word =
            |word: &[u8], value| text[at..].starts_with(word).then_some((value, at + word.len()));
        match *text.get(at)? {
            b'{' | b'[' => {
                let end = self.skip(at)?;
                Some((Scalar::Text(Slice::line(at, end)), end))
            }
            b't' => word(b"true", Scalar::Boolean(true)),
            b'f' => word(b"false", Scalar::Boolean(false)),
            b'n' => word(b"null", Scalar::Null),
            _ => number(text, at),
        }
    }

    #[inline]
    fn string(&mut self, at: usize) -> Option<(Slice, usize)> {
        let text = self.text;
        if *text.get(at)? != b'"' {
            return None;
        }
        let start = at + 1;
        let end = start + quote_or_backslash(text.get(start..)?)?;
        if *text.get(end)? == b'"' {
            return Some((Slice::line(start, end), end + 1));
        }
        self.unescaped(start, end)
    }

    /// A string with escapes, of which `start..at` has none: copied into the arena.
    fn unescaped(&mut self, start: usize, mut at: usize) -> Option<(Slice, usize)> {
        let text = self.text;
        let arena = self.record.arena();
        let mark = arena.len();
        arena.extend_from_slice(&text[start..at]);
        loop {
            // Here is a quote or a backslash.
            if text[at] == b'"' {
                return Some((self.record.stored(mark), at + 1));
            }
            at = escape(text, at + 1, arena)?;
            let end = at + quote_or_backslash(text.get(at..)?)?;
            arena.extend_from_slice(&text[at..end]);
            at = end;
        }
    }

    /// Goes over any value without taking it apart.
    fn skip(&mut self, mut at: usize) -> Option<usize> {
        let text = self.text;
        if !matches!(text.get(at)?, b'{' | b'[') {
            return self.value(at).map(|(_, end)| end);
        }
        let (mut braces, mut depth) = (0_u128, 0);
        loop {
            let byte = *text.get(at)?;
            at += 1;
            match byte {
                b'{' | b'[' if depth == SKIP_DEPTH_MAX => return None,
                b'{' | b'[' => {
                    braces = braces << 1 | u128::from(byte == b'{');
                    depth += 1;
                }
                b'}' | b']' => {
                    if (braces & 1 == 1) != (byte == b'}') {
                        return None;
                    }
                    braces >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                b'"' => at = string_end(text, at)?,
                b',' | b':' | b'+' | b'-' | b'.' | b' ' | b'\t' | b'\n' | b'\r' => {}
                _ if byte.is_ascii_alphanumeric() => {}
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
