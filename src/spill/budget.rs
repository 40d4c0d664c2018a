//! How much is in memory and on disk, all holders together, and which of them is to give way.
//!
//! A holder can only give way itself, and only when it works. So none waits for another: past two thirds of the budget
//! every holder that has more than its own small part of the last third writes out what it has. Those that stand still
//! have at most the two thirds, the others at most the third, and the whole stays within the budget, but for what one
//! chunk of the log or one block brings.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// The budgets of a run.
pub(super) struct Budget {
    memory: u64,
    disk: u64,
    /// What a holder may always keep.
    floor: u64,
    pub(super) in_memory: AtomicI64,
    on_disk: AtomicU64,
    written: AtomicU64,
}

impl Budget {
    pub(super) fn new(memory: u64, disk: u64, holders: usize) -> Budget {
        let floor = memory / 3 / (holders.max(1) as u64);
        Budget {
            memory,
            disk,
            floor,
            in_memory: AtomicI64::new(0),
            on_disk: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// The bytes that may be on disk.
    pub(super) fn disk(&self) -> u64 {
        self.disk
    }

    /// A good size for what is written or read at once.
    pub(super) fn piece_bytes(&self, most: u64) -> usize {
        (self.memory / 16).clamp(64, most) as usize
    }

    /// Takes `bytes` of the disk's budget, if they are there.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let within = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.disk);
        let reserved = self.on_disk.fetch_update(Relaxed, Relaxed, within).is_ok();
        self.written.fetch_add(if reserved { bytes } else { 0 }, Relaxed);
        reserved
    }

    /// Gives back `bytes` of the disk's budget.
    pub(super) fn give_back(&self, bytes: u64) {
        self.on_disk.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }
}

/// What one holder has in memory. It counts by itself and tells the others now and then, so that a row costs no more than
/// an addition.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: u64,
    told: u64,
}

/// What is let go in one piece.
const PIECE_BYTES: u64 = 1 << 20;

impl Share {
    pub(super) fn new(budget: &Arc<Budget>) -> Share {
        Share { budget: Arc::clone(budget), bytes: 0, told: 0 }
    }

    /// So many bytes are in memory now that were not before.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// So many bytes are no longer in memory.
    pub(crate) fn remove(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.bytes, "no more goes than came");
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Tells the others, and says whether this holder is to give way.
    pub(crate) fn is_over(&mut self) -> bool {
        let change = self.bytes as i64 - self.told as i64;
        self.told = self.bytes;
        let in_memory = self.budget.in_memory.fetch_add(change, Relaxed) + change;
        in_memory > (self.budget.memory / 3 * 2) as i64 && self.bytes > self.budget.floor
    }

    /// Whether this holder has given way far enough to have some time before it must again.
    pub(crate) fn is_small(&self) -> bool {
        self.bytes <= self.budget.floor / 2
    }

    /// How many bytes are let go at once.
    pub(crate) fn piece_bytes(&self) -> u64 {
        self.budget.piece_bytes(PIECE_BYTES) as u64
    }

    /// The bytes in memory.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What goes with its holder is no longer there.
impl Drop for Share {
    fn drop(&mut self) {
        self.budget.in_memory.fetch_sub(self.told as i64, Relaxed);
    }
}
