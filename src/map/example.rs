//! Examples of bindings: lines and what must come out of them.

use super::{
    read::{Located, Reader},
    source::{check_kind, field_id},
    tree::{Content, Node, Table},
};
use crate::event::Tables;

/// A line and what must come out of it.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) line: Located<String>,
    pub(crate) layout: Option<Located<String>>,
    pub(crate) kind: Option<Located<String>>,
    /// Field (or `@timestamp`) → its values as text; none: it must not be there.
    pub(crate) fields: Vec<(Located<String>, Vec<String>)>,
}

/// The examples of a binding's table.
pub(crate) fn examples(reader: &mut Reader<'_>, table: &Table, tables: &Tables) -> Vec<Example> {
    let Some(node) = table.node("example") else { return Vec::new() };
    let Content::List(list) = &node.value else {
        reader.problem_with_hint(
            node.place,
            "examples are a list of tables",
            Some("write [[binding.name.example]], with two brackets".to_owned()),
        );
        return Vec::new();
    };
    list.iter().filter_map(|node| example(reader, node, tables)).collect()
}

fn example(reader: &mut Reader<'_>, node: &Node, tables: &Tables) -> Option<Example> {
    let table = reader.table(node)?;
    reader.known(table, "the example", &["line", "layout", "kind", "fields"]);
    let place = table.entries.first().map_or(node.place, |entry| entry.key_place);
    let line = reader.required(table, "line", "the example", place)?;
    let kind = reader.text_at(table, "kind");
    if let Some(kind) = &kind {
        check_kind(reader, kind, tables);
    }
    Some(Example {
        line,
        layout: reader.text_at(table, "layout"),
        kind,
        fields: expectations(reader, table, tables),
    })
}

fn expectations(
    reader: &mut Reader<'_>,
    table: &Table,
    tables: &Tables,
) -> Vec<(Located<String>, Vec<String>)> {
    let Some(fields) = reader.table_at(table, "fields") else { return Vec::new() };
    let mut expected = Vec::new();
    for entry in &fields.entries {
        if entry.key != "@timestamp"
            && field_id(reader, &entry.key, entry.key_place, tables).is_none()
        {
            continue;
        }
        let name = Located { value: entry.key.clone(), place: entry.node.place };
        let texts = match &entry.node.value {
            Content::Boolean(false) => Some(Vec::new()),
            Content::List(list) => list.iter().map(|node| expected_text(&node.value)).collect(),
            value => expected_text(value).map(|text| vec![text]),
        };
        match texts {
            Some(texts) => expected.push((name, texts)),
            None => {
                let message = format!("{} is no value of a field", entry.node.value.what());
                reader.problem(entry.node.place, message);
            }
        }
    }
    expected
}

fn expected_text(value: &Content) -> Option<String> {
    match value {
        Content::Text(text) => Some(text.clone()),
        Content::Integer(number) => Some(number.to_string()),
        Content::Float(number) => Some(number.to_string()),
        Content::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}
