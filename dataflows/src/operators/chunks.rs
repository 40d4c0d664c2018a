//! A list that grows without moving what is in it: a vector in pieces of one size.
//!
//! A vector that doubles has room for half as much again as is in it, on the average, and while it grows, both the old room and the
//! new are taken, and everything is copied. Where most memory is rows in a few long lists, that is most of what is wasted.

use std::mem;

/// Bytes of a chunk, about: from the second one on, so much is taken at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The list. Of its chunks all but the last are full; behind the last there may be one that is empty.
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunks<T> {
    /// The logarithm of how many go into a chunk.
    const BITS: u32 = match CHUNK_BYTES / if mem::size_of::<T>() == 0 { 1 } else { mem::size_of::<T>() } {
        0 => 0,
        rows => rows.ilog2(),
    };
    const ROWS: usize = 1 << Self::BITS;

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at >> Self::BITS)?.get(at & (Self::ROWS - 1))
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.chunks.get_mut(at >> Self::BITS)?.get_mut(at & (Self::ROWS - 1))
    }

    pub(super) fn push(&mut self, row: T) {
        let number = self.len >> Self::BITS;
        if number == self.chunks.len() {
            // The first one grows: most lists are short.
            self.chunks.push(if number == 0 { Vec::new() } else { Vec::with_capacity(Self::ROWS) });
        }
        if let Some(chunk) = self.chunks.get_mut(number) {
            chunk.push(row);
            self.len += 1;
        }
    }

    fn pop(&mut self) -> Option<T> {
        // One that is empty stays until more goes: a row that comes and goes at the edge takes and gives back nothing.
        if self.chunks.len() > 1 && self.chunks.last().is_some_and(Vec::is_empty) {
            self.chunks.pop();
        }
        let row = self.chunks.last_mut()?.pop()?;
        self.len -= 1;
        Some(row)
    }

    /// Takes a row out; the last one takes its place. `None` if there is none.
    pub(super) fn swap_remove(&mut self, at: usize) -> Option<T> {
        if at >= self.len {
            return None;
        }
        let last = self.pop()?;
        match self.get_mut(at) {
            Some(place) => Some(mem::replace(place, last)),
            None => Some(last),
        }
    }
}

impl<T> IntoIterator for Chunks<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Vec<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// So large that 32 go into a chunk.
    type Large = [u32; CHUNK_BYTES / 128];

    fn large(number: u32) -> Box<Large> {
        let mut row: Box<Large> = vec![0; CHUNK_BYTES / 128].try_into().unwrap();
        row[7] = number;
        row
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push,
        SwapRemove(prop::sample::Index),
        RemoveNone,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Push),
            5 => any::<prop::sample::Index>().prop_map(Step::SwapRemove),
            1 => Just(Step::RemoveNone),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn chunks_are_a_vector(steps in proptest::collection::vec(step(), 0..300)) {
            prop_assert_eq!(Chunks::<Large>::ROWS, 32);
            let (mut chunks, mut vector) = (Chunks::<Large>::default(), Vec::new());
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Push => {
                        chunks.push(*large(number));
                        vector.push(number);
                    }
                    Step::SwapRemove(at) if !vector.is_empty() => {
                        let at = at.index(vector.len());
                        prop_assert_eq!(chunks.swap_remove(at).map(|row| row[7]), Some(vector.swap_remove(at)));
                    }
                    Step::SwapRemove(_) | Step::RemoveNone => {
                        prop_assert!(chunks.swap_remove(vector.len()).is_none());
                    }
                }
                prop_assert_eq!((chunks.len(), chunks.is_empty()), (vector.len(), vector.is_empty()));
                prop_assert!(chunks.chunks.len() <= vector.len() / 32 + 2, "no room is kept");
                for (at, number) in vector.iter().enumerate() {
                    prop_assert_eq!(chunks.get(at).map(|row| row[7]), Some(*number));
                    prop_assert_eq!(chunks.get_mut(at).map(|row| row[7]), Some(*number));
                }
                prop_assert!(chunks.get(vector.len()).is_none() && chunks.get_mut(vector.len()).is_none());
            }
            prop_assert_eq!(chunks.into_iter().map(|row| row[7]).collect::<Vec<_>>(), vector);
        }
    }

    #[test]
    fn a_chunk_has_a_power_of_two_of_rows() {
        assert_eq!(Chunks::<()>::ROWS, CHUNK_BYTES);
        assert_eq!(Chunks::<u8>::ROWS, CHUNK_BYTES);
        assert_eq!(Chunks::<[u8; 41]>::ROWS, 1 << 14);
        assert_eq!(Chunks::<[u8; 2 * CHUNK_BYTES]>::ROWS, 1);
    }
}
