//! The placeholder language, shared by line templates and message patterns: literal text and typed captures.
//!
//! `{name}` or `{name:type}` or `{name:type('argument')}`; `{{` and `}}` are braces. [`TYPES`] lists the types. A capture
//! takes the shortest run that lets the rest match (`longest` the longest); types that say themselves where they end
//! (an address, a number, a time, a quoted run …) take just that.
//!
//! Matching is backtracking with a budget of steps that grows linearly with the text: a pattern cannot be made slow by
//! what it is given. When the budget is exhausted, there is no match.

mod compile;
mod matching;
mod value;

use std::fmt;

use memchr::memmem::Finder;
use regex_automata::meta::Regex;

use super::{record::Scalar, time::TimeFormat};

pub use value::unescape;

/// Most pieces (literals and captures) of one template.
pub const PIECES_MAX: usize = 64;

/// The types that a placeholder may have, and what each takes.
pub const TYPES: &[(&str, &str)] = &[
    ("word", "a run without white space (the default)"),
    ("text", "any bytes, as few as possible, maybe none"),
    ("longest", "any bytes, as many as possible"),
    ("rest", "everything to the end, maybe nothing"),
    ("until", "any bytes up to the first occurrence of its argument, maybe none"),
    ("until_tab", "any bytes up to the first tab, maybe none"),
    ("quoted", "a run in double or single quotes, without them"),
    ("ip", "an IPv4 or IPv6 address, also in brackets"),
    ("port", "a number from 0 to 65535"),
    ("int", "an integer"),
    ("hex", "a run of hexadecimal digits, maybe after 0x"),
    ("float", "a decimal number"),
    ("jid", "an XMPP address, maybe in angle brackets"),
    ("user", "a name that may hold spaces, as short as possible"),
    ("tox_id", "76 hexadecimal digits"),
    ("tox_key", "64 hexadecimal digits"),
    ("time", "a time in the format of its argument"),
    ("spaces", "one or more spaces or tabs"),
    ("maybe_spaces", "spaces or tabs, maybe none"),
    ("ansi", "terminal colour sequences, maybe none"),
    ("level", "the name of a log level"),
    ("bool", "true, false, yes, no, on or off"),
    ("kv", "key=value pairs, maybe in braces, maybe none; in a line template each becomes a part"),
    ("re", "what the regular expression in its argument matches"),
];

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Template {
    pattern: String,
    pieces: Vec<Piece>,
    captures: Vec<CaptureSpec>,
}

/// What a template captures.
#[derive(Clone, Debug)]
pub struct CaptureSpec {
    /// Its name; a `$` before it says that it is only used inside the mapping. `_` for pairs that are only spread.
    pub name: String,
    /// What it takes.
    pub ty: CaptureType,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes.
    Literal(Box<Literal>),
    /// A capture of this type; `slot` is its index in [`Template::captures`], if it is kept.
    Capture {
        /// What it takes.
        ty: CaptureType,
        /// Where its value goes.
        slot: Option<u16>,
    },
}

/// Literal bytes of a template.
#[derive(Clone)]
pub struct Literal {
    bytes: Box<[u8]>,
    finder: Finder<'static>,
}

impl Literal {
    fn boxed(bytes: &[u8]) -> Box<Self> {
        Box::new(Self { bytes: bytes.into(), finder: Finder::new(bytes).into_owned() })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.bytes))
    }
}

/// The type of a capture. [`TYPES`] says what each takes.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is a line of TYPES")]
pub enum CaptureType {
    Word,
    Text,
    Longest,
    Rest,
    Until(Box<Literal>),
    Quoted,
    Ip,
    Port,
    Int,
    Hex,
    Float,
    Jid,
    User,
    ToxId,
    ToxKey,
    Time(TimeFormat),
    Spaces,
    MaybeSpaces,
    Ansi,
    Level,
    Bool,
    Kv,
    Re(Box<Regex>),
}

/// A captured value. A [`Scalar::Text`] is a range of the matched text: see [`super::Slice::within`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Captured {
    /// Which capture: an index in [`Template::captures`].
    pub slot: u16,
    /// Its value.
    pub value: Scalar,
    /// The text has backslash escapes, which [`unescape`] resolves.
    pub escaped: bool,
}

/// A pattern that cannot be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// Byte of the pattern where it went wrong.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Template {
    /// The pattern that it was compiled from.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// What is captured, in order. A match yields exactly one value for each.
    #[must_use]
    pub fn captures(&self) -> &[CaptureSpec] {
        &self.captures
    }

    /// Literals and captures, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The literal that every match begins with; empty if it begins with a capture.
    #[must_use]
    pub fn leading_literal(&self) -> &[u8] {
        match self.pieces.first() {
            Some(Piece::Literal(literal)) => literal.bytes(),
            _ => &[],
        }
    }

    /// The longest literal, which every match contains; empty if there is none.
    #[must_use]
    pub fn longest_literal(&self) -> &[u8] {
        let literals = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(literal) => Some(literal.bytes()),
            Piece::Capture { .. } => None,
        });
        literals.max_by_key(|bytes| bytes.len()).unwrap_or_default()
    }

    /// How many bytes of literal text there are: the more, the more specific is the template.
    #[must_use]
    pub fn literal_bytes(&self) -> usize {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(literal) => literal.bytes().len(),
                Piece::Capture { .. } => 0,
            })
            .sum()
    }
}

#[cfg(test)]
mod tests;
