//! Reading tables of a TOML text so that every value keeps its place and nothing that is wrong goes unsaid.
//!
//! A [`Section`] is asked for its keys one by one; what it is asked for is what it knows. When it is finished, the
//! keys nobody asked for are errors. A wrong value is reported and then treated as absent, so that the rest of the
//! file is looked at, too.

use std::{cell::RefCell, ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::problem::{self, Problem};

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Why a value is not what it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// A value and where it stands.
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: Range<usize>,
}

/// A file's text and what was found wrong or doubtful in it.
pub(super) struct Sheet<'t> {
    path: &'t Path,
    /// The text with secrets masked, byte for byte in the same places.
    shown: &'t str,
    errors: RefCell<Vec<(usize, Problem)>>,
    warnings: RefCell<Vec<(usize, Problem)>>,
}

impl<'t> Sheet<'t> {
    pub(super) fn new(path: &'t Path, shown: &'t str) -> Self {
        Self { path, shown, errors: RefCell::default(), warnings: RefCell::default() }
    }

    /// Reports an error.
    pub(super) fn error(&self, at: Range<usize>, wrong: Wrong) {
        let start = at.start;
        self.errors.borrow_mut().push((start, self.problem(at, wrong)));
    }

    /// Reports that something is missing from the file as a whole.
    pub(super) fn error_at_end(&self, wrong: Wrong) {
        self.error(self.shown.len()..self.shown.len(), wrong);
    }

    /// Reports something doubtful.
    pub(super) fn warn(&self, at: Range<usize>, wrong: Wrong) {
        let start = at.start;
        self.warnings.borrow_mut().push((start, self.problem(at, wrong)));
    }

    fn problem(&self, at: Range<usize>, wrong: Wrong) -> Problem {
        Problem::at(self.path, self.shown, at, wrong.message).maybe_hint(wrong.hint)
    }

    /// Errors and warnings, each in the order of the file.
    pub(super) fn findings(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |found: RefCell<Vec<(usize, Problem)>>| {
            let mut found = found.into_inner();
            found.sort_by_key(|(start, _)| *start);
            found.into_iter().map(|(_, problem)| problem).collect()
        };
        (sorted(self.errors), sorted(self.warnings))
    }
}

/// A table that is being read.
pub(super) struct Section<'t> {
    pub(super) sheet: &'t Sheet<'t>,
    /// As in a header: `destination.siem.syslog`; empty for the whole file.
    pub(super) name: String,
    /// Where its name stands.
    pub(super) at: Range<usize>,
    table: Option<&'t DeTable<'t>>,
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn root(sheet: &'t Sheet<'t>, table: &'t DeTable<'t>) -> Self {
        Self { sheet, name: String::new(), at: 0..0, table: Some(table), asked: Vec::new() }
    }

    fn get(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        self.asked.push(key);
        self.table?.get(key)
    }

    /// Whether a key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether a key is there and is a table.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.table.and_then(|table| table.get(key)).is_some_and(|value| value.get_ref().is_table())
    }

    /// Whether a key is there and is a list of nothing.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let list = self.table.and_then(|table| table.get(key)?.get_ref().as_array());
        list.is_some_and(|list| list.is_empty())
    }

    /// Knows a key without looking at it.
    pub(super) fn skip(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    /// Takes a value, read by `read`.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'t>) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        let value = self.get(key)?;
        self.read(value, &read)
    }

    /// Takes a list, each element read by `read`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'t>) -> Result<T, Wrong>,
    ) -> Option<Vec<Placed<T>>> {
        let value = self.get(key)?;
        let Some(list) = value.get_ref().as_array() else {
            let wrong = Wrong::new(format!("`{key}` is {}, not a list", kind_of(value.get_ref())));
            let hint = match value.get_ref() {
                DeValue::String(_) => format!("put it in brackets: `{key} = [\"…\"]`"),
                _ => format!("for example `{key} = [\"…\", \"…\"]`"),
            };
            self.sheet.error(value.span(), wrong.hint(hint));
            return None;
        };
        Some(list.iter().filter_map(|element| self.read(element, &read)).collect())
    }

    fn read<T>(
        &self,
        value: &Value<'t>,
        read: &impl Fn(&DeValue<'t>) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        match read(value.get_ref()) {
            Ok(read) => Some(Placed { value: read, at: value.span() }),
            Err(wrong) => {
                self.sheet.error(value.span(), wrong);
                None
            }
        }
    }

    /// Takes a table. Absent, it is empty: everything in it has its default.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        let value = self.get(key);
        let name = self.name_of(key);
        let at = self.place_of(key);
        let table = value.and_then(|value| self.table_of(&name, value));
        Section { sheet: self.sheet, name, at, table, asked: Vec::new() }
    }

    /// Takes a table of named tables, in the order of the file.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(Placed<String>, Self)> {
        let outer = self.section(key);
        let mut entries: Vec<_> = outer.table.iter().flat_map(|table| table.iter()).collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut sections = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = outer.name_of(key.get_ref());
            let Some(table) = self.table_of(&name, value) else { continue };
            let (sheet, at) = (self.sheet, key.span());
            let placed = Placed { value: key.get_ref().to_string(), at: at.clone() };
            sections
                .push((placed, Section { sheet, name, at, table: Some(table), asked: Vec::new() }));
        }
        sections
    }

    fn table_of(&self, name: &str, value: &'t Value<'t>) -> Option<&'t DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let wrong =
                Wrong::new(format!("`{name}` is {}, not a table", kind_of(value.get_ref())));
            let hint = match name.rsplit_once('.').map_or(name, |(_, key)| key) {
                "basic" => BASIC_EXAMPLE.to_owned(),
                "tls" => "for example `tls = { ca = \"/etc/towline/ca.pem\" }`".to_owned(),
                _ => format!("begin a table: `[{name}]`"),
            };
            self.sheet.error(value.span(), wrong.hint(hint));
        }
        table
    }

    fn name_of(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Where a key stands, or, where it does not, its section.
    pub(super) fn place_of(&self, key: &str) -> Range<usize> {
        let found = self.table.and_then(|table| table.get_key_value(key));
        found.map_or_else(|| self.at.clone(), |(key, _)| key.span())
    }

    /// Whether a key is probably there, but misspelt.
    pub(super) fn is_misspelt(&self, key: &str) -> bool {
        let mut unknown = self.keys().filter(|there| !self.asked.contains(there));
        unknown.any(|there| problem::nearest(there, [key]).is_some())
    }

    /// Reports that something is missing; `example` shows it. Where it is only misspelt, that is said already.
    pub(super) fn missing(&self, key: &str, example: &str) {
        if self.is_misspelt(key) {
            return;
        }
        let wrong = Wrong::new(format!("[{}] has no `{key}`", self.name));
        self.sheet.error(self.at.clone(), wrong.hint(example));
    }

    /// Keys that are there, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        self.table.into_iter().flat_map(|table| table.keys().map(|key| key.get_ref().as_ref()))
    }

    /// Reports keys that were not asked for. `elsewhere` may know better what to say of one.
    pub(super) fn finish(self, elsewhere: impl Fn(&str) -> Option<String>) {
        for (key, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let hint =
                elsewhere(name).or_else(|| problem::suggest(name, self.asked.iter().copied()));
            let place =
                if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
            let wrong = Wrong::new(format!("unknown key `{name}`{place}")).maybe_hint(hint);
            self.sheet.error(key.span(), wrong);
        }
    }
}

/// What `basic` looks like.
pub(super) const BASIC_EXAMPLE: &str =
    r#"for example `basic = { user = "towline", password = { file = "/etc/towline/password" } }`"#;

/// What a value is, with its article.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
