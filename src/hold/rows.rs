//! The rows that wait, in memory and on disk alike.

use super::waiting::Wait;
use super::{Change, Rank};
use crate::envelope::Body;
use crate::source::catalog::Partition;
use crate::time::{Lsn, Time};
use dataflows::Row;
use serde::{Deserialize, Serialize};

/// A change of a transaction.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Streamed<R: Row> {
    pub(super) partition: Partition,
    /// `None` for a truncate.
    pub(super) key: Option<R::Key>,
    pub(super) rank: Rank,
    /// The previous END.
    pub(super) previous: Lsn,
    pub(super) body: Body<R>,
}

/// A row of a snapshot in mid-stream.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Snapshotted<R: Row> {
    pub(super) previous: Lsn,
    pub(super) key: R::Key,
    pub(super) offset: u64,
    pub(super) row: R,
    /// When it was read, if the snapshot was a blocking one.
    pub(super) ts_ms: i64,
}

/// A row of the initial snapshot.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Loaded<R: Row> {
    pub(super) key: R::Key,
    pub(super) offset: u64,
    pub(super) row: R,
}

impl<R: Row> Wait for Streamed<R> {
    fn at(&self) -> Lsn {
        self.rank.lsn
    }

    fn heap_bytes(&self) -> usize {
        let key = |key: &Option<R::Key>| key.as_ref().map_or(0, R::key_heap_bytes);
        let body = match &self.body {
            Body::Put { row, from } => row.heap_bytes() + key(from),
            Body::Delete { to } => key(to),
            Body::Truncate => 0,
        };
        key(&self.key) + body
    }
}

impl<R: Row> Wait for Snapshotted<R> {
    fn at(&self) -> Lsn {
        self.previous
    }

    fn heap_bytes(&self) -> usize {
        R::key_heap_bytes(&self.key) + self.row.heap_bytes()
    }
}

/// All rows of an attempt go together.
impl<R: Row> Wait for Loaded<R> {
    fn at(&self) -> Lsn {
        Lsn(0)
    }

    fn heap_bytes(&self) -> usize {
        R::key_heap_bytes(&self.key) + self.row.heap_bytes()
    }
}

impl<R: Row> Streamed<R> {
    /// Lets it go. A truncate concerns every worker; any other change the owner of its key.
    pub(super) fn emit(self, time: Time, workers: usize, out: &mut Vec<(Change<R>, Time)>) {
        let rank = self.rank;
        match self.key {
            Some(key) => out.push((Change::Row { key, rank, body: self.body }, time)),
            None => out.extend((0..workers as u64).map(|worker| (Change::Truncate { worker, rank }, time))),
        }
    }
}
