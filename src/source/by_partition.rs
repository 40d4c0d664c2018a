//! What is kept of each partition, and looked at for every row.

use super::catalog::Partition;
use dataflows::operators::Keys;
use std::collections::HashMap;

/// Partitions with a smaller number stand in a list, which is as long as the greatest of them: no number that a record may name
/// makes it longer than this.
const NEAR: u32 = 1 << 10;

/// A table by partition.
pub(crate) struct ByPartition<T> {
    /// By table, and by number. The first are those of the transaction topic.
    near: Vec<Vec<Option<T>>>,
    far: HashMap<Partition, T, Keys>,
}

impl<T> Default for ByPartition<T> {
    fn default() -> Self {
        ByPartition { near: Vec::new(), far: HashMap::default() }
    }
}

/// Where tables stand in the list: [`Catalog::TRANSACTIONS`](super::catalog::Catalog::TRANSACTIONS) is the greatest index.
fn table(partition: Partition) -> usize {
    usize::from(partition.table.wrapping_add(1))
}

impl<T> ByPartition<T> {
    /// What is kept of `partition`.
    pub(crate) fn get(&self, partition: Partition) -> Option<&T> {
        if partition.number < NEAR {
            return self.near.get(table(partition))?.get(partition.number as usize)?.as_ref();
        }
        self.far.get(&partition)
    }

    /// The same, to be changed; what is not there is made.
    pub(crate) fn get_or_insert_with(&mut self, partition: Partition, make: impl FnOnce() -> T) -> &mut T {
        if partition.number >= NEAR {
            return self.far.entry(partition).or_insert_with(make);
        }
        let of_table = at(&mut self.near, table(partition));
        at(of_table, partition.number as usize).get_or_insert_with(make)
    }
}

/// The item with this number; the list grows until it has one.
fn at<T: Default>(list: &mut Vec<T>, number: usize) -> &mut T {
    if list.len() <= number {
        list.resize_with(number + 1, T::default);
    }
    list.get_mut(number).expect("the list is longer than that")
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Catalog;
    use super::*;

    #[test]
    fn near_and_far_partitions_are_told_apart() {
        let mut of = ByPartition::default();
        let numbers = [0, 7, NEAR - 1, NEAR, u32::MAX];
        let all = || {
            [0, 3, Catalog::TRANSACTIONS].into_iter().flat_map(|t| numbers.map(|n| Partition { table: t, number: n }))
        };
        assert!(all().all(|partition| of.get(partition).is_none()));
        all().zip(0..).for_each(|(partition, value)| *of.get_or_insert_with(partition, || 0) = value);
        assert!(all().zip(0..).all(|(partition, value)| of.get(partition) == Some(&value)));
        assert!(all().zip(0..).all(|(partition, value)| *of.get_or_insert_with(partition, || 100) == value));
    }
}
