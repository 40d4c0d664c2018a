//! What a run has to say of itself when it ends.

use crate::align::OpenTransaction;
use crate::source::Location;
use crate::time::Lsn;
use std::time::Duration;

/// The outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The documents equal the query at this LSN; `None` if nothing was shown.
    pub exact_at: Option<Lsn>,
    /// The LSN of the initial snapshot; zero if it was empty.
    pub base: Option<Lsn>,
    /// Rows from before the log are missing, by permission.
    pub partial_base: bool,
    /// Transactions closed because all their rows were counted.
    pub closed_by_counts: u64,
    /// Transactions closed because every partition had gone past them.
    pub closed_by_progress: u64,
    /// Transactions whose END was read and that did not close.
    pub open: Vec<OpenTransaction>,
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
    /// Records that could not be used and were written to the dead letters.
    pub bad: u64,
    /// Keys whose rows are not exact.
    pub inexact: Vec<Inexact>,
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
        self.closed_by_counts + self.closed_by_progress
    }
}

/// A key whose row may differ from Postgres's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inexact {
    /// The table, as `schema.table`, if it is known.
    pub table: Option<String>,
    /// The record's key as it stands there, if it could be read.
    pub key: Option<String>,
    /// The row is exact up to and with this END.
    pub after: Lsn,
    /// The record that could not be used; `None` where a value was omitted and is nowhere to be found.
    pub location: Option<Location>,
}
