//! Where things stand: what has closed, what is open, and what each open transaction waits for.

use super::Aligner;
use super::ready::Doubt;
use super::transaction::Pending;
use crate::engine::Alignment;
use crate::time::Lsn;

/// By which rule transactions closed, and what is still open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AlignReport {
    pub(crate) base: Option<Lsn>,
    pub(crate) partial_base: bool,
    /// The END of the last closed transaction, or the base; the time of the last row where each stands for itself.
    pub(crate) closed_at: Option<Lsn>,
    /// Each row stands for itself.
    pub(crate) unaligned: bool,
    pub(crate) closed_by_counts: u64,
    pub(crate) closed_by_progress: u64,
    /// By counts that nothing speaks for but time.
    pub(crate) settled: u64,
    /// How many transactions wait.
    pub(crate) pending: usize,
    pub(crate) open: Vec<OpenTransaction>,
    /// Transactions of which rows were read and no END, by id.
    pub(crate) unended: Vec<u64>,
}

impl AlignReport {
    /// What is shown is exact at this LSN.
    pub(crate) fn exact_at(&self) -> Option<Lsn> {
        self.closed_at.filter(|_| !self.unaligned)
    }

    /// The time of the last row, where each stands for itself.
    pub(crate) fn unaligned_at(&self) -> Option<Lsn> {
        self.closed_at.filter(|_| self.unaligned)
    }

    /// How many transactions closed.
    pub(crate) fn closed(&self) -> u64 {
        self.closed_by_counts + self.closed_by_progress + self.settled
    }
}

/// A transaction that did not close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its id.
    pub txid: u64,
    /// Its END.
    pub end: Lsn,
    /// What it waits for, in words.
    pub missing: Vec<String>,
}

impl Aligner {
    /// Where things stand, without the open transactions by name.
    pub(crate) fn report(&self) -> AlignReport {
        let mut report = self.report.clone();
        report.closed_at = self.base.published().map(|base| base.max(self.closed));
        report.pending = self.pending.len();
        report.unaligned = self.options.alignment == Alignment::None;
        report
    }

    /// Where things stand, with every open transaction and what it waits for.
    pub(crate) fn final_report(&self) -> AlignReport {
        let mut report = self.report();
        let (mut before, until) = (self.closed, self.options.until);
        for pending in self.pending.iter().take_while(|pending| until.is_none_or(|until| pending.end.lsn <= until)) {
            let (txid, end) = (pending.end.txid, pending.end.lsn);
            report.open.push(OpenTransaction { txid, end, missing: self.missing(pending, before) });
            before = end;
        }
        if !self.until_reached {
            report.unended = self.groups.unended(self.floor(), self.closed == Lsn(0)).map(|(_, txid)| txid).collect();
        }
        report
    }

    fn missing(&self, pending: &Pending, before: Lsn) -> Vec<String> {
        if self.base.published().is_none() {
            return vec!["the initial snapshot is not complete".to_owned()];
        }
        if let Some((previous, txid)) = self.hole(pending) {
            return vec![format!(
                "the END of transaction {txid}, which comes right after {previous}, was never read: the transaction topic has a hole"
            )];
        }
        let end = &pending.end;
        let doubt = self.doubt(pending, before);
        let count_of = |table| end.counts.iter().find(|(listed, _)| *listed == table).map_or(0, |(_, count)| *count);
        let counted = |table| count_of(table) == 0 || self.counted(pending, table, count_of(table));
        let passed = |table| self.passed(pending, table);
        let rows_miss = (0..self.tables.len()).any(|table| !counted(table) && !passed(table));
        // Missing rows say enough, unless there are signs that the counts are wrong.
        let counts_tell = doubt.is_none() || (rows_miss && doubt != Some(Doubt::Signs));
        let because = doubt.filter(|_| !counts_tell).map_or("", Doubt::because);
        let mut missing = Vec::new();
        for (table, name) in self.tables.iter().enumerate() {
            let count = count_of(table);
            if (counts_tell && counted(table)) || passed(table) || (count == 0 && !self.partitions.has(table)) {
                continue;
            }
            let groups = pending.groups.iter().filter_map(|previous| self.groups.get(end.txid, *previous));
            let seen: u64 = groups.map(|group| group.seen(table)).sum();
            missing.push(match self.partitions.behind(table, end.lsn) {
                Some(behind) if behind.is_empty() => format!("{name}: no partition of its topic is in the log"),
                Some(behind) => format!(
                    "{name}: {seen} of {count} rows{because}; no later row yet in partition {}",
                    numbers(&behind)
                ),
                None => format!("{name}: {seen} of {count} rows{because}; its partitions are unknown"),
            });
        }
        if missing.is_empty() {
            missing.push("the transactions before it".to_owned());
        }
        missing
    }
}

fn numbers(partitions: &[u32]) -> String {
    partitions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
