//! A path-compressed byte trie over the leading literals of patterns.

use std::ops::Range;

use super::{Candidates, LiteralIndex, Rank};

/// A node with more candidates than this asks a further literal of each.
const CROWD: usize = 4;

/// What is put into the trie: a leading literal, the pattern's other literals, its rank.
#[derive(Clone, Debug)]
pub(crate) struct Leading<'p> {
    pub(crate) literal: &'p [u8],
    pub(crate) others: Vec<&'p [u8]>,
    pub(crate) rank: Rank,
}

/// A pattern's literals in order, the first of which leads.
pub(crate) fn trie_entry(mut literals: Vec<&[u8]>, rank: Rank) -> Leading<'_> {
    Leading { literal: literals.remove(0), others: literals, rank }
}

/// See the module. Node 0 is the root, whose label is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    labels: Vec<u8>,
    /// (first byte of the label, node), sorted within each node's range.
    children: Vec<(u8, u32)>,
    ranks: Vec<Rank>,
    crowds: Vec<LiteralIndex>,
    /// The root's children by first byte: most lines end their walk or take their first step here.
    first: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    label: Range<u32>,
    children: Range<u32>,
    /// Candidates of a node that is not crowded, or those of a crowded one that have no further literal.
    ranks: Range<u32>,
    crowd: Option<u32>,
}

impl Trie {
    /// Builds the trie. `literals` counts the literals of all indexes of the mapping.
    pub(crate) fn new(mut leading: Vec<Leading<'_>>, literals: &mut usize) -> Self {
        leading.sort_by(|a, b| a.literal.cmp(b.literal).then(a.rank.cmp(&b.rank)));
        let mut trie = Self::default();
        trie.nodes.push(Node::default());
        trie.fill(0, &leading, 0, literals);
        trie.first = vec![0; 256];
        for at in narrow_range(&trie.nodes[0].children) {
            let (byte, node) = trie.children[at];
            trie.first[usize::from(byte)] = node;
        }
        trie
    }

    /// Fills a node with the sorted patterns that share their first `depth` bytes.
    fn fill(&mut self, node: usize, leading: &[Leading<'_>], depth: usize, literals: &mut usize) {
        let ends = leading.iter().take_while(|one| one.literal.len() == depth).count();
        let (here, deeper) = leading.split_at(ends);
        self.place(node, here, literals);
        let groups: Vec<_> = deeper.chunk_by(|a, b| a.literal[depth] == b.literal[depth]).collect();
        let start = self.children.len();
        for group in &groups {
            self.nodes.push(Node::default());
            let child = narrow(self.nodes.len() - 1);
            self.children.push((group[0].literal[depth], child));
        }
        self.nodes[node].children = narrow(start)..narrow(self.children.len());
        for (n, group) in groups.into_iter().enumerate() {
            let child = self.children[start + n].1 as usize;
            let end = depth + common(group, depth);
            let label = self.labels.len();
            self.labels.extend_from_slice(&group[0].literal[depth..end]);
            self.nodes[child].label = narrow(label)..narrow(self.labels.len());
            self.fill(child, group, end, literals);
        }
    }

    fn place(&mut self, node: usize, here: &[Leading<'_>], literals: &mut usize) {
        let (told, plain): (Vec<_>, Vec<_>) =
            here.iter().partition(|one| here.len() > CROWD && !one.others.is_empty());
        let start = self.ranks.len();
        self.ranks.extend(plain.iter().map(|one| one.rank));
        self.nodes[node].ranks = narrow(start)..narrow(self.ranks.len());
        if !told.is_empty() {
            let told = told.into_iter().map(|one| (one.others.clone(), one.rank)).collect();
            self.nodes[node].crowd = Some(narrow(self.crowds.len()));
            self.crowds.push(LiteralIndex::new(told, literals));
        }
    }

    /// Adds the patterns whose leading literal the message begins with.
    pub(crate) fn find(&self, message: &[u8], found: &mut Candidates) {
        let Some(root) = self.nodes.first() else { return };
        self.take(root, message, 0, found);
        let Some(&byte) = message.first() else { return };
        let mut next = self.first[usize::from(byte)] as usize;
        let mut depth = 0;
        while next != 0 {
            let node = &self.nodes[next];
            let label = &self.labels[narrow_range(&node.label)];
            found.touched += label.len();
            if !message[depth..].starts_with(label) {
                return;
            }
            depth += label.len();
            self.take(node, message, depth, found);
            let Some(&byte) = message.get(depth) else { return };
            let children = &self.children[narrow_range(&node.children)];
            next =
                children.iter().find(|child| child.0 == byte).map_or(0, |child| child.1 as usize);
        }
    }

    fn take(&self, node: &Node, message: &[u8], depth: usize, found: &mut Candidates) {
        found.ranks.extend_from_slice(&self.ranks[narrow_range(&node.ranks)]);
        if let Some(crowd) = node.crowd {
            self.crowds[crowd as usize].find(&message[depth..], found);
        }
    }
}

/// How many bytes behind `depth` all of a sorted group share: what its first and last share.
fn common(group: &[Leading<'_>], depth: usize) -> usize {
    let (first, last) = (&group[0].literal[depth..], &group[group.len() - 1].literal[depth..]);
    first.iter().zip(last).take_while(|(a, b)| a == b).count()
}

/// Mapping files are far smaller than 4 GiB, so positions fit.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn narrow_range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
