//! What is known before any event: where each field stands in the object, and the text that leads to it.

use std::collections::{BTreeMap, HashMap};

use super::names;
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
    /// For each level at which the object of the value before is left: `,"source":{"ip":"`, `,"ip":"`.
    leads: Box<str>,
    /// Where in `leads` the lead of each level begins and ends.
    starts: [u32; DEPTH_MAX + 1],
    /// Numbers of the objects around the value, outermost first.
    objects: [u32; DEPTH_MAX],
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
    pub(super) fn lead_from(&self, before: &Slot, out: &mut Vec<u8>) {
        let levels = self.depth.min(before.depth);
        let common = (0..levels)
            .position(|level| self.objects[level] != before.objects[level])
            .unwrap_or(levels);
        before.close(before.depth - common, out);
        let lead = self.starts[common] as usize..self.starts[common + 1] as usize;
        out.extend_from_slice(&self.leads.as_bytes()[lead]);
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

/// Lists that gather what an event's fields say about the same thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Related {
    Hash,
    Hosts,
    Ip,
    User,
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
    let mut around = [0; DEPTH_MAX];
    for level in 0..depth {
        let next = small(objects.len());
        around[level] = *objects.entry(path[..=level].to_vec()).or_insert(next);
    }
    let mut leads = String::new();
    let mut starts = [0; DEPTH_MAX + 1];
    for common in 0..=depth {
        leads.push(',');
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

/// Users: `user.name`, `source.user.name`, `user.target.id`, … and what the chat protocols know people by.
fn is_user(name: &str) -> bool {
    const SETS: &[&str] = &[
        "user",
        "user.changes",
        "user.effective",
        "user.target",
        "source.user",
        "destination.user",
        "client.user",
        "server.user",
    ];
    const OTHERS: &[&str] = &[
        "xmpp.jid",
        "xmpp.target.jid",
        "xmpp.sasl.authzid",
        "tox.self.public_key",
        "tox.peer.public_key",
    ];
    let of_set =
        |(set, leaf): (&str, &str)| SETS.contains(&set) && ["name", "id", "email"].contains(&leaf);
    OTHERS.contains(&name) || name.rsplit_once('.').is_some_and(of_set)
}

/// Hosts: machines and the domains that servers and accounts go by.
fn is_host(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "host.hostname",
        "host.name",
        "user.domain",
        "user.target.domain",
        "source.domain",
        "destination.domain",
        "client.domain",
        "server.domain",
        "url.domain",
        "dns.question.name",
        "xmpp.remote.domain",
    ];
    NAMES.contains(&name)
}

/// Which `related.*` list a field's value belongs to. Addresses are found by their type.
fn related(name: &str) -> Option<Related> {
    match name {
        "related.ip" => Some(Related::Ip),
        "related.user" => Some(Related::User),
        "related.hosts" => Some(Related::Hosts),
        "related.hash" => Some(Related::Hash),
        _ if is_user(name) => Some(Related::User),
        _ if is_host(name) => Some(Related::Hosts),
        _ if name.contains(".hash.") => Some(Related::Hash),
        _ => None,
    }
}
