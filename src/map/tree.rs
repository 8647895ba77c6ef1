//! A TOML file as a tree in which every key and value knows where it was written, and the laying of the user's
//! tree over the shipped one.
//!
//! Tables merge, scalars and arrays replace, `key = false` removes. What the values mean is not known here.

use std::{ops::Range, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::problem::Problem;

/// Most levels of nested tables.
const DEPTH_MAX: usize = 16;

/// Whose file it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Layer {
    /// Part of the program.
    #[default]
    Shipped,
    /// Of the user's folder; it is laid over the shipped one.
    User,
}

/// A mapping file as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// How problems name it.
    pub path: PathBuf,
    /// Its path inside the mappings folder, with `/`.
    pub name: String,
    /// Whose it is.
    pub layer: Layer,
    /// Its text.
    pub text: String,
}

/// A piece of a file: its index among the files, and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Place {
    fn new(file: usize, span: Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }

    /// A problem with this piece.
    pub(crate) fn problem(self, files: &[File], message: impl Into<String>) -> Problem {
        match files.get(self.file) {
            Some(file) => Problem::at(&file.path, &file.text, self.start..self.end, message),
            None => Problem::of_file("mappings".as_ref(), message),
        }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Content,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
    /// A date or an integer beyond 64 bits: no mapping file has a use for it.
    Other,
}

impl Content {
    /// What it is, for messages.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Content::Text(_) => "a string",
            Content::Integer(_) => "an integer",
            Content::Float(_) => "a number",
            Content::Boolean(_) => "true or false",
            Content::List(_) => "a list",
            Content::Table(_) => "a table",
            Content::Other => "a date or a too large number",
        }
    }
}

/// Keys and values in the order in which they stand in the file; a user's additions come last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
}

/// One key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
    /// The user's file said something about it (in a table: about anything in it).
    pub(crate) touched: bool,
    /// It stands in a shipped file.
    pub(crate) shipped: bool,
}

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn node(&self, key: &str) -> Option<&Node> {
        self.get(key).map(|entry| &entry.node)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.iter().map(|entry| entry.key.as_str())
    }
}

/// Parses a file. `index` is its place among the files.
pub(crate) fn parse(index: usize, file: &File) -> Result<Table, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(&file.text);
    if errors.is_empty() {
        return table_of(index, file, table.get_ref(), 0).map_err(|problem| vec![problem]);
    }
    let problem = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        Problem::at(&file.path, &file.text, span, format!("not valid TOML: {}", error.message()))
    };
    Err(errors.iter().map(problem).collect())
}

fn table_of(
    index: usize,
    file: &File,
    table: &DeTable<'_>,
    depth: usize,
) -> Result<Table, Problem> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let key_place = Place::new(index, key.span());
        if depth == DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} tables inside each other");
            return Err(Problem::at(&file.path, &file.text, key.span(), message));
        }
        entries.push(Entry {
            key: key.get_ref().to_string(),
            key_place,
            node: node_of(index, file, value, depth)?,
            touched: file.layer == Layer::User,
            shipped: file.layer == Layer::Shipped,
        });
    }
    entries.sort_by_key(|entry| entry.key_place.start);
    Ok(Table { entries })
}

fn node_of(
    index: usize,
    file: &File,
    value: &Spanned<DeValue<'_>>,
    depth: usize,
) -> Result<Node, Problem> {
    let content = match value.get_ref() {
        DeValue::String(text) => Content::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Content::Other, Content::Integer),
        DeValue::Float(number) => number.as_str().parse().map_or(Content::Other, Content::Float),
        DeValue::Boolean(truth) => Content::Boolean(*truth),
        DeValue::Datetime(_) => Content::Other,
        DeValue::Array(list) => Content::List(
            list.iter().map(|item| node_of(index, file, item, depth)).collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => Content::Table(table_of(index, file, table, depth + 1)?),
    };
    Ok(Node { place: Place::new(index, value.span()), value: content })
}

/// A table as plain TOML.
pub(crate) fn to_value(table: &Table) -> toml::Value {
    let pairs = table.entries.iter();
    toml::Value::Table(pairs.map(|entry| (entry.key.clone(), value(&entry.node))).collect())
}

fn value(node: &Node) -> toml::Value {
    match &node.value {
        Content::Text(text) => text.clone().into(),
        Content::Integer(number) => (*number).into(),
        Content::Float(number) => (*number).into(),
        Content::Boolean(truth) => (*truth).into(),
        Content::List(list) => list.iter().map(value).collect::<Vec<_>>().into(),
        Content::Table(table) => to_value(table),
        Content::Other => "".into(),
    }
}

/// The place of the deepest key along a dotted path (`key.src.ipv6`) that is there. Keys may have dots themselves.
pub(crate) fn place_of(table: &Table, dotted: &str) -> Option<Place> {
    let rest = |key: &str| match dotted.strip_prefix(key)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    };
    let entry = table.entries.iter().find(|entry| rest(&entry.key).is_some())?;
    let inner = match &entry.node.value {
        Content::Table(table) => place_of(table, rest(&entry.key)?),
        _ => None,
    };
    Some(inner.unwrap_or(entry.key_place))
}

/// Keys whose natural value is `true` or `false`: here `false` is a value, not a removal.
const TRUTH_KEYS: &[&str] = &["enabled", "from_source", "syslog", "unescape_octal", "array"];

/// Lays the user's table over the shipped one. `false` for something that is not there is a problem, since it
/// removes nothing: probably the name is misspelt.
pub(crate) fn overlay(base: &mut Table, over: Table, files: &[File], problems: &mut Vec<Problem>) {
    for entry in over.entries {
        let removes = matches!(entry.node.value, Content::Boolean(false))
            && !TRUTH_KEYS.contains(&entry.key.as_str());
        let at = base.entries.iter().position(|old| old.key == entry.key);
        match at {
            Some(at) if removes => drop(base.entries.remove(at)),
            None if removes => problems.push(removes_nothing(base, &entry, files)),
            Some(at) => replace(&mut base.entries[at], entry, files, problems),
            None => base.entries.push(entry),
        }
    }
}

fn removes_nothing(base: &Table, entry: &Entry, files: &[File]) -> Problem {
    let message = format!("`{} = false` removes nothing: there is no such key", entry.key);
    entry
        .key_place
        .problem(files, message)
        .maybe_hint(crate::problem::suggest(&entry.key, base.keys()))
}

fn replace(old: &mut Entry, new: Entry, files: &[File], problems: &mut Vec<Problem>) {
    old.touched = true;
    if let Content::Table(base) = &mut old.node.value
        && let Content::Table(over) = new.node.value
    {
        if is_binding(base) && (over.get("message").is_some() || over.get("when").is_some()) {
            // The shipped examples were examples of the shipped pattern.
            base.entries.retain(|entry| entry.key != "example");
        }
        overlay(base, over, files, problems);
    } else {
        let shipped = old.shipped;
        *old = Entry { shipped, ..new };
    }
}

/// A binding is the only table that has examples.
fn is_binding(table: &Table) -> bool {
    table.get("example").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(layer: Layer, text: &str) -> File {
        let name = "sources/x.toml".to_owned();
        File { path: name.clone().into(), name, layer, text: text.to_owned() }
    }

    fn laid(shipped: &str, user: &str) -> (Table, Vec<String>) {
        let files = [file(Layer::Shipped, shipped), file(Layer::User, user)];
        let mut base = parse(0, &files[0]).unwrap();
        let mut problems = Vec::new();
        overlay(&mut base, parse(1, &files[1]).unwrap(), &files, &mut problems);
        (base, problems.iter().map(ToString::to_string).collect())
    }

    fn show(table: &Table) -> String {
        let value = |node: &Node| match &node.value {
            Content::Table(table) => format!("{{{}}}", show(table)),
            Content::List(list) => format!("[{}]", list.len()),
            other => format!("{other:?}"),
        };
        let all: Vec<_> =
            table.entries.iter().map(|e| format!("{}={}", e.key, value(&e.node))).collect();
        all.join(" ")
    }

    #[test]
    fn keys_keep_the_order_of_the_file() {
        let table = parse(0, &file(Layer::Shipped, "z = 1\na = 2\n[m.b]\n[m.a]\n")).unwrap();
        assert_eq!(show(&table), "z=Integer(1) a=Integer(2) m={b={} a={}}");
    }

    #[test]
    fn tables_merge_scalars_and_arrays_replace_false_removes() {
        let (table, problems) = laid(
            "a = 1\nl = [1, 2]\n[t]\nx = 'x'\ny = 'y'\nenabled = true\n",
            "a = 2\nl = [3]\nnew = 1\n[t]\nx = false\nz = 'z'\nenabled = false\n",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            show(&table),
            "a=Integer(2) l=[1] t={y=Text(\"y\") enabled=Boolean(false) z=Text(\"z\")} new=Integer(1)"
        );
    }

    #[test]
    fn removing_nothing_is_a_problem_that_names_the_nearest() {
        let (_, problems) = laid("[binding.authenticated]\n", "[binding]\nauthenticatd = false\n");
        expect_test::expect![[r#"
            sources/x.toml:2:1: `authenticatd = false` removes nothing: there is no such key
                2 | authenticatd = false
                  | ^^^^^^^^^^^^ did you mean `authenticated`?"#]]
        .assert_eq(&problems.join("\n"));
    }

    #[test]
    fn a_changed_pattern_drops_the_shipped_examples() {
        let shipped = "[binding.a]\nkind = 'k'\nmessage = 'x'\n[[binding.a.example]]\nline = 'x'\n";
        let (table, _) = laid(shipped, "[binding.a]\nmessage = 'y'\n");
        assert!(!show(&table).contains("example"), "{}", show(&table));
        let (table, _) = laid(shipped, "[binding.a]\nseverity = 3\n");
        assert!(show(&table).contains("example"), "{}", show(&table));
    }

    #[test]
    fn broken_toml_says_where() {
        let problems = parse(0, &file(Layer::User, "a = 1\nb = [1,\n")).unwrap_err();
        assert!(problems[0].to_string().starts_with("sources/x.toml:"), "{}", problems[0]);
    }
}
