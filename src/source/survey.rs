//! A first look at a log: what must be known of all of it before any of it is used.
//!
//! Every log is looked at once for its topics, partitions and connector runs, by the heads of its lines. Where there is
//! more than one run, it is read twice more, decoded, to find which transactions a restart may have interrupted and how
//! far each partition must be read until every row of them has been seen.
//!
//! ```text
//!   rows of run A   ......┐                     previous END of its rows, smallest to greatest
//!   rows of run B      └────────┐
//!                      ├──┤ both: transactions here, and the one before, may be interrupted
//! ```
//!
//! # Notes
//! The one before: a run that resumes behind the last row of a transaction emits only its END, which counts nothing, and
//! the next row it emits is of the transaction that follows.

use super::catalog::{Catalog, Partition, Topic};
use super::kcat;
use super::log::{self, Block, LogError, LogInput};
use crate::align::Reached;
use crate::envelope::{Decoder, Envelope, Origin, RowBuffer};
use crate::time::Lsn;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the heads of a log's lines show.
#[derive(Default)]
pub(crate) struct Heads {
    /// The partition numbers of each topic.
    topics: BTreeMap<String, BTreeSet<u32>>,
    /// The connector runs, by the text of their header.
    runs: BTreeSet<Vec<u8>>,
}

/// Which transactions a restart of the connector may have interrupted.
#[derive(Clone, Debug, Default)]
pub(crate) enum Restarts {
    /// Nothing is known: any.
    #[default]
    Unknown,
    /// Those of these stretches.
    Known(Vec<Restart>),
}

/// A stretch of transactions that two runs may have delivered.
#[derive(Clone, Debug)]
pub(crate) struct Restart {
    /// The transactions whose previous END is from here
    from: Lsn,
    /// to here
    to: Lsn,
    /// are wholly read when each of these partitions was read to its offset.
    reached: Vec<(Partition, u64)>,
}

impl Restart {
    /// The transactions whose previous END is in `from..=to`, wholly read when `reached` is.
    pub(crate) fn new(from: Lsn, to: Lsn, reached: Vec<(Partition, u64)>) -> Restart {
        Restart { from, to, reached }
    }
}

impl Restarts {
    /// Whether the log is of one run.
    pub(crate) fn none(&self) -> bool {
        matches!(self, Restarts::Known(restarts) if restarts.is_empty())
    }

    /// Whether all rows of the transaction behind `previous` that bear signs of a restart have been read.
    pub(crate) fn read(&self, previous: Lsn, partitions: &impl Reached) -> bool {
        let Restarts::Known(restarts) = self else { return false };
        restarts
            .iter()
            .filter(|restart| (restart.from..=restart.to).contains(&previous))
            .all(|restart| restart.reached.iter().all(|(partition, offset)| partitions.reached(*partition, *offset)))
    }
}

impl Heads {
    /// Reads the heads of all lines.
    pub(crate) fn read(inputs: &[LogInput]) -> Result<Heads, LogError> {
        let mut heads = Heads::default();
        let run = memchr::memmem::Finder::new(b"\"__debezium.context.runId\",\"");
        log::read(inputs, log::BLOCK_BYTES, |block| {
            block.lines.split(|c| *c == b'\n').for_each(|line| heads.line(line, &run));
            true
        })?;
        Ok(heads)
    }

    fn line(&mut self, line: &[u8], run: &memchr::memmem::Finder<'_>) {
        // What is no line is told when the log is read for good.
        let Ok((topic, partition)) = kcat::parse_head(line) else { return };
        match self.topics.get_mut(topic.as_ref()) {
            Some(partitions) => {
                partitions.insert(partition);
            }
            None => {
                self.topics.insert(topic.into_owned(), BTreeSet::from([partition]));
            }
        }
        let found = run.find(line).and_then(|at| line.get(at + run.needle().len()..)).and_then(|rest| {
            let end = memchr::memchr(b'"', rest)?;
            rest.get(..end)
        });
        if let Some(found) = found.filter(|found| !self.runs.contains(*found)) {
            self.runs.insert(found.to_owned());
        }
    }

    /// The prefixes of the transaction topics there are.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        self.topics.keys().filter_map(|topic| topic.strip_suffix(".transaction")).map(str::to_owned).collect()
    }

    /// Whether the log has a topic called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.topics.contains_key(name)
    }

    /// How many partitions the topic called `name` has: numbers below the greatest seen exist too.
    pub(crate) fn partitions(&self, name: &str) -> u32 {
        self.topics.get(name).and_then(BTreeSet::last).map_or(0, |last| last + 1)
    }

    /// Finds the transactions that a restart may have interrupted.
    pub(crate) fn restarts(&self, inputs: &[LogInput], catalog: &Catalog) -> Result<Restarts, LogError> {
        if self.runs.len() <= 1 {
            return Ok(Restarts::Known(Vec::new()));
        }
        let mut runs: HashMap<u128, (Lsn, Lsn)> = HashMap::new();
        for_each_row(inputs, catalog, |row| {
            let range = runs.entry(row.run).or_insert((row.previous, row.previous));
            *range = (range.0.min(row.previous), range.1.max(row.previous));
        })?;
        let mut stretches = stretches(&runs.into_values().collect::<Vec<_>>());
        let mut before = vec![Lsn(0); stretches.len()];
        let mut reached = vec![BTreeMap::new(); stretches.len()];
        for_each_row(inputs, catalog, |row| {
            for (((from, to), before), reached) in stretches.iter().zip(&mut before).zip(&mut reached) {
                if row.previous < *from {
                    *before = row.previous.max(*before);
                }
                if row.previous <= *to {
                    let last = reached.entry(row.partition).or_insert(row.offset);
                    *last = row.offset.max(*last);
                }
            }
        })?;
        for ((from, _), before) in stretches.iter_mut().zip(before) {
            *from = before;
        }
        Ok(Restarts::Known(
            stretches
                .into_iter()
                .zip(reached)
                .map(|((from, to), reached)| Restart::new(from, to, reached.into_iter().collect()))
                .collect(),
        ))
    }
}

/// For each two runs, what both may have delivered. The start is still to be moved to the transaction before.
fn stretches(runs: &[(Lsn, Lsn)]) -> Vec<(Lsn, Lsn)> {
    let mut stretches = Vec::new();
    for (at, one) in runs.iter().enumerate() {
        for other in runs.iter().skip(at + 1) {
            stretches.push((one.0.max(other.0), one.1.min(other.1)));
        }
    }
    stretches
}

struct SurveyedRow {
    partition: Partition,
    offset: u64,
    previous: Lsn,
    run: u128,
}

/// Decodes the log for the places of its rows; what cannot be read is told when the log is read for good.
fn for_each_row(inputs: &[LogInput], catalog: &Catalog, mut each: impl FnMut(SurveyedRow)) -> Result<(), LogError> {
    let mut decoder = Decoder::new(catalog.clone());
    log::read(inputs, log::BLOCK_BYTES, |block: Block| {
        let mut buffers: Vec<Box<dyn RowBuffer>> = catalog.codecs.iter().map(|codec| codec.buffer()).collect();
        for line in block.lines.split(|c| *c == b'\n') {
            let Ok(record) = kcat::parse(line) else { continue };
            let topic = catalog.topic(&record.topic);
            let (Topic::Table(_), Some(partition)) = (topic, Catalog::partition(topic, record.partition)) else {
                continue;
            };
            let placed = match decoder.decode(&record, topic, &mut buffers) {
                Ok(Envelope::Row { origin, run, .. }) => Some((origin, run)),
                Ok(_) => None,
                Err(bad) => bad.origin,
            };
            if let Some((Origin::Stream { previous, .. }, Some(run))) = placed {
                each(SurveyedRow { partition, offset: record.offset, previous, run });
            }
        }
        true
    })
}
