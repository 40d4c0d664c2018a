//! How fast it is with a real broker: reading topics against reading a log; from the broker to where a search finds it; and, to
//! tell the two apart, from Postgres's commit to the broker, which is Debezium's.
//!
//! | part | how |
//! |---|---|
//! | read | a generated log as a plain file, and the same records in topics, to a null sink, in turns |
//! | peak | transactions that lie in the topics already, into an embedded index that holds their snapshot |
//! | broker to searchable | transactions at a share of the peak: from the moment the broker took an END, by its clock, to the moment a reader that reloads after each commit has it |
//! | commit to broker | transactions of one row: from the return of COMMIT to the END in the topic |
//! | search | search servers: see the module of that name |

mod raw;
mod search;

pub use search::{BulksSpeed, SearchSpeedSummary};

use super::broker::Broker;
use super::install::install;
use super::postgres::{DATABASE, Postgres};
use super::stack::{PREFIX, Stack, connector};
use crate::{LargeLog, LargeLogSizes, Record, record_of};
use anyhow::{Context, Result, ensure};
use deltaic::dataflows::ConversationSearch;
use deltaic::{Engine, IndexOptions, LatestSnapshot, Log, Lsn, NullSink, TantivySink};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is measured.
#[derive(Clone, Debug)]
pub struct SpeedOptions {
    /// The folder of all that is installed and written.
    pub dir: PathBuf,
    /// Rows of the log that is read.
    pub rows: u64,
    /// How often each way of reading is taken.
    pub rounds: usize,
    /// For how many seconds transactions are written.
    pub seconds: f64,
    /// At which share of the peak.
    pub share: f64,
    /// Only this part.
    pub only: Option<SpeedPart>,
    /// Search servers: see [`LabOptions::servers`](super::LabOptions).
    pub servers: String,
}

/// A part of what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeedPart {
    /// Topics against a log.
    Read,
    /// Broker to searchable.
    Searchable,
    /// Commit to broker.
    Commits,
    /// Search servers, against a raw client.
    Search,
}

/// What was seen. Times are in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct SpeedSummary {
    /// Rows a CPU second from the topics, by those from the log in the same round: the median of the rounds.
    pub kafka_to_log_by_cpu: f64,
    /// The same for rows a second.
    pub kafka_to_log: f64,
    /// Rows a CPU second from the log, the median of the rounds.
    pub log_rows_per_cpu_second: f64,
    /// The same from the topics.
    pub kafka_rows_per_cpu_second: f64,
    /// Rows a second from the log.
    pub log_rows_per_second: f64,
    /// The same from the topics; the broker works beside it.
    pub kafka_rows_per_second: f64,
    /// Rows a second into the index.
    pub peak_rows_per_second: f64,
    /// Rows a second that were written for the next two.
    pub paced_rows_per_second: f64,
    /// From the broker to searchable.
    pub searchable_p50: f64,
    /// The same, of 99 of 100.
    pub searchable_p99: f64,
    /// From the commit to the broker.
    pub commit_to_broker_p50: f64,
    /// The same, of 99 of 100.
    pub commit_to_broker_p99: f64,
    /// Search servers.
    pub search: Vec<SearchSpeedSummary>,
    /// Those that were left out, and why.
    pub skipped: Vec<String>,
}

const PATIENCE: Duration = Duration::from_secs(300);
/// Rows of the transactions that the peak is measured by.
const PEAK_ROWS: u64 = 200_000;
/// So many seconds of transactions at a share of the peak are not counted: the index still merges what the peak has left.
const WARM_UP: f64 = 3.0;
/// Bytes of rows that may wait while topics are read, which hold more.
const READ_BUDGET: u64 = 96 << 20;
/// Commits of Postgres's.
const COMMITS: usize = 300;

/// Installs and starts the servers, and measures.
///
/// # Errors
/// What cannot be started, or does not come to an end.
pub fn speed(options: &SpeedOptions) -> Result<SpeedSummary> {
    let mut summary = SpeedSummary::default();
    if options.only != Some(SpeedPart::Search) {
        beside_kafka(options, &mut summary)?;
    }
    if options.only.is_none_or(|only| only == SpeedPart::Search) {
        (summary.search, summary.skipped) = search::search(options)?;
    }
    Ok(summary)
}

/// All that needs a broker.
fn beside_kafka(options: &SpeedOptions, summary: &mut SpeedSummary) -> Result<()> {
    let (installed, run) = install(&options.dir, "speed")?;
    let mut stack = Stack::start(&installed, &run)?;
    // It would work beside what is measured.
    stack.kill_connect()?;
    let broker = Broker::at(stack.broker)?;
    let part = |part| options.only.is_none_or(|only| only == part);
    if part(SpeedPart::Read) {
        read(&broker, options, &run, summary)?;
    }
    if part(SpeedPart::Searchable) {
        searchable(&broker, &stack, options, &run, summary)?;
    }
    if part(SpeedPart::Commits) {
        let postgres = Postgres::start(&installed, &run)?;
        stack.start_connect()?;
        commits(&postgres, &stack, summary)?;
        drop(stack);
        postgres.stop()?;
    }
    Ok(())
}

/// Wall and CPU seconds of this process.
fn took<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, f64, T)> {
    let cpu = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let (started, before) = (Instant::now(), cpu());
    let done = work()?;
    Ok((started.elapsed().as_secs_f64(), cpu() - before, done))
}

fn at(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get((values.len() as f64 * share) as usize).copied().unwrap_or_default()
}

fn engine(broker: &Broker, prefix: &str) -> Engine<ConversationSearch> {
    Engine::kafka(ConversationSearch::default(), broker.kafka()).prefix(prefix).settle_ms(1_000)
}

/// The records of a large log, those of each transaction apart; first those of the snapshot.
struct Transactions {
    log: LargeLog<Vec<u8>>,
}

impl Transactions {
    fn new(rows: u64) -> Transactions {
        Transactions { log: LargeLog::new(Vec::new(), LargeLogSizes::of_rows(rows), 1) }
    }

    fn records(&mut self) -> Result<Vec<Record>> {
        let lines = std::mem::take(self.log.out());
        lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(record).collect()
    }

    fn snapshot(&mut self) -> Result<Vec<Record>> {
        self.log.snapshot(u64::MAX)?;
        self.records()
    }

    /// A transaction, its END, and how many rows it has.
    fn next(&mut self) -> Result<(Vec<Record>, Lsn, u64)> {
        let rows = self.log.transaction(u64::MAX)?;
        Ok((self.records()?, Lsn(self.log.summary().last_end_lsn), rows))
    }
}

fn record(line: &[u8]) -> Result<Record> {
    record_of(&serde_json::from_slice(line)?).context("a line names its topic and its partition")
}

/// The same records from a log and from topics.
fn read(broker: &Broker, options: &SpeedOptions, run: &Path, summary: &mut SpeedSummary) -> Result<()> {
    let prefix = "read";
    let path = run.join("log.jsonl");
    let written = crate::write_lines(std::io::BufWriter::new(fs::File::create(&path)?), options.rows, 1)?;
    let last = Lsn(written.last_end_lsn);
    let lines = std::io::BufRead::lines(std::io::BufReader::new(fs::File::open(&path)?));
    broker.create_large(prefix)?;
    broker.write_all(prefix, lines.map(|line| record(line?.as_bytes())))?;

    let (mut log, mut kafka) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        log.push(took(|| {
            let engine = Engine::replay(ConversationSearch::default(), Log::file(&path)).snapshot_complete(true);
            Ok(engine.run(&mut NullSink::default())?)
        })?);
        kafka.push(took(|| {
            // A backlog that is not worked off while it is read would not fit.
            let engine = engine(broker, prefix).memory_budget(READ_BUDGET).spill_budget(0);
            let run = engine.start(NullSink::default())?;
            let reached = run.wait_for_timeout(last, PATIENCE);
            run.stop();
            let report = run.join().0?;
            ensure!(matches!(reached, Ok(true)), "{last} is not reached: {report:?}");
            Ok(report)
        })?);
    }
    let rows = written.rows as f64;
    let median = |runs: &[(f64, f64, deltaic::Report)], of: fn(&(f64, f64, deltaic::Report)) -> f64| {
        rows / at(&mut runs.iter().map(of).collect::<Vec<f64>>(), 0.5)
    };
    let ratio = |of: fn(&(f64, f64, deltaic::Report)) -> f64| {
        at(&mut log.iter().zip(&kafka).map(|(log, kafka)| of(log) / of(kafka)).collect::<Vec<f64>>(), 0.5)
    };
    (summary.kafka_to_log, summary.kafka_to_log_by_cpu) = (ratio(|run| run.0), ratio(|run| run.1));
    summary.log_rows_per_second = median(&log, |run| run.0);
    summary.log_rows_per_cpu_second = median(&log, |run| run.1);
    summary.kafka_rows_per_second = median(&kafka, |run| run.0);
    summary.kafka_rows_per_cpu_second = median(&kafka, |run| run.1);
    Ok(())
}

/// Into an index, as fast as it goes, and at a share of that.
fn searchable(
    broker: &Broker,
    stack: &Stack,
    options: &SpeedOptions,
    run: &Path,
    summary: &mut SpeedSummary,
) -> Result<()> {
    let prefix = "paced";
    let mut log = Transactions::new(options.rows.min(400_000));
    broker.create_large(prefix)?;
    broker.write(prefix, &log.snapshot()?)?;
    let mut sink = TantivySink::open(run.join("index"), IndexOptions::default())?;
    let latest = sink.latest()?;
    let engine = engine(broker, prefix).start(sink)?;

    // What every partition must have seen for the snapshot to be shown is in the first of them.
    let mut shown = Lsn(0);
    for _ in 0..2_000 {
        let (records, end, _) = log.next()?;
        broker.write(prefix, &records)?;
        shown = end;
        if engine.progress().exact_at.is_some() {
            break;
        }
    }
    ensure!(engine.wait_until_durable(shown).is_ok(), "the snapshot is not shown");

    let (mut records, mut rows) = (Vec::new(), 0);
    let mut last = shown;
    while rows < PEAK_ROWS {
        let (more, end, of) = log.next()?;
        records.extend(more);
        (rows, last) = (rows + of, end);
    }
    let (first, rest) = records.split_at(records.len() / 10);
    broker.write(prefix, first)?;
    let started = Instant::now();
    broker.write(prefix, rest)?;
    ensure!(engine.wait_until_durable(last).is_ok(), "the last transaction of the peak is not shown");
    summary.peak_rows_per_second = rows as f64 * 0.9 / started.elapsed().as_secs_f64();

    let rate = summary.peak_rows_per_second * options.share;
    let mut transactions = Vec::new();
    let mut rows = 0;
    while (rows as f64) < rate * (WARM_UP + options.seconds) {
        let transaction = log.next()?;
        rows += transaction.2;
        transactions.push(transaction);
    }
    let seen = Seen::watch(latest);
    let producer = broker.writer()?;
    let begun = Instant::now();
    let (mut sent, mut due) = (Vec::new(), 0.0);
    for (records, end, rows) in &transactions {
        let wait = due - begun.elapsed().as_secs_f64();
        if wait > 0.0 {
            thread::sleep(Duration::from_secs_f64(wait));
        }
        due += *rows as f64 / rate;
        producer.write(prefix, records)?;
        if begun.elapsed().as_secs_f64() > WARM_UP {
            sent.push(*end);
        }
    }
    summary.paced_rows_per_second = rows as f64 / begun.elapsed().as_secs_f64();
    producer.flush()?;
    let (first, last) = (sent.first(), sent.last());
    let (first, last) = (*first.context("there were transactions")?, *last.context("there were transactions")?);
    ensure!(engine.wait_until_durable(last).is_ok(), "the last transaction is not shown");
    let found = seen.until(last);
    engine.stop();
    engine.join().0?;
    let mut took = Vec::with_capacity(sent.len());
    for (end, appended) in appended(stack.broker, prefix, last)?.into_iter().filter(|(end, _)| *end >= first) {
        let found = found.get(found.partition_point(|(lsn, _)| *lsn < end)).context("a transaction was not found")?;
        let found = found.1.duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3;
        took.push(found - appended as f64);
    }
    ensure!(took.len() == sent.len(), "{} of {} transactions were found", took.len(), sent.len());
    (summary.searchable_p50, summary.searchable_p99) = (at(&mut took, 0.5), at(&mut took, 0.99));
    Ok(())
}

/// The ENDs of a transaction topic up to `last`, each with when the broker took it, in milliseconds since 1970.
fn appended(broker: u16, prefix: &str, last: Lsn) -> Result<Vec<(Lsn, i64)>> {
    let consumer = transactions(broker, &format!("{prefix}.transaction"))?;
    let mut ends = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while ends.last().is_none_or(|(end, _)| *end < last) {
        ensure!(Instant::now() < deadline, "the transaction topic does not end with {last}");
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = record?;
        if let Some((_, lsn)) = end_of(record.payload()) {
            ends.push((Lsn(lsn.parse()?), record.timestamp().to_millis().context("a record has a time")?));
        }
    }
    Ok(ends)
}

/// A reader of a transaction topic from its beginning.
fn transactions(broker: u16, topic: &str) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", format!("127.0.0.1:{broker}"))
        .set("group.id", "speed")
        .set("fetch.wait.max.ms", "1");
    let consumer: BaseConsumer = config.create()?;
    let mut assigned = TopicPartitionList::new();
    assigned.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&assigned)?;
    Ok(consumer)
}

/// The id of a transaction and its LSN, if the record is an END.
fn end_of(payload: Option<&[u8]>) -> Option<(String, String)> {
    let end: serde_json::Value = serde_json::from_slice(payload?).ok()?;
    let (txid, lsn) = end.get("id")?.as_str()?.split_once(':')?;
    (end.get("status")? == "END").then(|| (txid.to_owned(), lsn.to_owned()))
}

/// Up to where a search finds everything, and since when.
struct Seen {
    found: Arc<Mutex<Vec<(Lsn, SystemTime)>>>,
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Seen {
    fn watch(latest: LatestSnapshot) -> Seen {
        let found: Arc<Mutex<Vec<(Lsn, SystemTime)>>> = Arc::default();
        let over = Arc::new(AtomicBool::new(false));
        let (into, ends) = (Arc::clone(&found), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut last = None;
            while !ends.load(Relaxed) {
                let lsn = latest.get().and_then(|snapshot| snapshot.lsn());
                if let Some(lsn) = lsn.filter(|_| lsn > last) {
                    into.lock().unwrap_or_else(PoisonError::into_inner).push((lsn, SystemTime::now()));
                    last = Some(lsn);
                }
                thread::sleep(Duration::from_micros(500));
            }
        });
        Seen { found, over, thread }
    }

    /// What was found, when that is all up to `last`.
    fn until(self, last: Lsn) -> Vec<(Lsn, SystemTime)> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let is_there =
            || self.found.lock().unwrap_or_else(PoisonError::into_inner).last().is_some_and(|at| at.0 >= last);
        while !is_there() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        self.over.store(true, Relaxed);
        // A panic of it would show as transactions that were not found.
        let _ended = self.thread.join();
        std::mem::take(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// From Postgres to the broker.
fn commits(postgres: &Postgres, stack: &Stack, summary: &mut SpeedSummary) -> Result<()> {
    stack.put_connector(PREFIX, &connector(PREFIX, DATABASE, postgres.port)?)?;
    postgres.until_streaming(PREFIX)?;
    let mut client = postgres.client()?;
    // The topic is there with the first of them.
    client.batch_execute("INSERT INTO users VALUES (gen_random_uuid(), 'first', NULL)")?;
    let topic = format!("{PREFIX}.transaction");
    let consumer = transactions(stack.broker, &topic)?;
    let mut committed: HashMap<String, Instant> = HashMap::new();
    let mut took = Vec::new();
    let reads = Arc::new(Mutex::new(Vec::<(String, Instant)>::new()));
    let over = Arc::new(AtomicBool::new(false));
    let (into, ends) = (Arc::clone(&reads), Arc::clone(&over));
    let reader = thread::spawn(move || {
        while !ends.load(Relaxed) {
            let Some(Ok(record)) = consumer.poll(Duration::from_millis(20)) else { continue };
            let arrived = Instant::now();
            if let Some((txid, _)) = end_of(record.payload()) {
                into.lock().unwrap_or_else(PoisonError::into_inner).push((txid, arrived));
            }
        }
    });
    thread::sleep(Duration::from_secs(3));
    for n in 0..COMMITS {
        let mut transaction = client.transaction()?;
        transaction.batch_execute(&format!("INSERT INTO users VALUES (gen_random_uuid(), 'user {n}', NULL)"))?;
        let txid: i64 = transaction.query_one("SELECT txid_current()", &[])?.try_get(0)?;
        transaction.commit()?;
        committed.insert(txid.to_string(), Instant::now());
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_secs(3));
    over.store(true, Relaxed);
    reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    for (txid, arrived) in reads.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(committed) = committed.remove(txid) {
            took.push(arrived.saturating_duration_since(committed).as_secs_f64() * 1e3);
        }
    }
    ensure!(committed.is_empty(), "{} commits did not come to the broker", committed.len());
    (summary.commit_to_broker_p50, summary.commit_to_broker_p99) = (at(&mut took, 0.5), at(&mut took, 0.99));
    Ok(())
}
