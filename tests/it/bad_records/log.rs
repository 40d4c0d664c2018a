//! Small logs by hand: each call appends a record as `kcat -C -J` prints it, with the next offset of its partition.
//!
//! Transaction `n` has the END `end(n)`, and its rows name `end(n - 1)` as the one before, unless a test says otherwise.
//! Rows are of `public.users`; their key is a number, which stands in the last digits of the uuid.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use tempfile::NamedTempFile;

/// The LSN of the initial snapshot.
pub const BASE: u64 = 20_000_000;

const USERS: &str = "podium.public.users";
const TRANSACTIONS: &str = "podium.transaction";
const RUN: &str = "01a20925-3c7c-7e65-8688-693ca1c543a2";

/// The END of transaction `n`; of the snapshot for 0.
pub fn end(n: u64) -> u64 {
    BASE + n * 1_000
}

pub fn uid(key: u32) -> String {
    format!("00000000-0000-4000-8000-{key:012}")
}

/// A row of a transaction. It is number `order` of its table's rows in the transaction `tx`.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub partition: u32,
    pub op: &'a str,
    pub key: u32,
    pub name: &'a str,
    pub tx: u64,
    pub order: u64,
    /// The END it names as the one before.
    pub previous: u64,
}

impl Row<'_> {
    pub fn new<'a>(partition: u32, op: &'a str, key: u32, name: &'a str, tx: u64, order: u64) -> Row<'a> {
        Row { partition, op, key, name, tx, order, previous: end(tx - 1) }
    }

    fn lsn(&self) -> u64 {
        end(self.tx) - 500 + self.order
    }

    fn payload(&self) -> Value {
        let after = match self.op {
            "d" | "t" => Value::Null,
            _ => user(self.key, self.name),
        };
        json!({
            "before": null,
            "after": after,
            "source": {
                "ts_ms": 1_795_449_766_131_u64,
                "snapshot": null,
                "sequence": format!("[\"{}\",\"{}\"]", self.previous, self.lsn()),
                "lsn": self.lsn(),
            },
            "transaction": {
                "id": format!("{}:{}", self.tx, self.lsn()),
                "total_order": self.order,
                "data_collection_order": self.order,
            },
            "op": self.op,
        })
    }
}

fn user(key: u32, name: &str) -> Value {
    json!({"uid": uid(key), "name": name, "bio": null, "created_at": "2026-03-20T13:53:34.509000Z"})
}

/// The lines of a log.
#[derive(Clone, Default)]
pub struct Log {
    pub lines: Vec<String>,
    offsets: BTreeMap<(&'static str, u32), u64>,
}

impl Log {
    /// A log whose snapshot holds users 1 and 2, in partitions 0 and 1, and whose first transaction adds 3 and 4 to them: the
    /// snapshot is complete and shown.
    pub fn started() -> Log {
        let mut log = Log::default();
        log.snapshot(0, 1, BASE);
        log.snapshot(1, 2, BASE);
        log.row(Row::new(0, "c", 3, "three", 1, 1));
        log.row(Row::new(1, "c", 4, "four", 1, 2));
        log.end(1, 2);
        log
    }

    /// A row of an initial snapshot, whose name is that of its number.
    pub fn snapshot(&mut self, partition: u32, key: u32, lsn: u64) {
        let name = ["", "one", "two", "three", "four", "five"][key as usize];
        let payload = json!({
            "before": null,
            "after": user(key, name),
            "source": {"ts_ms": 1, "snapshot": "true", "sequence": format!("[null,\"{lsn}\"]"), "lsn": lsn},
            "transaction": null,
            "op": "r",
        });
        self.record(USERS, partition, Some(key), &payload.to_string());
    }

    pub fn row(&mut self, row: Row<'_>) {
        let key = Some(row.key).filter(|_| row.op != "t");
        self.record(USERS, row.partition, key, &row.payload().to_string());
    }

    /// A row whose name is a number, which no name is.
    pub fn row_with_bad_name(&mut self, row: Row<'_>) {
        let mut payload = row.payload();
        payload["after"]["name"] = json!(7);
        self.record(USERS, row.partition, Some(row.key), &payload.to_string());
    }

    /// A record of which the key alone can be read.
    pub fn unreadable(&mut self, partition: u32, key: u32) {
        self.record(USERS, partition, Some(key), "{\"before\":nul");
    }

    pub fn begin(&mut self, tx: u64) {
        let id = format!("{tx}:{}", end(tx) - 500);
        self.transaction(&json!({"status": "BEGIN", "id": id, "data_collections": null, "ts_ms": 1}).to_string());
    }

    /// An END that counts `rows` rows of users.
    pub fn end(&mut self, tx: u64, rows: u64) {
        let counts = json!([{"data_collection": "public.users", "event_count": rows}]);
        let id = format!("{tx}:{}", end(tx));
        self.transaction(&json!({"status": "END", "id": id, "data_collections": counts, "ts_ms": 1}).to_string());
    }

    pub fn transaction(&mut self, payload: &str) {
        self.record(TRANSACTIONS, 0, None, payload);
    }

    /// So many records of no interest that, in small blocks, all before them has been dealt with when what follows is read.
    pub fn pause(&mut self) {
        for _ in 0..400 {
            self.record("podium.public.other", 0, None, "{}");
        }
    }

    fn record(&mut self, topic: &'static str, partition: u32, key: Option<u32>, payload: &str) {
        let offset = self.offsets.entry((topic, partition)).or_default();
        // The topic comes first, as kcat has it; serde_json would sort the names.
        let key = json!(key.map(|key| json!({"uid": uid(key)}).to_string()));
        let line = format!(
            r#"{{"topic":"{topic}","partition":{partition},"offset":{offset},"tstype":"create","ts":1,"broker":1,"headers":["__debezium.context.runId","{RUN}"],"key":{key},"payload":{}}}"#,
            json!(payload)
        );
        *offset += 1;
        self.lines.push(line);
    }

    pub fn file(&self) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        self.lines.iter().for_each(|line| writeln!(file, "{line}").unwrap());
        file
    }
}
