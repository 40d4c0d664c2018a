//! Logs without transaction metadata: refused with what to change, or each row stands for itself.

use crate::captures::log_of;
use deltaic::dataflows::ConversationSearch;
use deltaic::{
    Alignment, ChangeLines, Engine, Error, FinalLines, Index, IndexOptions, Log, Lsn, NullSink, Report, TantivySink,
};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use tempfile::NamedTempFile;

const LAST: Lsn = Lsn(126_403_376);

/// The records of a connector without `provide.transaction.metadata`, as lines.
pub fn without_transactions() -> Vec<Value> {
    let mut records = Vec::new();
    let log = std::fs::File::open(log_of("basic")).unwrap();
    for line in BufReader::new(zstd::Decoder::new(log).unwrap()).lines() {
        let mut record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if record["topic"] == "podium.transaction" {
            continue;
        }
        if let Some(payload) = record["payload"].as_str() {
            let mut payload: Value = serde_json::from_str(payload).unwrap();
            // With the schema around it, or bare.
            let inner = if payload["payload"].is_object() { &mut payload["payload"] } else { &mut payload };
            inner["transaction"] = Value::Null;
            record["payload"] = Value::String(payload.to_string());
        }
        records.push(record);
    }
    records
}

/// The same as a log; `more` goes behind them.
fn log_without_transactions(more: &str) -> NamedTempFile {
    let mut out = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    without_transactions().iter().for_each(|record| writeln!(out, "{record}").unwrap());
    write!(out, "{more}").unwrap();
    out
}

fn engine(log: &NamedTempFile) -> Engine<ConversationSearch> {
    Engine::replay(ConversationSearch::default(), Log::file(log.path())).prefix("podium")
}

/// The documents at the end, as lines.
pub fn documents(engine: Engine<ConversationSearch>) -> (String, Report) {
    let mut out = Vec::new();
    let report = engine.run(&mut FinalLines::new(&mut out)).unwrap();
    (String::from_utf8(out).unwrap(), report)
}

#[test]
fn what_to_change_is_told() {
    let log = log_without_transactions("");
    let refused = engine(&log).run(&mut NullSink::default()).unwrap_err();
    assert!(matches!(refused, Error::NoTransactionTopic { .. }), "{refused}");
    // A topic of transactions alone does not help.
    let begin = r#"{"topic":"podium.transaction","partition":0,"offset":0,"key":null,"payload":null}"#;
    let log = log_without_transactions(&format!("{begin}\n"));
    let bad = engine(&log).run(&mut NullSink::default()).unwrap_err();
    assert!(matches!(bad, Error::BadRecord(_)), "{bad}");
    for told in [refused.to_string(), bad.to_string()] {
        assert!(
            told.contains("provide.transaction.metadata=true") && told.contains("`alignment` = \"none\""),
            "{told}"
        );
    }
}

/// GIVEN a log of one run without re-deliveries, WHEN each row stands for itself, THEN the documents at the end are the same.
#[test]
fn the_documents_at_the_end_are_those_of_the_rows() {
    let (aligned, _) = documents(Engine::replay(ConversationSearch::default(), Log::file(log_of("basic"))));
    let log = log_without_transactions("");
    for workers in [1, 3] {
        let (found, report) = documents(engine(&log).alignment(Alignment::None).workers(workers));
        assert!(
            found == aligned,
            "{workers} workers: {} lines, expected {}",
            found.lines().count(),
            aligned.lines().count()
        );
        // The last END is behind the last row. Of several workers a row may come behind later ones, whose times it then follows.
        let most = if workers == 1 { LAST } else { Lsn(LAST.0 + report.records) };
        assert!(report.unaligned_at.is_some_and(|at| at < most), "{report:?}");
        assert_eq!((report.exact_at, report.transactions(), report.late, report.redelivered), (None, 0, 0, 0));
        assert!(report.open.is_empty() && report.unended.is_empty() && report.inexact.is_empty(), "{report:?}");
    }
}

#[test]
fn each_row_has_a_time_of_its_own() {
    let log = log_without_transactions("");
    let mut out = Vec::new();
    engine(&log).alignment(Alignment::None).run(&mut ChangeLines::new(&mut out)).unwrap();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let times: Vec<u64> = lines.iter().map(|line| line["lsn"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && times.len() > 884, "{} changes", times.len());
    let until = times[times.len() / 2];
    let mut before = Vec::new();
    engine(&log).alignment(Alignment::None).until(Lsn(until)).run(&mut ChangeLines::new(&mut before)).unwrap();
    assert_eq!(before.lines().count(), times.iter().filter(|time| **time <= until).count());
}

/// An index of such rows says so, is filled anew by each run, and is not mixed with an aligned one.
#[test]
fn an_index_says_so_and_is_filled_anew() {
    let log = log_without_transactions("");
    let dir = tempfile::tempdir().unwrap();
    let fill = |engine: Engine<ConversationSearch>| {
        engine.run(&mut TantivySink::open(dir.path(), IndexOptions::default()).unwrap())
    };
    for _ in 0..2 {
        let report = fill(engine(&log).alignment(Alignment::None)).unwrap();
        assert_eq!((report.resumed_at, report.nothing_new), (None, false));
        let snapshot = Index::open(dir.path()).unwrap().snapshot();
        assert_eq!((snapshot.documents(), snapshot.is_aligned(), snapshot.lsn()), (884, false, report.unaligned_at));
        assert!(snapshot.stats().unwrap().unaligned);
    }
    let aligned = Engine::replay(ConversationSearch::default(), Log::file(log_of("basic")));
    let mixed = fill(aligned).unwrap_err().to_string();
    assert!(mixed.contains("the option unaligned is `true` in the index and none in this run"), "{mixed}");
}
