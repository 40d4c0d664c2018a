//! How often each strange thing occurs, in the database's history and in the log made of it.
//!
//! A test that runs many seeds adds these up and demands that none of them is 0: a generator that stops making swaps would
//! otherwise prove nothing about swaps, silently.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use crate::workload::{Change, ChangeOp, Commit, History, Table};

/// From this many changes on, a transaction counts as huge.
const HUGE: usize = 200;

macro_rules! oddities {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of everything that is not plain inserts in a straight line.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Oddities {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Oddities {
            /// Every counter with its name, in order of declaration.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        impl AddAssign for Oddities {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

oddities! {
    /// Transactions with a row below the END of the one committed before.
    interleaved_transactions,
    /// Rows below the END of the transaction committed before theirs.
    rows_below_previous_end,
    /// Rows that share their LSN with the row before them.
    rows_sharing_an_lsn,
    /// Rows at exactly the previous END.
    rows_at_previous_end,
    /// Transactions committed after one with a greater txid.
    txid_decreases,
    /// Transactions under an id used before.
    txid_reuses,
    /// Changes of a primary key.
    key_changes,
    /// Key changes of a row whose key changed before, in this transaction or the one before.
    chains,
    /// Key changes onto a key whose row leaves later in the same statement.
    swaps,
    /// Values the WAL does not hold.
    untouched_values,
    /// TRUNCATEs, counted by table.
    truncates,
    /// TRUNCATEs with rows of the same table before or after them in their transaction.
    truncates_between_rows,
    /// Inserts of a key deleted earlier in the same transaction.
    delete_reinserts,
    /// Transactions that touch no captured table.
    empty_transactions,
    /// Transactions of at least 200 changes.
    huge_transactions,
    /// Rows written while their parent does not exist.
    orphans,
    /// Updates that give a row another parent.
    reparentings,
    /// Rows of the signal table.
    signal_rows,
    /// Starts of the connector after the first.
    restarts,
    /// Restarts from a position in the middle of a transaction.
    restarts_inside_a_transaction,
    /// Resumed transactions read again from their first row.
    resumed_from_first_row,
    /// Resumed transactions numbered from 1 though rows were skipped.
    resumed_from_one,
    /// Resumed transactions numbered on from too low a number.
    resumed_behind,
    /// Resumed transactions without a second BEGIN.
    missing_begins,
    /// ENDs that name fewer events than the transaction has.
    ends_with_wrong_counts,
    /// Rows delivered again.
    redelivered_rows,
    /// ENDs delivered again.
    redelivered_ends,
    /// Records written twice by a producer's retry.
    producer_duplicates,
    /// Rows that reached the log only after their END did.
    rows_after_their_end,
    /// Rows that reached the log only in a later run than their END.
    rows_runs_after_their_end,
    /// Placeholders in the log.
    placeholders,
    /// Placeholders in the create of a key change.
    placeholders_in_creates,
    /// Snapshots that a kill cut short.
    aborted_snapshots,
    /// Streamed transactions that the snapshot already held.
    overlap_transactions,
    /// Initial snapshot rows that reached the log after a streamed record.
    late_snapshot_rows,
    /// Incremental snapshot rows.
    incremental_rows,
    /// Blocking snapshot rows.
    blocking_rows,
    /// Blocking snapshot rows that hold what the stream has not delivered yet.
    blocking_rows_ahead,
    /// Tombstones that are not a plain null.
    tombstone_spellings,
    /// Records in a schema wrapper.
    wrapped_records,
    /// Records of the heartbeat topic.
    heartbeats,
    /// Rows withheld for good, on demand.
    lost_rows,
}

impl Oddities {
    /// What a history holds, before any connector read it.
    pub fn of_history(history: &History) -> Oddities {
        let mut count = Oddities::default();
        let mut tables = history.base();
        let mut previous: Option<&Commit> = None;
        let mut txids: BTreeSet<u32> = history.earlier.iter().map(|commit| commit.txid).collect();
        for commit in &history.commits {
            count.positions(commit, previous);
            count.contents(commit, previous);
            count.txid_reuses += u64::from(!txids.insert(commit.txid));
            tables.apply(commit);
            for row in commit.changes.iter().filter_map(|change| change.new.as_ref()) {
                let parent = match row.table {
                    Table::Conversations => Some((Table::Users, row.text("user_uid"))),
                    Table::Items => Some((Table::Conversations, row.text("conversation_uid"))),
                    Table::Users | Table::Signal => None,
                };
                count.orphans += u64::from(parent.is_some_and(|(table, key)| !tables.of(table).contains_key(key)));
            }
            previous = Some(commit);
        }
        count
    }

    fn positions(&mut self, commit: &Commit, previous: Option<&Commit>) {
        let end = previous.map_or(0, |commit| commit.end_lsn);
        let below = commit.changes.iter().filter(|change| change.lsn < end).count() as u64;
        self.rows_below_previous_end += below;
        self.interleaved_transactions += u64::from(below > 0);
        self.rows_at_previous_end += commit.changes.iter().filter(|change| change.lsn == end).count() as u64;
        let pairs = commit.changes.iter().zip(commit.changes.iter().skip(1));
        self.rows_sharing_an_lsn += pairs.filter(|(one, other)| one.lsn == other.lsn).count() as u64;
        self.txid_decreases += u64::from(previous.is_some_and(|previous| previous.txid > commit.txid));
    }

    fn contents(&mut self, commit: &Commit, previous: Option<&Commit>) {
        self.empty_transactions += u64::from(commit.changes.is_empty());
        self.huge_transactions += u64::from(commit.changes.len() >= HUGE);
        for (at, change) in commit.changes.iter().enumerate() {
            let (before, after) = (commit.changes.iter().take(at), commit.changes.iter().skip(at + 1));
            self.untouched_values += change.untouched.len() as u64;
            self.signal_rows += u64::from(change.table == Table::Signal);
            match change.op {
                ChangeOp::Truncate => {
                    self.truncates += 1;
                    self.truncates_between_rows +=
                        u64::from(before.chain(after).any(|other| other.table == change.table));
                }
                ChangeOp::KeyChange => {
                    self.key_changes += 1;
                    let mut earlier = previous.into_iter().flat_map(|commit| &commit.changes).chain(before);
                    self.chains +=
                        u64::from(earlier.any(|other| other.op == ChangeOp::KeyChange && follows(other, change)));
                    self.swaps +=
                        u64::from({ after }.any(|other| other.op == ChangeOp::KeyChange && displaces(change, other)));
                }
                ChangeOp::Insert => {
                    let key = change.new.as_ref().map(|row| row.key());
                    let mut deleted =
                        before.filter(|other| other.table == change.table && other.op == ChangeOp::Delete);
                    self.delete_reinserts +=
                        u64::from(deleted.any(|other| other.old.as_ref().map(|row| row.key()) == key));
                }
                ChangeOp::Update => self.reparentings += u64::from(reparents(change)),
                ChangeOp::Delete => {}
            }
        }
    }
}

/// Whether `later` moves the row that `earlier` moved.
fn follows(earlier: &Change, later: &Change) -> bool {
    earlier.new.is_some() && earlier.new == later.old
}

/// Whether `earlier` takes the key of a row that only `later` moves away.
fn displaces(earlier: &Change, later: &Change) -> bool {
    let taken = earlier.new.as_ref().map(|row| row.key());
    earlier.table == later.table && later.old.as_ref().map(|row| row.key()) == taken && later.old != earlier.new
}

fn reparents(change: &Change) -> bool {
    let parent = match change.table {
        Table::Conversations => "user_uid",
        Table::Items => "conversation_uid",
        Table::Users | Table::Signal => return false,
    };
    let of = |row: &Option<crate::workload::SharedRow>| row.as_ref().map(|row| row.text(parent).to_owned());
    of(&change.old) != of(&change.new)
}
