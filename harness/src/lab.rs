//! Real servers, started from package registries: Postgres, Kafka, Kafka Connect with Debezium, search servers; and the end-to-end
//! proofs.
//!
//! ```text
//!   workload ──SQL──> Postgres ──WAL──> Debezium in Connect ──> Kafka ──> deltaic run ──> index
//!      │ after each commit                 × killed 3 times      × once     × twice        │ at random moments
//!      └── truth: Postgres's own answer at an LSN ═══════════ must be equal ═══════════════┘
//! ```
//!
//! Everything listens on loopback, on ports that are free, and ends with the process that started it.

mod broker;
mod end_to_end;
mod install;
mod postgres;
mod responses;
mod search;
pub(crate) mod search_server;
mod secured;
mod server;
mod snapshots;
mod speed;
mod stack;
mod topics;
mod truth;
mod workload;

pub use end_to_end::{LabOptions, LabPart, LabSummary, lab};
pub use responses::{ResponsesOptions, ServerResponses, record};
pub use search::{SearchFault, SearchServerSummary, SearchSummary};
pub use secured::SecuredSummary;
pub use snapshots::SnapshotsSummary;
pub use speed::{BulksSpeed, SearchSpeedSummary, SpeedOptions, SpeedPart, SpeedSummary, speed};
pub use topics::TopicsSummary;
