//! A generated log, folded by itself, comes to the tables of its history.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fold::{State, apply, read};
use super::*;
use crate::delivery::kcat_line;
use crate::oracle::{Oracle, TableRows};

fn rows(state: &State, table: &str) -> BTreeMap<String, Value> {
    let of_table = state.iter().filter(|((of, _), _)| of == table);
    of_table.map(|((_, key), rows)| (key.clone(), rows[0].clone())).collect()
}

fn tables(state: &State) -> TableRows {
    TableRows {
        users: rows(state, "users"),
        conversations: rows(state, "conversations"),
        items: rows(state, "conversation_items"),
    }
}

/// Folds the whole log and compares with the truth: every touched row after every transaction, whole tables now and then.
fn check(seed: u64) -> Oddities {
    let scenario = Scenario::random(seed);
    let oracle = Oracle::new(&scenario.history);
    let folded = read(&scenario.log);
    let (base, mut state) = folded.base;
    assert!(base == 0 || base == oracle.base_lsn(), "seed {seed}: the last snapshot attempt is the one at L0");
    assert_eq!(tables(&state), oracle.tables_at(oracle.base_lsn()), "seed {seed}: tables at L0");
    let overlap: Vec<u64> = folded.ends.keys().copied().filter(|end| *end <= base).collect();
    assert_eq!(
        overlap.len() as u64,
        scenario.oddities.overlap_transactions,
        "seed {seed}: transactions at or below L0"
    );
    let ends: Vec<u64> = folded.ends.keys().copied().filter(|end| *end > base).collect();
    assert_eq!(ends, oracle.ends(), "seed {seed}: every END is in the log");
    let mut previous = overlap.last().copied().unwrap_or(0);
    let mut truth = scenario.history.base();
    for (at, commit) in scenario.history.commits.iter().enumerate() {
        let end = commit.end_lsn;
        let changes = folded.transactions.get(&(previous, folded.ends[&end]));
        let mut changes = changes.into_iter().flat_map(|changes| changes.values().cloned()).collect::<Vec<_>>();
        assert!(changes.iter().all(|change| change.lsn < end), "seed {seed}: rows lie below END {end}");
        apply(&mut state, changes.drain(..));
        truth.apply(commit);
        for (table, key) in commit.changes.iter().flat_map(|change| change.keys().map(move |key| (change.table, key))) {
            let found = state.get(&(table.name().to_owned(), key.to_owned())).map(|rows| rows[0].clone());
            let expected = truth.of(table).get(key).map(|row| row.to_json());
            assert_eq!(found, expected, "seed {seed}: {} {key} at {end}", table.name());
        }
        if at % 25 == 0 || at + 1 == ends.len() {
            assert_eq!(tables(&state), oracle.tables_at(end), "seed {seed}: tables at {end}");
        }
        previous = end;
    }
    scenario.oddities
}

#[test]
fn every_log_folds_to_the_truth_and_nothing_strange_is_missing() {
    let mut all = Oddities::default();
    for seed in 0..200 {
        all += check(seed);
    }
    for (name, count) in all.rows() {
        assert!(count > 0 || name == "lost_rows", "no {name} in 200 seeds");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed| Scenario::random(seed).log.records.iter().map(kcat_line).collect::<Vec<_>>();
    for seed in 0..20 {
        assert_eq!(bytes(seed), bytes(seed), "seed {seed}");
    }
}

#[test]
fn lost_rows_leave_no_trace_but_the_loss() {
    let connector = ConnectorOptions { lose_rows: 3, ..ConnectorOptions::default() };
    let scenario = Scenario::generate(5, WorkloadOptions::default(), connector);
    let whole = Scenario::generate(5, WorkloadOptions::default(), ConnectorOptions::default());
    assert_eq!(scenario.oddities.lost_rows, 3);
    assert_eq!(scenario.log.records.len() + 3, whole.log.records.len());
    assert_eq!(scenario.oddities.ends_with_wrong_counts, 0);
}
