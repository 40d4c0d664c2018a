//! A list of rows that wait: the first of them on disk, if there is no room, the last in memory.
//!
//! ```text
//!   Waiting:  │ block │ block │ block │ rows ─ ─ >        push: behind the last
//!             └── on disk, in order ──┴─ in memory        spill: all in memory become blocks
//!   Leaving:    piece   piece   piece   piece             take_below: piece after piece, in order
//! ```
//!
//! Rows leave in the order in which they came, never all at once: a transaction may be larger than the memory.

use crate::spill::{Block, Share, SpillError, Store};
use crate::time::Lsn;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;

/// What waits.
pub(super) trait Wait: Serialize + DeserializeOwned {
    /// Where it stands among transactions: what is below an END goes with it.
    fn at(&self) -> Lsn;

    /// The bytes that it has besides its own size.
    fn heap_bytes(&self) -> usize;

    /// All its bytes in memory.
    fn bytes(&self) -> u64 {
        (size_of::<Self>() + self.heap_bytes()) as u64
    }
}

/// Rows that wait, in the order they came.
pub(super) struct Waiting<T> {
    blocks: Vec<Stored>,
    rows: Vec<T>,
    /// What `rows` takes, unused room included.
    bytes: u64,
    /// The least place among all rows.
    least: Lsn,
}

/// A block and the least place among its rows.
struct Stored {
    least: Lsn,
    block: Block,
}

impl<T> Default for Waiting<T> {
    fn default() -> Waiting<T> {
        Waiting { blocks: Vec::new(), rows: Vec::new(), bytes: 0, least: Lsn(u64::MAX) }
    }
}

impl<T: Wait> Waiting<T> {
    pub(super) fn push(&mut self, row: T, share: &mut Share) {
        self.least = self.least.min(row.at());
        let (heap, room) = (row.heap_bytes(), self.rows.capacity());
        self.rows.push(row);
        let more = (heap + (self.rows.capacity() - room) * size_of::<T>()) as u64;
        self.bytes += more;
        share.add(more);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.blocks.is_empty()
    }

    /// The rows in memory.
    pub(super) fn rows(&self) -> &[T] {
        &self.rows
    }

    /// What it has in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the rows in memory to disk. Those that cannot be written stay where they are.
    pub(super) fn spill(&mut self, store: &mut Store, share: &mut Share) -> Result<(), SpillError> {
        let mut written = 0;
        let outcome = write_blocks(&self.rows, store, |least, block, rows| {
            self.blocks.push(Stored { least, block });
            written += rows;
        });
        if outcome.is_ok() {
            self.rows = Vec::new();
            share.remove(std::mem::take(&mut self.bytes));
        } else {
            let heap: u64 = self.rows.drain(..written).map(|row| row.heap_bytes() as u64).sum();
            self.bytes -= heap;
            share.remove(heap);
        }
        outcome
    }

    /// Whether all of it is in memory, and no more than `most` bytes.
    pub(super) fn is_small(&self, most: u64) -> bool {
        self.blocks.is_empty() && self.bytes <= most
    }

    /// All its rows, which are no longer counted: see [`is_small`](Self::is_small).
    pub(super) fn into_small(self, share: &mut Share) -> Vec<T> {
        debug_assert!(self.blocks.is_empty(), "none is on disk");
        share.remove(self.bytes);
        self.rows
    }

    /// Takes what stands below `until`; the answer may hold more, which is to be pushed again as it comes.
    pub(super) fn take_below(&mut self, until: Lsn) -> Option<Leaving<T>> {
        if self.is_empty() || self.least >= until {
            return None;
        }
        let Waiting { blocks, rows, bytes, .. } = std::mem::take(self);
        let (going, staying): (Vec<Stored>, Vec<Stored>) = blocks.into_iter().partition(|stored| stored.least < until);
        self.least = staying.iter().map(|stored| stored.least).min().unwrap_or(Lsn(u64::MAX));
        self.blocks = staying;
        Some(Leaving { blocks: going.into_iter(), rows: rows.into(), bytes })
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> Option<Leaving<T>> {
        self.take_below(Lsn(u64::MAX))
    }

    /// Drops all, unread.
    pub(super) fn discard(self, store: &mut Store, share: &mut Share) {
        share.remove(self.bytes);
        self.blocks.into_iter().for_each(|stored| store.forget(stored.block));
    }
}

/// Writes `rows` as blocks of a good size, and tells of each with the number of its rows.
pub(super) fn write_blocks<T: Wait>(
    rows: &[T],
    store: &mut Store,
    mut wrote: impl FnMut(Lsn, Block, usize),
) -> Result<(), SpillError> {
    let (mut bytes, mut least, mut count) = (Vec::new(), Lsn(u64::MAX), 0);
    let mut rows = rows.iter().peekable();
    while let Some(row) = rows.next() {
        bytes = postcard::to_extend(row, bytes).map_err(|error| SpillError::Value(error.to_string()))?;
        least = least.min(row.at());
        count += 1;
        if bytes.len() >= store.block_bytes() || rows.peek().is_none() {
            wrote(least, store.append(&bytes)?, count);
            bytes.clear();
            (least, count) = (Lsn(u64::MAX), 0);
        }
    }
    Ok(())
}

/// The rows of a block.
pub(super) fn read_block<T: Wait>(block: &Block, store: &mut Store) -> Result<Vec<T>, SpillError> {
    let bytes = store.read(block)?;
    let (mut rows, mut rest) = (Vec::new(), bytes.as_slice());
    while !rest.is_empty() {
        let (row, behind) = postcard::take_from_bytes(rest).map_err(|error| SpillError::Value(error.to_string()))?;
        rows.push(row);
        rest = behind;
    }
    Ok(rows)
}

/// Rows on their way out.
pub(super) struct Leaving<T> {
    blocks: std::vec::IntoIter<Stored>,
    rows: VecDeque<T>,
    /// What `rows` took at first; given back when the last has gone.
    bytes: u64,
}

/// Some of the rows that leave.
pub(super) struct Piece<T> {
    pub(super) rows: Vec<T>,
    /// Roughly what they take.
    pub(super) bytes: u64,
}

impl<T: Wait> Leaving<T> {
    /// The next rows, some at a time; `None` after the last.
    pub(super) fn piece(&mut self, store: &mut Store, share: &mut Share) -> Result<Option<Piece<T>>, SpillError> {
        if let Some(Stored { block, .. }) = self.blocks.next() {
            let rows = read_block(&block, store)?;
            let bytes = (rows.len() * size_of::<T>()) as u64 + block.bytes();
            store.forget(block);
            return Ok(Some(Piece { rows, bytes }));
        }
        if self.rows.is_empty() {
            share.remove(std::mem::take(&mut self.bytes));
            return Ok(None);
        }
        let most = share.piece_bytes();
        if self.bytes <= most {
            return Ok(Some(Piece { rows: std::mem::take(&mut self.rows).into(), bytes: self.bytes }));
        }
        let (mut bytes, mut count) = (0, 0);
        for row in &self.rows {
            if bytes >= most {
                break;
            }
            bytes += row.bytes();
            count += 1;
        }
        Ok(Some(Piece { rows: self.rows.drain(..count).collect(), bytes }))
    }
}
