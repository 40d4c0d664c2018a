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

/// Closed transactions, as far as the holder of one table's rows has been told of them.
#[derive(Default)]
pub(super) struct Closed {
    ends: ByTxid<(Lsn, bool)>,
    /// The same in the order in which they were told, and some that were told again since.
    order: VecDeque<(Lsn, u64)>,
    /// The END of the table's last truncate.
    truncated: Option<Lsn>,
    /// The greatest previous END that each partition has shown.
    progress: ByPartition<Lsn>,
    /// Partitions that came to their topics while those were read.
    added: HashSet<Partition>,
    base: Option<Lsn>,
    last: Lsn,
}

impl Closed {
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

    pub(super) fn verdict(&self, txid: u64, lsn: Lsn) -> Verdict {
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
            Closing::Known { txid, end, in_base } => self.remember(txid, end, in_base),
            Closing::Transaction { txid, end, truncated, .. } => {
                self.last = end;
                self.remember(txid, end, false);
                if truncated & (1 << (table % 64)) != 0 {
                    self.truncated = Some(end);
                }
            }
        }
    }

    fn remember(&mut self, txid: u64, end: Lsn, in_base: bool) {
        if self.ends.get(&txid).is_some_and(|(known, _)| *known >= end) {
            return;
        }
        self.ends.insert(txid, (end, in_base));
        self.order.push_back((end, txid));
        if self.order.len() > REMEMBERED
            && let Some((end, txid)) = self.order.pop_front()
            && self.ends.get(&txid).is_some_and(|(known, _)| *known == end)
        {
            self.ends.remove(&txid);
        }
    }
}
