//! What no mock of a broker can do, against the real one: transactions of Kafka's own, partitions that are added, retention,
//! compaction, topics that are made anew.
//!
//! The records are those of generated scenarios, so that every state can be compared with the oracle.

use super::broker::{Broker, PATIENCE, named, send};
use crate::{Comparing, Oracle, OracleOptions, Record, Scenario, TRANSACTION_TOPIC};
use anyhow::{Context, Result, bail, ensure};
use deltaic::dataflows::ConversationSearch;
use deltaic::{Action, Capture, Engine, Error, Kafka, KafkaError, Lsn, NullSink, Report};
use fastrand::Rng;
use pollster::block_on;
use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::producer::Producer as _;
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicsSummary {
    /// States that were compared with the oracle's.
    pub compared: u64,
    /// Transactions of Kafka's that were committed.
    pub committed: u64,
    /// The same that were aborted.
    pub aborted: u64,
    /// Partitions that were added while they were read.
    pub added: u64,
    /// Rows that were delivered again, some of them in partitions that were added.
    pub redelivered: u64,
    /// What was refused, by the names of the errors.
    pub refused: Vec<&'static str>,
}

/// Everything, one after the other.
pub(super) fn topics(broker: u16, seed: u64) -> Result<TopicsSummary> {
    let broker = Broker::at(broker)?;
    let mut summary = TopicsSummary::default();
    for seed in seed..seed + 2 {
        transactions(&broker, seed, &mut summary).with_context(|| format!("transactions of Kafka's, seed {seed}"))?;
    }
    for seed in seed..seed + 4 {
        partitions(&broker, seed, &mut summary).with_context(|| format!("partitions that are added, seed {seed}"))?;
    }
    retention(&broker, seed, &mut summary).context("topics that have lost their first records")?;
    expiry(&broker, seed, &mut summary).context("records that go before they are read")?;
    compaction(&broker, seed, &mut summary).context("a topic that is compacted")?;
    recreation(&broker, seed, &mut summary).context("a topic that is made anew")?;
    ensure!(summary.aborted > 0 && summary.redelivered > 0, "too little occurred: {summary:?}");
    Ok(summary)
}

fn engine(broker: &Broker, prefix: &str) -> Engine<ConversationSearch> {
    Engine::kafka(ConversationSearch::default(), broker.kafka()).prefix(prefix).workers(2).settle_ms(4_000)
}

fn states(scenario: &Scenario) -> Vec<(u64, crate::Documents)> {
    Oracle::with_options(&scenario.history, OracleOptions::default()).states().collect()
}

/// Runs `during` beside an engine that compares every state, until that has come to the scenario's last commit.
fn follow(
    broker: &Broker,
    prefix: &str,
    scenario: &Scenario,
    summary: &mut TopicsSummary,
    during: impl FnOnce(&dyn Fn() -> bool) -> Result<()>,
) -> Result<Report> {
    let states = states(scenario);
    let last = Lsn(states.last().context("a history")?.0);
    let run = engine(broker, prefix).start(Comparing::new(states.into_iter()))?;
    let shows = || run.progress().exact_at.is_some();
    let done = during(&shows);
    let reached = run.wait_for_timeout(last, PATIENCE);
    let (progress, waits) = (run.progress(), run.waits_for());
    run.stop();
    let (report, sink) = run.join();
    done?;
    let report = report?;
    ensure!(matches!(reached, Ok(true)), "{last} is not reached: {progress:?}, {waits:?}");
    ensure!((report.late, report.settled) == (0, 0), "late {}, settled {}", report.late, report.settled);
    summary.compared += sink.compared();
    summary.redelivered += report.redelivered;
    Ok(report)
}

/// Records in transactions of Kafka's, of which some are aborted and written again: what was aborted was never there, and what
/// a transaction leaves at the end of each partition is no record.
fn transactions(broker: &Broker, seed: u64, summary: &mut TopicsSummary) -> Result<()> {
    let (scenario, prefix) = (Scenario::random(seed), format!("transactions{seed}"));
    broker.create(&prefix, &scenario.log, &[])?;
    let mut rng = Rng::with_seed(seed);
    let producer = broker.producer(&[("transactional.id", &prefix)])?;
    producer.init_transactions(PATIENCE)?;
    let (mut committed, mut aborted) = (0, 0);
    follow(broker, &prefix, &scenario, summary, |_| {
        let mut records = &scenario.log.records[..];
        while !records.is_empty() {
            let (batch, rest) = records.split_at(rng.usize(1..60).min(records.len()));
            producer.begin_transaction()?;
            batch.iter().try_for_each(|record| send(&producer, &prefix, record))?;
            if rng.u8(..) < 64 {
                // All of it must have been there.
                producer.flush(PATIENCE)?;
                producer.abort_transaction(PATIENCE)?;
                aborted += 1;
            } else {
                producer.commit_transaction(PATIENCE)?;
                committed += 1;
                records = rest;
            }
        }
        Ok(())
    })?;
    summary.committed += committed;
    summary.aborted += aborted;
    Ok(())
}

/// Each table's topic gets another partition while it is read, which half of the first one's keys move to.
fn partitions(broker: &Broker, seed: u64, summary: &mut TopicsSummary) -> Result<()> {
    let (scenario, prefix) = (Scenario::random(seed), format!("partitions{seed}"));
    broker.create(&prefix, &scenario.log, &[])?;
    let (before, after) = scenario.log.records.split_at(scenario.log.records.len() / 2);
    broker.write(&prefix, before)?;
    let counts: BTreeMap<&str, i32> = scenario
        .log
        .partitions
        .iter()
        .filter(|(topic, _)| topic.as_str() != TRANSACTION_TOPIC)
        .map(|(topic, count)| (topic.as_str(), *count))
        .collect();
    let mut added = 0;
    follow(broker, &prefix, &scenario, summary, |shows| {
        // Where nothing is shown yet the snapshot goes on: partitions may be added then too.
        let deadline = Instant::now() + Duration::from_secs(3);
        while !shows() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        for (topic, count) in &counts {
            let name = named(&prefix, topic);
            let more = NewPartitions::new(&name, *count as usize + 1);
            let made = block_on(broker.admin.create_partitions([&more], &AdminOptions::new()))?;
            made.into_iter()
                .next()
                .context("no answer for a topic")?
                .map_err(|(name, error)| anyhow::anyhow!("no partition can be added to {name}: {error}"))?;
            added += 1;
        }
        // Where a row goes is decided when it is written: what a run has written before stays where it is, however late it comes.
        let written = Written::of(before);
        // From the first partition only: between those that there were the log has no order of the connector's, which each of
        // them has, and the new one must have too.
        let moved = |record: &Record| {
            let mut record = record.clone();
            let moves = record.key.as_ref().is_some_and(|key| {
                let mut hasher = DefaultHasher::new();
                key.hash(&mut hasher);
                hasher.finish().is_multiple_of(2)
            });
            let moves = moves && record.partition == 0 && written.is_behind(&record);
            if let Some(count) = counts.get(record.topic.as_str()).filter(|_| moves) {
                record.partition = *count;
            }
            record
        };
        let after: Vec<Record> = after.iter().map(moved).collect();
        broker.write(&prefix, &after)
    })?;
    summary.added += added;
    Ok(())
}

/// How far each run of a connector has written.
struct Written {
    runs: BTreeMap<String, u64>,
}

impl Written {
    fn of(records: &[Record]) -> Written {
        let mut runs: BTreeMap<String, u64> = BTreeMap::new();
        for (run, lsn) in records.iter().filter_map(Written::place) {
            let last = runs.entry(run).or_default();
            *last = lsn.max(*last);
        }
        Written { runs }
    }

    /// The run and the LSN of a row.
    fn place(record: &Record) -> Option<(String, u64)> {
        let run = record.headers.iter().find(|(name, _)| name == "__debezium.context.runId")?;
        let value: serde_json::Value = serde_json::from_str(record.payload.as_deref()?).ok()?;
        let lsn = ["/payload/source/lsn", "/source/lsn"].iter().find_map(|at| value.pointer(at)?.as_u64())?;
        Some((run.1.clone(), lsn))
    }

    /// Whether a row was written behind all of these.
    fn is_behind(&self, record: &Record) -> bool {
        Written::place(record).is_some_and(|(run, lsn)| self.runs.get(&run).is_none_or(|last| lsn > *last))
    }
}

/// Topics older than their retention: refused, or what is left is a partial base. That is what a replay of the copied topics
/// makes of them too.
fn retention(broker: &Broker, seed: u64, summary: &mut TopicsSummary) -> Result<()> {
    let (scenario, prefix) = (Scenario::random(seed), "retention");
    broker.create(prefix, &scenario.log, &[])?;
    broker.write(prefix, &scenario.log.records)?;
    let topic = named(prefix, "podium.public.users");
    broker.delete_before(&topic, 0, Offset::Offset(2))?;
    match engine(broker, prefix).run(&mut NullSink::default()) {
        Err(Error::Kafka(KafkaError::Beheaded { topic: told, first: 2, .. })) if told == topic => {
            summary.refused.push("Beheaded");
        }
        other => bail!("expected that {topic} lacks its first records, found {other:?}"),
    }
    let last = Lsn(states(&scenario).last().context("a history")?.0);
    let live = partial(engine(broker, prefix), Some(last))?;
    let mut log = tempfile::Builder::new().suffix(".jsonl").tempfile()?;
    Capture::new(&ConversationSearch::default(), broker.kafka(), prefix).run(&mut log)?;
    let replay = Engine::replay(ConversationSearch::default(), deltaic::Log::file(log.path()));
    let replayed = partial(replay.prefix(prefix), None)?;
    ensure!(live == replayed, "{} documents of {topic} live, {} replayed", live.len(), replayed.len());
    Ok(())
}

/// The documents of a run that takes a partial base, at `last` or at the end.
fn partial(engine: Engine<ConversationSearch>, last: Option<Lsn>) -> Result<BTreeMap<String, String>> {
    let mut documents = BTreeMap::new();
    let engine = engine.allow_partial_base(true);
    let handle = engine.handle();
    let waiting = last.map(|last| {
        std::thread::spawn(move || {
            let reached = handle.wait_for_timeout(last, PATIENCE);
            handle.stop();
            matches!(reached, Ok(true))
        })
    });
    let report = engine.for_each(|touch| {
        match touch.action {
            Action::Delete => documents.remove(&touch.id.to_string()),
            Action::Upsert(document) => documents.insert(touch.id.to_string(), format!("{document:?}")),
        };
        Ok(())
    })?;
    let reached = waiting.map(|waiting| waiting.join().map_err(|_| anyhow::anyhow!("a thread panicked")));
    ensure!(reached.transpose()? != Some(false), "the last commit is not reached: {report:?}");
    ensure!(report.partial_base, "expected a partial base: {report:?}");
    Ok(documents)
}

/// A reader that is far behind finds that what it was to read next is gone.
fn expiry(broker: &Broker, seed: u64, summary: &mut TopicsSummary) -> Result<()> {
    let (scenario, prefix) = (Scenario::random(seed), "expiry");
    broker.create(prefix, &scenario.log, &[])?;
    let users = |record: &&Record| record.topic == "podium.public.users" && record.payload.is_some();
    let record = scenario.log.records.iter().find(users).context("a user")?;
    let topic = named(prefix, &record.topic);
    broker.write(prefix, std::iter::repeat_n(record, 2_000))?;
    // It has nearly nothing on its way, and takes one record.
    let kafka = Kafka { poll_records_max: 1, ..broker.kafka() };
    let small =
        [("queued.max.messages.kbytes", "1"), ("fetch.message.max.bytes", "1000"), ("queued.min.messages", "1")];
    let kafka = small.iter().fold(kafka, |kafka, (name, value)| kafka.property(*name, *value));
    let capture = Capture::new(&ConversationSearch::default(), kafka, prefix).follow(true);
    let ((taken, went), handle) = ((sync_channel(1), sync_channel(1)), capture.handle());
    let mut out = Stalling { taken: Some(taken.0), goes_on: went.1 };
    let reading = std::thread::spawn(move || capture.run(&mut out));
    taken.1.recv_timeout(PATIENCE).context("no record came")?;
    broker.delete_before(&topic, record.partition, Offset::Offset(1_990))?;
    went.0.send(())?;
    let deadline = Instant::now() + PATIENCE;
    while !reading.is_finished() {
        if Instant::now() > deadline {
            handle.stop();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    match reading.join().map_err(|_| anyhow::anyhow!("the reader panicked"))? {
        Err(Error::Kafka(KafkaError::Expired { topic: told, first: 1_990, .. })) if told == topic => {
            summary.refused.push("Expired");
            Ok(())
        }
        other => bail!("expected that records of {topic} are gone, found {other:?}"),
    }
}

/// Takes a record, then waits once.
struct Stalling {
    taken: Option<std::sync::mpsc::SyncSender<()>>,
    goes_on: Receiver<()>,
}

impl Write for Stalling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(taken) = self.taken.take() {
            taken.send(()).map_err(io::Error::other)?;
            self.goes_on.recv().map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn compaction(broker: &Broker, seed: u64, summary: &mut TopicsSummary) -> Result<()> {
    let (scenario, prefix) = (Scenario::random(seed), "compaction");
    broker.create(prefix, &scenario.log, &[("cleanup.policy", "compact")])?;
    match engine(broker, prefix).run(&mut NullSink::default()) {
        Err(Error::Kafka(KafkaError::Compacted { policy, .. })) if policy == "compact" => {
            summary.refused.push("Compacted");
            Ok(())
        }
        other => bail!("expected that a topic is compacted, found {other:?}"),
    }
}

/// A topic is deleted while it is read, and made anew with more records than it had.
fn recreation(broker: &Broker, seed: u64, summary: &mut TopicsSummary) -> Result<()> {
    let (scenario, prefix) = (Scenario::random(seed), "recreation");
    broker.create(prefix, &scenario.log, &[])?;
    broker.write(prefix, &scenario.log.records)?;
    let (topic, count) =
        scenario.log.partitions.iter().find(|(topic, _)| topic.ends_with("users")).context("a topic of users")?;
    let name = named(prefix, topic);
    let last = Lsn(states(&scenario).last().context("a history")?.0);
    let run = engine(broker, prefix).start(NullSink::default())?;
    let reached = run.wait_for_timeout(last, PATIENCE);
    let deleted = block_on(broker.admin.delete_topics(&[&name], &AdminOptions::new()))?;
    deleted.into_iter().try_for_each(|deleted| deleted.map(drop).map_err(|(_, error)| error))?;
    broker.create_one(prefix, topic, *count, &[])?;
    let users: Vec<&Record> = scenario.log.records.iter().filter(|record| record.topic == *topic).collect();
    broker.write(prefix, std::iter::repeat_n(users, 3).flatten())?;
    // The reader looks again within seconds, of itself.
    let deadline = Instant::now() + PATIENCE;
    while !run.is_finished() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    run.stop();
    ensure!(matches!(reached, Ok(true)), "{last} is not reached");
    match run.join().0 {
        Err(Error::Kafka(KafkaError::Recreated { topic: told })) if told == name => {
            summary.refused.push("Recreated");
            Ok(())
        }
        other => bail!("expected that {name} was made anew, found {other:?}"),
    }
}
