//! The smallest parts of JSON: white space, escapes, numbers, and where a string ends.
//!
//! Each function takes the text and the place where something begins, and returns the place behind it.

use crate::parse::record::{Scalar, Slice};

/// Behind the closing quote of a string.
pub(super) fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let end = at + quote_or_backslash(text.get(at..)?)?;
        if text[end] == b'"' {
            return Some(end + 1);
        }
        at = end + 2;
    }
}

#[inline]
pub(super) fn white(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Appends what an escape stands for; `at` is behind its backslash.
pub(super) fn escape(text: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
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
pub(super) fn number(text: &[u8], start: usize) -> Option<(Scalar, usize)> {
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
pub(super) fn quote_or_backslash(text: &[u8]) -> Option<usize> {
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
