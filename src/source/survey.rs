//! A first look at a log: what must be known of all of it before any of it is used.
//!
//! Every log is looked at once for its topics, partitions and connector runs, by the heads of its lines. Where there is
//! more than one run, it is looked at once more for where each run started: up to there a run may have resumed inside
//! any transaction.
//!
//! ```text
//!   rows of run A   ...............      previous END of its rows: it rises in each partition
//!   rows of run B        ...........     so the first row of each run in each partition is enough
//!                        ^ started
//! ```

use super::catalog::{Catalog, Partition, Topic};
use super::kcat;
use super::log::{self, LogError, LogInput};
use crate::envelope::{Decoder, Envelope, Origin, RowBuffer};
use crate::time::Lsn;
use memchr::memmem::Finder;
use std::borrow::Cow;
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
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Restarts {
    /// Nothing is known: any.
    #[default]
    Unknown,
    /// Those up to and with the one behind this END, behind which the last of all runs but the first started; none in a
    /// log of one run.
    Known { last_start: Option<Lsn> },
}

impl Restarts {
    /// Whether the log is of one run.
    pub(crate) fn none(self) -> bool {
        matches!(self, Restarts::Known { last_start: None })
    }
}

impl Heads {
    /// Reads the heads of all lines.
    pub(crate) fn read(inputs: &[LogInput]) -> Result<Heads, LogError> {
        let mut heads = Heads::default();
        let finder = RunFinder::new();
        log::read(inputs, log::BLOCK_BYTES, |block| {
            block.lines.split(|c| *c == b'\n').for_each(|line| heads.line(line, &finder));
            true
        })?;
        Ok(heads)
    }

    fn line(&mut self, line: &[u8], finder: &RunFinder) {
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
        if let Some(run) = finder.run(line).filter(|run| !self.runs.contains(run.as_ref())) {
            self.runs.insert(run.into_owned());
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

    /// Finds where the last run started.
    pub(crate) fn restarts(&self, inputs: &[LogInput], catalog: &Catalog) -> Result<Restarts, LogError> {
        if self.runs.len() <= 1 {
            return Ok(Restarts::Known { last_start: None });
        }
        let mut starts = Starts { catalog, decoder: Decoder::new(catalog.clone()), runs: HashMap::new() };
        let finder = RunFinder::new();
        log::read(inputs, log::BLOCK_BYTES, |block| {
            block.lines.split(|c| *c == b'\n').for_each(|line| starts.line(line, &finder));
            true
        })?;
        Ok(Restarts::Known { last_start: starts.last() })
    }
}

/// Finds the header that names the connector run.
struct RunFinder {
    /// The header as kcat writes it.
    quick: Finder<'static>,
    name: Finder<'static>,
}

impl RunFinder {
    fn new() -> RunFinder {
        RunFinder {
            quick: Finder::new(b"\"__debezium.context.runId\",\""),
            name: Finder::new(b"__debezium.context.runId"),
        }
    }

    fn run<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if let Some(at) = self.quick.find(line) {
            let rest = line.get(at + self.quick.needle().len()..)?;
            return rest.get(..memchr::memchr(b'"', rest)?).map(Cow::Borrowed);
        }
        self.name.find(line)?;
        let record = kcat::parse(line).ok()?;
        record.header("__debezium.context.runId").map(|run| Cow::Owned(run.as_bytes().to_vec()))
    }
}

/// Where a run started.
#[derive(Default)]
struct Start {
    /// It took a snapshot, so there was nothing it could have resumed in.
    snapshot: bool,
    /// The END before the first change it delivered.
    previous: Option<Lsn>,
    /// The partitions of which its first change was read.
    read: BTreeSet<Partition>,
}

struct Starts<'a> {
    catalog: &'a Catalog,
    decoder: Decoder,
    runs: HashMap<Vec<u8>, Start>,
}

impl Starts<'_> {
    /// Reads a line if it may be the first change of its run in its partition. What cannot be read is told when the log is
    /// read for good.
    fn line(&mut self, line: &[u8], finder: &RunFinder) {
        let Some(run) = finder.run(line) else { return };
        let Ok((topic, number)) = kcat::parse_head(line) else { return };
        let topic = self.catalog.topic(&topic);
        let (Topic::Table(_), Some(partition)) = (topic, Catalog::partition(topic, number)) else { return };
        if self.runs.get(run.as_ref()).is_some_and(|start| start.snapshot || start.read.contains(&partition)) {
            return;
        }
        let Ok(record) = kcat::parse(line) else { return };
        let mut buffers: Vec<Box<dyn RowBuffer>> = self.catalog.codecs.iter().map(|codec| codec.buffer()).collect();
        let origin = match self.decoder.decode(&record, topic, &mut buffers) {
            Ok(Envelope::Row { origin, .. }) => origin,
            Err(bad) if let Some((origin, _)) = bad.origin => origin,
            _ => return,
        };
        let start = self.runs.entry(run.into_owned()).or_default();
        match origin {
            Origin::Initial { .. } => start.snapshot = true,
            Origin::Stream { previous, .. } => {
                start.read.insert(partition);
                start.previous = Some(start.previous.map_or(previous, |least| least.min(previous)));
            }
            Origin::Incremental { .. } | Origin::Blocking { .. } => {}
        }
    }

    fn last(&self) -> Option<Lsn> {
        self.runs.values().filter(|start| !start.snapshot).filter_map(|start| start.previous).max()
    }
}
