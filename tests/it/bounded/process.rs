//! A run in a process of its own, which says how much memory it had at most and what it showed.

use deltaic::{Ack, Action, Batch, DocumentId, History, Report, Sink, SinkError};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Names the environment variable that holds what to run.
const LIFE: &str = "DELTAIC_TEST_LIFE";
/// The start of the line that tells how it went.
const OUTCOME: &str = "outcome: ";

/// What to run.
#[derive(Clone)]
pub struct Life {
    pub log: PathBuf,
    pub spill_dir: PathBuf,
    pub memory_budget: u64,
    pub spill_budget: u64,
    pub workers: usize,
    /// How long the sink stands still at the first batch.
    pub stall_ms: u64,
}

/// How it went.
#[derive(Debug)]
pub struct Outcome {
    /// The most memory that the process had, in bytes.
    pub peak: u64,
    /// A hash of the documents at the end.
    pub documents: u64,
    pub transactions: u64,
    pub spilled: u64,
}

impl Life {
    /// Starts it; nobody waits for it.
    pub fn start(&self) -> Child {
        let Life { log, spill_dir, memory_budget, spill_budget, workers, stall_ms } = self;
        let (log, spill_dir) = (log.display(), spill_dir.display());
        let life = format!("{log}\n{spill_dir}\n{memory_budget}\n{spill_budget}\n{workers}\n{stall_ms}");
        Command::new(std::env::current_exe().unwrap())
            .args(["bounded::a_process_of_its_own", "--exact", "--nocapture"])
            .env(LIFE, life)
            // Whether freed memory goes back is not what is measured, nor how many heaps there are.
            .env("MALLOC_ARENA_MAX", "2")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs it to its end.
    pub fn run(&self) -> Outcome {
        let output = self.start().wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let line = text.lines().find_map(|line| line.split_once(OUTCOME)).map(|(_, outcome)| outcome);
        let numbers = line.unwrap_or_else(|| panic!("no outcome in {text}")).split(' ');
        let numbers: Vec<u64> = numbers.map(|number| number.parse().unwrap()).collect();
        let [peak, documents, transactions, spilled] = numbers.try_into().unwrap();
        Outcome { peak, documents, transactions, spilled }
    }

    /// What this process is to run, if it is one of those.
    pub fn of_this_process() -> Option<Life> {
        let life = std::env::var(LIFE).ok()?;
        let mut lines = life.lines();
        let mut next = || lines.next().unwrap();
        Some(Life {
            log: next().into(),
            spill_dir: next().into(),
            memory_budget: next().parse().unwrap(),
            spill_budget: next().parse().unwrap(),
            workers: next().parse().unwrap(),
            stall_ms: next().parse().unwrap(),
        })
    }
}

impl Outcome {
    /// How it went in this process.
    pub fn of(report: &Report, sink: &Hashes) -> Outcome {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        let mut hasher = DefaultHasher::new();
        sink.documents.hash(&mut hasher);
        Outcome {
            peak: kib << 10,
            documents: hasher.finish(),
            transactions: report.transactions(),
            spilled: report.spilled_bytes,
        }
    }

    pub fn print(&self) {
        let Outcome { peak, documents, transactions, spilled } = self;
        eprintln!("{OUTCOME}{peak} {documents} {transactions} {spilled}");
    }
}

/// Remembers a hash of each document, and stands still at the first batch.
pub struct Hashes {
    documents: BTreeMap<DocumentId, u64>,
    stall_ms: u64,
}

impl Hashes {
    pub fn new(stall_ms: u64) -> Hashes {
        Hashes { documents: BTreeMap::new(), stall_ms }
    }
}

impl Sink for Hashes {
    fn history(&self) -> History {
        History::Latest
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        sleep(Duration::from_millis(std::mem::take(&mut self.stall_ms)));
        for touch in batch.touched {
            match touch.action {
                Action::Upsert(document) => {
                    let mut hasher = DefaultHasher::new();
                    format!("{:?}", document.values).hash(&mut hasher);
                    self.documents.insert(touch.id, hasher.finish());
                }
                Action::Delete => drop(self.documents.remove(&touch.id)),
            }
        }
        Ok(Ack::Accepted)
    }
}
