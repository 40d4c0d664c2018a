//! A model of Debezium's Postgres connector and of Connect's producer: from a history to what really lies in Kafka.
//!
//! ```text
//!  History ──> run 1: snapshot, then rows and BEGIN/END in commit order
//!                 │ push, in one order                    write, in many orders
//!                 v                                              v
//!              Producer: one queue a partition  ──batches──>  Log: one list a partition
//!                 │                                 × kill: whatever is still queued is gone
//!                 └─ flushed: greatest position with everything before it written; often stale
//!                 v
//!              run 2: from `flushed`, so a suffix comes again; perhaps from the middle of a transaction
//! ```
//!
//! The strangeness of real logs is not sprinkled on a good log: it follows from these few rules, as it does in reality.
//!
//! # Notes
//! - No row is ever lost: what a kill drops lies at or behind `flushed`. ([`ConnectorOptions::lose_rows`] breaks this on demand.)
//! - `source.sequence` is exact in every run; only numbering and counts suffer from a resume inside a transaction.
//! - A kill while streaming comes only after the snapshot's end was flushed; before that a restart would be a new snapshot.

mod envelope;
mod json;
mod options;
mod producer;
mod run;
mod schema;
mod snapshot;

use std::collections::BTreeMap;

pub(crate) use envelope::{bare_key, change_payload, hash_partition};
pub(crate) use json::push_text;
pub use options::{ConnectorOptions, Resume, Schemas, SnapshotField};

use crate::oddities::Oddities;
use crate::workload::History;

/// One record as a Kafka consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset: 0, 1, 2 ... in each partition.
    pub offset: i64,
    /// Record timestamp, milliseconds since 1970.
    pub ts: i64,
    /// The key, if any.
    pub key: Option<String>,
    /// The value; `None` is Kafka's null.
    pub payload: Option<String>,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
}

/// All topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The records in the order in which they were written; offsets rise within each partition.
    pub records: Vec<Record>,
    /// The number of partitions of each topic, whether or not they hold records.
    pub partitions: BTreeMap<String, i32>,
}

/// The topic of BEGIN and END records.
pub const TRANSACTION_TOPIC: &str = "podium.transaction";
/// The topic of heartbeats.
pub const HEARTBEAT_TOPIC: &str = "__debezium-heartbeat.podium";
/// What stands for a value that the WAL does not hold.
pub const PLACEHOLDER: &str = "__debezium_unavailable_value";

/// Streams a history through connector runs and a producer into a log. The same arguments give the same log.
pub fn produce(history: &History, options: &ConnectorOptions, seed: u64) -> (Log, Oddities) {
    run::Connector::new(history, options, seed).run()
}
