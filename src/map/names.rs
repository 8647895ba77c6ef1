//! Fast look-up of the byte strings that a mapping names.
//!
//! The keys come from mapping files, never from a log, so nobody who writes log lines can make keys collide: a
//! hash without a secret is enough, and it costs a third of the standard one.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Odd, with well spread bits (the golden ratio).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Multiplies eight bytes at a time.
#[derive(Default)]
pub(crate) struct Fast(u64);

impl Fast {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(MULTIPLIER);
    }
}

impl Hasher for Fast {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let last = rest.iter().fold(rest.len() as u64, |word, &byte| word << 8 | u64::from(byte));
        self.add(last);
    }

    // Only the length prefix of slices comes here; `write` has mixed the length in already.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
}

/// A map from byte strings of mapping files.
pub(crate) type FastMap<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<Fast>>;

/// A record name that the mapping has a use for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct NameId(pub(crate) u16);

/// Gives each name an id, in the order of first mention.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    ids: FastMap<NameId>,
}

impl Names {
    /// The id of a name, a new one if it is not known yet. Beyond 65,535 names all share the last id.
    pub(crate) fn add(&mut self, name: &str) -> NameId {
        let next = NameId(u16::try_from(self.ids.len()).unwrap_or(u16::MAX));
        *self.ids.entry(name.as_bytes().into()).or_insert(next)
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<NameId> {
        self.ids.get(name).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        let mut names = Names::default();
        let all: Vec<_> = (0..2_000).map(|n| format!("some.name.{n}")).collect();
        let ids: Vec<_> = all.iter().map(|name| names.add(name)).collect();
        for (name, id) in all.iter().zip(&ids) {
            assert_eq!(names.find(name.as_bytes()), Some(*id));
            assert_eq!(names.add(name), *id);
        }
        assert_eq!(names.len(), 2_000);
        assert_eq!(names.find(b"some.name"), None);
    }

    #[test]
    fn hashes_spread() {
        let hash = |text: &str| {
            let mut fast = Fast::default();
            fast.write(text.as_bytes());
            fast.finish()
        };
        let mut low: Vec<_> = (0..1_000).map(|n| hash(&format!("tox.event.{n}")) & 0xfff).collect();
        low.sort_unstable();
        low.dedup();
        // 1,000 random values out of 4,096 hit about 887 different ones.
        assert!(low.len() > 800, "{}", low.len());
        assert_ne!(hash("a"), hash("a\0"));
    }
}
