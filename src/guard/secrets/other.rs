//! HTTP credentials, tokens that stand alone, passwords in URLs, private key files.

use std::ops::Range;

use memchr::memmem;

use super::Found;
use crate::guard::syntax::{binary_at, close_of, is_word, prefix_len, quoted_at, skip_space};

/// Schemes of `Authorization` that one token follows.
const TOKEN_SCHEMES: &[&str] = &["basic", "bearer", "negotiate", "ntlm", "token", "apikey"];

/// A token that stands alone is at least this long, or it is a word.
const TOKEN_BYTES_MIN: usize = 16;

/// Longest authority of a URL that is looked at.
const AUTHORITY_BYTES_MAX: usize = 256;

/// The value of a header.
enum Header {
    /// In quotes or in an Erlang binary.
    Enclosed(Range<usize>),
    /// From here to the end of the line.
    Open(usize),
}

/// `Authorization: Basic …`: the scheme stays.
pub(crate) fn authorization(text: &[u8], name: Range<usize>, found: &mut Found) {
    let (start, end) = match header(text, name.end) {
        None => return,
        Some(Header::Enclosed(value)) => (value.start, Some(value.end)),
        Some(Header::Open(start)) => (start, None),
    };
    let scheme_len =
        text[start..].iter().take(TOKEN_BYTES_MIN).take_while(|b| is_word(**b)).count();
    let scheme = &text[start..start + scheme_len];
    let credentials = skip_space(text, start + scheme_len);
    let known = TOKEN_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
    let digest = scheme.eq_ignore_ascii_case(b"digest");
    match end {
        Some(end) if credentials < end && (known || digest) => found.add(text, credentials..end),
        Some(end) => found.add(text, start..end),
        None if digest => found.add(text, credentials..line_end(text, credentials)),
        None if known => {
            found.add(text, credentials..credentials + token_len(&text[credentials..]))
        }
        // No scheme, but a word too long to be one.
        None if scheme_len == TOKEN_BYTES_MIN => {
            found.add(text, start..start + token_len(&text[start..]));
        }
        None => {}
    }
}

/// `Cookie: …`, `Set-Cookie: …`.
pub(crate) fn cookie(text: &[u8], name: Range<usize>, found: &mut Found) {
    let left = text[..name.start].iter().rev().take(16).take_while(|b| is_word(**b)).count();
    let whole = &text[name.start - left..name.end];
    if !whole.eq_ignore_ascii_case(b"cookie") && !whole.eq_ignore_ascii_case(b"set-cookie") {
        return;
    }
    match header(text, name.end) {
        None => {}
        Some(Header::Enclosed(value)) => found.add(text, value),
        Some(Header::Open(start)) => found.add(text, start..line_end(text, start)),
    }
}

fn header(text: &[u8], mut at: usize) -> Option<Header> {
    at += text[at..].iter().take_while(|b| matches!(b, b'"' | b'\'' | b'\\')).count();
    at += prefix_len(text, at, &[b">>"]);
    at = skip_space(text, at);
    let separator = prefix_len(text, at, &[b"=>", b":", b"=", b","]);
    if separator == 0 {
        return None;
    }
    let is_tuple = text[at] == b',';
    at = skip_space(text, at + separator);
    if let Some(inside) = quoted_at(text, at) {
        return Some(Header::Enclosed(inside));
    }
    if let Some(inside) = binary_at(text, at) {
        let quote = usize::from(text.get(inside.start) == Some(&b'"'));
        let start = inside.start + quote;
        return Some(Header::Enclosed(start..inside.end.saturating_sub(quote).max(start)));
    }
    (!is_tuple).then_some(Header::Open(at))
}

/// Where the line ends. A string that it stands in ends earlier, but quotes are part of such values too.
fn line_end(text: &[u8], at: usize) -> usize {
    let ends = |n: &usize| text[*n..].starts_with(br"\u{0a}") || text[*n..].starts_with(br"\u{0d}");
    (at..text.len()).find(ends).unwrap_or(text.len())
}

fn token_len(text: &[u8]) -> usize {
    text.iter().take_while(|b| is_token(**b)).count()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// `Bearer` and what follows, if it is no word.
pub(crate) fn bearer(text: &[u8], at: usize, found: &mut Found) {
    let len = token_len(&text[at..]);
    let token = &text[at..at + len];
    if len >= TOKEN_BYTES_MIN || (len >= 8 && token.iter().any(u8::is_ascii_digit)) {
        found.add(text, at..at + len);
    }
}

/// Three parts of base64 with dots between them, of which the first is JSON (`{"` is `eyJ`).
pub(crate) fn jwt(text: &[u8], at: usize, found: &mut Found) {
    if text[..at].last().is_some_and(|before| is_token(*before)) {
        return;
    }
    let len = token_len(&text[at..]);
    let mut parts = text[at..at + len].split(|b| *b == b'.');
    let long = |part: Option<&[u8]>| part.is_some_and(|part| part.len() >= 8);
    if long(parts.next()) && long(parts.next()) && parts.next().is_some() {
        found.add(text, at..at + len);
    }
}

/// `scheme://user:password@host`.
pub(crate) fn url(text: &[u8], at: usize, found: &mut Found) {
    let ends =
        |b: &&u8| !matches!(**b, b'/' | b' ' | b'"' | b'\'' | b'<' | b'>' | b'\\' | b'?' | b'#');
    let authority = text[at..].iter().take(AUTHORITY_BYTES_MAX).take_while(ends).count();
    let authority = &text[at..at + authority];
    if let Some(host) = memchr::memrchr(b'@', authority)
        && let Some(colon) = memchr::memchr(b':', &authority[..host])
    {
        found.add(text, at + colon + 1..at + host);
    }
}

/// All of a private key's file up to the end of its block.
pub(crate) fn pem(text: &[u8], at: usize, found: &mut Found) {
    let end = memmem::find(&text[at..], b"-----END").map_or(text.len(), |n| at + n);
    found.add(text, at..end);
}

/// The arguments of a command such as one that registers an account: any of them may be the password.
pub(crate) fn arguments(text: &[u8], at: usize, found: &mut Found) {
    found.add(text, at..close_of(text, at));
}

/// `asking … if key … belongs to them`.
pub(crate) fn dialback(text: &[u8], at: usize, found: &mut Found) {
    let len = text[at..].iter().take_while(|b| !matches!(b, b' ' | b'\\')).count();
    if text[at + len..].starts_with(b" belongs to") {
        found.add(text, at..at + len);
    }
}
