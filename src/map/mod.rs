//! Record → event: meaning, from mapping files. Does no I/O but in `library`, and knows no program by name.
//!
//! ```text
//! mappings/ ── tree, overlay ──► Library ── source, compile ──► Mapping
//!                                                                 │
//! Record ── dispatch: which bindings can match ── the first that does ──► Event<Raw>
//! ```
//!
//! Whatever a record holds, it becomes exactly one event: an unrecognised one if no binding knows it. Values have
//! the type of their field; what does not fit is kept as text in `towline.uncoerced`.

mod catalogue;
pub mod check;
mod coerce;
mod compile;
mod dispatch;
mod emit;
mod engine;
mod example;
mod fields;
mod fill;
pub mod glob;
mod index;
mod jid;
mod layout;
pub mod library;
mod names;
mod privacy;
mod read;
mod rules;
mod scratch;
mod shipped;
mod source;
pub mod spec;
mod tree;
mod view;

pub use check::check;
pub use engine::{Mapping, Origin};
pub use library::Library;
pub use scratch::Scratch;
pub use shipped::files as shipped_files;
pub use source::SourceSpec;
pub use spec::{Checked, PrivacySpec, SessionSpec, Treatment, UnrecognisedText};
pub use tree::{File, Layer};

#[cfg(test)]
mod tests;
