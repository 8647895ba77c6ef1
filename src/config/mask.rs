//! Hides secrets in a configuration's text before any of its lines is shown. Works on text that does not parse
//! and on keys that are misspelt: better a harmless value hidden than a secret printed.
//!
//! Where the text parses, the values of certain keys are hidden. Where it does not, nobody knows what is a value: there
//! the rest of every line that names such a key is hidden.

use std::ops::Range;

use crate::problem;

/// The same text, byte for byte as long, with `*` in place of what may be a secret.
pub(super) fn mask(text: &str) -> String {
    hide(text, Scanner::new(text).hidden(), |c| c != '\n')
}

/// The same for a text that does not parse.
pub(super) fn mask_broken(text: &str) -> String {
    hide(&mask(text), rests_of_lines(text), char::is_alphanumeric)
}

fn hide(text: &str, pieces: Vec<Range<usize>>, hidden: impl Fn(char) -> bool) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for piece in pieces {
        masked.push_str(&text[at..piece.start]);
        for c in text[piece.clone()].chars() {
            match hidden(c) {
                true => (0..c.len_utf8()).for_each(|_| masked.push('*')),
                false => masked.push(c),
            }
        }
        at = piece.end;
    }
    masked.push_str(&text[at..]);
    masked
}

/// What stands behind a word that names a secret, to the end of its line; behind three quotes, to the line of the
/// next three. And what stands before the last `@` in a URL.
fn rests_of_lines(text: &str) -> Vec<Range<usize>> {
    let mut rests = Vec::new();
    let mut start = 0;
    let mut until = None;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let named = secret_word(line).map(|word| start + word);
        let triple = ["\"\"\"", "'''"].into_iter().find(|quotes| line.contains(quotes));
        let userinfo = line.find("://").zip(line.rfind('@')).filter(|(scheme, at)| scheme < at);
        match (until, named) {
            (Some(_), _) => rests.push(start..end),
            (None, Some(word)) => rests.push(word..end),
            (None, None) => rests.extend(userinfo.map(|(scheme, at)| start + scheme..start + at)),
        }
        until = match until {
            Some(quotes) => Some(quotes).filter(|quotes| !line.contains(quotes)),
            None => {
                triple.filter(|quotes| named.is_some() && line.matches(quotes).count() % 2 == 1)
            }
        };
        start = end;
    }
    rests
}

/// Where the first word ends that names a secret.
fn secret_word(line: &str) -> Option<usize> {
    let mut at = 0;
    for word in line.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != '-') {
        at += word.len();
        let word = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        // What `key` holds is a path in one table and a secret in another; what `basic` holds is a table.
        let plain = match Holds::of(word, Holds::Plain) {
            Holds::Plain => true,
            Holds::SecretUnlessPath => line[at..].contains('/'),
            Holds::SecretString => line[at..].trim_start_matches([' ', '=']).starts_with('{'),
            Holds::Secret => word.is_empty(),
        };
        if !plain {
            return Some(at);
        }
    }
    None
}

/// What a key says about the strings behind it.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    /// Nothing to hide.
    Plain,
    /// A secret where a string stands directly behind the key; not what is in a table behind it.
    SecretString,
    /// A secret unless it is a path: `key` is a file for TLS.
    SecretUnlessPath,
    /// A secret, also in a table behind it.
    Secret,
}

impl Holds {
    fn of(key: &str, around: Self) -> Self {
        let key = key.to_lowercase();
        let names = ["password", "passphrase", "api_key", "secret", "token"];
        let contains = ["pas", "pwd", "apik", "api_k", "api-k", "secret", "token"];
        match key.as_str() {
            "file" | "env" | "credential" => Self::Plain,
            _ if around == Self::Secret => Self::Secret,
            "basic" => Self::SecretString,
            "key" => Self::SecretUnlessPath,
            _ if contains.iter().any(|part| key.contains(part)) => Self::Secret,
            _ if problem::nearest(&key, names).is_some() => Self::Secret,
            _ => Self::Plain,
        }
    }

    /// What a table behind the key passes on to the keys in it.
    fn inherited(self) -> Self {
        match self {
            Self::Secret | Self::SecretUnlessPath => Self::Secret,
            Self::Plain | Self::SecretString => Self::Plain,
        }
    }

    fn hides(self, value: &str) -> bool {
        match self {
            Self::Plain => false,
            Self::SecretString | Self::Secret => true,
            Self::SecretUnlessPath => !value.starts_with('/'),
        }
    }
}

/// What an open bracket holds.
enum Open {
    List(Holds),
    Table(Holds),
}

/// Goes once over the text, as far as keys, strings and brackets matter.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
    open: Vec<Open>,
    /// The last word, which is a key if `=` follows.
    word: &'t str,
    /// In the place of a value: what it holds. In the place of a key: nothing.
    value: Option<Holds>,
    hidden: Vec<Range<usize>>,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, open: Vec::new(), word: "", value: None, hidden: Vec::new() }
    }

    fn hidden(mut self) -> Vec<Range<usize>> {
        while let Some(c) = self.text[self.at..].chars().next() {
            match c {
                '"' | '\'' => self.string(c),
                '#' => self.at = self.find(self.at, "\n"),
                '[' if self.value.is_none() => self.at = self.find(self.at, "\n"),
                '=' | '[' | '{' | ']' | '}' | ',' | '\n' => self.mark(c),
                c if c.is_whitespace() || c == '.' => self.at += c.len_utf8(),
                _ => self.bare(),
            }
        }
        self.hidden
    }

    fn mark(&mut self, mark: char) {
        self.at += 1;
        match (mark, self.value) {
            ('=', _) => {
                let around = match self.open.last() {
                    Some(Open::Table(holds)) => *holds,
                    _ => Holds::Plain,
                };
                self.value = Some(Holds::of(self.word, around));
                return;
            }
            ('[', Some(holds)) => self.open.push(Open::List(holds)),
            ('{', holds) => {
                self.open.push(Open::Table(holds.map_or(Holds::Plain, Holds::inherited)));
            }
            (']' | '}', _) => drop(self.open.pop()),
            _ => {}
        }
        self.value = match self.open.last() {
            Some(Open::List(holds)) => Some(*holds),
            _ => None,
        };
    }

    fn find(&self, from: usize, end: &str) -> usize {
        self.text[from..].find(end).map_or(self.text.len(), |found| from + found)
    }

    /// A quoted string. One without an end ends with its line, or with the text.
    fn string(&mut self, quote: char) {
        let triple = quote.to_string().repeat(3);
        let quotes = if self.text[self.at..].starts_with(&triple) { 3 } else { 1 };
        let start = self.at + quotes;
        let end = match quotes {
            3 => self.find(start, &triple),
            _ => self.end_of_string(start, quote),
        };
        self.see(start..end);
        self.at = if self.text[end..].starts_with(quote) { end + quotes } else { end };
    }

    fn end_of_string(&self, from: usize, quote: char) -> usize {
        let mut escaped = false;
        let end = self.text[from..].char_indices().find(|&(_, c)| {
            let ends = c == '\n' || (c == quote && !escaped);
            escaped = !escaped && c == '\\' && quote == '"';
            ends
        });
        end.map_or(self.text.len(), |(at, _)| from + at)
    }

    /// A word without quotes: a key, a number, or what should have had quotes.
    fn bare(&mut self) {
        let in_key = self.value.is_none();
        let ends = |c: char| c.is_whitespace() || "=,{}[]#\"'".contains(c) || (in_key && c == '.');
        let end = self.text[self.at..].find(ends).map_or(self.text.len(), |found| self.at + found);
        self.see(self.at..end);
        self.at = end;
    }

    fn see(&mut self, word: Range<usize>) {
        self.word = &self.text[word.clone()];
        if self.value.is_some_and(|holds| holds.hides(self.word)) {
            self.hidden.push(word);
        } else if let (Some(scheme), Some(at)) = (self.word.find("://"), self.word.rfind('@')) {
            // A password in a URL, which does not belong there.
            self.hidden.push(word.start + (scheme + 3).min(at)..word.start + at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text), expected);
    }

    #[test]
    fn hides_what_may_be_secret() {
        check(r#"password = "hunter2" # x"#, r#"password = "*******" # x"#);
        check("pasword = 'hunter2'\na = 'b'", "pasword = '*******'\na = 'b'");
        check("api_key = hunter.2\n", "api_key = ********\n");
        check(r#"password = "hunter2"#, r#"password = "*******"#);
        check(r#"x.password = "hu\"nt" "#, r#"x.password = "******" "#);
        check("password = \"\"\"\nhunter\n2\"\"\"\nb=1", "password = \"\"\"\n******\n*\"\"\"\nb=1");
        check(r#"api_key = ["a", "b"]"#, r#"api_key = ["*", "*"]"#);
        check(r#"basic = "user:hunter2""#, r#"basic = "************""#);
        check(
            r#"basic = { user = "u", passwrd = { vlue = "hunter2" } }"#,
            r#"basic = { user = "u", passwrd = { vlue = "*******" } }"#,
        );
        check("[privacy]\nkey = \"c2VjcmV0\"", "[privacy]\nkey = \"********\"");
        check(r#"urls = ["https://u:p@host"]"#, r#"urls = ["https://***@host"]"#);
        check("password = \"\u{e4}\"", "password = \"**\"");
    }

    #[test]
    fn hides_more_where_the_text_does_not_parse() {
        let check = |text: &str, expected: &str| assert_eq!(mask_broken(text), expected);
        check(
            "user = \"u\", \"password = 'hunter2'\nb = 1",
            "user = \"u\", \"password = '*******'\nb = 1",
        );
        check("'api_key = \"\"\"\nhunter2\"\"\"\nb = 1", "'api_key = \"\"\"\n*******\"\"\"\nb = 1");
        check(
            "urls = [ https://u:p,q@h ]",
            "urls = [ *****://*:*,*@h ]".replace("*****", "https").as_str(),
        );
        check("tls = { key = \"/etc/key }", "tls = { key = \"/etc/key }");
        check("\"key = \"hunter2", "\"key = \"*******");
    }

    #[test]
    fn shows_the_rest() {
        for text in [
            r#"password = { file = "/etc/towline/password" }"#,
            r#"key = { credential = "privacy" }"#,
            r#"tls = { key = "/etc/towline/client.key", ca = "/ca.pem" }"#,
            "[source.chat]\nfiles = [\"/var/log/*.log\"]\nlayout = 'auto'",
        ] {
            check(text, text);
        }
    }

    proptest! {
        #[test]
        fn total_and_as_long(text in "(\\PC|\n|[\"'=\\[\\]{},#.\\\\]|password|key|://|@){0,60}") {
            let masked = mask(&text);
            prop_assert_eq!(masked.len(), text.len());
            prop_assert_eq!(masked.matches('\n').count(), text.matches('\n').count());
            prop_assert_eq!(mask_broken(&text).len(), text.len());
        }
    }
}
