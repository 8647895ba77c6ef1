//! Line → [`Record`]: syntax, no meaning. Knows how frameworks and programs *write*, not what they say.
//!
//! ```text
//! bytes ── Layout::records ──► spans of records ── Layout::parse ──► Record
//!                                                   │ syslog header, then JSON or line templates
//! ```
//!
//! Pure: no I/O, no clock (what a log does not say comes in as a [`Clock`]). Everything here is total: any bytes
//! give a record, at worst one whose only part is `message`, the whole line.

pub mod json;
pub mod layout;
pub mod logfmt;
mod names;
pub mod record;
#[cfg(test)]
mod speed;
pub mod syslog;
pub mod template;
pub mod time;

pub use layout::{Cut, Format, Layout, LayoutError, LayoutSpec, StartRule, detect};
pub use record::{Name, Part, Record, Scalar, Slice};
pub use template::{CaptureSpec, CaptureType, Captured, Piece, Template, TemplateError};
pub use time::{Clock, TimeFormat};
