//! From a record's bytes to a typed change of a row. Total: whatever the bytes, the answer is a value, never a panic.
//!
//! ```text
//!  SourceRecord ──> debezium (JSON, by name) ──> cells (JSON to Value, by Kind) ──> codec (Values to the view's rows)
//! ```
//!
//! Only this module knows Debezium. What it trusts and what not:
//! - a delete, and where a changed key came from or goes to, is known by record key and headers alone: `before` holds
//!   invented values;
//! - an unavailable TOAST value is [`Unknown`](dataflows::Value::Unknown), never null;
//! - the part of `transaction.id` behind the colon differs between BEGIN, rows and END: only the txid joins them.

mod cell;
mod codec;
mod debezium;
pub(crate) mod strict;
#[cfg(test)]
mod tests;

pub(crate) use codec::{Body, Codec, RowBuffer, TypedRows, codecs};
pub(crate) use debezium::{Decoder, Place};

use crate::source::Location;
use crate::source::kcat::BadLine;
use crate::time::Lsn;
use dataflows::Uuid;
use serde::{Deserialize, Serialize};

/// What a change record says was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Op {
    /// `t`: every row of the table went.
    Truncate,
    /// `d`. Sorts before [`Op::Create`]: a changed key is a delete and a create at one LSN.
    Delete,
    /// `c`.
    Create,
    /// `u`.
    Update,
    /// `r`: a row of a snapshot.
    Read,
}

/// One life of a connector, from start to stop: Debezium's `runId`. `None` where a record does not say.
pub(crate) type RunId = Option<Uuid>;

/// Where a row change belongs in the order of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// A change in a transaction.
    Stream {
        /// The transaction's id; 32 bits that wrap.
        txid: u64,
        /// The change's own LSN, below its transaction's END.
        lsn: Lsn,
        /// The END of the transaction committed before it, as the connector had it; zero for the first.
        previous: Lsn,
        /// `data_collection_order`: its number among its transaction's changes of this table.
        order: u64,
    },
    /// A row of the initial snapshot taken at `lsn`; `last` ends the snapshot.
    Initial {
        /// The snapshot's LSN.
        lsn: Lsn,
        /// Whether the marker is `last`.
        last: bool,
    },
    /// A row of an incremental snapshot, as of the first END above `previous`.
    Incremental {
        /// The last committed END when it was written.
        previous: Lsn,
    },
    /// A row of a blocking snapshot, read some time before `ts_ms`.
    Blocking {
        /// The last committed END when it was written.
        previous: Lsn,
        /// When it was read, by the source's clock, in milliseconds since 1970.
        ts_ms: i64,
    },
    /// A row that stands for itself, whatever it is of: see [`Alignment::None`](crate::Alignment::None).
    Arrival {
        /// Its LSN; zero where it has none.
        lsn: Lsn,
    },
}

impl Origin {
    /// The END this row shows its partition to have passed.
    pub(crate) fn previous(&self) -> Lsn {
        match *self {
            Origin::Stream { previous, .. } | Origin::Incremental { previous } | Origin::Blocking { previous, .. } => {
                previous
            }
            Origin::Initial { .. } | Origin::Arrival { .. } => Lsn(0),
        }
    }
}

/// The END of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    /// The transaction's id.
    pub(crate) txid: u64,
    /// Where its commit ends: the transaction's place among all.
    pub(crate) lsn: Lsn,
    /// How many changes of each consumed table it is said to have, by the table's index. Others are left out.
    pub(crate) counts: Vec<(usize, u64)>,
    /// When it was committed, in milliseconds since 1970.
    pub(crate) commit_ms: i64,
}

/// What a record is, once decoded. A row's values are in the buffer of its table.
#[derive(Debug)]
pub(crate) enum Envelope {
    /// A change of one row, the next in the buffer of its table.
    Row { table: usize, op: Op, origin: Origin, run: RunId },
    /// The end of a transaction.
    End(End),
    /// The start of a transaction; it says nothing that is needed.
    Begin,
    /// The record behind a delete that lets Kafka forget the key.
    Tombstone,
    /// A heartbeat, a logical message, a record of a table that is not consumed.
    Other,
}

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("bad record at {location}: {reason}")]
pub struct BadRecord {
    /// Where it stands.
    pub location: Location,
    /// What is wrong with it.
    #[source]
    pub reason: BadReason,
    /// The record's key, where it could be read.
    pub key: Option<String>,
    /// The line of the log, as it stands.
    pub(crate) line: Box<[u8]>,
    /// The table, by its index, where the topic is one of a table.
    pub(crate) table: Option<usize>,
    /// Its place among transactions, where that could be read.
    pub(crate) origin: Option<(Origin, RunId)>,
}

impl BadRecord {
    /// One of which nothing could be read.
    pub(crate) fn unread(location: Location, reason: BadLine) -> BadRecord {
        let reason = BadReason::Line(reason);
        BadRecord { location, reason, key: None, line: Box::default(), table: None, origin: None }
    }
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadReason {
    /// The line of the log is none.
    #[error(transparent)]
    Line(#[from] BadLine),
    /// Key or value is not JSON.
    #[error("{part} is not JSON: {error}")]
    Json {
        /// `key`, `value` or a header.
        part: &'static str,
        /// The parser's words.
        error: String,
    },
    /// Key or value is JSON, but not of the shape that Debezium writes.
    #[error("{part} is not what Debezium writes: {error}")]
    Shape {
        /// `key`, `value` or a header.
        part: &'static str,
        /// The parser's words.
        error: String,
    },
    /// Confluent's framing of Avro, Protobuf or JSON Schema.
    #[error(
        "{part} starts with a zero byte: a schema registry's format (Avro, Protobuf, JSON Schema) is not supported yet; use Debezium's JSON converter"
    )]
    Framed {
        /// `key` or `value`.
        part: &'static str,
    },
    /// A record that `ExtractNewRecordState` flattened.
    #[error(
        "the value has no envelope (op, source, after): records flattened by ExtractNewRecordState are not supported yet; remove that transform"
    )]
    Flattened,
    /// A field of the envelope is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field of the envelope has an impossible value.
    #[error("{field} is `{value}`: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        problem: &'static str,
    },
    /// A streamed row without its transaction.
    #[error(
        "the row names no transaction: set provide.transaction.metadata=true in the connector, or do without (`alignment` = \"none\" in [source])"
    )]
    NoTransaction,
    /// A column's value cannot be used.
    #[error(transparent)]
    Value(#[from] dataflows::BadValue),
}
