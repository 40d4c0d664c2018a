//! A case: one run of the engine over one generated log, with everything that brings it back. Its text is the Rust that
//! makes it, to be pasted into a list of cases that once failed.

use crate::check::{Checked, Divergence, Passage, check};
use crate::connector::{ConnectorOptions, Resume, Schemas, SnapshotField};
use crate::delivery::Delivery;
use crate::scenario::Scenario;
use crate::workload::{Weights, WorkloadOptions};
use std::fmt;

/// A generated log and how it reaches the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The seed of history and log.
    pub seed: u64,
    /// What was to be written to the database.
    pub workload: WorkloadOptions,
    /// How it was to be streamed.
    pub connector: ConnectorOptions,
    /// How the log reaches the engine.
    pub passage: Passage,
}

impl Case {
    /// The case of a seed, as `harness seeds` has it: [`Scenario::random`] by [`Passage::random`].
    pub fn random(seed: u64, workers: usize) -> Case {
        let (workload, connector) = Scenario::random_options(seed);
        Case { seed, workload, connector, passage: Passage::random(seed, workers) }
    }

    /// The case of a scenario and a passage.
    pub fn of(scenario: &Scenario, passage: &Passage) -> Case {
        let Scenario { seed, workload, connector, .. } = scenario;
        Case { seed: *seed, workload: workload.clone(), connector: connector.clone(), passage: passage.clone() }
    }

    /// The same, with the log cut off somewhere, as `harness seeds --cut` has it.
    #[must_use]
    pub fn cut_off(self) -> Case {
        Case { passage: self.passage.cut_off(), ..self }
    }

    /// Generates history and log.
    pub fn scenario(&self) -> Scenario {
        Scenario::generate(self.seed, self.workload.clone(), self.connector.clone())
    }

    /// Replays the log and compares every state.
    ///
    /// # Errors
    /// The first thing that is not true.
    pub fn check(&self) -> Result<Checked, Box<Divergence>> {
        check(&self.scenario(), &self.passage)
    }
}

/// A value as the Rust that makes it.
trait Source {
    fn source(&self) -> String;
}

/// Values whose Debug form is that, behind the name of their type if they have one.
macro_rules! source_by_debug {
    ($($prefix:literal $type:ty,)+) => {
        $(impl Source for $type {
            fn source(&self) -> String {
                format!("{}{self:?}", $prefix)
            }
        })+
    };
}

source_by_debug! {
    "" u8,
    "" u32,
    "" u64,
    "" usize,
    "" bool,
    "" [i32; 4],
    "" Option<f64>,
    "Resume::" Resume,
    "Schemas::" Schemas,
    "SnapshotField::" SnapshotField,
}

impl Source for Delivery {
    fn source(&self) -> String {
        match self {
            Delivery::PartitionLast(topic, partition) => {
                format!("Delivery::PartitionLast({topic:?}.to_owned(), {partition})")
            }
            other => format!("Delivery::{other:?}"),
        }
    }
}

impl Source for Vec<String> {
    fn source(&self) -> String {
        let texts: Vec<String> = self.iter().map(|text| format!("{text:?}.to_owned()")).collect();
        format!("vec![{}]", texts.join(", "))
    }
}

/// Structures of which only what differs from a base is written, the nearest of several. Every field must be named: the
/// pattern is complete.
macro_rules! source_by_fields {
    ($($type:ident [$($base:ident $($call:tt)?),+] { $($field:ident),+ $(,)? })+) => {
        $(impl Source for $type {
            fn source(&self) -> String {
                let $type { $($field),+ } = self;
                let differing = |base: $type, name: &str| {
                    let mut fields = Vec::new();
                    $(if *$field != base.$field {
                        fields.push(format!("{}: {}", stringify!($field), $field.source()));
                    })+
                    (fields, name.to_owned())
                };
                let bases = [$(differing(
                    $type::$base $($call)?,
                    concat!(stringify!($type), "::", stringify!($base) $(, stringify!($call))?),
                )),+];
                let nearest = bases.into_iter().min_by_key(|(fields, _)| fields.len());
                let (fields, base) = nearest.expect("there is a base");
                if fields.is_empty() {
                    return base;
                }
                format!("{} {{ {}, ..{base} }}", stringify!($type), fields.join(", "))
            }
        })+
    };
}

source_by_fields! {
    Weights [default (), NONE] {
        single, family, same_row, copy, key_change, key_chain, chain_across, swap, cycle, truncate, reparent,
        close_reopen, user, hot, big, empty, signal,
    }
    WorkloadOptions [default ()] {
        transactions, earlier_transactions, initial_users, initial_conversations, initial_items, weights,
        allow_truncate, allow_key_changes, big_transactions, xid_start, finale, reuse_txids,
    }
    ConnectorOptions [default ()] {
        partitions, restarts, resume, second_begin, flush_every, in_flight_max, duplicate_percent, aborted_snapshots,
        overlap, incremental, blocking, replica_identity_full, schemas, snapshot_field, tombstone_spellings,
        tombstones, extra_fields, sparse_fields, shuffle_fields, heartbeats, lose_rows,
    }
}

impl Source for Passage {
    fn source(&self) -> String {
        let Passage { workers, delivery, block_bytes, cut, memory_budget, include, seed } = self;
        format!(
            "Passage {{ workers: {workers}, delivery: {}, block_bytes: {block_bytes}, cut: {}, \
             memory_budget: {memory_budget}, include: {}, seed: {seed} }}",
            delivery.source(),
            cut.source(),
            include.source(),
        )
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { seed, workload, connector, passage } = self;
        writeln!(f, "Case {{")?;
        writeln!(f, "    seed: {seed},")?;
        writeln!(f, "    workload: {},", workload.source())?;
        writeln!(f, "    connector: {},", connector.source())?;
        writeln!(f, "    passage: {},", passage.source())?;
        write!(f, "}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value, and the text of the code that made it, without white space.
    macro_rules! written {
        ($($code:tt)+) => { ($($code)+, without_space(stringify!($($code)+))) };
    }

    fn without_space(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    #[test]
    fn a_case_prints_the_code_that_makes_it() {
        let plain = written!(Case {
            seed: 7,
            workload: WorkloadOptions::default(),
            connector: ConnectorOptions::default(),
            passage: Passage {
                workers: 1,
                delivery: Delivery::Production,
                block_bytes: 200,
                cut: None,
                memory_budget: 500,
                include: vec![],
                seed: 8
            },
        });
        let strange = written!(Case {
            seed: 20002,
            workload: WorkloadOptions {
                transactions: 13,
                weights: Weights { single: 0, swap: 9, ..Weights::default() },
                finale: true,
                ..WorkloadOptions::default()
            },
            connector: ConnectorOptions {
                partitions: [1, 2, 3, 4],
                resume: Resume::SkipBehind(9),
                duplicate_percent: 5,
                schemas: Schemas::Mixed,
                snapshot_field: SnapshotField::Absent,
                ..ConnectorOptions::default()
            },
            passage: Passage {
                workers: 4,
                delivery: Delivery::PartitionLast("podium.public.users".to_owned(), 2),
                block_bytes: 262144,
                cut: Some(0.25),
                memory_budget: 0,
                include: vec!["users.name".to_owned(), "users.bio".to_owned()],
                seed: 3
            },
        });
        let few = written!(Case {
            seed: 0,
            workload: WorkloadOptions { weights: Weights { swap: 3, ..Weights::NONE }, ..WorkloadOptions::default() },
            connector: ConnectorOptions::default(),
            passage: Passage {
                workers: 2,
                delivery: Delivery::SomePartitionLast,
                block_bytes: 200,
                cut: Some(1.0),
                memory_budget: 268435456,
                include: vec![],
                seed: 0
            },
        });
        for (case, code) in [plain, strange, few] {
            let text = case.to_string();
            assert!(!text.contains(" ::") && !text.contains(" ("), "it looks like code: {text}");
            assert_eq!(without_space(&text), code);
        }
    }
}
