//! JSON lines, in one pass: each scalar becomes a part, named by its dotted path. No tree is built; text without
//! escapes stays where it is.
//!
//! Total: any bytes give an answer. Strict where a line would otherwise be mistaken for JSON (structure, numbers,
//! trailing bytes), lenient where programs are (control characters and invalid UTF-8 in strings are carried through).
//! The first of several equal keys wins. Objects deeper than [`DEPTH_MAX`], and objects and arrays inside arrays, stay
//! JSON text.

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
        let name = self.name(key);
        if first == b'[' {
            return self.elements(at + 1, name);
        }
        let (value, end) = self.value(at)?;
        if let Some(name) = name {
            self.keep(name, value, at, end);
        }
        Some(end)
    }

    /// What to call a key; `None` for one that was there already.
    #[inline]
    fn name(&mut self, key: Slice) -> Option<Name> {
        let Resolved { name, required, hash } = self.rules.names.resolve(self.record, key);
        self.required |= required;
        let bit = match name {
            Name::Known(id) => usize::from(id) % SEEN_BITS,
            Name::Text(_) => hash as usize % SEEN_BITS,
        };
        let (word, mask) = (&mut self.seen[bit / 64], 1 << (bit % 64));
        let maybe = *word & mask != 0;
        *word |= mask;
        (!maybe || !self.record.has(name)).then_some(name)
    }

    #[inline]
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

/// Behind the closing quote of a string.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let end = at + quote_or_backslash(text.get(at..)?)?;
        if text[end] == b'"' {
            return Some(end + 1);
        }
        at = end + 2;
    }
}

#[inline]
fn white(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Appends what an escape stands for; `at` is behind its backslash.
fn escape(text: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let byte = match *text.get(at)? {
        byte @ (b'"' | b'\\' | b'/') => byte,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (character, end) = unicode(text, at + 1)?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(end);
        }
        _ => return None,
    };
    out.push(byte);
    Some(at + 1)
}

/// The character behind `\u`; a surrogate without its other half is U+FFFD.
fn unicode(text: &[u8], at: usize) -> Option<(char, usize)> {
    let first = hex4(text, at)?;
    let end = at + 4;
    if (0xd800..0xdc00).contains(&first)
        && text[end..].starts_with(b"\\u")
        && let Some(second @ 0xdc00..0xe000) = hex4(text, end + 2)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return char::from_u32(code).map(|character| (character, end + 6));
    }
    Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), end))
}

fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

/// A number of JSON's grammar. What an i64 or a finite f64 cannot hold is text.
fn number(text: &[u8], start: usize) -> Option<(Scalar, usize)> {
    let negative = text.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let (whole, mut at) = digits(text, first)?;
    if at - first > 1 && text[first] == b'0' {
        return None;
    }
    let mut float = false;
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?.1;
        float = true;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = matches!(text.get(at + 1), Some(b'+' | b'-'));
        at = digits(text, at + 1 + usize::from(sign))?.1;
        float = true;
    }
    let as_text = Scalar::Text(Slice::line(start, at));
    if !float {
        let value = if negative { whole.and_then(i64::checked_neg) } else { whole };
        return Some((value.map_or(as_text, Scalar::Long), at));
    }
    let written = std::str::from_utf8(&text[start..at]).ok()?;
    let value = written.parse().ok().filter(|value: &f64| value.is_finite());
    Some((value.map_or(as_text, Scalar::Double), at))
}

/// One or more digits: their value, if an i64 holds it.
fn digits(text: &[u8], start: usize) -> Option<(Option<i64>, usize)> {
    let mut value = Some(0_i64);
    let mut at = start;
    while let Some(digit @ b'0'..=b'9') = text.get(at) {
        value = value
            .and_then(|value| value.checked_mul(10))
            .and_then(|value| value.checked_add(i64::from(digit - b'0')));
        at += 1;
    }
    (at > start).then_some((value, at))
}

/// Where the first quote or backslash is. Most strings are short: eight bytes at a time beat a call of memchr there.
#[inline]
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const NEAR: usize = 64;
    // The lowest bit that is set marks the first byte that is zero; higher ones may be wrong.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let mut at = 0;
    while let Some((chunk, _)) = text.get(at..).and_then(|rest| rest.split_first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let found = zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        if at == NEAR {
            return memchr::memchr2(b'"', b'\\', &text[at..]).map(|found| at + found);
        }
    }
    text[at..].iter().position(|b| matches!(b, b'"' | b'\\')).map(|found| at + found)
}

#[cfg(test)]
mod tests;
