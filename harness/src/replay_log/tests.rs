//! Large logs hold what they say, and the same for the same seed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

fn lines(rows: u64, seed: u64) -> (Summary, Vec<Value>) {
    let mut text = Vec::new();
    let summary = write_lines(&mut text, rows, seed).unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    (summary, lines.map(|line| serde_json::from_slice(line).unwrap()).collect())
}

#[test]
fn the_log_is_of_the_size_asked_for_and_consistent() {
    let (summary, lines) = lines(20_000, 1);
    assert_eq!((summary.rows, summary.records), (20_000, lines.len() as u64));
    assert!((10_500..11_500).contains(&summary.snapshot_rows), "{summary:?}");
    let mut standing: BTreeMap<(String, String), Value> = BTreeMap::new();
    let mut last_end = 0;
    for line in &lines {
        let Some(payload) = line["payload"].as_str() else { continue };
        let value: Value = serde_json::from_str(payload).unwrap();
        if value["status"] == "END" {
            let end: u64 = value["id"].as_str().unwrap().split_once(':').unwrap().1.parse().unwrap();
            assert!(end > last_end);
            last_end = end;
        }
        let id = (line["topic"].as_str().unwrap().to_owned(), line["key"].as_str().unwrap().to_owned());
        match value["op"].as_str() {
            Some("r" | "c") => assert!(standing.insert(id, value["after"].clone()).is_none(), "{line}"),
            Some("u") => assert!(standing.insert(id, value["after"].clone()).is_some(), "{line}"),
            Some("d") => assert!(standing.remove(&id).is_some(), "{line}"),
            _ => assert!(value["status"].is_string(), "{line}"),
        }
    }
    assert_eq!(last_end, summary.last_end_lsn);
}

#[test]
fn the_same_seed_writes_the_same_lines() {
    assert_eq!(lines(500, 3), lines(500, 3));
    assert_ne!(lines(500, 3).1, lines(500, 4).1);
}
