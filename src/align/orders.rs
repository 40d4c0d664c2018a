//! The set of a transaction's order numbers that were read.

/// Numbers from 1 on, as a bit each: a transaction of ten million rows takes a little over a megabyte.
#[derive(Default)]
pub(super) struct Orders {
    /// The numbers below 64: most transactions need no list.
    first: u64,
    words: Vec<u64>,
    distinct: u64,
    greatest: u64,
}

/// Above this no number is kept: a count that high is not believed, and progress decides.
const KEPT: u64 = 1 << 30;

impl Orders {
    /// Adds a number.
    pub(super) fn insert(&mut self, order: u64) {
        self.greatest = self.greatest.max(order);
        if order == 0 || order > KEPT {
            // Debezium counts from 1: with a zero the set is never 1..n.
            self.greatest = u64::MAX;
            return;
        }
        let (word, bit) = ((order / 64) as usize, 1u64 << (order % 64));
        if word > self.words.len() {
            self.words.resize(word, 0);
        }
        let word = match word.checked_sub(1) {
            None => Some(&mut self.first),
            Some(word) => self.words.get_mut(word),
        };
        if let Some(word) = word {
            self.distinct += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Whether the numbers are exactly 1 to `count`.
    pub(super) fn are_all_of(&self, count: u64) -> bool {
        self.distinct == count && self.greatest == count
    }

    /// Whether a number is above `count`.
    pub(super) fn exceed(&self, count: u64) -> bool {
        self.greatest > count
    }

    /// How many there are.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_to_n() {
        let mut orders = Orders::default();
        for order in [3, 1, 1, 200] {
            orders.insert(order);
        }
        assert!(!orders.are_all_of(3) && orders.exceed(3) && orders.distinct() == 3);
        (1..=200).for_each(|order| orders.insert(order));
        assert!(orders.are_all_of(200) && !orders.exceed(200));
        orders.insert(0);
        assert!(!orders.are_all_of(200));
        orders.insert(u64::MAX);
        assert!(orders.exceed(1 << 40));
    }
}
