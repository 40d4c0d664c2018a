//! Receipts by transaction, before and after its END is read.
//!
//! A transaction id alone is not unique, since ids wrap; with the END that the rows name as the one before, it is.

use super::transaction::Group;
use crate::time::Lsn;
use crate::txid::ByTxid;
use smallvec::SmallVec;
use std::collections::BTreeSet;

/// The groups of rows of transactions that have not closed.
#[derive(Default)]
pub(super) struct Groups {
    /// Of each transaction id the groups, each with the previous END that its rows name: mostly one.
    of: ByTxid<SmallVec<[(Lsn, Group); 1]>>,
    /// Groups whose own END was not read, by the END before it.
    unended: BTreeSet<(Lsn, u64)>,
}

impl Groups {
    pub(super) fn get(&self, txid: u64, previous: Lsn) -> Option<&Group> {
        self.of.get(&txid)?.iter().find(|(other, _)| *other == previous).map(|(_, group)| group)
    }

    /// Gives the group of a row to `note`; a new one has no END yet.
    pub(super) fn note<T>(&mut self, txid: u64, previous: Lsn, note: impl FnOnce(&mut Group) -> T) -> T {
        let of = self.of.entry(txid).or_default();
        if let Some((_, group)) = of.iter_mut().find(|(other, _)| *other == previous) {
            return note(group);
        }
        self.unended.insert((previous, txid));
        let mut group = Group::default();
        let noted = note(&mut group);
        of.push((previous, group));
        noted
    }

    /// Says that the group ends at `end`.
    pub(super) fn ended(&mut self, txid: u64, previous: Lsn, end: Lsn) {
        let of = self.of.get_mut(&txid).into_iter().flatten();
        if let Some((_, group)) = of.into_iter().find(|(other, _)| *other == previous) {
            group.end = Some(end);
            self.unended.remove(&(previous, txid));
        }
    }

    /// The previous ENDs of the groups of `txid` whose rows all lie below `end` and that have no END yet.
    pub(super) fn waiting_for(&self, txid: u64, end: Lsn) -> SmallVec<[Lsn; 1]> {
        let waits = |group: &Group| group.end.is_none() && group.greatest_lsn < end;
        let of = self.of.get(&txid).into_iter().flatten();
        of.filter(|(_, group)| waits(group)).map(|(previous, _)| *previous).collect()
    }

    /// Forgets a group, and says which tables it truncates.
    pub(super) fn forget(&mut self, txid: u64, previous: Lsn) -> u64 {
        let Some(of) = self.of.get_mut(&txid) else { return 0 };
        let Some(at) = of.iter().position(|(other, _)| *other == previous) else { return 0 };
        let (_, group) = of.remove(at);
        if of.is_empty() {
            self.of.remove(&txid);
        }
        if group.end.is_none() {
            self.unended.remove(&(previous, txid));
        }
        group.truncated
    }

    /// Forgets the groups of `txid` whose rows all lie below `end`.
    pub(super) fn forget_below(&mut self, txid: u64, end: Lsn) {
        let Some(of) = self.of.get_mut(&txid) else { return };
        of.retain(|(previous, group)| {
            let stays = group.greatest_lsn >= end;
            if !stays {
                self.unended.remove(&(*previous, txid));
            }
            stays
        });
        if of.is_empty() {
            self.of.remove(&txid);
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
