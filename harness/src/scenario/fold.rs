//! A tiny, independent reader of a log: what a patient person with the whole log in hand would compute. It knows records only,
//! and shares no code with the generator.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::connector::{Log, PLACEHOLDER, TRANSACTION_TOPIC};

/// Rows by table and key, each with the rows that stand under that key, oldest first.
pub(super) type State = BTreeMap<(String, String), Vec<Value>>;

#[derive(Clone)]
pub(super) struct Change {
    pub(super) lsn: u64,
    op: String,
    offset: i64,
    pub(super) table: String,
    key: String,
    after: Value,
    old_key: Option<String>,
}

/// Changes by table, key, LSN and op.
pub(super) type Distinct = BTreeMap<(String, String, u64, String), Change>;

#[derive(Default)]
pub(super) struct Folded {
    /// L0 and the rows of the snapshot at it.
    pub(super) base: (u64, State),
    /// By previous END and txid: the distinct changes.
    pub(super) transactions: BTreeMap<(u64, u64), Distinct>,
    /// ENDs: LSN to txid.
    pub(super) ends: BTreeMap<u64, u64>,
}

fn payload(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap();
    match value.as_object() {
        Some(object) if object.len() == 2 && object.contains_key("schema") && object.contains_key("payload") => {
            value["payload"].clone()
        }
        _ => value,
    }
}

fn key_of(text: &str) -> String {
    payload(text).as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
}

pub(super) fn read(log: &Log) -> Folded {
    let mut folded = Folded::default();
    for record in &log.records {
        let Some(text) = &record.payload else { continue };
        let value = payload(text);
        if record.topic == TRANSACTION_TOPIC {
            if value["status"] == "END" {
                let (txid, lsn) = value["id"].as_str().unwrap().split_once(':').unwrap();
                folded.ends.insert(lsn.parse().unwrap(), txid.parse().unwrap());
            }
        } else if let Some(table) = record.topic.strip_prefix("podium.public.").filter(|_| !value.is_null()) {
            let key = record.key.as_deref().map(key_of).unwrap_or_default();
            let headers: BTreeMap<_, _> = record.headers.iter().cloned().collect();
            let old_key = headers.get("__debezium.oldkey").map(|key| key_of(key));
            row(&mut folded, table, key, old_key, record.offset, &value);
        }
    }
    folded
}

fn row(folded: &mut Folded, table: &str, key: String, old_key: Option<String>, offset: i64, value: &Value) {
    let sequence: Vec<Option<String>> = serde_json::from_str(value["source"]["sequence"].as_str().unwrap()).unwrap();
    let after = value["after"].clone();
    if value["op"] == "r" {
        let lsn = value["source"]["lsn"].as_u64().unwrap_or(0);
        if sequence[0].is_none() && value["source"]["snapshot"] != "incremental" && lsn >= folded.base.0 {
            if lsn > folded.base.0 {
                folded.base = (lsn, State::new());
            }
            folded.base.1.insert((table.to_owned(), key), vec![after]);
        }
        return;
    }
    let previous = sequence[0].as_ref().map_or(0, |lsn| lsn.parse().unwrap());
    let txid: u64 = value["transaction"]["id"].as_str().unwrap().split(':').next().unwrap().parse().unwrap();
    let (lsn, op) = (value["source"]["lsn"].as_u64().unwrap(), value["op"].as_str().unwrap().to_owned());
    let id = (table.to_owned(), key.clone(), lsn, op.clone());
    let change = Change { lsn, op, offset, table: table.to_owned(), key, after, old_key };
    let seen = folded.transactions.entry((previous, txid)).or_default();
    if let Some(before) = seen.get(&id) {
        assert_eq!(before.after, change.after, "a re-delivery repeats its content");
        assert_eq!(before.old_key, change.old_key, "a re-delivery repeats its headers");
    } else {
        seen.insert(id, change);
    }
}

/// Applies one transaction's changes in WAL order, a `d` before its `c`.
pub(super) fn apply(state: &mut State, changes: impl IntoIterator<Item = Change>) {
    let mut changes: Vec<Change> = changes.into_iter().collect();
    changes.sort_by_key(|change| (change.lsn, change.op != "d", change.offset));
    let mut left: BTreeMap<(String, String), Value> = BTreeMap::new();
    for change in changes {
        let id = (change.table.clone(), change.key.clone());
        match change.op.as_str() {
            "t" => state.retain(|(table, _), _| *table != change.table),
            "d" => {
                // Where two rows stand under a key, a swap is under way and the older one leaves.
                let rows = state.get_mut(&id).unwrap();
                left.insert(id.clone(), rows.remove(0));
                if rows.is_empty() {
                    state.remove(&id);
                }
            }
            "c" => {
                let source = change.old_key.as_ref().map(|key| left[&(change.table.clone(), key.clone())].clone());
                state.entry(id).or_default().push(merged(change.after, source.as_ref()));
            }
            _ => {
                let rows = state.get_mut(&id).unwrap();
                let last = rows.last_mut().unwrap();
                *last = merged(change.after, Some(last));
            }
        }
    }
    let tables: BTreeSet<_> = state.iter().filter(|(_, rows)| rows.len() != 1).map(|((table, _), _)| table).collect();
    assert!(tables.is_empty(), "two rows under one key at a commit in {tables:?}");
}

fn merged(mut after: Value, before: Option<&Value>) -> Value {
    for (column, value) in after.as_object_mut().unwrap() {
        if value == PLACEHOLDER {
            *value = before.unwrap()[column].clone();
        }
    }
    after
}
