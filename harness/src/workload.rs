//! A model of Postgres: what is committed, when, and where it lies in the WAL.
//!
//! ```text
//!        earlier                      commits
//!  ┌──────────────────┐  L0  ┌──────────────────────────────┐
//!  T1 .. Tk            │      Tk+1 ..                     Tn
//!  initial ──apply──> base = what the snapshot reads at L0
//!
//!  session 1   ──r──r───────r──C1                  WAL order: r r s r s C1 t s C2 t C3
//!  session 2   ─────────s────s──────s──C2          commit order: C1 C2 C3, by their END
//!  session 3   ────────────────────t──────t──C3    txid order: by first row
//! ```
//!
//! Contents are drawn serially, in commit order; then [`schedule`] lays the rows of up to three overlapping transactions into one
//! WAL. That is sound because a row is never placed before the end of a transaction it would have had to wait for: one that
//! changed the same key, or truncated the table.
//!
//! # Notes
//! - A row's LSN is the start of its WAL record, END's is the end of the commit record. So the first row often *equals* the
//!   previous END, and rows of one COPY (one record) share an LSN.
//! - `initial` is the state before `earlier`; the tables at L0 are `initial` with all of `earlier` applied.

mod generate;
mod kinds;
mod options;
mod rows;
mod schedule;
mod transaction;
mod values;

use std::collections::BTreeSet;

pub use options::{Weights, WorkloadOptions};
pub use rows::{Cell, Column, ColumnType, Row, SharedRow, Table, Tables};
pub use values::TOAST_LENGTH;
pub(crate) use values::{uuid_text, zoned_text};

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeOp {
    /// A new row.
    Insert,
    /// A row keeps its key.
    Update,
    /// A row goes.
    Delete,
    /// An update that gives the row another primary key.
    KeyChange,
    /// Every row of the table goes.
    Truncate,
}

/// One change of one row, or the truncation of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Start of its WAL record.
    pub lsn: u64,
    /// The table.
    pub table: Table,
    /// What happens.
    pub op: ChangeOp,
    /// The row before; `None` for inserts and truncates.
    pub old: Option<SharedRow>,
    /// The row after; `None` for deletes and truncates.
    pub new: Option<SharedRow>,
    /// Columns stored out of line that the statement did not assign: the WAL does not hold their values.
    pub untouched: Vec<&'static str>,
}

impl Change {
    /// How many events END counts for it.
    pub fn event_count(&self) -> u64 {
        if self.op == ChangeOp::KeyChange { 2 } else { 1 }
    }

    /// The keys it touches: old, then new where that is another. None for a truncate, which touches every key of its table.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let old = self.old.as_ref().map(|row| row.key());
        let new = self.new.as_ref().map(|row| row.key()).filter(|new| Some(*new) != old);
        old.into_iter().chain(new)
    }
}

/// A committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Transaction id, 32 bits, assigned at the first write; wraps.
    pub txid: u32,
    /// LSN of its first WAL record, which BEGIN carries; set also where no captured table was touched.
    pub begin_lsn: u64,
    /// End of the commit record: what END carries. Strictly increasing in commit order.
    pub end_lsn: u64,
    /// Commit time, milliseconds since 1970; never decreasing.
    pub commit_ms: i64,
    /// Its changes, in WAL order; empty where only an uncaptured table was touched.
    pub changes: Vec<Change>,
}

/// Everything that happened in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The tables before the first transaction of `earlier`.
    pub initial: Tables,
    /// Transactions with END at or below L0, in commit order: the snapshot already holds what they did.
    pub earlier: Vec<Commit>,
    /// LSN at which `earlier` begins.
    pub start_lsn: u64,
    /// L0: where the snapshot read, and streaming starts.
    pub base_lsn: u64,
    /// Time of the snapshot, milliseconds since 1970.
    pub base_ms: i64,
    /// Transaction id the snapshot ran under.
    pub base_txid: u32,
    /// Transactions with END above L0, in commit order. Rows of the first ones may lie below L0.
    pub commits: Vec<Commit>,
}

impl History {
    /// The tables at L0, as the snapshot reads them.
    pub fn base(&self) -> Tables {
        self.earlier_tables(self.earlier.len())
    }

    /// The tables after the first `count` transactions of `earlier`.
    pub fn earlier_tables(&self, count: usize) -> Tables {
        let mut tables = self.initial.clone();
        self.earlier.iter().take(count).for_each(|commit| tables.apply(commit));
        tables
    }

    /// What transaction `upto` of `commits` and the `window` before it touched: keys that snapshot rows must keep away from.
    pub(crate) fn touches(&self, upto: usize, window: usize) -> Touches {
        let from = upto.saturating_sub(window);
        let mut touches = Touches::default();
        for change in self.commits.iter().take(upto + 1).skip(from).flat_map(|commit| &commit.changes) {
            if change.op == ChangeOp::Truncate {
                touches.tables.insert(change.table);
            }
            touches.keys.extend(change.keys().map(|key| (change.table, key.to_owned())));
        }
        touches
    }
}

/// Keys and tables that some transactions touched.
#[derive(Default)]
pub(crate) struct Touches {
    keys: BTreeSet<(Table, String)>,
    tables: BTreeSet<Table>,
}

impl Touches {
    pub(crate) fn hold(&self, table: Table, key: &str) -> bool {
        self.tables.contains(&table) || self.keys.contains(&(table, key.to_owned()))
    }
}

#[cfg(test)]
mod tests;
