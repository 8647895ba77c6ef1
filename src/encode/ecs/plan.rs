//! What is known before any event: where each field stands in the object, and the text that leads to it.

use std::collections::{BTreeMap, HashMap};

use super::{
    names,
    related::{Related, related},
};
use crate::{
    encode::json,
    event::{FieldDef, FieldType, Tables},
};

/// Objects deeper than this are not opened; the rest of the name stays dotted.
const DEPTH_MAX: usize = 8;

/// The place of one value in the object.
///
/// Everything around values is ready: the key with the quote that its value begins with, and what closes it. So a value
/// takes three copies: what ends the value before, the way to this one, the value itself.
#[derive(Debug)]
pub(super) struct Slot {
    /// For each level at which the object of the value before is left: `","source":{"ip":"`, `","ip":"`. The first quote
    /// is that of a string before, where nothing else ends with it.
    leads: Box<str>,
    /// Where in `leads` the lead of each level begins and ends.
    starts: [u32; DEPTH_MAX + 1],
    /// Numbers of the objects around the value, 32 bits each, outermost lowest; 0 for none.
    objects: [u128; 2],
    /// How many of them.
    depth: usize,
    /// Written as an array.
    pub(super) array: bool,
    /// Its values are strings.
    pub(super) quoted: bool,
    /// Type of its values.
    pub(super) ty: FieldType,
}

impl Slot {
    /// What to write after a value at `before` to begin one here: closed objects, a comma, opened ones, the key.
    #[inline]
    pub(super) fn lead_from(&self, before: &Slot, out: &mut Vec<u8>) {
        let common = self.common(before);
        let mut start = self.starts[common] as usize;
        if common < before.depth || before.array || !before.quoted {
            before.close(before.depth - common, out);
            start += 1;
        }
        out.extend_from_slice(&self.leads.as_bytes()[start..self.starts[common + 1] as usize]);
    }

    /// How many objects both stand in. (One comparison for four levels: this runs for every value.)
    fn common(&self, other: &Slot) -> usize {
        let differ =
            |n: usize| ((self.objects[n] ^ other.objects[n]).trailing_zeros() / 32) as usize;
        let outer = differ(0);
        let all = if outer < 4 { outer } else { 4 + differ(1) };
        all.min(self.depth).min(other.depth)
    }

    /// Ends a value, all its objects, and the whole.
    pub(super) fn close_all(&self, out: &mut Vec<u8>) {
        self.close(self.depth, out);
    }

    fn close(&self, objects: usize, out: &mut Vec<u8>) {
        let ends: &[u8] = match (self.quoted, self.array) {
            (true, true) => b"\"]}}}}}}}}",
            (true, false) => b"\"}}}}}}}}",
            (false, true) => b"]}}}}}}}}",
            (false, false) => b"}}}}}}}}",
        };
        let own = usize::from(self.quoted) + usize::from(self.array);
        out.extend_from_slice(&ends[..own + objects.min(DEPTH_MAX)]);
    }

    /// What stands between two elements of an array.
    pub(super) fn comma(&self) -> &'static [u8] {
        if self.quoted { b"\",\"" } else { b"," }
    }
}

/// Values that stand together whenever the event has nothing to say among them, written at once.
#[derive(Debug)]
pub(super) struct Bundle {
    /// Rank of the last.
    pub(super) last: u32,
    /// From the first value to the last, without what begins the first and ends the last.
    pub(super) text: Box<str>,
}

/// What becomes of a field's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// Written at the slot of this rank.
    Slot(u32),
    /// Only gathered: the event has a `related.*` field itself.
    Gather,
    /// Not the event's to say: kept as text.
    Reserved,
}

/// What is known of a field of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub(super) route: Route,
    pub(super) related: Option<Related>,
}

/// Values that the agent adds, in the names of [`names::DEFAULTS`] and `towline.sequence`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Own {
    Action,
    Dataset,
    Module,
    Outcome,
    HostHostname,
    HostIp,
    HostName,
    Related(Related),
    Framework,
    Technique,
    Subtechnique,
    Observer,
    Sequence,
    Uncoerced,
}

/// Name, array or not, type.
const OWN: &[(Own, &str, bool, FieldType)] = &[
    (Own::Action, "event.action", false, FieldType::Keyword),
    (Own::Dataset, "event.dataset", false, FieldType::Keyword),
    (Own::Module, "event.module", false, FieldType::Keyword),
    (Own::Outcome, "event.outcome", false, FieldType::Keyword),
    (Own::HostHostname, "host.hostname", false, FieldType::Keyword),
    (Own::HostIp, "host.ip", true, FieldType::Ip),
    (Own::HostName, "host.name", false, FieldType::Keyword),
    (Own::Related(Related::Hash), "related.hash", true, FieldType::Keyword),
    (Own::Related(Related::Hosts), "related.hosts", true, FieldType::Keyword),
    (Own::Related(Related::Ip), "related.ip", true, FieldType::Ip),
    (Own::Related(Related::User), "related.user", true, FieldType::Keyword),
    (Own::Framework, "threat.framework", false, FieldType::Keyword),
    (Own::Technique, "threat.technique.id", true, FieldType::Keyword),
    (Own::Subtechnique, "threat.technique.subtechnique.id", true, FieldType::Keyword),
    (Own::Observer, "observer.hostname", false, FieldType::Keyword),
    (Own::Sequence, "towline.sequence", false, FieldType::Long),
    (Own::Uncoerced, "towline.uncoerced", true, FieldType::Keyword),
];

/// What is written without a place of its own: the head, the tail and what follows `observer.hostname`.
const CONSTANT: &[(&str, FieldType)] = &[
    ("@timestamp", FieldType::Date),
    ("agent.id", FieldType::Keyword),
    ("agent.name", FieldType::Keyword),
    ("agent.type", FieldType::Keyword),
    ("agent.version", FieldType::Keyword),
    ("ecs.version", FieldType::Keyword),
    ("event.category", FieldType::Keyword),
    ("event.code", FieldType::Keyword),
    ("event.created", FieldType::Date),
    ("event.id", FieldType::Keyword),
    ("event.kind", FieldType::Keyword),
    ("event.severity", FieldType::Long),
    ("event.type", FieldType::Keyword),
    ("observer.ip", FieldType::Ip),
    ("observer.product", FieldType::Keyword),
    ("observer.type", FieldType::Keyword),
    ("observer.vendor", FieldType::Keyword),
    ("observer.version", FieldType::Keyword),
];

/// Places of all values, for one [`Tables`].
#[derive(Debug)]
pub(super) struct Plan {
    /// By rank: the order in which values are written, so that an object's members stand together.
    pub(super) slots: Vec<Slot>,
    /// By field.
    pub(super) targets: Vec<Target>,
    /// The fields' names, escaped for `towline.uncoerced`.
    pub(super) names: Vec<Box<str>>,
    /// What the agent adds, by rank.
    pub(super) own: Vec<(u32, Own)>,
    /// A place in `event`, where writing begins.
    pub(super) head: Slot,
}

impl Plan {
    pub(super) fn new(tables: &Tables) -> Self {
        let places = names::settle(tables);
        let values = values(tables, &places);
        let mut objects = HashMap::new();
        let mut slots = Vec::with_capacity(values.len());
        let mut ranks = HashMap::with_capacity(values.len());
        for (rank, ((_, path), (array, ty))) in (0_u32..).zip(values) {
            slots.push(slot(&path, &mut objects, array, ty));
            ranks.insert(path.join("."), rank);
        }
        let target = |(field, place): (&FieldDef, &Option<String>)| {
            let related = related(&field.name);
            let route = match place {
                _ if field.name.starts_with("related.") && related.is_some() => Route::Gather,
                Some(place) => ranks.get(place).map_or(Route::Reserved, |rank| Route::Slot(*rank)),
                None => Route::Reserved,
            };
            Target { route, related }
        };
        let mut own: Vec<_> =
            OWN.iter().filter_map(|(own, name, ..)| Some((*ranks.get(*name)?, *own))).collect();
        own.sort_unstable_by_key(|(rank, _)| *rank);
        let created = ["event".to_owned(), "created".to_owned()];
        let head = slot(&created, &mut objects, false, FieldType::Date);
        let targets = tables.fields().iter().zip(&places).map(target).collect();
        let names = tables.fields().iter().map(|field| escaped(&field.name)).collect();
        Self { slots, targets, names, own, head }
    }
}

impl Plan {
    /// The values of these names in the order of their places, each given as what stands between its quotes.
    pub(super) fn bundle(&self, values: &[(Own, &str)]) -> Option<Bundle> {
        let rank =
            |own: Own| self.own.iter().find(|(_, other)| *other == own).map(|(rank, _)| *rank);
        let mut text = Vec::new();
        let mut before: Option<u32> = None;
        for (own, value) in values {
            let at = rank(*own)?;
            if let Some(before) = before {
                self.slots[at as usize].lead_from(&self.slots[before as usize], &mut text);
            }
            text.extend_from_slice(value.as_bytes());
            before = Some(at);
        }
        Some(Bundle { last: before?, text: String::from_utf8_lossy(&text).into() })
    }
}

type SortKey = (u8, Vec<String>);

/// Every place that a value can have, in the order of writing: array or not, and its type.
fn values(tables: &Tables, places: &[Option<String>]) -> BTreeMap<SortKey, (bool, FieldType)> {
    let own = OWN.iter().map(|(_, name, array, ty)| (sort_key(name), (*array, *ty)));
    let mut values: BTreeMap<_, _> = own.collect();
    for (field, place) in tables.fields().iter().zip(places) {
        if let Some(place) = place {
            values.entry(sort_key(place)).or_insert((field.array, field.ty));
        }
    }
    values
}

/// Dotted names and types of everything that an object can have, for index templates.
pub(super) fn types(tables: &Tables) -> BTreeMap<String, FieldType> {
    let places = values(tables, &names::settle(tables));
    let mut types: BTreeMap<_, _> =
        places.into_iter().map(|((_, path), (_, ty))| (path.join("."), ty)).collect();
    types.extend(CONSTANT.iter().map(|(name, ty)| ((*name).to_owned(), *ty)));
    types
}

/// `event` first, since writing begins there; then the message; ours last, with `towline.uncoerced` at the
/// very end: what it holds is known only when all else is written. Members of an object stay together.
fn sort_key(name: &str) -> SortKey {
    let path: Vec<String> = name.splitn(DEPTH_MAX, '.').map(String::from).collect();
    let weight = match path.first().map(String::as_str) {
        Some("event") if path.len() > 1 => 0,
        Some("message") => 1,
        Some("towline") if name == "towline.uncoerced" => 4,
        Some("towline") => 3,
        _ => 2,
    };
    (weight, path)
}

/// The inside of a JSON string.
fn escaped(name: &str) -> Box<str> {
    json::inside(&json::any(name)).into()
}

fn slot(
    path: &[String],
    objects: &mut HashMap<Vec<String>, u32>,
    array: bool,
    ty: FieldType,
) -> Slot {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let quoted = !matches!(ty, FieldType::Long | FieldType::Double | FieldType::Boolean);
    let depth = path.len() - 1;
    let mut around = [0; DEPTH_MAX / 4];
    for level in 0..depth {
        let next = small(objects.len() + 1);
        let number = *objects.entry(path[..=level].to_vec()).or_insert(next);
        around[level / 4] |= u128::from(number) << (32 * (level % 4));
    }
    let mut leads = String::new();
    let mut starts = [0; DEPTH_MAX + 1];
    for common in 0..=depth {
        leads.push_str("\",");
        for name in &path[common..depth] {
            leads.push_str(&json::any(name));
            leads.push_str(":{");
        }
        leads.push_str(&json::any(&path[depth]));
        leads.push(':');
        leads.push_str(match (array, quoted) {
            (true, true) => "[\"",
            (true, false) => "[",
            (false, true) => "\"",
            (false, false) => "",
        });
        starts[common + 1] = small(leads.len());
    }
    Slot { leads: leads.into(), starts, objects: around, depth, array, quoted, ty }
}
