//! What is known of the connections of one file: a map from ids, in the order in which they were last seen.

use std::{collections::HashMap, sync::Arc};

use crate::event::{Event, Raw, Span, Time, Value};

/// No slot.
const NONE: u32 = u32::MAX;

/// What is known of one connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// `towline.session.id`, where the opening was seen.
    pub(crate) session: Option<[u8; 32]>,
    /// Time of its latest event.
    pub(crate) seen: Time,
    /// Per field that is remembered: its value. Text refers to `text`.
    values: Vec<Option<Value>>,
    text: Vec<u8>,
}

impl Connection {
    /// A connection of which nothing is known but perhaps that it was opened.
    pub(crate) fn new(session: Option<[u8; 32]>, seen: Time) -> Self {
        Self { session, seen, ..Self::default() }
    }

    /// The value at a place, and its bytes if it is text.
    pub(crate) fn value(&self, place: usize) -> Option<(Value, &[u8])> {
        let value = self.values.get(place).copied().flatten()?;
        Some((value, self.bytes(value)))
    }

    /// Whether exactly this value is remembered at a place.
    pub(crate) fn has(&self, place: usize, value: Value, bytes: &[u8]) -> bool {
        match self.value(place) {
            Some((Value::Text(_), known)) => matches!(value, Value::Text(_)) && known == bytes,
            Some((known, _)) => known == value,
            None => false,
        }
    }

    /// Bytes of text that are remembered.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    fn bytes(&self, value: Value) -> &[u8] {
        match value {
            Value::Text(span) => self.text.get(span.range()).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Whether the remembered value at a place is another than this one. Names differ whatever their case.
    pub(crate) fn contradicts(&self, place: usize, value: Value, event: &Event<Raw>) -> bool {
        match (self.value(place), value) {
            (None, _) => false,
            (Some((Value::Text(_), known)), Value::Text(span)) => {
                !known.eq_ignore_ascii_case(event.slice(span))
            }
            (Some((known, _)), value) => known != value,
        }
    }

    /// Remembers a value in the place of another. What it replaces is cleared away with the text of all others.
    pub(crate) fn remember(&mut self, place: usize, value: Value, bytes: &[u8], places: usize) {
        self.forget(place);
        self.values.resize(places, None);
        let value = match value {
            Value::Text(_) => Value::Text(append(&mut self.text, bytes)),
            other => other,
        };
        if let Some(slot) = self.values.get_mut(place) {
            *slot = Some(value);
        }
    }

    /// Forgets the value at a place.
    pub(crate) fn forget(&mut self, place: usize) {
        let Some(Value::Text(_)) = self.values.get_mut(place).and_then(Option::take) else {
            return;
        };
        let old = std::mem::take(&mut self.text);
        for value in self.values.iter_mut().flatten() {
            if let Value::Text(span) = value {
                *span = append(&mut self.text, old.get(span.range()).unwrap_or_default());
            }
        }
    }

    fn size(&self) -> usize {
        size_of::<Slot>()
            + self.text.capacity()
            + self.values.capacity() * size_of::<Option<Value>>()
    }
}

fn append(text: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let small = |n| u32::try_from(n).unwrap_or(u32::MAX);
    let start = text.len();
    text.extend_from_slice(bytes);
    Span { start: small(start), end: small(text.len()) }
}

#[derive(Debug)]
struct Slot {
    id: Arc<[u8]>,
    /// The neighbour that was seen later.
    newer: u32,
    /// The neighbour that was seen before.
    older: u32,
    /// Bytes that it counted for when it was last touched.
    size: usize,
    connection: Connection,
}

/// The connections of one file.
#[derive(Debug)]
pub(crate) struct Table {
    places: HashMap<Arc<[u8]>, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    bytes: usize,
    /// When it was last used, in uses of the memory.
    pub(crate) used: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            bytes: 0,
            used: 0,
        }
    }
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes that its connections take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The connection of an id, which becomes the latest.
    pub(crate) fn find(&mut self, id: &[u8]) -> Option<&mut Connection> {
        let place = *self.places.get(id)?;
        if place != self.newest {
            self.unlink(place);
            self.link(place);
        }
        Some(&mut self.slots[place as usize].connection)
    }

    /// Counts the bytes of the connection of an id again, after it changed.
    pub(crate) fn measure(&mut self, id: &[u8]) {
        if let Some(place) = self.places.get(id) {
            let slot = &mut self.slots[*place as usize];
            let size = slot.id.len() + slot.connection.size();
            self.bytes = self.bytes - slot.size + size;
            slot.size = size;
        }
    }

    /// Puts a connection in the place of one with the same id, if there is one.
    pub(crate) fn insert(&mut self, id: &[u8], connection: Connection) -> &mut Connection {
        self.remove(id);
        let id: Arc<[u8]> = id.into();
        let size = id.len() + connection.size();
        let slot = Slot { id: id.clone(), newer: NONE, older: NONE, size, connection };
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        self.bytes += size;
        self.places.insert(id, place);
        self.link(place);
        &mut self.slots[place as usize].connection
    }

    pub(crate) fn remove(&mut self, id: &[u8]) {
        if let Some(place) = self.places.remove(id) {
            self.unlink(place);
            let slot = &mut self.slots[place as usize];
            self.bytes -= slot.size;
            slot.connection = Connection::default();
            slot.id = Arc::default();
            self.free.push(place);
        }
    }

    /// Forgets the connection that was quiet longest. False if there is none.
    pub(crate) fn remove_oldest(&mut self) -> bool {
        let Some(slot) = self.slots.get(self.oldest as usize) else { return false };
        let id = slot.id.clone();
        self.remove(&id);
        true
    }

    fn link(&mut self, place: u32) {
        let before = self.newest;
        let slot = &mut self.slots[place as usize];
        (slot.newer, slot.older) = (NONE, before);
        match self.slots.get_mut(before as usize) {
            Some(before) => before.newer = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }

    fn unlink(&mut self, place: u32) {
        let (newer, older) = {
            let slot = &self.slots[place as usize];
            (slot.newer, slot.older)
        };
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// The same as a plain list, oldest first.
    fn check(operations: Vec<(u8, u8)>) -> Result<(), TestCaseError> {
        let mut table = Table::default();
        let mut model = VecDeque::<u8>::new();
        for (operation, id) in operations {
            let at = model.iter().position(|known| *known == id);
            match operation {
                0 => {
                    table.insert(&[id], Connection::default());
                    at.map(|at| model.remove(at));
                    model.push_back(id);
                }
                1 => {
                    prop_assert_eq!(table.find(&[id]).is_some(), at.is_some());
                    if let Some(at) = at {
                        model.remove(at);
                        model.push_back(id);
                    }
                }
                2 => {
                    table.remove(&[id]);
                    at.map(|at| model.remove(at));
                }
                _ => {
                    prop_assert_eq!(table.remove_oldest(), model.pop_front().is_some());
                }
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(table.slots.len(), model.len() + table.free.len());
        }
        while let Some(oldest) = model.pop_front() {
            prop_assert_eq!(&*table.slots[table.oldest as usize].id, &[oldest]);
            table.remove_oldest();
        }
        prop_assert_eq!((table.len(), table.bytes()), (0, 0));
        Ok(())
    }

    proptest! {
        #[test]
        fn a_table_is_a_list_with_an_index(
            operations in prop::collection::vec((0_u8..4, 0_u8..6), 0..60),
        ) {
            check(operations)?;
        }
    }
}
