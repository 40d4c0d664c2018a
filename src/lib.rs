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
//! Start with [`Engine::replay`]; what it needs is a [`View`], [`ReplayOptions`] and a [`Sink`].

mod align;
mod dead_letter;
mod engine;
mod envelope;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod hold;
mod index;
mod render;
mod report;
mod sink;
mod source;
mod spill;
mod status;
mod time;
mod upsert;
mod worker;

pub use align::{AlignError, OpenTransaction};
pub use dataflows::{self, Document, DocumentId, View};
pub use dead_letter::OnBadRecord;
pub use engine::{Engine, Progress, ReplayOptions, RunHandle};
pub use envelope::{BadReason, BadRecord};
pub use error::Error;
pub use index::{Difference, Dump, Found, Hit, Hits, Index, IndexError, IndexStats, Snapshot, Stored};
pub use report::{Inexact, InexactCause, Report};
pub use sink::{
    Ack, Action, Batch, ChangeLines, DocumentJson, FinalLines, History, Identity, IndexOptions, LatestSnapshot,
    NullSink, Sink, SinkError, TantivySink, Touch,
};
pub use source::Location;
pub use source::kcat::BadLine;
pub use source::log::{LogError, LogInput};
pub use spill::SpillError;
pub use time::{Lsn, Time};
