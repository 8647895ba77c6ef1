//! Names that a layout knows beforehand: what it renames, and what the stages after it look for.
//!
//! Asking for a name costs one small hash. Names that nobody knows stay ranges of the line.

use std::sync::Arc;

use super::record::{Name, Record, Slice};

/// Names that every layout knows, in the order of their ids.
const COMMON: &[&str] = &[
    "@timestamp",
    "@timestamp.nanos",
    "message",
    "log.level",
    "log.logger",
    "host.hostname",
    "process.name",
    "process.pid",
    "log.syslog.facility.code",
    "log.syslog.severity.code",
    "log.syslog.msgid",
];

pub(crate) const TIMESTAMP: u16 = 0;
pub(crate) const NANOS: u16 = 1;
pub(crate) const MESSAGE: u16 = 2;
pub(crate) const LEVEL: u16 = 3;
pub(crate) const HOST: u16 = 5;
pub(crate) const PROCESS: u16 = 6;
pub(crate) const PID: u16 = 7;
pub(crate) const FACILITY: u16 = 8;
pub(crate) const SEVERITY: u16 = 9;
pub(crate) const MSGID: u16 = 10;

/// Most names that may be required.
pub(crate) const REQUIRED_MAX: usize = 32;

/// The names of one layout.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    all: Arc<[Box<str>]>,
    entries: Vec<Entry>,
    /// Index into `entries` plus one; its length is a power of two and at least twice theirs.
    table: Vec<u16>,
    /// Renames of whole subtrees: prefix and what replaces it.
    prefixes: Vec<Replacement>,
    required: u32,
}

/// Text and what replaces it.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    pub(crate) from: Box<[u8]>,
    pub(crate) to: Box<[u8]>,
}

impl Replacement {
    pub(crate) fn new(from: &str, to: &str) -> Self {
        Self { from: from.as_bytes().into(), to: to.as_bytes().into() }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    written: Box<[u8]>,
    hash: u64,
    known: Option<u16>,
    /// It is a name of its own, not one that is renamed.
    same: bool,
    required: u32,
}

impl Names {
    /// Names of a layout: renames (`a.*` → `b.*` for subtrees) and names that must be there to be this layout.
    pub(crate) fn new(rename: &[(String, String)], require: &[String]) -> Self {
        let mut names = Self {
            all: Arc::from(Vec::new()),
            entries: Vec::new(),
            table: Vec::new(),
            prefixes: Vec::new(),
            required: 0,
        };
        names.know(COMMON.iter().copied());
        for (from, to) in rename {
            match (from.strip_suffix('*'), to.strip_suffix('*')) {
                (Some(from), Some(to)) => {
                    names.prefixes.push(Replacement::new(from, to));
                }
                _ => {
                    let id = names.know([to.as_str()].into_iter());
                    let entry = names.entry(from);
                    entry.known = id;
                    entry.same = from == to;
                }
            }
        }
        // The longest prefix decides.
        names.prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.from.len()));
        for (n, name) in require.iter().take(REQUIRED_MAX).enumerate() {
            names.entry(name).required = 1 << n;
            names.required |= 1 << n;
        }
        names.index();
        names
    }

    /// Gives these names ids, and returns the last one's.
    pub(crate) fn know<'n>(&mut self, new: impl Iterator<Item = &'n str>) -> Option<u16> {
        let mut all = self.all.to_vec();
        let mut last = None;
        for name in new {
            let at = all.iter().position(|known| **known == *name).unwrap_or_else(|| {
                all.push(name.into());
                all.len() - 1
            });
            last = u16::try_from(at).ok();
            let entry = self.entry(name);
            if entry.known.is_none() {
                entry.known = last;
                entry.same = true;
            }
        }
        self.all = all.into();
        self.index();
        last
    }

    fn entry(&mut self, written: &str) -> &mut Entry {
        let bytes = written.as_bytes();
        let at = self.entries.iter().position(|entry| *entry.written == *bytes);
        let at = at.unwrap_or_else(|| {
            self.entries.push(Entry {
                written: bytes.into(),
                hash: hash(bytes),
                known: None,
                same: false,
                required: 0,
            });
            self.entries.len() - 1
        });
        &mut self.entries[at]
    }

    fn index(&mut self) {
        let size = (self.entries.len() * 2).next_power_of_two().max(16);
        self.table = vec![0; size];
        for (n, entry) in self.entries.iter().enumerate() {
            let Ok(number) = u16::try_from(n + 1) else { break };
            let mut slot = slot(entry.hash, size);
            while self.table[slot] != 0 {
                slot = (slot + 1) % size;
            }
            self.table[slot] = number;
        }
    }

    /// All names, in the order of their ids.
    pub(crate) fn all(&self) -> &Arc<[Box<str>]> {
        &self.all
    }

    /// One bit per required name.
    pub(crate) fn required(&self) -> u32 {
        self.required
    }

    fn find(&self, name: &[u8], hash: u64) -> Option<&Entry> {
        let mut slot = slot(hash, self.table.len());
        loop {
            let entry = self.entries.get(usize::from(self.table[slot].checked_sub(1)?))?;
            if entry.hash == hash && *entry.written == *name {
                return Some(entry);
            }
            slot = (slot + 1) % self.table.len();
        }
    }

    /// What is known of a written name.
    #[inline]
    pub(crate) fn look_up(&self, name: &[u8]) -> LookUp {
        let hash = hash(name);
        match self.find(name, hash) {
            Some(entry) => LookUp { known: entry.known, required: entry.required, hash },
            None => LookUp { known: None, required: 0, hash },
        }
    }

    /// Whether a name that is not known may still be renamed.
    #[inline]
    pub(crate) fn renames_subtrees(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// What a written name is called here.
    pub(crate) fn resolve(&self, record: &mut Record<'_>, written: Slice) -> Resolved {
        let LookUp { known, required, hash } = self.look_up(record.text(written));
        match known {
            Some(id) => Resolved { name: Name::Known(id), required, hash },
            None if self.renames_subtrees() => {
                Resolved { required, ..self.in_subtree(record, written, hash) }
            }
            None => Resolved { name: Name::Text(written), required, hash },
        }
    }

    fn in_subtree(&self, record: &mut Record<'_>, written: Slice, own_hash: u64) -> Resolved {
        let name = record.text(written);
        let prefix = self.prefixes.iter().find(|prefix| name.starts_with(&prefix.from));
        let found = |name, hash| Resolved { name, required: 0, hash };
        let Some(Replacement { from, to }) = prefix else {
            return found(Name::Text(written), own_hash);
        };
        let rest = written.skip(from.len());
        if rest.is_empty() {
            return found(Name::Text(written), own_hash);
        }
        let renamed = if to.is_empty() { rest } else { joined(record, to, rest) };
        let name = record.text(renamed);
        let hash = hash(name);
        match self.find(name, hash) {
            Some(Entry { known: Some(id), same: true, .. }) => found(Name::Known(*id), hash),
            _ => found(Name::Text(renamed), hash),
        }
    }
}

/// What the table says of a name as it is written.
pub(crate) struct LookUp {
    pub(crate) known: Option<u16>,
    /// The bit of a required name.
    pub(crate) required: u32,
    /// The hash of the name, for filters.
    pub(crate) hash: u64,
}

/// What became of a written name.
#[derive(Clone, Copy)]
pub(crate) struct Resolved {
    pub(crate) name: Name,
    /// The bit of a required name, as it was written.
    pub(crate) required: u32,
    /// The hash of the name, for filters.
    pub(crate) hash: u64,
}

fn joined(record: &mut Record<'_>, prefix: &[u8], rest: Slice) -> Slice {
    let start = record.arena().len();
    record.arena().extend_from_slice(prefix);
    record.append(rest);
    record.stored(start)
}

fn slot(hash: u64, size: usize) -> usize {
    hash as usize & (size - 1)
}

/// A hash of a name's length, its first and its last eight bytes: two loads and two multiplications. Names that differ
/// only in between fall together, which costs a comparison.
#[inline]
pub(crate) fn hash(name: &[u8]) -> u64 {
    const FIRST: u64 = 0x9e37_79b9_7f4a_7c15;
    const LAST: u64 = 0xc2b2_ae3d_27d4_eb4f;
    let (first, last) = ends(name);
    let mixed = (first ^ name.len() as u64).wrapping_mul(FIRST) ^ last.wrapping_mul(LAST);
    mixed ^ mixed >> 32
}

#[inline]
fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
    }
    name.iter().fold((0, 0), |(first, last), byte| (first << 8 | u64::from(*byte), last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(names: &Names, name: &str) -> String {
        let mut record = Record::new(name.as_bytes());
        record.know(names.all());
        let resolved = names.resolve(&mut record, Slice::line(0, name.len()));
        record.push(resolved.name, super::super::record::Scalar::Null);
        record.name(&record.parts()[0]).to_owned()
    }

    #[test]
    fn names_and_subtrees_are_renamed() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let mut names = Names::new(
            &[
                pair("levelname", "log.level"),
                pair("contextMap.*", "*"),
                pair("_*", "own.*"),
                pair("_logger", "log.logger"),
            ],
            &["levelname".to_owned()],
        );
        names.know(["a", "b", "own.known"].into_iter());
        for (written, expected) in [
            ("levelname", "log.level"),
            ("contextMap.x.y", "x.y"),
            ("contextMap.", "contextMap."),
            ("contextMap.message", "message"),
            ("contextMap.levelname", "levelname"),
            ("_logger", "log.logger"),
            ("_z", "own.z"),
            ("_known", "own.known"),
            ("other", "other"),
        ] {
            assert_eq!(resolved(&names, written), expected);
        }
        let mut record = Record::new(b"levelname");
        assert_eq!(names.resolve(&mut record, Slice::line(0, 9)).required, names.required());
    }
}
