//! Snapshot rows: the initial snapshot, incremental ones inside a transaction, blocking ones between two transactions.
//!
//! # Notes
//! - Initial: one LSN, `sequence` `[null, L0]`, no transaction block, markers `first` to `last`; the signal table is left out.
//! - Incremental: neither txid nor LSN; content as of the transaction they appear in, keys in motion left out. They change nothing.
//! - Blocking: they claim the LSN of the last streamed END, but were read later, so some are ahead of the stream.

use fastrand::Rng;

use super::envelope::{Renderer, Source};
use super::producer::{Meaning, Position, Producer};
use crate::workload::{History, Row, SharedRow, Table, Tables};

/// When and under what name an initial or blocking snapshot was read.
pub(super) struct Taken {
    pub(super) txid: u32,
    /// The LSN its rows claim.
    pub(super) lsn: u64,
    /// The END of the last streamed transaction; `None` for an initial snapshot.
    pub(super) after: Option<u64>,
    pub(super) ts_ms: i64,
}

/// The rows a snapshot reads, table by table, each with its marker.
pub(super) fn marked_rows(tables: &Tables) -> Vec<(SharedRow, &'static str)> {
    let mut marked = Vec::new();
    for table in Table::VIEW {
        let rows = tables.of(table);
        for (at, row) in rows.values().enumerate() {
            let marker = match (marked.is_empty(), at == 0, at + 1 == rows.len()) {
                (true, _, _) => "first",
                (_, _, true) => "last_in_data_collection",
                (_, true, _) => "first_in_data_collection",
                _ => "true",
            };
            marked.push((row.clone(), marker));
        }
    }
    if let Some((_, marker)) = marked.last_mut() {
        *marker = "last";
    }
    marked
}

/// Pushes the first `count` rows of a snapshot; `position` is where a connector resumes that has all of it behind it.
pub(super) fn push_rows(
    rng: &mut Rng,
    renderer: &Renderer,
    producer: &mut Producer,
    tables: &Tables,
    taken: &Taken,
    count: usize,
    position: Option<Position>,
) {
    let rows = marked_rows(tables);
    let last = rows.len();
    for (at, (row, marker)) in rows.iter().take(count).enumerate() {
        let source = Source {
            table: row.table,
            txid: Some(taken.txid),
            lsn: Some(taken.lsn),
            sequence: (taken.after, taken.lsn),
            ts_ms: taken.ts_ms,
            snapshot: Some(marker),
        };
        let record = renderer.snapshot_row(rng, &mut producer.oddities, row, &source);
        let meaning = if taken.after.is_none() { Meaning::Initial } else { Meaning::Other };
        let done = position.filter(|_| taken.after.is_some() || at + 1 == last);
        producer.push(rng, record, meaning, done);
    }
}

/// The rows of an incremental snapshot that may appear in transaction `commit`: of keys that have been still for a while.
pub(super) fn still_rows(rng: &mut Rng, history: &History, tables: &Tables, commit: usize) -> Vec<Row> {
    let touches = history.touches(commit, 3);
    let mut rows = Vec::new();
    for table in Table::VIEW {
        let still = tables.of(table).values().filter(|row| !touches.hold(table, row.key()));
        rows.extend(still.filter(|_| rng.u8(..4) == 0).map(|row| Row::clone(row)));
    }
    rows
}
