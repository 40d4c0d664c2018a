//! Connect's producer: queues, batches, acknowledgements, offsets.
//!
//! One request is in flight for each partition, so order inside a partition holds; between partitions nothing does. A record
//! counts as acknowledged when its batch is written, and offsets are flushed up to the first record that is not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fastrand::Rng;

use super::{ConnectorOptions, Log, Record};
use crate::oddities::Oddities;

/// Where the connector is in the stream of committed changes: what Connect stores as source offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Transactions fully processed.
    pub(super) commit: usize,
    /// Events processed of the next one.
    pub(super) events: usize,
    /// `total_order` reached in it.
    pub(super) total_order: u64,
    /// `data_collection_order` reached in it, by table.
    pub(super) orders: [u64; 4],
}

/// What a record is, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A row of a streamed transaction.
    Event { commit: usize, event: usize },
    /// An END.
    End { commit: usize },
    /// A row of the initial snapshot.
    Initial,
    /// Anything else.
    Other,
}

struct Queued {
    number: usize,
    record: Record,
    meaning: Meaning,
}

type Partition = (String, i32);

pub(super) struct Producer {
    pub(super) log: Log,
    pub(super) oddities: Oddities,
    queues: BTreeMap<Partition, VecDeque<Queued>>,
    /// How willingly each partition's leader answers, drawn anew for each run.
    speeds: BTreeMap<Partition, u8>,
    offsets: BTreeMap<Partition, i64>,
    unwritten: BTreeSet<usize>,
    /// The source offset of each record pushed in this run.
    positions: Vec<Option<Position>>,
    flushed: Option<Position>,
    queued: usize,
    in_flight_max: usize,
    flush_every: u32,
    duplicate_percent: u8,
    pub(super) now_ms: i64,
    run: usize,
    seen: Seen,
}

/// What was written before, for the counters.
#[derive(Default)]
struct Seen {
    events: BTreeSet<(usize, usize)>,
    ends: BTreeMap<usize, usize>,
    streamed: bool,
}

impl Producer {
    pub(super) fn new(options: &ConnectorOptions, now_ms: i64) -> Self {
        Producer {
            log: Log::default(),
            oddities: Oddities::default(),
            queues: BTreeMap::new(),
            speeds: BTreeMap::new(),
            offsets: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            positions: Vec::new(),
            flushed: None,
            queued: 0,
            in_flight_max: options.in_flight_max.max(1),
            flush_every: options.flush_every.max(1),
            duplicate_percent: options.duplicate_percent,
            now_ms,
            run: 0,
            seen: Seen::default(),
        }
    }

    /// Queues a record; `position` is where a connector would resume that had everything up to this record acknowledged.
    pub(super) fn push(&mut self, rng: &mut Rng, record: Record, meaning: Meaning, position: Option<Position>) {
        let number = self.positions.len();
        self.positions.push(position);
        self.unwritten.insert(number);
        self.queued += 1;
        let partition = (record.topic.clone(), record.partition);
        self.speeds.entry(partition.clone()).or_insert_with(|| rng.u8(1..12));
        self.queues.entry(partition).or_default().push_back(Queued { number, record, meaning });
        while self.queued > self.in_flight_max || (self.queued > 0 && rng.u8(..4) == 0) {
            self.write_batch(rng);
        }
        if rng.u32(..self.flush_every) == 0 {
            self.flush();
        }
    }

    /// Remembers the greatest position with everything before it written.
    pub(super) fn flush(&mut self) {
        let first_unwritten = self.unwritten.first().copied().unwrap_or(self.positions.len());
        let last = first_unwritten.checked_sub(1).and_then(|last| self.positions.get(last).copied().flatten());
        self.flushed = last.or(self.flushed);
    }

    /// Writes everything that is queued.
    pub(super) fn drain(&mut self, rng: &mut Rng) {
        while self.queued > 0 {
            self.write_batch(rng);
        }
    }

    /// The process dies: what is queued is gone. Returns where the next one resumes.
    pub(super) fn kill(&mut self) -> Option<Position> {
        self.queues.clear();
        self.speeds.clear();
        self.unwritten.clear();
        self.positions.clear();
        self.queued = 0;
        self.run += 1;
        self.now_ms += 2_000;
        self.flushed
    }

    pub(super) fn flushed(&self) -> Option<Position> {
        self.flushed
    }

    /// Some partition's next batch reaches its leader; faster partitions more often.
    fn write_batch(&mut self, rng: &mut Rng) {
        let speeds = &self.speeds;
        let waiting = self.queues.iter_mut().filter(|(_, queue)| !queue.is_empty());
        let drawn = waiting.max_by_key(|(partition, _)| rng.u8(0..=*speeds.get(partition).unwrap_or(&1)));
        let Some((_, queue)) = drawn else { return };
        let length = queue.len().min(rng.usize(1..=16));
        let batch: Vec<Queued> = queue.drain(..length).collect();
        self.queued -= length;
        self.now_ms += 1;
        for queued in batch {
            self.unwritten.remove(&queued.number);
            let twice = rng.u8(..100) < self.duplicate_percent;
            self.note(queued.meaning);
            if twice {
                self.oddities.producer_duplicates += 1;
                self.append(queued.record.clone());
            }
            self.append(queued.record);
        }
    }

    fn append(&mut self, record: Record) {
        let offset = self.offsets.entry((record.topic.clone(), record.partition)).or_default();
        self.log.records.push(Record { offset: *offset, ts: self.now_ms, ..record });
        *offset += 1;
    }

    fn note(&mut self, meaning: Meaning) {
        let odd = &mut self.oddities;
        match meaning {
            Meaning::Event { commit, event } => {
                let first = self.seen.events.insert((commit, event));
                odd.redelivered_rows += u64::from(!first);
                if let Some(run) = self.seen.ends.get(&commit).filter(|_| first) {
                    odd.rows_after_their_end += 1;
                    odd.rows_runs_after_their_end += u64::from(*run < self.run);
                }
                self.seen.streamed = true;
            }
            Meaning::End { commit } => {
                let before = self.seen.ends.contains_key(&commit);
                odd.redelivered_ends += u64::from(before);
                self.seen.ends.entry(commit).or_insert(self.run);
                self.seen.streamed = true;
            }
            Meaning::Initial => odd.late_snapshot_rows += u64::from(self.seen.streamed),
            Meaning::Other => {}
        }
    }
}
