//! Looking values up: captures of a pattern, parts of a record, parts of addresses in either.

use super::{
    coerce::write_scalar,
    jid::Jid,
    names::NameId,
    rules::{self, Check, Lookup},
};
use crate::parse::{Captured, Record, Scalar, Slice};

/// A record whose parts have been found, for the look-ups of one mapping.
pub(super) struct View<'v, 'l> {
    pub(super) record: &'v Record<'l>,
    pub(super) parts: &'v [(u32, u16)],
    pub(super) epoch: u32,
    /// The message, of which captures are slices.
    pub(super) message: Option<Slice>,
}

/// A value that was looked up.
#[derive(Clone, Copy)]
pub(super) struct Found<'v> {
    pub(super) scalar: Scalar,
    pub(super) text: &'v [u8],
    /// The text has backslash escapes.
    pub(super) escaped: bool,
}

impl<'v> View<'v, '_> {
    pub(super) fn name(&self, name: NameId) -> Option<Scalar> {
        let (epoch, part) = *self.parts.get(usize::from(name.0))?;
        if epoch != self.epoch {
            return None;
        }
        Some(self.record.parts().get(usize::from(part))?.value).filter(|v| *v != Scalar::Null)
    }

    pub(super) fn of(&self, scalar: Scalar) -> Found<'v> {
        let text = match scalar {
            Scalar::Text(slice) => self.record.text(slice),
            _ => &[],
        };
        Found { scalar, text, escaped: false }
    }

    pub(super) fn captured(&self, captured: Captured) -> Option<Found<'v>> {
        let scalar = match captured.value {
            Scalar::Text(slice) => Scalar::Text(slice.within(self.message?)),
            other => other,
        };
        Some(Found { escaped: captured.escaped, ..self.of(scalar) })
    }

    fn origin(&self, origin: rules::Origin, captured: &[Captured]) -> Option<Found<'v>> {
        match origin {
            rules::Origin::Name(name) => self.name(name).map(|scalar| self.of(scalar)),
            rules::Origin::Capture(slot) => {
                self.captured(*captured.iter().find(|captured| captured.slot == slot)?)
            }
        }
    }

    /// A value by its name. An empty text counts as not there.
    pub(super) fn find(&self, lookup: &Lookup, captured: &[Captured]) -> Option<Found<'v>> {
        let whole = lookup.whole.and_then(|origin| self.origin(origin, captured));
        let filled =
            |found: &Found<'_>| !matches!(found.scalar, Scalar::Text(_)) || !found.text.is_empty();
        if let Some(found) = whole.filter(filled) {
            return Some(found);
        }
        let (origin, part) = lookup.part?;
        let found = self.origin(origin, captured)?;
        let text = Jid::split(found.text).part(part);
        (!text.is_empty()).then_some(Found { text, ..found })
    }

    pub(super) fn holds(&self, check: &Check, captured: &[Captured], buffer: &mut Vec<u8>) -> bool {
        let found = self.find(&check.lookup, captured);
        let text = found.map(|found| match found.scalar {
            Scalar::Text(_) => found.text,
            scalar => {
                buffer.clear();
                write_scalar(scalar, buffer);
                buffer.as_slice()
            }
        });
        check.test.holds(text)
    }
}
