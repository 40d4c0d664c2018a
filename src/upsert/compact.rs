//! The changes of one time while they come in: what others have overtaken is left out, so that a transaction that writes a
//! few rows over and over needs room for those rows and not for all it did.
//!
//! ```text
//!   one key, by rank:  C  U  U  D  C  U  >k  C  U  U      U update, C create, D delete, >k delete of a changed key
//!   left:                       D        ...             a delete overtakes all before it, up to >k
//!                               D  C  U  >k  C     U      a whole update overtakes an update before it
//! ```
//!
//! # What is overtaken
//! The fold of a key ([`Fold`](super::fold::Fold)) keeps two rows: the one that is current, and the one that stood when a
//! create took the key.
//! - A whole row of an update sets the first, whatever it was: an *update* right before it did nothing else.
//! - A plain delete takes both: rows and plain deletes before it, back to what hands a row on or waits for one, did nothing
//!   else.
//! - Truncates take both rows of every key, so they change nothing of this, wherever they stand.
//!
//! What waits for a row of another key, or hands one on, stays. So does every change of a key of which a row of an
//! incremental snapshot is here: where that belongs goes by the offsets of the others. The last change of a key always
//! stays.
//!
//! # Notes
//! Of what is still to come nothing belongs before a change that is here, other than copies: a partition has the changes of
//! a key in order, `hold` lets them go in that order, and rows of incremental snapshots before them. A copy of what was left
//! out is overtaken like the change itself; it is only no longer counted as a copy.

use crate::envelope::{Body, Op};
use crate::hold::{Change, Rank};
use crate::time::{Lsn, Time};
use dataflows::Row;
use dataflows::operators::Staged;
use std::cmp::Ordering;

/// When it is worth looking for changes that others have overtaken.
pub(super) struct Compaction {
    /// From so many bytes on.
    from: usize,
    /// Bytes that waited when it was last looked, and that came since.
    added: usize,
    /// How many there may be before it is worth looking again.
    until: usize,
}

impl Compaction {
    pub(super) fn new(from: usize) -> Compaction {
        Compaction { from, added: 0, until: from }
    }

    /// Takes note of a change of so many bytes that is to wait. True if it is worth looking.
    pub(super) fn is_due(&mut self, bytes: usize) -> bool {
        self.added += bytes;
        self.added > self.until
    }

    /// Leaves out of what waits the changes that are overtaken, if there is much of it; the answer is how many copies were
    /// among them.
    pub(super) fn compact<R: Row>(&mut self, staged: &mut Staged<(Change<R>, Time)>) -> u64 {
        let waiting = |staged: &Staged<(Change<R>, Time)>| staged.iter().map(|(change, _)| change.bytes()).sum();
        let (mut left, mut copies) = (waiting(staged), 0);
        if left > self.from {
            staged.rework(|rows| {
                if rows.len() < 2 {
                    return;
                }
                let Some((_, time)) = rows.first() else { return };
                let time = *time;
                let mut changes: Vec<Change<R>> = rows.drain(..).map(|(change, _)| change).collect();
                copies += compact(&mut changes);
                rows.extend(changes.into_iter().map(|change| (change, time)));
            });
            left = waiting(staged);
        }
        self.added = left;
        // Twice as much as is left: all the looking together then takes no longer than sorting once or twice.
        self.until = self.from.max(left * 2);
        copies
    }
}

/// Leaves out of the changes of one time what others have overtaken, and copies, which it counts.
pub(super) fn compact<R: Row>(changes: &mut Vec<Change<R>>) -> u64 {
    // In place: there may be many.
    changes.sort_unstable_by(by_key_and_rank);
    let mut copies = 0;
    changes.dedup_by(|copy, kept| {
        let same = is_copy(copy, kept);
        copies += u64::from(same);
        same
    });
    // From the last to the first, as it is the later that overtakes.
    changes.reverse();
    let mut over = Overtaking::default();
    let incremental: Vec<R::Key> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Incremental { key, .. } => Some(key.clone()),
            _ => None,
        })
        .collect();
    changes.retain(|change| {
        let Change::Row { key, rank, body } = change else { return true };
        // Both are in one order, the greatest first.
        let is_there = incremental.binary_search_by(|other| key.cmp(other)).is_ok();
        over.keeps(key, *rank, body) || is_there
    });
    changes.reverse();
    copies
}

/// Rows by key and rank, behind them rows of incremental snapshots and repairs by key and offset, behind them all else.
fn by_key_and_rank<R: Row>(a: &Change<R>, b: &Change<R>) -> Ordering {
    match (a, b) {
        (Change::Row { key: a, rank: a_rank, .. }, Change::Row { key: b, rank: b_rank, .. }) => {
            (a, a_rank).cmp(&(b, b_rank))
        }
        (
            Change::Incremental { key: a, offset: a_offset, .. },
            Change::Incremental { key: b, offset: b_offset, .. },
        ) => (a, a_offset).cmp(&(b, b_offset)),
        // Of several repairs of a key the last counts.
        (Change::Repair { key: a, offset: a_offset, .. }, Change::Repair { key: b, offset: b_offset, .. }) => {
            (a, a_offset).cmp(&(b, b_offset))
        }
        (a, b) => place(a).cmp(&place(b)),
    }
}

fn place<R: Row>(change: &Change<R>) -> u8 {
    match change {
        Change::Row { .. } => 0,
        Change::Incremental { .. } => 1,
        Change::Repair { .. } => 2,
        Change::Truncate { .. } | Change::Due { .. } => 3,
    }
}

/// The same change, delivered twice. Late rows have no LSN; each is a change of its own.
fn is_copy<R: Row>(copy: &Change<R>, kept: &Change<R>) -> bool {
    match (copy, kept) {
        (Change::Row { key, rank, .. }, Change::Row { key: kept, rank: of_kept, .. }) => {
            key == kept && (rank.lsn, rank.op) == (of_kept.lsn, of_kept.op) && rank.lsn != Lsn(0)
        }
        _ => false,
    }
}

/// What the changes seen so far, from the last of a key on, have overtaken.
struct Overtaking<K> {
    key: Option<K>,
    /// By a plain delete: rows and plain deletes.
    by_delete: bool,
    /// By a whole row of an update: updates.
    by_update: bool,
}

impl<K> Default for Overtaking<K> {
    fn default() -> Self {
        Overtaking { key: None, by_delete: false, by_update: false }
    }
}

impl<K: Clone + PartialEq> Overtaking<K> {
    /// Whether the next change before the ones seen is of use.
    fn keeps<R: Row<Key = K>>(&mut self, key: &K, rank: Rank, body: &Body<R>) -> bool {
        if self.key.as_ref() != Some(key) {
            *self = Overtaking { key: Some(key.clone()), by_delete: false, by_update: false };
        }
        let update = rank.op != Op::Create;
        match body {
            Body::Put { from: None, .. } if self.by_delete || self.by_update && update => false,
            Body::Delete { to: None } if self.by_delete => false,
            Body::Put { row, from: None } => {
                self.by_update = update && row.is_whole();
                true
            }
            Body::Delete { to: None } => {
                (self.by_delete, self.by_update) = (true, false);
                true
            }
            Body::Put { from: Some(_), .. } | Body::Delete { to: Some(_) } => {
                (self.by_delete, self.by_update) = (false, false);
                true
            }
            Body::Truncate => true,
        }
    }
}

#[cfg(test)]
mod tests;
