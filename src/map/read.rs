//! Typed values out of a [`Table`], collecting every problem instead of stopping at the first.

use std::collections::HashSet;

use super::tree::{Content, File, Node, Place, Table};
use crate::problem::{Problem, suggest};

/// A value and where it was written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// Reads tables of some files and remembers what was wrong.
pub(crate) struct Reader<'f> {
    pub(crate) files: &'f [File],
    pub(crate) problems: Vec<Problem>,
}

impl<'f> Reader<'f> {
    pub(crate) fn new(files: &'f [File]) -> Self {
        Self { files, problems: Vec::new() }
    }

    /// The result, or what was wrong.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() { Ok(value) } else { Err(self.problems) }
    }

    pub(crate) fn problem(&mut self, place: Place, message: impl Into<String>) -> &mut Problem {
        self.problems.push(place.problem(self.files, message));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    pub(crate) fn problem_with_hint(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.problem(place, message).hint = hint;
    }

    fn wrong(&mut self, node: &Node, wanted: &str) {
        let message = format!("{} where {wanted} is expected", node.value.what());
        self.problem(node.place, message);
    }

    /// Every key of the table must be one of these.
    pub(crate) fn known(&mut self, table: &Table, of: &str, keys: &[&str]) {
        let known: HashSet<_> = keys.iter().copied().collect();
        for entry in table.entries.iter().filter(|entry| !known.contains(entry.key.as_str())) {
            let message = format!("unknown key `{}` in {of}", entry.key);
            let hint = suggest(&entry.key, keys.iter().copied());
            self.problem_with_hint(entry.key_place, message, hint);
        }
    }

    pub(crate) fn text(&mut self, node: &Node) -> Option<Located<String>> {
        let Content::Text(text) = &node.value else {
            self.wrong(node, "a string");
            return None;
        };
        Some(Located { value: text.clone(), place: node.place })
    }

    /// A string or a list of strings.
    pub(crate) fn texts(&mut self, node: &Node) -> Vec<Located<String>> {
        match &node.value {
            Content::Text(_) => self.text(node).into_iter().collect(),
            Content::List(list) => list.iter().filter_map(|node| self.text(node)).collect(),
            _ => {
                self.wrong(node, "a string or a list of strings");
                Vec::new()
            }
        }
    }

    pub(crate) fn truth(&mut self, node: &Node) -> Option<bool> {
        let Content::Boolean(truth) = node.value else {
            self.wrong(node, "true or false");
            return None;
        };
        Some(truth)
    }

    pub(crate) fn integer(&mut self, node: &Node, least: i64, most: i64) -> Option<i64> {
        match node.value {
            Content::Integer(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                self.wrong(node, &format!("an integer from {least} to {most}"));
                None
            }
        }
    }

    pub(crate) fn table<'n>(&mut self, node: &'n Node) -> Option<&'n Table> {
        let Content::Table(table) = &node.value else {
            self.wrong(node, "a table");
            return None;
        };
        Some(table)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node, choice: &[(&str, T)]) -> Option<T> {
        let text = self.text(node)?;
        if let Some((_, value)) = choice.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let words: Vec<_> = choice.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` is none of the possible words", text.value);
        self.problem_with_hint(node.place, message, suggest(&text.value, words));
        None
    }

    // The same for a key that may be missing.

    pub(crate) fn text_at(&mut self, table: &Table, key: &str) -> Option<Located<String>> {
        table.node(key).and_then(|node| self.text(node))
    }

    pub(crate) fn texts_at(&mut self, table: &Table, key: &str) -> Vec<Located<String>> {
        table.node(key).map(|node| self.texts(node)).unwrap_or_default()
    }

    pub(crate) fn plain_texts_at(&mut self, table: &Table, key: &str) -> Vec<String> {
        self.texts_at(table, key).into_iter().map(|text| text.value).collect()
    }

    pub(crate) fn truth_at(&mut self, table: &Table, key: &str) -> Option<bool> {
        table.node(key).and_then(|node| self.truth(node))
    }

    pub(crate) fn table_at<'n>(&mut self, table: &'n Table, key: &str) -> Option<&'n Table> {
        table.node(key).and_then(|node| self.table(node))
    }

    /// A key that must be there. `of` names the table at `place`.
    pub(crate) fn required(
        &mut self,
        table: &Table,
        key: &str,
        of: &str,
        place: Place,
    ) -> Option<Located<String>> {
        if table.node(key).is_none() {
            self.problem(place, format!("{of} has no `{key}`"));
        }
        self.text_at(table, key)
    }
}

/// The place of the byte `offset` of a string's value, where the file has it: behind the quote, and with escapes
/// counted as long as they are written.
pub(crate) fn inside(files: &[File], place: Place, offset: usize) -> Place {
    let Some(written) = files.get(place.file).and_then(|f| f.text.get(place.start..place.end))
    else {
        return place;
    };
    let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quote| written.starts_with(quote));
    let Some(quote) = quote else { return place };
    let mut at = quote.len();
    if quote.len() == 3 {
        at += usize::from(written[at..].starts_with('\r'));
        at += usize::from(written[at..].starts_with('\n'));
    }
    let mut value = 0;
    while value < offset
        && let Some(first) = written[at..].chars().next()
    {
        let (long, short) = match first {
            '\\' if quote.starts_with('"') => escape(&written[at..]),
            c => (c.len_utf8(), c.len_utf8()),
        };
        at += long;
        value += short;
    }
    let start = (place.start + at).min(place.end.saturating_sub(1)).max(place.start);
    Place { start, end: start + 1, ..place }
}

/// Lengths of an escape sequence as it is written, and of the character that it stands for.
fn escape(written: &str) -> (usize, usize) {
    let digits = match written.as_bytes().get(1) {
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b'x') => 2,
        _ => 0,
    };
    let long = (2 + digits).min(written.len());
    let character = written.get(2..long).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    (long, character.and_then(char::from_u32).map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tree::{Layer, parse};

    fn file(text: &str) -> File {
        let name = "sources/x.toml".to_owned();
        File { path: name.clone().into(), name, layer: Layer::Shipped, text: text.to_owned() }
    }

    #[test]
    fn unknown_keys_and_wrong_types_say_where_and_what() {
        let files = [file("mesage = 'x'\nkind = 3\n")];
        let table = parse(0, &files[0]).unwrap();
        let mut reader = Reader::new(&files);
        reader.known(&table, "[binding.a]", &["message", "kind"]);
        assert!(reader.text_at(&table, "kind").is_none());
        let problems: Vec<_> = reader.problems.iter().map(ToString::to_string).collect();
        expect_test::expect![[r#"
            sources/x.toml:1:1: unknown key `mesage` in [binding.a]
                1 | mesage = 'x'
                  | ^^^^^^ did you mean `message`?
            sources/x.toml:2:8: an integer where a string is expected
                2 | kind = 3
                  |        ^"#]]
        .assert_eq(&problems.join("\n"));
    }

    #[test]
    fn offsets_in_strings_count_escapes_as_written() {
        for (written, offset, expected) in [
            ("a = 'x{y}'", 1, "{"),
            (r#"a = "\tx{y}""#, 2, "{"),
            (r#"a = "\u00e4x{y}""#, 3, "{"),
            ("a = '''\nx{y}'''", 1, "{"),
            ("a = 'ab'", 99, "'"),
        ] {
            let files = [file(written)];
            let table = parse(0, &files[0]).unwrap();
            let place = inside(&files, table.node("a").unwrap().place, offset);
            assert_eq!(&written[place.start..place.end], expected, "{written}");
        }
    }
}
