//! Generated logs against the oracle: every state the engine shows is true at its LSN, whatever the connector did to the
//! log, in whatever order partitions are read, at 1, 2 and 4 workers.
//!
//! A failure prints its seed and passage, and the smallest case like it, which belongs into `regressions.rs`;
//! `cargo run --release -p harness -- seeds --from SEED --count 1` brings it back.

use harness::{Case, Checked, Delivery, Oddities, Passage, Scenario, check, smallest_failure};

/// Seeds of one test. `harness seeds` runs many more.
const SEEDS: u64 = 60;

fn run(scenario: &Scenario, passage: &Passage) -> Checked {
    check(scenario, passage)
        .unwrap_or_else(|divergence| panic!("{}", smallest_failure(&Case::of(scenario, passage), &divergence)))
}

#[test]
fn random_logs_equal_the_oracle_at_every_frontier() {
    let (mut oddities, mut states, mut late, mut spilled) = (Oddities::default(), 0, 0, 0);
    for seed in 0..SEEDS {
        let scenario = Scenario::random(seed);
        oddities += scenario.oddities;
        for workers in [1, 2, 4] {
            let checked = run(&scenario, &Passage::random(seed, workers));
            states += checked.states;
            let report = checked.report.unwrap_or_default();
            late += report.late;
            spilled += u64::from(report.spilled_bytes > 0);
        }
    }
    assert!(states > SEEDS * 100, "{states} states were compared");
    assert_eq!(late, 0, "no transaction was torn");
    assert!(spilled > SEEDS, "rows waited on disk in {spilled} runs");
    // What the seeds are there for did occur.
    for (name, count) in oddities.rows().filter(|(name, _)| *name != "lost_rows") {
        assert!(count > 0, "no {name} in {SEEDS} seeds");
    }
}

#[test]
fn every_order_between_partitions_gives_the_same() {
    for (at, delivery) in Delivery::KINDS.into_iter().enumerate() {
        for seed in 1000..1008 {
            let scenario = Scenario::random(seed);
            let workers = [1, 2, 4][(at + seed as usize) % 3];
            run(&scenario, &Passage { delivery: delivery.clone(), ..Passage::random(seed, workers) });
        }
    }
}

#[test]
fn a_log_cut_off_anywhere_shows_nothing_that_was_not_true() {
    let (mut shown, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let scenario = Scenario::random(seed);
        let workers = [1, 2, 4][seed as usize % 3];
        for cut in [0.2, 0.5, 0.8, 0.95] {
            let checked = run(&scenario, &Passage { cut: Some(cut), ..Passage::random(seed, workers) });
            shown += u64::from(checked.states > 0);
            refused += u64::from(checked.refused.is_some());
        }
    }
    assert!(shown > 20 && refused > 20, "{shown} shown, {refused} refused");
}

/// A log of one connector run from beginning to end, in which every partition shows at the end that it went past.
#[test]
fn a_whole_log_without_restarts_closes_whole() {
    for seed in 2000..2030 {
        let (mut workload, mut connector) = Scenario::random_options(seed);
        workload.finale = true;
        connector.restarts = 0;
        let scenario = Scenario::generate(seed, workload, connector);
        let checked = run(&scenario, &Passage::random(seed, 2));
        let Some(report) = checked.report else { continue };
        assert_eq!(report.open, [], "seed {seed}");
        assert_eq!(report.exact_at.map(|lsn| lsn.0), scenario.history.commits.last().map(|commit| commit.end_lsn));
    }
}

/// The check can fail: it tells when rows are lost for good.
#[test]
fn the_check_tells_when_the_log_lacks_rows() {
    let mut told = 0;
    for seed in 0..20 {
        let (mut workload, mut connector) = Scenario::random_options(seed);
        workload.finale = true;
        (connector.restarts, connector.lose_rows) = (0, 5);
        connector.incremental = false;
        connector.blocking = false;
        let scenario = Scenario::generate(seed, workload, connector);
        told += u64::from(check(&scenario, &Passage::random(seed, 1)).is_err());
    }
    assert!(told > 5, "told {told} times of 20");
}
