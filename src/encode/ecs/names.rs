//! Which place in the object each field of the tables gets, so that no two of them collide.
//!
//! Dotted names become nested objects, which goes wrong when one name is a value and also the parent of
//! another. Three rules, applied once per tables, keep the output valid whatever a mapping declares:
//!
//! 1. What only the agent may say ([`is_reserved`]) has no place for a field of an event; such a value goes to
//!    `towline.uncoerced`.
//! 2. A name below a value that is the agent's own or well known is joined: `message.x` → `message_x`.
//! 3. Any other name that is a value and a parent steps down: `tox.error` beside `tox.error.code` →
//!    `tox.error.value`.

use std::collections::HashSet;

use crate::event::{Tables, field};

/// Values the agent gives where the event has none of its own.
pub(crate) const DEFAULTS: &[&str] = &[
    "event.action",
    "event.dataset",
    "event.module",
    "event.outcome",
    "host.hostname",
    "host.ip",
    "host.name",
    "related.hash",
    "related.hosts",
    "related.ip",
    "related.user",
    "threat.framework",
    "threat.technique.id",
    "threat.technique.subtechnique.id",
    "towline.uncoerced",
];

/// Values that the agent alone gives: a log must not claim them.
pub(crate) const RESERVED: &[&str] = &[
    "@timestamp",
    "event.category",
    "event.code",
    "event.created",
    "event.id",
    "event.kind",
    "event.severity",
    "event.type",
    "observer.hostname",
    "observer.ip",
    "observer.product",
    "observer.type",
    "observer.vendor",
    "observer.version",
    "towline.sequence",
];

/// Whole objects that the agent alone writes.
const RESERVED_OBJECTS: &[&str] = &["agent", "ecs"];

/// Whether only the agent may give a value to this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    let top = name.split('.').next().unwrap_or(name);
    RESERVED.contains(&name) || RESERVED_OBJECTS.contains(&top)
}

/// The final dotted name of each field, by [`crate::event::FieldId`]; `None` for a reserved one.
pub(crate) fn settle(tables: &Tables) -> Vec<Option<String>> {
    let names = || tables.fields().iter().map(|field| field.name.as_str());
    let protected: HashSet<&str> =
        DEFAULTS.iter().chain(RESERVED).chain(field::NAMES).copied().collect();
    let parents: HashSet<&str> =
        names().chain(protected.iter().copied()).flat_map(ancestors).collect();
    let stays = |name: &str| {
        protected.contains(name)
            || !parents.contains(name) && !ancestors(name).any(|above| protected.contains(above))
    };
    let mut taken: HashSet<String> = names()
        .filter(|name| stays(name))
        .chain(protected.iter().copied())
        .map(String::from)
        .collect();
    let mut moved = |mut name: String| {
        while parents.contains(name.as_str()) || !taken.insert(name.clone()) {
            name.push('_');
        }
        name
    };
    let place = |name: &str| match name {
        _ if is_reserved(name) => None,
        _ if stays(name) => Some(name.to_owned()),
        _ => Some(moved(match ancestors(name).find(|above| protected.contains(above)) {
            Some(above) => format!("{above}_{}", name[above.len() + 1..].replace('.', "_")),
            None => format!("{name}.value"),
        })),
    };
    names().map(place).collect()
}

/// `a`, `a.b` of `a.b.c`.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::fixture::tables_with;

    fn settled(names: &[&str]) -> Vec<Option<String>> {
        settle(&tables_with(names)).split_off(field::NAMES.len())
    }

    #[test]
    fn conflicts_are_moved_and_the_rest_stays() {
        let places = settled(&[
            "tox.error",
            "tox.error.code",
            "message.body.length",
            "message_body_length",
            "agent.name",
            "event.kind",
            "event.kind.sub",
            "host",
        ]);
        let expected = [
            Some("tox.error.value"),
            Some("tox.error.code"),
            Some("message_body_length_"),
            Some("message_body_length"),
            None,
            None,
            Some("event.kind_sub"),
            Some("host.value"),
        ];
        assert_eq!(places, expected.map(|place| place.map(String::from)));
    }
}
