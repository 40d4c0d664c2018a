//! Real Debezium logs against Postgres's own answers, recorded after nearly every commit.

use crate::support::mirror::{Mirror, TABLES};
use crate::support::{Documents, EveryState, digest, text};
use deltaic::dataflows::{ConversationSearch, Value};
use deltaic::{Engine, LogInput, ReplayOptions, Report, Time};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A line of a capture's truth: the documents after the last transaction that ends at or before `lsn`.
#[derive(Deserialize)]
struct Truth {
    lsn: Time,
    n_docs: usize,
    digest: String,
    named_digest: Option<String>,
}

fn folder(capture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(capture)
}

fn log_of(capture: &str) -> PathBuf {
    match capture {
        "basic" => Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/podium/log.jsonl.zst"),
        other => folder(other).join("log.jsonl.zst"),
    }
}

fn lines<T: for<'de> Deserialize<'de>>(path: PathBuf) -> Vec<T> {
    let text = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    let lines = text.split(|c| *c == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Replays a capture and compares every line of its truth; answers with how many lines and named lines were equal.
fn check(capture: &str, log: PathBuf, workers: usize) -> (usize, usize, Report) {
    let truth: Vec<Truth> = lines(folder(capture).join("truth.jsonl.zst"));
    let (mut next, mut equal, mut named_equal) = (0, 0, 0);
    let mut compare = |truth: &Truth, documents: &Documents| {
        let found = digest(documents, &["conversation_uid", "user_uid", "step"]);
        assert_eq!((documents.len(), &found), (truth.n_docs, &truth.digest), "{capture}, {workers} workers, LSN {}", truth.lsn);
        equal += 1;
        if let Some(named) = &truth.named_digest {
            let found = digest(documents, &["conversation_uid", "user_uid", "step", "name"]);
            assert_eq!(&found, named, "{capture}, {workers} workers, names at LSN {}", truth.lsn);
            named_equal += 1;
        }
    };
    let mut before: Option<Documents> = None;
    let mut sink = EveryState::new(|time, documents: &Documents| {
        // A truth between two times is of the earlier one; the first line is the state of the initial snapshot.
        while let (Some(truth), Some(before)) = (truth.get(next).filter(|truth| truth.lsn < time), &before) {
            compare(truth, before);
            next += 1;
        }
        before = Some(documents.clone());
    });
    let view = ConversationSearch::default().include("users.name").unwrap();
    let options = ReplayOptions { workers, ..ReplayOptions::new(vec![LogInput::File(log)]) };
    let report = Engine::replay(view, options).run(&mut sink).unwrap();
    drop(sink);
    assert_eq!(report.open, [], "{capture} closes whole");
    assert_eq!((report.late, report.bad, report.inexact.len()), (0, 0, 0));
    let last = before.unwrap();
    truth[next..].iter().for_each(|truth| compare(truth, &last));
    (equal, named_equal, report)
}

fn check_at_all_sizes(capture: &str, lines: usize) {
    for workers in [1, 2, 4] {
        let (equal, named, _) = check(capture, log_of(capture), workers);
        assert_eq!(equal, lines, "{capture}: every line of the truth was compared");
        assert!(named > 2, "{capture}: named lines were compared");
    }
}

macro_rules! captures {
    ($($name:ident $capture:literal $lines:literal;)+) => {
        $(#[test]
        fn $name() {
            check_at_all_sizes($capture, $lines);
        })+
    };
}

captures! {
    basic_equals_postgres_at_every_commit "basic" 1504;
    truncate_equals_postgres_at_every_commit "truncate" 504;
    schemas_equals_postgres_at_every_commit "schemas" 378;
    full_equals_postgres_at_every_commit "full" 379;
    restart_equals_postgres_at_every_commit "restart" 1504;
    incremental_equals_postgres_at_every_commit "incremental" 1504;
    restart_copy_equals_postgres_at_every_commit "restart-copy" 704;
}

/// A row of a table at the end, as Postgres has it.
#[derive(Deserialize)]
struct FinalRow {
    table: String,
    row: BTreeMap<String, serde_json::Value>,
}

#[test]
fn final_tables_equal_postgres_column_by_column() {
    for capture in ["basic", "truncate", "schemas", "full", "restart", "incremental", "restart-copy"] {
        for workers in [1, 2, 4] {
            check_tables(capture, workers);
        }
    }
}

fn check_tables(capture: &str, workers: usize) {
    let mut sink = EveryState::new(|_, _: &Documents| {});
    let options = ReplayOptions { workers, ..ReplayOptions::new(vec![LogInput::File(log_of(capture))]) };
    let report = Engine::replay(Mirror, options).run(&mut sink).unwrap();
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
                (Value::Timestamp(found) | Value::Integer(found), serde_json::Value::String(expected)) => *found == micros(expected),
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
