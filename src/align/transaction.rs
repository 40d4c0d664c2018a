//! A transaction whose END was read, and the receipts of its rows.

use super::orders::Orders;
use crate::envelope::{End, RunId};
use crate::mutant::Mutant;
use crate::time::Lsn;
use smallvec::SmallVec;

/// A transaction whose END was read and that has not closed.
pub(super) struct Pending {
    pub(super) end: End,
    /// The previous ENDs that its rows name: one, unless a connector was wrong after a restart.
    pub(super) groups: SmallVec<[Lsn; 1]>,
    /// Two ENDs of it count differently.
    pub(super) recounted: bool,
    /// An END at or below it was read after it.
    pub(super) fell_back: bool,
}

impl Pending {
    /// Whether another END of this transaction says the same.
    pub(super) fn counts_equal(&self, other: &End) -> bool {
        let sorted = |end: &End| {
            let mut counts = end.counts.clone();
            counts.sort_unstable();
            counts
        };
        sorted(&self.end) == sorted(other)
    }
}

/// The rows of one transaction that name the same previous END.
#[derive(Default)]
pub(super) struct Group {
    /// The transaction's END, once it was read.
    pub(super) end: Option<Lsn>,
    pub(super) greatest_lsn: Lsn,
    /// A bit for each table that it truncates.
    pub(super) truncated: u64,
    /// The run that delivered its first row, and whether another one delivered rows too.
    first_run: Option<RunId>,
    several_runs: bool,
    tables: SmallVec<[(usize, Orders); 2]>,
}

impl Group {
    pub(super) fn row(&mut self, lsn: Lsn, table: usize, order: u64, run: RunId, truncate: bool) {
        self.greatest_lsn = self.greatest_lsn.max(lsn);
        if truncate {
            self.truncated |= 1 << (table % 64);
        }
        self.several_runs |= *self.first_run.get_or_insert(run) != run;
        match self.tables.iter_mut().find(|(other, _)| *other == table) {
            Some((_, orders)) => orders.insert(order),
            None => {
                let mut orders = Orders::default();
                orders.insert(order);
                self.tables.push((table, orders));
            }
        }
    }

    /// The one run that delivered every row.
    pub(super) fn run(&self) -> RunId {
        self.first_run.flatten().filter(|_| !self.several_runs)
    }

    /// Whether nothing read so far suggests that the connector restarted inside the transaction.
    pub(super) fn uninterrupted(&self, end: &End) -> bool {
        let count = |table| end.counts.iter().find(|(listed, _)| *listed == table).map_or(0, |(_, count)| *count);
        self.run().is_some() && self.tables.iter().all(|(table, orders)| !orders.exceed(count(*table)))
    }

    /// Whether the rows of `table` are numbered exactly 1 to `count`.
    pub(super) fn complete(&self, table: usize, count: u64) -> bool {
        let early = Mutant::CloseOneRowEarly.lives();
        let all = |orders: &Orders| orders.are_all_of(count) || (early && orders.distinct() + 1 == count);
        self.tables.iter().any(|(other, orders)| *other == table && all(orders))
    }

    /// How many rows of `table` were read, by their numbers.
    pub(super) fn seen(&self, table: usize) -> u64 {
        self.tables.iter().filter(|(other, _)| *other == table).map(|(_, orders)| orders.distinct()).sum()
    }
}
