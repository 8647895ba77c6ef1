//! The spool's stand-in: numbered events in memory, a mark, dead letters.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    deliver::{
        feed::{Feed, Gap, Mark, Next},
        render::{Encode, Numbered},
    },
    event::{Event, EventId, KindDef, KindId, Tables, Time},
    guard::Shippable,
    spool::{Batch, DeadLetter, Sequence},
};

/// A dead letter as it was put.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) body: String,
}

#[derive(Default)]
struct Inner {
    last: u64,
    mark: Mark,
    letters: BTreeMap<u64, Dead>,
    /// So many of the next calls that write fail.
    fail: u32,
    /// Sequences that cannot be handed over.
    gap: Option<(u64, u64)>,
}

/// Events 1..=last, shared between test and courier.
#[derive(Clone)]
pub(super) struct Shelf(Arc<Mutex<Inner>>, Arc<Tables>);

impl Shelf {
    pub(super) fn with(count: u64) -> Self {
        let mark = Mark { acked: Sequence(1), safe: Sequence(1), ..Mark::default() };
        let inner = Inner { last: count, mark, ..Inner::default() };
        Self(Arc::new(Mutex::new(inner)), Arc::new(tables()))
    }

    pub(super) fn add(&self, count: u64) {
        self.lock().last += count;
    }

    pub(super) fn next(&self) -> Sequence {
        Sequence(self.lock().last + 1)
    }

    pub(super) fn mark(&self) -> Mark {
        self.lock().mark
    }

    pub(super) fn letters(&self) -> BTreeMap<u64, Dead> {
        self.lock().letters.clone()
    }

    pub(super) fn fail_writes(&self, count: u32) {
        self.lock().fail = count;
    }

    pub(super) fn lose(&self, first: u64, next: u64) {
        self.lock().gap = Some((first, next));
    }

    pub(super) fn reader(&self) -> Reader {
        Reader { shelf: self.clone(), at: 1 }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Inner {
    fn may_write(&mut self) -> Result<(), String> {
        if self.fail == 0 {
            return Ok(());
        }
        self.fail -= 1;
        Err("no space left on device".into())
    }
}

/// The id of the event with this sequence.
pub(super) fn id(sequence: u64) -> EventId {
    EventId(u128::from(sequence).to_be_bytes())
}

/// A reader of the shelf.
pub(super) struct Reader {
    shelf: Shelf,
    at: u64,
}

impl Feed for Reader {
    fn next(&mut self, events_max: usize, _bytes_max: usize) -> Result<Next, String> {
        let Inner { last, gap, .. } = *self.shelf.lock();
        if self.at > last {
            return Ok(Next::Nothing);
        }
        let last = match gap {
            Some((first, next)) if (first..next).contains(&self.at) => {
                let (first, next) = (Sequence(self.at), Sequence(next));
                self.at = next.0;
                let what = "a gap in a test".into();
                return Ok(Next::Gap(Gap { first, next, dropped: false, what }));
            }
            Some((first, _)) if self.at < first => last.min(first - 1),
            _ => last,
        };
        let end = last.min(self.at + events_max as u64 - 1);
        let events = (self.at..=end).map(|n| (Sequence(n), event(n))).collect();
        self.at = end + 1;
        Ok(Next::Batch(Batch { tables: self.shelf.1.clone(), events, next: Sequence(end + 1) }))
    }

    fn rewind(&mut self, to: Sequence) {
        self.at = to.0;
    }

    fn save(&mut self, mark: &Mark) -> Result<(), String> {
        let mut inner = self.shelf.lock();
        inner.may_write()?;
        assert!(mark.acked >= inner.mark.acked && mark.safe >= inner.mark.safe, "a mark goes back");
        assert!(mark.safe <= mark.acked && mark.acked.0 <= inner.last + 1, "{mark:?}");
        let tally = mark.tally;
        let books = tally.shipped + tally.dead + tally.filtered + tally.lost;
        assert_eq!(books, mark.acked.0 - 1, "the books do not balance: {mark:?}");
        inner.mark = *mark;
        Ok(())
    }

    fn bury(&mut self, letters: &[DeadLetter<'_>]) -> Result<(), String> {
        let mut inner = self.shelf.lock();
        inner.may_write()?;
        for letter in letters {
            assert_eq!(letter.id, id(letter.sequence.0));
            assert_eq!(
                letter.kind,
                ["xmpp.message", "tox.noise"][usize::from(letter.sequence.0 % 10 == 0)]
            );
            let dead = Dead {
                status: letter.status,
                reason: letter.reason.into(),
                body: String::from_utf8(letter.body.to_vec()).unwrap(),
            };
            assert!(
                inner.letters.insert(letter.sequence.0, dead).is_none(),
                "a second dead letter"
            );
        }
        Ok(())
    }
}

fn event(n: u64) -> Event<Shippable> {
    Event {
        kind: KindId(u16::from(n.is_multiple_of(10))),
        recognised: true,
        id: id(n),
        time: Time(0),
        created: Time(0),
        severity: None,
        fields: Vec::new(),
        text: Shippable::default(),
    }
}

/// Kind 0 is `xmpp.message`, kind 1 (each tenth event) `tox.noise`.
fn tables() -> Tables {
    let kind = |name: &str, severity| KindDef {
        name: name.into(),
        title: String::new(),
        severity,
        kind: "event".into(),
        category: vec![],
        types: vec![],
        outcome: None,
        attack: vec![],
        meaning: String::new(),
    };
    Tables::new(vec![], vec![kind("xmpp.message", 4), kind("tox.noise", 2)])
}

/// Writes an event's number, its id, and whether it is a replay, in a form that the receivers can check.
pub(super) struct Numbers {
    pub(super) json: bool,
}

impl Encode for Numbers {
    fn prepare(&mut self, _tables: &Arc<Tables>) {}

    fn write(&mut self, event: &Numbered<'_>, out: &mut Vec<u8>) {
        let (n, id) = (event.sequence.0, event.event.id);
        let filling = "x".repeat(usize::try_from(n % 300).unwrap());
        let replay = if event.replay { " replay=\"true\"" } else { "" };
        match self.json {
            true => write!(
                out,
                r#"{{"@timestamp":"2026-01-01T00:00:00Z","n":{n},"message":"{filling}"}}"#
            ),
            false => write!(
                out,
                "<134>1 - host towline - - [t id=\"{id}\" seq=\"{n}\"{replay}] {filling}"
            ),
        }
        .unwrap();
    }
}
