//! Decides the time of everything: which transactions are complete, in the order of their ENDs.
//!
//! ```text
//!   facts (receipts of rows, ENDs)                     closings, each at its time
//!   from every worker's partitions ──> Aligner ──────> to every worker: rows may go
//!   in each partition's order          (worker 0)
//! ```
//!
//! Rows and ENDs arrive in any order relative to each other; only the order inside one partition is given. A transaction
//! closes when for every consumed table in its END one holds:
//! - *counts*: the distinct `data_collection_order` values are exactly 1..event_count, all of one connector run, and that
//!   run had started before the transaction;
//! - *progress*: every partition of the table has delivered a row whose previous END is at or past this END.
//!
//! # Notes
//! An END counts what its connector run emitted, which is less than the transaction has when the run resumed inside it.
//! So counts are believed only where nothing suggests that: rows of two runs, an order above the count, rows in a table
//! that the END leaves out, two ENDs that count differently, an END that falls back. In a log with more than one run
//! such a sign may stand in a part that is not read yet; the survey of the log tells which
//! transactions may be concerned and how far each partition must be read to see every sign of them. Before that, and for
//! any transaction with a sign, only progress in *all* consumed tables closes: a wrong END may leave a table out.
//!
//! This file is pure: facts in, closings out, no dataflow, no clock. `operator` runs it inside timely.

mod base;
mod operator;
mod orders;
mod partitions;
#[cfg(test)]
mod tests;
mod transaction;

pub(crate) use operator::{AlignMonitor, align};

use crate::envelope::{End, Origin, RunId};
use crate::source::catalog::Partition;
use crate::source::survey::Restarts;
use crate::time::{Epoch, HYDRATION_END, Lsn, Time};
use base::Base;
use partitions::Partitions;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use transaction::{Group, Pending};

/// How far partitions have been read.
pub(crate) trait Reached {
    /// Whether `partition` has been read up to `offset`.
    fn reached(&self, partition: Partition, offset: u64) -> bool;
}

/// What a worker read, as far as the order of transactions is concerned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) partition: Partition,
    pub(crate) offset: u64,
    pub(crate) kind: FactKind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FactKind {
    /// A row is held by the worker that sent this.
    Row { origin: Origin, run: RunId, truncate: bool },
    /// A row whose place among transactions cannot be read.
    Unreadable,
    /// A transaction's END.
    End(End),
}

/// What the workers may do with rows they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Closing {
    /// Build state of the initial snapshot's rows read so far; forget what an aborted attempt loaded if `reset`.
    Load { snapshot: Lsn, reset: bool },
    /// The initial snapshot is complete; there was none if it is `None`.
    Base { snapshot: Option<Lsn>, reset: bool },
    /// The transaction is complete.
    Transaction { txid: u64, end: Lsn, truncated: u64, commit_ms: i64, repairs: bool },
    /// The transaction is part of what is already known: the base, or an earlier closing.
    Known { txid: u64, end: Lsn, in_base: bool },
}

/// A stream of transactions that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlignError {
    /// A second initial snapshot began after the first was shown.
    #[error(
        "a new initial snapshot (LSN {snapshot}) follows the one this index was built on (LSN {base}): start again from a new index"
    )]
    NewBase {
        /// The LSN of the snapshot in use.
        base: Lsn,
        /// The LSN of the new one.
        snapshot: Lsn,
    },
    /// The log has no initial snapshot and does not begin right after an empty one.
    #[error(
        "the log has no initial snapshot: rows that were there before it are unknown; use a log that starts with the connector's snapshot, or --allow-partial-base to go on without them"
    )]
    NoSnapshot,
    /// The log may end inside the initial snapshot.
    #[error("the initial snapshot is not proven complete: {} shown no change after it; give --snapshot-complete if the log holds all of it", list(.partitions))]
    SnapshotNotProven {
        /// The partitions that may hold more rows of it.
        partitions: Vec<String>,
    },
    /// Rows name a transaction whose END is not there.
    #[error(
        "transaction {txid} (END {end}) follows END {named}, which was never read: the transaction topic has a hole"
    )]
    Hole {
        /// The transaction whose rows name it.
        txid: u64,
        /// Its END.
        end: Lsn,
        /// The END that is missing.
        named: Lsn,
    },
    /// The position asked for is before everything.
    #[error("--until {until} is before the initial snapshot at LSN {base}")]
    UntilBeforeBase {
        /// The position.
        until: Lsn,
        /// The snapshot's.
        base: Lsn,
    },
}

fn list(partitions: &[String]) -> String {
    let shown = partitions.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ");
    match partitions.len() {
        0 => "no partition has".to_owned(),
        1 => format!("{shown} has"),
        n if n <= 6 => format!("{shown} have"),
        n => format!("{shown} and {} more have", n - 6),
    }
}

/// What the aligner must know from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlignOptions {
    pub(crate) epoch: Epoch,
    /// No END above this closes.
    pub(crate) until: Option<Lsn>,
    /// The log holds the whole initial snapshot, whatever it shows.
    pub(crate) snapshot_complete: bool,
    /// Go on without an initial snapshot.
    pub(crate) allow_partial_base: bool,
    /// A blocking snapshot's row repairs only after the stream is this many milliseconds past its reading.
    pub(crate) repair_delay_ms: i64,
}

/// By which rule transactions closed, and what is still open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AlignReport {
    pub(crate) base: Option<Lsn>,
    pub(crate) partial_base: bool,
    /// The END of the last closed transaction, or the base.
    pub(crate) exact_at: Option<Lsn>,
    pub(crate) closed_by_counts: u64,
    pub(crate) closed_by_progress: u64,
    /// How many transactions wait.
    pub(crate) pending: usize,
    pub(crate) open: Vec<OpenTransaction>,
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

/// The earliest thing a run has shown: it had started before any transaction that follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RunStart {
    Snapshot,
    After(Lsn),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ClosedBy {
    Counts,
    Progress,
}

pub(crate) struct Aligner {
    options: AlignOptions,
    tables: Vec<String>,
    partitions: Partitions,
    restarts: Restarts,
    runs: HashMap<u128, RunStart>,
    base: Base,
    /// Transactions whose END was read, by END.
    pending: BTreeMap<Lsn, Pending>,
    /// ENDs of `pending` by txid, in order.
    ends: HashMap<u64, Vec<Lsn>>,
    /// Receipts by transaction id and the END its rows name as previous: that END makes the id unique.
    groups: HashMap<(u64, Lsn), Group>,
    /// The groups of a transaction id.
    groups_of: HashMap<u64, Vec<Lsn>>,
    /// ENDs at or below the base, by txid.
    in_base: HashMap<u64, Lsn>,
    /// The last closed END; zero before the first.
    closed: Lsn,
    greatest_end: Lsn,
    /// Until this commit time rows of a blocking snapshot wait to repair.
    repairs_until_ms: Option<i64>,
    /// The whole log was read.
    at_end: bool,
    /// Everything up to `until` was closed.
    until_reached: bool,
    report: AlignReport,
}

impl Aligner {
    pub(crate) fn new(
        options: AlignOptions,
        tables: Vec<String>,
        partitions: Option<Vec<u32>>,
        restarts: Restarts,
    ) -> Aligner {
        let partitions = Partitions::new(tables.len(), partitions);
        Aligner {
            options,
            tables,
            partitions,
            restarts,
            runs: HashMap::new(),
            base: Base::default(),
            pending: BTreeMap::new(),
            ends: HashMap::new(),
            groups: HashMap::new(),
            groups_of: HashMap::new(),
            in_base: HashMap::new(),
            closed: Lsn(0),
            greatest_end: Lsn(0),
            repairs_until_ms: None,
            at_end: false,
            until_reached: false,
            report: AlignReport::default(),
        }
    }

    /// The first time at which something may still be closed.
    pub(crate) fn upper(&self) -> Time {
        match self.base.published() {
            None => self.base.loads() + 1,
            Some(base) => self.time(base.max(self.closed)).max(HYDRATION_END) + 1,
        }
    }

    fn time(&self, lsn: Lsn) -> Time {
        lsn.time(self.options.epoch)
    }

    /// Takes note of a fact.
    pub(crate) fn note(&mut self, fact: Fact, out: &mut Vec<(Closing, Time)>) -> Result<(), AlignError> {
        if let FactKind::End(end) = fact.kind {
            self.note_end(end, out);
            return Ok(());
        }
        self.partitions.read(fact.partition, fact.offset);
        let FactKind::Row { origin, run, truncate } = fact.kind else { return Ok(()) };
        self.partitions.progress(fact.partition, origin.previous());
        match origin {
            Origin::Initial { lsn, last } => {
                self.note_run(run, RunStart::Snapshot);
                if let Some(tick) = self.base.row(lsn, last)? {
                    out.push((tick, self.base.loads()));
                }
            }
            Origin::Stream { txid, lsn, previous, order } => {
                self.partitions.streamed(fact.partition);
                self.base.streamed(previous);
                self.note_run(run, RunStart::After(previous));
                self.note_row((txid, previous), lsn, usize::from(fact.partition.table), order, run, truncate);
            }
            Origin::Incremental { .. } => {}
            Origin::Blocking { ts_ms, .. } => {
                let until = ts_ms.saturating_add(self.options.repair_delay_ms);
                self.repairs_until_ms = self.repairs_until_ms.max(Some(until));
            }
        }
        Ok(())
    }

    fn note_run(&mut self, run: RunId, start: RunStart) {
        if let Some(run) = run {
            self.runs.entry(run).and_modify(|first| *first = start.min(*first)).or_insert(start);
        }
    }

    fn note_row(&mut self, id: (u64, Lsn), lsn: Lsn, table: usize, order: u64, run: RunId, truncate: bool) {
        let (txid, previous) = id;
        let known = previous < self.closed || self.in_base.get(&txid).is_some_and(|end| lsn < *end);
        if known {
            return;
        }
        let group = self.groups.entry(id).or_insert_with(|| {
            self.groups_of.entry(txid).or_default().push(previous);
            Group::default()
        });
        group.row(lsn, table, order, run, truncate);
        if group.end.is_none() {
            let ends = self.ends.get(&txid).map_or(&[][..], Vec::as_slice);
            if let Some(end) = ends.iter().copied().find(|end| *end > lsn) {
                group.end = Some(end);
                if let Some(pending) = self.pending.get_mut(&end) {
                    pending.groups.push(previous);
                }
            }
        }
    }

    fn note_end(&mut self, end: End, out: &mut Vec<(Closing, Time)>) {
        let falls_back = end.lsn <= self.greatest_end;
        self.greatest_end = self.greatest_end.max(end.lsn);
        if falls_back {
            // The connector has resumed at or before here; whatever it had open may have been interrupted.
            self.pending.range_mut(end.lsn..).for_each(|(_, pending)| pending.fell_back = true);
        }
        if self.base.published().is_some_and(|base| end.lsn <= base) {
            self.known(end.txid, end.lsn, true, out);
        } else if end.lsn <= self.closed {
            self.known(end.txid, end.lsn, false, out);
        } else if let Some(pending) = self.pending.get_mut(&end.lsn) {
            pending.recounted |= !pending.counts_equal(&end);
        } else {
            self.open(end, falls_back);
        }
    }

    fn known(&mut self, txid: u64, end: Lsn, in_base: bool, out: &mut Vec<(Closing, Time)>) {
        if in_base {
            self.in_base.entry(txid).and_modify(|known| *known = end.max(*known)).or_insert(end);
        }
        let previous = self.groups_of.get(&txid).cloned().unwrap_or_default();
        let below = |group: &Group| group.greatest_lsn < end;
        for previous in previous {
            if self.groups.get(&(txid, previous)).is_some_and(below) {
                self.forget_group(txid, previous);
            }
        }
        out.push((Closing::Known { txid, end, in_base }, self.upper()));
    }

    fn forget_group(&mut self, txid: u64, previous: Lsn) {
        self.groups.remove(&(txid, previous));
        if let Some(all) = self.groups_of.get_mut(&txid) {
            all.retain(|other| *other != previous);
            if all.is_empty() {
                self.groups_of.remove(&txid);
            }
        }
    }

    fn open(&mut self, end: End, fell_back: bool) {
        let ends = self.ends.entry(end.txid).or_default();
        ends.push(end.lsn);
        ends.sort_unstable();
        let mut groups = Vec::new();
        for previous in self.groups_of.get(&end.txid).into_iter().flatten() {
            let group = self.groups.get_mut(&(end.txid, *previous));
            if let Some(group) = group.filter(|group| group.end.is_none() && group.greatest_lsn < end.lsn) {
                group.end = Some(end.lsn);
                groups.push(*previous);
            }
        }
        self.pending.insert(end.lsn, Pending { end, groups, recounted: false, fell_back });
    }

    /// Closes what can be closed.
    pub(crate) fn advance(&mut self, out: &mut Vec<(Closing, Time)>) -> Result<(), AlignError> {
        if self.base.published().is_none() && !self.publish_base(out)? {
            return Ok(());
        }
        while let Some((&end, pending)) = self.pending.first_key_value() {
            if self.options.until.is_some_and(|until| end > until) {
                self.until_reached = true;
                break;
            }
            let Some(by) = self.ready(pending)? else { break };
            self.close(end, by, out);
        }
        Ok(())
    }

    /// The whole log was read: what was waited for in it does not come any more.
    pub(crate) fn end_of_log(&mut self, out: &mut Vec<(Closing, Time)>) -> Result<(), AlignError> {
        self.at_end = true;
        self.partitions.complete();
        self.advance(out)
    }

    fn publish_base(&mut self, out: &mut Vec<(Closing, Time)>) -> Result<bool, AlignError> {
        let silent = self.partitions.silent();
        if silent.is_none() && !self.at_end {
            return Ok(false);
        }
        let silent = silent.unwrap_or_default();
        if !silent.is_empty() && !self.at_end {
            return Ok(false);
        }
        let Some(base) = self.base.decide(&self.options, silent.is_empty(), self.partitions.any()) else {
            let partitions = silent.iter().map(|p| format!("{}/{}", self.table_name(p.table), p.number)).collect();
            return Err(AlignError::SnapshotNotProven { partitions });
        };
        let (lsn, partial) = base?;
        if let Some(until) = self.options.until.filter(|until| *until < lsn) {
            return Err(AlignError::UntilBeforeBase { until, base: lsn });
        }
        let closing = self.base.publish(lsn);
        self.report.base = Some(lsn);
        self.report.partial_base = partial;
        out.push((closing, self.time(lsn).max(HYDRATION_END)));
        let above = self.pending.split_off(&Lsn(lsn.0 + 1));
        let below = std::mem::replace(&mut self.pending, above);
        for Pending { end, .. } in below.into_values() {
            self.forget_end(end.txid, end.lsn);
            self.known(end.txid, end.lsn, true, out);
        }
        Ok(true)
    }

    fn forget_end(&mut self, txid: u64, end: Lsn) {
        if let Some(ends) = self.ends.get_mut(&txid) {
            ends.retain(|other| *other != end);
            if ends.is_empty() {
                self.ends.remove(&txid);
            }
        }
    }

    fn close(&mut self, end: Lsn, by: ClosedBy, out: &mut Vec<(Closing, Time)>) {
        let Some(Pending { end: ended, groups, .. }) = self.pending.remove(&end) else { return };
        let mut truncated = 0;
        for previous in groups {
            if let Some(group) = self.groups.get(&(ended.txid, previous)) {
                truncated |= group.truncated;
            }
            self.forget_group(ended.txid, previous);
        }
        self.forget_end(ended.txid, end);
        self.closed = end;
        match by {
            ClosedBy::Counts => self.report.closed_by_counts += 1,
            ClosedBy::Progress => self.report.closed_by_progress += 1,
        }
        let repairs = self.repairs_until_ms.is_some();
        self.repairs_until_ms = self.repairs_until_ms.filter(|until| ended.commit_ms <= *until);
        let closing = Closing::Transaction { txid: ended.txid, end, truncated, commit_ms: ended.commit_ms, repairs };
        out.push((closing, self.time(end)));
    }

    /// Whether the first pending transaction is complete, and by which rule.
    fn ready(&self, pending: &Pending) -> Result<Option<ClosedBy>, AlignError> {
        let end = &pending.end;
        self.check_hole(end, pending)?;
        if self.counts_believable(end, pending) {
            let mut by = ClosedBy::Counts;
            for &(table, count) in end.counts.iter().filter(|(_, count)| *count > 0) {
                if self.counted(end.txid, pending, table, count) {
                    continue;
                }
                if !self.partitions.passed(table, end.lsn) {
                    return Ok(None);
                }
                by = ClosedBy::Progress;
            }
            return Ok(Some(by));
        }
        let named_tables_exist = end.counts.iter().all(|&(table, count)| count == 0 || self.partitions.has(table));
        let all =
            (0..self.tables.len()).all(|table| !self.partitions.has(table) || self.partitions.passed(table, end.lsn));
        Ok((named_tables_exist && all && self.partitions.known()).then_some(ClosedBy::Progress))
    }

    /// ENDs come in order in their one partition: an END that rows name and that is not closed before this one is lost.
    fn check_hole(&self, end: &End, pending: &Pending) -> Result<(), AlignError> {
        let floor = self.base.published().unwrap_or_default().max(self.closed);
        if self.report.partial_base && self.closed == Lsn(0) {
            return Ok(());
        }
        match pending.groups.iter().min() {
            Some(&named) if named > floor => Err(AlignError::Hole { txid: end.txid, end: end.lsn, named }),
            _ => Ok(()),
        }
    }

    /// Whether every sign of an interrupted transaction has been read and there is none.
    fn counts_believable(&self, end: &End, pending: &Pending) -> bool {
        let previous = pending.groups.first().copied().unwrap_or(self.closed);
        let all_signs_read = self.at_end || self.restarts.read(previous, &self.partitions);
        let one_group = pending.groups.len() <= 1;
        let group = pending.groups.first().and_then(|previous| self.groups.get(&(end.txid, *previous)));
        all_signs_read
            && one_group
            && !pending.recounted
            && !pending.fell_back
            && group.is_none_or(|group| group.uninterrupted(end))
    }

    fn counted(&self, txid: u64, pending: &Pending, table: usize, count: u64) -> bool {
        let Some(&previous) = pending.groups.first() else { return false };
        let Some((group, run)) = self.groups.get(&(txid, previous)).and_then(|group| Some((group, group.run()?)))
        else {
            return false;
        };
        let started_before = match self.runs.get(&run) {
            Some(RunStart::Snapshot) => true,
            Some(RunStart::After(first)) => *first < previous || (previous == Lsn(0) && self.restarts.none()),
            None => false,
        };
        started_before && group.complete(table, count)
    }

    fn table_name(&self, table: u16) -> &str {
        self.tables.get(usize::from(table)).map_or("?", String::as_str)
    }

    /// Whether everything up to the position asked for has closed.
    pub(crate) fn until_reached(&self) -> bool {
        self.until_reached
    }

    /// Where things stand, without the open transactions by name.
    pub(crate) fn report(&self) -> AlignReport {
        let mut report = self.report.clone();
        report.exact_at = self.base.published().map(|base| base.max(self.closed));
        report.pending = self.pending.len();
        report
    }

    /// Where things stand, with every open transaction and what it waits for.
    pub(crate) fn final_report(&self) -> AlignReport {
        let mut report = self.report();
        let pending =
            self.pending.values().filter(|pending| self.options.until.is_none_or(|until| pending.end.lsn <= until));
        report.open = pending
            .map(|pending| OpenTransaction {
                txid: pending.end.txid,
                end: pending.end.lsn,
                missing: self.missing(&pending.end, pending),
            })
            .collect();
        report
    }

    fn missing(&self, end: &End, pending: &Pending) -> Vec<String> {
        if self.base.published().is_none() {
            return vec!["the initial snapshot is not complete".to_owned()];
        }
        let believable = self.counts_believable(end, pending);
        let mut missing = Vec::new();
        for (table, name) in self.tables.iter().enumerate() {
            let count = end.counts.iter().find(|(listed, _)| *listed == table).map_or(0, |(_, count)| *count);
            let settled = if believable { count == 0 || self.counted(end.txid, pending, table, count) } else { false };
            if settled || self.partitions.passed(table, end.lsn) || (count == 0 && !self.partitions.has(table)) {
                continue;
            }
            let seen = pending
                .groups
                .iter()
                .filter_map(|p| self.groups.get(&(end.txid, *p)))
                .map(|g| g.seen(table))
                .sum::<u64>();
            let behind = self.partitions.behind(table, end.lsn);
            let doubt = if believable { "" } else { ", and a connector restart makes its counts doubtful" };
            missing.push(match behind {
                Some(behind) if behind.is_empty() => format!("{name}: no partition of its topic is in the log"),
                Some(behind) => {
                    format!("{name}: {seen} of {count} rows{doubt}; no later row yet in partition {}", numbers(&behind))
                }
                None => format!("{name}: {seen} of {count} rows{doubt}; its partitions are unknown"),
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
