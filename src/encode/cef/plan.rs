//! What is known before any event: for each family which key a field fills, for each kind its header and the
//! values that it has by itself.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    table::{CefKey, CefTable, KeyType},
    value,
};
use crate::{
    encode::{Agent, action, ecs::names, scalar},
    event::{KindDef, Tables, Value},
};

/// Characters of a label; flex keys take no more.
const LABEL_MAX: usize = 128;

/// Where one field's value may go.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Number of the key in the order of writing.
    pub(super) slot: u8,
    /// Lower wins where two fields want one key.
    pub(super) priority: u8,
    /// ` cs1Label=connectionId cs1=`
    pub(super) lead: Box<str>,
    pub(super) ty: KeyType,
    pub(super) length: usize,
    /// The candidate for an IPv6 address.
    pub(super) ipv6: Option<u16>,
}

/// What becomes of a field's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// It fills a key, if it fits and no better one does.
    Key(u16),
    /// It goes into the rest.
    Rest,
    /// CEF leaves it out.
    Omit,
}

/// Keys of one family of kinds.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) candidates: Vec<Candidate>,
    /// By field.
    pub(super) places: Vec<Place>,
}

/// A value that an event has by itself, whatever its fields.
#[derive(Debug)]
pub(super) enum Own {
    /// ` cat=authentication`
    Ready(Box<str>),
    /// The same, true only of events of our own host.
    OfOurHost(Box<str>),
    /// After this, the event's time.
    Time(Box<str>),
    /// After this, the time when it was read.
    Created(Box<str>),
    /// After this, the event's id.
    Id(Box<str>),
}

/// What is known of a kind.
#[derive(Debug)]
pub(super) struct Kind {
    /// `CEF:1|vendor|product|version|class id|name|`
    pub(super) header: Box<str>,
    pub(super) severity: u8,
    /// Index of its family.
    pub(super) family: usize,
    /// By slot, ascending.
    pub(super) own: Vec<(u8, Own)>,
}

/// The keys of a table that a version of CEF knows, in the order of writing.
pub(super) struct Keys<'t> {
    table: &'t CefTable,
    version: u8,
    slots: BTreeMap<&'t str, u8>,
}

impl<'t> Keys<'t> {
    pub(super) fn new(version: u8, table: &'t CefTable) -> Self {
        let place = |name: &str| table.order.iter().position(|first| first == name);
        let mut names: Vec<&str> = table.key.keys().map(String::as_str).collect();
        names.retain(|name| table.key[*name].since <= version && *name != table.rest.key);
        names.sort_by_key(|name| (place(name).unwrap_or(usize::MAX), *name));
        Self { table, version, slots: names.into_iter().zip(0_u8..).collect() }
    }

    fn key(&self, name: &str) -> Option<(u8, &'t CefKey)> {
        Some((*self.slots.get(name)?, self.table.key.get(name)?))
    }

    /// Prepares a family of kinds.
    pub(super) fn family(&self, name: &str, tables: &Tables) -> Family {
        let mut wanted: BTreeMap<&str, u16> = BTreeMap::new();
        let mut candidates = Vec::new();
        for (key, def) in &self.table.key {
            for (priority, field) in (0_u8..).zip(&def.from) {
                if let Some(at) = self.candidate(&mut candidates, key, priority, None) {
                    wanted.insert(field, at);
                }
            }
        }
        for (key, customs) in self.table.custom.get(name).into_iter().flatten() {
            for (priority, custom) in (0_u8..).zip(customs) {
                let label = Some(custom.label.as_str());
                if let Some(at) = self.candidate(&mut candidates, key, priority, label) {
                    wanted.insert(&custom.from, at);
                }
            }
        }
        let place = |field: &str| match wanted.get(field) {
            _ if self.table.omit.iter().any(|omit| omit == field) => Place::Omit,
            // What only the agent may say is no key's value when a log says it.
            _ if names::is_reserved(field) => Place::Rest,
            Some(at) => Place::Key(*at),
            None => Place::Rest,
        };
        let places = tables.fields().iter().map(|field| place(&field.name)).collect();
        Family { candidates, places }
    }

    fn candidate(
        &self,
        candidates: &mut Vec<Candidate>,
        key: &str,
        priority: u8,
        label: Option<&str>,
    ) -> Option<u16> {
        let (slot, def) = self.key(key)?;
        let ipv6 = match &def.ipv6 {
            Some(other) => self.candidate(candidates, other, priority, None),
            None => None,
        };
        candidates.push(Candidate {
            slot,
            priority,
            lead: lead(key, label.or(def.label.as_deref())).into(),
            ty: def.ty,
            length: def.length.unwrap_or(usize::MAX),
            ipv6,
        });
        u16::try_from(candidates.len() - 1).ok()
    }

    /// Prepares a kind.
    pub(super) fn kind(&self, agent: &Agent, kind: &KindDef, family: usize) -> Kind {
        let class: String = kind
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._:-".contains(c) { c } else { '_' })
            .collect();
        let header = format!(
            "CEF:{}|{}|{}|{}|{}|{}|",
            self.version,
            value::header(&self.table.vendor, 63),
            value::header(&self.table.product, 63),
            value::header(agent.version, 31),
            value::header(&class, 1023),
            value::header(&kind.title, 512),
        );
        let mut own: Vec<_> = self
            .table
            .key
            .keys()
            .filter_map(|name| {
                let (slot, def) = self.key(name)?;
                def.from.iter().find_map(|field| match field.as_str() {
                    "host.ip" => self.address(agent, name),
                    field => Some((
                        slot,
                        own(agent, kind, &lead(name, def.label.as_deref()), def, field)?,
                    )),
                })
            })
            .collect();
        own.sort_by_key(|(slot, _)| *slot);
        Kind { header: header.into(), severity: kind.severity.min(10), family, own }
    }

    /// Our first IPv4 address, or else the first IPv6 address under the key that takes it.
    fn address(&self, agent: &Agent, name: &str) -> Option<(u8, Own)> {
        let (slot, def) = self.key(name)?;
        let of_type = |ip: &&IpAddr| value::fits(def.ty, Value::Ip(**ip));
        let Some(ip) = agent.host_ip.iter().find(of_type) else {
            return self.address(agent, def.ipv6.as_deref()?);
        };
        let mut text = lead(name, def.label.as_deref()).into_bytes();
        value::other(&mut text, def.ty, Value::Ip(*ip));
        Some((slot, Own::OfOurHost(utf8(text))))
    }
}

/// What the agent or the kind says for a field that the event does not have.
fn own(agent: &Agent, kind: &KindDef, lead: &str, def: &CefKey, field: &str) -> Option<Own> {
    let mut id = Vec::new();
    scalar::hex(&mut id, &agent.id);
    let said = match (field, def.ty) {
        ("@timestamp", KeyType::Timestamp) => return Some(Own::Time(lead.into())),
        ("event.created", KeyType::Timestamp) => return Some(Own::Created(lead.into())),
        ("event.id", KeyType::String) => return Some(Own::Id(lead.into())),
        ("agent.id", _) => String::from_utf8_lossy(&id).into(),
        ("agent.name", _) => agent.name.clone(),
        ("agent.version", _) => agent.version.into(),
        ("event.action", _) => action(&kind.name).into(),
        ("event.category", _) => kind.category.join(","),
        ("event.code", _) => kind.name.clone(),
        ("event.kind", _) => kind.kind.clone(),
        ("event.outcome", _) => kind.outcome.clone()?,
        ("event.type", _) => kind.types.join(","),
        ("host.hostname" | "host.name", _) => agent.host_name.clone(),
        ("threat.technique.id", _) => kind.attack.join(","),
        _ => return None,
    };
    let said = value::constant(&said);
    if said.is_empty() || !value::fits_text(def.ty, &said) {
        return None;
    }
    let mut text = lead.as_bytes().to_vec();
    value::text(&mut text, def.ty, &said, def.length.unwrap_or(usize::MAX));
    Some(Own::Ready(utf8(text)))
}

fn utf8(text: Vec<u8>) -> Box<str> {
    String::from_utf8_lossy(&text).into()
}

/// What stands before a value: ` suser=`, ` cs1Label=room cs1=`.
pub(super) fn lead(key: &str, label: Option<&str>) -> String {
    let mut lead = match label {
        Some(_) => format!(" {key}Label="),
        None => String::new(),
    }
    .into_bytes();
    if let Some(label) = label {
        value::string(&mut lead, &value::constant(label), LABEL_MAX);
    }
    lead.extend_from_slice(format!(" {key}=").as_bytes());
    String::from_utf8_lossy(&lead).into()
}

/// A field's name inside the JSON object of the rest.
pub(super) fn rest_name(name: &str) -> Box<str> {
    let mut out = Vec::new();
    value::json_inner(&mut out, &value::constant(name));
    utf8(out)
}
