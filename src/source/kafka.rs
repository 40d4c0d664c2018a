//! Live from Kafka: what is to be read, and the reader that gives it in pieces, as a log is given.
//!
//! ```text
//!   broker ──fetch──> librdkafka's threads ══ bounded ══> reader thread ──pieces──> decoders
//!      ^                                                     │  asks once for each poll
//!      └──────── where do the partitions end now? ───────────┴──> ends (a thread): "everything up to there was read"
//! ```
//!
//! Partitions are assigned by us and read from where we say, never by a group: what a worker reads must not move while rows
//! wait. Offsets are committed to the group all the same, for those who watch its lag.

mod admin;
mod client;
mod ends;
mod error;
mod fetched;
mod options;
mod owned;
mod reader;
mod topics;

pub use error::KafkaError;
pub(crate) use fetched::FetchedRecords;
pub use options::{Kafka, KafkaStart};
pub(crate) use reader::KafkaReader;
