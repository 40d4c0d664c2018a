//! A first look at a log: what must be known of all of it before any of it is used.
//!
//! Every log is looked at once for its topics, partitions and connector runs, by the heads of its lines. Where there is
//! more than one run, it is looked at once more for where each run started: up to there a run may have resumed inside
//! any transaction.
//!
//! ```text
//!   rows of run A   ...............      previous END of its rows: it rises in each partition
//!   rows of run B        ...........     so the first record of each run in each partition is enough
//!                        ^ started
//! ```

use super::kcat;
use super::log::{self, LogError, LogInput};
use crate::envelope::Place;
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
    /// How the lines of some of the partitions start, which then need no second look.
    starts: Vec<Box<[u8]>>,
}

/// The starts of lines that are kept.
const STARTS_MAX: usize = 16;

/// Which transactions a restart of the connector may have interrupted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Restarts {
    /// Nothing is known: any.
    #[default]
    Unknown,
    /// Those up to and with the one behind this END: there the last run started that took no snapshot itself. None if no
    /// run resumed.
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
        log::read_all(inputs, |block| {
            log::lines(&block.lines).for_each(|line| heads.line(line, &finder));
            true
        })?;
        Ok(heads)
    }

    fn line(&mut self, line: &[u8], finder: &RunFinder) {
        if !self.starts.iter().any(|start| line.starts_with(start)) {
            self.head(line);
        }
        if let Some(run) = finder.run(line).filter(|run| !self.runs.contains(run.as_ref())) {
            self.runs.insert(run.into_owned());
        }
    }

    fn head(&mut self, line: &[u8]) {
        // What is no line is told when the log is read for good.
        let Ok((topic, partition)) = kcat::parse_head(line) else { return };
        if let Some(start) = kcat::head(line).filter(|_| self.starts.len() < STARTS_MAX) {
            self.starts.push(start.into());
        }
        match self.topics.get_mut(topic.as_ref()) {
            Some(partitions) => {
                partitions.insert(partition);
            }
            None => {
                self.topics.insert(topic.into_owned(), BTreeSet::from([partition]));
            }
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
    pub(crate) fn restarts(&self, inputs: &[LogInput]) -> Result<Restarts, LogError> {
        if self.runs.len() <= 1 {
            return Ok(Restarts::Known { last_start: None });
        }
        tracing::warn!(runs = self.runs.len(), "the connector was restarted within the log, which is read once more");
        let mut starts = Starts::default();
        let finder = RunFinder::new();
        log::read_all(inputs, |block| {
            log::lines(&block.lines).for_each(|line| starts.line(line, &finder));
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
    /// The END before the first record it delivered.
    previous: Option<Lsn>,
    /// The partitions, by topic, of which its first record was read.
    read: BTreeMap<String, BTreeSet<u32>>,
}

#[derive(Default)]
struct Starts {
    runs: HashMap<Vec<u8>, Start>,
}

impl Starts {
    /// Reads a line if it may be the first record of its run in its partition. What cannot be read is told when the log is
    /// read for good.
    fn line(&mut self, line: &[u8], finder: &RunFinder) {
        let Some(run) = finder.run(line) else { return };
        let Ok((topic, number)) = kcat::parse_head(line) else { return };
        let read = |start: &Start| {
            start.snapshot || start.read.get(topic.as_ref()).is_some_and(|partitions| partitions.contains(&number))
        };
        if self.runs.get(run.as_ref()).is_some_and(read) {
            return;
        }
        let Some(place) = kcat::parse(line).ok().and_then(|record| Place::of(&record)) else { return };
        let start = self.runs.entry(run.into_owned()).or_default();
        match place {
            Place::Snapshot => start.snapshot = true,
            Place::After(previous) => {
                start.read.entry(topic.into_owned()).or_default().insert(number);
                start.previous = Some(start.previous.map_or(previous, |least| least.min(previous)));
            }
        }
    }

    fn last(&self) -> Option<Lsn> {
        self.runs.values().filter(|start| !start.snapshot).filter_map(|start| start.previous).max()
    }
}
