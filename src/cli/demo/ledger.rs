//! What came in, by event, and whether it is what was written: every record exactly once at both receivers, and
//! nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use serde_json::Value;

use super::{receivers::Received, script::Record};

/// What came in.
#[derive(Default)]
pub(super) struct Ledger {
    events: BTreeMap<String, Copies>,
    /// Ids of the events that were read at a place of a file.
    places: HashMap<(String, u64), Vec<String>>,
    faults: Vec<String>,
}

/// All that came in of an event.
#[derive(Default)]
struct Copies {
    cef: Vec<String>,
    ecs: Vec<Value>,
}

impl Ledger {
    /// Takes in what a receiver got.
    pub(super) fn take(&mut self, received: Received) {
        match received {
            Received::Fault(what) => self.faults.push(what),
            Received::Message(message) => match cef(&message) {
                Some((id, cef)) => {
                    self.events.entry(id.to_owned()).or_default().cef.push(cef.to_owned());
                }
                None => self.faults.push(format!("a syslog message without CEF: {message:?}")),
            },
            Received::Document(document) => {
                let id = document["event"]["id"].as_str().unwrap_or_default().to_owned();
                if let Some((path, offset)) = place(&document) {
                    let ids = self.places.entry((path.to_owned(), offset)).or_default();
                    if !ids.contains(&id) {
                        ids.push(id.clone());
                    }
                }
                self.events.entry(id).or_default().ecs.push(document);
            }
        }
    }

    /// What came in of a record, once both forms are there.
    pub(super) fn event(&self, record: &Record) -> Option<(&str, &Value)> {
        let copies = self.events.get(self.ids(&record.path, record.offset).first()?)?;
        Some((copies.cef.first()?, copies.ecs.first()?))
    }

    /// Events that each receiver has: syslog, `_bulk`.
    pub(super) fn counts(&self) -> (u64, u64) {
        let count = |there: fn(&Copies) -> bool| self.events.values().filter(|c| there(c)).count();
        (
            count(|copies| !copies.cef.is_empty()) as u64,
            count(|copies| !copies.ecs.is_empty()) as u64,
        )
    }

    /// What is not as it should be while all is delivered.
    pub(super) fn faults(&self, records: &[Record]) -> Vec<String> {
        let mut faults = self.faults.clone();
        for record in records {
            let at = format!("{} at byte {}", record.path.display(), record.offset);
            match self.ids(&record.path, record.offset).len() {
                1 => {}
                0 => faults.push(format!("{at}: no event arrived")),
                n => faults.push(format!("{at}: {n} events arrived for one record")),
            }
        }
        let written: HashMap<_, _> =
            records.iter().map(|r| ((r.path.display().to_string(), r.offset), r)).collect();
        for (id, copies) in &self.events {
            let (cef, ecs) = (copies.cef.len(), copies.ecs.len());
            if (cef, ecs) != (1, 1) {
                faults.push(format!("event {id} arrived {cef} times as CEF, {ecs} times as ECS"));
            }
            for document in &copies.ecs {
                let known = match place(document) {
                    Some((path, offset)) => written.contains_key(&(path.to_owned(), offset)),
                    None => kind(document).starts_with("towline."),
                };
                if !known {
                    faults.push(format!("event {id} ({}) is of nothing written", kind(document)));
                }
            }
        }
        faults
    }

    /// What arrived twice: not even stopping may do that.
    pub(super) fn repeated(&self) -> Vec<String> {
        let twice = self.events.iter().filter(|(_, c)| c.cef.len() > 1 || c.ecs.len() > 1);
        twice.map(|(id, _)| format!("event {id} arrived twice")).collect()
    }

    fn ids(&self, path: &Path, offset: u64) -> &[String] {
        let place = (path.display().to_string(), offset);
        self.places.get(&place).map_or(&[], Vec::as_slice)
    }
}

/// The kind of an event.
pub(super) fn kind(document: &Value) -> &str {
    document["event"]["code"].as_str().unwrap_or("?")
}

fn place(document: &Value) -> Option<(&str, u64)> {
    let log = &document["log"];
    Some((log["file"]["path"].as_str()?, log["offset"].as_u64()?))
}

/// The event's id and the CEF of a syslog message. What the structured data before the CEF says is the shipper's own,
/// so the first `"] CEF:` is where the CEF begins.
fn cef(message: &str) -> Option<(&str, &str)> {
    let start = message.find("\"] CEF:")?;
    let (header, cef) = (&message[..start], &message[start + 3..]);
    let id = header.split_once("id=\"")?.1.split('"').next()?;
    Some((id, cef))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(offset: u64) -> Record {
        Record { source: "a".into(), path: "/a.log".into(), offset, text: "text\n", note: None }
    }

    fn message(id: &str) -> Received {
        Received::Message(format!(
            "<1>1 T H towline - k [t@1 id=\"{id}\" seq=\"1\" kind=\"k\"] CEF:1|a|msg=\"] CEF:0"
        ))
    }

    fn document(id: &str, offset: u64) -> Received {
        let log = json!({ "file": { "path": "/a.log" }, "offset": offset });
        Received::Document(json!({ "event": { "id": id, "code": "k" }, "log": log }))
    }

    fn ledger(all: Vec<Received>) -> Ledger {
        let mut ledger = Ledger::default();
        all.into_iter().for_each(|received| ledger.take(received));
        ledger
    }

    #[test]
    fn exactly_once_is_no_fault() {
        let own = json!({ "event": { "id": "9", "code": "towline.started" } });
        let all = vec![
            message("1"),
            document("1", 0),
            document("2", 5),
            message("2"),
            message("9"),
            Received::Document(own),
        ];
        let ledger = ledger(all);
        assert_eq!(ledger.faults(&[record(0), record(5)]), Vec::<String>::new());
        assert_eq!(ledger.counts(), (3, 3));
        assert_eq!(ledger.event(&record(5)).unwrap().0, "CEF:1|a|msg=\"] CEF:0");
        assert!(ledger.repeated().is_empty());
    }

    #[test]
    fn everything_else_is() {
        let all = || vec![message("1"), document("1", 0)];
        let with = |more: Vec<Received>| {
            let ledger = ledger(all().into_iter().chain(more).collect());
            ledger.faults(&[record(0)]).join("\n")
        };
        assert_eq!(with(vec![]), "");
        assert!(with(vec![message("1")]).contains("2 times as CEF"));
        assert!(with(vec![message("2")]).contains("0 times as ECS"));
        assert!(with(vec![document("2", 0), message("2")]).contains("2 events arrived for one"));
        assert!(with(vec![document("2", 3), message("2")]).contains("of nothing written"));
        assert!(with(vec![Received::Fault("what".into())]).contains("what"));
        let none = ledger(vec![]).faults(&[record(0)]);
        assert_eq!(none, ["/a.log at byte 0: no event arrived"]);
        assert_eq!(ledger(vec![message("1"), message("1")]).repeated().len(), 1);
    }
}
