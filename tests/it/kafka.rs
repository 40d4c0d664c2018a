//! Live from Kafka, against librdkafka's mock cluster: what is assigned, in which order it comes, what a broker that goes
//! away does. What the mock does not do (retention, transactions of Kafka's own, more partitions) is tried on a real broker.

use crate::captures::log_of;
use crate::support::{Documents, EveryState};
use crate::unaligned::{documents, without_transactions};
use deltaic::dataflows::{ConversationSearch, View as _};
use deltaic::{
    Alignment, Capture, DocumentJson, Engine, Error, Index, IndexOptions, Kafka, KafkaError, Log as DeltaicLog, Lsn,
    NullSink, Report, TantivySink, Time,
};
use harness::{Log, Oracle, OracleOptions, Record, Scenario, TRANSACTION_TOPIC, record_of};
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const BROKERS: i32 = 3;

/// A cluster of three brokers that has the topics of a log.
struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Cluster {
    fn new() -> Cluster {
        let mock = MockCluster::new(BROKERS).unwrap();
        let producer = ClientConfig::new().set("bootstrap.servers", mock.bootstrap_servers()).create().unwrap();
        Cluster { mock, producer }
    }

    fn of(log: &Log) -> Cluster {
        let cluster = Cluster::new();
        log.partitions.iter().for_each(|(topic, count)| cluster.mock.create_topic(topic, *count, 1).unwrap());
        cluster
    }

    fn write<'a>(&self, records: impl IntoIterator<Item = &'a Record>) {
        for record in records {
            let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value.as_str()) })
            });
            let mut written = BaseRecord::<str, str>::to(&record.topic).partition(record.partition).headers(headers);
            (written.key, written.payload) = (record.key.as_deref(), record.payload.as_deref());
            self.producer.send(written).unwrap();
            self.producer.poll(Duration::ZERO);
        }
        self.producer.flush(Duration::from_secs(20)).unwrap();
    }

    fn kafka(&self) -> Kafka {
        Kafka::new(self.mock.bootstrap_servers())
            .property("fetch.wait.max.ms", "10")
            .property("reconnect.backoff.ms", "10")
    }

    fn engine(&self, workers: usize) -> Engine<ConversationSearch> {
        let engine = Engine::kafka(ConversationSearch::default(), self.kafka()).prefix("podium");
        engine.workers(workers).settle_ms(300)
    }
}

type State = BTreeMap<String, Json>;

fn json(documents: &Documents) -> State {
    let json = |document| serde_json::to_value(DocumentJson(document)).unwrap();
    documents.iter().map(|(id, document)| (id.to_string(), json(document))).collect()
}

/// Runs `during` beside an engine, waits until it has come to the scenario's last commit, and compares every state that it
/// has shown with the oracle's.
fn compared(scenario: &Scenario, engine: Engine<ConversationSearch>, during: impl FnOnce()) -> Report {
    let states: BTreeMap<u64, State> = Oracle::with_options(&scenario.history, OracleOptions::default())
        .states()
        .map(|(lsn, documents)| (lsn, documents.into_iter().collect()))
        .collect();
    let last = Lsn(*states.last_key_value().unwrap().0);
    let seen: Arc<Mutex<Vec<(Time, State)>>> = Arc::default();
    let sink = {
        let seen = Arc::clone(&seen);
        EveryState::new(move |time: Time, documents: &Documents| seen.lock().unwrap().push((time, json(documents))))
    };
    let run = engine.start(sink).unwrap();
    during();
    let reached = run.wait_for_timeout(last, Duration::from_secs(60));
    if !matches!(reached, Ok(true)) {
        let (progress, waits) = (run.progress(), run.waits_for());
        run.stop();
        panic!(
            "seed {}: {last} is not reached: {reached:?}, {progress:?}, {waits:?}, {:?}",
            scenario.seed,
            run.join().0
        );
    }
    run.stop();
    let report = run.join().0.unwrap();
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty());
    for (time, found) in &*seen {
        let expected = states.range(..*time).next_back().map(|(_, state)| state.clone()).unwrap_or_default();
        assert_eq!(*found, expected, "seed {}, before {time}", scenario.seed);
    }
    report
}

#[test]
fn every_state_is_that_of_one_commit() {
    let (mut closed, mut by_counts) = (0, 0);
    for seed in 0..6 {
        let scenario = Scenario::random(seed);
        let cluster = Cluster::of(&scenario.log);
        cluster.write(&scenario.log.records);
        for workers in [1, 3] {
            let report = compared(&scenario, cluster.engine(workers), || {});
            closed += report.transactions();
            by_counts += report.closed_by_counts;
            assert_eq!((report.late, report.settled), (0, 0), "seed {seed}");
        }
    }
    assert!(closed > 500 && by_counts > 0, "{closed}, {by_counts} by counts");
}

/// GIVEN topics that nobody writes to, so that nothing comes behind their snapshot, WHEN an index is rebuilt, THEN the run ends by
/// itself, when all of it has settled.
#[test]
fn a_run_to_the_end_ends_when_all_has_settled() {
    let scenario = Scenario::random(5);
    let cluster = Cluster::of(&scenario.log);
    cluster.write(&scenario.log.records);
    let dir = tempfile::tempdir().unwrap();
    let mut sink = TantivySink::rebuild(dir.path(), IndexOptions::default()).unwrap();
    let kafka = Kafka { to_the_end: true, ..cluster.kafka() };
    let engine = Engine::kafka(ConversationSearch::default(), kafka).prefix("podium").settle_ms(300);
    let report = engine.run(&mut sink).unwrap();
    assert!(!report.interrupted);
    sink.complete().unwrap();
    let snapshot = Index::open(dir.path()).unwrap().snapshot();
    let expected = Oracle::with_options(&scenario.history, OracleOptions::default()).at(snapshot.lsn().unwrap().0);
    let document = |stored: deltaic::Stored| (stored.id.to_string(), serde_json::from_str(&stored.json).unwrap());
    let found: harness::Documents = snapshot.dump().unwrap().map(|stored| document(stored.unwrap())).collect();
    assert_eq!(found, expected);
    assert!(report.exact_at.is_some() && report.open.is_empty(), "{report:?}");
}

/// GIVEN the topics, WHEN they are captured and the log is replayed, THEN every record is in it and every state is the same.
#[test]
fn what_is_captured_can_be_replayed() {
    let scenario = Scenario::random(5);
    let cluster = Cluster::of(&scenario.log);
    cluster.write(&scenario.log.records);
    let mut log = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    let view = ConversationSearch::default();
    let captured = Capture::new(&view, cluster.kafka(), "podium").run(&mut log).unwrap();
    let consumed =
        |record: &&Record| view.tables().iter().any(|table| record.topic == format!("podium.{}", table.name));
    let expected = scenario.log.records.iter().filter(|record| consumed(record) || record.topic == TRANSACTION_TOPIC);
    assert_eq!(captured.records, expected.count() as u64);
    let partitions = scenario
        .log
        .partitions
        .iter()
        .fold(Engine::replay(view, DeltaicLog::file(log.path())), |engine, (topic, count)| {
            engine.partitions(topic, *count as u32)
        });
    compared(&scenario, partitions.prefix("podium").snapshot_complete(true), || {});
}

#[test]
fn what_comes_while_it_runs_is_shown_though_the_broker_goes_away() {
    let scenario = Scenario::random(3);
    let cluster = Cluster::of(&scenario.log);
    let records = &scenario.log.records;
    let (before, after) = records.split_at(records.len() / 2);
    cluster.write(before);
    let engine = cluster.engine(2);
    let handle = engine.handle();
    let until = |is_there: &dyn Fn() -> bool| {
        (0..3_000).take_while(|_| !is_there()).for_each(|_| thread::sleep(Duration::from_millis(10)));
        assert!(is_there(), "{:?}", handle.waits_for());
    };
    compared(&scenario, engine, || {
        until(&|| handle.progress().records > 0);
        for brokers in [2..=2, 1..=BROKERS] {
            brokers.clone().for_each(|broker| cluster.mock.broker_down(broker).unwrap());
            until(&|| handle.waits_for().is_some_and(|why| why.contains("broker")));
            brokers.for_each(|broker| cluster.mock.broker_up(broker).unwrap());
            until(&|| handle.waits_for().is_none());
        }
        after.chunks(200).for_each(|records| {
            cluster.write(records);
            thread::sleep(Duration::from_millis(20));
        });
    });
}

/// GIVEN positions that a broker says are in no range, WHEN they are, THEN reading goes on, and nothing comes twice or never.
#[test]
fn a_position_that_is_in_its_range_after_all_is_read_on_from() {
    let scenario = Scenario::random(3);
    let cluster = Cluster::of(&scenario.log);
    let (before, after) = scenario.log.records.split_at(scenario.log.records.len() / 2);
    cluster.write(before);
    let out_of_range = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE; 2];
    cluster.mock.request_errors(RDKafkaApiKey::Fetch, &out_of_range);
    let (view, mut log) = (ConversationSearch::default(), Vec::new());
    let capture = Capture::new(&view, cluster.kafka(), "podium").follow(true);
    let handle = capture.handle();
    let consumed = |record: &&Record| {
        record.topic == TRANSACTION_TOPIC
            || view.tables().iter().any(|table| record.topic == format!("podium.{}", table.name))
    };
    let all = scenario.log.records.iter().filter(consumed).count() as u64;
    let until = |count: u64| {
        let is_there = || handle.progress().records >= count;
        (0..3_000).take_while(|_| !is_there()).for_each(|_| thread::sleep(Duration::from_millis(10)));
    };
    let captured = thread::scope(|scope| {
        let captured = scope.spawn(|| capture.run(&mut log));
        until(1);
        cluster.mock.request_errors(RDKafkaApiKey::Fetch, &out_of_range);
        cluster.write(after);
        until(all);
        handle.stop();
        captured.join().unwrap().unwrap()
    });
    assert_eq!(captured.records, all);
    let lines = std::str::from_utf8(&log).unwrap().lines();
    let place = |line: &str| {
        let record: Json = serde_json::from_str(line).unwrap();
        (record["topic"].to_string(), record["partition"].as_u64(), record["offset"].as_u64())
    };
    let places: BTreeSet<_> = lines.map(place).collect();
    assert_eq!(places.len() as u64, all, "some came twice");
}

#[test]
fn a_topic_that_is_missing_is_waited_for() {
    let scenario = Scenario::random(4);
    let cluster = Cluster::new();
    let engine = cluster.engine(2);
    let handle = engine.handle();
    compared(&scenario, engine, || {
        let waits = || handle.waits_for().unwrap_or_default();
        (0..500)
            .take_while(|_| !waits().contains(TRANSACTION_TOPIC))
            .for_each(|_| thread::sleep(Duration::from_millis(10)));
        let missing = waits();
        assert!(missing.starts_with("missing topics: ") && missing.contains("podium.public.users"), "{missing}");
        scenario.log.partitions.iter().for_each(|(topic, count)| cluster.mock.create_topic(topic, *count, 1).unwrap());
        cluster.write(&scenario.log.records);
    });
}

/// GIVEN topics of tables alone, WHEN each row stands for itself, THEN no transaction topic is waited for.
#[test]
fn rows_that_stand_for_themselves_need_no_transaction_topic() {
    let cluster = Cluster::new();
    let records: Vec<Record> = without_transactions().iter().map(|line| record_of(line).unwrap()).collect();
    for table in ["users", "conversations", "conversation_items"] {
        cluster.mock.create_topic(&format!("podium.public.{table}"), 3, 1).unwrap();
    }
    cluster.write(&records);
    let engine = cluster.engine(2).alignment(Alignment::None);
    let handle = engine.handle();
    let count = records.len() as u64;
    let stops = thread::spawn(move || {
        // All was read, and nothing has moved for a while.
        let mut last = (None, 0);
        let moves = |_: &u32| {
            let progress = handle.progress();
            let still = if last.0 == progress.unaligned_at { last.1 + 1 } else { 0 };
            last = (progress.unaligned_at, still);
            progress.records < count || still < 50
        };
        (0..6_000).take_while(moves).for_each(|_| thread::sleep(Duration::from_millis(10)));
        let (waits, progress) = (handle.waits_for(), handle.progress());
        handle.stop();
        (waits, progress)
    });
    let (found, report) = documents(engine);
    let (waits, progress) = stops.join().unwrap();
    assert_eq!((waits, progress.exact_at), (None, None));
    assert_eq!((report.records, report.exact_at, report.unaligned_at.is_some()), (count, None, true));
    let (all, _) = documents(Engine::replay(ConversationSearch::default(), DeltaicLog::file(log_of("basic"))));
    assert!(found == all, "{} documents, expected {}", found.lines().count(), all.lines().count());
}

#[test]
fn a_transaction_topic_of_several_partitions_is_refused() {
    let cluster = Cluster::new();
    cluster.mock.create_topic(TRANSACTION_TOPIC, 2, 1).unwrap();
    let refused = cluster.engine(1).run(&mut NullSink::default());
    let expected = KafkaError::TransactionPartitions { topic: TRANSACTION_TOPIC.to_owned(), partitions: 2 };
    assert!(matches!(&refused, Err(Error::Kafka(error)) if *error == expected), "{refused:?}");
}

#[test]
fn a_property_that_the_client_does_not_know_is_refused() {
    let kafka = Cluster::new().kafka().property("fetch.wait", "1");
    let refused = Engine::kafka(ConversationSearch::default(), kafka).prefix("podium").run(&mut NullSink::default());
    let Err(Error::Kafka(KafkaError::Property { name, .. })) = refused else { panic!("{refused:?}") };
    assert_eq!(name, "fetch.wait");
}
