//! `Event<Raw>` → `Event<Clean>`.

use std::sync::Arc;

use super::{
    Clean, append,
    compact::compact,
    limits::{self, Limits, Original},
    push_text,
    secrets::{REDACTED, Secrets, names_secret},
    slice,
    text::{self, Mode},
    text_span,
};
use crate::event::{Event, Field, FieldId, Raw, Span, Tables, Value, field};

/// Tag of an event from which [`Mode::Reject`] left out a field.
pub const TAG_REJECTED: &str = "unsafe-text-rejected";

/// Makes text safe. One for all events; shared between threads.
#[derive(Debug)]
pub struct Guard {
    mode: Mode,
    tables: Arc<Tables>,
    limits: Limits,
    secrets: Secrets,
    /// Per field: its name says that it holds a secret.
    secret: Vec<bool>,
}

/// What a text was before it was escaped. Without one, source and text are the same.
struct Source {
    bytes: Vec<u8>,
    /// Per field: its span in `bytes`, if it is text.
    spans: Vec<Option<Span>>,
}

impl Guard {
    /// A guard for events of these tables.
    #[must_use]
    pub fn new(mode: Mode, tables: Arc<Tables>) -> Self {
        let limits = Limits::new(&tables);
        let secret = tables.fields().iter().map(|def| names_secret(&def.name)).collect();
        Self { mode, tables, limits, secrets: Secrets::new(), secret }
    }

    /// Makes all text of an event safe, takes secrets out of it and cuts what is too long.
    #[must_use]
    pub fn clean(&self, event: Event<Raw>) -> Event<Clean> {
        let Event { kind, recognised, id, time, created, severity, mut fields, text } = event;
        keep_inside(&mut fields, text.0.len());
        let (text, source) = self.escape(text.0, &mut fields);
        let text = self.shorten(text, source, &mut fields);
        Event { kind, recognised, id, time, created, severity, fields, text: Clean(text) }
    }

    /// Text that needs nothing (nearly all) becomes a string without a copy, and no span moves.
    fn escape(&self, raw: Vec<u8>, fields: &mut Vec<Field>) -> (String, Option<Source>) {
        if !text::needs_nothing(&raw) {
            return self.escape_slowly(raw, fields);
        }
        match String::from_utf8(raw) {
            Ok(text) if on_boundaries(&text, fields) => (text, None),
            Ok(text) => self.escape_slowly(text.into_bytes(), fields),
            Err(not_utf8) => self.escape_slowly(not_utf8.into_bytes(), fields),
        }
    }

    fn escape_slowly(&self, bytes: Vec<u8>, fields: &mut Vec<Field>) -> (String, Option<Source>) {
        let before = fields.len();
        if self.mode == Mode::Reject {
            fields.retain(|field| !is_rejected(&bytes, field));
        }
        let rejected = fields.len() < before;
        let mut text = String::with_capacity(bytes.len() + bytes.len() / 4);
        let moves = text::clean_into(&bytes, self.mode, &mut text);
        let mut spans = fields.iter().map(text_span).collect::<Vec<_>>();
        for (field, source) in fields.iter_mut().zip(&spans) {
            if let (Value::Text(span), Some(source)) = (&mut field.value, source) {
                *span = moved(&moves, &text, *source)
                    .unwrap_or_else(|| self.escape_alone(&bytes, *source, &mut text));
            }
        }
        if rejected {
            push_text(&mut text, fields, field::TAGS, TAG_REJECTED);
            spans.push(None);
        }
        (text, Some(Source { bytes, spans }))
    }

    /// Escapes one field's bytes by themselves: its span ends inside a character of the whole buffer, so that the
    /// part it has is no UTF-8.
    fn escape_alone(&self, bytes: &[u8], span: Span, text: &mut String) -> Span {
        let bytes = bytes.get(span.range()).unwrap_or_default();
        let bytes = &bytes[..bytes.len().min(2 * limits::TEXT_BYTES_MAX)];
        let mut alone = String::new();
        text::clean_into(bytes, self.mode, &mut alone);
        append(text, &alone)
    }

    /// Takes secrets out and cuts what is too long.
    fn shorten(&self, mut text: String, source: Option<Source>, fields: &mut Vec<Field>) -> String {
        let suspicious = self.secrets.may_be_in(&text);
        let mut rewritten = false;
        let mut notes = Vec::new();
        for (n, field) in fields.iter_mut().enumerate() {
            let Value::Text(span) = &mut field.value else { continue };
            let before = *span;
            let redacted = self.redact(slice(&text, before), field.id, suspicious);
            if let Some(redacted) = &redacted {
                *span = append(&mut text, redacted);
                rewritten = true;
            }
            let limit = self.limits.of(field.id);
            if span.len() > limit {
                let end = text::cut(slice(&text, *span), limit);
                span.end = span.start + u32::try_from(end).unwrap_or_default();
                rewritten = true;
                let bytes = match &source {
                    Some(source) => source.of(n),
                    None => slice(&text, before).as_bytes(),
                };
                let original = match redacted {
                    Some(_) => Original::Redacted { length: bytes.len() },
                    None => Original::Bytes(bytes),
                };
                notes.push(limits::note(&self.tables.field(field.id).name, original));
            }
        }
        for note in notes {
            push_text(&mut text, fields, field::TRUNCATED, &note);
        }
        if rewritten { compact(text, fields) } else { text }
    }

    /// A field's text without secrets, if it has some.
    fn redact(&self, text: &str, id: FieldId, suspicious: bool) -> Option<String> {
        if self.secret.get(usize::from(id.0)).copied().unwrap_or_default() && !text.is_empty() {
            return Some(REDACTED.to_owned());
        }
        if suspicious { self.secrets.redact(text) } else { None }
    }
}

impl Source {
    fn of(&self, field: usize) -> &[u8] {
        let span = self.spans.get(field).copied().flatten().unwrap_or_default();
        self.bytes.get(span.range()).unwrap_or_default()
    }
}

/// A span outside of the event's text refers to nothing.
fn keep_inside(fields: &mut [Field], len: usize) {
    for field in fields {
        if let Value::Text(span) = &mut field.value
            && (span.start > span.end || span.end as usize > len)
        {
            *span = Span::default();
        }
    }
}

fn on_boundaries(text: &str, fields: &[Field]) -> bool {
    fields.iter().filter_map(text_span).all(|span| is_on_boundaries(text, span))
}

fn is_on_boundaries(text: &str, span: Span) -> bool {
    text.is_char_boundary(span.start as usize) && text.is_char_boundary(span.end as usize)
}

fn is_rejected(bytes: &[u8], field: &Field) -> bool {
    text_span(field).is_some_and(|s| text::has_unsafe(bytes.get(s.range()).unwrap_or_default()))
}

fn moved(moves: &text::Moves, text: &str, source: Span) -> Option<Span> {
    let span = Span { start: moves.place(source.start)?, end: moves.place(source.end)? };
    is_on_boundaries(text, span).then_some(span)
}
