//! Values as CEF writes them: escaped, cut to a number of characters, never empty or with spaces at their ends.

use std::net::IpAddr;

use memchr::{memchr2, memchr3};

use super::table::KeyType;
use crate::{encode::scalar, event::Value};

/// Stands for what was cut off.
pub(crate) const CUT: &str = "…";

/// A clean text escaped for a value of the extension. Line ends have escapes, too, but clean text has none.
pub(crate) fn escape(out: &mut Vec<u8>, clean: &str) {
    let mut rest = clean.as_bytes();
    while let Some(at) = memchr2(b'\\', b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A clean text as a value: trimmed, at most `length` characters, escaped.
pub(crate) fn string(out: &mut Vec<u8>, clean: &str, length: usize) {
    let (kept, was_cut) = cut(clean.trim(), length);
    escape(out, kept);
    if was_cut {
        out.extend_from_slice(CUT.as_bytes());
    }
}

/// Whether a text is its own value but for escapes: not empty, no space at its ends, within the limit. A quick look
/// that says no where it would have to look longer.
pub(crate) fn is_plain(clean: &str, length: usize) -> bool {
    match clean.as_bytes() {
        [first, .., last] => {
            first.is_ascii_graphic() && last.is_ascii_graphic() && clean.len() <= length
        }
        _ => false,
    }
}

/// At most `length` characters of a text with room for [`CUT`], and whether that is less than all of it.
pub(crate) fn cut(text: &str, length: usize) -> (&str, bool) {
    if text.len() <= length || text.chars().nth(length).is_none() {
        return (text, false);
    }
    let end = text.char_indices().nth(length.saturating_sub(1)).map_or(0, |(at, _)| at);
    (text[..end].trim_end(), true)
}

/// The inside of a JSON string inside a value: JSON's escapes, then CEF's.
pub(crate) fn json_inner(out: &mut Vec<u8>, clean: &str) {
    let mut rest = clean.as_bytes();
    while let Some(at) = memchr3(b'"', b'\\', b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'"' => br#"\\""#,
            b'\\' => br"\\\\",
            _ => br"\=",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Text that comes from mappings or configuration, made safe: one line, no control characters.
pub(crate) fn constant(text: &str) -> String {
    let odd = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
    text.chars().map(|c| if odd(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// One of the six header fields: at most `length` characters, `|` and `\` escaped.
pub(crate) fn header(text: &str, length: usize) -> String {
    let clean = constant(text);
    let kept: String = clean.chars().take(length).collect();
    kept.trim_end().replace('\\', "\\\\").replace('|', "\\|")
}

/// Whether a key of this type can hold a value that is no text.
pub(crate) fn fits(ty: KeyType, value: Value) -> bool {
    match (ty, value) {
        (KeyType::String | KeyType::Double, Value::Double(n)) => n.is_finite(),
        (KeyType::String, _)
        | (KeyType::Long | KeyType::Double, Value::Long(_))
        | (KeyType::Timestamp, Value::Date(_)) => true,
        (KeyType::Integer, Value::Long(n)) => (0..=i64::from(i32::MAX)).contains(&n),
        (KeyType::Port, Value::Long(n)) => (0..=i64::from(u16::MAX)).contains(&n),
        (KeyType::Ipv4, Value::Ip(ip)) => ip.to_canonical().is_ipv4(),
        (KeyType::Ipv6, Value::Ip(ip)) => ip.to_canonical().is_ipv6(),
        _ => false,
    }
}

/// Whether a key of this type can hold a text that is not empty.
pub(crate) fn fits_text(ty: KeyType, text: &str) -> bool {
    match ty {
        KeyType::String => true,
        KeyType::Mac => is_mac(text),
        KeyType::Direction => direction(text).is_some(),
        _ => false,
    }
}

/// A value that [`fits`].
pub(crate) fn other(out: &mut Vec<u8>, ty: KeyType, value: Value) {
    match value {
        Value::Long(n) => scalar::integer(out, n),
        Value::Double(n) => scalar::decimal(out, n),
        Value::Boolean(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
        Value::Ip(ip) => scalar::ip(out, canonical(ip)),
        Value::Date(time) if ty == KeyType::Timestamp => scalar::integer(out, time.millis()),
        Value::Date(time) => scalar::rfc3339(out, time, 9),
        Value::Text(_) => {}
    }
}

/// A text that [`fits_text`].
pub(crate) fn text(out: &mut Vec<u8>, ty: KeyType, text: &str, length: usize) {
    match ty {
        KeyType::Mac => out.extend(text.trim().bytes().map(|b| if b == b'-' { b':' } else { b })),
        KeyType::Direction => out.push(direction(text).unwrap_or(b'0')),
        _ => string(out, text, length),
    }
}

/// `::ffff:192.0.2.1` is the IPv4 address that it stands for.
fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// ECS's words for `deviceDirection`.
fn direction(word: &str) -> Option<u8> {
    match word {
        "inbound" | "ingress" => Some(b'0'),
        "outbound" | "egress" => Some(b'1'),
        _ => None,
    }
}

/// `00-0D-60-AF-1B-61` or with colons.
fn is_mac(text: &str) -> bool {
    let mac = text.trim().as_bytes();
    let right = |(at, byte): (usize, &u8)| match at % 3 {
        2 => *byte == b':' || *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    mac.len() == 17 && mac.iter().enumerate().all(right)
}
