//! What can end a run, by what the reader must do next.

use crate::align::AlignError;
use crate::envelope::BadRecord;
use crate::sink::SinkError;
#[cfg(feature = "kafka")]
use crate::source::kafka::KafkaError;
use crate::source::log::LogError;
use crate::spill::SpillError;
use crate::time::Lsn;
use std::any::Any;
use std::sync::Arc;

/// Why a run ended before its log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fix or skip the record.
    #[error(transparent)]
    BadRecord(Box<BadRecord>),
    /// The stream of transactions cannot be followed.
    #[error(transparent)]
    Align(#[from] AlignError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] Arc<LogError>),
    /// The source of records failed; what it said.
    #[error("the source of records failed: {0}")]
    Source(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// Topics in Kafka cannot be read.
    #[cfg(feature = "kafka")]
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The log that is captured cannot be written.
    #[error("cannot write the log: {0}")]
    Capture(#[source] std::io::Error),
    /// Give the log in order.
    #[error(
        "topic {topic}, partition {partition}: offset {offset} comes after offset {after}; give the parts of a log in their order"
    )]
    OutOfOrder {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The offset that comes too late.
        offset: u64,
        /// The greatest offset before it.
        after: u64,
    },
    /// The log holds several sources, or none.
    #[error("{found}; name the source's topic prefix (`prefix`)")]
    Prefix {
        /// What was found.
        found: String,
    },
    /// Say how many partitions there are.
    #[error(
        "a log that is followed must be told how many partitions its topics have, and these are missing: {topics}; set `partitions` in [tables.NAME]"
    )]
    FollowPartitions {
        /// The topics without a number of partitions.
        topics: String,
    },
    /// Say how many partitions there are.
    #[error("topic {topic} cannot have {partitions} partitions: expected 1 to 65,536")]
    Partitions {
        /// The topic.
        topic: String,
        /// What was said.
        partitions: u32,
    },
    /// Name the topic as `PREFIX.SCHEMA.TABLE`.
    #[error(
        "{topic}, which is said to have {partitions} partitions, is no topic of a table that the view reads, and of {missing} nothing is said"
    )]
    UnknownTopic {
        /// What was named.
        topic: String,
        /// What was said of it.
        partitions: u32,
        /// Topics of tables of which nothing is said.
        missing: String,
    },
    /// Mend the view: it must name one table for each of its row types.
    #[error("view {view}: `tables` names {tables} tables, and `Tables` has {rows} row types")]
    Tables {
        /// The view.
        view: String,
        /// How many tables it names.
        tables: usize,
        /// How many row types it has.
        rows: usize,
    },
    /// The source does not say which transactions there are.
    #[error(
        "the log has no topic {topic}: set provide.transaction.metadata=true in the connector, or do without (`alignment` = \"none\" in [source])"
    )]
    NoTransactionTopic {
        /// The topic that is missing.
        topic: String,
    },
    /// ENDs in more than one partition have no order.
    #[error(
        "topic {topic} has {partitions} partitions: it must have exactly one, or the order of transactions is lost"
    )]
    TransactionPartitions {
        /// The transaction topic.
        topic: String,
        /// How many partitions it has.
        partitions: u32,
    },
    /// Ask for a later state, or fill an empty sink.
    #[error("LSN {until}, to stop at, is before LSN {sink}, which the output has reached already: it cannot go back")]
    UntilBeforeSink {
        /// What was asked for.
        until: Lsn,
        /// Where the sink is.
        sink: Lsn,
    },
    /// Give the log from further back, or fill an empty sink.
    #[error(
        "the log begins with a snapshot at LSN {base}, after LSN {sink}, where the output stopped: what happened between is unknown; use a log that reaches back to LSN {sink}, or a new output"
    )]
    BaseAfterSink {
        /// Where the log begins.
        base: Lsn,
        /// Where the sink is.
        sink: Lsn,
    },
    /// The sink could not take documents.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Allow more memory or disk, or see to the disk. Nothing that lacks rows was shown: the next run starts where this one
    /// was.
    #[error("table {table}: rows of {rows_of} wait, and {error}")]
    Spill {
        /// The table.
        table: String,
        /// What the rows are of: a transaction, with its id, or a snapshot.
        rows_of: String,
        /// Why they cannot wait.
        #[source]
        error: SpillError,
    },
    /// The dead letters could not be written.
    #[error("cannot write dead letters to {path}: {error}")]
    DeadLetters {
        /// The file.
        path: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A bug, of the engine or of the view's rows: a thread that reads the log failed, so that records are missing.
    #[error("a thread that reads the log failed: {0}; this is a bug")]
    Feed(String),
    /// Give the process more threads, or memory.
    #[error("no thread can be started: {0}")]
    Thread(#[source] std::io::Error),
    /// A bug, of the engine or of the view: a worker failed, so that nothing more can be exact.
    #[error("a worker failed: {0}; this is a bug, in deltaic or in the view")]
    Worker(String),
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked without words").to_owned()
}
