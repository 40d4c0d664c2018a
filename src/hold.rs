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
//! A row of a closed transaction changes nothing if its partition had already shown progress past that END or was added
//! to its topic since (`Closed::has_all_of`), or if the same (key, LSN, op) was let go with the transaction. Otherwise it is
//! *late*: the transaction was torn. It is counted and let go at the next closing. Only a truncate can have touched its key
//! in between: any other change of the key stands behind it in its own partition.
//!
//! # Memory
//! What waits has a budget, of all holders together. Past it whatever is largest goes to disk (`shrink`), and comes back in
//! pieces when its closing comes (`going`). While a closing has not let go all of its rows, the reader of the worker takes no
//! more, so that what a row finds here is always the state between two closings.

mod closed;
mod going;
mod gone;
mod pace;
mod release;
mod rows;
mod shrink;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use closed::Ticket;
pub(crate) use pace::Pace;
pub(crate) use release::release;

use crate::envelope::{Body, Op, Origin, TypedRows};
use crate::mutant::Mutant;
use crate::source::catalog::Partition;
use crate::spill::{Share, Spill, SpillError, Store};
use crate::status::{Counters, TableStatus};
use crate::time::Lsn;
use crate::txid::ByTxid;
use closed::{Closed, Verdict};
use dataflows::Row;
use dataflows::operators::Keys;
use going::Going;
use gone::Gone;
use pace::Turn;
use rows::{Loaded, Snapshotted, Streamed};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use waiting::{Wait, Waiting};

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

impl<R: Row> Change<R> {
    /// What it has in memory, but for the other key of a key change.
    pub(crate) fn bytes(&self) -> usize {
        let heap = match self {
            Change::Row { key, body: Body::Put { row, .. }, .. }
            | Change::Incremental { key, row, .. }
            | Change::Repair { key, row, .. } => R::key_heap_bytes(key) + row.heap_bytes(),
            Change::Row { key, .. } => R::key_heap_bytes(key),
            Change::Truncate { .. } | Change::Due { .. } => 0,
        };
        size_of::<Change<R>>() + heap
    }
}

/// What a table's held rows are to code that does not know their type.
pub(crate) trait Hold {
    /// Takes the rows of a chunk; one ticket each, in order. All tickets are taken.
    fn accept(&mut self, rows: Box<dyn Any + Send>, tickets: &mut Vec<Ticket>);

    /// Whether a closing has not let go all of its rows: then nothing may be accepted.
    fn is_letting_go(&self) -> bool;
}

/// The rows of one table that one worker holds.
pub(crate) struct Held<R: Row> {
    table: usize,
    closed: Closed,
    status: TableStatus,
    counters: Arc<Counters>,
    repair_delay_ms: i64,
    /// By transaction id; rows of its next life may be among them and are told apart by their LSN.
    open: ByTxid<Waiting<Streamed<R>>>,
    initial: BTreeMap<Lsn, Waiting<Loaded<R>>>,
    incremental: Waiting<Snapshotted<R>>,
    /// Rows of incremental snapshots that a run delivered after it had resumed, until their partition is back where it was.
    rewound: HashMap<Partition, Rewound<R>>,
    blocking: Waiting<Snapshotted<R>>,
    late: Waiting<Streamed<R>>,
    /// Of each partition, what was let go at an END that the partition has not shown to have passed: rows of one
    /// transaction at most, since any later row shows it.
    gone: HashMap<Partition, Gone<R>, Keys>,
    /// What the closing that was taken note of last has yet to let go.
    going: Option<Box<Going<R>>>,
    /// Closings that come behind it have not been taken note of.
    closings_wait: bool,
    turn: Turn,
    share: Share,
    store: Store,
    /// The disk has failed: the run ends, and nothing more is written.
    disk_failed: bool,
}

/// Rows of an incremental snapshot that were read before changes that their partition has shown already. A connector that
/// resumes delivers all changes again that come behind such a row: if the row's key is among them, it is out of date.
struct Rewound<R: Row> {
    /// The greatest previous END that the partition had shown.
    until: Lsn,
    rows: HashMap<R::Key, Snapshotted<R>>,
}

impl<R: Row> Held<R> {
    /// The rows of the table with the index `table`, on the worker `worker`.
    pub(crate) fn new(
        table: usize,
        worker: usize,
        status: TableStatus,
        repair_delay_ms: i64,
        spill: &Arc<Spill>,
        pace: &Arc<Pace>,
    ) -> Held<R> {
        Held {
            table,
            closed: Closed::default(),
            counters: Arc::clone(&status.status.counters),
            repair_delay_ms,
            open: ByTxid::default(),
            initial: BTreeMap::new(),
            incremental: Waiting::default(),
            rewound: HashMap::new(),
            blocking: Waiting::default(),
            late: Waiting::default(),
            gone: HashMap::default(),
            going: None,
            closings_wait: false,
            turn: pace.turn(),
            share: spill.share(),
            store: spill.store(format!("table-{table}-worker-{worker}")),
            disk_failed: false,
            status,
        }
    }

    fn stream(
        &mut self,
        ticket: &Ticket,
        (txid, lsn): (u64, Lsn),
        previous: Lsn,
        key: Option<R::Key>,
        body: Body<R>,
    ) -> Result<(), SpillError> {
        let rank = Rank { lsn, op: ticket.op, offset: ticket.offset };
        let row = Streamed { partition: ticket.partition, key, rank, previous, body };
        match self.closed.verdict(txid, lsn) {
            Verdict::Open => {
                let waiting = self.open.entry(txid).or_default();
                if Mutant::SameLsnAsRedelivery.lives() && waiting.rows().iter().any(|other| other.rank.lsn == lsn) {
                    return Ok(());
                }
                waiting.push(row, &mut self.share);
            }
            Verdict::InBase => self.counters.redelivered(1),
            Verdict::Closed(end) if self.closed.has_all_of(ticket.partition, end) => self.counters.redelivered(1),
            Verdict::Closed(end) => self.judge(row, end)?,
        }
        Ok(())
    }

    /// A row of a transaction that closed at `end`, which its partition has not shown to have passed.
    fn judge(&mut self, row: Streamed<R>, end: Lsn) -> Result<(), SpillError> {
        let gone = self.gone.get_mut(&row.partition).filter(|gone| gone.end == end);
        let key = row.key.as_ref();
        let known = gone.map(|gone| gone.holds(row.rank.lsn, row.rank.op, key, &mut self.store)).transpose()?;
        if known == Some(true) {
            self.counters.redelivered(1);
        } else {
            self.counters.late(1);
            if !Mutant::DropLateRow.lives() {
                self.late.push(row, &mut self.share);
            }
        }
        Ok(())
    }

    fn rewind(&mut self, partition: Partition, until: Lsn, row: Snapshotted<R>) {
        let rewound = self.rewound.entry(partition).or_insert_with(|| Rewound { until, rows: HashMap::new() });
        rewound.until = until;
        self.share.add(row.bytes());
        if let Some(older) = rewound.rows.insert(row.key.clone(), row) {
            self.share.remove(older.bytes());
        }
    }

    /// Takes note of a change for the rows that a run delivered after it had resumed.
    fn deliver_again(&mut self, partition: Partition, previous: Lsn, key: Option<&R::Key>) {
        let Some(rewound) = self.rewound.get_mut(&partition) else { return };
        let back = previous > rewound.until;
        let out_of_date: Vec<Snapshotted<R>> = match key {
            _ if back => Vec::new(),
            Some(key) => rewound.rows.remove(key).into_iter().collect(),
            None => rewound.rows.drain().map(|(_, row)| row).collect(),
        };
        out_of_date.iter().for_each(|row| self.share.remove(row.bytes()));
        if back {
            let rows = self.rewound.remove(&partition).map(|rewound| rewound.rows).unwrap_or_default();
            for row in rows.into_values() {
                self.share.remove(row.bytes());
                self.incremental.push(row, &mut self.share);
            }
        }
    }

    fn take_in(&mut self, key: Option<R::Key>, body: Body<R>, ticket: &Ticket) -> Result<(), SpillError> {
        if ticket.again {
            self.counters.redelivered(1);
            return Ok(());
        }
        self.closed.show(ticket);
        if let Origin::Stream { txid, lsn, previous, .. } = ticket.origin {
            self.deliver_again(ticket.partition, previous, key.as_ref());
            return self.stream(ticket, (txid, lsn), previous, key, body);
        }
        let (Some(key), Body::Put { row, .. }) = (key, body) else { return Ok(()) };
        let offset = ticket.offset;
        match ticket.origin {
            Origin::Initial { lsn, .. } => match self.closed.base() {
                None => self.initial.entry(lsn).or_default().push(Loaded { key, offset, row }, &mut self.share),
                Some(_) => self.counters.redelivered(1),
            },
            Origin::Incremental { previous } => {
                let row = Snapshotted { previous, key, offset, row, ts_ms: 0 };
                if self.rewound.get(&ticket.partition).is_some_and(|rewound| previous > rewound.until) {
                    self.deliver_again(ticket.partition, previous, None);
                }
                let until = self.closed.overtakes(ticket);
                if previous < until {
                    self.rewind(ticket.partition, until, row);
                } else {
                    self.incremental.push(row, &mut self.share);
                }
            }
            Origin::Blocking { previous, ts_ms } => {
                self.blocking.push(Snapshotted { previous, key, offset, row, ts_ms }, &mut self.share);
            }
            // The reader has made a transaction of its own of what arrives by itself.
            Origin::Stream { .. } | Origin::Arrival { .. } => {}
        }
        Ok(())
    }
}

impl<R: Row> Hold for Held<R> {
    fn accept(&mut self, rows: Box<dyn Any + Send>, tickets: &mut Vec<Ticket>) {
        let rows = rows.downcast::<TypedRows<R>>().expect("the buffer is of this table's type");
        let mut rows = rows.0.into_iter().zip(tickets.drain(..));
        if let Err(error) = rows.try_for_each(|((key, body), ticket)| self.take_in(key, body, &ticket)) {
            return self.lost("transactions that have closed".to_owned(), error);
        }
        self.shrink();
    }

    fn is_letting_go(&self) -> bool {
        self.going.is_some() || self.closings_wait
    }
}
