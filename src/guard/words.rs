//! Text of lines that no binding knew, where nobody can say which word is what: what looks like a JID, an address, a key
//! or a quoted run is replaced.
//!
//! One pass over the text; works on clean text.

use std::{borrow::Cow, net::IpAddr};

use memchr::memchr;

use super::{
    bodies,
    privacy::replace,
    syntax::{quoted_at, space_at},
    tokens::Tokens,
};

/// Hexadecimal runs from this length on are taken for keys or hashes: 128 bits.
const KEY_DIGITS_MIN: usize = 32;

/// Runs of base64 from this length on are taken for keys.
const BASE64_MIN: usize = 40;

/// What a word looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Look {
    Jid,
    Address(IpAddr),
    Key,
}

/// The text with what looks personal replaced, by tokens where there are some; `None` if nothing does.
pub(crate) fn treat(text: &str, tokens: Option<&Tokens>) -> Option<String> {
    let mut runs = Vec::new();
    bodies::find(text, &mut runs);
    let without_bodies: Cow<'_, str> =
        if runs.is_empty() { text.into() } else { replace(text, runs, |_| None).into() };
    let mut out = String::with_capacity(without_bodies.len());
    pieces(&without_bodies, |piece| match piece {
        Piece::Plain(plain) => out.push_str(plain),
        Piece::Quoted(inside) => out.push_str(&format!("[quoted length={}]", inside.len())),
        Piece::Word(word, look) => match (look, tokens) {
            (Look::Jid, Some(tokens)) => out.push_str(&tokens.text(word)),
            (Look::Key, Some(tokens)) => out.push_str(&tokens.text(word)),
            (Look::Address(ip), Some(tokens)) => out.push_str(&tokens.address(ip).to_string()),
            (Look::Jid, None) => out.push_str("[jid]"),
            (Look::Key, None) => out.push_str("[key]"),
            (Look::Address(_), None) => out.push_str("[ip]"),
        },
    });
    (out != text).then_some(out)
}

/// A keyed hash of a line's template, which is shipped in place of its text. Lines that the same
/// statement of a program wrote tend to have the same template: words with a digit, quoted runs and whatever
/// [`treat`] replaces are left out of it.
pub(crate) fn template(text: &str, tokens: &Tokens) -> String {
    let mut template = String::with_capacity(text.len());
    pieces(text, |piece| match piece {
        Piece::Plain(plain) => {
            for word in plain.split_inclusive(' ') {
                let varies = word.bytes().any(|b| b.is_ascii_digit());
                template.push_str(if varies { "* " } else { word });
            }
        }
        Piece::Quoted(_) | Piece::Word(..) => template.push('*'),
    });
    tokens.hash(&template)
}

enum Piece<'a> {
    Plain(&'a str),
    Quoted(&'a str),
    Word(&'a str, Look),
}

/// Takes text apart. Concatenated, the pieces are the text again.
fn pieces<'a>(text: &'a str, mut each: impl FnMut(Piece<'a>)) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    let mut at = 0;
    while at < bytes.len() {
        if let Some(inside) = quoted_run(bytes, at) {
            each(Piece::Plain(&text[plain..inside.start]));
            each(Piece::Quoted(&text[inside.clone()]));
            plain = inside.end;
            at = inside.end + 1;
            continue;
        }
        let end = word_end(bytes, at);
        if let Some((start, end, look)) =
            personal(&text[at..end]).map(|(s, e, l)| (at + s, at + e, l))
        {
            each(Piece::Plain(&text[plain..start]));
            each(Piece::Word(&text[start..end], look));
            plain = end;
        }
        at = end.max(at + 1);
    }
    each(Piece::Plain(&text[plain.min(text.len())..]));
}

/// The inside of a quoted run that begins at `at` and is closed. An apostrophe within a word opens none.
fn quoted_run(text: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let quote = text[at];
    let in_word = at.checked_sub(1).is_some_and(|before| text[before].is_ascii_alphanumeric());
    if !matches!(quote, b'"' | b'\'') || (quote == b'\'' && in_word) {
        return None;
    }
    let escaped = text[..at].iter().rev().take_while(|b| **b == b'\\').count();
    let inside = quoted_at(text, at - escaped)?;
    (inside.end > inside.start && memchr(quote, &text[inside.end..]).is_some()).then_some(inside)
}

/// Where the word at `at` ends: at white space, a quote, a bracket or a separator.
fn word_end(text: &[u8], at: usize) -> usize {
    let mut end = at;
    while let Some(&byte) = text.get(end) {
        if matches!(
            byte,
            b'"' | b'\'' | b'<' | b'>' | b'(' | b')' | b'{' | b'}' | b',' | b';' | b'=' | b'|'
        ) || space_at(text, end) > 0
        {
            break;
        }
        end += 1;
    }
    end
}

/// The part of a word that looks personal.
fn personal(word: &str) -> Option<(usize, usize, Look)> {
    let trimmed = word.trim_end_matches(['.', ':', '!', '?']);
    if let Some(at) = memchr(b'@', trimmed.as_bytes()) {
        return (at > 0 && at + 1 < trimmed.len()).then_some((0, trimmed.len(), Look::Jid));
    }
    address(trimmed).or_else(|| key(trimmed))
}

fn address(word: &str) -> Option<(usize, usize, Look)> {
    let has_digit = word.bytes().any(|b| b.is_ascii_hexdigit());
    if !has_digit || !word.bytes().any(|b| matches!(b, b'.' | b':')) {
        return None;
    }
    if let Some(inside) = word.strip_prefix('[') {
        let (ip, _) = inside.split_once(']')?;
        return ip.parse().ok().map(|parsed| (1, 1 + ip.len(), Look::Address(parsed)));
    }
    let whole = word.trim_end_matches(']');
    let before_port = whole.rsplit_once(':').map(|(ip, _)| ip);
    [Some(whole), before_port]
        .into_iter()
        .flatten()
        .find_map(|ip| ip.parse().ok().map(|parsed| (0, ip.len(), Look::Address(parsed))))
}

fn key(word: &str) -> Option<(usize, usize, Look)> {
    let hex = longest_run(word, u8::is_ascii_hexdigit);
    if hex.1 - hex.0 >= KEY_DIGITS_MIN {
        return Some((hex.0, hex.1, Look::Key));
    }
    let base64 =
        longest_run(word, |b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-'));
    let run = &word[base64.0..base64.1];
    let mixed = run.bytes().any(|b| b.is_ascii_digit())
        && run.bytes().any(|b| b.is_ascii_uppercase())
        && run.bytes().any(|b| b.is_ascii_lowercase());
    (run.len() >= BASE64_MIN && mixed).then_some((base64.0, base64.1, Look::Key))
}

fn longest_run(word: &str, belongs: impl Fn(&u8) -> bool) -> (usize, usize) {
    let mut longest = (0, 0);
    let mut start = 0;
    for (n, byte) in word.bytes().enumerate() {
        if !belongs(&byte) {
            start = n + 1;
        } else if n + 1 - start > longest.1 - longest.0 {
            longest = (start, n + 1);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_personal_is_replaced() {
        let key = "0a".repeat(32);
        for (text, expected) in [
            ("user romeo@example.net/orchard: gone", "user [jid]: gone"),
            ("from 203.0.113.9:5222, [2001:db8::1]:80 or ::1", "from [ip]:5222, [[ip]]:80 or [ip]"),
            ("at 12:30:05.123 version 1.2.3 took 5.5s", "at 12:30:05.123 version 1.2.3 took 5.5s"),
            (
                "couldn't say 'a b' or \"c\"",
                "couldn't say '[quoted length=3]' or \"[quoted length=1]\"",
            ),
            ("an \"open quote", "an \"open quote"),
            ("<a href='x'>words</a>", "<a href='[quoted length=1]'>[text length=5]</a>"),
        ] {
            assert_eq!(treat(text, None).as_deref().unwrap_or(text), expected);
        }
        assert_eq!(treat(&format!("key={key}!"), None).as_deref(), Some("key=[key]!"));
        assert_eq!(treat("nothing personal here", None), None);
    }

    #[test]
    fn one_statement_has_one_template() {
        let tokens = Tokens::new(b"0123456789abcdef").unwrap();
        let a = template("session 12 of romeo@example.net from 203.0.113.9 ended", &tokens);
        let b = template("session 13 of juliet@example.net from 203.0.113.8 ended", &tokens);
        assert_eq!(a, b);
        assert_ne!(a, template("session 12 of romeo@example.net from 203.0.113.9 began", &tokens));
    }

    proptest! {
        #[test]
        fn pieces_are_the_text(text in "[ -~é]{0,120}") {
            let mut out = String::new();
            pieces(&text, |piece| match piece {
                Piece::Plain(part) | Piece::Quoted(part) | Piece::Word(part, _) => out.push_str(part),
            });
            prop_assert_eq!(out, text);
        }
    }
}
