//! The scan that finds where a secret may be.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind, packed};

/// What was found, and so how to read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trigger {
    /// A piece of a key's name: `password`, `client_secret`.
    Word,
    /// The beginning of an element of a SASL exchange or the like.
    Element,
    /// The name of such an element in an Erlang term.
    Term,
    /// The name of an Erlang record that holds such an exchange.
    Record,
    /// The type of a form field that is not shown while typing.
    Private,
    /// HTTP `Authorization`.
    Authorization,
    /// HTTP `Cookie`, `Set-Cookie`.
    Cookie,
    /// `Bearer` and a token.
    Bearer,
    /// A JSON Web Token.
    Jwt,
    /// A URL, which may have a password.
    Url,
    /// The head of a private key file.
    Pem,
    /// The arguments of an administrative command, without their names.
    Arguments,
    /// A server asks another whether a dialback key is its own.
    Dialback,
}

/// Pieces that are looked for as they are: searching without regard to case would cost ten times as much. So keys are
/// found by a piece of theirs that is in one case in each usual spelling (`password`, `Password`, `userPassword` have
/// `assword`). A piece may stand in more words than meant; whoever reads on decides.
const TRIGGERS: &[(Trigger, &[&str])] = &[
    (
        Trigger::Word,
        &[
            "assw",
            "ASSW",
            "assW",
            "assphr",
            "ASSPHR",
            "ecret",
            "ECRET",
            "oken",
            "OKEN",
            "pwd",
            "PWD",
            "Pwd",
            "redential",
            "REDENTIAL",
            "pass=",
            "pass:",
            "pass\"",
            "pass'",
            "pass =",
            "pass\\\"",
            "pass>",
            "pi_key",
            "pi-key",
            "pikey",
            "piKey",
            "PI_KEY",
            "API-Key",
            "Api-Key",
            "PI key",
            "rivate_key",
            "rivate-key",
            "rivateKey",
            "rivate key",
            "RIVATE_KEY",
            "ccess_key",
            "ccess-key",
            "ccessKey",
            "CCESS_KEY",
            "uth_key",
            "uth-key",
            "uthKey",
            "AUTH_KEY",
            "ncryption_key",
            "igning_key",
            "ession_key",
            "hared_key",
            "aster_key",
        ],
    ),
    (
        Trigger::Element,
        &[
            "<auth", "<resp", "<chal", "<succ", "<hand", "<dige", "<init", "<addi", "<veri",
            "<resu", ":auth", ":resp", ":chal", ":succ", ":hand", ":veri", ":resu", ";auth",
            ";resp", ";chal", ";succ", ";hand", "cauth", "cresp", "cchal",
        ],
    ),
    (
        Trigger::Term,
        &[
            "\"auth\"",
            "\"response\"",
            "\"challenge\"",
            "\"success\"",
            "\"handshake\"",
            "\"digest\"",
        ],
    ),
    (Trigger::Record, &["sasl_", "handshake{", "handshake,", "db_result", "db_verify"]),
    (Trigger::Private, &["text-private"]),
    (Trigger::Authorization, &["uthorization", "UTHORIZATION"]),
    (Trigger::Cookie, &["ookie", "OOKIE"]),
    (Trigger::Bearer, &["earer ", "EARER "]),
    (Trigger::Jwt, &["eyJ"]),
    (Trigger::Url, &["://"]),
    (Trigger::Pem, &["PRIVATE KEY-----"]),
    (Trigger::Arguments, &["with Args=["]),
    (Trigger::Dialback, &["if key "]),
];

#[derive(Debug)]
pub(crate) struct Triggers {
    search: Search,
    kinds: Vec<Trigger>,
}

/// The vectorised search needs a processor that has the instructions; others take the automaton.
#[derive(Debug)]
enum Search {
    Packed(Box<packed::Searcher>),
    Automaton(Box<AhoCorasick>),
    /// Never: the patterns are constants, and a test makes both searches of them.
    Everywhere,
}

impl Triggers {
    pub(crate) fn new() -> Self {
        let patterns = || TRIGGERS.iter().flat_map(|(_, pieces)| pieces.iter().copied());
        let kinds =
            TRIGGERS.iter().flat_map(|(kind, pieces)| pieces.iter().map(|_| *kind)).collect();
        let packed = packed::Config::new()
            .match_kind(packed::MatchKind::LeftmostFirst)
            .builder()
            .extend(patterns())
            .build();
        let search = match packed {
            Some(packed) => Search::Packed(Box::new(packed)),
            None => automaton(patterns()),
        };
        Self { search, kinds }
    }

    /// The first trigger at or behind `at`, and where it stands.
    pub(crate) fn next(&self, text: &[u8], at: usize) -> Option<(Trigger, Range<usize>)> {
        let found = match &self.search {
            Search::Packed(search) => search.find_in(text, (at..text.len()).into())?,
            Search::Automaton(search) => search.find(aho_corasick::Input::new(text).range(at..))?,
            Search::Everywhere => return (at < text.len()).then(|| (Trigger::Word, at..at + 1)),
        };
        let kind = self.kinds.get(found.pattern().as_usize()).copied().unwrap_or(Trigger::Word);
        Some((kind, found.range()))
    }
}

fn automaton(patterns: impl Iterator<Item = &'static str>) -> Search {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(patterns)
        .map_or(Search::Everywhere, |search| Search::Automaton(Box::new(search)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_searches_find_the_same() {
        let here = Triggers::new();
        let patterns = || TRIGGERS.iter().flat_map(|(_, pieces)| pieces.iter().copied());
        let other = Triggers { search: automaton(patterns()), kinds: here.kinds.clone() };
        assert!(matches!(other.search, Search::Automaton(_)));
        for (kind, pieces) in TRIGGERS {
            for piece in *pieces {
                let text = format!("xx {piece} yy");
                let found = here.next(text.as_bytes(), 0);
                assert_eq!(found, other.next(text.as_bytes(), 0), "{piece}");
                assert_eq!(found.map(|(kind, _)| kind), Some(*kind), "{piece}");
            }
        }
    }
}
