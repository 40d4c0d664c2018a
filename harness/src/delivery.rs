//! The order between partitions. Kafka promises order inside a partition and nothing more, so whatever reads several of them must
//! come out the same for every interleaving: here are the telling ones.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use fastrand::Rng;

use crate::connector::{Log, Record, TRANSACTION_TOPIC, push_text};

/// How the partitions of a log are interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As they were written.
    Production,
    /// Any partition next, in runs of up to sixteen records.
    Random,
    /// The whole transaction topic, then the rest as written.
    TransactionsFirst,
    /// The transaction topic after everything else.
    TransactionsLast,
    /// One partition after everything else.
    PartitionLast(String, i32),
    /// Some partition after everything else, drawn.
    SomePartitionLast,
    /// One record of each partition in turn.
    RoundRobin,
}

impl Delivery {
    /// Every kind, for tests that try them all.
    pub const KINDS: [Delivery; 6] = [
        Delivery::Production,
        Delivery::Random,
        Delivery::TransactionsFirst,
        Delivery::TransactionsLast,
        Delivery::SomePartitionLast,
        Delivery::RoundRobin,
    ];

    /// Any kind.
    pub fn random(rng: &mut Rng) -> Delivery {
        rng.choice(Delivery::KINDS).unwrap_or(Delivery::Production)
    }
}

/// The records of a log in another order that keeps each partition's.
pub fn deliver<'a>(log: &'a Log, delivery: &Delivery, rng: &mut Rng) -> Vec<&'a Record> {
    match delivery {
        Delivery::Production => log.records.iter().collect(),
        Delivery::TransactionsFirst => split(log, |record| record.topic != TRANSACTION_TOPIC),
        Delivery::TransactionsLast => split(log, |record| record.topic == TRANSACTION_TOPIC),
        Delivery::PartitionLast(topic, partition) => {
            split(log, |record| record.topic == *topic && record.partition == *partition)
        }
        Delivery::SomePartitionLast => match rng.choice(&log.records) {
            Some(held) => split(log, |record| record.topic == held.topic && record.partition == held.partition),
            None => Vec::new(),
        },
        Delivery::Random => merge(log, true, rng),
        Delivery::RoundRobin => merge(log, false, rng),
    }
}

/// Everything that is not `late`, then what is.
fn split(log: &Log, late: impl Fn(&Record) -> bool) -> Vec<&Record> {
    let (after, mut before): (Vec<&Record>, Vec<&Record>) = log.records.iter().partition(|record| late(record));
    before.extend(after);
    before
}

/// Takes runs from one partition after the other, in turn or drawn.
fn merge<'a>(log: &'a Log, drawn: bool, rng: &mut Rng) -> Vec<&'a Record> {
    let mut queues: BTreeMap<(&str, i32), VecDeque<&Record>> = BTreeMap::new();
    for record in &log.records {
        queues.entry((&record.topic, record.partition)).or_default().push_back(record);
    }
    let mut queues: VecDeque<VecDeque<&Record>> = queues.into_values().collect();
    let mut merged = Vec::with_capacity(log.records.len());
    while !queues.is_empty() {
        let (next, run) = if drawn { (rng.usize(..queues.len()), rng.usize(1..=16)) } else { (0, 1) };
        let mut queue = queues.remove(next).expect("drawn below the length");
        let length = run.min(queue.len());
        merged.extend(queue.drain(..length));
        if !queue.is_empty() {
            queues.push_back(queue);
        }
    }
    merged
}

/// The first `at` records: a dump that ends in the middle of things.
pub fn cut<'a>(records: &[&'a Record], at: usize) -> Vec<&'a Record> {
    records.iter().take(at).copied().collect()
}

/// The line `kcat -C -J` prints for a record, without its line break.
pub fn kcat_line(record: &Record) -> String {
    let payload = record.payload.as_deref();
    let mut line = String::with_capacity(payload.map_or(0, |payload| payload.len() + payload.len() / 4) + 600);
    line.push_str("{\"topic\":");
    push_text(&mut line, &record.topic, false);
    let Record { partition, offset, ts, .. } = record;
    write!(line, ",\"partition\":{partition},\"offset\":{offset},\"tstype\":\"create\",\"ts\":{ts},\"broker\":1")
        .expect("a String takes every write");
    for (at, (name, value)) in record.headers.iter().enumerate() {
        line.push_str(if at == 0 { ",\"headers\":[" } else { "," });
        push_text(&mut line, name, false);
        line.push(',');
        push_text(&mut line, value, false);
    }
    line.push_str(if record.headers.is_empty() { ",\"key\":" } else { "],\"key\":" });
    push_nullable(&mut line, record.key.as_deref());
    line.push_str(",\"payload\":");
    push_nullable(&mut line, payload);
    line.push('}');
    line
}

/// The record of such a line; `None` if it names no topic or no partition. Its offset and time are left out: whoever writes it
/// again gives it others.
pub fn record_of(line: &serde_json::Value) -> Option<Record> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let field = |name: &str| line.get(name).and_then(text);
    let headers = line.get("headers").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let header = |pair: &[serde_json::Value]| Some((text(pair.first()?)?, text(pair.get(1)?)?));
    Some(Record {
        topic: field("topic")?,
        partition: i32::try_from(line.get("partition")?.as_i64()?).ok()?,
        offset: 0,
        ts: 0,
        key: field("key"),
        payload: field("payload"),
        headers: headers.chunks(2).filter_map(header).collect(),
    })
}

fn push_nullable(line: &mut String, text: Option<&str>) {
    match text {
        Some(text) => push_text(line, text, false),
        None => line.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn every_delivery_keeps_all_records_and_the_order_of_each_partition() {
        let log = Scenario::random(3).log;
        let mut rng = Rng::with_seed(1);
        for delivery in Delivery::KINDS {
            let records = deliver(&log, &delivery, &mut rng);
            assert_eq!(records.len(), log.records.len(), "{delivery:?}");
            let mut next: BTreeMap<(&str, i32), i64> = BTreeMap::new();
            for record in records {
                let expected = next.entry((&record.topic, record.partition)).or_default();
                assert_eq!(record.offset, *expected, "{delivery:?}");
                *expected += 1;
            }
        }
    }

    #[test]
    fn lines_look_like_kcats() {
        let record = Record {
            topic: "podium.transaction".to_owned(),
            partition: 0,
            offset: 4,
            ts: 7,
            key: Some("{\"id\":\"1:2\"}".to_owned()),
            payload: None,
            headers: Vec::new(),
        };
        let plain = r#"{"topic":"podium.transaction","partition":0,"offset":4,"tstype":"create","ts":7,"broker":1,"key":"{\"id\":\"1:2\"}","payload":null}"#;
        assert_eq!(kcat_line(&record), plain);
        let headed = Record { headers: vec![("a".to_owned(), "b".to_owned())], ..record };
        assert!(kcat_line(&headed).contains(r#""broker":1,"headers":["a","b"],"key""#));
    }
}
