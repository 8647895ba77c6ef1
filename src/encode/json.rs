//! JSON strings. Clean text needs two escapes, everything else takes the long way through `serde_json`.

use memchr::memchr2;
use serde_json::Value;

/// A clean text escaped, without quotes. Clean text has no control characters, so only `"` and `\` matter.
pub(crate) fn inner(out: &mut Vec<u8>, clean: &str) {
    let mut rest = clean.as_bytes();
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Any text as a JSON string: for what comes from mappings and configuration, when a plan is made.
pub(crate) fn any(text: &str) -> String {
    Value::from(text).to_string()
}

/// JSON of a string, or of an array of strings, without what it begins and ends with: what stands between the first
/// quote and the last.
pub(crate) fn inside(json: &str) -> &str {
    json.trim_start_matches('[')
        .strip_prefix('"')
        .map_or("", |rest| rest.trim_end_matches(']').strip_suffix('"').unwrap_or_default())
}

/// Any texts as a JSON array of strings.
pub(crate) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<_> = texts.into_iter().map(any).collect();
    format!("[{}]", items.join(","))
}

/// Strings of a message that is too long are cut down to this many bytes before members go.
const STRING_KEPT: usize = 64;

/// What stands for the part that was cut off.
const CUT: &str = "…";

/// Shortens an object to about `bytes_max`, so that it stays JSON: cuts its longest strings. Text that is no
/// JSON, or has no long strings, is returned as it is.
///
/// The long way, by a parsed document: only what exceeds a receiver's limit comes here.
pub(crate) fn shorten(message: &str, bytes_max: usize) -> String {
    let Ok(mut document) = serde_json::from_str::<Value>(message) else {
        return message.to_owned();
    };
    let mut short = document.to_string();
    while short.len() > bytes_max {
        let Some(longest) = longest(&mut document) else { break };
        // An escape doubles a byte at most, so half of the excess is never too much. Each round takes half of what
        // is left, and at least one byte more than the mark adds: it ends.
        let excess = short.len() - bytes_max + CUT.len();
        let less = excess.div_ceil(2).max(CUT.len() + 1);
        let kept = longest.len().saturating_sub(less).max(STRING_KEPT - CUT.len());
        longest.truncate(longest.floor_char_boundary(kept));
        longest.push_str(CUT);
        short = document.to_string();
    }
    short
}

/// The longest string that can still be cut.
fn longest(value: &mut Value) -> Option<&mut String> {
    let found = match value {
        Value::String(text) => Some(text),
        Value::Array(items) => items.iter_mut().filter_map(longest).max_by_key(|text| text.len()),
        Value::Object(members) => {
            members.values_mut().filter_map(longest).max_by_key(|text| text.len())
        }
        _ => None,
    };
    found.filter(|text| text.len() > STRING_KEPT)
}
