//! The catalogue: which event kinds there are, and that each is categorised as ECS allows.

use std::collections::HashMap;

use super::{
    read::{Located, Reader},
    tree::{Entry, Table},
};
use crate::event::KindDef;

/// Most kinds: their ids are 16 bits.
const KINDS_MAX: usize = 16_384;

/// `event.kind` of ECS 8.11.
const EVENT_KINDS: &[(&str, &str)] = &[
    ("event", "event"),
    ("alert", "alert"),
    ("state", "state"),
    ("metric", "metric"),
    ("pipeline_error", "pipeline_error"),
];

const OUTCOMES: &[(&str, &str)] =
    &[("success", "success"), ("failure", "failure"), ("unknown", "unknown")];

/// Which `event.type` ECS expects for each `event.category`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Categories {
    types: HashMap<String, Vec<String>>,
}

impl Categories {
    /// Out of a table of `category,types separated by spaces`.
    pub(crate) fn parse(csv: &str) -> Self {
        let row = |line: &str| {
            let (category, types) = line.split_once(',')?;
            let types = types.split_whitespace().map(str::to_owned).collect();
            Some((category.to_owned(), types))
        };
        Self { types: csv.lines().skip(1).filter_map(row).collect() }
    }
}

/// All kinds of the files of `mappings/events`, one merged table per file.
pub(crate) fn kinds(
    reader: &mut Reader<'_>,
    files: &[&Table],
    categories: &Categories,
) -> Vec<KindDef> {
    let mut kinds: Vec<KindDef> = Vec::new();
    let mut taken: HashMap<&str, ()> = HashMap::new();
    for entry in files.iter().flat_map(|table| &table.entries) {
        if taken.insert(&entry.key, ()).is_some() {
            reader.problem(entry.key_place, format!("kind `{}` is defined twice", entry.key));
            continue;
        }
        kinds.extend(kind(reader, entry, categories, files));
    }
    if kinds.len() > KINDS_MAX
        && let Some(entry) = files.iter().flat_map(|table| &table.entries).next()
    {
        reader.problem(entry.key_place, format!("more than {KINDS_MAX} kinds"));
    }
    kinds
}

fn kind(
    reader: &mut Reader<'_>,
    entry: &Entry,
    categories: &Categories,
    files: &[&Table],
) -> Option<KindDef> {
    let table = reader.table(&entry.node)?;
    let of = format!("[\"{}\"]", entry.key);
    reader.known(table, &of, &["title", "severity", "meaning", "attack", "ecs"]);
    let name = kind_name(reader, entry)?;
    if !entry.shipped && ["title", "severity", "ecs"].iter().any(|key| table.node(key).is_none()) {
        overrides_nothing(reader, entry, files);
        return None;
    }
    let title = reader.required(table, "title", &of, entry.key_place);
    let meaning = reader.required(table, "meaning", &of, entry.key_place);
    let severity = match table.node("severity") {
        Some(node) => reader.integer(node, 0, 10),
        None => {
            reader.problem(entry.key_place, format!("{of} has no `severity`"));
            None
        }
    };
    let attack = reader.plain_texts_at(table, "attack");
    let mut def = KindDef {
        name,
        title: title?.value,
        severity: u8::try_from(severity?).unwrap_or(0),
        kind: String::new(),
        category: Vec::new(),
        types: Vec::new(),
        outcome: None,
        attack,
        meaning: meaning?.value,
    };
    categorise(reader, &mut def, entry, table, categories);
    Some(def)
}

fn kind_name(reader: &mut Reader<'_>, entry: &Entry) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fits = |name: &str| {
        name.split_once('.').is_some_and(|(family, event)| {
            !family.is_empty()
                && !event.is_empty()
                && family.chars().chain(event.chars()).all(plain)
        })
    };
    if fits(&entry.key) {
        return Some(entry.key.clone());
    }
    let message = format!("`{}` is no name for a kind", entry.key);
    let hint = "a kind is `<family>.<event>`, of lower-case letters, digits and `_`; in quotes: [\"xmpp.auth_failure\"]";
    reader.problem_with_hint(entry.key_place, message, Some(hint.to_owned()));
    None
}

fn overrides_nothing(reader: &mut Reader<'_>, entry: &Entry, files: &[&Table]) {
    let message = format!(
        "kind `{}` overrides nothing, and is not complete: it needs title, severity, meaning and ecs",
        entry.key
    );
    let shipped = files.iter().flat_map(|table| &table.entries).filter(|e| e.shipped);
    let names: Vec<_> = shipped.map(|entry| entry.key.as_str()).collect();
    let near = crate::problem::nearest(&entry.key, names.iter().copied());
    let hint = near.map(|near| format!("did you mean `{near}`?"));
    reader.problem_with_hint(entry.key_place, message, hint);
}

/// Reads the `ecs` table of a kind.
fn categorise(
    reader: &mut Reader<'_>,
    def: &mut KindDef,
    entry: &Entry,
    table: &Table,
    categories: &Categories,
) {
    let Some(ecs) = reader.table_at(table, "ecs") else {
        if table.node("ecs").is_none() {
            reader.problem(entry.key_place, format!("[\"{}\"] has no `ecs`", entry.key));
        }
        return;
    };
    let keys = &["event.kind", "event.category", "event.type", "event.outcome"];
    reader.known(ecs, &format!("ecs of `{}`", entry.key), keys);
    match ecs.node("event.kind") {
        Some(node) => def.kind = reader.choice(node, EVENT_KINDS).unwrap_or("event").to_owned(),
        None => def.kind = "event".to_owned(),
    }
    def.outcome =
        ecs.node("event.outcome").and_then(|n| reader.choice(n, OUTCOMES)).map(str::to_owned);
    let category = reader.texts_at(ecs, "event.category");
    let types = reader.texts_at(ecs, "event.type");
    check_categories(reader, &category, &types, categories);
    def.category = category.into_iter().map(|text| text.value).collect();
    def.types = types.into_iter().map(|text| text.value).collect();
}

/// Each category must be one of ECS, and each type must be expected by at least one of the categories.
fn check_categories(
    reader: &mut Reader<'_>,
    category: &[Located<String>],
    types: &[Located<String>],
    categories: &Categories,
) {
    let mut expected: Vec<&str> = Vec::new();
    for one in category {
        if let Some(types) = categories.types.get(&one.value) {
            expected.extend(types.iter().map(String::as_str));
        } else {
            let mut all: Vec<_> = categories.types.keys().map(String::as_str).collect();
            all.sort_unstable();
            let hint = crate::problem::suggest(&one.value, all);
            let message = format!("`{}` is no event.category of ECS", one.value);
            reader.problem_with_hint(one.place, message, hint);
        }
    }
    expected.sort_unstable();
    expected.dedup();
    for one in types.iter().filter(|one| !expected.contains(&one.value.as_str())) {
        let of: Vec<_> = category.iter().map(|one| one.value.as_str()).collect();
        let message = format!("event.type `{}` does not fit category {}", one.value, of.join(", "));
        let hint = (!expected.is_empty()).then(|| format!("expected: {}", expected.join(", ")));
        reader.problem_with_hint(one.place, message, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tree::{File, Layer, parse};

    const CSV: &str = "event.category,expected event.type\nauthentication,start end info\nnetwork,connection denied\n";

    fn check(text: &str) -> String {
        let name = "events/x.toml".to_owned();
        let layer = Layer::Shipped;
        let files = [File { path: name.clone().into(), name, layer, text: text.to_owned() }];
        let table = parse(0, &files[0]).unwrap();
        let mut reader = Reader::new(&files);
        let kinds = kinds(&mut reader, &[&table], &Categories::parse(CSV));
        let shown = kinds.iter().map(|kind| format!("{kind:?}"));
        shown.chain(reader.problems.iter().map(ToString::to_string)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_kind_is_read() {
        expect_test::expect![[r#"KindDef { name: "a.b", title: "T", severity: 6, kind: "event", category: ["authentication"], types: ["start"], outcome: Some("failure"), attack: ["T1110"], meaning: "M" }"#]]
        .assert_eq(&check(
            r#"["a.b"]
title = "T"
severity = 6
meaning = "M"
attack = ["T1110"]
ecs = { "event.kind" = "event", "event.category" = ["authentication"], "event.type" = ["start"], "event.outcome" = "failure" }
"#,
        ));
    }

    #[test]
    fn a_type_that_the_category_does_not_expect_is_a_problem() {
        expect_test::expect![[r#"
            KindDef { name: "a.b", title: "T", severity: 6, kind: "event", category: ["network"], types: ["error"], outcome: None, attack: [], meaning: "M" }
            events/x.toml:5:54: event.type `error` does not fit category network
                5 | ecs = { "event.category" = ["network"], "event.type"="error" }
                  |                                                      ^^^^^^^ expected: connection, denied"#]]
        .assert_eq(&check(
            "[\"a.b\"]\ntitle = 'T'\nseverity = 6\nmeaning = 'M'\necs = { \"event.category\" = [\"network\"], \"event.type\"=\"error\" }\n",
        ));
    }

    #[test]
    fn a_bad_name_and_a_missing_title_are_problems() {
        let shown = check("[Auth]\n[\"a.b\"]\nseverity = 11\n");
        expect_test::expect![[r#"
            events/x.toml:1:2: `Auth` is no name for a kind
                1 | [Auth]
                  |  ^^^^ a kind is `<family>.<event>`, of lower-case letters, digits and `_`; in quotes: ["xmpp.auth_failure"]
            events/x.toml:2:2: ["a.b"] has no `title`
                2 | ["a.b"]
                  |  ^^^^^
            events/x.toml:2:2: ["a.b"] has no `meaning`
                2 | ["a.b"]
                  |  ^^^^^
            events/x.toml:3:12: an integer where an integer from 0 to 10 is expected
                3 | severity = 11
                  |            ^^"#]]
        .assert_eq(&shown);
    }
}
