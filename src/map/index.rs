//! Which index each alternative of each binding goes into.

use std::{cmp::Reverse, collections::HashSet};

use super::{
    dispatch::{ExactIndex, Key, LiteralIndex, Rank, Trie, trie_entry},
    names::NameId,
    rules::{Alternative, Check, Origin},
    source::{Test, Wanted},
};
use crate::parse::{Piece, Template};

/// The compiled dispatch of all alternatives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dispatch {
    pub(crate) trie: Stage<Trie>,
    pub(crate) anywhere: Stage<Option<LiteralIndex>>,
    pub(crate) exact: Stage<ExactIndex>,
}

/// An index and the smallest rank that can come out of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage<T> {
    pub(crate) index: T,
    pub(crate) least: Option<Rank>,
}

impl Dispatch {
    pub(crate) fn new(alternatives: &[Alternative]) -> Self {
        let mut leading = Vec::new();
        let mut anywhere = Vec::new();
        let mut dispatch = Self::default();
        let key_names = key_names(alternatives);
        for (rank, alternative) in (0..).zip(alternatives) {
            let literals = alternative.template.as_ref().map(literals).unwrap_or_default();
            let begins =
                alternative.template.as_ref().is_some_and(|t| !t.leading_literal().is_empty());
            if begins {
                leading.push(trie_entry(literals, rank));
                dispatch.trie.least.get_or_insert(rank);
            } else if literals.is_empty() {
                dispatch.exact.index.add(key(alternative, &key_names), rank);
                dispatch.exact.least.get_or_insert(rank);
            } else {
                anywhere.push((literals, rank));
                dispatch.anywhere.least.get_or_insert(rank);
            }
        }
        let mut count = 0;
        dispatch.trie.index = Trie::new(leading, &mut count);
        if !anywhere.is_empty() {
            dispatch.anywhere.index = Some(LiteralIndex::new(anywhere, &mut count));
        }
        dispatch
    }
}

fn literals(template: &Template) -> Vec<&[u8]> {
    let literals = template.pieces().iter().filter_map(|piece| match piece {
        Piece::Literal(literal) => Some(literal.bytes()),
        Piece::Capture { .. } => None,
    });
    literals.collect()
}

/// Names with exact conditions, and how many different values they tell apart: the more, the better a key.
fn key_names(alternatives: &[Alternative]) -> Vec<(NameId, usize)> {
    let mut values: Vec<(NameId, HashSet<&str>)> = Vec::new();
    for (name, wanted) in alternatives.iter().flat_map(exact_conditions) {
        match values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, set)) => set.extend(wanted),
            None => values.push((name, wanted.into_iter().collect())),
        }
    }
    values.into_iter().map(|(name, values)| (name, values.len())).collect()
}

/// Conditions on record names of which every alternative is an exact text.
fn exact_conditions(alternative: &Alternative) -> Vec<(NameId, Vec<&str>)> {
    alternative.before.iter().filter_map(exact_condition).collect()
}

fn exact_condition(check: &Check) -> Option<(NameId, Vec<&str>)> {
    let (Some(Origin::Name(name)), None, Test::OneOf(wanted)) =
        (check.lookup.whole, check.lookup.part, &check.test)
    else {
        return None;
    };
    let all = wanted.iter().map(|wanted| match wanted {
        Wanted::Exact(text) => Some(text.as_str()),
        Wanted::Glob(_) => None,
    });
    Some((name, all.collect::<Option<_>>()?))
}

fn key<'a>(alternative: &'a Alternative, names: &[(NameId, usize)]) -> Key<'a> {
    let tells = |name: NameId| names.iter().find(|(known, _)| *known == name).map_or(0, |n| n.1);
    let exact = exact_conditions(alternative);
    if let Some((name, values)) =
        exact.into_iter().max_by_key(|(name, _)| (tells(*name), Reverse(*name)))
    {
        return Key::Values(name, values);
    }
    let there =
        alternative.before.iter().find_map(|check| match (check.lookup.whole, &check.test) {
            (Some(Origin::Name(name)), Test::There | Test::OneOf(_))
                if check.lookup.part.is_none() =>
            {
                Some(name)
            }
            _ => None,
        });
    there.map_or(Key::Always, Key::There)
}
