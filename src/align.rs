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
//! Counts are not always believed: `ready` says when.
//!
//! This folder is pure but for `operator`, which runs it inside timely: facts in, closings out, no dataflow, no clock.

mod arrival;
mod base;
mod ends;
mod error;
mod groups;
mod operator;
mod orders;
mod partitions;
mod pending;
mod ready;
mod report;
mod settling;
#[cfg(test)]
mod tests;
mod transaction;

pub use error::AlignError;
pub(crate) use operator::{AlignMonitor, align};
pub(crate) use report::AlignReport;
pub use report::OpenTransaction;

use crate::engine::Alignment;
use crate::envelope::{End, Origin, RunId};
use crate::source::Mark;
use crate::source::catalog::{Catalog, Partition};
use crate::source::survey::Restarts;
use crate::time::{Epoch, HYDRATION_END, Lsn, Time};
use crate::txid::ByTxid;
use base::Base;
use dataflows::{Uuid, operators::Keys};
use ends::Ends;
use groups::Groups;
use partitions::Partitions;
use pending::PendingTransactions;
use ready::ClosedBy;
use serde::{Deserialize, Serialize};
use settling::Settling;
use smallvec::SmallVec;
use std::collections::HashMap;
use transaction::Pending;

/// What a worker read, as far as the order of transactions is concerned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Fact {
    /// A record.
    Record { partition: Partition, kind: FactKind },
    /// This one `of` all workers has come to a mark, behind the byte `at`.
    Mark { worker: usize, of: usize, at: u64, mark: Mark },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FactKind {
    /// The partition's first record, whatever it is.
    Start { offset: u64 },
    /// A row is held by the worker that sent this.
    Row { origin: Origin, run: RunId, truncate: bool },
    /// The same of a row that stands for itself: the only one that is held as of the transaction `txid`.
    Arrival { txid: u64, lsn: Lsn, truncate: bool },
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
    /// The initial snapshot is complete; there was none if it is `None`. Where rows from before the log are missing,
    /// `partial_from` is the END that the log begins behind.
    Base { snapshot: Option<Lsn>, reset: bool, partial_from: Option<Lsn> },
    /// The transaction is complete.
    Transaction { txid: u64, end: Lsn, truncated: u64, commit_ms: i64, repairs: bool },
    /// The transaction is part of what is already known: the base, or an earlier closing.
    Known { txid: u64, end: Lsn, in_base: bool },
}

/// What the aligner must know from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlignOptions {
    pub(crate) epoch: Epoch,
    pub(crate) alignment: Alignment,
    /// No END above this closes.
    pub(crate) until: Option<Lsn>,
    /// The log holds the whole initial snapshot, whatever it shows.
    pub(crate) snapshot_complete: bool,
    /// Go on without an initial snapshot.
    pub(crate) allow_partial_base: bool,
    /// How many rows of the initial snapshot are let in at one internal time.
    pub(crate) load_rows: u64,
    /// A blocking snapshot's row repairs only after the stream is this many milliseconds past its reading.
    pub(crate) repair_delay_ms: i64,
    /// For how many milliseconds an END must have been there, with all that was there read, before it is settled.
    pub(crate) settle_ms: u64,
    /// The source looks up where its partitions end, and which there are: until then neither is known.
    pub(crate) looks_up: bool,
}

/// The earliest thing a run has shown: it had started before any transaction that follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RunStart {
    Snapshot,
    After(Lsn),
}

pub(crate) struct Aligner {
    options: AlignOptions,
    tables: Vec<String>,
    partitions: Partitions,
    restarts: Restarts,
    runs: HashMap<Uuid, RunStart, Keys>,
    /// One of them: the one that was noted last.
    noted_run: Option<(Uuid, RunStart)>,
    base: Base,
    /// Transactions whose END was read.
    pending: PendingTransactions,
    /// ENDs of `pending` by txid, in order.
    ends: ByTxid<SmallVec<[Lsn; 1]>>,
    /// Receipts of transactions that have not closed.
    groups: Groups,
    /// ENDs at or below the base, by txid.
    in_base: ByTxid<Lsn>,
    /// The last closed END; zero before the first.
    closed: Lsn,
    greatest_end: Lsn,
    /// The END read last.
    last_end: Lsn,
    /// The greatest END that a change names as the one before: the connector went past it.
    gone_past: Lsn,
    /// Until this commit time rows of a blocking snapshot wait to repair.
    repairs_until_ms: Option<i64>,
    /// The whole log was read.
    at_end: bool,
    settling: Settling,
    looked_up: Ends,
    /// The last look-up when all partitions had shown a change.
    streamed_at: Option<u64>,
    /// Counts are believed where no row shows that the connector went past them.
    tail_believed: bool,
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
            runs: HashMap::default(),
            noted_run: None,
            base: Base::default(),
            pending: PendingTransactions::default(),
            ends: ByTxid::default(),
            groups: Groups::default(),
            in_base: ByTxid::default(),
            closed: Lsn(0),
            greatest_end: Lsn(0),
            last_end: Lsn(0),
            gone_past: Lsn(0),
            repairs_until_ms: None,
            at_end: false,
            settling: Settling::default(),
            looked_up: Ends::default(),
            streamed_at: None,
            tail_believed: false,
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
        let (partition, kind) = match fact {
            Fact::Record { partition, kind } => (partition, kind),
            Fact::Mark { worker, of, at, mark } => {
                self.note_mark(worker, of, at, mark);
                return Ok(());
            }
        };
        if partition.table == Catalog::TRANSACTIONS {
            return match kind {
                _ if partition.number > 0 => Err(AlignError::TransactionPartition { number: partition.number }),
                FactKind::End(end) => {
                    self.note_end(end, out);
                    Ok(())
                }
                _ => Ok(()),
            };
        }
        if let Some(given) = self.partitions.not_among(partition) {
            let table = self.table_name(partition.table).to_owned();
            return Err(AlignError::UnknownPartition { table, number: partition.number, given });
        }
        if let FactKind::Start { offset } = kind {
            self.partitions.start(partition, offset);
        }
        if let FactKind::Arrival { txid, lsn, truncate } = kind {
            self.arrive(partition, txid, lsn, truncate, out);
        }
        let FactKind::Row { origin, run, truncate } = kind else { return Ok(()) };
        let streamed = matches!(origin, Origin::Stream { .. });
        self.partitions.progress(partition, origin.previous(), streamed);
        match origin {
            Origin::Initial { lsn, .. }
                if self.base.published() == Some(lsn) && self.partitions.is_silent(partition) =>
            {
                // Only a word, of the user or of a log that has ended, can have said that none would follow.
                let table = self.table_name(partition.table).to_owned();
                return Err(AlignError::LateSnapshotRow { base: lsn, table, number: partition.number });
            }
            Origin::Initial { lsn, last } => {
                self.note_run(run, RunStart::Snapshot);
                if let Some(tick) = self.base.row(lsn, last, self.options.load_rows)? {
                    out.push((tick, self.base.loads()));
                }
            }
            Origin::Stream { txid, lsn, previous, order } => {
                self.gone_past = self.gone_past.max(previous);
                self.base.streamed(previous);
                self.note_run(run, RunStart::After(previous));
                self.note_row((txid, previous), lsn, usize::from(partition.table), order, run, truncate);
            }
            // What arrives by itself is told so.
            Origin::Incremental { .. } | Origin::Arrival { .. } => {}
            Origin::Blocking { ts_ms, .. } => {
                let until = ts_ms.saturating_add(self.options.repair_delay_ms);
                self.repairs_until_ms = self.repairs_until_ms.max(Some(until));
            }
        }
        Ok(())
    }

    fn note_mark(&mut self, worker: usize, of: usize, at: u64, mark: Mark) {
        match mark {
            Mark::Partition { partition, first, .. } => self.partitions.start(partition, first),
            Mark::Asked { look_up } => {
                self.looked_up.saw(look_up);
                let reads_ends = Partition { table: Catalog::TRANSACTIONS, number: 0 }.worker(of) == worker;
                if reads_ends {
                    self.looked_up.asked(look_up, self.greatest_end);
                }
            }
            Mark::Known { look_up } => self.looked_up.knows(look_up),
            Mark::AllRead { ms } => self.settle(worker, of, at, ms),
            Mark::Reached { look_up, ms } => {
                if self.looked_up.reached(worker, of, look_up) {
                    self.base.rest(ms, self.options.settle_ms);
                }
                self.settle(worker, of, at, ms);
            }
        }
    }

    fn settle(&mut self, worker: usize, of: usize, at: u64, ms: u64) {
        if self.settling.note(worker, of, at, ms, self.greatest_end, self.options.settle_ms) {
            self.tail_believed = self.believe_the_tail();
        }
    }

    fn note_run(&mut self, run: RunId, start: RunStart) {
        let Some(run) = run else { return };
        // Nearly every row is of the run of the one before, and no earlier.
        if self.noted_run.is_some_and(|(noted, first)| noted == run && first <= start) {
            return;
        }
        let first = self.runs.entry(run).or_insert(start);
        *first = start.min(*first);
        self.noted_run = Some((run, *first));
    }

    fn note_row(
        &mut self,
        (txid, previous): (u64, Lsn),
        lsn: Lsn,
        table: usize,
        order: u64,
        run: RunId,
        truncate: bool,
    ) {
        if previous < self.closed || self.in_base.get(&txid).is_some_and(|end| lsn < *end) {
            return;
        }
        let ended = self.groups.note(txid, previous, |group| {
            group.row(lsn, table, order, run, truncate);
            group.end.is_some()
        });
        if !ended {
            let ends = self.ends.get(&txid).map_or(&[][..], SmallVec::as_slice);
            if let Some(end) = ends.iter().copied().find(|end| *end > lsn) {
                self.groups.ended(txid, previous, end);
                if let Some(pending) = self.pending.get_mut(end) {
                    pending.groups.push(previous);
                }
            }
        }
    }

    fn note_end(&mut self, end: End, out: &mut Vec<(Closing, Time)>) {
        let falls_back = end.lsn <= self.greatest_end;
        if end.lsn <= self.last_end {
            // The connector has resumed at or before here; whatever it had open may have been interrupted.
            self.pending.onwards_mut(end.lsn).for_each(|pending| pending.fell_back = true);
        }
        self.greatest_end = self.greatest_end.max(end.lsn);
        self.last_end = end.lsn;
        if self.base.published().is_some_and(|base| end.lsn <= base) {
            self.known(end.txid, end.lsn, true, out);
        } else if end.lsn <= self.closed {
            self.known(end.txid, end.lsn, false, out);
        } else if let Some(pending) = self.pending.get_mut(end.lsn) {
            pending.recounted |= !pending.counts_equal(&end);
        } else {
            self.open(end, falls_back);
        }
    }

    fn known(&mut self, txid: u64, end: Lsn, in_base: bool, out: &mut Vec<(Closing, Time)>) {
        if in_base {
            self.in_base.entry(txid).and_modify(|known| *known = end.max(*known)).or_insert(end);
        }
        self.groups.forget_below(txid, end);
        out.push((Closing::Known { txid, end, in_base }, self.upper()));
    }

    fn open(&mut self, end: End, fell_back: bool) {
        let ends = self.ends.entry(end.txid).or_default();
        ends.push(end.lsn);
        ends.sort_unstable();
        let groups = self.groups.waiting_for(end.txid, end.lsn);
        groups.iter().for_each(|previous| self.groups.ended(end.txid, *previous, end.lsn));
        self.pending.insert(Pending { end, groups, recounted: false, fell_back });
    }

    /// Closes what can be closed.
    pub(crate) fn advance(&mut self, out: &mut Vec<(Closing, Time)>) -> Result<(), AlignError> {
        if self.options.alignment == Alignment::None {
            self.begin(out);
            return Ok(());
        }
        if self.base.published().is_none() && !self.publish_base(out)? {
            return Ok(());
        }
        while let Some(pending) = self.pending.first() {
            let end = pending.end.lsn;
            if self.options.until.is_some_and(|until| end > until) {
                self.check_named(pending)?;
                // What is missing may lie before the position asked for.
                self.until_reached = self.hole(pending).is_none();
                break;
            }
            let Some(by) = self.ready(pending)? else { break };
            self.close_first(by, out);
        }
        Ok(())
    }

    /// The whole log was read: what was waited for in it does not come any more.
    pub(crate) fn end_of_log(&mut self, out: &mut Vec<(Closing, Time)>) -> Result<(), AlignError> {
        self.partitions.complete();
        self.at_end = true;
        self.tail_believed = self.believe_the_tail();
        self.advance(out)
    }

    fn publish_base(&mut self, out: &mut Vec<(Closing, Time)>) -> Result<bool, AlignError> {
        let beheaded = self.partitions.beheaded();
        let whole = beheaded.is_empty();
        let vouched = self.base.vouched(&self.options, whole, self.settling.upto());
        let rests = self.base.rests();
        if !self.all_partitions_shown() {
            return Ok(false);
        }
        let silent = match self.partitions.silent() {
            Some(silent) if silent.is_empty() || self.at_end || vouched || rests => silent,
            // Of a table nobody knows how many partitions it has.
            None if vouched => Vec::new(),
            _ => return Ok(false),
        };
        // Which partitions there are is still to be said.
        if !self.partitions.any() && !self.at_end && !vouched {
            return Ok(false);
        }
        let names = |partitions: Vec<Partition>| {
            partitions.iter().map(|p| format!("{}/{}", self.table_name(p.table), p.number)).collect()
        };
        let may_lack = self.options.snapshot_complete || self.options.allow_partial_base;
        if self.base.attempted() && !whole && !may_lack {
            return Err(AlignError::SnapshotBeheaded { partitions: names(beheaded) });
        }
        let Some(base) = self.base.decide(&self.options, silent.is_empty() || rests, whole) else {
            return Err(AlignError::SnapshotNotProven { partitions: names(silent) });
        };
        let (lsn, partial) = base?;
        if let Some(until) = self.options.until.filter(|until| *until < lsn) {
            return Err(AlignError::UntilBeforeBase { until, base: lsn });
        }
        let closing = self.base.publish(lsn, partial);
        self.report.base = Some(lsn);
        self.report.partial_base = partial;
        out.push((closing, self.time(lsn).max(HYDRATION_END)));
        for Pending { end, .. } in self.pending.take_to(lsn) {
            self.forget_end(end.txid, end.lsn);
            self.known(end.txid, end.lsn, true, out);
        }
        Ok(true)
    }

    /// Whether the partitions that are known are all there were when the snapshot ended, where the source looks that up: a
    /// look-up that was made behind the first change of each of them has been answered.
    fn all_partitions_shown(&mut self) -> bool {
        if !self.options.looks_up || self.at_end {
            return true;
        }
        let all_stream = self.partitions.silent().is_some_and(|silent| silent.is_empty()) && self.partitions.any();
        if !all_stream {
            self.streamed_at = None;
            return true;
        }
        let asked = *self.streamed_at.get_or_insert(self.looked_up.asked_last());
        self.looked_up.known_last() > asked
    }

    fn forget_end(&mut self, txid: u64, end: Lsn) {
        if let Some(ends) = self.ends.get_mut(&txid) {
            ends.retain(|other| *other != end);
            if ends.is_empty() {
                self.ends.remove(&txid);
            }
        }
    }

    fn close_first(&mut self, by: ClosedBy, out: &mut Vec<(Closing, Time)>) {
        let Some(Pending { end: ended, groups, .. }) = self.pending.pop_first() else { return };
        let end = ended.lsn;
        let mut truncated = 0;
        for previous in groups {
            truncated |= self.groups.forget(ended.txid, previous);
        }
        self.forget_end(ended.txid, end);
        self.closed = end;
        match by {
            ClosedBy::Settled => self.report.settled += 1,
            ClosedBy::Counts => self.report.closed_by_counts += 1,
            ClosedBy::Progress => self.report.closed_by_progress += 1,
        }
        let repairs = self.repairs_until_ms.is_some();
        self.repairs_until_ms = self.repairs_until_ms.filter(|until| ended.commit_ms <= *until);
        let closing = Closing::Transaction { txid: ended.txid, end, truncated, commit_ms: ended.commit_ms, repairs };
        out.push((closing, self.time(end)));
    }

    fn table_name(&self, table: u16) -> &str {
        self.tables.get(usize::from(table)).map_or("?", String::as_str)
    }

    /// Whether everything up to the position asked for has closed.
    pub(crate) fn until_reached(&self) -> bool {
        self.until_reached
    }
}
