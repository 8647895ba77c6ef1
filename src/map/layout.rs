//! Layouts out of mapping files: a source's own tables, and those of `mappings/layouts` that any source may use.

use std::collections::HashMap;

use super::{
    read::{Located, Reader, inside},
    source::Known,
    tree::{Content, Node, Place, Table},
};
use crate::{
    parse::{Format, Layout, LayoutError, LayoutSpec, StartRule},
    problem::suggest,
};

const KEYS: &[&str] = &[
    "about",
    "format",
    "line",
    "start",
    "syslog",
    "rename",
    "time",
    "levels",
    "require",
    "unescape_octal",
];

/// Reads one layout table.
pub(crate) fn layout(
    reader: &mut Reader<'_>,
    name: &str,
    table: &Table,
    place: Place,
) -> LayoutSpec {
    let of = format!("layout `{name}`");
    reader.known(table, &of, KEYS);
    let about = reader.text_at(table, "about").unwrap_or_default().value;
    let line = reader.plain_texts_at(table, "line");
    let format = match table.node("format") {
        Some(node) => {
            let choice = [("json", Format::Json), ("text", Format::Text)];
            reader.choice(node, &choice).unwrap_or(Format::Text)
        }
        None => Format::Text,
    };
    let syslog = reader.truth_at(table, "syslog").unwrap_or(false);
    if format == Format::Text && line.is_empty() && !syslog {
        let hint = "format = \"json\", or line = \"{@timestamp:time('…')} … {message:rest}\"";
        reader.problem_with_hint(place, format!("{of} has no `line`"), Some(hint.to_owned()));
    }
    if let Some(node) = table.node("line").filter(|_| format == Format::Json) {
        reader.problem(node.place, "a JSON layout has no `line`");
    }
    LayoutSpec {
        name: name.to_owned(),
        about,
        start: start(reader, table),
        format,
        line,
        syslog,
        rename: pairs(reader, table, "rename"),
        time: reader.plain_texts_at(table, "time"),
        levels: pairs(reader, table, "levels"),
        unescape_octal: reader.truth_at(table, "unescape_octal").unwrap_or(false),
        require: reader.plain_texts_at(table, "require"),
    }
}

fn start(reader: &mut Reader<'_>, table: &Table) -> StartRule {
    let Some(node) = table.node("start") else { return StartRule::Usual };
    let Content::Table(inner) = &node.value else {
        let choice = [("every", 0), ("header", 1)];
        return match reader.choice(node, &choice) {
            Some(0) => StartRule::Every,
            Some(_) => StartRule::Header,
            None => StartRule::Usual,
        };
    };
    reader.known(inner, "`start`", &["begins", "continues"]);
    let begins = reader.text_at(inner, "begins").map(|text| StartRule::Begins(text.value));
    let continues = reader.text_at(inner, "continues").map(|text| StartRule::Continues(text.value));
    begins.or(continues).unwrap_or_else(|| {
        reader.problem(node.place, "`start` says neither `begins` nor `continues`");
        StartRule::Usual
    })
}

fn pairs(reader: &mut Reader<'_>, table: &Table, key: &str) -> Vec<(String, String)> {
    let Some(table) = reader.table_at(table, key) else { return Vec::new() };
    let mut pairs = Vec::new();
    for entry in &table.entries {
        pairs.extend(reader.text(&entry.node).map(|to| (entry.key.clone(), to.value)));
    }
    pairs
}

/// The layouts of a source, in the order in which `auto` tries, and where each was written.
pub(crate) fn of_source(
    reader: &mut Reader<'_>,
    source: &str,
    table: &Table,
    known: &Known<'_>,
    place: Place,
) -> (Vec<LayoutSpec>, Vec<Place>) {
    let own = own(reader, table);
    let names = reader.texts_at(table, "layouts");
    if names.is_empty() && own.is_empty() {
        let hint = "say how its lines look: line = \"{@timestamp:time('…')} … {message:rest}\", or layouts = [\"…\"]";
        let message = format!("source `{source}` has neither `line` nor `layouts`");
        reader.problem_with_hint(place, message, Some(hint.to_owned()));
    }
    if names.is_empty() {
        return own.into_iter().unzip();
    }
    let mut layouts = Vec::new();
    for name in &names {
        let of_own = own.iter().find(|(spec, _)| spec.name == name.value);
        match of_own.or_else(|| known.layouts.get(&name.value)) {
            Some(layout) => layouts.push(layout.clone()),
            None => unknown_layout(reader, name, &own, known.layouts),
        }
    }
    unused(reader, &own, &names);
    layouts.into_iter().unzip()
}

fn unknown_layout(
    reader: &mut Reader<'_>,
    name: &Located<String>,
    own: &[(LayoutSpec, Place)],
    shared: &HashMap<String, (LayoutSpec, Place)>,
) {
    let mut all: Vec<_> = own.iter().map(|(spec, _)| spec.name.as_str()).collect();
    all.extend(shared.keys().map(String::as_str));
    all.sort_unstable();
    let hint = suggest(&name.value, all);
    reader.problem_with_hint(name.place, format!("there is no layout `{}`", name.value), hint);
}

fn unused(reader: &mut Reader<'_>, own: &[(LayoutSpec, Place)], names: &[Located<String>]) {
    for (spec, place) in own {
        if !names.iter().any(|name| name.value == spec.name) {
            let message = format!("layout `{}` is not named in `layouts`", spec.name);
            reader.problem(*place, message);
        }
    }
}

/// `[layout.x]` tables, or `line` (with `start`) as the one layout `default`.
fn own(reader: &mut Reader<'_>, table: &Table) -> Vec<(LayoutSpec, Place)> {
    let mut own = Vec::new();
    if let Some(line) = table.get("line") {
        let keys = ["line", "start"].into_iter().filter_map(|key| table.get(key).cloned());
        let short = Table { entries: keys.collect() };
        own.push((layout(reader, "default", &short, line.key_place), line.key_place));
    }
    let Some(tables) = reader.table_at(table, "layout") else { return own };
    for entry in &tables.entries {
        if let Some(inner) = reader.table(&entry.node) {
            let place = pattern_place(inner).unwrap_or(entry.key_place);
            own.push((layout(reader, &entry.key, inner, entry.key_place), place));
        }
    }
    own
}

/// Where a layout's first template stands, for errors that point into it.
pub(crate) fn pattern_place(table: &Table) -> Option<Place> {
    let first = |node: &Node| match &node.value {
        Content::List(list) => list.first().map(|node| node.place),
        _ => Some(node.place),
    };
    table.node("line").and_then(first)
}

/// Compiles a layout.
pub(crate) fn compile(reader: &mut Reader<'_>, spec: &LayoutSpec, place: Place) -> Option<Layout> {
    match Layout::compile(spec) {
        Ok(layout) => Some(layout),
        Err(LayoutError::Template { key: "line", index: 0, error }) => {
            let place = inside(reader.files, place, error.offset);
            reader.problem_with_hint(place, error.message, error.hint);
            None
        }
        Err(error) => {
            reader.problem(place, format!("layout `{}`: {error}", spec.name));
            None
        }
    }
}
