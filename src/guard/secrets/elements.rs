//! SASL exchanges and passwords in stanzas: as markup, as Erlang terms and records, and in forms.

use std::ops::Range;

use memchr::memmem;

use super::Found;
use crate::guard::syntax::{
    TagKind, binary_at, brackets_at, close_of, content_at, is_word, open_angle_before, skip_space,
    tag_at,
};

/// Elements whose content is a credential wherever they stand.
const CREDENTIALS: &[&[u8]] = &[
    b"auth",
    b"response",
    b"challenge",
    b"handshake",
    b"digest",
    b"initial-response",
    b"additional-data",
];

/// How far a term is read for what belongs to its name.
const TERM_BYTES_MAX: usize = 1_024;

/// How far a form field is read for its values.
const FIELD_BYTES_MAX: usize = 2_048;

/// Longest prefix of a name (`db:`) that is looked for.
const PREFIX_BYTES_MAX: usize = 32;

/// Where the angle bracket stands that opens the element whose local name begins at `name`.
pub(crate) fn angle_of(text: &[u8], name: usize) -> Option<usize> {
    let start = match text.get(..name)?.strip_suffix(b":") {
        None => name,
        Some(before) => {
            let prefix = before.iter().rev().take(PREFIX_BYTES_MAX).take_while(|b| is_word(**b));
            before.len() - prefix.count()
        }
    };
    let angle = open_angle_before(text, start);
    (angle > 0).then(|| start - angle)
}

/// Reads on from the beginning of an element's name, with a bracket or a colon before it.
pub(crate) fn read(text: &[u8], piece: Range<usize>, found: &mut Found) {
    let start = piece.start + 1;
    let name = start..start + text[start..].iter().take_while(|b| is_word(**b)).count();
    let Some(angle) = angle_of(text, name.start) else { return };
    let Some(tag) = tag_at(text, angle) else { return };
    let markup = &text[angle..tag.end];
    let secret = match &text[name] {
        // `<success/>` is a word of many formats, a result also one of archives and queries.
        b"success" => memmem::find(markup, b"sasl").is_some(),
        b"result" | b"verify" => {
            memmem::find(markup, b"dialback").is_some() || memmem::find(markup, b"db:").is_some()
        }
        name => CREDENTIALS.contains(&name),
    };
    if secret && tag.kind == TagKind::Open {
        found.add(text, content_at(text, tag.end));
    }
}

/// Whether a name is that of an element in an Erlang term: `{xmlel,<<"auth">>,…`, `#xmlel{name = <<"auth">>,…`.
pub(crate) fn is_term_name(text: &[u8], name: usize) -> bool {
    let before = &text[..name];
    before.ends_with(b"xmlel,<<\"") || before.ends_with(b"name = <<\"")
}

/// Reads on from an element's name in a term: its character data.
pub(crate) fn read_term(text: &[u8], name: Range<usize>, found: &mut Found) {
    let quoted = usize::from(text.get(name.start) == Some(&b'"'));
    if !is_term_name(text, name.start + quoted) {
        return;
    }
    let end = text.len().min(name.end + TERM_BYTES_MAX);
    let next = memmem::find(&text[name.end..end], b"xmlel").map_or(end, |n| name.end + n);
    character_data(text, name.end..next, found);
}

fn character_data(text: &[u8], within: Range<usize>, found: &mut Found) {
    const CDATA: &[u8] = b"xmlcdata,";
    let mut from = within.start;
    while let Some(at) = text.get(from..within.end).and_then(|t| memmem::find(t, CDATA)) {
        let start = skip_space(text, from + at + CDATA.len());
        from += at + CDATA.len();
        if let Some(run) = binary_at(text, start) {
            from = from.max(run.end);
            found.add(text, run);
        }
    }
}

/// Reads on from the name of a record: all its binaries but the name of a mechanism.
pub(crate) fn read_record(text: &[u8], name: Range<usize>, found: &mut Found) {
    let whole =
        name.start..name.start + text[name.start..].iter().take_while(|b| is_word(**b)).count();
    let open = whole.end;
    if !matches!(text.get(open), Some(b'{' | b',')) {
        return;
    }
    let window = &text[..text.len().min(open + TERM_BYTES_MAX)];
    let end = close_of(window, open + 1);
    let dialback = text[whole].starts_with(b"db_");
    let mut at = open + 1;
    while at < end {
        let Some(start) = memmem::find(&text[at..end], b"<<").map(|n| at + n) else { return };
        let Some(run) = binary_at(text, start) else { return };
        at = run.end + 2;
        // A dialback key stands beside the names of two domains.
        let is_key = !dialback || text[..start].ends_with(b"key = ");
        if is_key && !is_mechanism(&text[run.clone()]) {
            found.add(text, run);
        }
    }
}

fn is_mechanism(binary: &[u8]) -> bool {
    let name = binary.strip_prefix(b"\"").and_then(|b| b.strip_suffix(b"\"")).unwrap_or(binary);
    name.len() <= 20
        && name
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

/// Whether a name is the value of a form field's `var`.
pub(crate) fn is_form_variable(text: &[u8], name: usize) -> bool {
    let before = &text[..name];
    let quoted =
        before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or_default();
    let attribute = quoted.strip_suffix(b"\\").unwrap_or(quoted).ends_with(b"var=");
    attribute || before.ends_with(b"var\">>,<<\"") || before.ends_with(b"var = <<\"")
}

/// Reads on inside a form field that holds a secret: its values.
pub(crate) fn read_form_field(text: &[u8], at: usize, found: &mut Found) {
    let end = text.len().min(at + FIELD_BYTES_MAX);
    let ends: [&[u8]; 4] = [b"</field", b"<field", b"\"field\"", b"#xdata_field"];
    let end = ends
        .iter()
        .filter_map(|mark| memmem::find(&text[at..end], mark))
        .min()
        .map_or(end, |n| at + n);
    const VALUE: &[u8] = b"<value>";
    let mut from = at;
    while let Some(start) = text.get(from..end).and_then(|t| memmem::find(t, VALUE)) {
        let run = content_at(text, from + start + VALUE.len());
        from = run.end;
        found.add(text, run);
    }
    const VALUES: &[u8] = b"values = ";
    if let Some(start) = memmem::find(&text[at..end], VALUES)
        && let Some(run) = brackets_at(text, at + start + VALUES.len())
    {
        return found.add(text, run);
    }
    character_data(text, at..end, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_behind_a_prefix() {
        assert_eq!(angle_of(b"<db:verify id='1'>k</db:verify>", 4), Some(0));
        assert_eq!(angle_of(br"\u003cauth", 6), Some(0));
        assert_eq!(angle_of(b"a:verify", 2), None);
    }
}
