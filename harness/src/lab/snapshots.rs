//! Snapshots of Debezium's, by several threads and of a table that is empty: one whose connector is killed inside it, and one
//! by a signal, where the topics have lost the first.

use super::broker::Broker;
use super::end_to_end::{lines, take};
use super::postgres::Postgres;
use super::stack::{Stack, connector};
use anyhow::{Context, Result, bail, ensure};
use deltaic::dataflows::ConversationSearch;
use deltaic::{Engine, Error, KafkaError, NullSink, Report};
use postgres::Client;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const NAME: &str = "second";
const PARTITIONS: i32 = 3;
const TABLES: [&str; 3] = ["users", "conversations", "conversation_items"];
/// So many that the snapshot lasts a while.
const USERS: i32 = 20_000;
const CONVERSATIONS: i32 = 4_000;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotsSummary {
    /// Records of the first snapshot when its connector was killed, of all there would have been.
    pub killed_at: (u64, u64),
    /// Documents that were equal to Postgres's answer behind the second one.
    pub documents: usize,
    /// The same behind the snapshot by a signal, in topics that had lost everything before.
    pub by_signal: usize,
}

pub(super) fn snapshots(postgres: &Postgres, stack: &mut Stack) -> Result<SnapshotsSummary> {
    let mut client = postgres.database(NAME)?;
    client.batch_execute(&format!(
        "CREATE TABLE signals (id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048));
         INSERT INTO users SELECT md5('user' || n)::uuid, 'user ' || n, NULL FROM generate_series(1, {USERS}) n;
         INSERT INTO conversations SELECT md5('conversation' || n)::uuid, md5('user' || n)::uuid, 'about', NULL
         FROM generate_series(1, {CONVERSATIONS}) n;"
    ))?;
    let mut config = connector(NAME, NAME, postgres.port)?;
    let settings = config.as_object_mut().context("a configuration is an object")?;
    for (name, value) in [
        ("snapshot.max.threads", "2"),
        ("signal.data.collection", "public.signals"),
        ("table.include.list", "public.users,public.conversations,public.conversation_items,public.signals"),
    ] {
        settings.insert(name.to_owned(), json!(value));
    }
    let broker = Broker::at(stack.broker)?;
    let mut summary = SnapshotsSummary::default();
    let all = (USERS + CONVERSATIONS) as u64;

    stack.put_connector(NAME, &config)?;
    let read = until("the snapshot begins", || Ok(Some(records(&broker)?).filter(|read| *read > 0)))?;
    stack.kill_connect()?;
    // A client that has asked for a topic before it was there takes a while to believe in it.
    let broker = Broker::at(stack.broker)?;
    let killed_at = records(&broker)?;
    ensure!(killed_at < all, "the snapshot was over when its connector was killed: {read}, then {killed_at} records");
    summary.killed_at = (killed_at, all);
    stack.start_connect()?;
    postgres.until_streaming(NAME)?;
    change(&mut client, 1)?;
    summary.documents = equal(&broker, &mut client, false)?;

    let broker = Broker::at(stack.broker)?;
    for table in TABLES {
        broker.empty(&format!("{NAME}.public.{table}"), PARTITIONS)?;
    }
    broker.empty(&format!("{NAME}.transaction"), 1)?;
    match engine(&broker).run(&mut NullSink::default()) {
        Err(Error::Kafka(KafkaError::Beheaded { .. })) => {}
        other => bail!("expected that the topics lack their first records, found {other:?}"),
    }
    // As the error says.
    client.batch_execute(
        "INSERT INTO signals VALUES ('deltaic-1', 'execute-snapshot', '{\"data-collections\": [\"public.users\", \
         \"public.conversations\", \"public.conversation_items\"], \"type\": \"incremental\"}')",
    )?;
    change(&mut client, 2)?;
    summary.by_signal = equal(&broker, &mut client, true)?;
    Ok(summary)
}

/// Some changes, in transactions of their own.
fn change(client: &mut Client, round: i32) -> Result<()> {
    for n in 1..=60 {
        let conversation = n * 7 + round;
        client.batch_execute(&format!(
            "BEGIN;
             INSERT INTO conversation_items SELECT md5('item{round}-{n}-' || m)::uuid, md5('conversation{conversation}')::uuid,
               CASE m WHEN 1 THEN 'message' WHEN 2 THEN 'review_invite' ELSE 'review' END, NULL,
               timestamptz '2026-03-01' + m * interval '{n} s' FROM generate_series(1, 3) m;
             UPDATE users SET name = name || '.' WHERE uid = md5('user{conversation}')::uuid;
             DELETE FROM users WHERE uid = md5('user{n}{round}')::uuid;
             COMMIT;"
        ))?;
    }
    Ok(())
}

fn engine(broker: &Broker) -> Engine<ConversationSearch> {
    Engine::kafka(ConversationSearch::default(), broker.kafka()).prefix(NAME).workers(2).settle_ms(3_000)
}

/// Runs until the documents are those of Postgres's answer, and says how many there are.
fn equal(broker: &Broker, client: &mut Client, partial: bool) -> Result<usize> {
    let documents: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let engine = engine(broker).allow_partial_base(partial);
    let handle = engine.handle();
    let running = {
        let documents = Arc::clone(&documents);
        std::thread::spawn(move || {
            engine.for_each(|touch| {
                take(&mut documents.lock().unwrap_or_else(PoisonError::into_inner), touch);
                Ok(())
            })
        })
    };
    let answer = client.query_one(
        "SELECT coalesce(string_agg(uid || '|' || user_uid || '|' || step, E'\\n' ORDER BY uid), '') FROM answer",
        &[],
    )?;
    let answer: String = answer.try_get(0)?;
    let same = || {
        let documents = documents.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((lines(&documents) == answer).then_some(documents.len()))
    };
    let found =
        until("the documents are Postgres's answer", || if running.is_finished() { Ok(Some(0)) } else { same() });
    let progress = handle.progress();
    handle.stop();
    let report: Report = running.join().map_err(|_| anyhow::anyhow!("the run panicked"))??;
    let expected = answer.lines().count();
    let there = documents.lock().unwrap_or_else(PoisonError::into_inner).len();
    let found = found.with_context(|| format!("{there} documents, expected {expected}; {progress:?}"))?;
    ensure!(found == expected && found > 0, "{found} documents, expected {expected}; {report:?}");
    ensure!(report.partial_base == partial, "partial base: {}", report.partial_base);
    Ok(found)
}

/// How many records the topics of the tables hold.
fn records(broker: &Broker) -> Result<u64> {
    let tables = TABLES.iter().map(|table| format!("{NAME}.public.{table}"));
    tables.map(|topic| broker.records(&topic, PARTITIONS)).sum()
}

/// Waits until there is an answer.
fn until<T>(what: &str, mut answer: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "it does not come to it that {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}
