//! When a transaction is complete, and when counts are believed.
//!
//! An END counts what its connector run emitted. That is less than the transaction has when the run resumed inside it, and
//! nothing in an END tells which run wrote it. So counts are believed only where no run can have resumed:
//!
//! ```text
//!   ENDs   ──┬──────────────────────┬───────────────────────────────┬──────────>
//!            │ front: up to where   │ here counts are believed as   │ tail: no row of the log
//!            │ the last run that    │ soon as rows are counted      │ shows that the connector
//!            │ shows itself started │                               │ went past it
//! ```
//!
//! - *Front*: a run may have resumed in any of these, and its rows may stand in a part of the log that is not read yet.
//! - *Tail*: a last run may have written nothing but this END; without a row it shows itself nowhere. (A row behind this END
//!   is of a run that went past it. Only if the END and that row are of two runs, and the log stops before any row of the
//!   one that wrote the END, is that no proof; nothing in such a log tells.)
//! - *Signs*, wherever they are: rows of two runs, an order above the count, rows in a table that the END leaves out, two
//!   ENDs that count differently, an END that falls back.
//!
//! Any of these leaves the transaction to progress, in *all* consumed tables, since a wrong END may leave a table out. When
//! the log has ended, the tail is believed as a whole or not at all: in a whole log a wrong END bears a sign by then, and
//! in one that is cut off a wrong END that bears none is surrounded by transactions that miss rows.
//!
//! A log that is followed has no end. What is *settled* in it (`settling`) is judged by what was read, as at the end of a
//! log: that is likely and not proven, and what closes so is counted apart.
//!
//! Where the ends of partitions can be looked up (`ends`), as in Kafka, there is no front and no tail: once everything was
//! read that was written before an END, only signs are left to doubt its counts for.

use super::transaction::{Group, Pending};
use super::{AlignError, Aligner, RunStart};
use crate::mutant::Mutant;
use crate::source::survey::Restarts;
use crate::time::Lsn;

/// Which rule a transaction closes by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ClosedBy {
    /// Its rows are all counted.
    Counts,
    /// Every partition has gone past it.
    Progress,
    /// Its rows are all counted, and it is settled; nothing proves that the counts are right.
    Settled,
}

/// Why counts are not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It bears a sign of a restart.
    Signs,
    /// The connector was restarted at or behind it.
    Restart,
    /// Of restarts nothing is known yet.
    Unknown,
    /// Nothing in the log is known to come after it.
    Tail,
}

impl Doubt {
    pub(super) fn because(self) -> &'static str {
        match self {
            Doubt::Signs => ", and a connector restart makes its counts doubtful",
            Doubt::Restart => ", and a connector restart at or after it makes its counts doubtful",
            Doubt::Unknown => ", and whether the connector was restarted at or after it is not known yet",
            Doubt::Tail => {
                ", and other transactions at the end of the log miss rows or bear signs of a restart, so that its counts are doubtful"
            }
        }
    }
}

impl Aligner {
    /// Whether the first pending transaction is complete, and by which rule.
    pub(super) fn ready(&self, pending: &Pending) -> Result<Option<ClosedBy>, AlignError> {
        self.check_named(pending)?;
        if self.hole(pending).is_some() {
            return Ok(None);
        }
        if self.doubt(pending, self.closed).is_some() {
            return Ok(self.passed_everywhere(pending).then_some(ClosedBy::Progress));
        }
        let mut by = ClosedBy::Counts;
        let group = self.countable(pending);
        for &(table, count) in pending.end.counts.iter().filter(|(_, count)| *count > 0) {
            if group.is_some_and(|group| group.complete(table, count)) {
                continue;
            }
            if !self.passed(pending, table) {
                return Ok(None);
            }
            by = ClosedBy::Progress;
        }
        // Nothing but time speaks for counts where nothing is known beforehand.
        let alone = matches!(self.restarts, Restarts::Unknown) && !self.at_end && !self.read_to_the_ends(pending);
        if by == ClosedBy::Counts && alone {
            by = if self.passed_everywhere(pending) { ClosedBy::Progress } else { ClosedBy::Settled };
        }
        Ok(Some(by))
    }

    /// ENDs come in order in their one partition: an END that rows name and that is not closed before this one is lost.
    pub(super) fn check_named(&self, pending: &Pending) -> Result<(), AlignError> {
        if (self.report.partial_base && self.closed == Lsn(0)) || Mutant::PassOverHole.lives() {
            return Ok(());
        }
        let (txid, end) = (pending.end.txid, pending.end.lsn);
        match pending.groups.iter().min() {
            Some(&named) if named > self.floor() => Err(AlignError::Hole { txid, end, named }),
            _ => Ok(()),
        }
    }

    /// A transaction before `pending` whose rows were read and whose END was not: the END it names, and its id. It ends
    /// right behind the END that it names, so it belongs before.
    pub(super) fn hole(&self, pending: &Pending) -> Option<(Lsn, u64)> {
        let before_all = self.report.partial_base && self.closed == Lsn(0);
        let within = !(before_all || Mutant::PassOverHole.lives());
        let unended = self.groups.unended(self.floor(), self.closed == Lsn(0)).next()?;
        Some(unended).filter(|(previous, _)| within && *previous < pending.end.lsn)
    }

    /// What is closed, the base included.
    pub(super) fn floor(&self) -> Lsn {
        self.base.published().unwrap_or_default().max(self.closed)
    }

    /// Why the counts of a transaction are not believed, if they are not; `before` is the END before it.
    pub(super) fn doubt(&self, pending: &Pending, before: Lsn) -> Option<Doubt> {
        if Mutant::CountsAfterRestart.lives() {
            return None;
        }
        if self.bears_signs(pending) {
            return Some(Doubt::Signs);
        }
        if self.read_to_the_ends(pending) {
            return None;
        }
        if self.in_front(pending, before) {
            let unknown = matches!(self.restarts, Restarts::Unknown) && !self.all_read(pending);
            return Some(if unknown { Doubt::Unknown } else { Doubt::Restart });
        }
        let believed = self.tail_believed && self.all_read(pending);
        (self.in_tail(pending) && !believed).then_some(Doubt::Tail)
    }

    /// Whether everything was read that was written before its END: if a connector was restarted inside of it, it bears signs.
    fn read_to_the_ends(&self, pending: &Pending) -> bool {
        self.looked_up.upto().is_some_and(|upto| pending.end.lsn <= upto)
    }

    fn bears_signs(&self, pending: &Pending) -> bool {
        let group = pending.groups.first().and_then(|previous| self.groups.get(pending.end.txid, *previous));
        pending.groups.len() > 1
            || pending.recounted
            || pending.fell_back
            || group.is_some_and(|group| !group.uninterrupted(&pending.end))
    }

    fn in_front(&self, pending: &Pending, before: Lsn) -> bool {
        let previous = pending.groups.iter().min().copied().unwrap_or(before).min(before);
        match self.restarts {
            Restarts::Known { last_start } => last_start.is_some_and(|start| previous <= start),
            Restarts::Unknown if !self.all_read(pending) => true,
            Restarts::Unknown => self.find_last_start().is_some_and(|start| previous <= start),
        }
    }

    /// The END before the first change of the last run, of those that were seen.
    fn find_last_start(&self) -> Option<Lsn> {
        let starts = self.runs.values().filter_map(|start| match start {
            RunStart::Snapshot => None,
            RunStart::After(previous) => Some(*previous),
        });
        starts.max().filter(|_| self.runs.len() > 1)
    }

    /// Whether all that may speak of it was read, or would have come by now.
    fn all_read(&self, pending: &Pending) -> bool {
        self.at_end || self.settling.upto().is_some_and(|upto| pending.end.lsn <= upto)
    }

    fn in_tail(&self, pending: &Pending) -> bool {
        pending.end.lsn > self.gone_past
    }

    /// Whether rows of `table` are all there, by their numbers.
    pub(super) fn counted(&self, pending: &Pending, table: usize, count: u64) -> bool {
        self.countable(pending).is_some_and(|group| group.complete(table, count))
    }

    /// Its rows, if one run delivered them, and that from the first on.
    fn countable(&self, pending: &Pending) -> Option<&Group> {
        let &previous = pending.groups.first()?;
        let group = self.groups.get(pending.end.txid, previous)?;
        let run = group.run()?;
        let started_before = match self.runs.get(&run) {
            Some(RunStart::Snapshot) => true,
            Some(RunStart::After(first)) => *first < previous || (previous == Lsn(0) && self.restarts.none()),
            None => false,
        };
        // What a run wrote of it before must not have been cut off.
        let all_there = || self.read_to_the_ends(pending) && self.partitions.beheaded().is_empty();
        (started_before || all_there()).then_some(group)
    }

    fn passed_everywhere(&self, pending: &Pending) -> bool {
        let end = &pending.end;
        let named_tables_exist = end.counts.iter().all(|&(table, count)| count == 0 || self.partitions.has(table));
        let mut tables = 0..self.tables.len();
        named_tables_exist
            && self.partitions.known()
            && tables.all(|table| !self.partitions.has(table) || self.passed(pending, table))
    }

    /// Whether every partition of `table` has gone past the transaction. Where partitions are looked up that is known only
    /// once they were, after its END was read: its rows may be in one that was added just before.
    pub(super) fn passed(&self, pending: &Pending, table: usize) -> bool {
        let looked_up = || self.looked_up.known_upto().is_some_and(|upto| pending.end.lsn <= upto);
        let known = !self.options.looks_up || self.at_end || looked_up();
        known && self.partitions.passed(table, pending.end.lsn)
    }

    /// Whether all of what is still pending in the tail is accounted for, now that all there is was read.
    pub(super) fn believe_the_tail(&self) -> bool {
        let accounted = |pending: &Pending| {
            let counts = pending.end.counts.iter().filter(|(_, count)| *count > 0);
            let all_there = counts
                .copied()
                .all(|(table, count)| self.counted(pending, table, count) || self.passed(pending, table));
            all_there && !self.bears_signs(pending)
        };
        let mut in_tail = self.pending.iter().filter(|pending| self.all_read(pending) && self.in_tail(pending));
        in_tail.all(accounted)
    }
}
