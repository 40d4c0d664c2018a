//! What waits to be sent, and how far it has come: pure, without threads.
//!
//! ```text
//!   batches ──by id──> lane 0: ▒▒▒▒▒|░░░░     ──> one bulk on its way
//!                      lane 1: ▒▒▒|░░         ──> one bulk on its way
//!                      ...          ↑
//!                              attempted: the progress document announces what lies below, and so it may be sent
//! ```
//!
//! A document always goes by the same lane, and a lane has one bulk on its way: so no two operations of one document are on
//! their way at once, and what came later is sent later.
//!
//! Everything below the *frontier* is in the index: the frontier is the least `lower` of the batches of which something waits or
//! is on its way.

use super::bulk;
use crate::sink::Touch;
use crate::time::Time;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// What waits, and what is on its way.
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    by_id: RandomState,
    /// Bytes of memory of all that waits or is on its way.
    bytes: usize,
    /// What lies below was given.
    accepted: Time,
    /// What lies below may be sent.
    attempted: Time,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    /// Of what is on its way: the least `lower` of its batches, and its bytes.
    on_its_way: Option<(Time, usize)>,
}

/// A document. It becomes JSON when it was taken: the first bulk leaves while others of its batch are still as they came.
struct Waiting {
    touch: Touch,
    /// Of its id.
    hash: u64,
    /// Of memory, with its line in a bulk: about as many as of JSON.
    bytes: usize,
    /// The `lower` of its batch.
    lower: Time,
}

/// The most that goes into one bulk. Of bytes, lanes know about how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BulkMax {
    pub(super) documents: usize,
    pub(super) bytes: usize,
}

/// What a lane could send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// Nothing waits, or something is on its way already.
    Nothing,
    /// What waits was not announced.
    Unannounced,
    /// Some, and more may come.
    Some,
    /// As much as goes into a bulk.
    Full,
}

impl Lanes {
    /// So many, which go on where everything below `durable` is in the index.
    pub(super) fn new(lanes: usize, durable: Time) -> Lanes {
        let lanes = (0..lanes.max(1)).map(|_| Lane::default()).collect();
        Lanes { lanes, by_id: RandomState::new(), bytes: 0, accepted: durable, attempted: 0 }
    }

    pub(super) fn accepted(&self) -> Time {
        self.accepted
    }

    pub(super) fn attempted(&self) -> Time {
        self.attempted
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a batch. False where nothing can begin by it: each lane that it goes by has something to do already.
    pub(super) fn accept(&mut self, lower: Time, upper: Time, touched: Vec<Touch>) -> bool {
        let mut begins = false;
        for touch in touched {
            let bytes = touch.bytes() + bulk::LINE;
            self.bytes += bytes;
            let hash = self.by_id.hash_one(&touch.id);
            // A table of one lane's ids goes by the other bits.
            let lane = (hash >> 32) as usize % self.lanes.len();
            if let Some(lane) = self.lanes.get_mut(lane) {
                begins |= lane.waiting.is_empty() && lane.on_its_way.is_none();
                lane.waiting.push_back(Waiting { touch, hash, bytes, lower });
            }
        }
        self.accepted = upper;
        // Where all is in, the frontier moves by itself.
        begins || self.frontier() == upper
    }

    /// The progress document announces everything below this time.
    pub(super) fn announce(&mut self, attempted: Time) {
        self.attempted = self.attempted.max(attempted);
    }

    pub(super) fn ready(&self, lane: usize, max: BulkMax) -> Ready {
        let Some(lane) = self.lanes.get(lane).filter(|lane| lane.on_its_way.is_none()) else { return Ready::Nothing };
        let mut bytes = 0;
        for (documents, waiting) in lane.waiting.iter().enumerate() {
            if waiting.touch.time >= self.attempted {
                return if documents == 0 { Ready::Unannounced } else { Ready::Some };
            }
            bytes += waiting.bytes;
            if documents + 1 >= max.documents || bytes >= max.bytes {
                return Ready::Full;
            }
        }
        if lane.waiting.is_empty() { Ready::Nothing } else { Ready::Some }
    }

    /// Whether some lane would go on, were more announced.
    pub(super) fn wants_more(&self, max: BulkMax) -> bool {
        (0..self.lanes.len()).any(|lane| self.ready(lane, max) == Ready::Unannounced)
    }

    /// Takes a bulk from a lane: each document once, in its latest state.
    pub(super) fn take(&mut self, lane: usize, max: BulkMax) -> Vec<Touch> {
        let attempted = self.attempted;
        let Some(lane) = self.lanes.get_mut(lane) else { return Vec::new() };
        let most = max.documents.min(lane.waiting.len());
        let mut taken: Vec<Waiting> = Vec::with_capacity(most);
        let mut places: HashTable<usize> = HashTable::with_capacity(most);
        let mut bytes = 0;
        while let Some(next) = lane.waiting.front() {
            let is_full = taken.len() >= max.documents || bytes + next.bytes > max.bytes;
            if next.touch.time >= attempted || (!taken.is_empty() && is_full) {
                break;
            }
            let Some(next) = lane.waiting.pop_front() else { break };
            lane.on_its_way.get_or_insert((next.lower, 0)).1 += next.bytes;
            bytes += next.bytes;
            let is_it = |place: &usize| taken.get(*place).is_some_and(|earlier| earlier.touch.id == next.touch.id);
            let hash = |place: &usize| taken.get(*place).map_or(0, |earlier| earlier.hash);
            match places.entry(next.hash, is_it, hash) {
                Entry::Vacant(place) => {
                    place.insert(taken.len());
                    taken.push(next);
                }
                Entry::Occupied(place) => {
                    if let Some(earlier) = taken.get_mut(*place.get()) {
                        bytes -= earlier.bytes;
                        *earlier = next;
                    }
                }
            }
        }
        taken.into_iter().map(|taken| taken.touch).collect()
    }

    /// What is on its way from a lane has arrived.
    pub(super) fn arrived(&mut self, lane: usize) {
        if let Some((_, bytes)) = self.lanes.get_mut(lane).and_then(|lane| lane.on_its_way.take()) {
            self.bytes -= bytes;
        }
    }

    /// Everything below this time is in the index.
    pub(super) fn frontier(&self) -> Time {
        let lowers = self.lanes.iter().filter_map(|lane| {
            // What is on its way came first.
            lane.on_its_way.map(|(lower, _)| lower).or_else(|| lane.waiting.front().map(|waiting| waiting.lower))
        });
        lowers.min().unwrap_or(self.accepted)
    }
}

#[cfg(test)]
mod tests;
