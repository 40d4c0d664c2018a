//! Where documents go. A sink is given batches that tile time, and says how safe they are with it.

pub(crate) mod batch;
pub(crate) mod drive;
#[cfg(feature = "elasticsearch")]
mod elasticsearch;
mod for_each;
mod identity;
mod json;
mod jsonl;
mod null;
mod rebuild;
mod tantivy;

#[cfg(feature = "elasticsearch")]
pub use elasticsearch::{
    ClientCertificate, Credentials, ElasticsearchError, ElasticsearchOptions, ElasticsearchSink, ElasticsearchStatus,
    OnBadDocument,
};
pub use for_each::ForEach;
pub(crate) use identity::KeptIdentity;
pub use identity::{Difference, Identity};
pub use json::DocumentJson;
pub use jsonl::{ChangeLines, FinalLines};
pub use null::NullSink;
pub use rebuild::{Rebuild, Successor};
pub use tantivy::{IndexOptions, LatestSnapshot, TantivySink};

use crate::index::IndexError;
use crate::queue::Weight;
use crate::time::{Lsn, Time};
use dataflows::{Document, DocumentId, Value};
use std::error::Error;
use std::time::Instant;

/// What an index must do for one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The document is now this.
    Upsert(Document),
    /// There is no such document.
    Delete,
}

/// A document that changed at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// When: the END LSN of a transaction, under its epoch. The document's version.
    pub time: Time,
    /// Which.
    pub id: DocumentId,
    /// What of it.
    pub action: Action,
}

/// What changed from one frontier to the next.
///
/// A document is *touched* when a change of it in the batch is not undone in the same transaction. One that went from X
/// to Y to X inside a batch is touched: an index may hold Y, from before a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The first time that may be in the batch.
    pub lower: Time,
    /// The first time that is not in it: after the batch, the index equals the query at `upper - 1`.
    pub upper: Time,
    /// For [`History::Latest`], each touched document once, with its last state and the time of its last touch, by id;
    /// for [`History::Every`], each touch, by time and id.
    pub touched: Vec<Touch>,
    /// The time of the initial snapshot that the log begins with: what was deleted before it, nobody tells.
    pub base: Time,
    /// The log has no initial snapshot and begins behind this END: rows from before it are missing.
    pub partial_from: Option<Lsn>,
    /// How many documents stand after the batch.
    pub documents: u64,
    /// How many records of the source had been read when the batch was made: to be shown, and not the same in every run.
    pub records: u64,
}

/// How much of what happened inside a batch a sink wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// The last state of each document.
    Latest,
    /// Every state.
    Every,
}

/// How safe a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// The sink has it, and may lose it.
    Accepted,
    /// All that the sink was given survives whatever the sink promises to survive.
    Durable,
    /// What lies below this time survives; the rest, the sink may lose. Of a sink that writes while it is given more.
    DurableBelow(Time),
}

/// A sink could not take a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Make room, or mend what it writes to.
    #[error("cannot write documents: {0}")]
    Write(#[source] std::io::Error),
    /// See [`IndexError`].
    #[error(transparent)]
    Index(#[from] IndexError),
    /// See [`ElasticsearchError`].
    #[cfg(feature = "elasticsearch")]
    #[error(transparent)]
    Elasticsearch(#[from] ElasticsearchError),
    /// Rebuild from a source that holds everything, to its end.
    #[error(
        "the source ends at LSN {}, and the index that is read is at LSN {}: it stays, and nothing takes its place",
        told(*filled), told(*kept)
    )]
    Behind {
        /// Where the index that is read stands.
        kept: Option<Lsn>,
        /// Where the one stands that was to take its place.
        filled: Option<Lsn>,
    },
    /// What a sink of one's own says.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}

fn told(lsn: Option<Lsn>) -> String {
    lsn.map_or("none".to_owned(), |lsn| lsn.to_string())
}

impl SinkError {
    /// The error of a sink of one's own.
    pub fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> SinkError {
        SinkError::Other(error.into())
    }
}

impl Weight for Batch {
    fn bytes(&self) -> usize {
        self.touched.iter().map(Touch::bytes).sum()
    }
}

impl Touch {
    /// Bytes of memory, about.
    fn bytes(&self) -> usize {
        let document = match &self.action {
            Action::Upsert(document) => {
                document.values.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum()
            }
            Action::Delete => 0,
        };
        size_of::<Touch>() + self.id.0.len() + document
    }
}

/// Takes documents.
///
/// # Contract
/// Batches tile time: the `lower` of the first is [`Sink::frontier`], that of each other the `upper` of the one before. The
/// caller asserts it.
///
/// A sink may keep batches back, to write several at once. Then it names a [`Sink::deadline`], and the caller, which is
/// otherwise asleep until the next batch, calls [`Sink::due`] when it has come.
pub trait Sink {
    /// How much of what happened inside a batch `apply` is given.
    fn history(&self) -> History;

    /// A run begins whose documents are of `identity`. Called once, first of all.
    ///
    /// # Errors
    /// The sink holds something else; the run ends before anything is replayed.
    fn start(&mut self, identity: &Identity) -> Result<(), SinkError> {
        let _any = identity;
        Ok(())
    }

    /// Where the sink goes on: it holds for good everything below this time, from an earlier run, and is given nothing of
    /// it again. Zero, the default, is a sink that holds nothing. Asked once, before the first batch.
    fn frontier(&self) -> Time {
        0
    }

    /// Applies a batch.
    ///
    /// # Errors
    /// The run ends; nothing of a later batch is given.
    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError>;

    /// When the sink wants [`Sink::due`] to be called, if no limit of its own comes first. `None`, the default: not at
    /// all. Asked after each call.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has passed: called before any further batch. A sink that keeps batches back makes them safe, which is the
    /// default; one that writes them beside the caller says how far it has come.
    ///
    /// # Errors
    /// As of `apply`.
    fn due(&mut self) -> Result<Ack, SinkError> {
        self.flush()
    }

    /// Makes safe what was accepted. Called when the run ends by an error that is not the sink's, since what was accepted
    /// before is exact.
    ///
    /// # Errors
    /// As of `apply`; what was accepted may be lost.
    fn flush(&mut self) -> Result<Ack, SinkError> {
        Ok(Ack::Accepted)
    }

    /// No batch follows: makes safe what was accepted, as far as it can be.
    ///
    /// # Errors
    /// What was accepted may be lost.
    fn finish(&mut self) -> Result<Ack, SinkError> {
        Ok(Ack::Durable)
    }
}
