//! Change records, tombstones, BEGIN, END and heartbeats as text.
//!
//! # Notes
//! - A delete under the default replica identity shows invented values (`""`, 0, the epoch without a fraction): its old tuple
//!   holds the key only.
//! - A placeholder stands in updates and also in the create of a key change, where the value is that of the *old* key's row.
//! - The partition follows from the bare key, never from its wrapper, so that one key stays in one partition.

use fastrand::Rng;

use super::json::{Object, cell, text};
use super::options::{ConnectorOptions, Schemas, SnapshotField};
use super::schema::{tombstone, wrap_key, wrap_plain, wrap_value};
use super::{HEARTBEAT_TOPIC, PLACEHOLDER, Record, TRANSACTION_TOPIC};
use crate::oddities::Oddities;
use crate::workload::{Cell, Change, ChangeOp, Commit, Row, Table};

/// One record's worth of a change: a key change makes a `d` and a `c`.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) change: &'a Change,
    pub(super) op: char,
}

/// The events that Debezium counts for a transaction, in order.
pub(super) fn events(commit: &Commit) -> Vec<Event<'_>> {
    let ops = |change: &Change| match change.op {
        ChangeOp::Insert => "c",
        ChangeOp::Update => "u",
        ChangeOp::Delete => "d",
        ChangeOp::KeyChange => "dc",
        ChangeOp::Truncate => "t",
    };
    commit.changes.iter().flat_map(|change| ops(change).chars().map(move |op| Event { change, op })).collect()
}

/// The `source` block.
pub(super) struct Source {
    pub(super) table: Table,
    pub(super) txid: Option<u32>,
    pub(super) lsn: Option<u64>,
    pub(super) sequence: (Option<u64>, u64),
    pub(super) ts_ms: i64,
    /// `None` while streaming.
    pub(super) snapshot: Option<&'static str>,
}

pub(super) struct Renderer<'a> {
    pub(super) options: &'a ConnectorOptions,
    pub(super) run_id: String,
}

impl Renderer<'_> {
    /// A row event and, after a `d`, its tombstone.
    pub(super) fn event(
        &self,
        rng: &mut Rng,
        odd: &mut Oddities,
        event: Event,
        source: Source,
        transaction: String,
    ) -> Vec<Record> {
        let (change, table) = (event.change, event.change.table);
        let full = self.options.replica_identity_full;
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        let before = match (event.op, old) {
            ('d', Some(old)) if !full => key_and_inventions(old),
            ('d' | 'u', Some(old)) if full => plain_row(old),
            _ => "null".to_owned(),
        };
        let after = match (event.op, new) {
            ('c' | 'u', Some(new)) => self.after(odd, event, new),
            _ => "null".to_owned(),
        };
        let op = event.op;
        let payload = self.envelope(rng, odd, [before, after], &source, transaction, op);
        let row = if op == 'd' { old } else { new };
        let headers = self.headers(change, op);
        let Some(row) = row else { return vec![self.keyless(rng, table, payload, headers)] };
        let record = self.keyed(rng, odd, row, Some(payload), headers.clone());
        let mut records = vec![record];
        if op == 'd' && self.options.tombstones {
            let spelling = if self.options.tombstone_spellings { rng.u8(..4) } else { 0 };
            odd.tombstone_spellings += u64::from(spelling != 0);
            records.push(self.keyed(rng, odd, row, tombstone(table, spelling), headers));
        }
        records
    }

    /// A snapshot row.
    pub(super) fn snapshot_row(&self, rng: &mut Rng, odd: &mut Oddities, row: &Row, source: &Source) -> Record {
        let images = ["null".to_owned(), plain_row(row)];
        let payload = self.envelope(rng, odd, images, source, "null".to_owned(), 'r');
        self.keyed(rng, odd, row, Some(payload), self.context_headers())
    }

    pub(super) fn begin(&self, rng: &mut Rng, odd: &mut Oddities, commit: &Commit) -> Record {
        let block = Object::default().with("event_count", "null").with("data_collections", "null");
        self.transaction_record(rng, odd, "BEGIN", commit, commit.begin_lsn, block)
    }

    /// END with the counts the connector believes in, by table.
    pub(super) fn end(
        &self,
        rng: &mut Rng,
        odd: &mut Oddities,
        commit: &Commit,
        total: u64,
        counts: [u64; 4],
    ) -> Record {
        let mut collections: Vec<String> = Table::ALL
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(table, count)| {
                let name = table.collection();
                Object::default().with_text("data_collection", &name).with_number("event_count", count).finish()
            })
            .collect();
        rng.shuffle(&mut collections);
        let list = format!("[{}]", collections.join(","));
        let block = Object::default().with_number("event_count", total).with("data_collections", list);
        self.transaction_record(rng, odd, "END", commit, commit.end_lsn, block)
    }

    fn transaction_record(
        &self,
        rng: &mut Rng,
        odd: &mut Oddities,
        status: &str,
        commit: &Commit,
        lsn: u64,
        counts: Object,
    ) -> Record {
        let id = format!("{}:{lsn}", commit.txid);
        let key = Object::default().with_text("id", &id).finish();
        let mut block = Object::default().with_text("status", status).with_text("id", &id);
        block = block.and(counts).with_number("ts_ms", commit.commit_ms);
        if self.options.shuffle_fields {
            block = block.shuffled(rng);
        }
        self.plain(rng, odd, TRANSACTION_TOPIC, "io.debezium.connector.common.TransactionMetadata", key, block.finish())
    }

    pub(super) fn heartbeat(&self, rng: &mut Rng, odd: &mut Oddities, now_ms: i64) -> Record {
        odd.heartbeats += 1;
        let key = Object::default().with_text("serverName", "podium").finish();
        let value = Object::default().with_number("ts_ms", now_ms).finish();
        self.plain(rng, odd, HEARTBEAT_TOPIC, "io.debezium.connector.common.Heartbeat", key, value)
    }

    fn plain(&self, rng: &mut Rng, odd: &mut Oddities, topic: &str, name: &str, key: String, value: String) -> Record {
        let key = if self.wrapped(rng, odd) { wrap_plain(&format!("{name}Key"), &key) } else { key };
        let value = if self.wrapped(rng, odd) { wrap_plain(&format!("{name}Value"), &value) } else { value };
        Record {
            topic: topic.to_owned(),
            partition: 0,
            offset: 0,
            ts: 0,
            key: Some(key),
            payload: Some(value),
            headers: Vec::new(),
        }
    }

    /// The new row of a create or update, with placeholders for what the WAL does not hold.
    fn after(&self, odd: &mut Oddities, event: Event, row: &Row) -> String {
        let mut object = Object::default();
        for (column, value) in row.table.columns().iter().zip(&row.cells) {
            let withheld = !self.options.replica_identity_full && event.change.untouched.contains(&column.name);
            odd.placeholders += u64::from(withheld);
            odd.placeholders_in_creates += u64::from(withheld && event.op == 'c');
            object = object.with(column.name, if withheld { text(PLACEHOLDER) } else { cell(value) });
        }
        object.finish()
    }

    fn envelope(
        &self,
        rng: &mut Rng,
        odd: &mut Oddities,
        images: [String; 2],
        source: &Source,
        transaction: String,
        op: char,
    ) -> String {
        let [before, after] = images;
        let now_ms = source.ts_ms + rng.i64(100..900);
        let mut block = self.source_block(source);
        let mut envelope = Object::default().with("before", before).with("after", after);
        if self.options.extra_fields {
            block = block.with("commit_hint", "{\"unknown\":[1,null]}");
            envelope = envelope.with("trace", "[{\"before\":null,\"op\":\"x\"}]");
        }
        if self.options.sparse_fields {
            block = block.without_some(rng, &["ts_us", "ts_ns", "xmin", "origin", "origin_lsn", "version"]);
        }
        if self.options.shuffle_fields {
            block = block.shuffled(rng);
        }
        envelope = envelope
            .with("source", block.finish())
            .with("transaction", transaction)
            .with_text("op", op.encode_utf8(&mut [0; 4]));
        envelope = envelope
            .with_number("ts_ms", now_ms)
            .with_number("ts_us", now_ms * 1000 + 7)
            .with_number("ts_ns", now_ms * 1_000_000 + 7_041);
        if self.options.sparse_fields {
            envelope = envelope.without_some(rng, &["ts_ms", "ts_us", "ts_ns"]);
        }
        if self.options.shuffle_fields {
            envelope = envelope.shuffled(rng);
        }
        let payload = envelope.finish();
        if self.wrapped(rng, odd) { wrap_value(source.table, &payload) } else { payload }
    }

    fn source_block(&self, source: &Source) -> Object {
        let number = |value: Option<u64>| value.map_or("null".to_owned(), |value| value.to_string());
        let first = source.sequence.0.map_or("null".to_owned(), |lsn| format!("\"{lsn}\""));
        let sequence = format!("[{first},\"{}\"]", source.sequence.1);
        let mut block = Object::default().with_text("version", "3.6.3.Final").with_text("connector", "postgresql");
        block = block.with_text("name", "podium").with_number("ts_ms", source.ts_ms);
        block = match (source.snapshot, self.options.snapshot_field) {
            (Some(marker), _) => block.with_text("snapshot", marker),
            (None, SnapshotField::Null) => block.with("snapshot", "null"),
            (None, SnapshotField::False) => block.with_text("snapshot", "false"),
            (None, SnapshotField::Absent) => block,
        };
        block = block.with_text("db", "podium").with_text("sequence", &sequence);
        block = block
            .with_number("ts_us", source.ts_ms * 1000 + 445)
            .with_number("ts_ns", source.ts_ms * 1_000_000 + 445_000);
        block = block.with_text("schema", "public").with_text("table", source.table.name());
        block = block.with("txId", number(source.txid.map(u64::from))).with("lsn", number(source.lsn));
        block.with("xmin", "null").with("origin", "null").with("origin_lsn", "null")
    }

    fn wrapped(&self, rng: &mut Rng, odd: &mut Oddities) -> bool {
        let wrapped = match self.options.schemas {
            Schemas::Off => false,
            Schemas::On => true,
            Schemas::Mixed => rng.bool(),
        };
        odd.wrapped_records += u64::from(wrapped);
        wrapped
    }

    fn headers(&self, change: &Change, op: char) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        if let (ChangeOp::KeyChange, Some(old), Some(new)) = (change.op, &change.old, &change.new) {
            let (name, row) = if op == 'd' { ("__debezium.newkey", new) } else { ("__debezium.oldkey", old) };
            headers.push((name.to_owned(), bare_key(row)));
        }
        headers.extend(self.context_headers());
        headers
    }

    fn context_headers(&self) -> Vec<(String, String)> {
        let context = [
            ("connectorLogicalName", "podium"),
            ("taskId", "0"),
            ("connectorName", "postgresql"),
            ("runId", &self.run_id),
        ];
        context.into_iter().map(|(name, value)| (format!("__debezium.context.{name}"), value.to_owned())).collect()
    }

    fn keyed(
        &self,
        rng: &mut Rng,
        odd: &mut Oddities,
        row: &Row,
        payload: Option<String>,
        headers: Vec<(String, String)>,
    ) -> Record {
        let key = bare_key(row);
        let partition = hash_partition(&key, self.partitions(row.table));
        let key = if self.wrapped(rng, odd) { wrap_key(row.table, &key) } else { key };
        Record { topic: row.table.topic(), partition, offset: 0, ts: 0, key: Some(key), payload, headers }
    }

    /// A truncate: no key, so any partition.
    fn keyless(&self, rng: &mut Rng, table: Table, payload: String, headers: Vec<(String, String)>) -> Record {
        let partition = rng.i32(..).rem_euclid(self.partitions(table));
        Record { topic: table.topic(), partition, offset: 0, ts: 0, key: None, payload: Some(payload), headers }
    }

    fn partitions(&self, table: Table) -> i32 {
        partitions_of(self.options, table)
    }
}

/// How many partitions a table's topic has.
pub(super) fn partitions_of(options: &ConnectorOptions, table: Table) -> i32 {
    let [users, conversations, items, signals] = options.partitions;
    let count = match table {
        Table::Users => users,
        Table::Conversations => conversations,
        Table::Items => items,
        Table::Signal => signals,
    };
    count.max(1)
}

/// The key struct, unwrapped.
pub(crate) fn bare_key(row: &Row) -> String {
    Object::default().with_text(row.table.key_column(), row.key()).finish()
}

/// FNV-1a of the key, spread by a last multiplication; any stable hash serves.
pub(crate) fn hash_partition(key: &str, partitions: i32) -> i32 {
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    i32::try_from(spread % u64::from(partitions.unsigned_abs().max(1))).expect("a remainder of an i32 fits an i32")
}

/// A plain change record, for logs without oddities: `op` is `r`, `c`, `u` or `d`.
pub(crate) fn change_payload(op: char, row: &Row, source: &str, transaction: &str, now_ms: i64) -> String {
    let (before, after) =
        if op == 'd' { (key_and_inventions(row), "null".to_owned()) } else { ("null".to_owned(), plain_row(row)) };
    let envelope = Object::default().with("before", before).with("after", after).with("source", source);
    let envelope = envelope.with("transaction", transaction).with_text("op", op.encode_utf8(&mut [0; 4]));
    let envelope = envelope.with_number("ts_ms", now_ms).with_number("ts_us", now_ms * 1000 + 7);
    envelope.with_number("ts_ns", now_ms * 1_000_000 + 7_041).finish()
}

fn plain_row(row: &Row) -> String {
    let values = row.table.columns().iter().zip(&row.cells);
    values.fold(Object::default(), |object, (column, value)| object.with(column.name, cell(value))).finish()
}

fn key_and_inventions(row: &Row) -> String {
    let key = Object::default().with_text(row.table.key_column(), row.key());
    let others = row.table.columns().iter().skip(1);
    others.fold(key, |object, column| object.with(column.name, Cell::invented(column).to_string())).finish()
}
