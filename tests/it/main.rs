//! Integration tests: real captures with Postgres's own answers, and generated logs with an oracle.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that panics has failed, which is what it is for"
)]

mod bad_records;
#[cfg(target_os = "linux")]
mod bounded;
mod captures;
mod command_line;
mod config;
#[cfg(feature = "elasticsearch")]
mod elasticsearch;
mod embedded;
mod failures;
mod follow;
mod generated;
mod index;
mod index_commands;
#[cfg(feature = "kafka")]
mod kafka;
mod logging;
mod manual;
mod regressions;
mod run;
mod support;
mod terminal;
mod unaligned;

#[path = "../../examples/own_view.rs"]
#[expect(dead_code, reason = "its `main` is for those who run the example")]
mod own_view;
