//! Generated cases that once failed, as small as they could be made. A case that fails prints what belongs here: see
//! `harness`'s `smallest_failure`.

use crate::support::checked;
use harness::{Case, ConnectorOptions, Delivery, Passage, Resume, Weights, WorkloadOptions};

/// Each with what was wrong.
fn cases() -> Vec<Case> {
    let production = |include: Vec<String>, seed| Passage {
        workers: 1,
        delivery: Delivery::Production,
        block_bytes: 262_144,
        cut: None,
        memory_budget: 500,
        include,
        seed,
    };
    // A row of an incremental snapshot that a restarted connector delivered again, after a newer change of its key had
    // been let go: it took effect at the next END, and the change that came again behind it was dropped as known.
    let mut cases = vec![
        Case {
            seed: 20_002,
            workload: WorkloadOptions {
                transactions: 160,
                initial_users: 14,
                initial_conversations: 21,
                initial_items: 7,
                weights: Weights { truncate: 0, ..Weights::default() },
                allow_truncate: false,
                finale: true,
                ..WorkloadOptions::default()
            },
            connector: ConnectorOptions {
                partitions: [1, 1, 1, 4],
                restarts: 1,
                flush_every: 123,
                incremental: true,
                ..ConnectorOptions::default()
            },
            passage: production(vec![], 20_002),
        },
        Case {
            seed: 20_693,
            workload: WorkloadOptions {
                transactions: 199,
                initial_conversations: 24,
                initial_items: 115,
                finale: true,
                ..WorkloadOptions::default()
            },
            connector: ConnectorOptions {
                partitions: [3, 3, 4, 3],
                restarts: 4,
                resume: Resume::SkipBehind(9),
                in_flight_max: 55,
                incremental: true,
                extra_fields: true,
                sparse_fields: true,
                shuffle_fields: true,
                ..ConnectorOptions::default()
            },
            passage: production(vec!["users.name".to_owned()], 20_693),
        },
    ];
    // The same fault as the seed showed it first, with the log cut off and whole.
    cases.extend([1, 2, 4].map(|workers| Case::random(20_002, workers).cut_off()));
    cases.extend([1, 2, 4].map(|workers| Case::random(20_002, workers)));
    cases
}

#[test]
fn what_once_failed_is_right() {
    for case in cases() {
        checked(&case);
    }
}
