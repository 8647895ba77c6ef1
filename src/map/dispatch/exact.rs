//! Bindings without a pattern: found by the hash of a value that one of their conditions names exactly.

use super::{Candidates, Rank};
use crate::map::names::{FastMap, NameId};

/// What a `when`-only binding is found by.
#[derive(Clone, Debug)]
pub(crate) enum Key<'s> {
    /// A name has one of these values.
    Values(NameId, Vec<&'s str>),
    /// A name is there.
    There(NameId),
    /// Nothing: it has to be tried always.
    Always,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExactIndex {
    values: Vec<(NameId, FastMap<Vec<Rank>>)>,
    there: Vec<(NameId, Vec<Rank>)>,
    always: Vec<Rank>,
}

impl ExactIndex {
    /// Puts a binding in.
    pub(crate) fn add(&mut self, key: Key<'_>, rank: Rank) {
        match key {
            Key::Values(name, values) => {
                let map = of(&mut self.values, name);
                for value in values {
                    map.entry(value.as_bytes().into()).or_default().push(rank);
                }
            }
            Key::There(name) => of(&mut self.there, name).push(rank),
            Key::Always => self.always.push(rank),
        }
    }

    /// Adds the bindings whose key a record has. `value` writes the text of the record's value of a name and says
    /// whether there is one.
    pub(crate) fn find(
        &self,
        text: &mut Vec<u8>,
        mut value: impl FnMut(NameId, &mut Vec<u8>) -> bool,
        found: &mut Candidates,
    ) {
        for (name, map) in &self.values {
            text.clear();
            if value(*name, text) {
                found.touched += text.len();
                if let Some(ranks) = map.get(text.as_slice()) {
                    found.ranks.extend_from_slice(ranks);
                }
            }
        }
        for (name, ranks) in &self.there {
            text.clear();
            if value(*name, text) {
                found.ranks.extend_from_slice(ranks);
            }
        }
        found.ranks.extend_from_slice(&self.always);
    }
}

fn of<T: Default>(all: &mut Vec<(NameId, T)>, name: NameId) -> &mut T {
    let at = all.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
        all.push((name, T::default()));
        all.len() - 1
    });
    &mut all[at].1
}
