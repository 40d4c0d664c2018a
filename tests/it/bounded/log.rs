//! Large logs of `public.users` in two partitions, written as a stream. Every row has a `bio` of a KiB. The other tables have
//! a partition each.

use std::io::{BufWriter, Write};
use tempfile::NamedTempFile;

const RUN: &str = "01a20925-3c7c-7e65-8688-693ca1c543a2";
const BIO: usize = 1_000;

pub fn uid(key: u32) -> String {
    format!("00000000-0000-4000-8000-{key:012}")
}

/// Appends records as `kcat -C -J` prints them.
pub struct Lines {
    out: BufWriter<NamedTempFile>,
    /// Of the partitions of users, of the transactions, and of the other tables.
    offsets: [u64; 5],
    lsn: u64,
    /// The last END.
    previous: u64,
}

impl Lines {
    /// A snapshot of rows 0 to `rows`, the transaction 1, which changes two of them, and 2 with a row of each other table:
    /// the snapshot is complete.
    pub fn started(rows: u32) -> Lines {
        let mut lines = Lines::silent(rows);
        lines.lsn += 10;
        let (uid, lsn) = (uid(0), lines.lsn);
        let created_at = "2026-03-20T13:53:34.509000Z";
        let conversation = format!(
            r#"{{"uid":"{uid}","user_uid":"{uid}","subject":null,"closed_at":null,"created_at":"{created_at}"}}"#
        );
        let item = format!(
            r#"{{"uid":"{uid}","conversation_uid":"{uid}","type":"message","body":null,"created_at":"{created_at}"}}"#
        );
        for (at, (table, after)) in [("conversations", conversation), ("conversation_items", item)].iter().enumerate() {
            let previous = lines.previous;
            let source =
                format!(r#"{{"ts_ms":1,"snapshot":null,"sequence":"[\"{previous}\",\"{lsn}\"]","lsn":{lsn}}}"#);
            let of = format!(r#"{{"id":"2:{lsn}","total_order":1,"data_collection_order":1}}"#);
            let payload = format!(r#"{{"before":null,"after":{after},"source":{source},"transaction":{of},"op":"c"}}"#);
            let key = serde_json::Value::from(format!(r#"{{"uid":"{uid}"}}"#)).to_string();
            lines.record(&format!("podium.public.{table}"), 0, 3 + at, &key, &payload);
        }
        let counts = r#"{"data_collection":"public.conversations","event_count":1},{"data_collection":"public.conversation_items","event_count":1}"#;
        lines.end(2, counts);
        lines
    }

    /// The same without the other tables, which nothing proves to be complete before the log ends.
    pub fn silent(rows: u32) -> Lines {
        let out = BufWriter::new(NamedTempFile::new().unwrap());
        let mut lines = Lines { out, offsets: [0; 5], lsn: 20_000_000, previous: 0 };
        for key in 0..rows {
            let lsn = lines.lsn;
            let source = format!(r#"{{"ts_ms":1,"snapshot":"true","sequence":"[null,\"{lsn}\"]","lsn":{lsn}}}"#);
            lines.user(key, "r", &source, "null");
        }
        lines.transaction(1, [(2, "u"), (3, "u")].into_iter(), true);
        lines
    }

    /// A transaction of such keys and operations, whose END is there if it `ends`.
    pub fn transaction(&mut self, txid: u64, changes: impl Iterator<Item = (u32, &'static str)>, ends: bool) {
        let mut order = 0;
        for (key, op) in changes {
            (self.lsn, order) = (self.lsn + 10, order + 1);
            let (lsn, previous) = (self.lsn, self.previous);
            let sequence = if previous == 0 { "null".to_owned() } else { format!(r#"\"{previous}\""#) };
            let source = format!(r#"{{"ts_ms":1,"snapshot":null,"sequence":"[{sequence},\"{lsn}\"]","lsn":{lsn}}}"#);
            let of = format!(r#"{{"id":"{txid}:{lsn}","total_order":{order},"data_collection_order":{order}}}"#);
            self.user(key, op, &source, &of);
        }
        if ends {
            self.end(txid, &format!(r#"{{"data_collection":"public.users","event_count":{order}}}"#));
        }
    }

    fn end(&mut self, txid: u64, counts: &str) {
        self.lsn += 10;
        self.previous = self.lsn;
        let id = format!("{txid}:{}", self.lsn);
        let end = format!(r#"{{"status":"END","id":"{id}","data_collections":[{counts}],"ts_ms":1}}"#);
        self.record("podium.transaction", 0, 2, "null", &end);
    }

    fn user(&mut self, key: u32, op: &str, source: &str, transaction: &str) {
        let (uid, lsn) = (uid(key), self.lsn);
        let bio = format!("{lsn:0BIO$}");
        let after = match op {
            "d" => "null".to_owned(),
            _ => {
                let created_at = "2026-03-20T13:53:34.509000Z";
                format!(r#"{{"uid":"{uid}","name":"at {lsn}","bio":"{bio}","created_at":"{created_at}"}}"#)
            }
        };
        let payload =
            format!(r#"{{"before":null,"after":{after},"source":{source},"transaction":{transaction},"op":"{op}"}}"#);
        let partition = key % 2;
        let key = serde_json::Value::from(format!(r#"{{"uid":"{uid}"}}"#)).to_string();
        self.record("podium.public.users", partition, partition as usize, &key, &payload);
    }

    fn record(&mut self, topic: &str, partition: u32, offset: usize, key: &str, payload: &str) {
        let (offset, payload) = (&mut self.offsets[offset], serde_json::Value::from(payload));
        writeln!(
            self.out,
            r#"{{"topic":"{topic}","partition":{partition},"offset":{offset},"tstype":"create","ts":1,"broker":1,"headers":["__debezium.context.runId","{RUN}"],"key":{key},"payload":{payload}}}"#
        )
        .unwrap();
        *offset += 1;
    }

    pub fn file(self) -> NamedTempFile {
        self.out.into_inner().unwrap()
    }
}
