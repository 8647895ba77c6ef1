//! Just enough syntax to find where a value begins and ends in text that programs print: markup, quoted strings,
//! Erlang terms, bare words. Shared by `secrets`, `bodies` and `words`.
//!
//! Works on clean text, where a line end is the escape `\u{0a}`. Every function looks forward only and stops at the
//! end of what it reads, so that callers who go on from there are linear.

use std::ops::Range;

/// White space that escaping made of characters: tabulator and line ends.
const ESCAPED_SPACE: &[&[u8]] = &[br"\u{0a}", br"\u{0d}", br"\u{09}"];

/// Escapes of `<` and `>`: as they are, in XML, and in JSON of some encoders.
const OPEN_ANGLES: &[&[u8]] = &[b"<", b"&lt;", br"\u003c", br"\u003C"];
const CLOSE_ANGLES: &[&[u8]] = &[b">", b"&gt;", br"\u003e", br"\u003E"];

/// Quotes as XML writes them.
const QUOTE_ENTITIES: &[&[u8]] = &[b"&quot;", b"&apos;", b"&#34;", b"&#39;"];

/// The length of the white space that `text` has at `at`: one character or one escape; 0 if none.
pub(crate) fn space_at(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(b' ') => 1,
        Some(b'\\') => prefix_len(text, at, ESCAPED_SPACE),
        _ => 0,
    }
}

pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    loop {
        match space_at(text, at) {
            0 => return at,
            len => at += len,
        }
    }
}

/// The length of whichever of `prefixes` stands at `at`; 0 if none.
pub(crate) fn prefix_len(text: &[u8], at: usize, prefixes: &[&[u8]]) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    prefixes.iter().find(|prefix| rest.starts_with(prefix)).map_or(0, |prefix| prefix.len())
}

/// The length of an opening angle bracket in any of its forms at `at`.
pub(crate) fn open_angle_at(text: &[u8], at: usize) -> usize {
    prefix_len(text, at, OPEN_ANGLES)
}

/// The length of an opening angle bracket that ends at `end`.
pub(crate) fn open_angle_before(text: &[u8], end: usize) -> usize {
    let before = text.get(..end).unwrap_or_default();
    OPEN_ANGLES.iter().find(|angle| before.ends_with(angle)).map_or(0, |angle| angle.len())
}

/// Whether a byte belongs to a key or to a tag's name.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'#')
}

/// What a tag does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TagKind {
    Open,
    Close,
    Empty,
}

/// A tag of XML.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Tag {
    pub(crate) kind: TagKind,
    /// One past its closing angle bracket.
    pub(crate) end: usize,
}

/// The tag whose opening angle bracket is at `at`, if it is complete. Attribute values may have `>` but nothing may
/// have `<`, where the search ends.
pub(crate) fn tag_at(text: &[u8], at: usize) -> Option<Tag> {
    let angle = open_angle_at(text, at);
    let closes = text.get(at + angle) == Some(&b'/');
    let name = at + angle + usize::from(closes);
    if angle == 0 || !text.get(name).is_some_and(u8::is_ascii_alphabetic) {
        return None;
    }
    let mut here = name + text[name..].iter().take_while(|b| is_word(**b) || **b == b':').count();
    // A name ends with white space, a slash or the bracket: `<romeo@example.net>` is no tag.
    let after_name = prefix_len(text, here, CLOSE_ANGLES) + space_at(text, here);
    if after_name == 0 && text.get(here) != Some(&b'/') {
        return None;
    }
    let mut quote = None;
    let mut last = b' ';
    loop {
        let byte = *text.get(here)?;
        match quote {
            None => {
                let close = prefix_len(text, here, CLOSE_ANGLES);
                if close > 0 {
                    let kind = match (closes, last) {
                        (true, _) => TagKind::Close,
                        (false, b'/') => TagKind::Empty,
                        (false, _) => TagKind::Open,
                    };
                    return Some(Tag { kind, end: here + close });
                }
                if open_angle_at(text, here) > 0 {
                    return None;
                }
                if matches!(byte, b'"' | b'\'') {
                    quote = Some(byte);
                }
            }
            Some(_) if byte == b'<' => return None,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
        }
        last = byte;
        here += 1;
    }
}

/// The character data that begins at `at`: up to the next angle bracket, or all of a CDATA section.
pub(crate) fn content_at(text: &[u8], at: usize) -> Range<usize> {
    const CDATA: &[u8] = b"<![CDATA[";
    let rest = text.get(at..).unwrap_or_default();
    if rest.starts_with(CDATA) {
        let start = at + CDATA.len();
        let end = memchr::memmem::find(&text[start..], b"]]>").map_or(text.len(), |n| start + n);
        return start..end;
    }
    let end = (at..text.len()).find(|&here| open_angle_at(text, here) > 0);
    at..end.unwrap_or(text.len())
}

/// The inside of a quoted string whose opening quote, or the backslashes before it, is at `at`. A string within a
/// string has backslashes before its quotes: with n of them before the opening one, the closing one has n as well (and
/// `2(n + 1)` more for each backslash that the string itself ends with). Without a closing quote: up to the end.
pub(crate) fn quoted_at(text: &[u8], at: usize) -> Option<Range<usize>> {
    let depth = text.get(at..)?.iter().take_while(|b| **b == b'\\').count();
    let quote = *text.get(at + depth)?;
    if !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let start = at + depth + 1;
    let mut from = start;
    while let Some(end) = memchr::memchr(quote, &text[from..]).map(|n| from + n) {
        let backslashes = text[start..end].iter().rev().take_while(|b| **b == b'\\').count();
        if backslashes.checked_sub(depth).is_some_and(|more| more % (2 * (depth + 1)) == 0) {
            return Some(start..end - depth);
        }
        from = end + 1;
    }
    Some(start..text.len())
}

/// The inside of an Erlang binary (`<<"…">>`, `<<1,2>>`) at `at`, with its quotes.
pub(crate) fn binary_at(text: &[u8], at: usize) -> Option<Range<usize>> {
    if !text.get(at..)?.starts_with(b"<<") {
        return None;
    }
    let start = at + 2;
    let mut here = start;
    while let Some(byte) = text.get(here) {
        match byte {
            b'"' => here = quoted_at(text, here)?.end + 1,
            b'>' if text.get(here + 1) == Some(&b'>') => return Some(start..here),
            _ => here += 1,
        }
    }
    Some(start..text.len())
}

/// The inside of brackets whose opening one is at `at`, quotes respected. Without a closing one: up to the end.
pub(crate) fn brackets_at(text: &[u8], at: usize) -> Option<Range<usize>> {
    matches!(text.get(at)?, b'[' | b'{' | b'(').then(|| at + 1..close_of(text, at + 1))
}

/// Where the bracket that is open at `at` is closed.
pub(crate) fn close_of(text: &[u8], at: usize) -> usize {
    let mut depth = 1_usize;
    let mut here = at;
    while let Some(byte) = text.get(here) {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            // The braces of an escape open and close like any other.
            b']' | b'}' | b')' => depth -= 1,
            b'"' => {
                here = quoted_at(text, here).map_or(text.len(), |inside| inside.end);
            }
            _ => {}
        }
        if depth == 0 {
            return here;
        }
        here += 1;
    }
    text.len()
}

/// The value that begins at `at`: a quoted string, a binary, something in brackets, or a bare word.
pub(crate) fn value_at(text: &[u8], at: usize, in_query: bool) -> Option<Range<usize>> {
    let first = *text.get(at)?;
    if let Some(inside) = quoted_at(text, at) {
        return Some(inside);
    }
    if text[at..].starts_with(b"<<") {
        return binary_at(text, at);
    }
    let entity = prefix_len(text, at, QUOTE_ENTITIES);
    if entity > 0 {
        let start = at + entity;
        let end = memchr::memmem::find(&text[start..], &text[at..start]);
        return Some(start..end.map_or(text.len(), |n| start + n));
    }
    if first == b'#' {
        let brace = at + 1 + text[at + 1..].iter().take_while(|b| is_word(**b)).count();
        if text.get(brace) == Some(&b'{') {
            return brackets_at(text, brace);
        }
    }
    brackets_at(text, at).or_else(|| Some(bare_at(text, at, in_query)))
}

/// A bare word: up to white space, a tag, a quote that closes something, or `&` in a URL's query. Closing brackets and
/// punctuation at its end are not part of it.
fn bare_at(text: &[u8], at: usize, in_query: bool) -> Range<usize> {
    let mut end = at;
    while let Some(&byte) = text.get(end) {
        let closes = |next: Option<&u8>| next.is_none_or(|b| !b.is_ascii_alphanumeric());
        if space_at(text, end) > 0
            || byte == b'<'
            || (matches!(byte, b'"' | b'\'') && closes(text.get(end + 1)))
            || (byte == b'&' && (in_query || prefix_len(text, end, QUOTE_ENTITIES) > 0))
            || (byte == b'\\' && matches!(text.get(end + 1), Some(b'"' | b'\'')))
        {
            break;
        }
        end += 1;
    }
    let trailing = |b: &&u8| matches!(**b, b',' | b';' | b')' | b']' | b'}' | b'>' | b'.');
    let trimmed = end - text[at..end].iter().rev().take_while(trailing).count();
    at..if trimmed > at { trimmed } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Option<(TagKind, &str)> {
        tag_at(text.as_bytes(), 0).map(|tag| (tag.kind, &text[tag.end..]))
    }

    #[test]
    fn tags_are_told_from_other_angle_brackets() {
        assert_eq!(tag("<iq id='1'>x"), Some((TagKind::Open, "x")));
        assert_eq!(tag("<a:b c='>' d=\"'>\"/>x"), Some((TagKind::Empty, "x")));
        assert_eq!(tag("</iq>x"), Some((TagKind::Close, "x")));
        assert_eq!(tag("<iq>x"), Some((TagKind::Open, "x")));
        assert_eq!(tag(r"<iq\u{0a}a='1'>x"), Some((TagKind::Open, "x")));
        assert_eq!(tag("&lt;iq a=&quot;1&quot;&gt;x"), Some((TagKind::Open, "x")));
        for none in
            ["<0.12.0>", "<romeo@example.net>", "<<\"x\">>", "<iq id='1'", "<iq <a>", "< a>"]
        {
            assert_eq!(tag(none), None, "{none}");
        }
    }

    #[test]
    fn quoted_strings_end_at_their_own_depth() {
        for (text, inside) in [
            (r#""abc" d"#, "abc"),
            (r#""a\"b" d"#, r#"a\"b"#),
            (r#""a\\" d"#, r"a\\"),
            (r#"\"abc\" d"#, "abc"),
            (r#"\"a\\\"b\" d"#, r#"a\\\"b"#),
            (r#"\"a\\\\\" d"#, r"a\\\\"),
            (r#"\\\"abc\\\" d"#, "abc"),
            ("'open", "open"),
        ] {
            assert_eq!(quoted_at(text.as_bytes(), 0).map(|r| &text[r]), Some(inside), "{text}");
        }
    }

    #[test]
    fn values_of_every_form_are_found() {
        for (text, inside) in [
            ("hunter2 (test)", "hunter2"),
            ("hunter2), x", "hunter2"),
            ("a,b}", "a,b"),
            (r#"<<"a>>\"b">>,x"#, r#""a>>\"b""#),
            ("[<<\"a\">>] x", "<<\"a\">>"),
            ("{scram,{\"}\"}} x", "scram,{\"}\"}"),
            ("#scram{key = 1} x", "key = 1"),
            ("&quot;a&quot; x", "a"),
            (r"ab\u{0a}c", "ab"),
            ("ab</x>", "ab"),
            ("a\"b\" c", "a\"b"),
        ] {
            let found = value_at(text.as_bytes(), 0, false).map(|r| &text[r]);
            assert_eq!(found, Some(inside), "{text}");
        }
        assert_eq!(value_at(b"a&b=c", 0, true), Some(0..1));
    }
}
