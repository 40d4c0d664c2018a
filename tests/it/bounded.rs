//! Memory that stays within bounds, measured as the system sees it, in processes of their own: a transaction of four times
//! the budget, and a sink that stands still. And what becomes of the files: when a run fails, panics, or is killed.
//!
//! A process of its own is this test binary once more, with [`a_process_of_its_own`] alone.

mod log;
mod process;

use crate::support::mirror::Mirror;
use crate::support::{Documents, EveryState};
use deltaic::{Ack, Batch, Engine, Error, History, Report, Sink, SinkError, SpillError};
use log::{Lines, uid};
use process::{Life, Outcome};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// What may wait in memory.
const BUDGET: u64 = 8 * MIB;
/// What a run may have besides: chunks of the log on their way, facts, what the allocator keeps.
const SLACK: u64 = 14 * MIB;
/// Rows of the large transaction, each a little over a KiB in memory: together more than four times the budget.
const ROWS: u64 = 30_000;

/// Updates of the rows of the snapshot.
fn few_keys(at: u64) -> (u32, &'static str) {
    (at as u32 % 100, "u")
}

/// A log with one large transaction, whose END comes last, if at all; and a small one behind it.
fn large(rows: u64, change: impl Fn(u64) -> (u32, &'static str), ends: bool) -> tempfile::NamedTempFile {
    let mut lines = Lines::started(100);
    lines.transaction(10, (0..rows).map(&change), ends);
    if ends {
        lines.transaction(11, [(0, "u"), (1, "u")].into_iter(), true);
    }
    lines.file()
}

fn life(log: &tempfile::NamedTempFile, dir: &TempDir) -> Life {
    Life {
        log: log.path().to_owned(),
        spill_dir: dir.path().to_owned(),
        memory_budget: BUDGET,
        spill_budget: u64::MAX,
        workers: 1,
        stall_ms: 0,
    }
}

fn is_empty(dir: &TempDir) -> bool {
    fs::read_dir(dir.path()).unwrap().next().is_none()
}

/// Runs a log with and without a budget; both show the same. Answers with the peaks, after that of a run in which hardly
/// anything waits.
fn peaks(what: &str, log: &tempfile::NamedTempFile, workers: usize) -> [u64; 3] {
    let dir = TempDir::new().unwrap();
    let small = large(1_000, few_keys, true);
    let least = Life { workers, ..life(&small, &dir) }.run();
    let within = Life { workers, ..life(log, &dir) }.run();
    let free = Life { memory_budget: u64::MAX, workers, ..life(log, &dir) }.run();
    assert_eq!((within.documents, within.transactions), (free.documents, free.transactions));
    assert_eq!(free.spilled, 0);
    assert!(within.spilled > 2 * BUDGET, "{} bytes went to disk", within.spilled);
    assert!(is_empty(&dir), "files were left");
    let peaks = [least.peak, within.peak, free.peak];
    eprintln!("{what}, {workers} workers: peaks of {:?} MiB", peaks.map(|peak| peak / MIB));
    peaks
}

#[test]
fn a_transaction_of_four_times_the_budget_stays_within_it() {
    let log = large(ROWS, few_keys, true);
    for workers in [1, 2] {
        let [least, within, free] = peaks("many changes of few rows", &log, workers);
        assert!(within < least + BUDGET + SLACK, "{within} bytes, {least} at least");
        assert!(free > least + 4 * BUDGET, "the transaction has only {} bytes", free - least);
    }
}

/// Rows of their own, which do not go: they are the state that follows, if the transaction ends.
#[test]
fn a_transaction_that_does_not_end_stays_within_the_budget() {
    let log = large(ROWS, |at| (1_000 + at as u32, "c"), false);
    let [least, within, free] = peaks("distinct rows of an open transaction", &log, 1);
    assert!(within < least + BUDGET + SLACK, "{within} bytes, {least} at least");
    assert!(free > least + 4 * BUDGET, "the transaction has only {} bytes", free - least);
}

#[test]
fn rows_that_come_and_go_within_a_transaction_stay_within_the_budget() {
    let log = large(ROWS * 2, |at| (1_000 + at as u32 / 2, if at % 2 == 0 { "c" } else { "d" }), true);
    let [least, within, _] = peaks("rows that come and go", &log, 1);
    assert!(within < least + BUDGET + SLACK, "{within} bytes, {least} at least");
}

/// Nothing shows that the snapshot is complete before the log ends, so all of them wait, and then go one after the other.
#[test]
fn many_small_transactions_that_wait_take_little_besides_the_budget() {
    const TRANSACTIONS: u64 = 12_000;
    let mut lines = Lines::silent(100);
    for tx in 10..10 + TRANSACTIONS {
        lines.transaction(tx, [few_keys(tx), few_keys(tx * 7)].into_iter(), true);
    }
    let log = lines.file();
    for workers in [1, 2] {
        let [least, within, free] = peaks("small transactions", &log, workers);
        let of_each = TRANSACTIONS * 2 * 1024;
        assert!(within < least + BUDGET + SLACK + of_each, "{within} bytes, {least} at least");
        assert!(within + BUDGET < free, "{free} bytes without a budget");
    }
}

/// `DELTAIC_STALL_MS=60000 cargo test bounded::a_sink` has it stand still for a minute.
#[test]
fn a_sink_that_stands_still_stops_the_source() {
    let mut lines = Lines::started(100);
    for tx in 10..20_000 {
        lines.transaction(tx, [few_keys(tx), few_keys(tx * 7)].into_iter(), true);
    }
    let (log, dir) = (lines.file(), TempDir::new().unwrap());
    let stall_ms = std::env::var("DELTAIC_STALL_MS").map_or(4_000, |text| text.parse().unwrap());
    for workers in [1, 2] {
        let quick = Life { workers, ..life(&log, &dir) }.run();
        let stalled = Life { workers, stall_ms, ..life(&log, &dir) }.run();
        assert_eq!((stalled.documents, stalled.transactions), (quick.documents, quick.transactions));
        let peaks = [quick.peak, stalled.peak].map(|peak| peak / MIB);
        eprintln!("a sink that stands still for {stall_ms} ms, {workers} workers: peaks of {peaks:?} MiB");
        assert!(stalled.peak < quick.peak + BUDGET + SLACK, "{peaks:?} MiB");
    }
}

#[test]
fn what_a_killed_run_left_goes_with_the_next_and_a_living_run_keeps_its_own() {
    let (log, dir) = (large(2_000, few_keys, true), TempDir::new().unwrap());
    let tight = Life { memory_budget: MIB, ..life(&log, &dir) };
    let mut stands = Life { stall_ms: 600_000, ..tight.clone() }.start();
    while is_empty(&dir) {
        assert_eq!(stands.try_wait().unwrap(), None, "it makes a folder before it ends");
        sleep(Duration::from_millis(5));
    }
    assert!(tight.run().spilled > 0);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the folder of the run that lives");
    stands.kill().unwrap();
    stands.wait().unwrap();
    assert!(!is_empty(&dir), "a killed run cannot remove anything");
    assert!(tight.run().spilled > 0);
    assert!(is_empty(&dir));
}

fn replay(life: &Life, sink: &mut impl Sink) -> Result<Report, Error> {
    life.engine().run(sink)
}

/// What a run has shown when it ends.
fn shown(life: &Life) -> (Result<Report, Error>, Documents) {
    let mut sink = EveryState::new(|_, _: &Documents| {});
    let outcome = replay(life, &mut sink);
    (outcome, sink.documents)
}

#[test]
fn a_disk_that_is_too_small_ends_the_run_at_the_state_before() {
    let (log, dir) = (large(2_000, few_keys, true), TempDir::new().unwrap());
    let (outcome, documents) = shown(&Life { memory_budget: MIB / 2, spill_budget: MIB, ..life(&log, &dir) });
    let error = outcome.unwrap_err();
    assert!(matches!(&error, Error::Spill { error: SpillError::Budget { budget: MIB }, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "table public.users: rows of transaction 10 wait, and what waits on disk is at its limit of 1048576 bytes; raise \
         the spill budget (engine.spill_budget_bytes) or the memory budget (engine.memory_budget_bytes)"
    );
    assert!(is_empty(&dir));
    // The state of the transaction before, or nothing.
    let before = shown(&life(&Lines::started(100).file(), &dir)).1;
    assert!(documents == before || documents.is_empty(), "{} documents", documents.len());
    assert!(before.keys().any(|id| id.0.ends_with(&uid(3))));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (log, dir) = (large(2_000, few_keys, true), TempDir::new().unwrap());
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let tight = Life { memory_budget: MIB / 2, spill_dir: file.clone(), ..life(&log, &dir) };
    let error = shown(&tight).0.unwrap_err().to_string();
    let start = format!("table public.users: rows of transaction 10 wait, and cannot create {}: ", file.display());
    assert!(error.starts_with(&start), "{error}");
    // What fits needs no folder.
    shown(&Life { memory_budget: u64::MAX, ..tight }).0.unwrap();
}

/// Panics at the second batch.
struct Panics(u64);

impl Sink for Panics {
    fn history(&self) -> History {
        History::Latest
    }

    fn apply(&mut self, _: Batch) -> Result<Ack, SinkError> {
        self.0 += 1;
        assert!(self.0 < 2, "enough");
        Ok(Ack::Accepted)
    }
}

#[test]
fn a_panic_leaves_no_files() {
    let (log, dir) = (large(2_000, few_keys, true), TempDir::new().unwrap());
    let tight = Life { memory_budget: 0, ..life(&log, &dir) };
    let panicked = catch_unwind(AssertUnwindSafe(|| replay(&tight, &mut Panics(0)).map(|_| ())));
    assert!(panicked.is_err());
    assert!(is_empty(&dir));
}

/// What [`Life::run`] starts; by itself it does nothing.
#[test]
fn a_process_of_its_own() {
    if let Some(life) = Life::of_this_process() {
        let mut sink = process::Hashes::new(life.stall_ms);
        let report = replay(&life, &mut sink).unwrap();
        Outcome::of(&report, &sink).print();
    }
}

impl Life {
    fn engine(&self) -> Engine<Mirror> {
        let topics = [("users", 2), ("conversations", 1), ("conversation_items", 1)];
        let engine =
            Engine::replay(Mirror, deltaic::Log::file(&self.log)).workers(self.workers).snapshot_complete(true);
        topics
            .into_iter()
            .fold(engine, |engine, (table, count)| engine.partitions(format!("podium.public.{table}"), count))
            .memory_budget(self.memory_budget)
            .spill_dir(&self.spill_dir)
            .spill_budget(self.spill_budget)
    }
}
