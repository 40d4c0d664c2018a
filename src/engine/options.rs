//! What a run is told: of the log, and of everything else.

use crate::dead_letter::OnBadRecord;
use crate::source::log::{self, LogInput};
use crate::time::Lsn;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A log to replay: lines of `kcat -C -J`, plain, gzip or zstd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its parts, in order.
    pub inputs: Vec<LogInput>,
    /// Wait for more at the end of the last part, which is a plain file that grows, until the run is stopped. What such a
    /// log will hold cannot be known before, so [`EngineOptions::prefix`] and the [`EngineOptions::partitions`] of every
    /// table must be given. Default false.
    pub follow: bool,
    /// How much of it is decoded at once, in bytes. Default 256 KiB.
    pub block_bytes: usize,
}

impl Log {
    /// A log of these parts, with every default.
    pub fn new(inputs: Vec<LogInput>) -> Log {
        Log { inputs, follow: false, block_bytes: log::BLOCK_BYTES }
    }

    /// A log that is one file.
    pub fn file(path: impl Into<PathBuf>) -> Log {
        Log::new(vec![LogInput::File(path.into())])
    }

    /// The same, followed: see [`Log::follow`].
    #[must_use]
    pub fn followed(self) -> Log {
        Log { follow: true, ..self }
    }
}

/// Where a row's time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// From its transaction: every state that is shown is that of one commit. Needs the connector's
    /// `provide.transaction.metadata=true`.
    #[default]
    Transactions,
    /// From its arrival: each row is shown by itself, at max(time before + 1, its LSN), also if others of its transaction
    /// are not there yet, or if it is delivered again. Such documents are *unaligned*, which every report says; what order
    /// rows of different partitions have is different in every run, so that an index is filled anew by each.
    ///
    /// Also in the end they may differ from Postgres's: where a table was truncated, where a key has moved to a partition that
    /// was added, where a connector was killed inside its snapshot (rows of the first one that are gone since), and where a
    /// key changed of a row with values that Postgres leaves out, which is then listed as inexact.
    ///
    /// [`until`](EngineOptions::until) ends such a run with the first row above it, from whatever partition;
    /// [`wait_for`](crate::RunHandle::wait_for) goes by the times of rows, which are below their transaction's END.
    None,
}

/// How a run goes, whatever it reads. [`Engine`](crate::Engine) has a method for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Worker threads. Default 1.
    pub workers: usize,
    /// The topic prefix of the connector. `None`, the default: the one found in the log, which only files can be searched
    /// for.
    pub prefix: Option<String>,
    /// How many partitions topics have, each named as `PREFIX.SCHEMA.TABLE`. Needed where it cannot be seen: for a source of
    /// records, for standard input, for a log that is followed, and for a dump that lacks a partition.
    pub partitions: BTreeMap<String, u32>,
    /// Where a row's time comes from. Default: its transaction.
    pub alignment: Alignment,
    /// Stop at the last transaction that ends at or before this LSN.
    pub until: Option<Lsn>,
    /// What is read holds all of the initial snapshot, even if a partition shows no change after it. Where there may always
    /// be more: all of it is there once a transaction behind it has settled. A row of it that comes later ends the run.
    pub snapshot_complete: bool,
    /// Go on without an initial snapshot.
    pub allow_partial_base: bool,
    /// What to do with records that cannot be used.
    pub on_bad_record: OnBadRecord,
    /// A row of a blocking snapshot repairs what the stream has lost only after the stream is this many milliseconds past
    /// the moment it was read. Default 10,000.
    pub repair_delay_ms: i64,
    /// Where there may always be more, a transaction that has been there for this many milliseconds, with all that was
    /// there read, closes when its rows are all counted, [`settled`](crate::Report::settled) and not proven. 0 waits for a
    /// proof for ever. Default 30,000.
    pub settle_ms: u64,
    /// How many bytes of rows may wait in memory for their transactions to be complete, all workers and tables together.
    /// What is more waits in files. Default 256 MiB.
    pub memory_budget: u64,
    /// The folder in which the run makes one of its own for those files, when it needs it; it goes with the run. Default:
    /// the system's folder for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// How many bytes those files may have. Where that is not enough the run ends with
    /// [`Error::Spill`](crate::Error::Spill). Default 16 GiB.
    pub spill_budget: u64,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            workers: 1,
            prefix: None,
            partitions: BTreeMap::new(),
            alignment: Alignment::Transactions,
            until: None,
            snapshot_complete: false,
            allow_partial_base: false,
            on_bad_record: OnBadRecord::Stop,
            repair_delay_ms: 10_000,
            settle_ms: 30_000,
            memory_budget: 256 << 20,
            spill_dir: None,
            spill_budget: 16 << 30,
        }
    }
}
