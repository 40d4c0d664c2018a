//! Live from Kafka: what is to be read, and the reader that gives it in pieces, as a log is given.
//!
//! ```text
//!   broker ──fetch──> librdkafka's threads ══ bounded ══> reader thread ──pieces──> decoders
//!      ^                                                     │  asks when records were read, one question at a time
//!      └── which partitions are there, where do they end? ─────┴──> ends (a thread, a client of its own): "all up to there was read"
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
