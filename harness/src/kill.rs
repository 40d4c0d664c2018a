//! Kills a process that fills an index, at random moments, and looks at what it left.
//!
//! ```text
//!   child ──writes──> DIR <──reads── here: at every snapshot, while the child lives and after each of its deaths,
//!     ^                              documents == oracle at the snapshot's LSN, which never falls
//!     └── SIGKILL, started again, killed again ... until it has reached the end of the log
//! ```
//!
//! The child is a process of its own, so what it held in memory, its locks and its threads are gone with it. What a power
//! loss takes besides, files that were never synced, is not tried here.

use crate::{Delivery, Documents, Oracle, OracleOptions, Scenario, deliver, kcat_line};
use anyhow::{Context, Result, bail, ensure};
use deltaic::{Index, IndexError, Snapshot};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often and what to kill.
#[derive(Clone, Debug)]
pub struct KillOptions {
    /// The first seed; each case takes the next.
    pub seed: u64,
    /// Kills, all cases together.
    pub kills: u64,
    /// Transactions of each log.
    pub transactions: usize,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KillSummary {
    /// Logs that were brought to their end.
    pub cases: u64,
    /// Processes killed.
    pub kills: u64,
    /// Of them: before there was an index.
    pub before_index: u64,
    /// Of them: when it was part of the way.
    pub part_way: u64,
    /// Of them: with all of the log in it.
    pub at_end: u64,
    /// Processes that ended by themselves.
    pub ended: u64,
    /// Snapshots compared.
    pub compared: u64,
    /// Different LSNs among them.
    pub lsns: u64,
}

/// The columns that documents carry.
const INCLUDE: [&str; 3] = ["users.name", "users.bio", "conversations.subject"];

/// How a child is to fill the index.
#[derive(Clone, Debug)]
pub struct Life {
    /// The log.
    pub log: PathBuf,
    /// The index.
    pub dir: PathBuf,
    /// `users.COLUMN` and `conversations.COLUMN`.
    pub include: Vec<String>,
    /// Worker threads.
    pub workers: usize,
    /// Milliseconds between commits.
    pub commit_interval_ms: u64,
    /// Bytes of the log that are decoded at once: the smaller, the more batches.
    pub block_bytes: usize,
}

/// Kills what `start` starts until it was killed so often, and compares everything that can be seen of its index.
///
/// # Errors
/// The first thing that is not true, with the seed; or that too few kills came while the index was part of the way.
pub fn kill(options: &KillOptions, start: &dyn Fn(&Life) -> Command) -> Result<KillSummary> {
    let mut summary = KillSummary::default();
    let mut seed = options.seed;
    while summary.kills < options.kills || summary.cases == 0 {
        case(seed, options, start, &mut summary).with_context(|| format!("seed {seed}"))?;
        seed += 1;
    }
    // A proof in which everything was killed before or after its work is none.
    let KillSummary { kills, part_way, .. } = summary;
    ensure!(part_way * 3 >= kills, "only {part_way} of {kills} kills came part of the way: {summary:?}");
    Ok(summary)
}

fn case(seed: u64, options: &KillOptions, start: &dyn Fn(&Life) -> Command, summary: &mut KillSummary) -> Result<()> {
    let mut rng = Rng::with_seed(seed ^ 0x4b11);
    let (mut workload, mut connector) = Scenario::random_options(seed);
    (workload.finale, workload.transactions) = (true, options.transactions);
    (workload.initial_users, workload.initial_conversations, workload.initial_items) = (15, 40, 120);
    connector.restarts = connector.restarts.min(1);
    let scenario = Scenario::generate(seed, workload, connector);
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log.jsonl");
    write_log(&scenario, &log, &mut rng)?;
    let life = |dir: PathBuf, rng: &mut Rng| Life {
        log: log.clone(),
        dir,
        include: INCLUDE.map(str::to_owned).to_vec(),
        workers: rng.choice([1, 2, 4]).unwrap_or(1),
        commit_interval_ms: rng.choice([0, 0, 3, 20]).unwrap_or(0),
        block_bytes: rng.choice([1_000, 4_000]).unwrap_or(1_000),
    };

    // A life that nobody ends: when its index first shows something, how long it takes, and where it ends.
    let mut whole = Watch::new(&scenario, folder.path().join("whole"));
    let command = start(&life(whole.dir.clone(), &mut rng)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let begun = Instant::now();
    whole.until_dead(command, None)?;
    let whole_life = begun.elapsed();
    let end = whole.compare()?;
    let first = whole.first.map_or(whole_life, |first| first.duration_since(begun)).min(whole_life);

    let mut watch = Watch::new(&scenario, folder.path().join("index"));
    loop {
        let killing = summary.kills < options.kills;
        // Now and then before anything is shown or after all of it, mostly between.
        let between = first + (whole_life - first).mul_f64(rng.f64());
        let anywhere = whole_life.mul_f64(1.2 * rng.f64());
        let lifetime = rng.choice([between, between, between, anywhere]).unwrap_or(between);
        let command = start(&life(watch.dir.clone(), &mut rng)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let deadline = killing.then(|| Instant::now() + lifetime);
        let killed = watch.until_dead(command, deadline)?;
        let lsn = watch.compare()?;
        summary.kills += u64::from(killed);
        summary.ended += u64::from(!killed);
        match lsn {
            _ if !killed => {}
            None => summary.before_index += 1,
            lsn if lsn == end => summary.at_end += 1,
            Some(_) => summary.part_way += 1,
        }
        if !killed {
            ensure!(lsn == end, "a run ended at {lsn:?}, another at {end:?}");
            break;
        }
    }
    summary.cases += 1;
    summary.compared += watch.compared;
    summary.lsns += watch.lsns;
    Ok(())
}

fn write_log(scenario: &Scenario, path: &Path, rng: &mut Rng) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    for record in deliver(&scenario.log, &Delivery::Production, rng) {
        writeln!(out, "{}", kcat_line(record))?;
    }
    Ok(out.flush()?)
}

/// Reads the index, whoever writes it.
struct Watch {
    dir: PathBuf,
    states: BTreeMap<u64, Documents>,
    index: Option<Index>,
    /// The greatest LSN seen, by any opening of the index.
    last: Option<deltaic::Lsn>,
    /// When the index first showed something.
    first: Option<Instant>,
    compared: u64,
    lsns: u64,
}

impl Watch {
    fn new(scenario: &Scenario, dir: PathBuf) -> Watch {
        let include = INCLUDE.map(str::to_owned).to_vec();
        let oracle = Oracle::with_options(&scenario.history, OracleOptions { include, ..OracleOptions::default() });
        Watch { dir, states: oracle.states().collect(), index: None, last: None, first: None, compared: 0, lsns: 0 }
    }

    /// Reads beside the child until the deadline has come, then kills it; whether it had to.
    fn until_dead(&mut self, mut child: Child, deadline: Option<Instant>) -> Result<bool> {
        let watched = loop {
            if let Some(status) = child.try_wait()? {
                break Ok(Some(status));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break Ok(None);
            }
            if let Err(error) = self.look() {
                break Err(error);
            }
            std::thread::sleep(Duration::from_micros(500));
        };
        if !matches!(watched, Ok(Some(_))) {
            child.kill()?;
        }
        let output = child.wait_with_output()?;
        match watched? {
            Some(status) if status.success() => Ok(false),
            Some(status) => bail!("the child ended by {status}: {}", String::from_utf8_lossy(&output.stderr)),
            None => Ok(true),
        }
    }

    /// Loads and compares what is there.
    fn look(&mut self) -> Result<()> {
        if self.index.is_none() {
            match Index::open(&self.dir) {
                Ok(index) => self.index = Some(index),
                Err(IndexError::Missing { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        let Some(index) = &self.index else { return Ok(()) };
        let snapshot = index.reload()?;
        self.same(&snapshot)
    }

    /// Opens the index anew, as the next reader will, and compares; up to where it goes.
    fn compare(&mut self) -> Result<Option<deltaic::Lsn>> {
        self.index = None;
        self.look()?;
        Ok(self.index.as_ref().and_then(|index| index.snapshot().lsn()))
    }

    fn same(&mut self, snapshot: &Snapshot) -> Result<()> {
        let lsn = snapshot.lsn();
        ensure!(lsn >= self.last, "the index went back from {:?} to {lsn:?}", self.last);
        self.lsns += u64::from(lsn > self.last);
        self.last = lsn;
        if lsn.is_some() {
            self.first.get_or_insert_with(Instant::now);
        }
        let Some(lsn) = lsn else {
            ensure!(snapshot.documents() == 0, "{} documents of no LSN", snapshot.documents());
            return Ok(());
        };
        let none = Documents::new();
        // Below the first state there is the one of a base that nothing was committed before.
        let state = self.states.range(..=lsn.0).next_back().or_else(|| self.states.iter().next());
        let expected = state.map_or(&none, |(_, documents)| documents);
        let mut found = Documents::new();
        for stored in snapshot.dump()? {
            let stored = stored?;
            found.insert(stored.id.to_string(), serde_json::from_str(&stored.json)?);
        }
        let wrong = expected.iter().find(|(id, document)| found.get(*id) != Some(document));
        let surplus = found.iter().find(|(id, _)| !expected.contains_key(*id));
        ensure!(
            found == *expected,
            "at LSN {lsn}: {} documents, expected {}; expected {wrong:?}, surplus {surplus:?}",
            found.len(),
            expected.len()
        );
        self.compared += 1;
        Ok(())
    }
}
