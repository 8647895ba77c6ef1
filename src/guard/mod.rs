//! Makes text safe (`text`), takes secrets out (`secrets`) and makes events private (`privacy`): the only maker of
//! [`Clean`] and [`Shippable`].
//!
//! ```text
//! Event<Raw> ─► escape ─► redact secrets ─► limit lengths ─► Event<Clean> ─► privacy profile ─► Event<Shippable>
//! ```
//!
//! Invariants. Clean text has no character that could end, forge or disguise a line, and no password, token or key
//! that `secrets` knows. Every span of a clean or shippable event lies on character boundaries of its text. The text
//! of a shippable event holds what its fields refer to and nothing else. Neither type can be made from a string
//! elsewhere: both have private fields and no conversion, and the spool's way back is [`Shippable::revalidate`].
//!
//! Pure: no I/O, no clock.

mod bodies;
mod clean;
mod compact;
mod limits;
mod privacy;
mod secrets;
mod syntax;
mod text;
mod tokens;
mod words;

use std::fmt;

pub use self::{
    clean::{Guard, TAG_REJECTED},
    limits::{KEYWORD_BYTES_MAX, TEXT_BYTES_MAX},
    privacy::{Privacy, ProfileError},
    secrets::REDACTED,
    text::{Mode, unescape},
};
use crate::event::{Field, FieldId, Span, Text, Value};

/// Text without control characters, forged line ends or bidi tricks; valid UTF-8. Made by `guard` alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Clean(String);

/// Clean text that went through the privacy profile. Made by `guard` alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shippable(String);

impl Text for Clean {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Text for Shippable {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Shippable {
    /// All the text of an event.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The way back from disk: takes stored text only if it is still clean.
    ///
    /// # Errors
    ///
    /// [`NotClean`] if the bytes are not UTF-8 or have an unsafe character: then they are not what was stored.
    pub fn revalidate(text: Vec<u8>) -> Result<Self, NotClean> {
        if !text::is_clean(&text) {
            return Err(NotClean);
        }
        String::from_utf8(text).map(Self).map_err(|_| NotClean)
    }
}

/// The shortest key of pseudonyms, bytes.
pub const KEY_BYTES_MIN: usize = tokens::Tokens::KEY_BYTES_MIN;

/// Stored text has an unsafe character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotClean;

impl fmt::Display for NotClean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stored text has a control character or is not UTF-8: it was altered after it was written")
    }
}

impl std::error::Error for NotClean {}

/// The span of a text value.
fn text_span(field: &Field) -> Option<Span> {
    match field.value {
        Value::Text(span) => Some(span),
        _ => None,
    }
}

/// Adds text behind the buffer and says where it is. Spans fit into `u32`: a record is a few MiB at most.
fn append(text: &mut String, value: &str) -> Span {
    let small = |n| u32::try_from(n).unwrap_or(u32::MAX);
    let start = text.len();
    text.push_str(value);
    Span { start: small(start), end: small(text.len()) }
}

/// Adds a text field.
fn push_text(text: &mut String, fields: &mut Vec<Field>, id: FieldId, value: &str) {
    let span = append(text, value);
    fields.push(Field { id, value: Value::Text(span) });
}

/// The text of a span; empty for a span outside of it.
fn slice(text: &str, span: Span) -> &str {
    text.get(span.range()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
