//! What mapping files say, as plain checked data. `library` makes it; other stages read it.

use crate::problem::Problem;

/// A result whose error is everything that is wrong, not only the first thing.
pub type Checked<T> = Result<T, Vec<Problem>>;

/// Memory per connection id: a mapping's `[session]` table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SessionSpec {
    /// Field that holds the connection's id.
    pub id: String,
    /// Globs on the id: only these are connections. Empty: all are.
    pub matching: Vec<String>,
    /// Kinds that open a connection: what was known of that id before is forgotten.
    pub starts: Vec<String>,
    /// Kinds that close it.
    pub ends: Vec<String>,
    /// Fields that later events of the connection inherit.
    pub keep: Vec<String>,
}

/// A privacy profile: a file of `mappings/privacy`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrivacySpec {
    /// The profile's name (its file's).
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// What is done with fields that `fields` does not name.
    pub default: Treatment,
    /// Field name or glob (`xmpp.stanza.*`) → what is done with it. An exact name goes before a glob, a longer
    /// glob before a shorter one.
    pub fields: Vec<(String, Treatment)>,
    /// What is done with the text of a line that no binding knew.
    pub unrecognised: UnrecognisedText,
}

/// What is done with a field's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Treatment {
    /// Ship it as it is.
    #[default]
    Keep,
    /// Leave it out.
    Drop,
    /// Ship only how long it is.
    Length,
    /// Ship an address's network only (/24, /48).
    Truncate,
    /// Ship a keyed token instead.
    Pseudonym,
}

impl Treatment {
    /// All of them, with the words that mapping files use.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("keep", Self::Keep),
        ("drop", Self::Drop),
        ("length", Self::Length),
        ("truncate", Self::Truncate),
        ("pseudonym", Self::Pseudonym),
    ];
}

/// What is done with the text of a line that no binding knew.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnrecognisedText {
    /// Ship it.
    #[default]
    Keep,
    /// Ship it with addresses, JIDs, keys and quoted runs treated like the fields they would be.
    Treat,
    /// Ship its template hash and its length.
    Hash,
}

impl UnrecognisedText {
    /// All of them, with the words that mapping files use.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("keep", Self::Keep), ("treat", Self::Treat), ("hash", Self::Hash)];
}
