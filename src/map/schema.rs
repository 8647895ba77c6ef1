//! `mappings/schemas/cef.toml` and `mappings/privacy/*.toml` as plain data.

use super::{
    read::Reader,
    source::field_id,
    spec::{CefKey, CefTable, PrivacySpec, Treatment, UnrecognisedText},
    tree::{Content, Entry, Table},
};
use crate::event::{FieldType, Tables};

const CEF_TYPES: &[(&str, FieldType)] = &[
    ("string", FieldType::Keyword),
    ("long", FieldType::Long),
    ("integer", FieldType::Long),
    ("float", FieldType::Double),
    ("ip", FieldType::Ip),
    ("time", FieldType::Date),
];

/// Reads the CEF table.
pub(crate) fn cef(reader: &mut Reader<'_>, table: &Table, tables: &Tables) -> CefTable {
    reader.known(table, "the CEF table", &["about", "vendor", "product", "field"]);
    let mut cef = CefTable {
        vendor: reader.text_at(table, "vendor").unwrap_or_default().value,
        product: reader.text_at(table, "product").unwrap_or_default().value,
        keys: Vec::new(),
    };
    if let Some(fields) = reader.table_at(table, "field") {
        for entry in &fields.entries {
            cef.keys.extend(cef_key(reader, entry, tables));
        }
    }
    cef
}

fn cef_key(reader: &mut Reader<'_>, entry: &Entry, tables: &Tables) -> Option<CefKey> {
    // What the encoder makes of an event beside its fields may stand in the table too.
    let made = ["@timestamp", "event.code", "event.id", "event.severity"];
    if !made.contains(&entry.key.as_str()) {
        field_id(reader, &entry.key, entry.key_place, tables)?;
    }
    let table = reader.table(&entry.node)?;
    let of = format!("[field.\"{}\"]", entry.key);
    reader.known(table, &of, &["key", "label", "since", "type", "length"]);
    let key = reader.required(table, "key", &of, entry.key_place)?.value;
    let since = table.node("since").and_then(|node| reader.integer(node, 0, 1)).unwrap_or(0);
    let length = table.node("length").and_then(|node| reader.integer(node, 1, 65_536));
    let ty = table.node("type").and_then(|node| reader.choice(node, CEF_TYPES));
    Some(CefKey {
        field: entry.key.clone(),
        key,
        label: reader.text_at(table, "label").map(|label| label.value),
        since: u8::try_from(since).unwrap_or(0),
        ty: ty.unwrap_or(FieldType::Keyword),
        length: length.and_then(|length| u32::try_from(length).ok()),
    })
}

/// Reads a privacy profile.
pub(crate) fn privacy(
    reader: &mut Reader<'_>,
    name: &str,
    table: &Table,
    tables: &Tables,
) -> PrivacySpec {
    let of = format!("profile `{name}`");
    reader.known(table, &of, &["about", "default", "unrecognised", "fields"]);
    let mut spec = PrivacySpec {
        name: name.to_owned(),
        about: reader.text_at(table, "about").unwrap_or_default().value,
        default: Treatment::Keep,
        fields: Vec::new(),
        unrecognised: UnrecognisedText::Keep,
    };
    if let Some(node) = table.node("default") {
        spec.default = reader.choice(node, Treatment::NAMES).unwrap_or_default();
    }
    if let Some(node) = table.node("unrecognised") {
        spec.unrecognised = reader.choice(node, UnrecognisedText::NAMES).unwrap_or_default();
    }
    let Some(fields) = reader.table_at(table, "fields") else { return spec };
    for entry in &fields.entries {
        let known = entry.key.contains('*')
            || field_id(reader, &entry.key, entry.key_place, tables).is_some();
        let treatment = match &entry.node.value {
            Content::Text(_) => reader.choice(&entry.node, Treatment::NAMES),
            other => {
                let message = format!("{} where a treatment is expected", other.what());
                reader.problem(entry.node.place, message);
                None
            }
        };
        spec.fields.extend(treatment.filter(|_| known).map(|t| (entry.key.clone(), t)));
    }
    spec
}
