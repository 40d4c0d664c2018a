//! Rows wait here until their time is known: at the worker that read them, by transaction.
//!
//! ```text
//!                     ┌ open: txid -> rows ────────┐
//!   rows of a chunk ──┤ initial snapshot's rows    ├──> changes, each at its time ──> owner of the key
//!   (with tickets)    │ incremental, blocking rows │                ^
//!                     └ late rows ─────────────────┘            closings
//! ```
//!
//! A worker tells the aligner of a row only after it holds it, and a closing lets the row go with the closing's own
//! capability. So when the frontier passes a time, every row of that time has reached its owner: timely itself proves it,
//! across threads and processes. (Were rows to wait at their owners, a closing could overtake them on its way there.)
//!
//! # Re-deliveries and late rows
//! A row of a closed transaction changes nothing if its partition had already shown progress past that END, or if the
//! same (key, LSN, op) was let go with the transaction. Otherwise it is *late*: the transaction was torn. It is counted
//! and let go at the next closing. Only a truncate can have touched its key in between: any other change of the key
//! stands behind it in its own partition.

mod closed;
mod release;

pub(crate) use closed::Ticket;
pub(crate) use release::release;

use crate::align::Closing;
use crate::envelope::{Body, Op, Origin, TypedRows};
use crate::source::catalog::Partition;
use crate::status::{Counters, TableStatus};
use crate::time::{Lsn, Time};
use closed::{Closed, Verdict};
use dataflows::Row;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The order of the changes of one key inside one time: by LSN, a delete before a create, then by offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Rank {
    pub(crate) lsn: Lsn,
    pub(crate) op: Op,
    pub(crate) offset: u64,
}

/// A change on its way to the owner of its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Change<R: Row> {
    /// What a record says of a key.
    Row { key: R::Key, rank: Rank, body: Body<R> },
    /// Every row of the table went; one for each worker.
    Truncate { worker: u64, rank: Rank },
    /// A row of an incremental snapshot: it has no LSN and ranks by its offset alone.
    Incremental { key: R::Key, offset: u64, row: R },
    /// A row of a blocking snapshot, which may repair what the stream has lost.
    Repair { key: R::Key, offset: u64, row: R, ts_ms: i64 },
    /// The stream is past this commit time; one for each worker.
    Due { worker: u64, commit_ms: i64 },
}

/// What a table's held rows are to code that does not know their type.
pub(crate) trait Hold {
    /// Takes the rows of a chunk; one ticket each, in order.
    fn accept(&mut self, rows: Box<dyn Any + Send>, tickets: Vec<Ticket>);
}

/// The rows of one table that one worker holds.
pub(crate) struct Held<R: Row> {
    table: usize,
    closed: Closed,
    status: TableStatus,
    counters: Arc<Counters>,
    repair_delay_ms: i64,
    /// By transaction id; rows of its next life may be among them and are told apart by their LSN.
    open: HashMap<u64, Vec<Streamed<R>>>,
    initial: BTreeMap<Lsn, Vec<(R::Key, u64, R)>>,
    incremental: Vec<Snapshotted<R>>,
    /// Rows of incremental snapshots that a run delivered after it had resumed, until their partition is back where it was.
    rewound: HashMap<Partition, Rewound<R>>,
    blocking: Vec<(Snapshotted<R>, i64)>,
    late: Vec<Streamed<R>>,
    /// Of each partition, what was let go at an END that the partition has not shown to have passed: rows of one
    /// transaction at most, since any later row shows it.
    gone: HashMap<Partition, (Lsn, Vec<Identity<R>>)>,
}

/// What tells a change from all others of its transaction.
type Identity<R> = (Option<<R as Row>::Key>, Lsn, Op);

struct Streamed<R: Row> {
    partition: Partition,
    key: Option<R::Key>,
    rank: Rank,
    /// The previous END.
    previous: Lsn,
    body: Body<R>,
}

struct Snapshotted<R: Row> {
    previous: Lsn,
    key: R::Key,
    offset: u64,
    row: R,
}

/// Rows of an incremental snapshot that were read before changes that their partition has shown already. A connector that
/// resumes delivers all changes again that come behind such a row: if the row's key is among them, it is out of date.
struct Rewound<R: Row> {
    /// The greatest previous END that the partition had shown.
    until: Lsn,
    rows: HashMap<R::Key, Snapshotted<R>>,
}

impl<R: Row> Held<R> {
    pub(crate) fn new(table: usize, status: TableStatus, repair_delay_ms: i64) -> Held<R> {
        Held {
            table,
            closed: Closed::default(),
            counters: Arc::clone(&status.status.counters),
            status,
            repair_delay_ms,
            open: HashMap::new(),
            initial: BTreeMap::new(),
            incremental: Vec::new(),
            rewound: HashMap::new(),
            blocking: Vec::new(),
            late: Vec::new(),
            gone: HashMap::new(),
        }
    }

    fn stream(&mut self, ticket: &Ticket, txid: u64, lsn: Lsn, previous: Lsn, key: Option<R::Key>, body: Body<R>) {
        let rank = Rank { lsn, op: ticket.op, offset: ticket.offset };
        let row = Streamed { partition: ticket.partition, key, rank, previous, body };
        match self.closed.verdict(txid, lsn) {
            Verdict::Open => self.open.entry(txid).or_default().push(row),
            Verdict::InBase => self.counters.redelivered(1),
            Verdict::Closed(end) => {
                if ticket.progress >= end || self.has_gone(&row, end) {
                    self.counters.redelivered(1);
                } else {
                    self.counters.late(1);
                    self.late.push(row);
                }
            }
        }
    }

    fn rewind(&mut self, partition: Partition, until: Lsn, row: Snapshotted<R>) {
        let rewound = self.rewound.entry(partition).or_insert_with(|| Rewound { until, rows: HashMap::new() });
        rewound.until = until;
        rewound.rows.insert(row.key.clone(), row);
    }

    /// Takes note of a change for the rows that a run delivered after it had resumed.
    fn deliver_again(&mut self, partition: Partition, previous: Lsn, key: Option<&R::Key>) {
        let Some(rewound) = self.rewound.get_mut(&partition) else { return };
        if previous > rewound.until {
            let rows = self.rewound.remove(&partition).map(|rewound| rewound.rows).unwrap_or_default();
            self.incremental.extend(rows.into_values());
        } else if let Some(key) = key {
            rewound.rows.remove(key);
        } else {
            rewound.rows.clear();
        }
    }

    fn has_gone(&self, row: &Streamed<R>, end: Lsn) -> bool {
        self.gone.get(&row.partition).is_some_and(|(gone, rows)| {
            *gone == end && rows.iter().any(|(key, lsn, op)| (key, *lsn, *op) == (&row.key, row.rank.lsn, row.rank.op))
        })
    }

    /// Lets rows go as `closing` says, at `time`.
    fn let_go(
        &mut self,
        closing: &Closing,
        time: Time,
        workers: usize,
        leader: bool,
        out: &mut Vec<(Change<R>, Time)>,
    ) {
        self.closed.note(closing, self.table);
        match *closing {
            Closing::Load { snapshot, reset } => self.load(Some(snapshot), reset && leader, time, workers, out),
            Closing::Base { snapshot, reset, .. } => self.load(snapshot, reset && leader, time, workers, out),
            Closing::Known { txid, end, in_base } => self.drop_known(txid, end, in_base),
            Closing::Transaction { txid, end, commit_ms, repairs, .. } => {
                self.let_late_go(end, time, workers, out);
                self.let_transaction_go(txid, end, time, workers, out);
                self.let_snapshots_go(end, time, out);
                if repairs && leader {
                    let due = |worker| {
                        (Change::Due { worker, commit_ms: commit_ms.saturating_sub(self.repair_delay_ms) }, time)
                    };
                    out.extend((0..workers as u64).map(due));
                }
            }
        }
    }

    fn load(
        &mut self,
        snapshot: Option<Lsn>,
        reset: bool,
        time: Time,
        workers: usize,
        out: &mut Vec<(Change<R>, Time)>,
    ) {
        if reset {
            let rank = Rank { lsn: Lsn(0), op: Op::Truncate, offset: 0 };
            out.extend((0..workers as u64).map(|worker| (Change::Truncate { worker, rank }, time)));
        }
        let Some(snapshot) = snapshot else { return };
        let later = self.initial.split_off(&Lsn(snapshot.0 + 1));
        let rows = std::mem::replace(&mut self.initial, later).remove(&snapshot);
        out.extend(rows.into_iter().flatten().map(|(key, offset, row)| {
            let rank = Rank { lsn: snapshot, op: Op::Read, offset };
            (Change::Row { key, rank, body: Body::Put { row, from: None } }, time)
        }));
    }

    fn drop_known(&mut self, txid: u64, end: Lsn, in_base: bool) {
        for row in self.take(txid, end) {
            let progress = self.closed.progress(row.partition);
            if in_base || progress >= end || self.has_gone(&row, end) {
                self.counters.redelivered(1);
            } else {
                self.counters.late(1);
                self.late.push(row);
            }
        }
    }

    /// The held rows of the transaction `txid` that ends at `end`.
    fn take(&mut self, txid: u64, end: Lsn) -> Vec<Streamed<R>> {
        let Some(mut rows) = self.open.remove(&txid) else { return Vec::new() };
        if rows.iter().any(|row| row.rank.lsn >= end) {
            let later = rows.extract_if(.., |row| row.rank.lsn >= end).collect();
            self.open.insert(txid, later);
        }
        rows
    }

    fn let_transaction_go(
        &mut self,
        txid: u64,
        end: Lsn,
        time: Time,
        workers: usize,
        out: &mut Vec<(Change<R>, Time)>,
    ) {
        let rows = self.take(txid, end);
        for row in &rows {
            if self.closed.progress(row.partition) < end {
                let gone = self.gone.entry(row.partition).or_default();
                if gone.0 != end {
                    *gone = (end, Vec::new());
                }
                gone.1.push((row.key.clone(), row.rank.lsn, row.rank.op));
            }
        }
        rows.into_iter().for_each(|row| emit(row, time, workers, out));
    }

    fn let_late_go(&mut self, end: Lsn, time: Time, workers: usize, out: &mut Vec<(Change<R>, Time)>) {
        let truncated = self.closed.truncated().filter(|truncated| *truncated < end);
        for mut row in std::mem::take(&mut self.late) {
            if truncated.is_none_or(|truncated| truncated <= row.previous) {
                // Before anything the closing's own transaction does to the key, and in the order of offsets.
                row.rank = Rank { lsn: Lsn(0), op: Op::Truncate, ..row.rank };
                emit(row, time, workers, out);
            }
        }
    }

    /// Nothing closes any more: what would have repaired its key at the next END is told instead.
    fn end(&mut self) {
        for row in self.late.drain(..) {
            let key = row.key.as_ref().map(|key| format!("{key:?}"));
            self.status.never_applied(key, row.previous);
        }
        let unapplied = self.rewound.drain().map(|(_, rewound)| rewound.rows.len() as u64).sum();
        self.counters.unapplied(unapplied);
    }

    /// Lets go the rows of snapshots in mid-stream that were written before `end`, unless their table was truncated since.
    fn let_snapshots_go(&mut self, end: Lsn, time: Time, out: &mut Vec<(Change<R>, Time)>) {
        let truncated = self.closed.truncated().unwrap_or_default();
        for row in self.incremental.extract_if(.., |row| row.previous < end) {
            if truncated <= row.previous {
                out.push((Change::Incremental { key: row.key, offset: row.offset, row: row.row }, time));
            }
        }
        for (row, ts_ms) in self.blocking.extract_if(.., |(row, _)| row.previous < end) {
            if truncated <= row.previous {
                out.push((Change::Repair { key: row.key, offset: row.offset, row: row.row, ts_ms }, time));
            }
        }
    }
}

/// A truncate concerns every worker; any other change the owner of its key.
fn emit<R: Row>(row: Streamed<R>, time: Time, workers: usize, out: &mut Vec<(Change<R>, Time)>) {
    let rank = row.rank;
    match row.key {
        Some(key) => out.push((Change::Row { key, rank, body: row.body }, time)),
        None => out.extend((0..workers as u64).map(|worker| (Change::Truncate { worker, rank }, time))),
    }
}

impl<R: Row> Hold for Held<R> {
    fn accept(&mut self, rows: Box<dyn Any + Send>, tickets: Vec<Ticket>) {
        let rows = rows.downcast::<TypedRows<R>>().expect("the buffer is of this table's type");
        for ((key, body), ticket) in rows.0.into_iter().zip(tickets) {
            if ticket.again {
                self.counters.redelivered(1);
                continue;
            }
            self.closed.show(ticket.partition, ticket.progress);
            if let Origin::Stream { txid, lsn, previous, .. } = ticket.origin {
                self.deliver_again(ticket.partition, previous, key.as_ref());
                self.stream(&ticket, txid, lsn, previous, key, body);
                continue;
            }
            let (Some(key), Body::Put { row, .. }) = (key, body) else { continue };
            let offset = ticket.offset;
            match ticket.origin {
                Origin::Initial { lsn, .. } => match self.closed.base() {
                    None => self.initial.entry(lsn).or_default().push((key, offset, row)),
                    Some(_) => self.counters.redelivered(1),
                },
                Origin::Incremental { previous } => {
                    let row = Snapshotted { previous, key, offset, row };
                    if previous < ticket.progress {
                        self.rewind(ticket.partition, ticket.progress, row);
                    } else {
                        self.incremental.push(row);
                    }
                }
                Origin::Blocking { previous, ts_ms } => {
                    self.blocking.push((Snapshotted { previous, key, offset, row }, ts_ms))
                }
                Origin::Stream { .. } => {}
            }
        }
    }
}
