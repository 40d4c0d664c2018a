//! Receipts by transaction, before and after its END is read.
//!
//! A transaction id alone is not unique, since ids wrap; with the END that the rows name as the one before, it is.

use super::transaction::Group;
use crate::time::Lsn;
use std::collections::{BTreeSet, HashMap};

/// The groups of rows of transactions that have not closed.
#[derive(Default)]
pub(super) struct Groups {
    by_id: HashMap<(u64, Lsn), Group>,
    /// The previous ENDs under which a transaction id has a group.
    of: HashMap<u64, Vec<Lsn>>,
    /// Groups whose own END was not read, by the END before it.
    unended: BTreeSet<(Lsn, u64)>,
}

impl Groups {
    pub(super) fn get(&self, txid: u64, previous: Lsn) -> Option<&Group> {
        self.by_id.get(&(txid, previous))
    }

    /// The group of a row; a new one has no END yet.
    pub(super) fn entry(&mut self, txid: u64, previous: Lsn) -> &mut Group {
        self.by_id.entry((txid, previous)).or_insert_with(|| {
            self.of.entry(txid).or_default().push(previous);
            self.unended.insert((previous, txid));
            Group::default()
        })
    }

    /// Says that the group ends at `end`.
    pub(super) fn ended(&mut self, txid: u64, previous: Lsn, end: Lsn) {
        if let Some(group) = self.by_id.get_mut(&(txid, previous)) {
            group.end = Some(end);
            self.unended.remove(&(previous, txid));
        }
    }

    /// The previous ENDs of the groups of `txid` whose rows all lie below `end` and that have no END yet.
    pub(super) fn waiting_for(&self, txid: u64, end: Lsn) -> Vec<Lsn> {
        let waits = |group: &Group| group.end.is_none() && group.greatest_lsn < end;
        let of = self.of.get(&txid).into_iter().flatten().copied();
        of.filter(|previous| self.get(txid, *previous).is_some_and(waits)).collect()
    }

    pub(super) fn forget(&mut self, txid: u64, previous: Lsn) {
        self.by_id.remove(&(txid, previous));
        self.unended.remove(&(previous, txid));
        if let Some(of) = self.of.get_mut(&txid) {
            of.retain(|other| *other != previous);
            if of.is_empty() {
                self.of.remove(&txid);
            }
        }
    }

    /// Forgets the groups of `txid` whose rows all lie below `end`.
    pub(super) fn forget_below(&mut self, txid: u64, end: Lsn) {
        for previous in self.of.get(&txid).cloned().unwrap_or_default() {
            if self.get(txid, previous).is_some_and(|group| group.greatest_lsn < end) {
                self.forget(txid, previous);
            }
        }
    }

    /// Transactions behind `floor` of which rows were read and no END, in their order: the END before each, and its id.
    /// Where the floor is the base and `nothing_closed` since, the first behind it may name no END at all.
    pub(super) fn unended(&self, floor: Lsn, nothing_closed: bool) -> impl Iterator<Item = (Lsn, u64)> {
        let below = if nothing_closed { Lsn(0) } else { floor };
        let behind = move |(previous, txid): &(Lsn, u64)| {
            self.get(*txid, *previous).is_some_and(|group| group.greatest_lsn >= floor)
        };
        let first = self.unended.range((below, 0)..(floor, 0)).copied().filter(behind);
        first.chain(self.unended.range((floor, 0)..).copied())
    }
}
