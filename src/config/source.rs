//! `[source.NAME]`.

use std::{collections::HashMap, ops::Range, time::Duration};

use jiff::tz::TimeZone;

use super::{
    Known, Source, Unrecognised, level,
    sheet::{Placed, Section, Sheet, Wrong},
    value,
};
use crate::{problem, tail};

const RECORD_WAIT: Duration = Duration::from_millis(200);
const AUTO: &str = "auto";

/// Reads one source.
pub(super) fn source(
    name: Placed<String>,
    mut section: Section<'_>,
    known: &Known,
) -> Option<Source> {
    const START: &[(&str, tail::Start)] =
        &[("beginning", tail::Start::Beginning), ("end", tail::Start::End)];
    const UNRECOGNISED: &[(&str, Unrecognised)] =
        &[("ship", Unrecognised::Ship), ("drop", Unrecognised::Drop)];
    let sheet = section.sheet;
    if let Err(wrong) = value::name(&name.value) {
        sheet.error(name.at.clone(), wrong);
    }
    let mapping = section.take("mapping", |value| mapping(&value::text(value)?, known));
    if !section.has("mapping") {
        section.missing("mapping", "the name of the program's mapping: `mapping = \"…\"`");
    }
    let files = section.list("files", value::file_glob);
    if !section.has("files") {
        section.missing("files", "for example `files = [\"/var/log/chat/*.log\"]`");
    } else if section.is_empty_list("files") {
        let wrong =
            Wrong::new("`files` is empty").hint("for example `files = [\"/var/log/chat/*.log\"]`");
        sheet.error(section.place_of("files"), wrong);
    }
    let exclude = section.list("exclude", value::exclude_glob);
    let mapping = mapping.map(|placed| placed.value);
    let layout =
        section.take("layout", |value| layout(value::text(value)?, mapping.as_deref(), known));
    let time_zone = section.take("time_zone", value::time_zone);
    let start = section.take("start", value::choice(START));
    let level_min = section.take("level_min", level::read);
    let drop = section.list("drop", |value| value::kinds(value, &known.kinds));
    let unrecognised = section.take("unrecognised", value::choice(UNRECOGNISED));
    let record_wait = section.take("record_wait_ms", value::time(10..=60_000));
    section.finish(elsewhere);
    let mut drop: Vec<_> = drop.into_iter().flatten().flat_map(|placed| placed.value.1).collect();
    drop.sort_unstable();
    drop.dedup();
    let tail = tail::Settings {
        source: name.value.clone(),
        files: files?.into_iter().map(|placed| placed.value).collect(),
        exclude: exclude.into_iter().flatten().map(|placed| placed.value).collect(),
        start: start.map_or_else(tail::Start::default, |placed| placed.value),
        record_wait: record_wait.map_or(RECORD_WAIT, |placed| placed.value),
    };
    Some(Source {
        name: name.value,
        mapping: mapping?,
        tail,
        layout: layout.and_then(|placed| placed.value),
        time_zone: time_zone.map_or_else(TimeZone::system, |placed| placed.value),
        level_min: level_min.map(|placed| placed.value),
        drop,
        unrecognised: unrecognised.map_or_else(Unrecognised::default, |placed| placed.value),
    })
}

fn mapping(name: &str, known: &Known) -> Result<String, Wrong> {
    if known.mappings.is_empty() || known.mappings.iter().any(|mapping| mapping.name == name) {
        return Ok(name.to_owned());
    }
    let names = known.mappings.iter().map(|mapping| mapping.name.as_str());
    Err(Wrong::new(format!("there is no mapping `{name}`"))
        .maybe_hint(problem::suggest(name, names)))
}

fn layout(name: String, mapping: Option<&str>, known: &Known) -> Result<Option<String>, Wrong> {
    if name == AUTO {
        return Ok(None);
    }
    let mapping = known.mappings.iter().find(|known| Some(known.name.as_str()) == mapping);
    let Some(mapping) = mapping else { return Ok(Some(name)) };
    if mapping.layouts.contains(&name) {
        return Ok(Some(name));
    }
    let names = std::iter::once(AUTO).chain(mapping.layouts.iter().map(String::as_str));
    Err(Wrong::new(format!("mapping `{}` has no layout `{name}`", mapping.name))
        .maybe_hint(problem::suggest(&name, names)))
}

/// Names that other shippers use.
fn elsewhere(key: &str) -> Option<String> {
    Some(match key {
        "path" | "paths" | "include" => "did you mean `files`?".to_owned(),
        "timezone" | "tz" => "did you mean `time_zone`?".to_owned(),
        "severity_min" | "kinds" => {
            format!("`{key}` is a setting of destinations; a source has `level_min` and `drop`")
        }
        "encoding" => {
            "not in this version: logs are read as UTF-8, other bytes are escaped".to_owned()
        }
        _ => return None,
    })
}

/// Warns of a pattern that two sources have: its lines are shipped twice.
pub(super) fn warn_when_read_twice(sheet: &Sheet<'_>, sources: &[(Range<usize>, Source)]) {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for (at, source) in sources {
        for file in &source.tail.files {
            let first = *seen.entry(file).or_insert(&source.name);
            if first != source.name {
                let wrong = Wrong::new(format!("source `{first}` also reads `{file}`"));
                sheet.warn(at.clone(), wrong.hint("the events of these files are shipped twice"));
            }
        }
    }
}
