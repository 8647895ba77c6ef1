//! The fields of one event in the order in which they will be written: a short sorted list on the stack.

/// Fields of an ordinary event. More are kept on the heap.
const FEW: usize = 48;

/// Pairs of rank and index, to be sorted by rank; equal ranks stay in the order of their indices.
pub(crate) struct Found {
    few: [u64; FEW],
    length: usize,
    many: Vec<u64>,
}

impl Found {
    pub(crate) fn new() -> Self {
        Self { few: [0; FEW], length: 0, many: Vec::new() }
    }

    pub(crate) fn push(&mut self, rank: u32, index: u32) {
        let entry = u64::from(rank) << 32 | u64::from(index);
        if self.length < FEW {
            self.few[self.length] = entry;
        } else {
            if self.length == FEW {
                self.many.extend_from_slice(&self.few);
            }
            self.many.push(entry);
        }
        self.length += 1;
    }

    pub(crate) fn sorted(&mut self) -> &[u64] {
        let entries =
            if self.length <= FEW { &mut self.few[..self.length] } else { &mut self.many[..] };
        entries.sort_unstable();
        entries
    }
}

/// The rank of an entry.
pub(crate) fn rank(entry: u64) -> u32 {
    (entry >> 32) as u32
}

/// The index of an entry.
pub(crate) fn index(entry: u64) -> usize {
    (entry & u64::from(u32::MAX)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_few_and_many_alike() {
        for n in [0_u32, 1, 47, 48, 49, 500] {
            let mut found = Found::new();
            for i in 0..n {
                found.push((i * 7919) % 31, i);
            }
            let sorted: Vec<_> = found.sorted().iter().map(|e| (rank(*e), index(*e))).collect();
            assert_eq!(sorted.len(), n as usize);
            assert!(sorted.is_sorted());
        }
    }
}
