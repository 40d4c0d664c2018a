//! Runs the engine over a scenario's log and compares everything it shows with the oracle.
//!
//! Every END of the history is compared, not only those at which a document changed: between two changes the oracle must
//! not change either. The engine decides which ENDs it shows; what it shows must be true.

use crate::{Delivery, Documents, Oracle, OracleOptions, Record, Scenario, Table, cut, deliver, kcat_line};
use deltaic::dataflows::ConversationSearch;
use deltaic::{Ack, Action, Batch, DocumentJson, Engine, EngineOptions, Error, History, Log, Report, Sink, SinkError};
use fastrand::Rng;
use std::fmt;
use std::io::{self, Write};

/// How a scenario's log reaches the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// Worker threads.
    pub workers: usize,
    /// The order between partitions.
    pub delivery: Delivery,
    /// Bytes of the log that are decoded at once.
    pub block_bytes: usize,
    /// Only this share of the log is there, from 0 to 1.
    pub cut: Option<f64>,
    /// The bytes of rows that may wait in memory; what is more waits on disk.
    pub memory_budget: u64,
    /// Columns that documents carry.
    pub include: Vec<String>,
    /// Seeds the order between partitions.
    pub seed: u64,
}

impl Passage {
    /// A random way of getting there, for `workers`.
    pub fn random(seed: u64, workers: usize) -> Passage {
        let mut rng = Rng::with_seed(seed ^ 0x9a55_a9e0);
        let include = ["users.name", "users.bio", "conversations.subject"];
        Passage {
            workers,
            delivery: Delivery::random(&mut rng),
            block_bytes: rng.choice([200, 2_000, 20_000, 256 << 10]).unwrap_or(2_000),
            cut: None,
            include: include.iter().filter(|_| rng.bool()).map(|column| (*column).to_owned()).collect(),
            memory_budget: rng.choice([0, 500, 10_000, 256 << 20]).unwrap_or(500),
            seed,
        }
    }

    /// The same, with the log cut off at a place drawn by its seed.
    #[must_use]
    pub fn cut_off(self) -> Passage {
        let share = Rng::with_seed(self.seed ^ 0xc07).f64();
        Passage { cut: Some(share), ..self }
    }
}

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// ENDs at which the documents equalled the oracle.
    pub states: u64,
    /// The engine's own report, unless it refused the log.
    pub report: Option<Report>,
    /// Why it refused the log.
    pub refused: Option<String>,
}

/// The engine showed something that is not true, or failed.
#[derive(Debug)]
pub struct Divergence {
    /// What is wrong, in words.
    pub problem: String,
    /// The scenario and the passage that bring it back.
    pub seed: u64,
    /// The passage.
    pub passage: Passage,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}\n{:?}", self.seed, self.problem, self.passage)
    }
}

impl std::error::Error for Divergence {}

/// Replays the scenario's log by `passage` and compares.
///
/// # Errors
/// The first thing that is not true.
pub fn check(scenario: &Scenario, passage: &Passage) -> Result<Checked, Box<Divergence>> {
    let diverged = |problem: String| Box::new(Divergence { problem, seed: scenario.seed, passage: passage.clone() });
    let oracle = Oracle::with_options(
        &scenario.history,
        OracleOptions { include: passage.include.clone(), ..OracleOptions::default() },
    );
    let mut rng = Rng::with_seed(passage.seed);
    let mut records = deliver(&scenario.log, &passage.delivery, &mut rng);
    if let Some(share) = passage.cut {
        records = cut(&records, (records.len() as f64 * share) as usize);
    }
    let file = write_log(&records).map_err(|error| diverged(error.to_string()))?;

    let view = passage.include.iter().try_fold(ConversationSearch::default(), |view, column| view.include(column));
    let view = view.map_err(|error| diverged(error.to_string()))?;
    let log = Log { block_bytes: passage.block_bytes, ..Log::file(file.path()) };
    let options = EngineOptions {
        workers: passage.workers,
        prefix: Some("podium".to_owned()),
        partitions: scenario.log.partitions.iter().map(|(topic, count)| (topic.clone(), *count as u32)).collect(),
        snapshot_complete: passage.cut.is_none(),
        memory_budget: passage.memory_budget,
        ..EngineOptions::default()
    };
    let mut sink = Comparing::new(oracle.states());
    let outcome = Engine::replay(view, log).options(options).run(&mut sink);
    let states = sink.compared;
    match outcome {
        Ok(report) => Ok(Checked { states, report: Some(report), refused: None }),
        Err(error) if states == 0 && is_refusal(&error) && (passage.cut.is_some() || starts_unseen(scenario)) => {
            Ok(Checked { states, report: None, refused: Some(error.to_string()) })
        }
        Err(Error::Sink(SinkError::Write(problem))) => Err(diverged(problem.to_string())),
        Err(error) => Err(diverged(format!("the engine failed: {error}"))),
    }
}

/// A log that is cut off may be refused, for what it lacks.
fn is_refusal(error: &Error) -> bool {
    use deltaic::AlignError::{NoSnapshot, SnapshotNotProven};
    matches!(error, Error::Align(NoSnapshot | SnapshotNotProven { .. }) | Error::NoTransactionTopic { .. })
}

/// Whether the log cannot show that it begins right after an empty snapshot: its first transaction changed no consumed table.
fn starts_unseen(scenario: &Scenario) -> bool {
    let first = scenario.history.commits.first();
    first.is_none_or(|commit| commit.changes.iter().all(|change| change.table == Table::Signal))
}

fn write_log(records: &[&Record]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile()?;
    let mut out = io::BufWriter::new(&mut file);
    for record in records {
        writeln!(out, "{}", kcat_line(record))?;
    }
    out.flush()?;
    drop(out);
    Ok(file)
}

/// A sink that compares what it is given with the oracle's states, END by END.
pub struct Comparing<I: Iterator<Item = (u64, Documents)>> {
    states: std::iter::Peekable<I>,
    expected: Documents,
    found: Documents,
    compared: u64,
}

impl<I: Iterator<Item = (u64, Documents)>> Comparing<I> {
    /// Compares with these states, each behind its END.
    pub fn new(states: I) -> Comparing<I> {
        let (expected, found) = Default::default();
        Comparing { states: states.peekable(), expected, found, compared: 0 }
    }

    /// At how many ENDs the documents equalled the state.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Compares at every END up to and with `last`; all touches up to there must be applied.
    fn compare_up_to(&mut self, last: u64) -> Result<(), String> {
        while let Some((lsn, expected)) = self.states.next_if(|(lsn, _)| *lsn <= last) {
            self.expected = expected;
            self.compared += 1;
            if self.found != self.expected {
                return Err(difference(lsn, &self.expected, &self.found));
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: Batch) -> Result<(), String> {
        let (last, mut time) = (batch.upper - 1, batch.lower);
        for touch in batch.touched {
            if touch.time != time {
                // All touches of the times before are applied.
                self.compare_up_to(touch.time - 1)?;
                time = touch.time;
            }
            let id = touch.id.to_string();
            match touch.action {
                Action::Upsert(document) => {
                    let document = serde_json::to_value(DocumentJson(&document)).map_err(|error| error.to_string())?;
                    self.found.insert(id, document);
                }
                Action::Delete => {
                    self.found.remove(&id);
                }
            }
        }
        self.compare_up_to(last)?;
        // Above the last END nothing may have changed: no touch lies between it and the frontier. Nor does anything stand
        // before the first state: what is expected then is nothing.
        if self.found == self.expected {
            return Ok(());
        }
        Err(difference(last, &self.expected, &self.found))
    }
}

fn difference(lsn: u64, expected: &Documents, found: &Documents) -> String {
    let missing = expected.iter().filter(|(id, document)| found.get(*id) != Some(document)).take(3);
    let wrong = found.iter().filter(|(id, document)| expected.get(*id) != Some(document)).take(3);
    format!(
        "at LSN {lsn}: {} documents, expected {}; expected {:?}, found {:?}",
        found.len(),
        expected.len(),
        missing.collect::<Vec<_>>(),
        wrong.collect::<Vec<_>>()
    )
}

impl<I: Iterator<Item = (u64, Documents)>> Sink for Comparing<I> {
    fn history(&self) -> History {
        History::Every
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        self.take(batch).map_err(|problem| SinkError::Write(io::Error::other(problem)))?;
        Ok(Ack::Accepted)
    }
}
