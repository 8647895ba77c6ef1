//! Buffers that mapping reuses from record to record.

use super::{
    dispatch::{Candidates, Rank},
    emit::Seen,
    names::{NameId, Names},
};
use crate::parse::{Captured, Record};

/// Buffers that grow beyond this for one record are given back.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

/// Buffers that are reused from record to record. One serves any number of mappings, one after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Per name: the record in which it was seen last, and the part.
    pub(super) parts: Vec<(u32, u16)>,
    /// Per part of the record: its name, where the mapping knows it.
    pub(super) names: Vec<Option<NameId>>,
    recall: Recall,
    pub(super) epoch: u32,
    pub(super) seen: Seen,
    pub(super) candidates: Candidates,
    /// Captures of the alternative that matched, and of the one that is being tried.
    pub(super) captured: Vec<Captured>,
    pub(super) trial: Vec<Captured>,
    pub(super) text: Vec<u8>,
    pub(super) identity: Vec<u8>,
    /// Which alternative matched the last record.
    pub(super) matched: Option<Rank>,
    /// How many alternatives were tried for the last record.
    pub(super) tried: usize,
}

/// Names of the last record's parts. Records of one layout have the same names at the same places, and comparing
/// costs less than hashing.
#[derive(Debug, Default)]
struct Recall {
    /// The serial number of the mapping that gave the ids.
    serial: u64,
    names: Vec<(Vec<u8>, Option<NameId>)>,
}

impl Recall {
    /// Longer names are not remembered.
    const NAME_BYTES_MAX: usize = 64;

    fn find(&mut self, at: usize, name: &[u8], names: &Names) -> Option<NameId> {
        if let Some((known, id)) = self.names.get(at)
            && known == name
        {
            return *id;
        }
        let id = names.find(name);
        if at == self.names.len() {
            self.names.push((Vec::new(), None));
        }
        if let Some((known, known_id)) =
            self.names.get_mut(at).filter(|_| name.len() <= Self::NAME_BYTES_MAX)
        {
            known.clear();
            known.extend_from_slice(name);
            *known_id = id;
        }
        id
    }
}

impl Scratch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What mapping the last record cost: bytes of it that dispatch looked at, and bindings that were tried.
    #[must_use]
    pub fn cost(&self) -> (usize, usize) {
        (self.candidates.touched, self.tried)
    }

    /// Forgets the last record, and notes for each name that the mapping knows which part of this one has it; the
    /// first of several. `serial` is the mapping's.
    pub(super) fn begin(&mut self, serial: u64, names: &Names, record: &Record<'_>) {
        self.clear(names.len());
        if self.recall.serial != serial {
            self.recall = Recall { serial, names: Vec::new() };
        }
        for (at, part) in record.parts().iter().enumerate() {
            let name = self.recall.find(at, record.name_bytes(part), names);
            self.names.push(name);
            let Some(name) = name else { continue };
            let slot = &mut self.parts[usize::from(name.0)];
            if slot.0 != self.epoch {
                *slot = (self.epoch, u16::try_from(at).unwrap_or(u16::MAX));
            }
        }
    }

    fn clear(&mut self, names: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.parts.fill((0, 0));
            self.epoch = 1;
        }
        if self.parts.len() < names {
            self.parts.resize(names, (0, 0));
        }
        self.names.clear();
        self.candidates.begin();
        self.captured.clear();
        self.matched = None;
        self.tried = 0;
        for buffer in [&mut self.text, &mut self.identity] {
            buffer.clear();
            buffer.shrink_to(BUFFER_BYTES_KEPT);
        }
    }

    /// The index of the first part of that name.
    pub(super) fn part(&self, name: NameId) -> Option<usize> {
        let (epoch, part) = self.parts[usize::from(name.0)];
        (epoch == self.epoch).then_some(usize::from(part))
    }
}
