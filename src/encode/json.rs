//! JSON strings. Clean text needs two escapes, everything else takes the long way through `serde_json`.

use memchr::memchr2;

/// A clean text as a JSON string, quotes included.
pub(crate) fn string(out: &mut Vec<u8>, clean: &str) {
    out.push(b'"');
    inner(out, clean);
    out.push(b'"');
}

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
    serde_json::Value::from(text).to_string()
}

/// Any texts as a JSON array of strings.
pub(crate) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<_> = texts.into_iter().map(any).collect();
    format!("[{}]", items.join(","))
}
