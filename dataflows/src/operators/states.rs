//! What is kept of each key: a table whose rows lie close together, in which a search that grows reads no row.
//!
//! ```text
//!   key ──place──> shard, by the first bits ──> words: │ place │ slot │ 0 │ place │ slot │ ...
//!                                                                │
//!                                   slots: │ key, state │ key, state │ ...   no gaps
//! ```
//!
//! A word is the key's place (32 bits of its hash) and its slot, so that another key's row is read only where 32 bits
//! agree, and a shard that grows moves words alone. Words stand as near as can be behind where their place says. The last
//! row takes the slot of one that goes.
//!
//! A row costs its own size and 10 to 20 bytes of words.

use super::chunks::Chunks;
use super::hash::place;
use super::prefetch::prefetch;
use std::hash::Hash;

const SHARDS: usize = 8;
const SHARD_BITS: u32 = SHARDS.ilog2();

/// The states of keys.
///
/// Its methods take a key's [`place`] beside the key, and no other: who looks twice computes it once.
pub struct States<K, S> {
    shards: [Shard; SHARDS],
    slots: Chunks<(K, S)>,
}

impl<K, S> Default for States<K, S> {
    fn default() -> Self {
        States { shards: std::array::from_fn(|_| Shard::default()), slots: Chunks::default() }
    }
}

impl<K: Hash + Eq, S> States<K, S> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The state of `key`.
    pub fn get(&self, place: u32, key: &K) -> Option<&S> {
        let (_, slot) = self.find(place, key)?;
        self.slots.get(slot).map(|(_, state)| state)
    }

    /// The state of `key`, to be changed.
    pub fn get_mut(&mut self, place: u32, key: &K) -> Option<&mut S> {
        let (_, slot) = self.find(place, key)?;
        self.slots.get_mut(slot).map(|(_, state)| state)
    }

    /// Adds `key`, which must not be there.
    pub fn insert(&mut self, place: u32, key: K, state: S) {
        debug_assert!(self.find(place, &key).is_none(), "a key has one state");
        let slot = self.slots.len();
        self.slots.push((key, state));
        if let Some(shard) = self.shards.get_mut(shard_of(place)) {
            shard.insert(word(place, slot));
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, place: u32, key: &K) -> Option<(K, S)> {
        let (at, slot) = self.find(place, key)?;
        if let Some(shard) = self.shards.get_mut(shard_of(place)) {
            shard.remove(at);
        }
        let removed = self.slots.swap_remove(slot)?;
        if let Some((moved, _)) = self.slots.get(slot) {
            let place = super::hash::place(moved);
            if let Some(shard) = self.shards.get_mut(shard_of(place)) {
                shard.replace(word(place, self.slots.len()), word(place, slot));
            }
        }
        Some(removed)
    }

    /// Takes out all that `goes` says.
    pub fn remove_where(&mut self, mut goes: impl FnMut(&K, &S) -> bool) -> Vec<(K, S)> {
        let slots = std::mem::take(&mut self.slots);
        self.shards = std::array::from_fn(|_| Shard::default());
        let mut gone = Vec::new();
        for (key, state) in slots {
            if goes(&key, &state) {
                gone.push((key, state));
            } else {
                self.insert(place(&key), key, state);
            }
        }
        gone
    }

    /// Asks for the word that a look-up at this place reads first.
    pub(super) fn prefetch_word(&self, place: u32) {
        let word = self.shards.get(shard_of(place)).and_then(|shard| shard.words.get(shard.home(place)));
        word.into_iter().for_each(prefetch);
    }

    /// Asks for the row that a look-up at this place reads. Its word should be near by now.
    pub(super) fn prefetch_slot(&self, place: u32) {
        self.guess(place).into_iter().for_each(prefetch);
    }

    /// Gives the state that is probably of this place to `ask`, for what it points to. Its row should be near by now.
    pub(super) fn prefetch_within(&self, place: u32, ask: impl FnOnce(&S)) {
        if let Some((_, state)) = self.guess(place) {
            ask(state);
        }
    }

    /// The first row of this place: its key has not been looked at.
    fn guess(&self, place: u32) -> Option<&(K, S)> {
        let (_, slot) = self.shards.get(shard_of(place))?.find(place, |_| true)?;
        self.slots.get(slot)
    }

    /// Where the word of `key` is in its shard, and its slot.
    fn find(&self, place: u32, key: &K) -> Option<(usize, usize)> {
        let shard = self.shards.get(shard_of(place))?;
        shard.find(place, |slot| self.slots.get(slot).is_some_and(|(other, _)| other == key))
    }
}

fn shard_of(place: u32) -> usize {
    (place >> (32 - SHARD_BITS)) as usize
}

fn word(place: u32, slot: usize) -> u64 {
    let slot = u32::try_from(slot + 1).expect("memory ends before there are 2^32 keys");
    u64::from(place) << 32 | u64::from(slot)
}

/// The words of the keys whose places begin with the same bits.
#[derive(Default)]
struct Shard {
    /// A power of two of them, or none; zero where there is no key.
    words: Vec<u64>,
    taken: usize,
}

impl Shard {
    fn mask(&self) -> usize {
        self.words.len().wrapping_sub(1)
    }

    /// Where a word of `place` stands, unless others have come before it.
    fn home(&self, place: u32) -> usize {
        let bits = self.words.len().trailing_zeros();
        (u64::from(place << SHARD_BITS) >> (32 - bits.min(32))) as usize
    }

    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    fn set(&mut self, at: usize, word: u64) {
        if let Some(place) = self.words.get_mut(at) {
            *place = word;
        }
    }

    fn find(&self, place: u32, is_it: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        let mut at = self.home(place);
        loop {
            let word = self.word(at);
            if word == 0 {
                return None;
            }
            let slot = (word as u32 - 1) as usize;
            if (word >> 32) as u32 == place && is_it(slot) {
                return Some((at, slot));
            }
            at = (at + 1) & self.mask();
        }
    }

    fn insert(&mut self, word: u64) {
        if (self.taken + 1) * 5 > self.words.len() * 4 {
            let size = (self.words.len() * 2).max(16);
            let words = std::mem::replace(&mut self.words, vec![0; size]);
            words.into_iter().filter(|word| *word != 0).for_each(|word| self.put(word));
        }
        self.put(word);
        self.taken += 1;
    }

    fn put(&mut self, word: u64) {
        let mut at = self.home((word >> 32) as u32);
        while self.word(at) != 0 {
            at = (at + 1) & self.mask();
        }
        self.set(at, word);
    }

    /// Removes the word at `gap`: words behind it that belong at or before the gap move up, each leaving the next gap.
    fn remove(&mut self, mut gap: usize) {
        let mask = self.mask();
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let word = self.word(at);
            if word == 0 {
                break;
            }
            let home = self.home((word >> 32) as u32);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.set(gap, word);
                gap = at;
            }
        }
        self.set(gap, 0);
        self.taken -= 1;
    }

    fn replace(&mut self, word: u64, by: u64) {
        let mut at = self.home((word >> 32) as u32);
        while self.word(at) != word {
            if self.word(at) == 0 {
                debug_assert!(false, "a row has its word");
                return;
            }
            at = (at + 1) & self.mask();
        }
        self.set(at, by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// A key that shares its place with many others: the place is only the key's first half.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Crowded(u8, u8);

    impl Hash for Crowded {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u8(self.0);
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Put(u8, u8, u32),
        Remove(u8, u8),
        RemoveWhere(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            30 => (any::<u8>(), 0..4u8, any::<u32>()).prop_map(|(a, b, state)| Step::Put(a, b, state)),
            20 => (any::<u8>(), 0..4u8).prop_map(|(a, b)| Step::Remove(a, b)),
            1 => (2..5u32).prop_map(Step::RemoveWhere),
        ]
    }

    proptest! {
        #[test]
        fn states_are_a_map(steps in proptest::collection::vec(step(), 0..2_000)) {
            let (mut states, mut map) = (States::default(), HashMap::new());
            for step in steps {
                match step {
                    Step::Put(a, b, state) => {
                        let key = Crowded(a, b);
                        match states.get_mut(place(&key), &key) {
                            Some(stored) => *stored = state,
                            None => states.insert(place(&key), key, state),
                        }
                        map.insert((a, b), state);
                    }
                    Step::Remove(a, b) => {
                        let key = Crowded(a, b);
                        let removed = states.remove(place(&key), &key).map(|(_, state)| state);
                        prop_assert_eq!(removed, map.remove(&(a, b)));
                    }
                    Step::RemoveWhere(part) => {
                        let gone = states.remove_where(|_, state| state % part == 0);
                        let before = map.len();
                        map.retain(|_, state| *state % part != 0);
                        prop_assert_eq!(gone.len(), before - map.len());
                    }
                }
                prop_assert_eq!(states.len(), map.len());
            }
            for a in 0..=255 {
                for b in 0..4 {
                    let key = Crowded(a, b);
                    prop_assert_eq!(states.get(place(&key), &key), map.get(&(a, b)));
                }
            }
        }
    }
}
