//! Seeded inputs with a known answer: what Deltaic is tested against.
//!
//! ```text
//! seed ──> workload: a History (what Postgres committed) ──> oracle: the view at each END
//!              │                                                   ║ must be equal
//!              └──> connector: a Log (what lies in Kafka) ──> delivery ──> the engine under test
//! ```
//!
//! [`Scenario::random`] makes one case; [`Oracle`] answers for its history; [`deliver`] and [`kcat_line`] turn its log into lines.
//! [`Oddities`] counts what occurred, so that a test can prove that its seeds contain what it is about.
//! What fails is made smaller by [`shrink`] until nothing smaller does, and printed as a [`Case`] to be kept.
//! Everything follows from the seed: the same seed gives the same bytes.

mod workload;

mod connector;

mod oddities;

mod delivery;

mod oracle;

mod scenario;

mod replay_log;

pub mod baseline;

mod check;

mod kill;

mod lab;

mod mutants;

mod case;

mod shrink;

pub use case::Case;
pub use check::{Checked, Comparing, Divergence, Passage, check};
pub use connector::{
    ConnectorOptions, HEARTBEAT_TOPIC, Log, PLACEHOLDER, Record, Resume, Schemas, SnapshotField, TRANSACTION_TOPIC,
    produce,
};
pub use delivery::{Delivery, cut, deliver, kcat_line, record_of};
pub use kill::{KillOptions, KillSummary, Life, kill};
pub use lab::{
    BulksSpeed, LabOptions, LabPart, LabSummary, ResponsesOptions, SearchFault, SearchServerSummary,
    SearchSpeedSummary, SearchSummary, SecuredSummary, ServerResponses, SnapshotsSummary, SpeedOptions, SpeedPart,
    SpeedSummary, TopicsSummary, lab, record, speed,
};
pub use mutants::{Verdict, mutants};
pub use oddities::Oddities;
pub use oracle::{Documents, Oracle, OracleOptions, TableRows, documents};
pub use replay_log::{LargeLog, LargeLogSizes, Summary, write_large, write_lines};
pub use scenario::Scenario;
pub use shrink::{ATTEMPTS_MAX, Shrunk, shrink, smallest_failure};
pub use workload::{
    Cell, Change, ChangeOp, Column, ColumnType, Commit, History, Row, SharedRow, TOAST_LENGTH, Table, Tables, Weights,
    WorkloadOptions,
};
