//! Large logs hold what they say, and the same for the same seed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

fn lines(rows: u64, seed: u64) -> (Summary, Vec<Value>) {
    let mut text = Vec::new();
    let summary = write_lines(&mut text, rows, seed).unwrap();
    (summary, values(&text))
}

fn values(text: &[u8]) -> Vec<Value> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn the_log_is_of_the_size_asked_for_and_consistent() {
    let (summary, lines) = lines(20_000, 1);
    assert_eq!((summary.rows, summary.records), (20_000, lines.len() as u64));
    assert!((10_500..11_500).contains(&summary.snapshot_rows), "{summary:?}");
    let (_, last_end) = standing(&lines);
    assert_eq!(last_end, summary.last_end_lsn);
}

#[test]
fn the_number_of_items_stays_while_they_are_replaced() {
    let sizes = LargeLogSizes { users: 1, conversations: 1, items_each: 10, partitions: 1 };
    let mut log = LargeLog::new(Vec::new(), sizes, 7);
    while log.snapshot(5).unwrap() > 0 {}
    assert_eq!(log.still(0).unwrap(), 3);
    let items = |log: &mut LargeLog<Vec<u8>>| {
        let (standing, _) = standing(&values(log.out()));
        standing.into_keys().filter(|(topic, _)| topic.ends_with("items")).map(|(_, key)| key).collect::<Vec<_>>()
    };
    let before = items(&mut log);
    for round in 0..40 {
        assert_eq!(items(&mut log).len(), 10, "round {round}");
        log.replacement().unwrap();
        log.replacement().unwrap();
    }
    let after = items(&mut log);
    assert!(before.iter().all(|item| !after.contains(item)), "the oldest go");
    assert_eq!((after.len(), log.summary().transactions), (10, 81));
}

#[test]
fn a_snapshot_in_pieces_is_the_same() {
    let snapshot = |most| {
        let mut log = LargeLog::new(Vec::new(), LargeLogSizes::of_rows(1_000), 2);
        while log.snapshot(most).unwrap() > 0 {}
        (std::mem::take(log.out()), log.summary())
    };
    assert_eq!(snapshot(7), snapshot(u64::MAX));
}

/// The rows that stand after all of `lines`, by topic and key, and the last END. No row comes twice or goes unseen.
fn standing(lines: &[Value]) -> (BTreeMap<(String, String), Value>, u64) {
    let mut standing: BTreeMap<(String, String), Value> = BTreeMap::new();
    let mut last_end = 0;
    for line in lines {
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
    (standing, last_end)
}

#[test]
fn the_same_seed_writes_the_same_lines() {
    assert_eq!(lines(500, 3), lines(500, 3));
    assert_ne!(lines(500, 3).1, lines(500, 4).1);
}
