//! What is wrong in a file that a person wrote, said so that they can put it right: where, what, and what would be
//! right instead. Configuration and mappings share it.
//!
//! ```text
//! towline.toml:12:1: unknown key `tranport` in [destination.siem.syslog]
//!    12 | tranport = "tls"
//!       | ^^^^^^^^ did you mean `transport`?
//! ```

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// Longest piece of a line that is shown, in characters.
const SHOWN_MAX: usize = 120;

/// Names longer than this are not compared.
const NAME_BYTES_MAX: usize = 128;

/// One thing that is wrong, or in a warning, doubtful.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Where in it; `None` where the file as a whole is meant.
    pub place: Option<Box<Place>>,
    /// What is wrong: a lowercase fragment without a full stop.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

/// A piece of one line of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line as it is shown: without control characters, long ones cut around the place.
    pub text: String,
    /// Characters of `text` before the caret.
    pub indent: usize,
    /// Width of the caret in characters, at least 1.
    pub width: usize,
}

impl Problem {
    /// A problem with a piece of a file's text, given in bytes. Of a piece over several lines the first is shown.
    #[must_use]
    pub fn at(path: &Path, text: &str, piece: Range<usize>, message: impl Into<String>) -> Self {
        let place = Some(Box::new(Place::of(text, piece)));
        Self { path: path.to_owned(), place, message: message.into(), hint: None }
    }

    /// A problem with a file as a whole.
    #[must_use]
    pub fn of_file(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), place: None, message: message.into(), hint: None }
    }

    /// Says what would be right.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what would be right, where that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

impl Place {
    fn of(text: &str, piece: Range<usize>) -> Self {
        let start = floor_boundary(text, piece.start);
        let end = floor_boundary(text, piece.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let before = text[line_start..start].chars().count();
        let width = text[start..end.min(line_start + line.len()).max(start)].chars().count();
        let (shown, cut) = show(line, before);
        let indent = before - cut;
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: before + 1,
            width: width.min((shown.chars().count() + 1).saturating_sub(indent)).max(1),
            text: shown,
            indent,
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// A line as it can be printed safely, and how many characters were cut off before it.
fn show(line: &str, before: usize) -> (String, usize) {
    let cut = if before < SHOWN_MAX * 2 / 3 { 0 } else { before - SHOWN_MAX / 3 };
    (line.chars().skip(cut).take(SHOWN_MAX).map(plain).collect(), cut)
}

/// A character that can be printed: itself, or what stands for it.
fn plain(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() || is_invisible(c) => '\u{fffd}',
        c => c,
    }
}

/// Characters that a terminal does not show or that turn the text around.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let message: String = self.message.chars().map(plain).collect();
        let hint: Option<String> = self.hint.as_ref().map(|hint| hint.chars().map(plain).collect());
        let Some(place) = &self.place else {
            write!(f, "{path}: {}", message)?;
            return hint.map_or(Ok(()), |hint| write!(f, "\n      | {hint}"));
        };
        writeln!(f, "{path}:{}:{}: {}", place.line, place.column, message)?;
        writeln!(f, "{:5} | {}", place.line, place.text)?;
        write!(
            f,
            "      | {:indent$}{:^<width$}",
            "",
            "",
            indent = place.indent,
            width = place.width
        )?;
        hint.map_or(Ok(()), |hint| write!(f, " {hint}"))
    }
}

impl std::error::Error for Problem {}

/// The candidate that was probably meant by `name`: few typing mistakes away, or the same behind its family
/// (`auth_failure` for `xmpp.auth_failure`).
#[must_use]
pub fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> Option<&'c str> {
    let name = name.to_lowercase();
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let allowed = (name.chars().count() / 3).max(1);
    let close = candidates
        .clone()
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| (distance(&name, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance);
    close.map(|(_, candidate)| candidate).or_else(|| {
        candidates.into_iter().find(|candidate| {
            let candidate = candidate.to_lowercase();
            last_part(&candidate) == name || last_part(&name) == candidate
        })
    })
}

/// What stands behind the family of a kind or field, or the continent of a time zone.
fn last_part(name: &str) -> &str {
    name.rsplit_once(['.', '/']).map_or(name, |(_, last)| last)
}

/// ``did you mean `x`?``, or, where nothing is near, what there is.
#[must_use]
pub fn suggest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> Option<String> {
    /// More than these are not listed.
    const LISTED_MAX: usize = 24;
    if let Some(near) = nearest(name, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<_> = candidates.into_iter().map(|candidate| format!("`{candidate}`")).collect();
    match all.len() {
        0 => None,
        1..=LISTED_MAX => Some(format!("possible: {}", all.join(", "))),
        _ => None,
    }
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let change = last[j] + usize::from(a[i] != b[j]);
            let mut best = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                let swapped: &Vec<usize> = &before;
                best = best.min(swapped[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_line_caret_and_hint() {
        let text = "[a]\nb = 1\ntranport = \"tls\"\n";
        let problem =
            Problem::at(Path::new("towline.toml"), text, 10..18, "unknown key `tranport`")
                .hint("did you mean `transport`?");
        expect_test::expect![[r#"
            towline.toml:3:1: unknown key `tranport`
                3 | tranport = "tls"
                  | ^^^^^^^^ did you mean `transport`?"#]]
        .assert_eq(&problem.to_string());
    }

    #[test]
    fn messages_hold_no_control_characters() {
        let problem = Problem::of_file(Path::new("f"), "\u{1b}[31m").hint("\u{202e}");
        assert_eq!(problem.to_string(), "f: \u{fffd}[31m\n      | \u{fffd}");
    }

    #[test]
    fn columns_count_characters_and_controls_are_not_printed() {
        let text = "\tä\u{1b}[31m = x\r\n";
        let place = Place::of(text, text.find('x').unwrap()..text.len());
        assert_eq!((place.line, place.column, place.width), (1, 11, 1));
        assert_eq!(place.text, " ä\u{fffd}[31m = x");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}HERE{}", "a".repeat(5_000), "b".repeat(5_000));
        let place = Place::of(&text, 5_000..5_004);
        assert_eq!(
            place.text.chars().skip(place.indent).take(place.width).collect::<String>(),
            "HERE"
        );
        assert_eq!(place.text.len(), SHOWN_MAX);
        assert_eq!(place.column, 5_001);
    }

    #[test]
    fn nearest_finds_what_was_meant() {
        let kinds = ["xmpp.auth_failure", "xmpp.auth_success", "tox.friend_request_received"];
        let nearest = |name| nearest(name, kinds);
        assert_eq!(nearest("xmpp.auth_failrue"), Some("xmpp.auth_failure"));
        assert_eq!(nearest("XMPP.auth_succes"), Some("xmpp.auth_success"));
        assert_eq!(nearest("friend_request_received"), Some("tox.friend_request_received"));
        assert_eq!(super::nearest("berlin", ["Europe/Berlin"]), Some("Europe/Berlin"));
        assert_eq!(nearest("banana"), None);
        assert_eq!(nearest(""), None);
    }

    #[test]
    fn suggest_lists_a_short_choice() {
        let choice = ["batch", "interval"];
        assert_eq!(suggest("bacth", choice).unwrap(), "did you mean `batch`?");
        assert_eq!(suggest("never", choice).unwrap(), "possible: `batch`, `interval`");
        assert_eq!(suggest("x", []), None);
    }

    #[test]
    fn distance_counts_swaps_once() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn any_piece_of_any_text_can_be_shown(text in "\\PC*|.{0,20}\n.{0,300}", start: u16, len: u16) {
            let start = usize::from(start) % (text.len() + 2);
            let problem = Problem::at(Path::new("f"), &text, start..start + usize::from(len), "m");
            let shown = problem.to_string();
            prop_assert_eq!(shown.lines().count(), 3);
        }
    }
}
