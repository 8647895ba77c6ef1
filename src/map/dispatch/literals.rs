//! An automaton over one literal of each pattern: finds the patterns whose literal occurs in a message in one pass.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::{Candidates, Rank};

/// More patterns with the same literal than this: another literal of theirs is better.
const CROWD: usize = 4;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct LiteralIndex {
    automaton: Option<AhoCorasick>,
    /// Per literal of the automaton, the patterns that have it.
    ranks: Vec<Vec<Rank>>,
    /// Number of the first literal among all of the mapping.
    first: usize,
}

impl LiteralIndex {
    /// Builds the index of patterns with these literals (at least one each) and ranks.
    pub(crate) fn new(patterns: Vec<(Vec<&[u8]>, Rank)>, literals: &mut usize) -> Self {
        let mut uses: HashMap<&[u8], usize> = HashMap::new();
        for literal in patterns.iter().flat_map(|(literals, _)| literals) {
            *uses.entry(literal).or_default() += 1;
        }
        let mut chosen: HashMap<&[u8], usize> = HashMap::new();
        let mut needles: Vec<&[u8]> = Vec::new();
        let mut ranks: Vec<Vec<Rank>> = Vec::new();
        for (literals, rank) in &patterns {
            let shared =
                |literal: &[u8]| Some(uses[literal]).filter(|uses| *uses > CROWD).unwrap_or(0);
            let best = literals.iter().min_by_key(|l| (shared(l), std::cmp::Reverse(l.len())));
            let Some(best) = best else { continue };
            let at = *chosen.entry(best).or_insert_with(|| {
                needles.push(best);
                ranks.push(Vec::new());
                ranks.len() - 1
            });
            ranks[at].push(*rank);
        }
        let first = *literals;
        *literals += needles.len();
        // It fails only beyond 2^31 states, which is more literal text than a mapping file may have.
        let automaton = AhoCorasick::new(&needles).ok();
        Self { automaton, ranks, first }
    }

    /// Adds the patterns whose literal occurs in the text.
    pub(crate) fn find(&self, text: &[u8], found: &mut Candidates) {
        let Some(automaton) = &self.automaton else { return };
        found.touched += text.len();
        for hit in automaton.find_overlapping_iter(text) {
            let literal = hit.pattern().as_usize();
            if found.first(self.first + literal) {
                found.ranks.extend_from_slice(&self.ranks[literal]);
            }
        }
    }
}
