//! Up to which END everything was read, where the ends of partitions can be looked up.
//!
//! ```text
//!   END 110 read     Asked 1: the ends are looked up      Reached 1, by every worker
//!   ──┬──────────────────────┬──────────────────────────────────┬──────>
//!     └ what was written before END 110 stands before those ends ┘ and was read
//! ```
//!
//! Rows that a connector wrote before it was restarted stand before any END of its next run: so there is no sign of a restart
//! left to be read for the ENDs that were known when the ends were looked up.

use crate::time::Lsn;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Ends {
    /// The greatest END that was read when the ends were looked up, by the number of the look-up.
    asked: BTreeMap<u64, Lsn>,
    /// The last look-up whose ends each worker has come to.
    workers: BTreeMap<usize, u64>,
    upto: Option<Lsn>,
    asked_last: u64,
    /// The last look-up that has told which partitions there are, and up to which END that was asked for.
    known_last: u64,
    known_upto: Option<Lsn>,
}

impl Ends {
    /// Ends are looked up; to be called when the worker that reads ENDs has come to there, at which `greatest` is known.
    pub(super) fn asked(&mut self, look_up: u64, greatest: Lsn) {
        self.asked.insert(look_up, greatest);
        self.know();
    }

    /// Which partitions there were at a look-up is known.
    pub(super) fn knows(&mut self, look_up: u64) {
        self.known_last = self.known_last.max(look_up);
        self.know();
    }

    fn know(&mut self) {
        let known = self.asked.range(..=self.known_last).map(|(_, greatest)| *greatest);
        self.known_upto = known.max().max(self.known_upto);
    }

    /// A worker, whichever, has come to where ends are looked up.
    pub(super) fn saw(&mut self, look_up: u64) {
        self.asked_last = self.asked_last.max(look_up);
    }

    /// A worker, of so many, has read all up to the ends of a look-up. True if all have.
    pub(super) fn reached(&mut self, worker: usize, of: usize, look_up: u64) -> bool {
        self.workers.insert(worker, look_up);
        if self.workers.len() < of {
            return false;
        }
        let least = self.workers.values().min().copied().unwrap_or_default();
        let open = self.asked.split_off(&(least + 1));
        let reached = std::mem::replace(&mut self.asked, open);
        self.upto = reached.into_values().max().max(self.upto);
        least == look_up
    }

    /// The last look-up that began, of those that any worker has come to.
    pub(super) fn asked_last(&self) -> u64 {
        self.asked_last
    }

    /// The last one that has told which partitions there are.
    pub(super) fn known_last(&self) -> u64 {
        self.known_last
    }

    /// Up to which END it is known which partitions may hold rows.
    pub(super) fn known_upto(&self) -> Option<Lsn> {
        self.known_upto
    }

    /// Up to which END everything was read; `None` where ends are not looked up, or not reached yet.
    pub(super) fn upto(&self) -> Option<Lsn> {
        self.upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_covered_when_every_worker_has_read_up_to_what_was_looked_up_behind_it() {
        let mut ends = Ends::default();
        ends.asked(1, Lsn(110));
        assert!(!ends.reached(0, 2, 1));
        assert_eq!(ends.upto(), None);
        ends.asked(2, Lsn(140));
        assert!(!ends.reached(0, 2, 2), "the other is not there yet");
        assert!(ends.reached(1, 2, 1));
        assert_eq!(ends.upto(), Some(Lsn(110)));
        assert!(ends.reached(1, 2, 2));
        assert_eq!(ends.upto(), Some(Lsn(140)));
    }
}
