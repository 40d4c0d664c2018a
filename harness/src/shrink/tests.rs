//! The shrinker reaches the smallest case where what fails is known.

use super::*;
use crate::check::Passage;
use crate::workload::WorkloadOptions;

/// The smallest case there is, of a seed: what is left when everything fails.
fn least(case: &Case) -> Case {
    let workload = WorkloadOptions {
        transactions: 1,
        initial_users: 0,
        initial_conversations: 0,
        initial_items: 0,
        weights: Weights::NONE,
        allow_truncate: false,
        allow_key_changes: false,
        ..WorkloadOptions::default()
    };
    let connector = ConnectorOptions { partitions: [1; 4], ..ConnectorOptions::default() };
    let passage = Passage {
        workers: 1,
        delivery: Delivery::Production,
        block_bytes: 256 << 10,
        cut: None,
        memory_budget: 256 << 20,
        include: Vec::new(),
        seed: case.passage.seed,
    };
    Case { seed: case.seed, workload, connector, passage }
}

/// A case of which no option is the smallest.
fn largest(seed: u64) -> Case {
    let mut case = Case::random(seed, 4).cut_off();
    case.workload = WorkloadOptions {
        transactions: 200,
        earlier_transactions: 20,
        initial_users: 15,
        initial_conversations: 40,
        initial_items: 120,
        weights: Weights { big: 1, ..Weights::default() },
        big_transactions: 1,
        xid_start: u32::MAX,
        finale: true,
        reuse_txids: true,
        ..WorkloadOptions::default()
    };
    case.connector = ConnectorOptions {
        partitions: [4; 4],
        restarts: 4,
        resume: Resume::Mixed,
        second_begin: false,
        flush_every: 7,
        in_flight_max: 7,
        duplicate_percent: 5,
        aborted_snapshots: 2,
        overlap: 10,
        incremental: true,
        blocking: true,
        replica_identity_full: true,
        schemas: Schemas::Mixed,
        snapshot_field: SnapshotField::Absent,
        tombstone_spellings: true,
        tombstones: false,
        extra_fields: true,
        sparse_fields: true,
        shuffle_fields: true,
        heartbeats: true,
        lose_rows: 5,
    };
    case.passage.delivery = Delivery::Random;
    case.passage.include = vec!["users.name".to_owned()];
    case.passage.block_bytes = 200;
    case.passage.memory_budget = 0;
    case
}

#[test]
fn what_always_fails_shrinks_to_nothing() {
    let case = largest(1);
    // The generator must cope with every case on the way down.
    let shrunk = shrink(case.clone(), ATTEMPTS_MAX, |case| case.scenario().seed == 1);
    assert_eq!(shrunk.case, least(&case));
    assert!(shrunk.smallest && shrunk.attempts < ATTEMPTS_MAX, "{} attempts", shrunk.attempts);
}

#[test]
fn a_known_condition_is_reached_exactly() {
    for seed in 0..20 {
        let case = largest(seed);
        // GIVEN a fault that needs four things together, one of them a number in the middle
        let fails = |case: &Case| {
            case.workload.transactions >= 37
                && case.connector.restarts >= 1
                && case.connector.partitions[2] >= 3
                && case.workload.weights.swap > 0
        };
        let shrunk = shrink(case.clone(), ATTEMPTS_MAX, fails);
        // THEN these are left, as small as they may be, and nothing else
        let mut expected = least(&case);
        expected.workload.transactions = 37;
        expected.connector.restarts = 1;
        expected.connector.partitions[2] = 3;
        expected.workload.weights.swap = case.workload.weights.swap;
        assert_eq!(shrunk.case, expected, "seed {seed}");
        assert!(shrunk.smallest && shrunk.attempts <= ATTEMPTS_MAX);
    }
}

#[test]
fn one_option_may_shrink_only_after_another() {
    // GIVEN a fault that needs many transactions as long as there are several workers
    let fails = |case: &Case| case.workload.transactions >= if case.passage.workers > 1 { 100 } else { 9 };
    let case = largest(3);
    let shrunk = shrink(case.clone(), ATTEMPTS_MAX, fails);
    let mut expected = least(&case);
    expected.workload.transactions = 9;
    assert_eq!(shrunk.case, expected);
}

#[test]
fn it_stops_at_the_limit_with_a_case_that_fails() {
    let case = largest(5);
    for limit in [0, 1, 7, 30] {
        let mut tried = 0;
        let fails = |case: &Case| {
            tried += 1;
            case.workload.transactions >= 10
        };
        let shrunk = shrink(case.clone(), limit, fails);
        assert_eq!((shrunk.attempts, tried, shrunk.smallest), (limit, limit, false));
        assert!(shrunk.case.workload.transactions >= 10);
    }
}

/// What the history holds is found too, though other options make another history of the seed.
#[test]
fn a_strange_thing_in_the_log_keeps_what_makes_it() {
    let holds = |case: &Case| {
        let oddities = case.scenario().oddities;
        oddities.swaps > 0 && oddities.restarts > 0
    };
    let case = (0..50).map(|seed| Case::random(seed, 4)).find(holds).expect("swaps and restarts occur");
    let shrunk = shrink(case.clone(), ATTEMPTS_MAX, holds);
    assert!(holds(&shrunk.case) && shrunk.smallest, "{shrunk:?}");
    assert_eq!((shrunk.case.connector.restarts, shrunk.case.passage.workers), (1, 1));
    assert!(shrunk.case.workload.transactions < 10, "{}", shrunk.case);
}

/// From end to end: the engine is right and the log lacks rows, so that the check fails.
#[test]
fn a_case_that_fails_is_printed_with_the_smallest_like_it() {
    let found = (0..20).find_map(|seed| {
        let mut case = Case::random(seed, 2);
        case.workload.finale = true;
        case.connector = ConnectorOptions { lose_rows: 5, partitions: [2; 4], ..ConnectorOptions::default() };
        case.check().err().map(|divergence| (case, divergence))
    });
    let (case, divergence) = found.expect("lost rows are told in some of 20 seeds");
    let text = smallest_failure(&case, &divergence);
    assert!(text.starts_with(&divergence.to_string()), "{text}");
    let (_, smallest) = text.split_once("\nCase {").expect("a case is printed");
    assert!(smallest.contains("lose_rows: 1") && smallest.contains("workers: 1"), "{text}");
    assert!(!text.contains("now and then"), "{text}");
}
