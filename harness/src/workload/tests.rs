//! Histories are possible ones, and contain what they are about.

use super::*;

fn random_history(seed: u64) -> History {
    let mut rng = fastrand::Rng::with_seed(seed);
    History::generate(seed, &WorkloadOptions::random(&mut rng))
}

#[test]
fn lsns_and_times_follow_the_wal() {
    for seed in 0..100 {
        let history = random_history(seed);
        let all: Vec<&Commit> = history.earlier.iter().chain(&history.commits).collect();
        for pair in all.windows(2) {
            assert!(pair[0].end_lsn < pair[1].end_lsn, "seed {seed}: END rises");
            assert!(pair[0].commit_ms <= pair[1].commit_ms, "seed {seed}: commit times do not fall");
        }
        for commit in &all {
            assert!(
                commit.changes.iter().all(|change| change.lsn < commit.end_lsn),
                "seed {seed}: a row lies before its END"
            );
            assert!(commit.changes.is_sorted_by_key(|change| change.lsn), "seed {seed}: rows lie in WAL order");
            assert!(commit.begin_lsn <= commit.changes.first().map_or(commit.end_lsn, |change| change.lsn));
        }
        assert!(history.earlier.iter().all(|commit| commit.end_lsn <= history.base_lsn), "seed {seed}");
        assert!(history.commits.iter().all(|commit| commit.end_lsn > history.base_lsn), "seed {seed}");
    }
}

#[test]
fn every_change_fits_the_tables_it_finds() {
    for seed in 0..100 {
        let history = random_history(seed);
        let mut tables = history.base();
        history.commits.iter().for_each(|commit| tables.apply(commit));
    }
}

#[test]
fn a_txid_names_one_transaction_at_a_time() {
    for seed in 0..60 {
        let history = random_history(seed);
        let all: Vec<&Commit> = history.earlier.iter().chain(&history.commits).collect();
        for (at, commit) in all.iter().enumerate() {
            for other in all.iter().skip(at + 1).filter(|other| other.txid == commit.txid) {
                assert!(other.begin_lsn >= commit.end_lsn, "seed {seed}: txid {} twice at once", commit.txid);
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    assert_eq!(random_history(7), random_history(7));
    assert_ne!(random_history(7), random_history(8));
}

#[test]
fn a_row_waits_for_whoever_changed_its_key() {
    for seed in 0..100 {
        let history = random_history(seed);
        let mut released: std::collections::BTreeMap<(Table, &str), u64> = std::collections::BTreeMap::new();
        for commit in history.earlier.iter().chain(&history.commits) {
            for (change, key) in commit.changes.iter().flat_map(|change| change.keys().map(move |key| (change, key))) {
                let end = released.get(&(change.table, key)).copied().unwrap_or(0);
                assert!(change.lsn >= end, "seed {seed}: {key} at {} before {end}", change.lsn);
            }
            let keys = commit.changes.iter().flat_map(|change| change.keys().map(|key| (change.table, key)));
            released.extend(keys.map(|key| (key, commit.end_lsn)));
        }
    }
}
