//! Finds what people wrote in text that programs print: character data of markup, character data and texts of Erlang
//! terms, quoted values of keys like `body`. Names, addresses and types in attributes stay.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::syntax::{
    TagKind, binary_at, content_at, is_word, quoted_at, skip_space, space_at, tag_at,
};

/// Keys whose quoted values are bodies.
const KEYS: &[&str] = &["body", "subject", "message_body", "msg_body"];

/// Erlang constructors whose binaries are character data.
const TERMS: &[&str] = &["xmlcdata,", "#text{", "{text,"];

/// Adds the runs of `text` that are bodies, each with what takes its place.
pub(crate) fn find(text: &str, runs: &mut Vec<(Range<usize>, String)>) {
    let bytes = text.as_bytes();
    let mut add = |run: Range<usize>| {
        if text[run.clone()].chars().any(char::is_alphanumeric) {
            let length = run.len();
            runs.push((run, format!("[text length={length}]")));
        }
    };
    character_data(bytes, &mut add);
    for term in TERMS {
        let mut read = 0;
        for at in memmem::find_iter(bytes, term.as_bytes()) {
            if at >= read {
                read = texts_of_term(bytes, at + term.len(), &mut add);
            }
        }
    }
    for key in KEYS {
        let mut read = 0;
        for at in memmem::find_iter(bytes, key.as_bytes()) {
            if at < read {
                continue;
            }
            if let Some(run) = value_of_key(bytes, at, at + key.len()) {
                read = run.end;
                add(run);
            }
        }
    }
}

/// Text between tags, wherever an element is open.
fn character_data(text: &[u8], add: &mut impl FnMut(Range<usize>)) {
    let mut depth = 0_usize;
    let mut last_end = 0;
    let mut from = 0;
    while let Some(at) = memchr(b'<', &text[from..]).map(|n| from + n) {
        if depth > 0 && text[at..].starts_with(b"<![CDATA[") {
            let inside = content_at(text, at);
            from = inside.end;
            last_end = from;
            add(inside);
            continue;
        }
        let Some(tag) = tag_at(text, at) else {
            from = at + 1;
            continue;
        };
        if depth > 0 {
            add(trimmed(text, last_end..at));
        }
        match tag.kind {
            TagKind::Open => depth += 1,
            TagKind::Close => depth = depth.saturating_sub(1),
            TagKind::Empty => {}
        }
        from = tag.end;
        last_end = from;
    }
    if depth > 0 {
        add(trimmed(text, last_end..text.len()));
    }
}

fn trimmed(text: &[u8], run: Range<usize>) -> Range<usize> {
    let start = skip_space(text, run.start).min(run.end);
    let spaces = text[start..run.end].iter().rev().take_while(|b| **b == b' ').count();
    start..run.end - spaces
}

/// The binaries of a term, at most three (language and text, or one of character data). Returns where reading ended.
fn texts_of_term(text: &[u8], mut at: usize, add: &mut impl FnMut(Range<usize>)) -> usize {
    for _ in 0..3 {
        while text.get(at).is_some_and(|b| is_word(*b) || matches!(b, b'=' | b',' | b' '))
            || space_at(text, at) > 0
        {
            at += space_at(text, at).max(1);
        }
        let Some(inside) = binary_at(text, at) else { break };
        at = inside.end + 2;
        add(inside);
    }
    at
}

/// The quoted value of a key: `body="…"`, `"body": "…"`, `body='…'`.
fn value_of_key(text: &[u8], start: usize, end: usize) -> Option<Range<usize>> {
    if start.checked_sub(1).is_some_and(|before| is_word(text[before])) {
        return None;
    }
    let quotes = text[end..].iter().take_while(|b| matches!(b, b'"' | b'\'' | b'\\')).count();
    let at = skip_space(text, end + quotes);
    if !matches!(text.get(at)?, b'=' | b':') {
        return None;
    }
    quoted_at(text, skip_space(text, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::privacy::replace;

    fn without(text: &str) -> String {
        let mut runs = Vec::new();
        find(text, &mut runs);
        replace(text, runs, |_| None)
    }

    #[test]
    fn bodies_go_and_addresses_stay() {
        for (text, expected) in [
            (
                "RECV: <message to='romeo@example.net'><body>hi there</body></message>",
                "RECV: <message to='romeo@example.net'><body>[text length=8]</body></message>",
            ),
            (
                "<<\"<message><body>a</body><x/></message>\">>",
                "<<\"<message><body>[text length=1]</body><x/></message>\">>",
            ),
            ("<body><![CDATA[a<b>c]]></body> end", "<body><![CDATA[[text length=5]]]></body> end"),
            ("<body>torn he", "<body>[text length=7]"),
            ("to <romeo@example.net> via <0.12.0> ok", "to <romeo@example.net> via <0.12.0> ok"),
            (
                "body = [#text{lang = <<>>,data = <<\"hi\">>}],",
                "body = [#text{lang = <<>>,data = <<[text length=4]>>}],",
            ),
            ("[{text,<<>>,<<\"hi\">>}]", "[{text,<<>>,<<[text length=4]>>}]"),
            (r#"[{xmlcdata,<<"a\"b">>}],<<"id">>"#, r#"[{xmlcdata,<<[text length=6]>>}],<<"id">>"#),
            (r#"{"body": "hi", "to": "x"}"#, r#"{"body": "[text length=2]", "to": "x"}"#),
            (r"body='it\'s' from=x", "body='[text length=5]' from=x"),
            ("somebody='x' antibody: \"y\"", "somebody='x' antibody: \"y\""),
        ] {
            assert_eq!(without(text), expected);
        }
    }
}
