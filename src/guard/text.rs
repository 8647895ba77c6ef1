//! Any bytes → valid UTF-8 without a character that could break, forge or disguise a line.
//!
//! Escaping is reversible: an unsafe character becomes `\u{…}` (lower-case hexadecimal, at least two digits), a
//! byte that is no UTF-8 becomes `\x{…}` (two digits), and a backslash that the text itself has directly before
//! `u{` or `x{` becomes `\u{5c}`. All other backslashes stay, so `C:\Users` reads as before, and still every
//! `\u{…}` and `\x{…}` in clean text was written here: [`unescape`] gets back the very bytes of the log.
//!
//! Unsafe are: C0 and C1 controls and DEL (line ends, tabulators, terminal sequences), line and paragraph
//! separators, bidirectional controls, invisible format characters that can hide or split a word, tag characters and
//! noncharacters. Zero-width joiners and variation selectors stay: names in Persian, Hindi, Japanese and emoji
//! need them.
//!
//! Pure and linear in the length of its input.

use std::ops::Range;

/// What is done with unsafe characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Write them as reversible escapes.
    #[default]
    Escape,
    /// Put one space in place of each run of them. (A space and not nothing: deletion would let an attacker
    /// assemble a word from two halves.)
    Strip,
    /// Leave the field out and tag the event.
    Reject,
}

/// One place where clean text differs from its source.
#[derive(Clone, Copy, Debug)]
struct Edit {
    raw_start: u32,
    raw_len: u32,
    clean_start: u32,
    clean_len: u32,
}

/// Where each byte of a source is in its clean text.
#[derive(Debug, Default)]
pub(crate) struct Moves(Vec<Edit>);

impl Moves {
    /// The place in the clean text of a place in the source; `None` inside an escaped character.
    pub(crate) fn place(&self, raw: u32) -> Option<u32> {
        let after = self.0.partition_point(|edit| edit.raw_start < raw);
        let Some(edit) = after.checked_sub(1).and_then(|last| self.0.get(last)) else {
            return Some(raw);
        };
        let past = raw.checked_sub(edit.raw_start + edit.raw_len)?;
        Some(edit.clean_start + edit.clean_len + past)
    }
}

/// What stands at a place that needs care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    /// An unsafe character.
    Unsafe(char),
    /// A byte that is no UTF-8.
    Byte(u8),
    /// A backslash that would begin an escape.
    Backslash,
}

impl Unit {
    fn len(self) -> usize {
        match self {
            Self::Unsafe(c) => c.len_utf8(),
            Self::Byte(_) | Self::Backslash => 1,
        }
    }
}

/// Whether the text needs nothing: no unsafe character, no byte outside UTF-8. Does not look for backslashes, so
/// that it holds for what this module wrote.
pub(crate) fn is_clean(bytes: &[u8]) -> bool {
    units(bytes).all(|(_, unit)| unit == Unit::Backslash)
}

/// Whether the text can be taken as it is, without any escape.
pub(crate) fn needs_nothing(bytes: &[u8]) -> bool {
    units(bytes).next().is_none()
}

/// Whether some character of it is unsafe (what [`Mode::Reject`] rejects).
pub(crate) fn has_unsafe(bytes: &[u8]) -> bool {
    units(bytes).any(|(_, unit)| unit != Unit::Backslash)
}

/// Writes the clean form of `raw` behind what `out` has.
pub(crate) fn clean_into(raw: &[u8], mode: Mode, out: &mut String) -> Moves {
    let mut moves = Moves::default();
    let mut copied = 0;
    let mut last_unsafe_end = None;
    for (start, unit) in units(raw) {
        // What lies between two units is valid, because an invalid byte is a unit of its own.
        out.push_str(std::str::from_utf8(&raw[copied..start]).unwrap_or_default());
        copied = start + unit.len();
        let clean_start = out.len();
        match unit {
            Unit::Backslash => out.push_str("\\u{5c}"),
            _ if mode == Mode::Strip => {
                if last_unsafe_end != Some(start) {
                    out.push(' ');
                }
                last_unsafe_end = Some(copied);
            }
            Unit::Unsafe(c) => push_hex(out, 'u', u32::from(c)),
            Unit::Byte(b) => push_hex(out, 'x', u32::from(b)),
        }
        moves.0.push(Edit {
            raw_start: small(start),
            raw_len: small(unit.len()),
            clean_start: small(clean_start),
            clean_len: small(out.len() - clean_start),
        });
    }
    out.push_str(std::str::from_utf8(&raw[copied..]).unwrap_or_default());
    moves
}

/// The bytes that clean text stands for: the inverse of escaping.
#[must_use]
pub fn unescape(clean: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(clean.len());
    let mut rest = clean;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        match escape_at(rest) {
            Some((decoded, len)) => {
                match decoded {
                    Decoded::Char(c) => {
                        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    Decoded::Byte(b) => out.push(b),
                }
                rest = &rest[len..];
            }
            None => {
                out.push(b'\\');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// The last place at or before `limit` where text may be cut: not inside a character, not inside an escape.
pub(crate) fn cut(text: &str, limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    let end = text.floor_char_boundary(limit);
    // An escape is at most 10 bytes long (`\u{10ffff}`), so one that is cut begins within the last 9.
    let window = text.floor_char_boundary(end.saturating_sub(9));
    match text[window..end].rfind('\\').map(|at| window + at) {
        Some(at) if escape_at(&text[at..]).is_some_and(|(_, len)| at + len > end) => at,
        _ => end,
    }
}

enum Decoded {
    Char(char),
    Byte(u8),
}

/// The escape that `text` begins with, and its length.
fn escape_at(text: &str) -> Option<(Decoded, usize)> {
    let (digits_max, is_byte) = match text.as_bytes().get(..3)? {
        b"\\u{" => (6, false),
        b"\\x{" => (2, true),
        _ => return None,
    };
    let digits = text[3..].bytes().take(digits_max).take_while(u8::is_ascii_hexdigit).count();
    let end = 3 + digits;
    if digits < 2 || text.as_bytes().get(end) != Some(&b'}') {
        return None;
    }
    let value = u32::from_str_radix(&text[3..end], 16).ok()?;
    let decoded = if is_byte {
        Decoded::Byte(u8::try_from(value).ok()?)
    } else {
        Decoded::Char(char::from_u32(value)?)
    };
    Some((decoded, end + 1))
}

fn push_hex(out: &mut String, kind: char, value: u32) {
    out.push('\\');
    out.push(kind);
    out.push('{');
    let digits = (32 - value.leading_zeros()).div_ceil(4).max(2);
    for digit in (0..digits).rev() {
        out.push(char::from_digit((value >> (4 * digit)) & 0xf, 16).unwrap_or('0'));
    }
    out.push('}');
}

/// Places fit into `u32`, as spans do: a record is at most a few MiB.
fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// All units that need care, in order, with their places.
fn units(bytes: &[u8]) -> impl Iterator<Item = (usize, Unit)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, unit) = next_unit(bytes, at)?;
        at = start + unit.len();
        Some((start, unit))
    })
}

fn next_unit(bytes: &[u8], mut at: usize) -> Option<(usize, Unit)> {
    loop {
        at = next_special(bytes, at)?;
        match bytes[at] {
            b'\\' => {
                if matches!(bytes.get(at + 1..at + 3), Some(b"u{" | b"x{")) {
                    return Some((at, Unit::Backslash));
                }
                at += 1;
            }
            byte if byte < 0x80 => return Some((at, Unit::Unsafe(char::from(byte)))),
            byte => match char_at(bytes, at) {
                None => return Some((at, Unit::Byte(byte))),
                Some(c) if is_unsafe(c) => return Some((at, Unit::Unsafe(c))),
                Some(c) => at += c.len_utf8(),
            },
        }
    }
}

/// The next byte that is not plain printable ASCII. Looks at a block at a time, which the compiler turns into vector
/// instructions: clean ASCII costs a twentieth of a nanosecond per byte.
fn next_special(bytes: &[u8], at: usize) -> Option<usize> {
    const BLOCK: usize = 32;
    let special = |byte: u8| byte.wrapping_sub(0x20) >= 0x5f || byte == b'\\';
    let Range { mut start, end } = at..bytes.len();
    while let Some(block) = bytes.get(start..start + BLOCK) {
        if block.iter().fold(false, |found, &byte| found | special(byte)) {
            break;
        }
        start += BLOCK;
    }
    (start < end)
        .then(|| bytes[start..].iter().position(|&byte| special(byte)).map(|n| start + n))?
}

/// The character that begins at `at`, if the bytes there are UTF-8.
fn char_at(bytes: &[u8], at: usize) -> Option<char> {
    let len = match bytes[at] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    std::str::from_utf8(bytes.get(at..at + len)?).ok()?.chars().next()
}

/// Characters that never stay in clean text.
fn is_unsafe(c: char) -> bool {
    match c {
        // Controls: C0, DEL, C1 (with U+0085, next line).
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator, zero-width space: invisible.
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'
        // Direction marks; line and paragraph separator; embeddings and overrides.
        | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, deprecated format characters; byte order mark.
        | '\u{2060}'..='\u{206f}' | '\u{feff}'
        // Interlinear annotation; shorthand and musical format controls; tags.
        | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}'
        // Noncharacters.
        | '\u{fdd0}'..='\u{fdef}' => true,
        _ => u32::from(c) & 0xfffe == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escape(raw: impl AsRef<[u8]>) -> String {
        let mut out = String::new();
        clean_into(raw.as_ref(), Mode::Escape, &mut out);
        out
    }

    #[test]
    fn unsafe_characters_are_escaped_and_nothing_else() {
        for (raw, clean) in [
            ("a\r\nb", r"a\u{0d}\u{0a}b"),
            ("\u{1b}[31mred\u{7f}\0\t", r"\u{1b}[31mred\u{7f}\u{00}\u{09}"),
            ("\u{85}\u{9b}", r"\u{85}\u{9b}"),
            ("a\u{2028}\u{2029}b", r"a\u{2028}\u{2029}b"),
            ("\u{202e}gnp\u{2066}\u{200f}\u{61c}", r"\u{202e}gnp\u{2066}\u{200f}\u{61c}"),
            ("ro\u{200b}ot\u{feff}\u{2060}", r"ro\u{200b}ot\u{feff}\u{2060}"),
            ("\u{e0041}\u{fdd0}\u{10ffff}", r"\u{e0041}\u{fdd0}\u{10ffff}"),
            (r"C:\Users\x\u", r"C:\Users\x\u"),
            (r"\u{0a}\x{ff}\\u{", r"\u{5c}u{0a}\u{5c}x{ff}\\u{5c}u{"),
            ("میخواهم 👩\u{200d}🚀 naïve", "میخواهم 👩\u{200d}🚀 naïve"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("葛\u{e0100}飾", "葛\u{e0100}飾"),
        ] {
            assert_eq!(escape(raw), clean);
            assert!(is_clean(clean.as_bytes()));
        }
        assert_eq!(escape(b"\xff\xc3(\xe2\x80"), r"\x{ff}\x{c3}(\x{e2}\x{80}");
        assert_eq!(escape(b"\xed\xa0\x80\xc0\x80"), r"\x{ed}\x{a0}\x{80}\x{c0}\x{80}");
    }

    #[test]
    fn a_strip_leaves_one_space_for_a_run() {
        let mut out = String::new();
        clean_into("a\r\nb\u{200b}c\\u{0a}".as_bytes(), Mode::Strip, &mut out);
        assert_eq!(out, r"a b c\u{5c}u{0a}");
    }

    #[test]
    fn a_cut_spares_characters_and_escapes() {
        assert_eq!(cut("abc", 3), 3);
        assert_eq!(cut("aé", 2), 1);
        for limit in 2..8 {
            assert_eq!(cut(r"ab\u{0a}cd", limit), 2);
        }
        assert_eq!(cut(r"ab\u{0a}cd", 8), 8);
        assert_eq!(cut(r"ab\u{10ffff}", 11), 2);
        assert_eq!(cut(r"ab\users", 5), 5);
    }

    #[test]
    fn places_move_with_the_text() {
        let mut out = String::new();
        let moves = clean_into("a\nbé\u{85}c".as_bytes(), Mode::Escape, &mut out);
        assert_eq!(out, r"a\u{0a}bé\u{85}c");
        let places = (0..=8).map(|raw| moves.place(raw)).collect::<Vec<_>>();
        assert_eq!(
            places,
            [Some(0), Some(1), Some(7), Some(8), Some(9), Some(10), None, Some(16), Some(17)]
        );
    }

    fn tricky() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<u8>().prop_map(|b| vec![b]),
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            prop::sample::select(vec![
                "\\", "\\u{", "\\x{", "0a}", "5c}", "u{", "{", "\u{2028}", "\n"
            ])
            .prop_map(|s| s.as_bytes().to_vec()),
            "[ -~]{0,40}".prop_map(String::into_bytes),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn escaping_is_reversible(raw in tricky()) {
            let clean = escape(&raw);
            prop_assert!(is_clean(clean.as_bytes()));
            prop_assert!(clean.chars().all(|c| !is_unsafe(c)));
            prop_assert_eq!(unescape(&clean), raw);
        }

        #[test]
        fn clean_text_stays_when_nothing_is_needed(raw in tricky()) {
            prop_assert_eq!(needs_nothing(&raw), escape(&raw).as_bytes() == raw);
            prop_assert_eq!(has_unsafe(&raw), !is_clean(&raw));
        }

        #[test]
        fn every_mode_makes_clean_text(raw in tricky()) {
            for mode in [Mode::Escape, Mode::Strip, Mode::Reject] {
                let mut out = String::new();
                clean_into(&raw, mode, &mut out);
                prop_assert!(is_clean(out.as_bytes()));
            }
        }

        #[test]
        fn a_cut_text_still_unescapes(raw in tricky(), limit in 0_usize..200) {
            let clean = escape(&raw);
            let end = cut(&clean, limit);
            prop_assert!(end <= limit);
            prop_assert!(raw.starts_with(&unescape(&clean[..end])));
        }

        #[test]
        fn places_agree_with_escaping_alone(raw in tricky(), at in 0_usize..400) {
            let mut clean = String::new();
            let moves = clean_into(&raw, Mode::Escape, &mut clean);
            let at = at.min(raw.len());
            if let Some(place) = moves.place(u32::try_from(at).unwrap())
                && clean.is_char_boundary(place as usize)
            {
                prop_assert_eq!(unescape(&clean[..place as usize]), &raw[..at]);
            }
        }
    }
}
