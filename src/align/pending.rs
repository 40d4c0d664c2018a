//! The transactions whose END was read and that have not closed, in the order of their ENDs.
//!
//! ENDs nearly always come in that order, and transactions close in it: one goes in behind the last, and out in front.

use super::transaction::Pending;
use crate::time::Lsn;
use std::collections::VecDeque;

/// Each at its END; no two end at one.
#[derive(Default)]
pub(super) struct PendingTransactions(VecDeque<Pending>);

impl PendingTransactions {
    /// Where the transaction that ends at `end` stands, or would stand.
    fn search(&self, end: Lsn) -> Result<usize, usize> {
        if self.0.back().is_none_or(|last| last.end.lsn < end) {
            return Err(self.0.len());
        }
        self.0.binary_search_by_key(&end, |pending| pending.end.lsn)
    }

    /// The one that ends at `end`.
    pub(super) fn get_mut(&mut self, end: Lsn) -> Option<&mut Pending> {
        let at = self.search(end).ok()?;
        self.0.get_mut(at)
    }

    /// Those that end at `end` or later.
    pub(super) fn onwards_mut(&mut self, end: Lsn) -> impl Iterator<Item = &mut Pending> {
        let (Ok(at) | Err(at)) = self.search(end);
        self.0.range_mut(at..)
    }

    /// Adds one, in place of one that ends where it does.
    pub(super) fn insert(&mut self, pending: Pending) {
        match self.search(pending.end.lsn) {
            Ok(at) => {
                if let Some(there) = self.0.get_mut(at) {
                    *there = pending;
                }
            }
            Err(at) => self.0.insert(at, pending),
        }
    }

    /// The first of them.
    pub(super) fn first(&self) -> Option<&Pending> {
        self.0.front()
    }

    /// Takes out the first.
    pub(super) fn pop_first(&mut self) -> Option<Pending> {
        self.0.pop_front()
    }

    /// Takes out those that end at `end` or before.
    pub(super) fn take_to(&mut self, end: Lsn) -> impl Iterator<Item = Pending> + use<> {
        let at = self.search(end).map_or_else(|at| at, |at| at + 1);
        let behind = self.0.split_off(at);
        std::mem::replace(&mut self.0, behind).into_iter()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.0.iter()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::End;
    use smallvec::SmallVec;

    fn pending(end: u64) -> Pending {
        let end = End { txid: end, lsn: Lsn(end), counts: Vec::new(), commit_ms: 0 };
        Pending { end, groups: SmallVec::new(), recounted: false, fell_back: false }
    }

    fn ends<'a>(pending: impl Iterator<Item = &'a Pending>) -> Vec<u64> {
        pending.map(|pending| pending.end.lsn.0).collect()
    }

    #[test]
    fn in_whatever_order_ends_come_they_stand_in_their_own() {
        let mut all = PendingTransactions::default();
        for end in [50, 70, 60, 10, 60, 80] {
            all.insert(pending(end));
        }
        assert_eq!((ends(all.iter()), all.len()), (vec![10, 50, 60, 70, 80], 5));
        assert!(all.get_mut(Lsn(55)).is_none() && all.get_mut(Lsn(90)).is_none());
        all.onwards_mut(Lsn(65)).for_each(|pending| pending.fell_back = true);
        assert!(all.onwards_mut(Lsn(90)).next().is_none());
        if let Some(pending) = all.get_mut(Lsn(70)) {
            pending.recounted = true;
        }
        assert_eq!(ends(all.iter().filter(|pending| pending.fell_back)), [70, 80]);
        assert_eq!(ends(all.iter().filter(|pending| pending.recounted)), [70]);
        assert_eq!(all.first().map(|pending| pending.end.lsn), Some(Lsn(10)));
        assert_eq!(all.pop_first().map(|pending| pending.end.lsn), Some(Lsn(10)));
        assert_eq!(ends(all.take_to(Lsn(60)).collect::<Vec<_>>().iter()), [50, 60]);
        assert_eq!(all.take_to(Lsn(69)).count(), 0);
        assert_eq!(ends(all.take_to(Lsn(99)).collect::<Vec<_>>().iter()), [70, 80]);
        assert!(all.first().is_none() && all.pop_first().is_none());
    }
}
