//! A hand on a run, from any thread: to stop it, to see how far it is, and to wait until it is there.

use crate::error::Error;
use crate::report::Report;
use crate::sink::Ack;
use crate::status::Status;
use crate::time::{Epoch, Lsn};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Stops a run, tells how far it is, and waits for it, from any thread.
#[derive(Clone)]
pub struct RunHandle {
    status: Arc<Status>,
    bytes: Option<u64>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Records read.
    pub records: u64,
    /// The share of the log that was read, from 0 to 1, if its size is known.
    pub share: Option<f64>,
    /// Transactions that wait to close.
    pub open_transactions: usize,
    /// Transactions closed.
    pub transactions: u64,
    /// Of those, how many closed without a proof: see [`Report::settled`].
    pub settled: u64,
    /// Documents that stand.
    pub documents: u64,
    /// What the run has read is exact at this LSN.
    pub exact_at: Option<Lsn>,
    /// The time of the last row, where rows stand for themselves: see [`Report::unaligned_at`].
    pub unaligned_at: Option<Lsn>,
    /// The sink holds everything up to this LSN from an earlier run: until `exact_at` is there, the sink stays as it is.
    pub held: Option<Lsn>,
}

/// A run ended before it reached what was waited for; its result says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run ended before LSN {lsn}{}", .reached.map_or_else(String::new, |reached| format!(", at LSN {reached}")))]
pub struct NotReached {
    /// What was waited for.
    pub lsn: Lsn,
    /// How far the run came; `None` if it showed nothing.
    pub reached: Option<Lsn>,
}

impl RunHandle {
    pub(crate) fn new(status: Arc<Status>, bytes: Option<u64>) -> RunHandle {
        RunHandle { status, bytes }
    }

    /// Asks the run to end at a transaction boundary.
    pub fn stop(&self) {
        self.status.interrupt();
    }

    /// What the source waits for, if it gives nothing for the moment: brokers that are away, topics that are missing.
    pub fn waits_for(&self) -> Option<String> {
        self.status.waits_for()
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        let align = self.status.align();
        let read = self.status.counters.bytes_read() as f64;
        Progress {
            records: self.status.counters.records_read(),
            share: self.bytes.filter(|bytes| *bytes > 0).map(|bytes| read / bytes as f64),
            open_transactions: align.pending,
            transactions: align.closed(),
            settled: align.settled,
            documents: self.status.counters.documents(),
            exact_at: align.exact_at(),
            unaligned_at: align.unaligned_at(),
            held: self.status.held(),
        }
    }

    /// Waits until the sink has taken every change up to and with `lsn`, the END of a transaction: what
    /// `pg_current_wal_lsn()` says right after a commit is at or behind its END, and is reached with the first transaction
    /// that ends there or later. Not to be called by the run's own sink, which it would wait for.
    ///
    /// # Errors
    /// The run ended before.
    pub fn wait_for(&self, lsn: Lsn) -> Result<(), NotReached> {
        self.wait(lsn, Ack::Accepted, None).map(drop)
    }

    /// As [`RunHandle::wait_for`], but no longer than `timeout`: false if it was not reached by then.
    ///
    /// # Errors
    /// The run ended before.
    pub fn wait_for_timeout(&self, lsn: Lsn, timeout: Duration) -> Result<bool, NotReached> {
        self.wait(lsn, Ack::Accepted, Instant::now().checked_add(timeout))
    }

    /// As [`RunHandle::wait_for`], until the sink has said that it is [`Ack::Durable`]. A sink that promises nothing, as
    /// one that prints, says so only when the run ends.
    ///
    /// # Errors
    /// The run ended before.
    pub fn wait_until_durable(&self, lsn: Lsn) -> Result<(), NotReached> {
        self.wait(lsn, Ack::Durable, None).map(drop)
    }

    fn wait(&self, lsn: Lsn, ack: Ack, deadline: Option<Instant>) -> Result<bool, NotReached> {
        let reached = self.status.given.wait(lsn.time(Epoch::default()), ack, deadline);
        reached.map_err(|frontier| NotReached { lsn, reached: frontier.checked_sub(1).map(Lsn::of_time) })
    }
}

/// A run on a thread of its own, and the hand on it. Dropping it lets the run go on.
pub struct Run<S> {
    handle: RunHandle,
    thread: JoinHandle<(Result<Report, Error>, S)>,
}

impl<S> Run<S> {
    pub(super) fn new(handle: RunHandle, thread: JoinHandle<(Result<Report, Error>, S)>) -> Run<S> {
        Run { handle, thread }
    }

    /// Whether the run has ended: then [`Run::join`] does not wait.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the run to end, and gives its outcome and the sink. A panic of the sink goes on here.
    pub fn join(self) -> (Result<Report, Error>, S) {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle").field("progress", &self.progress()).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Run<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl<S> Deref for Run<S> {
    type Target = RunHandle;

    fn deref(&self) -> &RunHandle {
        &self.handle
    }
}
