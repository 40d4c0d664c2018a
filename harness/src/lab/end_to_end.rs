//! The proof: an index that is compared with Postgres's own answers while everything around it is killed.

use super::install::install;
use super::postgres::{DATABASE, Postgres, connect};
use super::search::{SearchSummary, search};
use super::secured::{SecuredSummary, secured};
use super::server::Server;
use super::snapshots::{SnapshotsSummary, snapshots};
use super::stack::{PREFIX, Stack, connector};
use super::topics::{TopicsSummary, topics};
use super::truth::Truth;
use super::workload::{Pace, Workload};
use anyhow::{Context, Result, bail, ensure};
use deltaic::dataflows::ConversationSearch;
use deltaic::{Action, Engine, Index, IndexError, Kafka, Log, Lsn, SinkError, Snapshot, Touch};
use fastrand::Rng;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// What is done.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// The folder of all that is installed and written.
    pub dir: PathBuf,
    /// The seed of the workload and of the moments.
    pub seed: u64,
    /// Transactions beside the faults.
    pub transactions: usize,
    /// Moments at which the index is compared, at least.
    pub moments: u64,
    /// The `deltaic` command.
    pub program: PathBuf,
    /// The same, built with TLS: without it the part that needs it is left out.
    pub tls_program: Option<PathBuf>,
    /// Only this part.
    pub only: Option<LabPart>,
    /// Which search servers: the usual two if it is empty, `all`, or those whose name and version begin so.
    pub servers: String,
    /// How often each search server is gone through.
    pub rounds: u64,
}

/// A part of what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabPart {
    /// An index beside Postgres, with everything killed.
    Index,
    /// What only a real broker can do.
    Topics,
    /// What goes wrong with snapshots.
    Snapshots,
    /// A broker that asks who reads.
    Secured,
    /// Search servers.
    Search,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabSummary {
    /// Transactions that Postgres committed.
    pub commits: u64,
    /// What they were made of.
    pub kinds: Vec<&'static str>,
    /// How often the index was compared with Postgres's answer.
    pub compared: u64,
    /// Different LSNs among them.
    pub lsns: u64,
    /// How often Connect was killed.
    pub connect_kills: u64,
    /// How often the broker was restarted.
    pub broker_restarts: u64,
    /// How often `deltaic run` was killed.
    pub kills: u64,
    /// Documents at the end.
    pub documents: u64,
    /// Records of the captured log.
    pub captured: u64,
    /// Transactions in the replay of that log whose state was compared.
    pub replayed: u64,
    /// Changes that were the same, at the same times, in that replay and live from the topics.
    pub changes: u64,
    /// What only a real broker can do.
    pub topics: TopicsSummary,
    /// What goes wrong with snapshots.
    pub snapshots: SnapshotsSummary,
    /// A broker that asks who reads; `None` without a program that is built with TLS.
    pub secured: Option<SecuredSummary>,
    /// Search servers.
    pub search: SearchSummary,
}

/// The pause between two commits, at most: the workload lasts as long as its faults do.
const PAUSE: Duration = Duration::from_millis(120);
/// How long the index may take to come to the last commit.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the connector streams before anything goes wrong: its first offsets are committed by then.
const SETTLED: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Fault {
    KillConnect,
    KillDeltaic,
    RestartBroker,
}

/// When what goes wrong, by the share of the workload.
const FAULTS: [(f64, Fault); 6] = [
    (0.12, Fault::KillConnect),
    (0.25, Fault::KillDeltaic),
    (0.40, Fault::KillConnect),
    (0.55, Fault::RestartBroker),
    (0.70, Fault::KillDeltaic),
    (0.82, Fault::KillConnect),
];

/// Installs and starts all servers, and proves that the index is right at every moment.
///
/// # Errors
/// The first thing that is not true, or that cannot be started.
pub fn lab(options: &LabOptions) -> Result<LabSummary> {
    let done = |part| options.only.is_none_or(|only| only == part);
    let mut summary = LabSummary::default();
    if options.only != Some(LabPart::Search) {
        summary = beside_kafka(options)?;
    }
    if done(LabPart::Search) {
        summary.search = search(options)?;
    }
    Ok(summary)
}

/// All that needs a broker.
fn beside_kafka(options: &LabOptions) -> Result<LabSummary> {
    let (installed, run) = install(&options.dir, "run")?;
    let postgres = Postgres::start(&installed, &run)?;
    let mut stack = Stack::start(&installed, &run)?;
    let done = |part| options.only.is_none_or(|only| only == part);
    let mut summary = LabSummary::default();
    if done(LabPart::Index) {
        summary = index(options, &run, &postgres, &mut stack)?;
    }
    if done(LabPart::Topics) {
        summary.topics = topics(stack.broker, options.seed)?;
    }
    if done(LabPart::Snapshots) {
        summary.snapshots = snapshots(&postgres, &mut stack)?;
    }
    match &options.tls_program {
        Some(tls) if done(LabPart::Secured) => {
            summary.secured = Some(secured(&stack, &run, &options.program, tls, options.seed)?);
        }
        None if options.only == Some(LabPart::Secured) => bail!("this part needs a program that is built with TLS"),
        _ => {}
    }
    drop(stack);
    postgres.stop()?;
    Ok(summary)
}

/// Fills an index while everything around it is killed, and compares it with Postgres's answers.
fn index(options: &LabOptions, run: &Path, postgres: &Postgres, stack: &mut Stack) -> Result<LabSummary> {
    let (truth, pace) = (Truth::default(), Pace::default());
    let port = postgres.port;
    let mut workload = Workload::new(options.seed, || Ok(connect(port)?), &truth, &pace)?;
    // There is something to take a snapshot of.
    workload.run(60, Duration::ZERO)?;
    stack.put_connector(PREFIX, &connector(PREFIX, DATABASE, port)?)?;
    postgres.until_streaming(PREFIX)?;
    // The snapshot lies behind the last commit, and before the next.
    workload.note()?;
    // Changes in every partition, which show that the snapshot is over.
    workload.users_min = 45;

    let config = write_config(run, stack.broker)?;
    let mut lab = Lab {
        program: options.program.clone(),
        watch: Watch { dir: run.join("index"), last: None, index: None, summary: LabSummary::default() },
        run: run.to_owned(),
        config,
        rng: Rng::with_seed(options.seed ^ 0x1ab),
    };
    let kinds = std::thread::scope(|scope| -> Result<_> {
        let before = pace.commits.load(Relaxed);
        let driver = scope.spawn(move || {
            let run = workload.run(options.transactions, PAUSE);
            (run, workload.kinds)
        });
        let ran = lab.beside(stack, &truth, || {
            let share = (pace.commits.load(Relaxed) - before) as f64 / options.transactions.max(1) as f64;
            (share, pace.large.load(Relaxed), driver.is_finished())
        });
        pace.stop.store(true, Relaxed);
        let (run, kinds) = driver.join().map_err(|_| anyhow::anyhow!("the workload panicked"))?;
        run.context("the workload")?;
        ran?;
        Ok(kinds)
    })?;
    lab.replays(stack.broker, &truth)?;
    let Lab { watch, .. } = lab;
    let mut summary = watch.summary;
    (summary.commits, summary.kinds) = (pace.commits.load(Relaxed) as u64, kinds.into_iter().collect());
    ensure!(summary.lsns * 4 >= options.moments, "the index stood at {} LSNs only", summary.lsns);
    ensure!(summary.replayed * 4 >= summary.commits, "only {} states were replayed", summary.replayed);
    ensure!(summary.compared >= options.moments, "compared {} times only", summary.compared);
    Ok(summary)
}

fn write_config(run: &Path, broker: u16) -> Result<PathBuf> {
    let config = run.join("deltaic.toml");
    let text = format!(
        "[source]\nkind = \"kafka\"\nprefix = \"{PREFIX}\"\n\n[source.kafka]\nbootstrap.servers = \"127.0.0.1:{broker}\"\n\n\
         [view]\nname = \"conversation_search\"\n\n[[sink]]\nkind = \"tantivy\"\npath = \"index\"\n"
    );
    fs::write(&config, text)?;
    Ok(config)
}

struct Lab {
    program: PathBuf,
    run: PathBuf,
    config: PathBuf,
    watch: Watch,
    rng: Rng,
}

impl Lab {
    /// Runs `deltaic` beside the workload, breaks things, and compares; until the index has the last commit.
    fn beside(&mut self, stack: &mut Stack, truth: &Truth, at: impl Fn() -> (f64, usize, bool)) -> Result<()> {
        let mut deltaic = self.deltaic()?;
        let mut faults = FAULTS.iter().peekable();
        let (mut large, mut deadline, mut shown) = (0, None, None);
        loop {
            let (share, larges, finished) = at();
            if self.watch.last.is_some() {
                shown.get_or_insert_with(Instant::now);
            }
            // A connector that is killed before it has committed an offset takes another snapshot, of which Debezium reads
            // the position later than the rows: what is committed between is in neither.
            let faulty = shown.is_some_and(|shown| shown.elapsed() > SETTLED);
            if let Some((_, fault)) = faults.next_if(|(due, _)| faulty && share >= *due) {
                match fault {
                    Fault::KillConnect => {
                        stack.kill_connect()?;
                        self.watch.summary.connect_kills += 1;
                        self.pause(1_500);
                        self.watch.look(truth)?;
                        stack.start_connect()?;
                    }
                    Fault::RestartBroker => {
                        stack.stop_broker()?;
                        self.watch.summary.broker_restarts += 1;
                        self.pause(1_500);
                        self.watch.look(truth)?;
                        stack.start_broker()?;
                    }
                    Fault::KillDeltaic => {
                        deltaic.kill()?;
                        self.watch.summary.kills += 1;
                        self.watch.look(truth)?;
                        deltaic = self.deltaic()?;
                    }
                }
            } else if faulty && larges > large && !finished {
                // In the middle of a large transaction, once.
                large = usize::MAX;
                self.pause(60);
                stack.kill_connect()?;
                self.watch.summary.connect_kills += 1;
                stack.start_connect()?;
            }
            ensure!(deltaic.lives()?, "deltaic ended: see {}", self.run.join("deltaic.log").display());
            self.watch.look(truth)?;
            if finished {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
                let (last, answer) = truth.last().context("an answer")?;
                // The last transactions may have changed nothing that is shown.
                if faults.peek().is_none() && self.watch.shows()?.as_deref() == Some(answer.as_str()) {
                    break;
                }
                if Instant::now() > deadline {
                    let shown = self.watch.last;
                    bail!(
                        "the index stands at {shown:?}; the last commit is before {last}; see {}",
                        self.run.display()
                    );
                }
            }
            self.pause(250);
        }
        let ended = deltaic.stop(Signal::INT)?;
        ensure!(ended.success(), "deltaic, when it was asked to end: {ended}");
        let said = fs::read_to_string(self.run.join("deltaic.log"))?;
        let records = said.lines().rfind(|line| line.starts_with("records ")).context("a summary")?;
        ensure!(records.contains(" 0 late rows, 0 bad"), "deltaic says: {records}");
        ensure!(!said.contains("\ninexact ") && !said.contains(" settled,"), "deltaic says what is not exact: {said}");
        Ok(())
    }

    fn pause(&mut self, most_ms: u64) {
        std::thread::sleep(Duration::from_millis(self.rng.u64(..=most_ms)));
    }

    fn deltaic(&self) -> Result<Server> {
        let arguments = ["run".to_owned(), self.config.display().to_string()];
        Server::start("deltaic", &self.program, None, &arguments, self.run.join("deltaic.log"))
    }

    /// Captures the topics and replays the log: the state behind each transaction is Postgres's answer. The same changes come
    /// from the topics themselves, at the same times.
    fn replays(&mut self, broker: u16, truth: &Truth) -> Result<()> {
        let log = self.run.join("log.jsonl.zst");
        let captured = Command::new(&self.program).arg("capture").arg(&self.config).arg("--out").arg(&log).output()?;
        let said = String::from_utf8_lossy(&captured.stderr);
        ensure!(captured.status.success(), "deltaic capture: {}: {said}", captured.status);
        let (mut documents, mut last, mut compared) = (BTreeMap::new(), None, 0_u64);
        let mut replayed = Vec::new();
        let report =
            Engine::replay(ConversationSearch::default(), Log::file(&log)).prefix(PREFIX).for_each(|touch| {
                let lsn = touch.time;
                if let Some(before) = last.replace(lsn).filter(|before| *before < lsn) {
                    same(truth, before, &documents).map_err(SinkError::other)?;
                    compared += 1;
                }
                replayed.push(touch.clone());
                take(&mut documents, touch);
                Ok(())
            })?;
        let (at, answer) = truth.last().context("an answer")?;
        ensure!(lines(&documents) == answer, "the replayed log ends with other documents than Postgres before {at}");
        ensure!(
            (report.late, report.settled, report.inexact.len()) == (0, 0, 0),
            "the replay is not exact: {report:?}"
        );
        let to = report.exact_at.context("a replay is exact at some LSN")?;
        let live = from_topics(broker, to).context("the topics read from their beginning")?;
        let [replayed, live] = [replayed, live].map(|mut touches| {
            touches.sort_by(|one, other| (one.time, &one.id).cmp(&(other.time, &other.id)));
            touches
        });
        let other = replayed.iter().zip(&live).find(|(replayed, live)| replayed != live);
        ensure!(other.is_none(), "the replay and the topics give different changes: {other:?}");
        ensure!(replayed.len() == live.len(), "{} changes replayed, {} from the topics", replayed.len(), live.len());
        self.watch.summary.changes = live.len() as u64;
        self.watch.summary.captured = report.records;
        self.watch.summary.replayed = compared;
        Ok(())
    }
}

/// All changes of documents up to `to`, live from the topics.
fn from_topics(broker: u16, to: Lsn) -> Result<Vec<Touch>> {
    let kafka = Kafka::new(format!("127.0.0.1:{broker}"));
    let engine = Engine::kafka(ConversationSearch::default(), kafka).prefix(PREFIX).workers(2);
    let handle = engine.handle();
    let mut touches = Vec::new();
    let reached = std::thread::scope(|scope| -> Result<bool> {
        let stops = scope.spawn(move || {
            let reached = matches!(handle.wait_for_timeout(to, PATIENCE), Ok(true));
            handle.stop();
            reached
        });
        engine.for_each(|touch| {
            touches.push(touch);
            Ok(())
        })?;
        stops.join().map_err(|_| anyhow::anyhow!("who waits panicked"))
    })?;
    ensure!(reached, "{to} is not reached");
    Ok(touches)
}

pub(super) fn take(documents: &mut BTreeMap<String, String>, touch: Touch) {
    let id = touch.id.to_string();
    match touch.action {
        Action::Delete => drop(documents.remove(&id)),
        Action::Upsert(document) => {
            let text = |field: &str| match document.get(field) {
                Some(deltaic::dataflows::Value::Uuid(uuid)) => uuid.to_string(),
                Some(deltaic::dataflows::Value::Text(text)) => text.to_string(),
                other => format!("{other:?}"),
            };
            documents.insert(id, format!("{}|{}", text("user_uid"), text("step")));
        }
    }
}

/// Documents as Postgres's answer has them.
pub(super) fn lines(documents: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = documents.iter().map(|(id, rest)| format!("{id}|{rest}")).collect();
    lines.join("\n")
}

#[derive(Debug, thiserror::Error)]
#[error(
    "at LSN {lsn}, with answers at {around:?}: expected {expected:?}, found {found:?} ({documents} documents, expected {answers})"
)]
struct Different {
    lsn: u64,
    around: (Option<u64>, Option<u64>),
    expected: Vec<String>,
    found: Vec<String>,
    documents: usize,
    answers: usize,
}

/// Compares documents with the answer at an LSN.
fn same(truth: &Truth, lsn: u64, documents: &BTreeMap<String, String>) -> Result<(), Different> {
    let answer = truth.at(lsn).unwrap_or_default();
    let found = lines(documents);
    if answer == found {
        return Ok(());
    }
    let only = |of: &str, other: &str| {
        let other: std::collections::BTreeSet<&str> = other.lines().collect();
        of.lines().filter(|line| !other.contains(line)).take(5).map(str::to_owned).collect()
    };
    let (expected, surplus) = (only(&answer, &found), only(&found, &answer));
    let around = truth.around(lsn);
    Err(Different {
        lsn,
        around,
        expected,
        found: surplus,
        documents: documents.len(),
        answers: answer.lines().count(),
    })
}

/// Reads the index, whoever writes it.
struct Watch {
    dir: PathBuf,
    index: Option<Index>,
    last: Option<Lsn>,
    summary: LabSummary,
}

impl Watch {
    /// Loads and compares what is there.
    fn look(&mut self, truth: &Truth) -> Result<()> {
        let Some(snapshot) = self.snapshot()? else { return Ok(()) };
        let lsn = snapshot.lsn();
        ensure!(lsn >= self.last, "the index went back from {:?} to {lsn:?}", self.last);
        let moved = lsn > self.last;
        self.last = lsn;
        let Some(lsn) = lsn else { return Ok(()) };
        // Between a commit and its answer there is none.
        let Some(_) = truth.at(lsn.0) else { return Ok(()) };
        let documents = documents(&snapshot)?;
        same(truth, lsn.0, &documents)?;
        self.summary.compared += 1;
        self.summary.lsns += u64::from(moved);
        self.summary.documents = documents.len() as u64;
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Option<std::sync::Arc<Snapshot>>> {
        if self.index.is_none() {
            match Index::open(&self.dir) {
                Ok(index) => self.index = Some(index),
                Err(IndexError::Missing { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        self.index.as_ref().map(Index::reload).transpose().map_err(Into::into)
    }

    fn shows(&mut self) -> Result<Option<String>> {
        Ok(self.snapshot()?.map(|snapshot| documents(&snapshot)).transpose()?.map(|documents| lines(&documents)))
    }
}

fn documents(snapshot: &Snapshot) -> Result<BTreeMap<String, String>> {
    let mut documents = BTreeMap::new();
    for stored in snapshot.dump()? {
        let stored = stored?;
        let json: serde_json::Value = serde_json::from_str(&stored.json)?;
        let text = |field: &str| json.get(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        documents.insert(stored.id.to_string(), format!("{}|{}", text("user_uid"), text("step")));
    }
    Ok(documents)
}
