//! What was let go at the last END of a partition, so that a row that comes again is known for what it is.
//!
//! For one transaction at most: any later row of the partition shows that it is past it. But a transaction may be large,
//! so these too go to disk; they are in the order of LSNs there, and a block is looked at only for what may be in it.

use super::waiting::{Wait, read_block, write_blocks};
use crate::envelope::Op;
use crate::spill::{Block, Share, SpillError, Store};
use crate::time::Lsn;
use dataflows::Row;
use serde::{Deserialize, Serialize};

/// What tells a change from all others of its transaction.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Identity<R: Row> {
    pub(super) lsn: Lsn,
    pub(super) op: Op,
    pub(super) key: Option<R::Key>,
}

impl<R: Row> Wait for Identity<R> {
    fn at(&self) -> Lsn {
        self.lsn
    }

    fn heap_bytes(&self) -> usize {
        self.key.as_ref().map_or(0, R::key_heap_bytes)
    }
}

/// What was let go at one END.
pub(super) struct Gone<R: Row> {
    pub(super) end: Lsn,
    rows: Vec<Identity<R>>,
    sorted: bool,
    /// What `rows` takes.
    bytes: u64,
    blocks: Vec<Range>,
    /// The block that was looked at last, by its place in `blocks`, and what it holds.
    looked_at: Option<(usize, Vec<Identity<R>>)>,
}

/// A block and the LSNs of what it holds.
struct Range {
    least: Lsn,
    greatest: Lsn,
    block: Block,
}

impl<R: Row> Gone<R> {
    pub(super) fn at(end: Lsn) -> Gone<R> {
        Gone { end, rows: Vec::new(), sorted: true, bytes: 0, blocks: Vec::new(), looked_at: None }
    }

    pub(super) fn push(&mut self, row: Identity<R>, share: &mut Share) {
        self.sorted = false;
        let (heap, room) = (row.heap_bytes(), self.rows.capacity());
        self.rows.push(row);
        let more = (heap + (self.rows.capacity() - room) * size_of::<Identity<R>>()) as u64;
        self.bytes += more;
        share.add(more);
    }

    /// Forgets what was let go, for another END.
    pub(super) fn renew(&mut self, end: Lsn, store: &mut Store, share: &mut Share) {
        let old = std::mem::replace(self, Gone::at(end));
        share.remove(old.bytes);
        old.blocks.into_iter().for_each(|range| store.forget(range.block));
    }

    /// What it has in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn spill(&mut self, store: &mut Store, share: &mut Share) -> Result<(), SpillError> {
        self.sort();
        let (mut ranges, mut from) = (Vec::new(), 0);
        let rows = &self.rows;
        let outcome = write_blocks(rows, store, |least, block, count| {
            from += count;
            let greatest = rows.get(from - 1).map_or(least, |row| row.lsn);
            ranges.push(Range { least, greatest, block });
        });
        if outcome.is_err() {
            // All is still in memory.
            ranges.into_iter().for_each(|range| store.forget(range.block));
            return outcome;
        }
        self.blocks.append(&mut ranges);
        self.rows = Vec::new();
        share.remove(std::mem::take(&mut self.bytes));
        Ok(())
    }

    /// Whether the change was let go.
    pub(super) fn holds(
        &mut self,
        lsn: Lsn,
        op: Op,
        key: Option<&R::Key>,
        store: &mut Store,
    ) -> Result<bool, SpillError> {
        self.sort();
        if is_in(&self.rows, lsn, op, key) {
            return Ok(true);
        }
        for (at, range) in self.blocks.iter().enumerate() {
            if !(range.least..=range.greatest).contains(&lsn) {
                continue;
            }
            let rows = match &mut self.looked_at {
                Some((looked_at, rows)) if *looked_at == at => rows,
                other => &mut other.insert((at, read_block(&range.block, store)?)).1,
            };
            if is_in(rows, lsn, op, key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sort(&mut self) {
        if !std::mem::replace(&mut self.sorted, true) {
            self.rows.sort_by_key(|row| row.lsn);
        }
    }
}

/// Whether a change is among `rows`, which are in the order of LSNs.
fn is_in<R: Row>(rows: &[Identity<R>], lsn: Lsn, op: Op, key: Option<&R::Key>) -> bool {
    let from = rows.partition_point(|row| row.lsn < lsn);
    let same_lsn = rows.iter().skip(from).take_while(|row| row.lsn == lsn);
    same_lsn.into_iter().any(|row| row.op == op && row.key.as_ref() == key)
}
