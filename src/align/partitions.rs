//! How far each partition of the consumed tables has been read.

use crate::source::catalog::Partition;
use crate::time::Lsn;

/// What a partition has shown.
#[derive(Default)]
struct Shown {
    /// The offset of the first record read.
    first: Option<u64>,
    /// The greatest previous END named by a row: everything up to it has been delivered here.
    previous: Lsn,
    /// A row of the stream, so nothing of the initial snapshot follows.
    streamed: bool,
}

/// The partitions of each table.
pub(crate) struct Partitions {
    /// Whether `of` holds all there are. Partitions merely seen so far are never the set.
    known: bool,
    of: Vec<Numbered>,
}

/// The partitions of a table, in the order of their numbers.
#[derive(Default)]
struct Numbered(Vec<(u32, Shown)>);

impl Numbered {
    fn search(&self, number: u32) -> Result<usize, usize> {
        let at = number as usize;
        // Mostly none is missing.
        if self.0.get(at).is_some_and(|(other, _)| *other == number) {
            return Ok(at);
        }
        self.0.binary_search_by_key(&number, |(number, _)| *number)
    }

    fn get(&self, number: u32) -> Option<&Shown> {
        self.0.get(self.search(number).ok()?).map(|(_, shown)| shown)
    }

    /// What the partition has shown; it is added if it is not there.
    fn get_or_add(&mut self, number: u32) -> Option<&mut Shown> {
        let at = self.search(number).unwrap_or_else(|at| {
            self.0.insert(at, (number, Shown::default()));
            at
        });
        self.0.get_mut(at).map(|(_, shown)| shown)
    }

    fn all(&self) -> impl Iterator<Item = &Shown> {
        self.0.iter().map(|(_, shown)| shown)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Partitions {
    /// `counts` says how many partitions each table's topic has; without it that is unknown.
    pub(super) fn new(tables: usize, counts: Option<Vec<u32>>) -> Partitions {
        let known = counts.is_some();
        let counts = counts.unwrap_or_else(|| vec![0; tables]);
        let numbered = |count| Numbered((0..count).map(|number| (number, Shown::default())).collect());
        let of = counts.into_iter().map(numbered).collect();
        Partitions { known, of }
    }

    fn shown(&mut self, partition: Partition) -> Option<&mut Shown> {
        self.of.get_mut(usize::from(partition.table))?.get_or_add(partition.number)
    }

    /// How many partitions the table of `partition` was said to have, if that leaves it out.
    pub(super) fn not_among(&self, partition: Partition) -> Option<u32> {
        let of = self.of.get(usize::from(partition.table)).filter(|_| self.known)?;
        of.get(partition.number).is_none().then_some(of.0.len() as u32)
    }

    /// Whether there is any partition at all.
    pub(super) fn any(&self) -> bool {
        self.of.iter().any(|of| !of.is_empty())
    }

    /// There is this partition, and it is read from `offset` on. What is said first counts.
    pub(super) fn start(&mut self, partition: Partition, offset: u64) {
        if let Some(shown) = self.shown(partition) {
            shown.first = shown.first.or(Some(offset));
        }
    }

    /// A row names `previous` as the END before it; `streamed` says that it is one of the stream.
    pub(super) fn progress(&mut self, partition: Partition, previous: Lsn, streamed: bool) {
        if let Some(shown) = self.shown(partition) {
            shown.previous = shown.previous.max(previous);
            shown.streamed |= streamed;
        }
    }

    /// The whole input was read: what was seen is all there is, with the numbers below the greatest.
    pub(super) fn complete(&mut self) {
        self.known = true;
        for of in &mut self.of {
            let greatest = of.0.last().map_or(0, |(number, _)| *number);
            for number in 0..greatest {
                of.get_or_add(number);
            }
        }
    }

    pub(super) fn known(&self) -> bool {
        self.known
    }

    /// Whether a table's topic has a partition at all.
    pub(super) fn has(&self, table: usize) -> bool {
        self.of.get(table).is_some_and(|of| !of.is_empty())
    }

    /// The partitions of which something was read, but not from offset 0, the first that Kafka gives.
    pub(super) fn beheaded(&self) -> Vec<Partition> {
        self.all()
            .filter(|(_, shown)| shown.first.is_some_and(|first| first > 0))
            .map(|(partition, _)| partition)
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = (Partition, &Shown)> {
        self.of.iter().enumerate().flat_map(|(table, of)| {
            of.0.iter().map(move |(number, shown)| (Partition { table: table as u16, number: *number }, shown))
        })
    }

    /// Whether every partition of `table` has shown that `end` lies behind it.
    pub(super) fn passed(&self, table: usize, end: Lsn) -> bool {
        let of = self.of.get(table).filter(|of| self.known && !of.is_empty());
        of.is_some_and(|of| of.all().all(|shown| shown.previous >= end))
    }

    /// The partitions of `table` that have not shown it; `None` if they are unknown.
    pub(super) fn behind(&self, table: usize, end: Lsn) -> Option<Vec<u32>> {
        let of = self.of.get(table).filter(|_| self.known)?;
        Some(of.0.iter().filter(|(_, shown)| shown.previous < end).map(|(number, _)| *number).collect())
    }

    /// Whether a partition has shown no row of the stream, so that rows of the initial snapshot may follow.
    pub(super) fn is_silent(&self, partition: Partition) -> bool {
        let of = self.of.get(usize::from(partition.table));
        of.and_then(|of| of.get(partition.number)).is_none_or(|shown| !shown.streamed)
    }

    /// The partitions that have shown no row of the stream; `None` if the partitions are unknown.
    pub(super) fn silent(&self) -> Option<Vec<Partition>> {
        let silent = self.all().filter(|(_, shown)| !shown.streamed).map(|(partition, _)| partition);
        self.known.then(|| silent.collect())
    }
}
