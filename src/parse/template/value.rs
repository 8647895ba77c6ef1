//! Values that say themselves where they end: addresses, numbers, times, quoted runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex_automata::{Anchored, Input};

use super::{CaptureType, matching::find};
use crate::parse::{
    record::{Scalar, Slice},
    time::Clock,
};

/// A value at the beginning of a text.
pub(super) struct Found {
    /// Text ranges are relative to that text.
    pub(super) value: Scalar,
    /// Bytes that it took.
    pub(super) used: usize,
    pub(super) escaped: bool,
}

/// Longest address that is tried: a full IPv6 address with an embedded IPv4 one.
const IP_BYTES_MAX: usize = 45;
/// Longest zone id (interface name) after an IPv6 address.
const ZONE_BYTES_MAX: usize = 16;
/// Longest JID (RFC 7622: three parts of 1,023 bytes and two separators).
const JID_BYTES_MAX: usize = 3_071;

/// The value of a type that ends by itself. `clock` is `None` when only its shape matters.
pub(super) fn closed(ty: &CaptureType, text: &[u8], clock: Option<&Clock>) -> Option<Found> {
    match ty {
        CaptureType::Rest => Some(Found::text(0, text.len(), text.len())),
        CaptureType::Until(end) => find(end, text).map(|end| Found::text(0, end, end)),
        CaptureType::Quoted => quoted(text),
        CaptureType::Ip => ip(text).map(|(ip, used)| Found::typed(Scalar::Ip(ip), used)),
        CaptureType::Port => {
            let used = run(text, 6, |b| b.is_ascii_digit());
            let port = digits(text.get(..used)?).filter(|port| *port <= 65_535)?;
            Some(Found::typed(Scalar::Long(port), used))
        }
        CaptureType::Int => int(text),
        CaptureType::Float => float(text),
        CaptureType::Hex => hex(text),
        CaptureType::ToxId => hex_of(text, 76),
        CaptureType::ToxKey => hex_of(text, 64),
        CaptureType::Time(format) => match clock {
            Some(clock) => {
                format.parse(text, clock).map(|(time, used)| Found::typed(Scalar::Time(time), used))
            }
            None => format.scan(text).map(|used| Found::typed(Scalar::Null, used)),
        },
        CaptureType::Spaces => spaces(text).filter(|found| found.used > 0),
        CaptureType::MaybeSpaces => spaces(text),
        CaptureType::Ansi => {
            let used = ansi(text);
            Some(Found::text(0, used, used))
        }
        CaptureType::Level => level(text),
        CaptureType::Bool => boolean(text),
        CaptureType::Re(regex) => {
            let end = regex.search_half(&Input::new(text).anchored(Anchored::Yes))?.offset();
            Some(Found::text(0, end, end))
        }
        CaptureType::Word
        | CaptureType::Text
        | CaptureType::Longest
        | CaptureType::User
        | CaptureType::Kv
        | CaptureType::Jid => None,
    }
}

impl Found {
    fn text(start: usize, end: usize, used: usize) -> Self {
        Self { value: Scalar::Text(Slice::line(start, end)), used, escaped: false }
    }

    fn typed(value: Scalar, used: usize) -> Self {
        Self { value, used, escaped: false }
    }
}

/// How far an open-ended capture could go.
pub(super) fn reach(ty: &CaptureType, text: &[u8]) -> usize {
    match ty {
        CaptureType::Word => text.iter().position(|b| space(*b)).unwrap_or(text.len()),
        CaptureType::Jid => run(text, JID_BYTES_MAX + 2, |b| !space(b)),
        _ => text.len(),
    }
}

fn space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Length of the run of accepted bytes, at most `most`.
fn run(text: &[u8], most: usize, accept: impl Fn(u8) -> bool) -> usize {
    text.iter().take(most).take_while(|b| accept(**b)).count()
}

fn spaces(text: &[u8]) -> Option<Found> {
    let used = text.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(text.len());
    Some(Found::text(0, used, used))
}

/// Length of the terminal colour sequences (`ESC [ … m`) at the beginning.
pub(crate) fn ansi(text: &[u8]) -> usize {
    let mut used = 0;
    while let Some(after) = text[used..].strip_prefix(b"\x1b[") {
        let parameters = run(after, 32, |b| b.is_ascii_digit() || b == b';');
        if after.get(parameters) != Some(&b'm') {
            break;
        }
        used += 2 + parameters + 1;
    }
    used
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_i64, |n, digit| n.checked_mul(10)?.checked_add(i64::from(digit - b'0')))
}

fn int(text: &[u8]) -> Option<Found> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    // 20 digits never fit: they are no match rather than a match of the first 19.
    let used = run(unsigned, 20, |b| b.is_ascii_digit());
    let value = digits(&unsigned[..used])?;
    let value = if negative { -value } else { value };
    Some(Found::typed(Scalar::Long(value), used + text.len() - unsigned.len()))
}

fn float(text: &[u8]) -> Option<Found> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let mut used = sign + run(&text[sign..], 32, |b| b.is_ascii_digit());
    let mut any = used > sign;
    if text.get(used) == Some(&b'.') {
        let part = run(&text[used + 1..], 32, |b| b.is_ascii_digit());
        if part > 0 {
            used += 1 + part;
            any = true;
        }
    }
    if !any {
        return None;
    }
    if let [b'e' | b'E', after @ ..] = &text[used..] {
        let sign = usize::from(matches!(after.first(), Some(b'-' | b'+')));
        let exponent = run(&after[sign..], 3, |b| b.is_ascii_digit());
        if exponent > 0 {
            used += 1 + sign + exponent;
        }
    }
    let value: f64 = std::str::from_utf8(&text[..used]).ok()?.parse().ok()?;
    value.is_finite().then(|| Found::typed(Scalar::Double(value), used))
}

fn hex(text: &[u8]) -> Option<Found> {
    let prefix = if text.starts_with(b"0x") || text.starts_with(b"0X") { 2 } else { 0 };
    let used = run(&text[prefix..], 1_024, |b| b.is_ascii_hexdigit());
    (used > 0).then(|| Found::text(0, prefix + used, prefix + used))
}

/// Exactly `n` hexadecimal digits that are not part of a longer word.
fn hex_of(text: &[u8], n: usize) -> Option<Found> {
    let (head, tail) = text.split_at_checked(n)?;
    let ends = !tail.first().is_some_and(u8::is_ascii_alphanumeric);
    (ends && head.iter().all(u8::is_ascii_hexdigit)).then(|| Found::text(0, n, n))
}

const LEVELS: &[&str] = &[
    "trace",
    "debug",
    "info",
    "notice",
    "warn",
    "warning",
    "error",
    "err",
    "crit",
    "critical",
    "alert",
    "emerg",
    "emergency",
    "fatal",
    "panic",
    "severe",
    "verbose",
    "information",
    "informational",
    "fine",
    "finer",
    "finest",
    "config",
    "dbg",
    "inf",
    "wrn",
    "ftl",
    "success",
];

/// Whether a word names a log level, in any case.
#[must_use]
pub(crate) fn is_level(word: &[u8]) -> bool {
    LEVELS.iter().any(|level| level.as_bytes().eq_ignore_ascii_case(word))
}

fn level(text: &[u8]) -> Option<Found> {
    let used = run(text, 16, |b| b.is_ascii_alphanumeric() || b == b'_');
    is_level(&text[..used]).then(|| Found::text(0, used, used))
}

fn boolean(text: &[u8]) -> Option<Found> {
    let used = run(text, 6, |b| b.is_ascii_alphanumeric());
    let word = &text[..used];
    let is = |names: [&str; 3]| names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word));
    let value = match () {
        () if is(["true", "yes", "on"]) => true,
        () if is(["false", "no", "off"]) => false,
        () => return None,
    };
    Some(Found::typed(Scalar::Boolean(value), used))
}

fn quoted(text: &[u8]) -> Option<Found> {
    let quote = *text.first().filter(|b| matches!(b, b'"' | b'\''))?;
    let mut at = 1;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(quote, b'\\', text.get(at..)?)?;
        if text[at] == quote {
            break;
        }
        escaped = true;
        at += 2;
    }
    Some(Found { escaped, ..Found::text(1, at, at + 1) })
}

/// Resolves the backslash escapes of a quoted run: `\n \r \t \0 \e \xhh \uhhhh`, and any other byte after a
/// backslash stands for itself. Appends to `out`.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = one_escape(&rest[at + 1..], out);
    }
    out.extend_from_slice(rest);
}

fn one_escape<'t>(text: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let hex = |from: usize, n: usize| {
        let digits = text.get(from..from + n).filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let simple = match text.first() {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'0') => 0,
        Some(b'e') => 0x1b,
        Some(b'x') => match hex(1, 2).and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => {
                out.push(byte);
                return &text[3..];
            }
            None => b'x',
        },
        Some(b'u') => match hex(1, 4) {
            Some(code) => {
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return &text[5..];
            }
            None => b'u',
        },
        Some(other) => *other,
        None => {
            out.push(b'\\');
            return text;
        }
    };
    out.push(simple);
    &text[1..]
}

/// The range of the JID in a run without white space: the run, or what its angle brackets hold.
pub(super) fn jid(run: &[u8]) -> Option<(usize, usize)> {
    let (start, end) = match run {
        [b'<', .., b'>'] => (1, run.len() - 1),
        _ => (0, run.len()),
    };
    is_jid(run.get(start..end)?).then_some((start, end))
}

/// Local part and domain are there if their separator is. No more: a log holds what was tried, not what is valid.
fn is_jid(text: &[u8]) -> bool {
    let bare = memchr::memchr(b'/', text).map_or(text, |slash| &text[..slash]);
    let domain = match memchr::memchr(b'@', bare) {
        Some(0) => return false,
        Some(at) => &bare[at + 1..],
        None => bare,
    };
    text.len() <= JID_BYTES_MAX && !domain.is_empty() && memchr::memchr2(b'<', b'>', bare).is_none()
}

/// An address at the beginning of a text, and its length.
pub(crate) fn ip(text: &[u8]) -> Option<(IpAddr, usize)> {
    if let [b'[', inner @ ..] = text {
        let (ip, used) = bare_ip(inner)?;
        return (inner.get(used) == Some(&b']')).then_some((ip, used + 2));
    }
    bare_ip(text)
}

fn bare_ip(text: &[u8]) -> Option<(IpAddr, usize)> {
    if let Some((ip, used)) = ipv4(text) {
        return Some((IpAddr::V4(ip), used));
    }
    let mut used = run(text, IP_BYTES_MAX, |b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
    // A port or a full stop may follow: give those back until it parses.
    while used >= 2 {
        let address = std::str::from_utf8(&text[..used]).ok()?;
        if let Ok(ip) = address.parse::<Ipv6Addr>() {
            let ip = ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4);
            return Some((ip, used + zone(&text[used..])));
        }
        used = text[..used].iter().rposition(|b| matches!(b, b':' | b'.'))?;
    }
    None
}

/// Length of a `%eth0` after an address.
fn zone(text: &[u8]) -> usize {
    match text {
        [b'%', rest @ ..] => match run(rest, ZONE_BYTES_MAX, |b| b.is_ascii_alphanumeric()) {
            0 => 0,
            used => used + 1,
        },
        _ => 0,
    }
}

fn ipv4(text: &[u8]) -> Option<(Ipv4Addr, usize)> {
    let mut octets = [0_u8; 4];
    let mut at = 0;
    for (n, octet) in octets.iter_mut().enumerate() {
        if n > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let used = run(&text[at..], 4, |b| b.is_ascii_digit());
        let value = digits(&text[at..at + used]).filter(|_| used == 1 || text[at] != b'0')?;
        *octet = u8::try_from(value).ok()?;
        at += used;
    }
    let more = text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    (!more).then_some((Ipv4Addr::from(octets), at))
}
