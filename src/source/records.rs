//! Records from the program that the engine is part of: pushed by its own code, or taken from a source of its own.
//!
//! ```text
//!   your code ──push──> RecordSender ══ bounded ══> RecordReceiver ─┐
//!                                                                   ├─ impl Source ──next──> reader thread ──> decoders
//!   your own Source ────────────────────────────────────────────────┘
//! ```

use crate::queue::{Bound, Empty, Receiver, Sender, Weight, queue};
use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

/// A record as Kafka holds it, of one of Debezium's topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The topic: `PREFIX.SCHEMA.TABLE`, or `PREFIX.transaction`. Records of other topics are passed over.
    pub topic: String,
    /// The partition of the topic.
    pub partition: u32,
    /// The position in the partition: greater than that of the record before it. A record that comes a second time is
    /// known by it.
    pub offset: u64,
    /// Header names and values. Debezium's own tell the connector's runs apart, and where a changed key went.
    pub headers: Vec<(String, String)>,
    /// The key's bytes, if there is a key.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// What came of asking a [`Source`] for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next one.
    Record(Record),
    /// There is none for the moment: all there is was read.
    Nothing,
    /// None will ever follow.
    End,
}

/// Why a [`Source`] cannot go on, in the words of whoever wrote it.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Where records come from, if not from a log.
///
/// # Contract
/// Records of one partition come in the order of their offsets, each at least once; those of different partitions in any
/// order. They begin with the initial snapshot of every table, or right behind an empty one.
pub trait Source: Send {
    /// The next record; waits for it no longer than `wait`. Called on a thread of its own.
    ///
    /// # Errors
    /// Ends the run with [`Error::Source`](crate::Error::Source).
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError>;
}

/// At most so much waits between a [`RecordSender`] and the engine.
const WAITING: Bound = Bound { items: 4_096, bytes: 8 << 20 };

/// A sender for records, and the source that gives them to an engine. At most 4,096 records or 8 MiB wait between them: the
/// run must have started, on another thread, before more are pushed.
pub fn record_channel() -> (RecordSender, RecordReceiver) {
    let (sender, receiver) = queue(WAITING);
    (RecordSender(sender), RecordReceiver(receiver))
}

/// Gives records to an engine, from any thread. The source ends when every sender is dropped.
#[derive(Clone)]
pub struct RecordSender(Sender<Record>);

/// The [`Source`] behind a [`RecordSender`].
pub struct RecordReceiver(Receiver<Record>);

/// The engine's run is over: the record was not taken, and comes back.
#[derive(Debug, thiserror::Error)]
#[error("the run has ended; its result says why")]
pub struct RunEnded(pub Record);

impl RecordSender {
    /// Hands over a record; waits while the engine is behind.
    ///
    /// # Errors
    /// The run is over.
    pub fn push(&self, record: Record) -> Result<(), RunEnded> {
        self.0.send(record).map_err(RunEnded)
    }
}

impl fmt::Debug for RecordSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordSender").finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordReceiver").finish_non_exhaustive()
    }
}

impl Source for RecordReceiver {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        // A wait without end is no error.
        Ok(match self.0.recv_until(Instant::now().checked_add(wait)) {
            Ok(record) => Next::Record(record),
            Err(Empty::Nothing) => Next::Nothing,
            Err(Empty::Ended) => Next::End,
        })
    }
}

impl Weight for Record {
    fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len());
        let bytes = [&self.key, &self.value].map(|bytes| bytes.as_ref().map_or(0, Vec::len));
        size_of::<Record>() + self.topic.len() + headers.sum::<usize>() + bytes.iter().sum::<usize>()
    }
}
