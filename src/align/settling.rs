//! Which ENDs of an input that may always have more have been there for a while.
//!
//! ```text
//!   all read, END 110     all read, END 140          all read: settled up to 110
//!   ──┬───────────────────────┬───────────────────────────┬──────> milliseconds
//!     └────────────── settle_ms at least ─────────────────┘
//! ```
//!
//! A log that grows has no end, nor has a source of records, and may never be still. But it is at its end again and again:
//! then all there is was read.
//! An END that was known at one such moment, and is still not proven at another one, `settle_ms` later, has had all that
//! time for rows, and for signs of a restart, to come. While a log is far behind its writer there is no such moment.

use crate::time::Lsn;
use std::collections::{BTreeMap, VecDeque};

/// How many moments may wait for a worker that is behind.
const WAITING_MAX: usize = 64;

/// When all there was had been read: the byte that it ended at, and the milliseconds.
type Moment = (u64, u64);

#[derive(Default)]
pub(super) struct Settling {
    /// The last moment that each worker has come to.
    workers: BTreeMap<usize, Moment>,
    /// Moments that some workers have not come to, and the greatest END that was known when the first one did.
    waiting: VecDeque<(Moment, Lsn)>,
    /// The milliseconds of those that all workers have come to: the last one that is old enough, and those after it.
    passed: VecDeque<(u64, Lsn)>,
    upto: Option<Lsn>,
}

impl Settling {
    /// Takes note that a worker has read all up to the byte `at`, where the input ended at `ms`. What it read before is
    /// known by now; once that holds for all workers, it is a moment when all was read. True if something is settled since.
    pub(super) fn note(&mut self, worker: usize, of: usize, at: u64, ms: u64, greatest: Lsn, settle_ms: u64) -> bool {
        let moment = (at, ms);
        if self.waiting.back().is_none_or(|(last, _)| *last < moment)
            && self.workers.values().all(|reached| *reached < moment)
            && self.waiting.len() < WAITING_MAX
        {
            self.waiting.push_back((moment, greatest));
        }
        self.workers.insert(worker, moment);
        if self.workers.len() < of {
            return false;
        }
        let least = self.workers.values().min().copied().unwrap_or_default();
        let mut come = false;
        while let Some(&((_, ms), end)) = self.waiting.front().filter(|(moment, _)| *moment <= least) {
            self.waiting.pop_front();
            self.passed.push_back((ms, end));
            come = true;
        }
        let Some(&(now, _)) = self.passed.back().filter(|_| come) else { return false };
        let old_enough = |moment: &(u64, Lsn)| moment.0.saturating_add(settle_ms) <= now;
        while self.passed.get(1).is_some_and(old_enough) {
            self.passed.pop_front();
        }
        let settled = self.passed.front().copied().filter(old_enough).map(|(_, end)| end);
        self.upto = settled.max(self.upto);
        self.upto.is_some()
    }

    /// The ENDs up to this one are settled; `None` if there was no such moment yet.
    pub(super) fn upto(&self) -> Option<Lsn> {
        self.upto
    }
}
