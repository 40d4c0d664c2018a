//! The engine inside another program: records pushed by its own code, a view of its own, and what it waits for.

use crate::own_view::Sales;
use deltaic::{
    Ack, Action, Batch, Engine, Error, History, Lsn, Next, NotReached, NullSink, Record, RecordReceiver, RecordSender,
    Report, Sink, SinkError, Source, SourceError, record_channel,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The LSN of the initial snapshot.
const BASE: u64 = 20_000_000;

/// How many partitions each table's topic has.
const PARTITIONS: u32 = 2;

/// The END of transaction `n`; of the snapshot for 0.
fn end(n: u64) -> u64 {
    BASE + n * 1_000
}

/// A connector that reads tables of a shop: one transaction after the other, each row in the partition of its key.
struct Shop {
    sender: RecordSender,
    offsets: BTreeMap<(String, u32), u64>,
    transactions: u64,
}

impl Shop {
    fn new() -> (Shop, RecordReceiver) {
        let (sender, receiver) = record_channel();
        (Shop { sender, offsets: BTreeMap::new(), transactions: 0 }, receiver)
    }

    fn push(&mut self, table: &str, partition: u32, key: Option<Value>, value: &Value) -> bool {
        let topic = format!("shop.{table}");
        let offset = self.offsets.entry((topic.clone(), partition)).or_default();
        let record = Record {
            topic,
            partition,
            offset: *offset,
            headers: vec![("__debezium.context.runId".to_owned(), "01a20925-3c7c-7e65-8688-693ca1c543a2".to_owned())],
            key: key.map(|key| key.to_string().into()),
            value: Some(value.to_string().into()),
        };
        *offset += 1;
        self.sender.push(record).is_ok()
    }

    fn snapshot(&mut self, table: &str, partition: u32, key: Value, after: Value) {
        let source = json!({"snapshot": "true", "sequence": format!("[null,\"{BASE}\"]"), "lsn": BASE});
        let value = json!({"before": null, "after": after, "source": source, "transaction": null, "op": "r"});
        assert!(self.push(table, partition, Some(key), &value));
    }

    /// Commits changes, each of a table, a key and the row that it has from now on. False when the run is over.
    fn commit(&mut self, changes: &[(&str, Value, Option<Value>)]) -> bool {
        self.transactions += 1;
        let tx = self.transactions;
        let mut orders: BTreeMap<&str, u64> = BTreeMap::new();
        for (number, (table, key, after)) in changes.iter().enumerate() {
            let order = orders.entry(table).or_default();
            *order += 1;
            let lsn = end(tx) - 900 + number as u64;
            let value = json!({
                "before": null,
                "after": after,
                "source": {"snapshot": null, "sequence": format!("[\"{}\",\"{lsn}\"]", end(tx - 1)), "lsn": lsn},
                "transaction": {"id": format!("{tx}:{lsn}"), "total_order": number + 1, "data_collection_order": order},
                "op": if after.is_some() { "u" } else { "d" },
            });
            let partition = key.to_string().bytes().map(u32::from).sum::<u32>() % PARTITIONS;
            self.push(table, partition, Some(key.clone()), &value);
        }
        let counts: Vec<Value> =
            orders.iter().map(|(table, count)| json!({"data_collection": table, "event_count": count})).collect();
        let id = format!("{tx}:{}", end(tx));
        self.push("transaction", 0, None, &json!({"status": "END", "id": id, "data_collections": counts, "ts_ms": 1}))
    }
}

fn product(sku: &str, title: &str) -> (&'static str, Value, Option<Value>) {
    ("public.products", json!({"sku": sku}), Some(json!({"sku": sku, "title": title})))
}

fn sale(number: u64, sku: &str, units: i64) -> (&'static str, Value, Option<Value>) {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    ("public.sales", json!({"id": id}), Some(json!({"id": id, "sku": sku, "units": units})))
}

fn gone(change: (&'static str, Value, Option<Value>)) -> (&'static str, Value, Option<Value>) {
    (change.0, change.1, None)
}

fn engine(source: impl Source + 'static) -> Engine<Sales> {
    Engine::live(Sales, source)
        .prefix("shop")
        .partitions("shop.public.products", PARTITIONS)
        .partitions("shop.public.sales", PARTITIONS)
        .snapshot_complete(true)
        .settle_ms(50)
}

/// The documents as `title, sales, units` by sku.
type Shown = BTreeMap<String, (String, i64, i64)>;

/// Keeps the documents where a test can see them.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Shown>>);

impl Shared {
    fn shown(&self) -> Shown {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Shared {
    fn history(&self) -> History {
        History::Latest
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        use deltaic::dataflows::Value;
        let mut shown = self.0.lock().unwrap();
        for touch in batch.touched {
            let Action::Upsert(document) = touch.action else {
                shown.remove(&*touch.id.0);
                continue;
            };
            let integer = |field| match document.get(field) {
                Some(Value::Integer(integer)) => *integer,
                other => panic!("{field} is {other:?}"),
            };
            let title = crate::support::text(&document, "title");
            shown.insert(touch.id.to_string(), (title, integer("sales"), integer("units")));
        }
        Ok(Ack::Accepted)
    }
}

fn expected(documents: &[(&str, &str, i64, i64)]) -> Shown {
    documents
        .iter()
        .map(|(sku, title, sales, units)| ((*sku).to_owned(), ((*title).to_owned(), *sales, *units)))
        .collect()
}

/// The program pushes, waits until the documents are those of its transaction, and reads them, again and again.
#[test]
fn a_program_reads_what_it_wrote() {
    for workers in [1, 3] {
        let (mut shop, records) = Shop::new();
        let sink = Shared::default();
        let run = engine(records).workers(workers).start(sink.clone()).unwrap();
        for (partition, sku, title) in [(0, "ax", "Axe"), (1, "be", "Bell")] {
            shop.snapshot("public.products", partition, json!({"sku": sku}), json!({"sku": sku, "title": title}));
        }
        let steps: [(Vec<_>, Shown); 5] = [
            (vec![sale(1, "ax", 2), sale(2, "ax", 3)], expected(&[("ax", "Axe", 2, 5)])),
            (vec![sale(3, "cu", 7), product("be", "Big bell")], expected(&[("ax", "Axe", 2, 5)])),
            // A sale before its product, one that is of another product now.
            (
                vec![product("cu", "Cup"), sale(2, "be", 4)],
                expected(&[("ax", "Axe", 1, 2), ("be", "Big bell", 1, 4), ("cu", "Cup", 1, 7)]),
            ),
            (vec![gone(product("ax", "")), gone(sale(3, "", 0))], expected(&[("be", "Big bell", 1, 4)])),
            (vec![gone(sale(2, "", 0))], expected(&[])),
        ];
        for (number, (changes, documents)) in steps.iter().enumerate() {
            assert!(shop.commit(changes));
            run.wait_for(Lsn(end(number as u64 + 1))).unwrap();
            assert_eq!(sink.shown(), *documents, "transaction {}, {workers} workers", number + 1);
        }
        drop(shop);
        let (report, _sink) = run.join();
        let report = report.unwrap();
        assert_eq!((report.exact_at, report.transactions()), (Some(Lsn(end(5))), 5));
    }
}

/// A sink that counts one transaction after the other, and fails at one of them.
#[test]
fn what_a_closure_answers_ends_the_run() {
    let (mut shop, records) = Shop::new();
    let run = engine(records);
    let handle = run.handle();
    let waiting = std::thread::spawn(move || handle.wait_for(Lsn(end(9))));
    let pushing = std::thread::spawn(move || {
        for number in 1.. {
            // Every partition shows that it has gone past the transaction before.
            let title = number.to_string();
            if !shop.commit(&[product("ax", &title), product("ay", "Ay"), sale(1, "ax", number), sale(2, "ay", 1)]) {
                return number;
            }
        }
        unreachable!("it is told that the run has ended")
    });
    let mut states = Vec::new();
    let outcome = run.allow_partial_base(true).for_each(|touch| {
        states.push((touch.time, touch.id.to_string()));
        if states.len() == 4 { Err(SinkError::other("four are enough")) } else { Ok(()) }
    });
    assert!(matches!(&outcome, Err(Error::Sink(SinkError::Other(_)))), "{outcome:?}");
    assert_eq!(outcome.unwrap_err().to_string(), "four are enough");
    let expected = [(1, "ax"), (1, "ay"), (2, "ax"), (3, "ax")].map(|(n, sku)| (end(n), sku.to_owned()));
    assert_eq!(states, expected);
    let not_reached = waiting.join().unwrap().unwrap_err();
    assert_eq!(not_reached.lsn, Lsn(end(9)));
    assert!(pushing.join().unwrap() > 3);
}

/// A source that says what it is told to.
struct Scripted(std::vec::IntoIter<Result<Next, SourceError>>);

impl Source for Scripted {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        self.0.next().unwrap_or_else(|| {
            std::thread::sleep(wait);
            Ok(Next::Nothing)
        })
    }
}

#[test]
fn a_source_that_fails_ends_the_run_with_its_words() {
    for workers in [1, 2] {
        let source = Scripted(vec![Ok(Next::Nothing), Err("the broker is gone".into())].into_iter());
        let error = engine(source).workers(workers).run(&mut NullSink::default()).unwrap_err();
        assert_eq!(error.to_string(), "the source of records failed: the broker is gone");
    }
}

#[test]
fn a_run_that_is_stopped_says_how_far_it_came() {
    let run = engine(Scripted(Vec::new().into_iter())).allow_partial_base(true).start(NullSink::default()).unwrap();
    let handle = run.clone();
    let waiting = std::thread::spawn(move || handle.wait_until_durable(Lsn(end(1))));
    run.stop();
    let (report, _) = run.join();
    assert!(
        matches!(report, Ok(Report { interrupted: true, exact_at: None, .. }) | Err(Error::Align(_))),
        "{report:?}"
    );
    let said = waiting.join().unwrap().unwrap_err();
    assert_eq!(said, NotReached { lsn: Lsn(end(1)), reached: None });
    assert_eq!(said.to_string(), format!("the run ended before LSN {}", end(1)));
    // One that was never run is over too.
    let handle = engine(Scripted(Vec::new().into_iter())).handle();
    assert!(handle.wait_for(Lsn(1)).is_err());
}

#[test]
fn a_bad_record_that_was_pushed_is_in_the_dead_letters_as_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("letters");
    let (mut shop, records) = Shop::new();
    let engine = engine(records).on_bad_record(deltaic::OnBadRecord::DeadLetter(letters.clone()));
    shop.snapshot("public.products", 0, json!({"sku": "ax"}), json!({"sku": "ax", "title": "Axe"}));
    shop.push("public.products", 1, Some(json!({"sku": "be"})), &json!({"op": "u"}));
    shop.push("public.products", 70_000, Some(json!({"sku": "be"})), &json!({"op": "u"}));
    shop.commit(&[product("be", "Bell")]);
    drop(shop);
    let report = engine.run(&mut NullSink::default()).unwrap();
    assert_eq!(report.bad, 2);
    let letters = std::fs::read_to_string(letters).unwrap();
    let letters: Vec<Value> = letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let record: Value = serde_json::from_str(letters[0]["record"].as_str().unwrap()).unwrap();
    assert_eq!((&record["topic"], &record["payload"]), (&json!("shop.public.products"), &json!("{\"op\":\"u\"}")));
    assert!(letters[1]["reason"].as_str().unwrap().contains("partition numbers above 65535"), "{letters:?}");
}

/// A sink that panics is the caller's own panic; the run it was of ends, and whoever waits for it is told.
#[test]
fn a_sink_that_panics_ends_a_run_that_would_not_end() {
    for workers in [1, 2] {
        let (mut shop, records) = Shop::new();
        let engine = engine(records).allow_partial_base(true).workers(workers);
        let handle = engine.handle();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| engine.for_each(|touch| panic!("{} is too much", touch.id)));
            let panicked = std::panic::catch_unwind(run).map(drop).unwrap_err();
            let _test_has_failed = done.send(panicked.downcast_ref::<String>().cloned());
        });
        (1..4).for_each(|n| {
            shop.commit(&[product("ax", &n.to_string()), product("ay", "Ay"), sale(1, "ax", n), sale(2, "ay", 1)]);
        });
        let said = ended.recv_timeout(Duration::from_secs(60)).expect("the run ends");
        assert_eq!(said.as_deref(), Some("ax is too much"));
        assert!(handle.wait_for(Lsn(end(9))).is_err());
    }
}

/// Records that come one after the other, never with much time between, settle all the same.
#[test]
fn a_source_that_is_busy_settles() {
    let (mut shop, records) = Shop::new();
    let run = engine(records).start(NullSink::default()).unwrap();
    let first = Lsn(end(1));
    shop.snapshot("public.products", 0, json!({"sku": "ax"}), json!({"sku": "ax", "title": "Axe"}));
    assert!(!run.wait_for_timeout(first, Duration::from_millis(1)).unwrap(), "no transaction was pushed");
    let pushing = std::thread::spawn(move || {
        // One partition alone shows anything, so that nothing is ever proven.
        while shop.commit(&[product("ax", "Axe")]) {
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    assert!(run.wait_for_timeout(first, Duration::from_secs(60)).unwrap());
    run.stop();
    assert!(run.join().0.unwrap().settled > 0);
    pushing.join().unwrap();
}

#[test]
fn what_cannot_be_is_refused() {
    let said = |topic, partitions| {
        let engine = Engine::live(Sales, Scripted(Vec::new().into_iter())).prefix("shop");
        let engine = engine.partitions("shop.public.products", PARTITIONS).partitions(topic, partitions);
        engine.run(&mut NullSink::default()).unwrap_err().to_string()
    };
    assert_eq!(said("shop.public.sales", 0), "topic shop.public.sales cannot have 0 partitions: expected 1 to 65,536");
    assert_eq!(
        said("public.sales", 2),
        "public.sales, which is said to have 2 partitions, is no topic of a table that the view reads, and of shop.public.sales nothing is said"
    );
}
