//! What the lines were that no binding knew: counted, and grouped by what they have in common.

use std::{collections::HashMap, fmt::Write};

/// More groups than this are not told apart.
const GROUPS_MAX: usize = 4_096;
/// So many groups are shown.
const SHOWN_MAX: usize = 10;
/// Only the beginning of a line tells its group.
const LINE_BYTES_MAX: usize = 200;

/// Counts of one run.
#[derive(Debug, Default)]
pub(super) struct Unrecognised {
    all: u64,
    unrecognised: u64,
    groups: HashMap<String, u64>,
}

impl Unrecognised {
    /// Counts a record by its message.
    pub(super) fn count(&mut self, recognised: bool, message: &[u8]) {
        self.all += 1;
        if recognised {
            return;
        }
        self.unrecognised += 1;
        let group = template(message);
        if self.groups.len() < GROUPS_MAX || self.groups.contains_key(&group) {
            *self.groups.entry(group).or_default() += 1;
        }
    }

    /// For people: how many, and the largest groups.
    pub(super) fn summary(&self) -> String {
        let mut text = format!("{} records", self.all);
        if self.unrecognised == 0 {
            text.push_str(", all recognised\n");
            return text;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = 100.0 * self.unrecognised as f64 / self.all.max(1) as f64;
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        // Writing to a String cannot fail.
        let _ = writeln!(text, ", {} not recognised ({share:.1} %)", self.unrecognised);
        for (group, count) in groups.iter().take(SHOWN_MAX) {
            let _ = writeln!(text, "{count:>8}  {group}");
        }
        if groups.len() > SHOWN_MAX {
            let _ =
                writeln!(text, "          and {} more kinds of lines", groups.len() - SHOWN_MAX);
        }
        text
    }
}

/// A line without what differs from line to line: words with a digit or an `@` become `<…>`. Nothing in it can
/// disturb a terminal.
fn template(message: &[u8]) -> String {
    let cut = &message[..message.len().min(LINE_BYTES_MAX)];
    let text = String::from_utf8_lossy(cut);
    let first = text.lines().next().unwrap_or_default();
    let words = first.split_whitespace().map(|word| {
        let varies = word.contains(|c: char| c.is_ascii_digit() || c == '@');
        if varies { "<…>".to_owned() } else { word.escape_debug().to_string() }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_many_and_which() {
        let mut counts = Unrecognised::default();
        counts.count(true, b"fine");
        for n in 0..3 {
            counts.count(false, format!("odd thing {n}\x1b[31m from a@b").as_bytes());
        }
        counts.count(false, b"");
        expect_test::expect![[r"
            5 records, 4 not recognised (80.0 %)
                   3  odd thing <…> from <…>
                   1  
        "]]
        .assert_eq(&counts.summary());
    }

    #[test]
    fn groups_are_bounded() {
        let mut counts = Unrecognised::default();
        for n in 0..GROUPS_MAX + 100 {
            let word: String =
                format!("{n:05}").bytes().map(|b| (b - b'0' + b'a') as char).collect();
            counts.count(false, word.as_bytes());
        }
        assert_eq!(counts.groups.len(), GROUPS_MAX);
        assert!(counts.summary().contains("and 4086 more kinds of lines"));
    }
}
