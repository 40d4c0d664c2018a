//! What goes to disk when there is no room, the largest first, and what is said when that fails.

use super::Held;
use crate::error::Error;
use crate::source::catalog::Partition;
use crate::spill::SpillError;
use crate::time::Lsn;
use dataflows::Row;

/// One of the lists that a holder has.
#[derive(Clone, Copy)]
enum List {
    Open(u64),
    Initial(Lsn),
    Incremental,
    Blocking,
    Late,
    Gone(Partition),
}

impl<R: Row> Held<R> {
    /// Gives way, if there is too much in memory. If the disk does not take it the run ends; nothing is lost by that.
    pub(super) fn shrink(&mut self) {
        if !self.share.is_over() || self.disk_failed {
            return;
        }
        let mut lists = self.lists();
        lists.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (_, list) in lists {
            if self.share.is_small() {
                break;
            }
            if let Err(error) = self.spill(list) {
                self.disk_failed = true;
                let error = self.error(self.name(list), error);
                return self.status.status.fail(error);
            }
        }
        self.share.is_over();
    }

    /// What has something in memory, and how much.
    fn lists(&self) -> Vec<(u64, List)> {
        let mut lists = vec![
            (self.incremental.bytes(), List::Incremental),
            (self.blocking.bytes(), List::Blocking),
            (self.late.bytes(), List::Late),
        ];
        lists.extend(self.open.iter().map(|(txid, rows)| (rows.bytes(), List::Open(*txid))));
        lists.extend(self.initial.iter().map(|(lsn, rows)| (rows.bytes(), List::Initial(*lsn))));
        lists.extend(self.gone.iter().map(|(partition, gone)| (gone.bytes(), List::Gone(*partition))));
        lists.retain(|(bytes, _)| *bytes > 0);
        lists
    }

    fn spill(&mut self, list: List) -> Result<(), SpillError> {
        let (store, share) = (&mut self.store, &mut self.share);
        match list {
            List::Open(txid) => self.open.get_mut(&txid).map_or(Ok(()), |rows| rows.spill(store, share)),
            List::Initial(lsn) => self.initial.get_mut(&lsn).map_or(Ok(()), |rows| rows.spill(store, share)),
            List::Incremental => self.incremental.spill(store, share),
            List::Blocking => self.blocking.spill(store, share),
            List::Late => self.late.spill(store, share),
            List::Gone(partition) => self.gone.get_mut(&partition).map_or(Ok(()), |gone| gone.spill(store, share)),
        }
    }

    fn name(&self, list: List) -> String {
        match list {
            List::Open(txid) => format!("transaction {txid}"),
            List::Initial(lsn) => format!("the initial snapshot at LSN {lsn}"),
            List::Incremental => "incremental snapshots".to_owned(),
            List::Blocking => "blocking snapshots".to_owned(),
            List::Late => "transactions that closed without them".to_owned(),
            List::Gone(partition) => {
                let end = self.gone.get(&partition).map_or(Lsn(0), |gone| gone.end);
                format!("the transaction that ended at LSN {end}")
            }
        }
    }

    /// Rows do not come back from the disk. Nothing may be shown that lacks them, so no worker goes on.
    pub(super) fn lost(&mut self, rows_of: String, error: SpillError) {
        self.disk_failed = true;
        let error = self.error(rows_of, error);
        self.status.status.break_off_with(error);
    }

    fn error(&self, rows_of: String, error: SpillError) -> Error {
        Error::Spill { table: self.status.table().to_owned(), rows_of, error }
    }
}
