//! What is known of closed transactions where rows of one table are held.

use crate::align::Closing;
use crate::envelope::{Op, Origin};
use crate::source::by_partition::ByPartition;
use crate::source::catalog::Partition;
use crate::time::Lsn;
use crate::txid::ByTxid;
use std::collections::{HashSet, VecDeque};

/// How many closed transactions are remembered by their id. Rows of an older one are held until its END comes again,
/// which it does: a connector re-delivers a contiguous stretch, ENDs included.
const REMEMBERED: usize = 1 << 17;

/// What goes with a row from the reader to where it is held.
pub(crate) struct Ticket {
    pub(crate) partition: Partition,
    pub(crate) offset: u64,
    pub(crate) origin: Origin,
    pub(crate) op: Op,
    /// The greatest previous END that rows of the partition had named up to and with this one.
    pub(crate) progress: Lsn,
    /// The partition came to its topic while that was read.
    pub(crate) added: bool,
    /// The log holds this record a second time.
    pub(crate) again: bool,
}

/// What becomes of a row of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its transaction has not closed.
    Open,
    /// Its transaction closed at this END.
    Closed(Lsn),
    /// Its transaction is part of the initial snapshot.
    InBase,
}

/// A closed transaction.
struct Told {
    txid: u64,
    end: Lsn,
    /// It is part of the initial snapshot.
    in_base: bool,
}

/// Closed transactions, as far as the holder of one table's rows has been told of them.
pub(super) struct Closed {
    /// How many are remembered.
    most: usize,
    /// Closed transactions in the order in which they were told; an id may be among them more than once.
    told: VecDeque<Told>,
    /// The first of them by their ids. A log whose transactions do not overlap is read without a look at it: the others are
    /// added when one is asked for.
    ends: ByTxid<(Lsn, bool)>,
    /// How many those are.
    indexed: usize,
    /// The greatest END of all.
    greatest: Lsn,
    /// The END of the table's last truncate.
    truncated: Option<Lsn>,
    /// The greatest previous END that each partition has shown.
    progress: ByPartition<Lsn>,
    /// Partitions that came to their topics while those were read.
    added: HashSet<Partition>,
    base: Option<Lsn>,
    last: Lsn,
}

impl Default for Closed {
    fn default() -> Closed {
        Closed::remembering(REMEMBERED)
    }
}

impl Closed {
    fn remembering(most: usize) -> Closed {
        Closed {
            most,
            told: VecDeque::new(),
            ends: ByTxid::default(),
            indexed: 0,
            greatest: Lsn(0),
            truncated: None,
            progress: ByPartition::default(),
            added: HashSet::new(),
            base: None,
            last: Lsn(0),
        }
    }

    /// Notes how far a row shows its partition to be.
    pub(super) fn show(&mut self, ticket: &Ticket) {
        *self.progress.get_or_insert_with(ticket.partition, Lsn::default) = ticket.progress;
        if ticket.added {
            self.added.insert(ticket.partition);
        }
    }

    /// Whether what closed at `end` lacks nothing of a partition: the partition has gone past it, or was added. A
    /// transaction does not close before it is known which partitions there are, so that one that was added holds no row of
    /// it but those that it holds a second time, now that their keys have moved.
    pub(super) fn has_all_of(&self, partition: Partition, end: Lsn) -> bool {
        self.progress.get(partition).is_some_and(|progress| *progress >= end) || self.added.contains(&partition)
    }

    /// Up to which END a snapshot's row may have been overtaken by what was let go before: further than its own partition
    /// shows where that was added, and the row's key was in another one.
    pub(super) fn overtakes(&self, ticket: &Ticket) -> Lsn {
        if ticket.added { self.last.max(ticket.progress) } else { ticket.progress }
    }

    pub(super) fn verdict(&mut self, txid: u64, lsn: Lsn) -> Verdict {
        // It lies below the END of its own transaction.
        if lsn >= self.greatest {
            return Verdict::Open;
        }
        self.index();
        match self.ends.get(&txid) {
            Some((end, true)) if lsn < *end => Verdict::InBase,
            Some((end, false)) if lsn < *end => Verdict::Closed(*end),
            _ => Verdict::Open,
        }
    }

    /// The END at which the table was truncated last.
    pub(super) fn truncated(&self) -> Option<Lsn> {
        self.truncated
    }

    /// The LSN of the base, once it is complete.
    pub(super) fn base(&self) -> Option<Lsn> {
        self.base
    }

    /// Notes a closing; `table` is the index of the table whose rows are held.
    pub(super) fn note(&mut self, closing: &Closing, table: usize) {
        match *closing {
            Closing::Load { .. } => {}
            Closing::Base { snapshot, .. } => self.base = Some(snapshot.unwrap_or_default()),
            Closing::Known { txid, end, in_base } => {
                self.index();
                if self.ends.get(&txid).is_none_or(|(known, _)| *known < end) {
                    self.remember(Told { txid, end, in_base });
                }
            }
            Closing::Transaction { txid, end, truncated, .. } => {
                self.last = end;
                self.remember(Told { txid, end, in_base: false });
                if truncated & (1 << (table % 64)) != 0 {
                    self.truncated = Some(end);
                }
            }
        }
    }

    fn remember(&mut self, told: Told) {
        self.greatest = self.greatest.max(told.end);
        if self.told.len() == self.most
            && let Some(Told { txid, end, .. }) = self.told.pop_front()
            && self.indexed > 0
        {
            self.indexed -= 1;
            if self.ends.get(&txid).is_some_and(|(known, _)| *known == end) {
                self.ends.remove(&txid);
            }
        }
        self.told.push_back(told);
    }

    /// Adds to `ends` what is not there.
    fn index(&mut self) {
        self.ends.reserve(self.told.len() - self.indexed);
        for Told { txid, end, in_base } in self.told.range(self.indexed..) {
            let known = self.ends.entry(*txid).or_default();
            if known.0 < *end {
                *known = (*end, *in_base);
            }
        }
        self.indexed = self.told.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What was told, looked through from the last on.
    #[derive(Default)]
    struct Plain(VecDeque<(u64, Lsn, bool)>);

    impl Plain {
        const MOST: usize = 5;

        fn verdict(&self, txid: u64, lsn: Lsn) -> Verdict {
            match self.0.iter().rev().find(|(other, ..)| *other == txid) {
                Some((_, end, true)) if lsn < *end => Verdict::InBase,
                Some((_, end, false)) if lsn < *end => Verdict::Closed(*end),
                _ => Verdict::Open,
            }
        }

        fn tell(&mut self, txid: u64, end: Lsn, in_base: bool) {
            self.0.push_back((txid, end, in_base));
            if self.0.len() > Self::MOST {
                self.0.pop_front();
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// The next transaction closes, with this id.
        Closes(u64),
        /// An END is read again, the last but so many.
        Known(usize),
        Asked(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4u64).prop_map(Step::Closes),
            1 => (0..12usize).prop_map(Step::Known),
            4 => (0..4u64, 0..20u64).prop_map(|(txid, back)| Step::Asked(txid, back)),
        ]
    }

    proptest! {
        /// Known as soon as it is told, whenever it is asked for.
        #[test]
        fn closed_transactions_are_known_until_many_more_have_closed(
            base in 0..3u64,
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            let (mut closed, mut plain) = (Closed::remembering(Plain::MOST), Plain::default());
            let (mut all, mut last) = (Vec::new(), 0);
            for txid in 0..base {
                last += 10;
                let end = Lsn(last);
                closed.note(&Closing::Known { txid, end, in_base: true }, 0);
                plain.tell(txid, end, true);
                prop_assert_eq!(closed.verdict(txid, Lsn(last - 1)), Verdict::InBase);
            }
            for step in steps {
                match step {
                    Step::Closes(txid) => {
                        last += 10;
                        let end = Lsn(last);
                        all.push((txid, end));
                        closed.note(
                            &Closing::Transaction { txid, end, truncated: 0, commit_ms: 0, repairs: false },
                            0,
                        );
                        plain.tell(txid, end, false);
                    }
                    Step::Known(back) => {
                        let Some((txid, end)) = all.iter().rev().nth(back).copied() else { continue };
                        closed.note(&Closing::Known { txid, end, in_base: false }, 0);
                        if plain.verdict(txid, Lsn(end.0 - 1)) == Verdict::Open {
                            plain.tell(txid, end, false);
                        }
                    }
                    Step::Asked(txid, back) => {
                        let lsn = Lsn(u64::saturating_sub(last + 5, back * 5));
                        prop_assert_eq!(closed.verdict(txid, lsn), plain.verdict(txid, lsn));
                    }
                }
                prop_assert!(closed.ends.len() <= Plain::MOST && closed.told.len() <= Plain::MOST);
            }
        }
    }
}
