//! The lines of a plain log: LSNs, offsets, numbering, and the text itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::Summary;
use crate::connector::{Record, TRANSACTION_TOPIC, bare_key, change_payload, hash_partition};
use crate::delivery::kcat_line;
use crate::workload::{Row, Table};

const RUN_ID: &str = "01a20925-3c7c-7e65-8688-693ca1c543a2";
const FIRST_MS: i64 = 1_795_449_766_000;

/// Writes records and keeps the positions they carry.
pub(super) struct Lines<W> {
    out: W,
    partitions: i32,
    pub(super) summary: Summary,
    offsets: BTreeMap<(String, i32), i64>,
    lsn: u64,
    txid: u32,
    ms: i64,
    previous_end: Option<u64>,
    /// Events of the open transaction by table.
    orders: [u64; 3],
    headers: Vec<(String, String)>,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W, partitions: i32) -> Self {
        let context =
            [("connectorLogicalName", "podium"), ("taskId", "0"), ("connectorName", "postgresql"), ("runId", RUN_ID)];
        let base_lsn = 120_972_920;
        Lines {
            out,
            partitions,
            summary: Summary { base_lsn, last_end_lsn: base_lsn, ..Summary::default() },
            offsets: BTreeMap::new(),
            lsn: base_lsn,
            txid: 16_174,
            ms: FIRST_MS,
            previous_end: None,
            orders: [0; 3],
            headers: context.map(|(name, value)| (format!("__debezium.context.{name}"), value.to_owned())).to_vec(),
        }
    }

    pub(super) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    pub(super) fn snapshot_row(&mut self, row: &Row, marker: &str) -> io::Result<()> {
        self.summary.snapshot_rows += 1;
        self.change('r', row, &format!("\"{marker}\""), "null")
    }

    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.txid += 1;
        self.ms += 3;
        self.orders = [0; 3];
        self.summary.transactions += 1;
        self.transaction_record("BEGIN", "null", "null")
    }

    pub(super) fn row(&mut self, op: char, row: &Row) -> io::Result<()> {
        let place = Table::VIEW.iter().position(|table| *table == row.table);
        let order = place.and_then(|place| self.orders.get_mut(place)).expect("only tables of the view are written");
        *order += 1;
        let order = *order;
        let (txid, lsn, total) = (self.txid, self.lsn, self.orders.iter().sum::<u64>());
        let block = format!("{{\"id\":\"{txid}:{lsn}\",\"total_order\":{total},\"data_collection_order\":{order}}}");
        self.change(op, row, "null", &block)?;
        self.lsn += 168 + 8 * (self.summary.rows % 16);
        Ok(())
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.lsn += 48;
        let mut collections = String::new();
        for (table, count) in Table::VIEW.iter().zip(self.orders).filter(|(_, count)| *count > 0) {
            let comma = if collections.is_empty() { "" } else { "," };
            write!(collections, "{comma}{{\"data_collection\":\"{}\",\"event_count\":{count}}}", table.collection())
                .expect("a String takes every write");
        }
        let total = self.orders.iter().sum::<u64>().to_string();
        self.transaction_record("END", &total, &format!("[{collections}]"))?;
        self.previous_end = Some(self.lsn);
        self.summary.last_end_lsn = self.lsn;
        Ok(())
    }

    fn change(&mut self, op: char, row: &Row, snapshot: &str, transaction: &str) -> io::Result<()> {
        self.summary.rows += 1;
        let key = bare_key(row);
        let partition = hash_partition(&key, self.partitions);
        let payload = change_payload(op, row, &self.source(row.table, snapshot), transaction, self.ms + 300);
        let record = Record {
            topic: row.table.topic(),
            partition,
            offset: 0,
            ts: self.ms + 500,
            key: Some(key),
            payload: Some(payload),
            headers: std::mem::take(&mut self.headers),
        };
        let mut record = self.write(record)?;
        if op == 'd' {
            record.payload = None;
            record = self.write(record)?;
        }
        self.headers = record.headers;
        Ok(())
    }

    fn source(&self, table: Table, snapshot: &str) -> String {
        let (ms, lsn, txid) = (self.ms, self.lsn, self.txid);
        let previous = self.previous_end.map_or("null".to_owned(), |end| format!("\\\"{end}\\\""));
        format!(
            "{{\"version\":\"3.6.3.Final\",\"connector\":\"postgresql\",\"name\":\"podium\",\"ts_ms\":{ms},\
             \"snapshot\":{snapshot},\"db\":\"podium\",\"sequence\":\"[{previous},\\\"{lsn}\\\"]\",\"ts_us\":{ms}126,\
             \"ts_ns\":{ms}126000,\"schema\":\"public\",\"table\":\"{}\",\"txId\":{txid},\"lsn\":{lsn},\"xmin\":null,\
             \"origin\":null,\"origin_lsn\":null}}",
            table.name()
        )
    }

    fn transaction_record(&mut self, status: &str, count: &str, collections: &str) -> io::Result<()> {
        let id = format!("{}:{}", self.txid, self.lsn);
        let payload = format!(
            "{{\"status\":\"{status}\",\"id\":\"{id}\",\"event_count\":{count},\"data_collections\":{collections},\
             \"ts_ms\":{}}}",
            self.ms
        );
        let record = Record {
            topic: TRANSACTION_TOPIC.to_owned(),
            partition: 0,
            offset: 0,
            ts: self.ms + 500,
            key: Some(format!("{{\"id\":\"{id}\"}}")),
            payload: Some(payload),
            headers: Vec::new(),
        };
        self.write(record).map(drop)
    }

    fn write(&mut self, mut record: Record) -> io::Result<Record> {
        let offset = self.offsets.entry((record.topic.clone(), record.partition)).or_default();
        record.offset = *offset;
        *offset += 1;
        let mut line = kcat_line(&record);
        line.push('\n');
        self.summary.records += 1;
        self.summary.bytes += line.len() as u64;
        self.out.write_all(line.as_bytes())?;
        Ok(record)
    }
}
