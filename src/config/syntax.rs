//! What the TOML parser found wrong, in words that help, and without what only follows from it.

use std::collections::BTreeMap;

use toml::de::Error;

use super::sheet::{Sheet, Wrong};

/// Whether the values of a file can be looked at in spite of its errors.
pub(super) enum Readable {
    /// Yes: what is there means what it says.
    Yes,
    /// No: further errors would be guesses.
    No,
}

/// Reports what the parser found.
pub(super) fn report(sheet: &Sheet<'_>, text: &str, errors: Vec<Error>) -> Readable {
    let (twice, broken): (Vec<_>, Vec<_>) =
        errors.into_iter().partition(|error| error.message() == "duplicate key");
    report_twice(sheet, text, &twice);
    report_broken(sheet, text, &broken);
    if broken.is_empty() { Readable::Yes } else { Readable::No }
}

/// Names that stand twice. Of a table that does, the keys in it are not reported as well.
fn report_twice(sheet: &Sheet<'_>, text: &str, errors: &[Error]) {
    let mut table = None;
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        let header = header_before(text, at.start);
        if table.is_some() && table == header {
            continue;
        }
        if header.is_some_and(|header| !text[header..at.start].contains('\n')) {
            table = header;
        }
        let wrong = Wrong::new(format!("`{}` is there a second time", &text[at.clone()]));
        sheet.error(at, wrong.hint("a name stands once: give this one another, or join both"));
    }
}

/// Where the line of the header begins under which a place lies.
fn header_before(text: &str, place: usize) -> Option<usize> {
    let line = text[..place].rfind('\n').map_or(0, |newline| newline + 1);
    let own = text[line..].trim_start().starts_with('[').then_some(line);
    own.or_else(|| {
        let mut starts = memchr::memchr_iter(b'\n', &text.as_bytes()[..line]).map(|at| at + 1);
        starts.rfind(|start| text[*start..].trim_start_matches(' ').starts_with('['))
    })
}

/// Breaches of the syntax: the first one of a line, and only the first of all where a list has no end, since then
/// all that follows is read as part of it.
fn report_broken(sheet: &Sheet<'_>, text: &str, errors: &[Error]) {
    let endless = errors.iter().any(|error| error.message().contains("unclosed array"));
    let mut of_line: BTreeMap<usize, (usize, &Error)> = BTreeMap::new();
    for error in errors {
        let start = error.span().unwrap_or(0..0).start;
        let line = text[..start].matches('\n').count();
        let first = of_line.entry(line).or_insert((start, error));
        if start <= first.0 {
            *first = (start, error);
        }
    }
    let shown = if endless { 1 } else { usize::MAX };
    for (start, error) in of_line.into_values().take(shown) {
        let hint = if endless { ENDLESS } else { hint(error.message()) };
        let wrong = Wrong::new(format!("this is not TOML: {}", error.message())).hint(hint);
        sheet.error(error.span().unwrap_or(start..start), wrong);
    }
}

const ENDLESS: &str = "does the list before it end with `]`?";

fn hint(message: &str) -> &'static str {
    const QUOTES: &str = "a text stands in quotes: `key = \"text\"`";
    const SAME: &str = "a text ends with the quotes it begins with, on the same line";
    let known = [
        ("must be quoted", QUOTES),
        ("invalid boolean", QUOTES),
        ("invalid float", QUOTES),
        ("invalid integer", QUOTES),
        ("invalid datetime", QUOTES),
        ("unclosed table", "a table begins with `[name]`"),
        ("cannot extend", "a table in braces is complete; write all its keys inside"),
        ("no value", "a key has a value: `key = value`"),
        ("inline table", "a table in braces ends with `}`"),
        ("escape", "a backslash is written twice; in single quotes, once"),
        ("basic string", SAME),
        ("literal string", SAME),
    ];
    let found = known.iter().find(|(part, _)| message.contains(part));
    found.map_or("how it is written: https://toml.io", |(_, hint)| hint)
}
