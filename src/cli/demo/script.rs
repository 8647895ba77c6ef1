//! What the demo writes: genuine log lines, cut into records. They and all names stand in `packaging/demo`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

const SCRIPT: &str = include_str!("../../../packaging/demo/demo.toml");
/// The log of each source, by its name.
const LOGS: [(&str, &str); 2] = [
    ("chat", include_str!("../../../packaging/demo/chat.log")),
    ("xmpp", include_str!("../../../packaging/demo/xmpp.log")),
];

/// The sources and what is written for them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    #[serde(rename = "source")]
    pub(super) sources: Vec<Source>,
}

/// A source of the demo.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) mapping: String,
    pub(super) layout: String,
    pub(super) time_zone: String,
    /// Lines that go on with the record before, counted from 1.
    #[serde(default)]
    continued: Vec<usize>,
    #[serde(default, rename = "note")]
    notes: Vec<Note>,
}

/// What a spectator should know of a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    line: usize,
    text: String,
}

/// What becomes one event: usually one line, its line end included.
pub(super) struct Record {
    /// Name of its source.
    pub(super) source: String,
    /// Where it is written.
    pub(super) path: PathBuf,
    /// Where it begins there.
    pub(super) offset: u64,
    /// What is written.
    pub(super) text: &'static str,
    /// What to know of it.
    pub(super) note: Option<String>,
}

impl Script {
    /// The bundled script.
    pub(super) fn bundled() -> Result<Self, toml::de::Error> {
        toml::from_str(SCRIPT)
    }

    /// All records, in the order in which they are written to files of this folder.
    pub(super) fn records(&self, folder: &Path) -> Vec<Record> {
        self.sources.iter().flat_map(|source| source.records(folder)).collect()
    }
}

impl Source {
    /// Its file.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.log", self.name))
    }

    fn records(&self, folder: &Path) -> Vec<Record> {
        let log = LOGS.iter().find(|(name, _)| *name == self.name).map_or("", |(_, log)| *log);
        let (mut records, mut start, mut end, mut begun) = (Vec::new(), 0, 0, 1);
        let mut number = 1;
        for line in log.split_inclusive('\n') {
            end += line.len();
            number += 1;
            if !self.continued.contains(&number) {
                records.push(Record {
                    source: self.name.clone(),
                    path: self.path(folder),
                    offset: start as u64,
                    text: &log[start..end],
                    note: self.note(begun),
                });
                (start, begun) = (end, number);
            }
        }
        records
    }

    fn note(&self, line: usize) -> Option<String> {
        self.notes.iter().find(|note| note.line == line).map(|note| note.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_logs_without_a_gap() {
        let script = Script::bundled().unwrap();
        assert_eq!(script.sources.len(), LOGS.len());
        let records = script.records(Path::new("/x"));
        for (name, log) in LOGS {
            let own: Vec<_> = records.iter().filter(|record| record.source == name).collect();
            assert!(own.len() > 10, "{name}");
            assert!(own.iter().any(|record| record.text.lines().count() == 2), "{name}");
            let mut offset = 0;
            for record in &own {
                assert_eq!(record.offset, offset);
                offset += record.text.len() as u64;
            }
            assert_eq!(offset, log.len() as u64);
        }
        let notes = script.sources.iter().map(|source| source.notes.len()).sum::<usize>();
        let shown = records.iter().filter(|record| record.note.is_some()).count();
        assert_eq!(shown, notes, "a note stands at a line that begins no record");
    }
}
