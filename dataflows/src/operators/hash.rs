//! The hash of keys: cheap, good in all of its bits, and the same in every process.

use std::hash::{BuildHasher, Hash, Hasher};

/// Where a key belongs: the bits that choose its worker.
pub fn route<K: Hash>(key: &K) -> u64 {
    Keys.hash_one(key) >> 32
}

/// Where a key stands in a table: the other half of the bits, since the keys of one worker have those in common.
pub fn place<K: Hash>(key: &K) -> u32 {
    Keys.hash_one(key) as u32
}

/// Makes the hashers of a table of keys. They are cheap, and anyone can find keys that collide: for keys that no enemy
/// chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keys;

impl BuildHasher for Keys {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(0x9e37_79b9_7f4a_7c15)
    }
}

/// Folds each word into the whole by a multiplication of which both halves are kept.
#[derive(Clone, Debug)]
pub struct KeyHasher(u64);

impl KeyHasher {
    fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9fb2_1c65_1e98_df25;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u16(&mut self, n: u16) {
        self.word(u64::from(n));
    }

    fn write_u128(&mut self, n: u128) {
        self.word(n as u64);
        self.word((n >> 64) as u64);
    }

    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }

    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Uuid;

    /// Keys that differ in a few bits only spread over workers and over a table all the same.
    #[test]
    fn near_keys_spread() {
        for shift in [0, 8, 64, 116] {
            let mut workers = [0u32; 4];
            let mut buckets = [0u32; 256];
            for n in 0..4_096u128 {
                let key = Uuid((n << shift).to_be_bytes());
                workers[route(&key) as usize % 4] += 1;
                buckets[place(&key) as usize >> 24] += 1;
            }
            assert!(workers.iter().all(|count| (900..1_150).contains(count)), "{shift}: {workers:?}");
            assert!(buckets.iter().all(|count| *count < 48), "{shift}: {buckets:?}");
        }
    }
}
