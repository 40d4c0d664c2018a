//! Deltaic keeps a search index that *is* a query over Postgres tables, at one committed transaction at every moment.
//!
//! Debezium's change records of source tables enter, a differential dataflow keeps the query's result, and only the
//! differences leave, as upserts and deletes of documents.
//!
//! ```text
//!  log ──> SourceRecord ──> Envelope ──> align ──> hold ──> upsert ──> view ──> batch ──> sink
//!          partition,       op, key,     END LSN   rows     old -1     docs     one       JSON lines
//!          offset, value    values       per tx    wait     new +1     diffs    action    index
//! ```
//!
//! A view over a log, with every change of a document to a closure:
//!
//! ```
//! use deltaic::dataflows::ConversationSearch;
//! use deltaic::{Action, Engine, Log, Lsn};
//!
//! let (mut upserts, mut deletes) = (0, 0);
//! let report = Engine::replay(ConversationSearch::default(), Log::file("examples/podium/log.jsonl.zst"))
//!     .workers(2)
//!     .until(Lsn(126_000_000))
//!     .for_each(|touch| {
//!         match touch.action {
//!             Action::Upsert(document) => upserts += usize::from(document.get("step").is_some()),
//!             Action::Delete => deletes += 1,
//!         }
//!         Ok(())
//!     })?;
//! assert!(report.exact_at.is_some_and(|lsn| lsn <= Lsn(126_000_000)));
//! assert!(upserts > deletes && deletes > 0);
//! # Ok::<(), deltaic::Error>(())
//! ```
//!
//! - Where records come from: [`Engine::replay`] reads a [`Log`], [`Engine::kafka`] topics in [`Kafka`], [`Engine::live`] a
//!   [`Source`] of your own or what your code pushes into a [`record_channel`].
//! - What is asked of them: a [`View`], the shipped one or your own (`examples/own_view.rs`).
//! - Where documents go: a [`Sink`], such as [`TantivySink`], or a closure ([`Engine::for_each`]).
//! - A run goes on the calling thread ([`Engine::run`]) or on its own ([`Engine::start`]); a [`RunHandle`] stops it, tells
//!   how far it is, and waits until the sink has come to an LSN ([`RunHandle::wait_for`]).

mod align;
#[cfg(feature = "kafka")]
mod capture;
mod dead_letter;
mod engine;
mod envelope;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod hold;
mod index;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
#[doc(hidden)]
pub mod mutant;
mod queue;
mod render;
mod report;
mod sink;
mod source;
mod spill;
mod spin;
mod status;
mod time;
mod txid;
mod upsert;
mod worker;

pub use align::{AlignError, OpenTransaction};
#[cfg(feature = "kafka")]
pub use capture::{Capture, Captured};
pub use dataflows::{self, Document, DocumentId, View};
pub use dead_letter::OnBadRecord;
pub use engine::{Alignment, Engine, EngineOptions, Log, NotReached, Progress, Run, RunHandle};
pub use envelope::{BadReason, BadRecord};
pub use error::Error;
pub use index::{Dump, Found, Hit, Hits, Index, IndexError, IndexStats, Snapshot, Stored};
pub use report::{Inexact, InexactCause, Report};
pub use sink::{
    Ack, Action, Batch, ChangeLines, Difference, DocumentJson, FinalLines, ForEach, History, Identity, IndexOptions,
    LatestSnapshot, NullSink, Rebuild, Sink, SinkError, Successor, TantivySink, Touch,
};
#[cfg(feature = "elasticsearch")]
pub use sink::{
    ClientCertificate, Credentials, ElasticsearchError, ElasticsearchOptions, ElasticsearchSink, ElasticsearchStatus,
    OnBadDocument,
};
pub use source::Location;
#[cfg(feature = "kafka")]
pub use source::kafka::{Kafka, KafkaError, KafkaStart};
pub use source::kcat::BadLine;
pub use source::log::{LogError, LogInput};
pub use source::records::{Next, Record, RecordReceiver, RecordSender, RunEnded, Source, SourceError, record_channel};
pub use spill::SpillError;
pub use time::{Epoch, Lsn, Time};
