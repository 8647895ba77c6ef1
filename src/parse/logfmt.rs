//! Runs of `key=value`: logfmt (`a=1 b="x y"`), and the map contexts of logging frameworks (`a=1, b=2`, `{a=1, b=2}`).
//!
//! Values are what was written, often without any quoting, so they may hold spaces: a value ends where the next ` key=`
//! begins. A run in which some pairs are separated by commas and others are not is no run: it is text with a
//! map context behind it, and the template goes on looking for where that begins.

use std::ops::Range;

/// Longest key.
const KEY_BYTES_MAX: usize = 128;

/// A pair of a run, as ranges of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The key.
    pub key: Range<usize>,
    /// The value, without quotes.
    pub value: Range<usize>,
    /// The value was quoted and has backslash escapes.
    pub escaped: bool,
}

/// The pairs of a run, in order. What is no pair ends them; [`is_run`] says beforehand whether that is at the end.
pub fn pairs(run: &[u8]) -> impl Iterator<Item = Pair> {
    let (run, start) = unbraced(run);
    let mut at = start;
    std::iter::from_fn(move || {
        let (pair, separator) = next(run, at)?;
        at = separator.end();
        Some(pair)
    })
}

/// Whether a text is one run of pairs, from its beginning to its end. So is an empty one.
#[must_use]
pub fn is_run(text: &[u8]) -> bool {
    let (run, mut at) = unbraced(text);
    let (mut commas, mut spaces) = (false, false);
    while at < run.len() {
        let Some((_, separator)) = next(run, at) else { return false };
        match separator {
            Separator::Comma(_) => commas = true,
            Separator::Space(_) => spaces = true,
            Separator::End(_) => {}
        }
        if commas && spaces {
            return false;
        }
        at = separator.end();
    }
    true
}

/// The run up to a closing brace that belongs to an opening one, and where its pairs begin.
fn unbraced(text: &[u8]) -> (&[u8], usize) {
    match text {
        [b'{', .., b'}'] => (&text[..text.len() - 1], 1),
        _ => (text, 0),
    }
}

/// What stood behind a pair, and where the next one begins.
enum Separator {
    Comma(usize),
    Space(usize),
    End(usize),
}

impl Separator {
    fn end(&self) -> usize {
        match self {
            Self::Comma(end) | Self::Space(end) | Self::End(end) => *end,
        }
    }
}

fn next(run: &[u8], at: usize) -> Option<(Pair, Separator)> {
    let key = key(run, at)?;
    let mut start = key.end + 1;
    if run.get(start) == Some(&b'"') {
        let closed = closing(run, start + 1, true).map(|end| (end, true));
        if let Some((end, escapes)) =
            closed.or(closing(run, start + 1, false).map(|end| (end, false)))
        {
            let value = start + 1..end;
            let escaped = escapes && memchr::memchr(b'\\', &run[value.clone()]).is_some();
            let separator = separator(run, end + 1)?;
            return Some((Pair { key, value, escaped }, separator));
        }
        // Nobody closed it: the line was torn.
        start += 1;
    }
    let mut from = start;
    while let Some(space) = memchr::memchr2(b' ', b'\t', &run[from..]) {
        let space = from + space;
        if let Some(begin) = begins_pair(run, space) {
            let comma = space > start && run[space - 1] == b',';
            let value = start..space - usize::from(comma);
            let separator = if comma { Separator::Comma(begin) } else { Separator::Space(begin) };
            return Some((Pair { key, value, escaped: false }, separator));
        }
        from = space + 1;
    }
    Some((Pair { key, value: start..run.len(), escaped: false }, Separator::End(run.len())))
}

/// The key at a place, if an equals sign follows it.
fn key(run: &[u8], at: usize) -> Option<Range<usize>> {
    let text = run.get(at..)?;
    let first = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'@' | b'$');
    if !first(*text.first()?) {
        return None;
    }
    let more = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@' | b'/');
    let length = 1 + text[1..].iter().take(KEY_BYTES_MAX).take_while(|b| more(b)).count();
    (text.get(length) == Some(&b'=')).then_some(at..at + length)
}

/// Where a pair begins behind white space that stands at a place.
fn begins_pair(run: &[u8], at: usize) -> Option<usize> {
    let spaces = run[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    key(run, at + spaces).map(|key| key.start)
}

/// The closing quote of a value: one behind which a pair begins or the run ends, so that a writer that does not
/// escape quotes is understood too.
fn closing(run: &[u8], from: usize, escapes: bool) -> Option<usize> {
    let mut at = from;
    loop {
        at += if escapes {
            memchr::memchr2(b'"', b'\\', run.get(at..)?)?
        } else {
            memchr::memchr(b'"', run.get(at..)?)?
        };
        if run[at] == b'\\' {
            at += 2;
        } else if separator(run, at + 1).is_some() {
            return Some(at);
        } else {
            at += 1;
        }
    }
}

fn separator(run: &[u8], at: usize) -> Option<Separator> {
    match run.get(at..)? {
        [] => Some(Separator::End(at)),
        [b' ' | b'\t', ..] => begins_pair(run, at).map(Separator::Space),
        [b',', b' ' | b'\t', ..] => begins_pair(run, at + 1).map(Separator::Comma),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(run: &str, expected: &[(&str, &str)]) {
        assert!(is_run(run.as_bytes()), "{run}");
        let found: Vec<(&str, &str)> =
            pairs(run.as_bytes()).map(|pair| (&run[pair.key], &run[pair.value])).collect();
        assert_eq!(found, expected, "{run}");
    }

    #[test]
    fn logfmt_and_map_contexts() {
        check("", &[]);
        check("{}", &[]);
        check("a=1", &[("a", "1")]);
        check("a=1 b=\"x y\" c=", &[("a", "1"), ("b", "x y"), ("c", "")]);
        check("a=1, b=2", &[("a", "1"), ("b", "2")]);
        check("{a=1, b=, c=x y, z}", &[("a", "1"), ("b", ""), ("c", "x y, z")]);
        check("file=two words size=3", &[("file", "two words"), ("size", "3")]);
        check(
            "at=198.51.100.1:5222, user=juliet@example.net",
            &[("at", "198.51.100.1:5222"), ("user", "juliet@example.net")],
        );
    }

    #[test]
    fn quotes_that_nobody_escaped() {
        check("m=\"he said \"no\" twice\" n=1", &[("m", "he said \"no\" twice"), ("n", "1")]);
        check("m=\"\\\" n=1", &[("m", "\\"), ("n", "1")]);
        check(r#"m="a \" b=2" n=1"#, &[("m", r#"a \" b=2"#), ("n", "1")]);
        check("m=\"never closed n=1", &[("m", "never closed"), ("n", "1")]);
        check("m=\"", &[("m", "")]);
    }

    #[test]
    fn text_before_a_map_context_is_no_run() {
        assert!(!is_run(b"error=OK a.b=1, c.d=2"));
        assert!(!is_run(b"connected a=1"));
        assert!(!is_run(b"=1"));
    }
}
