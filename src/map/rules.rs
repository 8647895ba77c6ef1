//! What a compiled mapping is made of.

use super::{
    coerce::Constant,
    jid::JidPart,
    names::NameId,
    source::{Test, Wanted},
};
use crate::{
    event::{FieldId, KindId},
    parse::Template,
};

/// One pattern of a binding, or its conditions alone.
#[derive(Clone, Debug)]
pub(crate) struct Alternative {
    /// Index of its binding.
    pub(crate) binding: usize,
    pub(crate) template: Option<Template>,
    /// Conditions on the record: cheap, so they are looked at before the pattern.
    pub(crate) before: Vec<Check>,
    /// Conditions on captures.
    pub(crate) after: Vec<Check>,
    /// Per capture of the template: where it goes.
    pub(crate) targets: Vec<Target>,
    pub(crate) kind: KindRule,
    pub(crate) from: Vec<Copying>,
}

/// What all alternatives of a binding have in common.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) severity: Option<u8>,
    pub(crate) constants: Vec<(FieldId, Constant)>,
}

/// Where a captured value goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    Field(FieldId),
    Time,
    /// It is only used inside the mapping.
    Nothing,
}

/// How a binding's kind is found.
#[derive(Clone, Debug)]
pub(crate) enum KindRule {
    Fixed(KindId),
    /// The name is put together for each record, with the first of some values that is there.
    Built {
        prefix: Box<str>,
        lookups: Vec<Lookup>,
        suffix: Box<str>,
    },
}

/// A field that takes the first of some values that is there.
#[derive(Clone, Debug)]
pub(crate) struct Copying {
    pub(crate) field: FieldId,
    /// The field takes several values.
    pub(crate) array: bool,
    pub(crate) lookups: Vec<Lookup>,
}

/// A value by its name; where there is none, the part of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lookup {
    pub(crate) whole: Option<Origin>,
    pub(crate) part: Option<(Origin, JidPart)>,
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// A capture of the pattern.
    Capture(u16),
    /// A part of the record.
    Name(NameId),
}

/// A condition.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) lookup: Lookup,
    pub(crate) test: Test,
}

impl Test {
    /// Whether a value (`None`: there is none) passes.
    pub(crate) fn holds(&self, text: Option<&[u8]>) -> bool {
        match (self, text) {
            (Test::There, text) => text.is_some(),
            (Test::Absent, text) => text.is_none(),
            (Test::OneOf(_), None) => false,
            (Test::OneOf(wanted), Some(text)) => wanted.iter().any(|wanted| wanted.fits(text)),
        }
    }
}

impl Wanted {
    fn fits(&self, text: &[u8]) -> bool {
        match self {
            Wanted::Exact(exact) => exact.as_bytes() == text,
            Wanted::Glob(glob) => super::glob::matches(glob.as_bytes(), text),
        }
    }
}
