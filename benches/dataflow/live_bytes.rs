//! Counts the bytes that are allocated, so that what a row takes is known to the byte.
//!
//! A block counts as what a common allocator takes for it: eight bytes of its own, in steps of sixteen, 32 at least. The
//! count is off until it is asked for: all else that is measured pays one load and one branch for an allocation.

#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// Starts counting.
pub(crate) fn count() {
    COUNTS.store(true, Relaxed);
}

/// Bytes allocated since, less those freed.
pub(crate) fn live_bytes() -> i64 {
    LIVE.load(Relaxed)
}

/// The allocator of the command, with a count.
pub(crate) struct Counting;

fn note(comes: usize, goes: usize) {
    if COUNTS.load(Relaxed) {
        LIVE.fetch_add(taken(comes) - taken(goes), Relaxed);
    }
}

fn taken(size: usize) -> i64 {
    if size == 0 { 0 } else { (size.saturating_add(8 + 15) as i64 & !15).max(32) }
}

// SAFETY: every function is that of `MiMalloc`, called with the very arguments; to count is to add to an atomic
// number, which allocates nothing and cannot panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is the same.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: as `alloc`.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: the block came from `MiMalloc` with this layout, and the caller keeps the contract for `size`.
        unsafe { MiMalloc.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: the block came from `MiMalloc` with this layout, and the caller gives it up.
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}
