//! Generated logs against the oracle: every state the engine shows is true at its LSN, whatever the connector did to the
//! log, in whatever order partitions are read, at 1, 2 and 4 workers.

use harness::{Delivery, Passage, Scenario, check};

/// Seeds of one test. `harness seeds` runs many more.
const SEEDS: u64 = 40;

fn run(scenario: &Scenario, passage: &Passage) -> harness::Checked {
    check(scenario, passage).unwrap_or_else(|divergence| panic!("{divergence}"))
}

#[test]
fn random_logs_in_random_orders_equal_the_oracle_at_every_frontier() {
    for seed in 0..SEEDS {
        let scenario = Scenario::random(seed);
        for workers in [1, 2, 4] {
            let passage = Passage::random(seed, workers);
            let checked = run(&scenario, &passage);
            assert!(checked.states > 0, "seed {seed}: something was shown");
        }
    }
}
