//! One seed, one case: a history, the log made of it, and what is strange about both.

use fastrand::Rng;

use crate::connector::{ConnectorOptions, Log, produce};
use crate::oddities::Oddities;
use crate::workload::{History, WorkloadOptions};

/// A generated case. Print the seed when a test fails: it brings everything back.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed it was made from.
    pub seed: u64,
    /// What was to be written to the database.
    pub workload: WorkloadOptions,
    /// How it was to be streamed.
    pub connector: ConnectorOptions,
    /// What happened in the database: the truth.
    pub history: History,
    /// What lies in Kafka.
    pub log: Log,
    /// What is strange about it.
    pub oddities: Oddities,
}

impl Scenario {
    /// The case of a seed, options drawn too.
    pub fn random(seed: u64) -> Scenario {
        let (workload, connector) = Scenario::random_options(seed);
        Scenario::generate(seed, workload, connector)
    }

    /// The options [`Scenario::random`] would use, for tests that change some of them first.
    pub fn random_options(seed: u64) -> (WorkloadOptions, ConnectorOptions) {
        let mut rng = Rng::with_seed(seed ^ 0x5eed_0003);
        (WorkloadOptions::random(&mut rng), ConnectorOptions::random(&mut rng))
    }

    /// A case with given options.
    pub fn generate(seed: u64, workload: WorkloadOptions, connector: ConnectorOptions) -> Scenario {
        let history = History::generate(seed, &workload);
        let mut oddities = Oddities::of_history(&history);
        let (log, streamed) = produce(&history, &connector, seed);
        oddities += streamed;
        Scenario { seed, workload, connector, history, log, oddities }
    }
}

#[cfg(test)]
mod fold;
#[cfg(test)]
mod tests;
