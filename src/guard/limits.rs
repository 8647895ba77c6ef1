//! How long a field's text may be, and what is said of one that was longer.

use std::fmt::Write;

use crate::event::{FieldId, FieldType, Tables};

/// Longest text of a short field (`keyword`), in bytes.
pub const KEYWORD_BYTES_MAX: usize = 1_024;

/// Longest text of a long field (`text`, `event.original`, `error.stack_trace`), in bytes.
pub const TEXT_BYTES_MAX: usize = 32 * 1_024;

/// Fields that ECS types as keywords and that hold long text all the same.
const LONG: &[&str] = &["event.original", "error.stack_trace"];

/// The limit of each field of some tables.
#[derive(Debug)]
pub(crate) struct Limits(Vec<usize>);

impl Limits {
    pub(crate) fn new(tables: &Tables) -> Self {
        let limit = |def: &crate::event::FieldDef| {
            if def.ty == FieldType::Text || LONG.contains(&def.name.as_str()) {
                TEXT_BYTES_MAX
            } else {
                KEYWORD_BYTES_MAX
            }
        };
        Self(tables.fields().iter().map(limit).collect())
    }

    pub(crate) fn of(&self, id: FieldId) -> usize {
        self.0.get(usize::from(id.0)).copied().unwrap_or(KEYWORD_BYTES_MAX)
    }
}

/// What `towline.truncated` says of a field that was cut: `message length=40960 blake3=<32 digits>`. Length and hash
/// are of the field's bytes as the log has them (the first 128 bits of BLAKE3). There is no hash where a secret was
/// taken out: who knows the rest could find a short password by trying.
pub(crate) fn note(name: &str, original: Original<'_>) -> String {
    let mut note = String::with_capacity(name.len() + 64);
    let _ = match original {
        Original::Bytes(bytes) => {
            let hash = blake3::hash(bytes).to_hex();
            write!(note, "{name} length={} blake3={}", bytes.len(), &hash[..32])
        }
        Original::Redacted { length } => write!(note, "{name} length={length} redacted"),
    };
    note
}

/// The text of a field before it was cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Original<'a> {
    /// As the log has it.
    Bytes(&'a [u8]),
    /// It had a secret.
    Redacted {
        /// Bytes in the log.
        length: usize,
    },
}
