//! Which ENDs of a followed log have been there for a while.
//!
//! ```text
//!   all read, END 110     all read, END 140          all read: settled up to 110
//!   ──┬───────────────────────┬───────────────────────────┬──────> milliseconds
//!     └────────────── settle_ms at least ─────────────────┘
//! ```
//!
//! A log that grows has no end, and may never be still. But it is at its end again and again: then all there is was read.
//! An END that was known at one such moment, and is still not proven at another one, `settle_ms` later, has had all that
//! time for rows, and for signs of a restart, to come. While a log is far behind its writer there is no such moment.

use crate::time::Lsn;
use std::collections::{BTreeSet, VecDeque};

#[derive(Default)]
pub(super) struct Settling {
    /// The workers that have read up to the byte `at`.
    workers: BTreeSet<usize>,
    at: u64,
    /// The moments when all was read, and the greatest END then: the last one that is old enough, and those after it.
    moments: VecDeque<(u64, Lsn)>,
    upto: Option<Lsn>,
}

impl Settling {
    /// Takes note that a worker has read all up to the byte `at`. What it read before is known by now; once that holds for
    /// all workers, it is a moment when all was read. True if it is, and something is settled.
    pub(super) fn note(&mut self, worker: usize, of: usize, at: u64, ms: u64, greatest: Lsn, settle_ms: u64) -> bool {
        if at < self.at {
            return false;
        }
        if at > self.at {
            self.at = at;
            self.workers.clear();
        }
        self.workers.insert(worker);
        if self.workers.len() < of {
            return false;
        }
        self.workers.clear();
        self.moments.push_back((ms, greatest));
        let old_enough = |moment: &(u64, Lsn)| moment.0.saturating_add(settle_ms) <= ms;
        while self.moments.get(1).is_some_and(old_enough) {
            self.moments.pop_front();
        }
        let settled = self.moments.front().copied().filter(old_enough).map(|(_, end)| end);
        self.upto = settled.max(self.upto);
        self.upto.is_some()
    }

    /// The ENDs up to this one are settled; `None` if there was no such moment yet.
    pub(super) fn upto(&self) -> Option<Lsn> {
        self.upto
    }
}
