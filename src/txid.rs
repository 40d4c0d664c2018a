//! Tables by transaction id.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// A table by transaction id. Postgres counts ids up, so those of one moment are near each other: here they stand so in
/// memory too, where a good hash would send each of them somewhere else.
pub(crate) type ByTxid<T> = HashMap<u64, T, Txids>;

/// Makes the hashers of such a table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Txids;

impl BuildHasher for Txids {
    type Hasher = TxidHasher;

    fn build_hasher(&self) -> TxidHasher {
        TxidHasher(0)
    }
}

/// Leaves an id as it is but for the first seven bits, by which the table tells entries that stand together from each other
/// without reading them.
pub(crate) struct TxidHasher(u64);

const LAST_BITS: u32 = 57;

impl Hasher for TxidHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = self.0.rotate_left(8) ^ id;
    }

    fn finish(&self) -> u64 {
        let mixed = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> LAST_BITS;
        mixed << LAST_BITS | self.0 & ((1 << LAST_BITS) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ids_stand_near_and_differ_in_their_first_bits() {
        let hashes: Vec<u64> = (1_000..1_016u64).map(|id| Txids.hash_one(id)).collect();
        assert!(hashes.windows(2).all(|pair| pair[1] << 7 == (pair[0] + 1) << 7));
        let first: std::collections::BTreeSet<u64> = hashes.iter().map(|hash| hash >> LAST_BITS).collect();
        assert!(first.len() >= 12, "{first:?}");
    }
}
