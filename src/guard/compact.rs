//! Makes a text hold what its fields refer to and nothing else.
//!
//! A field that was dropped or rewritten must not live on in the event's buffer, which goes to disk as a whole.
//! Spans that share bytes (a message and what was captured from it) go on sharing them.

use crate::event::{Field, Span, Value};

/// How many long spans are looked at as possible owners of shorter ones.
const HOSTS_MAX: usize = 4;

#[derive(Clone, Copy)]
struct Host {
    old: Span,
    new: u32,
}

/// Copies what the fields refer to and moves their spans there.
pub(crate) fn compact(text: String, fields: &mut [Field]) -> String {
    let longest = longest_spans(fields);
    if longest[0].len() == text.len() {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut hosts = [Host { old: Span::default(), new: 0 }; HOSTS_MAX];
    let mut used = 0;
    for old in longest {
        if !old.is_empty() && within(&hosts[..used], old).is_none() {
            hosts[used] = Host { old, new: append(&mut out, &text, old).start };
            used += 1;
        }
    }
    for field in fields {
        if let Value::Text(span) = &mut field.value {
            *span = within(&hosts[..used], *span).unwrap_or_else(|| append(&mut out, &text, *span));
        }
    }
    out
}

fn longest_spans(fields: &[Field]) -> [Span; HOSTS_MAX] {
    let mut longest = [Span::default(); HOSTS_MAX];
    for field in fields {
        let Value::Text(span) = field.value else { continue };
        if let Some(place) = longest.iter().position(|other| other.len() < span.len()) {
            longest[place..].rotate_right(1);
            longest[place] = span;
        }
    }
    longest
}

fn within(hosts: &[Host], span: Span) -> Option<Span> {
    hosts
        .iter()
        .find(|host| host.old.start <= span.start && span.end <= host.old.end)
        .map(|host| shift(span, host.old.start, host.new))
}

fn shift(span: Span, from: u32, to: u32) -> Span {
    Span { start: span.start - from + to, end: span.end - from + to }
}

fn append(out: &mut String, text: &str, span: Span) -> Span {
    let start = u32::try_from(out.len()).unwrap_or(u32::MAX);
    out.push_str(text.get(span.range()).unwrap_or_default());
    Span { start, end: u32::try_from(out.len()).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::FieldId;

    fn field((start, end): (u32, u32)) -> Field {
        Field { id: FieldId(0), value: Value::Text(Span { start, end }) }
    }

    fn texts(text: &str, fields: &[Field]) -> Vec<String> {
        let span = |field: &Field| match field.value {
            Value::Text(span) => span.range(),
            _ => 0..0,
        };
        fields.iter().map(|field| text[span(field)].to_owned()).collect()
    }

    #[test]
    fn unreferenced_text_goes_and_shared_text_is_shared() {
        let mut fields = [(13, 18), (7, 18), (7, 9)].map(field);
        let out = compact("secret|user=romeo|secret".to_owned(), &mut fields);
        assert_eq!(out, "user=romeo|");
        assert_eq!(texts(&out, &fields), ["omeo|", "user=romeo|", "us"]);
    }

    proptest! {
        #[test]
        fn fields_keep_their_text(spans in prop::collection::vec((0_u32..60, 0_u32..60), 0..30)) {
            let text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567";
            let mut fields: Vec<_> =
                spans.iter().map(|&(a, b)| field((a.min(b), a.max(b)))).collect();
            let before = texts(text, &fields);
            let referenced: Vec<char> = before.concat().chars().collect();
            let out = compact(text.to_owned(), &mut fields);
            prop_assert_eq!(texts(&out, &fields), before);
            prop_assert!(out.chars().all(|c| referenced.contains(&c)));
        }
    }
}
