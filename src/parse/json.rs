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
    let mut parser =
        Parser { text, at: from, record, rules, required: 0, seen: [0; SEEN_BITS / 64] };
    let required = parser.document();
    if required.is_none() {
        record.back_to(mark);
    }
    required
}

struct Parser<'p, 'l> {
    text: &'l [u8],
    at: usize,
    record: &'p mut Record<'l>,
    rules: &'p Rules<'p>,
    required: u32,
    seen: [u64; SEEN_BITS / 64],
}

impl Parser<'_, '_> {
    fn document(&mut self) -> Option<u32> {
        if self.text.get(self.at..)?.starts_with(b"\xef\xbb\xbf") {
            self.at += 3;
        }
        self.white();
        self.expect(b'{')?;
        self.members(None, 1)?;
        self.white();
        (self.at == self.text.len()).then_some(self.required)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &[u8], value: Scalar) -> Option<Scalar> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    /// The members of an object, behind its opening brace, to behind its closing one.
    fn members(&mut self, prefix: Option<Slice>, depth: usize) -> Option<()> {
        self.white();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.white();
            let key = self.string()?;
            self.white();
            self.expect(b':')?;
            self.white();
            let key = match prefix {
                Some(prefix) => self.record.join(prefix, key),
                None => key,
            };
            self.member(key, depth)?;
            self.white();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn member(&mut self, key: Slice, depth: usize) -> Option<()> {
        if key.len() > NAME_BYTES_MAX {
            self.record.set_cut();
            return self.skip().map(drop);
        }
        match self.peek()? {
            b'{' if depth < DEPTH_MAX => {
                self.at += 1;
                self.members(Some(key), depth + 1)
            }
            b'[' => {
                let name = self.name(key);
                self.elements(name)
            }
            _ => {
                let name = self.name(key);
                let start = self.at;
                if self.peek()? == b'{' {
                    self.record.set_cut();
                }
                let value = self.value()?;
                self.keep(name, value, start);
                Some(())
            }
        }
    }

    /// What to call a key; `None` for one that was there already.
    fn name(&mut self, key: Slice) -> Option<Name> {
        let Resolved { name, required, hash } = self.rules.names.resolve(self.record, key);
        self.required |= required;
        let bit = match name {
            Name::Known(id) => usize::from(id) % SEEN_BITS,
            Name::Text(_) => usize::try_from(hash >> 48).unwrap_or(0) % SEEN_BITS,
        };
        let (word, mask) = (&mut self.seen[bit / 64], 1 << (bit % 64));
        let maybe = *word & mask != 0;
        *word |= mask;
        (!maybe || !self.record.has(name)).then_some(name)
    }

    fn keep(&mut self, name: Option<Name>, value: Scalar, start: usize) {
        let Some(name) = name else { return };
        let value = match name {
            Name::Known(names::TIMESTAMP) => self.timestamp(value, start),
            _ => value,
        };
        self.record.push(name, value);
    }

    /// Numbers are read again as they were written: a double would lose the nanoseconds.
    fn timestamp(&self, value: Scalar, start: usize) -> Scalar {
        let written = match value {
            Scalar::Text(slice) => self.record.text(slice),
            Scalar::Long(_) | Scalar::Double(_) => &self.text[start..self.at],
            _ => return value,
        };
        let whole = |format: &TimeFormat| {
            let (time, used) = format.parse(written, self.rules.clock)?;
            (used == written.len()).then_some(Scalar::Time(time))
        };
        self.rules.time.iter().find_map(whole).unwrap_or(value)
    }

    fn elements(&mut self, name: Option<Name>) -> Option<()> {
        self.at += 1;
        self.white();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.white();
            let start = self.at;
            let value = self.value()?;
            self.keep(name, value, start);
            self.white();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Any value as one scalar: objects and arrays as their JSON text.
    fn value(&mut self) -> Option<Scalar> {
        match self.peek()? {
            b'"' => self.string().map(Scalar::Text),
            b'{' | b'[' => self.skip().map(Scalar::Text),
            b't' => self.word(b"true", Scalar::Boolean(true)),
            b'f' => self.word(b"false", Scalar::Boolean(false)),
            b'n' => self.word(b"null", Scalar::Null),
            _ => self.number(),
        }
    }

    fn string(&mut self) -> Option<Slice> {
        self.expect(b'"')?;
        let start = self.at;
        let end = self.string_end()?;
        if self.text[end] == b'"' {
            self.at = end + 1;
            return Some(Slice::line(start, end));
        }
        self.unescaped(start, end)
    }

    /// The next quote or backslash.
    #[inline]
    fn string_end(&self) -> Option<usize> {
        Some(self.at + quote_or_backslash(self.text.get(self.at..)?)?)
    }

    /// A string with escapes, of which `start..first` has none: copied into the arena.
    fn unescaped(&mut self, start: usize, first: usize) -> Option<Slice> {
        let text = self.text;
        let mark = self.record.arena().len();
        self.record.arena().extend_from_slice(&text[start..first]);
        self.at = first;
        loop {
            let begin = self.at;
            let end = self.string_end()?;
            self.record.arena().extend_from_slice(&text[begin..end]);
            self.at = end + 1;
            if text[end] == b'"' {
                return Some(self.record.stored(mark));
            }
            let escape = self.peek()?;
            self.at += 1;
            let byte = match escape {
                b'"' | b'\\' | b'/' => escape,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let character = self.unicode()?;
                    let mut bytes = [0; 4];
                    let encoded = character.encode_utf8(&mut bytes).as_bytes();
                    self.record.arena().extend_from_slice(encoded);
                    continue;
                }
                _ => return None,
            };
            self.record.arena().push(byte);
        }
    }

    /// The character behind `\u`; a surrogate without its other half is U+FFFD.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex4(self.at)?;
        self.at += 4;
        if (0xd800..0xdc00).contains(&first)
            && self.text[self.at..].starts_with(b"\\u")
            && let Some(second @ 0xdc00..0xe000) = self.hex4(self.at + 2)
        {
            self.at += 6;
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return char::from_u32(code);
        }
        Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
    }

    /// A number of JSON's grammar. What an i64 or a finite f64 cannot hold is text.
    fn number(&mut self) -> Option<Scalar> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let (whole, digits) = self.digits()?;
        if digits > 1 && self.text[first] == b'0' {
            return None;
        }
        let mut float = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
            float = true;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
            float = true;
        }
        let text = Scalar::Text(Slice::line(start, self.at));
        if !float {
            let value = if negative { whole.and_then(i64::checked_neg) } else { whole };
            return Some(value.map_or(text, Scalar::Long));
        }
        let written = std::str::from_utf8(&self.text[start..self.at]).ok()?;
        let value = written.parse().ok().filter(|value: &f64| value.is_finite());
        Some(value.map_or(text, Scalar::Double))
    }

    /// One or more digits: their value, if an i64 holds it, and how many.
    fn digits(&mut self) -> Option<(Option<i64>, usize)> {
        let start = self.at;
        let mut value = Some(0_i64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value
                .and_then(|value| value.checked_mul(10))
                .and_then(|value| value.checked_add(i64::from(digit - b'0')));
            self.at += 1;
        }
        (self.at > start).then_some((value, self.at - start))
    }

    /// Goes over any value without taking it apart: its text.
    fn skip(&mut self) -> Option<Slice> {
        let start = self.at;
        if !matches!(self.peek()?, b'{' | b'[') {
            self.value()?;
            return Some(Slice::line(start, self.at));
        }
        let (mut braces, mut depth) = (0_u128, 0);
        loop {
            let byte = self.peek()?;
            self.at += 1;
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
                        return Some(Slice::line(start, self.at));
                    }
                }
                b'"' => self.skip_string()?,
                b',' | b':' | b'+' | b'-' | b'.' | b' ' | b'\t' | b'\n' | b'\r' => {}
                _ if byte.is_ascii_alphanumeric() => {}
                _ => return None,
            }
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        loop {
            let end = self.string_end()?;
            self.at = end + 1;
            if self.text[end] == b'"' {
                return Some(());
            }
            self.at += 1;
        }
    }
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
