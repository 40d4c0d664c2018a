//! End to end, from the log file to a null sink: records/s, MB/s and CPU seconds, at 1 and 2 workers, and the same split
//! into what decoding costs and what the dataflow adds; with the view in plain differential operators; and as a multiple of
//! what other stream processors do with the same pipeline.
//!
//! The log is generated once, below `target/`, from a fixed seed: the workload of our peers' benchmark (conversations with
//! five items each as a snapshot, then single changes in transactions of one to five rows). `DELTAIC_BENCH_ROWS` sets its
//! size in rows (default 560,000). Times are wall clock and CPU time of the whole process, reader and decoders included;
//! each row is the median of `RUNS` runs, of the plain view one run. Decode alone is reading and decoding on one thread,
//! and nothing else; decode and align is the same replay with a view over the same tables that keeps nothing.
//!
//! # The peers
//! The same view, as a good user of each writes it, with RocksDB, fed from a local Kafka broker with this log, measured once
//! on two shared cores; of several designs and settings the best that gave the right answer. Kafka Streams 4.3.1: tables and
//! foreign-key joins of its DSL, 2 threads. Flink SQL 2.2.1: upsert input, mini-batches, 2 slots. CPU seconds are those of the
//! application, without the broker.

#![expect(clippy::print_stdout, reason = "a bench that prints its figures")]

use deltaic::dataflows::differential_dataflow::VecCollection;
use deltaic::dataflows::{
    BadValue, Collections, ConversationDocument, ConversationSearch, PlainConversationSearch, Row, Schema, Table, Time,
    Uuid, Value, View,
};
use deltaic::internals::decode_all;
use deltaic::{Engine, Log, LogInput, NullSink};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

const RUNS: usize = 3;

/// Rows per CPU second of the peers, by the log's rows.
const PEERS: [(&str, f64); 4] = [
    ("Kafka Streams, 2.24 M rows", 11_800.0),
    ("Kafka Streams, 560 k rows", 9_400.0),
    ("Flink SQL, 560 k rows", 9_400.0),
    ("Flink SQL, 2.24 M rows", 7_200.0),
];

// That of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let rows = std::env::var("DELTAIC_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(560_000);
    let log = log(rows);
    let text_bytes = text_bytes(&log);
    println!("log: {rows} rows, {:.0} MB of text, {:.0} MB zstd", text_bytes as f64 / 1e6, size(&log) as f64 / 1e6);
    println!("{:<34} {:>9} {:>9} {:>9} {:>9} {:>12}", "", "wall s", "CPU s", "krec/s", "MB/s", "krows/CPU s");
    let mut end_to_end = Vec::new();
    for workers in [1, 2] {
        let speed = print(&format!("log to null sink, {workers} workers"), RUNS, rows, text_bytes, || {
            replay(ConversationSearch::default(), &log, workers)
        });
        end_to_end.push(speed);
        print(&format!("  with the plain view, {workers} workers"), 1, rows, text_bytes, || {
            replay(PlainConversationSearch::default(), &log, workers)
        });
        print(&format!("  decode and align only, {workers} workers"), RUNS, rows, text_bytes, || {
            replay(Nothing, &log, workers)
        });
    }
    print("decode alone, one thread", RUNS, rows, text_bytes, || decode(&log));
    println!("\n{:<34} {:>12} {:>12}", "end to end, rows per CPU second", "1 worker", "2 workers");
    for (peer, speed) in PEERS {
        let times: Vec<String> = end_to_end.iter().map(|ours| format!("{:>10.1} x", ours / speed)).collect();
        println!("{:<34} {}", format!("to {peer}"), times.join(" "));
    }
}

fn log(rows: u64) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("bench-{rows}.jsonl.zst"));
    if !path.exists() {
        let whole = folder.join(format!("bench-{rows}.part"));
        harness::write_large(&whole, rows, 1).expect("the log can be written");
        std::fs::rename(&whole, &path).expect("the log can be named");
    }
    path
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn text_bytes(path: &Path) -> u64 {
    let file = std::fs::File::open(path).expect("the log is there");
    let mut decoder = zstd::stream::read::Decoder::new(file).expect("the log is zstd");
    std::io::copy(&mut decoder, &mut std::io::sink()).expect("the log is whole")
}

/// What a replay took: records, wall and CPU seconds.
struct Took {
    records: u64,
    wall: f64,
    cpu: f64,
}

fn replay(view: impl View, log: &Path, workers: usize) -> Took {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut sink = NullSink::default();
    let engine = Engine::replay(view, Log::file(log)).workers(workers).snapshot_complete(true);
    let report = engine.run(&mut sink).expect("the log is good");
    assert!(report.open.is_empty(), "everything closed");
    Took { records: report.records, wall: started.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
}

/// Reading and decoding alone.
fn decode(log: &Path) -> Took {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let input = LogInput::File(log.to_owned());
    let records = decode_all(&ConversationSearch::default(), "podium", &[input]).expect("the log is good");
    Took { records, wall: started.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
}

/// Prints the median of some runs, and answers its rows per CPU second.
fn print(name: &str, runs: usize, rows: u64, text_bytes: u64, mut run: impl FnMut() -> Took) -> f64 {
    let mut took: Vec<Took> = (0..runs).map(|_| run()).collect();
    took.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let Took { records, wall, cpu } = took.swap_remove(runs / 2);
    println!(
        "{name:<34} {wall:>9.2} {cpu:>9.2} {:>9.0} {:>9.0} {:>12.0}",
        records as f64 / wall / 1e3,
        text_bytes as f64 / wall / 1e6,
        rows as f64 / cpu / 1e3,
    );
    rows as f64 / cpu
}

/// User and system time of this process so far, from `/proc`, where it stands in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells a process its times");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// A view that keeps nothing: what is left is reading, decoding, alignment and the rows' way to their owners.
#[derive(Clone)]
struct Nothing;

/// A row of which only the key is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Bare;

impl Row for Bare {
    type Key = Uuid;

    fn read_key(values: &mut [Value]) -> Result<Uuid, BadValue> {
        values.first_mut().ok_or_else(|| BadValue::new("uid", "missing"))?.take_uuid("uid")
    }

    fn read(_values: &mut [Value]) -> Result<Bare, BadValue> {
        Ok(Bare)
    }
}

impl View for Nothing {
    type Tables = (Bare, Bare, Bare);
    type Output = ConversationDocument;

    fn name(&self) -> &str {
        "nothing"
    }

    fn tables(&self) -> Vec<Table> {
        ConversationSearch::default().tables()
    }

    fn schema(&self) -> Schema {
        ConversationSearch::default().schema()
    }

    fn build<'scope>(&self, tables: Collections<'scope, Self>) -> VecCollection<'scope, Time, ConversationDocument> {
        let (users, conversations, items) = tables;
        users.concat(conversations).concat(items).filter(|_| false).map(|(uid, _)| ConversationDocument {
            conversation_uid: uid,
            user_uid: uid,
            step: deltaic::dataflows::Step::Finished,
            extra: Default::default(),
        })
    }
}
