//! Small logs by hand: a line for each record, as `kcat -C -J` prints it.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;

/// A log of one connector run over tables with one partition each, unless said otherwise.
#[derive(Default)]
pub struct HandLog {
    lines: Vec<String>,
    offsets: HashMap<(String, u32), u64>,
}

/// A uuid that ends in `n`.
pub fn uid(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub fn user(n: u32) -> (&'static str, Value) {
    ("users", json!({"uid": uid(n), "name": "Ada"}))
}

pub fn conversation(n: u32, user: u32) -> (&'static str, Value) {
    ("conversations", json!({"uid": uid(n), "user_uid": uid(user), "closed_at": null}))
}

pub fn item(n: u32, conversation: u32, kind: &str, second: u32) -> (&'static str, Value) {
    let created_at = format!("2026-01-01T00:00:{second:02}Z");
    ("conversation_items", json!({"uid": uid(n), "conversation_uid": uid(conversation), "type": kind, "created_at": created_at}))
}

impl HandLog {
    pub fn record(&mut self, topic: &str, partition: u32, key: Option<String>, payload: Option<String>) {
        let offset = self.offsets.entry((topic.to_owned(), partition)).or_default();
        let headers = ["__debezium.context.runId", "01a20925-3c7c-7e65-8688-693ca1c543a2"];
        let line = json!({"topic": topic, "partition": partition, "offset": *offset, "tstype": "create", "ts": 1,
            "broker": 1, "headers": headers, "key": key, "payload": payload});
        *offset += 1;
        self.lines.push(line.to_string());
    }

    pub fn line(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    /// A row of the initial snapshot at LSN `l0`.
    pub fn snapshot(&mut self, (table, row): (&str, Value), l0: u64) {
        let key = json!({"uid": row["uid"]}).to_string();
        let value = json!({"before": null, "after": row, "op": "r", "transaction": null,
            "source": {"snapshot": "true", "sequence": format!("[null,\"{l0}\"]"), "lsn": l0, "ts_ms": 1}});
        self.record(&format!("p.public.{table}"), 0, Some(key), Some(value.to_string()));
    }

    /// A change in transaction `txid`, which follows END `previous` (0 for none).
    pub fn change(&mut self, op: &str, (table, row): (&str, Value), partition: u32, at: (u64, u64), lsn: u64, order: u64) {
        let (txid, previous) = at;
        let key = json!({"uid": row["uid"]}).to_string();
        let named = if previous == 0 { "null".to_owned() } else { format!("\"{previous}\"") };
        let after = if op == "d" { Value::Null } else { row };
        let value = json!({"before": null, "after": after, "op": op,
            "transaction": {"id": format!("{txid}:{lsn}"), "total_order": order, "data_collection_order": order},
            "source": {"snapshot": null, "sequence": format!("[{named},\"{lsn}\"]"), "lsn": lsn, "ts_ms": 1}});
        self.record(&format!("p.public.{table}"), partition, Some(key), Some(value.to_string()));
    }

    pub fn end(&mut self, txid: u64, lsn: u64, counts: &[(&str, u64)]) {
        let collections: Vec<_> = counts
            .iter()
            .map(|(table, count)| json!({"data_collection": format!("public.{table}"), "event_count": count}))
            .collect();
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let value = json!({"status": "END", "id": format!("{txid}:{lsn}"), "event_count": total,
            "data_collections": collections, "ts_ms": lsn});
        self.record("p.transaction", 0, Some(json!({"id": format!("{txid}:{lsn}")}).to_string()), Some(value.to_string()));
    }

    /// The log in a file that lives as long as what is returned.
    pub fn write(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
        self.lines.iter().for_each(|line| writeln!(file, "{line}").unwrap());
        file
    }
}

/// A user, a conversation and a message at LSN 20,000,000, and a first transaction (END 20,000,100) in every table.
pub fn started() -> HandLog {
    let mut log = HandLog::default();
    log.snapshot(user(1), 20_000_000);
    log.snapshot(conversation(2, 1), 20_000_000);
    log.snapshot(item(3, 2, "message", 1), 20_000_000);
    for (table, row) in [user(9), conversation(9, 9), item(9, 9, "message", 1)] {
        log.change("c", (table, row), 0, (700, 0), 20_000_010, 1);
    }
    log.end(700, 20_000_100, &[("users", 1), ("conversations", 1), ("conversation_items", 1)]);
    log
}
