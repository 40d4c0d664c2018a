//! Streams of transactions that cannot be followed.

use crate::time::Lsn;

/// A stream of transactions that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlignError {
    /// A second initial snapshot began after the first was shown.
    #[error(
        "a new initial snapshot (LSN {snapshot}) follows the one this index was built on (LSN {base}): start again from a new index"
    )]
    NewBase {
        /// The LSN of the snapshot in use.
        base: Lsn,
        /// The LSN of the new one.
        snapshot: Lsn,
    },
    /// The snapshot was taken as whole on the user's word, and was not.
    #[error(
        "a row of the initial snapshot (LSN {base}) came in partition {number} of {table} after the snapshot had been taken as whole (snapshot_complete), so that it is missing; fill a new index, and say that the snapshot is complete only when all of it can be read"
    )]
    LateSnapshotRow {
        /// The LSN of the snapshot.
        base: Lsn,
        /// The table.
        table: String,
        /// The partition.
        number: u32,
    },
    /// The log has no initial snapshot and does not begin right after an empty one.
    #[error(
        "the log has no initial snapshot: rows that were there before it are unknown; use a log that starts with the connector's snapshot, or --allow-partial-base to go on without them"
    )]
    NoSnapshot,
    /// The log may end inside the initial snapshot.
    #[error("the initial snapshot is not proven complete: {} shown no change after it; give --snapshot-complete if the log holds all of it", list(.partitions))]
    SnapshotNotProven {
        /// The partitions that may hold more rows of it.
        partitions: Vec<String>,
    },
    /// The log lacks the first records of a topic, which may be rows of the initial snapshot.
    #[error("the log does not hold {} from the first record on: rows of the initial snapshot may be missing; use a log that starts with the connector's snapshot, or give --snapshot-complete if this one holds all of it", shown(.partitions))]
    SnapshotBeheaded {
        /// The partitions that do not begin at offset 0.
        partitions: Vec<String>,
    },
    /// Rows name a transaction whose END is not there.
    #[error(
        "transaction {txid} (END {end}) follows END {named}, which was never read: the transaction topic has a hole"
    )]
    Hole {
        /// The transaction whose rows name it.
        txid: u64,
        /// Its END.
        end: Lsn,
        /// The END that is missing.
        named: Lsn,
    },
    /// The position asked for is before everything.
    #[error("--until {until} is before the initial snapshot at LSN {base}")]
    UntilBeforeBase {
        /// The position.
        until: Lsn,
        /// The snapshot's.
        base: Lsn,
    },
    /// A topic has more partitions than was said, so that "every partition" was never what it seemed.
    #[error(
        "the topic of {table} has a partition {number}, but --partitions says that there are {given}; give the number there really is"
    )]
    UnknownPartition {
        /// The table.
        table: String,
        /// The partition that was read.
        number: u32,
        /// How many there should be.
        given: u32,
    },
    /// ENDs in more than one partition have no order.
    #[error(
        "the transaction topic has a partition {number}: it must have exactly one, or the order of transactions is lost"
    )]
    TransactionPartition {
        /// The partition that was read.
        number: u32,
    },
}

fn list(partitions: &[String]) -> String {
    match partitions.len() {
        0 => "no partition has".to_owned(),
        1 => format!("{} has", shown(partitions)),
        _ => format!("{} have", shown(partitions)),
    }
}

/// The first few of them.
fn shown(partitions: &[String]) -> String {
    let shown = partitions.iter().take(6).map(String::as_str).collect::<Vec<_>>().join(", ");
    match partitions.len().saturating_sub(6) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
