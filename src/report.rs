//! What a run has to say of itself when it ends.

use crate::align::OpenTransaction;
use crate::source::Location;
use crate::time::Lsn;
use std::fmt;
use std::time::Duration;

/// The outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The documents equal the query at this LSN; `None` if nothing was shown.
    pub exact_at: Option<Lsn>,
    /// The time of the last row, where rows stand for themselves ([`Alignment::None`](crate::Alignment::None)): nothing is
    /// then said to be exact.
    pub unaligned_at: Option<Lsn>,
    /// The LSN of the initial snapshot; zero if it was empty.
    pub base: Option<Lsn>,
    /// Rows from before the log are missing, by permission.
    pub partial_base: bool,
    /// Transactions closed because all their rows were counted.
    pub closed_by_counts: u64,
    /// Transactions closed because every partition had gone past them.
    pub closed_by_progress: u64,
    /// Transactions of a followed log that closed because all their rows were counted and they had been there for a
    /// while. That the counts are right was not proven: a connector that was restarted inside one may have counted less.
    pub settled: u64,
    /// Transactions whose END was read and that did not close.
    pub open: Vec<OpenTransaction>,
    /// Transactions of which rows were read and no END, by id.
    pub unended: Vec<u64>,
    /// The sink held everything up to this LSN from an earlier run, and was given nothing of it; `None` if it was empty.
    /// Where it is above `exact_at`, the log ends before what the sink holds, and the sink is as it was.
    pub resumed_at: Option<Lsn>,
    /// Changes of documents that the sink was given: zero if it held everything.
    pub touched: u64,
    /// The sink held everything that the log shows before the run began, and was not touched.
    pub nothing_new: bool,
    /// Records read.
    pub records: u64,
    /// Rows that had been delivered before and changed nothing.
    pub redelivered: u64,
    /// Rows of a torn transaction: they came after it had closed.
    pub late: u64,
    /// Rows of incremental snapshots that a connector delivered behind where it had been before it was restarted, and whose
    /// partition did not get back there: they may be out of date and repaired nothing.
    pub unapplied: u64,
    /// Records that could not be used and were written to the dead letters.
    pub bad: u64,
    /// Bytes of rows that waited on disk, since they did not fit the memory budget.
    pub spilled_bytes: u64,
    /// Keys whose rows are not exact: at most 10,000, the first by table and key, in the order of their LSNs.
    pub inexact: Vec<Inexact>,
    /// How many were told besides those in `inexact`.
    pub inexact_more: u64,
    /// The log stops inside a line or a compressed frame.
    pub cut: bool,
    /// The run was asked to stop before the log ended.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Transactions closed.
    pub fn transactions(&self) -> u64 {
        self.closed_by_counts + self.closed_by_progress + self.settled
    }
}

/// A key whose row may differ from Postgres's. Ordered by table and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inexact {
    /// The table, as `schema.table`, if it is known.
    pub table: Option<String>,
    /// The record's key as it stands there, if it could be read.
    pub key: Option<String>,
    /// The row is exact up to and with this END.
    pub after: Lsn,
    /// Why.
    pub cause: InexactCause,
}

/// Why a key is not exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum InexactCause {
    /// The record there could not be used.
    BadRecord(Location),
    /// A value that Postgres left out, since it had not changed, was never seen.
    ValueNeverSeen,
    /// A row came after its transaction had closed without it, and no transaction closed since.
    LateRow,
}

impl fmt::Display for InexactCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InexactCause::BadRecord(location) => write!(f, "{location}"),
            InexactCause::ValueNeverSeen => f.write_str("a value that Postgres left out was never seen"),
            InexactCause::LateRow => f.write_str("a row came after its transaction had closed and was never applied"),
        }
    }
}
