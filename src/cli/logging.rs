//! Where log lines go: to standard error, from the level that was asked for on. What the levels mean is in the README.

use super::progress::beside_bar;
use clap::ValueEnum;
use std::io::{self, Write};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// A level and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Sends the events of all threads to standard error.
pub(super) fn start(level: Level) {
    let filter = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // What tantivy does behind a commit, as merges, it tells nobody but its log, and most of that is of no interest.
    // The HTTP client tells its log every byte that it sends: passwords, tokens and documents.
    let quiet = ["tantivy", "ureq", "ureq_proto", "rustls"].map(|target| (target, filter.min(LevelFilter::WARN)));
    let filter = Targets::new().with_default(filter).with_targets(quiet);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Line);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Writes whole lines, beside the progress bar.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        beside_bar(|| io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
