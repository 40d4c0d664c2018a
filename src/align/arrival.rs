//! Without transactions: each row closes by itself, in the order in which rows arrive here.
//!
//! ```text
//!   row of LSN 100   ->  time 100
//!   row of LSN 100   ->  time 101      max(time before + 1, LSN): times rise, whatever LSNs do
//!   row of LSN  90   ->  time 102
//!   row of LSN 300   ->  time 300
//! ```
//!
//! To all that follows a row is a transaction of its own, so that nothing behind the aligner knows the difference.

use super::{Aligner, Closing};
use crate::source::catalog::Partition;
use crate::time::{HYDRATION_END, Lsn, Time};

impl Aligner {
    /// There is nothing that a snapshot would have to be complete for: its rows arrive as others do.
    pub(super) fn begin(&mut self, out: &mut Vec<(Closing, Time)>) {
        if self.base.published().is_none() {
            let closing = self.base.publish(Lsn(0), false);
            self.report.base = Some(Lsn(0));
            out.push((closing, self.time(Lsn(0)).max(HYDRATION_END)));
        }
    }

    /// Closes a row of `partition` that is held as the transaction `txid`.
    pub(super) fn arrive(
        &mut self,
        partition: Partition,
        txid: u64,
        lsn: Lsn,
        truncate: bool,
        out: &mut Vec<(Closing, Time)>,
    ) {
        self.begin(out);
        // A row without an LSN may be the first of all; below the first times nothing closes.
        let end = lsn.max(Lsn(self.closed.0 + 1)).max(Lsn::of_time(HYDRATION_END + 1));
        // Times rise: whatever comes behind is later too.
        self.until_reached |= self.options.until.is_some_and(|until| end > until);
        if self.until_reached {
            return;
        }
        self.closed = end;
        let truncated = if truncate { 1 << (partition.table % 64) } else { 0 };
        out.push((Closing::Transaction { txid, end, truncated, commit_ms: 0, repairs: false }, self.time(end)));
    }
}
