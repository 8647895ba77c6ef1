//! A source mapping as plain data: what `mappings/sources/<name>.toml` says, with names resolved and types checked.

use std::collections::HashMap;

use super::{
    coerce::{Constant, constant},
    example::{Example, examples},
    fields::suggest_field,
    read::{Located, Reader},
    spec::SessionSpec,
    tree::{Content, Entry, Layer, Node, Place, Table},
};
use crate::{
    event::{FieldId, Tables},
    parse::LayoutSpec,
    problem::suggest,
};

/// Most bindings of one source.
pub(crate) const BINDINGS_MAX: usize = 16_384;

/// How one program says things.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// The name of its file.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// Versions of the program that it was tested with.
    pub tested: Vec<String>,
    /// `<family>.unrecognised` is the kind of lines that no binding knows.
    pub family: String,
    /// Where the program writes by default.
    pub files: Vec<String>,
    /// How it may write, in the order in which `auto` tries.
    pub layouts: Vec<LayoutSpec>,
    /// Memory per connection.
    pub session: Option<SessionSpec>,
    pub(crate) fields: Vec<(FieldId, Constant)>,
    pub(crate) from: Vec<FromSpec>,
    pub(crate) bindings: Vec<BindingSpec>,
    /// Where the layouts were written, in their order.
    pub(crate) layout_places: Vec<Place>,
}

/// A field and the names whose values it takes: the first that is there.
#[derive(Clone, Debug)]
pub(crate) struct FromSpec {
    pub(crate) field: FieldId,
    pub(crate) names: Vec<Located<String>>,
}

/// A pattern and what a line that fits it means.
#[derive(Clone, Debug)]
pub(crate) struct BindingSpec {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// Whose pattern it is.
    pub(crate) layer: Layer,
    pub(crate) kind: Located<String>,
    pub(crate) messages: Vec<Located<String>>,
    pub(crate) when: Vec<Condition>,
    pub(crate) fields: Vec<(FieldId, Constant)>,
    pub(crate) from: Vec<FromSpec>,
    pub(crate) severity: Option<u8>,
    /// Bindings that it goes before on purpose.
    pub(crate) over: Vec<Located<String>>,
    pub(crate) examples: Vec<Example>,
}

/// Something that must hold of a record.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) name: Located<String>,
    pub(crate) test: Test,
}

/// What must hold of a named value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Test {
    /// It is there.
    There,
    /// It is not there.
    Absent,
    /// It is one of these.
    OneOf(Vec<Wanted>),
}

/// A text or a pattern of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    Exact(String),
    Glob(String),
}

const SOURCE_KEYS: &[&str] = &[
    "about", "tested", "family", "files", "layouts", "line", "start", "layout", "fields", "from",
    "session", "binding",
];
const BINDING_KEYS: &[&str] = &[
    "kind",
    "message",
    "when",
    "fields",
    "from",
    "source",
    "from_source",
    "severity",
    "enabled",
    "over",
    "example",
];

/// What the reader of a source needs to know beside its file.
pub(crate) struct Known<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) layouts: &'a HashMap<String, (LayoutSpec, Place)>,
}

/// Reads a source's merged table.
pub(crate) fn source(
    reader: &mut Reader<'_>,
    name: &str,
    table: &Table,
    known: &Known<'_>,
) -> Option<SourceSpec> {
    let place = table.entries.first().map(|entry| entry.key_place).unwrap_or_default();
    let of = format!("source `{name}`");
    reader.known(table, &of, SOURCE_KEYS);
    let about = reader.required(table, "about", &of, place);
    let family = reader.required(table, "family", &of, place);
    let family =
        family.map(|family| check_family(reader, family, known.tables)).unwrap_or_default();
    let (layouts, layout_places) = super::layout::of_source(reader, name, table, known, place);
    Some(SourceSpec {
        name: name.to_owned(),
        about: about.unwrap_or_default().value,
        tested: reader.plain_texts_at(table, "tested"),
        family,
        files: reader.plain_texts_at(table, "files"),
        layouts,
        session: reader
            .table_at(table, "session")
            .map(|table| session(reader, table, known.tables)),
        fields: constants(reader, table, known.tables),
        from: from(reader, table, known.tables),
        bindings: bindings(reader, table, known.tables),
        layout_places,
    })
}

fn check_family(reader: &mut Reader<'_>, family: Located<String>, tables: &Tables) -> String {
    if tables.kind_id(&unrecognised(&family.value)).is_none() {
        let families: Vec<_> = tables
            .kinds()
            .iter()
            .filter_map(|kind| kind.name.strip_suffix(".unrecognised"))
            .collect();
        let message = format!("there is no kind `{}`", unrecognised(&family.value));
        reader.problem_with_hint(family.place, message, suggest(&family.value, families));
    }
    family.value
}

/// The kind of lines that no binding of a family's source knows.
pub(crate) fn unrecognised(family: &str) -> String {
    format!("{family}.unrecognised")
}

fn session(reader: &mut Reader<'_>, table: &Table, tables: &Tables) -> SessionSpec {
    reader.known(table, "[session]", &["id", "where", "starts", "ends", "keep"]);
    for key in ["starts", "ends"] {
        for kind in reader.texts_at(table, key) {
            check_kind(reader, &kind, tables);
        }
    }
    for field in reader.texts_at(table, "keep") {
        field_id(reader, &field.value, field.place, tables);
    }
    let place = table.entries.first().map(|entry| entry.key_place).unwrap_or_default();
    SessionSpec {
        id: reader.required(table, "id", "[session]", place).unwrap_or_default().value,
        matching: reader.plain_texts_at(table, "where"),
        starts: reader.plain_texts_at(table, "starts"),
        ends: reader.plain_texts_at(table, "ends"),
        keep: reader.plain_texts_at(table, "keep"),
    }
}

/// Says so where a name is no kind of the catalogue.
pub(crate) fn check_kind(reader: &mut Reader<'_>, kind: &Located<String>, tables: &Tables) {
    if tables.kind_id(&kind.value).is_none() {
        let names = tables.kinds().iter().map(|kind| kind.name.as_str());
        let hint = suggest(&kind.value, names);
        reader.problem_with_hint(kind.place, format!("there is no kind `{}`", kind.value), hint);
    }
}

/// The id of a field; a problem where it is none.
pub(crate) fn field_id(
    reader: &mut Reader<'_>,
    name: &str,
    place: Place,
    tables: &Tables,
) -> Option<FieldId> {
    let id = tables.field_id(name);
    if id.is_none() {
        let hint = suggest_field(name, tables.fields());
        reader.problem_with_hint(place, format!("there is no field `{name}`"), hint);
    }
    id
}

/// The `fields` table: constants, already of their field's type.
fn constants(reader: &mut Reader<'_>, table: &Table, tables: &Tables) -> Vec<(FieldId, Constant)> {
    let Some(table) = reader.table_at(table, "fields") else { return Vec::new() };
    let mut constants = Vec::new();
    for entry in &table.entries {
        let Some(id) = field_id(reader, &entry.key, entry.key_place, tables) else { continue };
        let def = tables.field(id);
        let nodes = match &entry.node.value {
            Content::List(list) if def.array => list.as_slice(),
            _ => std::slice::from_ref(&entry.node),
        };
        for node in nodes {
            match constant(def.ty, &node.value) {
                Some(constant) => constants.push((id, constant)),
                None => {
                    let what = node.value.what();
                    let message =
                        format!("{what} does not fit `{}`, which is {:?}", def.name, def.ty);
                    reader.problem(node.place, message);
                }
            }
        }
    }
    constants
}

/// The `from` table.
fn from(reader: &mut Reader<'_>, table: &Table, tables: &Tables) -> Vec<FromSpec> {
    let Some(table) = reader.table_at(table, "from") else { return Vec::new() };
    let mut from = Vec::new();
    for entry in &table.entries {
        let field = field_id(reader, &entry.key, entry.key_place, tables);
        let names = reader.texts(&entry.node);
        from.extend(field.map(|field| FromSpec { field, names }));
    }
    from
}

fn bindings(reader: &mut Reader<'_>, table: &Table, tables: &Tables) -> Vec<BindingSpec> {
    let Some(table) = reader.table_at(table, "binding") else { return Vec::new() };
    if table.entries.len() > BINDINGS_MAX {
        let place = table.entries[BINDINGS_MAX].key_place;
        reader.problem(place, format!("more than {BINDINGS_MAX} bindings"));
        return Vec::new();
    }
    table.entries.iter().filter_map(|entry| binding(reader, entry, table, tables)).collect()
}

fn binding(
    reader: &mut Reader<'_>,
    entry: &Entry,
    all: &Table,
    tables: &Tables,
) -> Option<BindingSpec> {
    let table = reader.table(&entry.node)?;
    let of = format!("[binding.{}]", entry.key);
    reader.known(table, &of, BINDING_KEYS);
    if !entry.shipped && table.node("kind").is_none() {
        overrides_nothing(reader, entry, all);
        return None;
    }
    if reader.truth_at(table, "enabled") == Some(false) {
        return None;
    }
    let messages = reader.texts_at(table, "message");
    let when = conditions(reader, table);
    if messages.is_empty() && when.is_empty() {
        reader.problem_with_hint(
            entry.key_place,
            format!("{of} has neither `message` nor `when`: it would match every line"),
            Some("say what its lines look like: message = \"… {user.name} …\"".to_owned()),
        );
    }
    let kind = reader.required(table, "kind", &of, entry.key_place)?;
    if !kind.value.contains('{') {
        check_kind(reader, &kind, tables);
    }
    reader.text_at(table, "source");
    reader.truth_at(table, "from_source");
    let severity = table.node("severity").and_then(|node| reader.integer(node, 0, 10));
    Some(BindingSpec {
        name: entry.key.clone(),
        place: entry.key_place,
        layer: layer_of(reader, entry, table),
        kind,
        messages,
        when,
        fields: constants(reader, table, tables),
        from: from(reader, table, tables),
        severity: severity.and_then(|severity| u8::try_from(severity).ok()),
        over: reader.texts_at(table, "over"),
        examples: examples(reader, table, tables),
    })
}

fn overrides_nothing(reader: &mut Reader<'_>, entry: &Entry, all: &Table) {
    let message =
        format!("binding `{}` overrides nothing, and is not complete: it has no `kind`", entry.key);
    let shipped = all.entries.iter().filter(|entry| entry.shipped);
    let names: Vec<_> = shipped.map(|entry| entry.key.as_str()).collect();
    reader.problem_with_hint(entry.key_place, message, suggest(&entry.key, names));
}

/// The user's, if the binding or its pattern is.
fn layer_of(reader: &Reader<'_>, entry: &Entry, table: &Table) -> Layer {
    let of_user = |key: &str| {
        let file = table.node(key).and_then(|node| reader.files.get(node.place.file));
        file.is_some_and(|file| file.layer == Layer::User)
    };
    if !entry.shipped || of_user("message") || of_user("when") {
        Layer::User
    } else {
        Layer::Shipped
    }
}

fn conditions(reader: &mut Reader<'_>, table: &Table) -> Vec<Condition> {
    let Some(table) = reader.table_at(table, "when") else { return Vec::new() };
    let mut conditions = Vec::new();
    for entry in &table.entries {
        let name = Located { value: entry.key.clone(), place: entry.key_place };
        let test = match &entry.node.value {
            Content::Boolean(true) => Some(Test::There),
            Content::Boolean(false) => Some(Test::Absent),
            Content::List(list) => {
                list.iter().map(|node| wanted(reader, node)).collect::<Option<_>>().map(Test::OneOf)
            }
            _ => wanted(reader, &entry.node).map(|wanted| Test::OneOf(vec![wanted])),
        };
        conditions.extend(test.map(|test| Condition { name, test }));
    }
    conditions
}

fn wanted(reader: &mut Reader<'_>, node: &Node) -> Option<Wanted> {
    match &node.value {
        Content::Text(text) if text.contains('*') => Some(Wanted::Glob(text.clone())),
        Content::Text(text) => Some(Wanted::Exact(text.clone())),
        Content::Integer(number) => Some(Wanted::Exact(number.to_string())),
        other => {
            let message =
                format!("{} where a text, a glob or a list of them is expected", other.what());
            reader.problem(node.place, message);
            None
        }
    }
}
