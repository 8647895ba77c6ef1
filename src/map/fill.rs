//! The fields of an event, from what a mapping found in its record.

use super::{
    Mapping, Origin, Scratch,
    compile::ADDRESSES,
    emit::{Emit, From},
    names::NameId,
    rules::{self, Copying, Target},
    view::View,
};
use crate::{
    event::{Event, EventId, Raw, field},
    parse::{Captured, Record, template},
};

impl Mapping {
    /// Fills an event's fields, the ones that go before others first.
    pub(super) fn fill(
        &self,
        record: &Record<'_>,
        origin: &Origin<'_>,
        scratch: &mut Scratch,
        event: &mut Event<Raw>,
    ) {
        let message = self.message(record, scratch);
        let view = View { record, parts: &scratch.parts, epoch: scratch.epoch, message };
        let captured = scratch.captured.as_slice();
        let mut emit = Emit::new(self, origin, event, &mut scratch.seen, &mut scratch.text);
        if let Some(alternative) =
            scratch.matched.and_then(|rank| self.alternatives.get(rank as usize))
        {
            emit.begin(From::Capture);
            for one in captured {
                let Some(found) = view.captured(*one) else { continue };
                match alternative.targets.get(usize::from(one.slot)) {
                    Some(Target::Field(id)) => {
                        emit.put(*id, found.scalar, found.text, found.escaped)
                    }
                    Some(Target::Time) => emit.time(found.scalar, found.text),
                    Some(Target::Nothing) | None => {}
                }
            }
            emit.begin(From::Binding);
            copy(&mut emit, &alternative.from, &view, &scratch.names, captured);
            emit.begin(From::BindingConstant);
            let binding = &self.bindings[alternative.binding];
            binding.constants.iter().for_each(|(id, constant)| emit.constant(*id, constant));
        }
        emit.begin(From::Source);
        copy(&mut emit, &self.from, &view, &scratch.names, captured);
        emit.begin(From::Part);
        self.pass(&mut emit, &view, &scratch.names);
        emit.begin(From::SourceConstant);
        self.constants.iter().for_each(|(id, constant)| emit.constant(*id, constant));
        emit.begin(From::Derived);
        self.connection(&mut emit, &view);
        emit.addresses(&ADDRESSES);
        emit.finish(record.line());
    }

    /// Parts of the record that are fields by name.
    fn pass(&self, emit: &mut Emit<'_>, view: &View<'_, '_>, names: &[Option<NameId>]) {
        for (part, name) in view.record.parts().iter().zip(names) {
            let Some(name) = *name else { continue };
            let found = view.of(part.value);
            if let Some(id) = self.passing.get(usize::from(name.0)).copied().flatten() {
                emit.put(id, found.scalar, found.text, false);
            } else if name == self.timestamp {
                emit.time(found.scalar, found.text);
            }
        }
    }

    /// Copies the connection's id into its field, where it is one.
    fn connection(&self, emit: &mut Emit<'_>, view: &View<'_, '_>) {
        let (Some((id, lookup)), Some(session)) = (&self.connection, &self.session) else { return };
        if *id == Some(field::CONNECTION_ID) {
            return;
        }
        let Some(found) = view.find(lookup, &[]) else { return };
        let is_one = |text: &[u8]| {
            session.matching.is_empty()
                || session.matching.iter().any(|glob| super::glob::matches(glob.as_bytes(), text))
        };
        if is_one(found.text) {
            emit.put(field::CONNECTION_ID, found.scalar, found.text, false);
        }
    }
}

fn copy(
    emit: &mut Emit<'_>,
    from: &[Copying],
    view: &View<'_, '_>,
    names: &[Option<NameId>],
    captured: &[Captured],
) {
    for one in from {
        if one.array && copy_all(emit, one, view, names) {
            continue;
        }
        if let Some(found) = one.lookups.iter().find_map(|lookup| view.find(lookup, captured)) {
            emit.put(one.field, found.scalar, found.text, found.escaped);
        }
    }
}

/// Copies all parts of the first name that is there: the elements of an array. False if there is none.
fn copy_all(
    emit: &mut Emit<'_>,
    one: &Copying,
    view: &View<'_, '_>,
    names: &[Option<NameId>],
) -> bool {
    let name = one.lookups.iter().find_map(|lookup| match lookup.whole {
        Some(rules::Origin::Name(name)) if view.name(name).is_some() => Some(name),
        _ => None,
    });
    let Some(name) = name else { return false };
    for (part, _) in view.record.parts().iter().zip(names).filter(|(_, n)| **n == Some(name)) {
        let found = view.of(part.value);
        emit.put(one.field, found.scalar, found.text, false);
    }
    true
}

/// [`EventId`]: the same for the same line of the same place, whenever it is read.
pub(super) fn identity(origin: &Origin<'_>, line: &[u8], buffer: &mut Vec<u8>) -> EventId {
    /// Number of the event among those of the same record. A record makes one.
    const ORDINAL: u32 = 0;
    buffer.clear();
    buffer.extend_from_slice(origin.agent_id);
    buffer.extend_from_slice(&origin.file.0);
    buffer.extend_from_slice(&origin.generation.to_le_bytes());
    buffer.extend_from_slice(&origin.offset.to_le_bytes());
    buffer.extend_from_slice(&ORDINAL.to_le_bytes());
    buffer.extend_from_slice(line);
    let hash = blake3::hash(buffer);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    EventId(id)
}

/// Resolves the backslash escapes of a quoted run.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    template::unescape(text, out);
}
