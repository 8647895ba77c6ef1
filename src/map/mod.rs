//! Record → event: meaning, from mapping files. Does no I/O but in `library`, and knows no program by name.

pub mod spec;

pub use spec::{CefKey, CefTable, Checked, PrivacySpec, SessionSpec, Treatment, UnrecognisedText};
