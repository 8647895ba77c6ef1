//! What a receiver needs to know beforehand: the index template that gives every field its type.
//!
//! It is made of the same places as the documents ([`super::ecs`]), so the two cannot disagree: no field is both
//! a value and an object, and whatever an event brings has the type that the template says. Mappings are not
//! dynamic: what a template does not know yet (a new version's field in an old index) is kept in the document and
//! not indexed, so it can never claim a type or be refused.

use serde_json::{Map, Value, json};

use super::{PRODUCT, ecs};
use crate::event::{FieldType, Tables};

/// Above the templates that Elasticsearch brings for `logs-*-*` (100).
const PRIORITY: u64 = 200;

/// Longer keywords are kept and not indexed. `guard` cuts keywords to as many bytes.
const IGNORE_ABOVE: u64 = 1_024;

/// Fields of an index, at most, beside as many as there are now.
const FIELDS_SPARE: usize = 1_000;

/// Body of `PUT _index_template/<name>` for a data stream, for Elasticsearch and OpenSearch alike.
#[must_use]
pub fn index_template(tables: &Tables, data_stream: &str) -> Value {
    let types = ecs::types(tables);
    let limit = types.len() * 2 + FIELDS_SPARE;
    let mut properties = Map::new();
    for (name, ty) in types {
        place(&mut properties, &name, mapping(&name, ty));
    }
    json!({
        "index_patterns": [data_stream],
        "data_stream": {},
        "priority": PRIORITY,
        "template": {
            "settings": { "index": { "mapping": { "total_fields": { "limit": limit } } } },
            "mappings": { "dynamic": false, "date_detection": false, "properties": properties },
        },
        "_meta": { "managed_by": PRODUCT, "ecs_version": ecs::ECS_VERSION },
    })
}

/// Puts a mapping at its place among nested `properties`.
fn place(properties: &mut Map<String, Value>, name: &str, mapping: Value) {
    let Some((object, rest)) = name.split_once('.') else {
        properties.insert(name.to_owned(), mapping);
        return;
    };
    let object = properties.entry(object).or_insert_with(|| json!({ "properties": {} }));
    if let Some(inner) = object.get_mut("properties").and_then(Value::as_object_mut) {
        place(inner, rest, mapping);
    }
}

/// ECS's type, as far as both products have it: `text` where ECS says `match_only_text`.
fn mapping(name: &str, ty: FieldType) -> Value {
    match ty {
        // ECS keeps the original line without an index: it is long, and its parts are fields.
        _ if name == "event.original" => {
            json!({ "type": "keyword", "index": false, "doc_values": false })
        }
        FieldType::Keyword => json!({ "type": "keyword", "ignore_above": IGNORE_ABOVE }),
        FieldType::Text => json!({ "type": "text" }),
        FieldType::Long => json!({ "type": "long" }),
        FieldType::Double => json!({ "type": "double" }),
        FieldType::Boolean => json!({ "type": "boolean" }),
        FieldType::Ip => json!({ "type": "ip" }),
        FieldType::Date => json!({ "type": "date" }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        encode::{
            Ecs,
            fixture::{self, Build},
        },
        spool::Sequence,
    };

    fn check(document: &Value, properties: &Map<String, Value>, path: &str) {
        for (name, value) in document.as_object().expect("an object") {
            let path = format!("{path}.{name}");
            let mapping = properties.get(name).unwrap_or_else(|| panic!("{path} is not mapped"));
            match mapping.get("properties").and_then(Value::as_object) {
                Some(inner) => check(value, inner, &path),
                None => {
                    let one = std::slice::from_ref(value);
                    let values = value.as_array().map_or(one, Vec::as_slice);
                    let ty = mapping["type"].as_str().expect("a type");
                    assert!(values.iter().all(|value| takes(ty, value)), "{path}: {value} as {ty}");
                }
            }
        }
    }

    /// Whether an index takes the value without coercion.
    fn takes(ty: &str, value: &Value) -> bool {
        let text = value.as_str();
        match ty {
            "keyword" | "text" => text.is_some(),
            "long" => value.is_i64() || value.is_u64(),
            "double" => value.is_number(),
            "boolean" => value.is_boolean(),
            "ip" => text.is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_ok()),
            "date" => text.is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()),
            _ => false,
        }
    }

    #[test]
    fn the_template_is_one_of_a_data_stream() {
        let template = index_template(&fixture::tables(), "logs-towline.events-default");
        assert_eq!(template["index_patterns"], json!(["logs-towline.events-default"]));
        assert_eq!(template["data_stream"], json!({}));
        let properties = &template["template"]["mappings"]["properties"];
        assert_eq!(properties["@timestamp"]["type"], "date");
        assert_eq!(properties["source"]["properties"]["ip"]["type"], "ip");
        assert_eq!(properties["event"]["properties"]["original"]["index"], false);
        assert_eq!(properties["message"]["type"], "text");
    }

    proptest! {
        /// Whatever an event has: every member of its document is mapped, with the type that it has.
        #[test]
        fn every_document_fits_the_template(
            names in prop::collection::vec("[a-c]{1,2}(\\.[a-c]{1,2}){0,9}", 0..20),
            text in fixture::clean_text(60),
            picks in prop::collection::vec((any::<prop::sample::Index>(), fixture::any_value()), 0..120),
        ) {
            let names: Vec<_> =
                names.iter().map(String::as_str).chain(fixture::EXTRA.iter().copied()).collect();
            let tables = fixture::tables_with(&names);
            let mut event = Build::new(&tables, "xmpp.auth_failure").text("message", &text).finish();
            fixture::add(&tables, &mut event, picks);
            let mut out = Vec::new();
            Ecs::new(&fixture::agent(), &tables).write(Sequence(1), &event, &mut out);
            let document: Value = serde_json::from_slice(&out).expect("JSON");
            let template = index_template(&tables, "logs-towline.events-default");
            let properties = template["template"]["mappings"]["properties"].as_object().expect("some");
            check(&nested(&document), properties, "");
        }
    }

    /// As an index reads it: a dotted name is a path.
    fn nested(document: &Value) -> Value {
        let Some(members) = document.as_object() else { return document.clone() };
        let mut out = Map::new();
        for (name, value) in members {
            merge(&mut out, name, nested(value));
        }
        out.into()
    }

    fn merge(out: &mut Map<String, Value>, name: &str, value: Value) {
        let (first, rest) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
        match (rest, value) {
            (Some(rest), value) => {
                let inner = out.entry(first).or_insert_with(|| json!({}));
                merge(inner.as_object_mut().expect("an object"), rest, value);
            }
            (None, Value::Object(members)) => {
                let inner = out.entry(first).or_insert_with(|| json!({}));
                inner.as_object_mut().expect("an object").extend(members);
            }
            (None, value) => assert!(out.insert(first.to_owned(), value).is_none(), "{first}"),
        }
    }
}
