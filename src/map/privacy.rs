//! `mappings/privacy/*.toml` as plain data.

use super::{
    read::Reader,
    source::field_id,
    spec::{PrivacySpec, Treatment, UnrecognisedText},
    tree::{Content, Table},
};
use crate::event::Tables;

/// Reads a privacy profile.
pub(crate) fn profile(
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
