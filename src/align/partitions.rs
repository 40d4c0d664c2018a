//! How far each partition of the consumed tables has been read.

use super::Reached;
use crate::source::catalog::Partition;
use crate::time::Lsn;
use std::collections::BTreeMap;

/// What a partition has shown.
#[derive(Default)]
struct Shown {
    /// The offset of the last row read.
    offset: Option<u64>,
    /// The greatest previous END named by a row: everything up to it has been delivered here.
    previous: Lsn,
    /// A row of the stream, so nothing of the initial snapshot follows.
    streamed: bool,
}

/// The partitions of each table.
pub(crate) struct Partitions {
    /// Whether `of` holds all there are. Partitions merely seen so far are never the set.
    known: bool,
    of: Vec<BTreeMap<u32, Shown>>,
}

impl Partitions {
    /// `counts` says how many partitions each table's topic has; without it that is unknown.
    pub(super) fn new(tables: usize, counts: Option<Vec<u32>>) -> Partitions {
        let known = counts.is_some();
        let counts = counts.unwrap_or_else(|| vec![0; tables]);
        let of =
            counts.into_iter().map(|count| (0..count).map(|number| (number, Shown::default())).collect()).collect();
        Partitions { known, of }
    }

    fn shown(&mut self, partition: Partition) -> Option<&mut Shown> {
        Some(self.of.get_mut(usize::from(partition.table))?.entry(partition.number).or_default())
    }

    pub(super) fn read(&mut self, partition: Partition, offset: u64) {
        if let Some(shown) = self.shown(partition) {
            shown.offset = shown.offset.max(Some(offset));
        }
    }

    pub(super) fn progress(&mut self, partition: Partition, previous: Lsn) {
        if let Some(shown) = self.shown(partition) {
            shown.previous = shown.previous.max(previous);
        }
    }

    pub(super) fn streamed(&mut self, partition: Partition) {
        if let Some(shown) = self.shown(partition) {
            shown.streamed = true;
        }
    }

    /// The whole input was read: what was seen is all there is.
    pub(super) fn complete(&mut self) {
        self.known = true;
    }

    pub(super) fn known(&self) -> bool {
        self.known
    }

    /// Whether a table's topic has a partition at all.
    pub(super) fn has(&self, table: usize) -> bool {
        self.of.get(table).is_some_and(|of| !of.is_empty())
    }

    /// Whether anything was read.
    pub(super) fn any(&self) -> bool {
        self.of.iter().flatten().any(|(_, shown)| shown.offset.is_some())
    }

    /// Whether every partition of `table` has shown that `end` lies behind it.
    pub(super) fn passed(&self, table: usize, end: Lsn) -> bool {
        self.known && self.has(table) && self.behind(table, end).is_some_and(|behind| behind.is_empty())
    }

    /// The partitions of `table` that have not shown it; `None` if they are unknown.
    pub(super) fn behind(&self, table: usize, end: Lsn) -> Option<Vec<u32>> {
        let of = self.of.get(table).filter(|_| self.known)?;
        Some(of.iter().filter(|(_, shown)| shown.previous < end).map(|(number, _)| *number).collect())
    }

    /// The partitions that have shown no row of the stream; `None` if the partitions are unknown.
    pub(super) fn silent(&self) -> Option<Vec<Partition>> {
        let all = self.of.iter().enumerate().flat_map(|(table, of)| {
            of.iter().map(move |(number, shown)| (Partition { table: table as u16, number: *number }, shown))
        });
        self.known.then(|| all.filter(|(_, shown)| !shown.streamed).map(|(partition, _)| partition).collect())
    }
}

impl Reached for Partitions {
    fn reached(&self, partition: Partition, offset: u64) -> bool {
        let shown = self.of.get(usize::from(partition.table)).and_then(|of| of.get(&partition.number));
        shown.is_some_and(|shown| shown.offset >= Some(offset))
    }
}
