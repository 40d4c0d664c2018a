//! Real Debezium logs against Postgres's own answers, recorded after nearly every commit.

use crate::support::mirror::{Mirror, TABLES};
use crate::support::{Documents, EveryState, digest, text};
use deltaic::dataflows::{ConversationSearch, Value};
use deltaic::{Engine, Log, Report, Time};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A line of a capture's truth: the documents after the last transaction that ends at or before `lsn`.
#[derive(Deserialize)]
pub struct Truth {
    pub lsn: Time,
    pub n_docs: usize,
    pub digest: String,
    named_digest: Option<String>,
}

fn folder(capture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(capture)
}

pub fn log_of(capture: &str) -> PathBuf {
    match capture {
        "basic" => Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/podium/log.jsonl.zst"),
        other => folder(other).join("log.jsonl.zst"),
    }
}

/// What Postgres answered while a capture was made.
pub fn truth_of(capture: &str) -> Vec<Truth> {
    lines(folder(capture).join("truth.jsonl.zst"))
}

fn lines<T: for<'de> Deserialize<'de>>(path: PathBuf) -> Vec<T> {
    let text = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let lines = text.split(|c| *c == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// What a replay of a capture showed.
struct Compared {
    /// Lines of the truth that were equal, of all that there are.
    equal: usize,
    lines: usize,
    /// Lines of which the names were equal too.
    named: usize,
    report: Report,
}

/// Replays `log` and compares every line of the capture's truth.
fn compare(capture: &str, log: PathBuf, workers: usize) -> Compared {
    let truth = truth_of(capture);
    let (mut next, mut equal, mut named) = (0, 0, 0);
    let mut compare = |truth: &Truth, documents: &Documents| {
        let found = digest(documents, &["conversation_uid", "user_uid", "step"]);
        equal += usize::from((documents.len(), &found) == (truth.n_docs, &truth.digest));
        if let Some(expected) = &truth.named_digest {
            named += usize::from(digest(documents, &["conversation_uid", "user_uid", "step", "name"]) == *expected);
        }
    };
    // A truth between two times is of the earlier one; the first line is the state of the initial snapshot.
    let mut sink = EveryState::new(|time, documents: &Documents| {
        while let Some(truth) = truth.get(next).filter(|truth| truth.lsn < time) {
            compare(truth, documents);
            next += 1;
        }
    });
    let view = ConversationSearch::default().include("users.name").unwrap();
    let report = Engine::replay(view, Log::file(log)).workers(workers).run(&mut sink).unwrap();
    let last = sink.documents;
    truth[next..].iter().for_each(|truth| compare(truth, &last));
    Compared { equal, lines: truth.len(), named, report }
}

/// Compares a capture that equals Postgres, of which the number of lines and of named lines is known.
fn check(capture: &str, log: PathBuf, workers: usize, expected: (usize, usize)) {
    let Compared { equal, lines, named, report } = compare(capture, log, workers);
    assert_eq!((equal, lines, named), (expected.0, expected.0, expected.1), "{capture}, {workers} workers");
    assert_eq!(report.open, [], "{capture} closes whole");
    assert_eq!((report.late, report.bad, report.inexact.len()), (0, 0, 0));
}

/// The captures that equal Postgres, each with its lines of truth and its named ones.
pub const CAPTURES: [(&str, (usize, usize)); 7] = [
    ("basic", (1504, 17)),
    ("truncate", (504, 7)),
    ("schemas", (378, 5)),
    ("full", (379, 5)),
    ("restart", (1504, 17)),
    ("incremental", (1504, 17)),
    ("restart-copy", (704, 9)),
];

#[test]
fn captures_equal_postgres_at_every_commit() {
    for (capture, expected) in CAPTURES {
        for workers in [1, 2, 4] {
            check(capture, log_of(capture), workers, expected);
        }
    }
}

/// A capture's log with its partitions put together in another order: kept inside each, random between them. The last
/// seeds put the transaction topic wholly first, wholly last, and one other partition last.
fn interleaved(capture: &str, seed: u64) -> tempfile::NamedTempFile {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut partitions: BTreeMap<(String, u32), VecDeque<Vec<u8>>> = BTreeMap::new();
    let text = zstd::decode_all(std::fs::File::open(log_of(capture)).unwrap()).unwrap();
    for line in text.split_inclusive(|c| *c == b'\n') {
        let record: Place = serde_json::from_slice(line).unwrap();
        partitions.entry((record.topic, record.partition)).or_default().push_back(line.to_owned());
    }
    let weight = |(topic, partition): &(String, u32)| match seed % 4 {
        1 if topic.ends_with(".transaction") => u64::MAX,
        2 if topic.ends_with(".transaction") => 0,
        3 if topic.ends_with(".users") && *partition == 1 => 0,
        _ => 1,
    };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    while !partitions.is_empty() {
        let greatest = partitions.keys().map(weight).max().unwrap();
        let open: Vec<_> = partitions.keys().filter(|place| weight(place) == greatest).cloned().collect();
        let place = &open[rng.usize(..open.len())];
        let lines = partitions.get_mut(place).unwrap();
        // Stretches of random length, now and then a long one.
        let count = if rng.u8(..20) == 0 { rng.usize(..2000) } else { rng.usize(..20) } + 1;
        for line in lines.drain(..count.min(lines.len())) {
            file.write_all(&line).unwrap();
        }
        if lines.is_empty() {
            partitions.remove(place);
        }
    }
    file
}

#[derive(Deserialize)]
struct Place {
    topic: String,
    partition: u32,
}

#[test]
fn captures_equal_postgres_in_any_order_between_partitions() {
    for (number, (capture, expected)) in CAPTURES.into_iter().enumerate() {
        for seed in 0..4 {
            let workers = [1, 2, 4][(number + seed as usize) % 3];
            let log = interleaved(capture, seed);
            check(capture, log.path().to_owned(), workers, expected);
        }
    }
}

/// Debezium 3.6 lost rows of a COPY in these two when it was stopped gracefully (debezium/dbz#1554), and nothing in the
/// log betrays it. An independent replayer reaches as many lines as this one must; what a restart makes doubtful and no
/// later row proves stays open, and is told.
#[test]
fn logs_that_lack_rows_are_followed_as_far_as_they_go() {
    for (capture, reached, open) in [("restart-graceful", (634, 704), 8), ("restart-graceful-default", (363, 503), 0)] {
        let Compared { equal, lines, report, .. } = compare(capture, log_of(capture), 2);
        assert_eq!((equal, lines), reached, "{capture}");
        assert_eq!((report.late, report.open.len(), report.bad), (0, open, 0), "{capture}");
    }
}

/// A row of a table at the end, as Postgres has it.
#[derive(Deserialize)]
struct FinalRow {
    table: String,
    row: BTreeMap<String, serde_json::Value>,
}

#[test]
fn final_tables_equal_postgres_column_by_column() {
    for (capture, _) in CAPTURES {
        for workers in [1, 2, 4] {
            check_tables(capture, workers);
        }
    }
}

fn check_tables(capture: &str, workers: usize) {
    let mut sink = EveryState::new(|_, _: &Documents| {});
    let report = Engine::replay(Mirror, Log::file(log_of(capture))).workers(workers).run(&mut sink).unwrap();
    assert_eq!((report.open.len(), report.inexact.len()), (0, 0), "{capture}: {report:?}");

    let expected: Vec<FinalRow> = lines(folder(capture).join("final_tables.jsonl.zst"));
    assert_eq!(sink.documents.len(), expected.len(), "{capture}, {workers} workers: rows");
    for FinalRow { table, row } in &expected {
        let at = TABLES.iter().position(|name| name == table).unwrap();
        let uid = row["uid"].as_str().unwrap();
        let id = deltaic::DocumentId(format!("{table}/{uid}").into());
        let found = sink.documents.get(&id).unwrap_or_else(|| panic!("{capture}: {table} {uid} is missing"));
        assert_eq!(text(found, "uid"), uid);
        for (column, expected) in row.iter().filter(|(column, _)| *column != "uid") {
            let found = found.get(&format!("{at}.{column}")).unwrap();
            let same = match (found, expected) {
                (Value::Null, serde_json::Value::Null) => true,
                (Value::Text(found), serde_json::Value::String(expected)) => **found == **expected,
                (Value::Uuid(found), serde_json::Value::String(expected)) => found.to_string() == *expected,
                (Value::Timestamp(found) | Value::Integer(found), serde_json::Value::String(expected)) => {
                    *found == micros(expected)
                }
                _ => false,
            };
            assert!(same, "{capture}, {workers} workers: {table} {uid} {column} is {found:?}, not {expected}");
        }
    }
}

/// Microseconds since 1970 of Postgres's own JSON form of a timestamp, in UTC.
fn micros(text: &str) -> i64 {
    let text = text.strip_suffix("+00:00").unwrap_or(text);
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let numbers: Vec<i64> = seconds.split(['-', 'T', ':']).map(|number| number.parse().unwrap()).collect();
    let [year, month, day, hour, minute, second] = numbers[..] else { panic!("{text}") };
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = if year >= 1970 {
        (1970..year).map(|year| 365 + i64::from(leap(year))).sum()
    } else {
        -(year..1970).map(|year| 365 + i64::from(leap(year))).sum::<i64>()
    };
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    let fraction: i64 = format!("{fraction:0<6}").parse().unwrap();
    (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + fraction
}
