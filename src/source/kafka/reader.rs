//! Reads topics: on the reader thread, in the order in which the client gives records, and says what else is known.
//!
//! ```text
//!   poll ──> records of a piece          END read
//!                                        │ Asked n: the ends are looked up
//!            more pieces ...             │
//!            every partition at its end ─┴> Reached n: whatever was written before END n was read is read
//! ```

use super::client::{Consumer, Trouble, code, consumer, trouble};
use super::ends::{Answer, Asking, Begins, Question};
use super::{Kafka, KafkaError};
use crate::source::Mark;
use crate::source::catalog::{Catalog, Partition};
use crate::source::input::Piece;
use crate::source::log::Tailing;
use crate::source::packed::Packed;
use crate::status::Status;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a record is waited for.
const WAIT: Duration = Duration::from_millis(20);
/// The same while an answer is waited for too.
const WAIT_WITH_QUESTION: Duration = Duration::from_millis(1);
/// How often it is looked whether there are more partitions; and while a topic is missing.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_WHILE_MISSING: Duration = Duration::from_millis(500);
/// How long a partition that has not come to its end may give nothing before it is looked whether that is all.
const STILL: Duration = Duration::from_millis(100);
/// How often offsets are committed for those who watch the lag.
const COMMIT: Duration = Duration::from_secs(5);

/// The topics of a catalog in Kafka.
pub(crate) struct KafkaReader {
    pub(crate) kafka: Kafka,
    pub(crate) prefix: String,
    pub(crate) catalog: Catalog,
    pub(crate) tailing: Tailing,
    pub(crate) status: Arc<Status>,
    /// Whether topics may lack their first records.
    pub(crate) may_be_beheaded: bool,
    /// Stop when everything was read that was there at first.
    pub(crate) to_the_end: bool,
}

impl KafkaReader {
    /// Reads until it is told to stop, or until `each` answers false.
    pub(crate) fn read(self, each: &mut dyn FnMut(Piece) -> bool) -> Result<(), KafkaError> {
        let client = Arc::new(consumer(&self.kafka, &self.prefix, false)?);
        let asking = Asking::start(Arc::clone(&client), &self.kafka, &self.prefix, &self.catalog, &self.status)?;
        let now = Instant::now();
        let mut reading = Reading {
            reader: &self,
            consumer: client,
            asking,
            partitions: BTreeMap::new(),
            missing: Vec::new(),
            looked: None,
            looking: false,
            look_up: None,
            look_ups: 0,
            unasked: false,
            tail_asked: false,
            bytes_read: 0,
            begun: now,
            asked: now,
            committed: now,
            commit_failed: false,
        };
        while (self.tailing.goes_on)() {
            if !reading.step(each)? {
                break;
            }
        }
        reading.commit();
        Ok(())
    }
}

/// A partition that is read.
struct Read {
    /// The offset behind the last record that was read, or behind what is known to be no record.
    next: u64,
    /// The same as it was committed.
    committed: u64,
    /// When it last moved.
    moved: Instant,
}

/// Ends that were looked up, and must be reached.
struct LookUp {
    number: u64,
    /// How far each was read when they were asked for.
    read: BTreeMap<Partition, u64>,
    /// `None` until they are known.
    ends: Option<Vec<(Partition, u64)>>,
}

struct Reading<'r> {
    reader: &'r KafkaReader,
    consumer: Arc<Consumer>,
    asking: Asking,
    partitions: BTreeMap<Partition, Read>,
    /// Tables whose topics are missing.
    missing: Vec<u16>,
    /// When partitions were last looked for.
    looked: Option<Instant>,
    looking: bool,
    look_up: Option<LookUp>,
    look_ups: u64,
    /// Records were read since ends were last asked for.
    unasked: bool,
    tail_asked: bool,
    bytes_read: u64,
    begun: Instant,
    /// When ends were last asked for.
    asked: Instant,
    committed: Instant,
    commit_failed: bool,
}

impl Reading<'_> {
    /// Reads a piece and does what is due; false if there is nothing more to do.
    fn step(&mut self, each: &mut dyn FnMut(Piece) -> bool) -> Result<bool, KafkaError> {
        let records = self.poll()?;
        let mut marks = Vec::new();
        while let Some(answer) = self.asking.answer()? {
            self.take(answer, &mut marks)?;
        }
        if !records.is_empty() {
            self.unasked = true;
            if !each(self.piece(records, Vec::new())) {
                return Ok(false);
            }
        }
        let reached = self.reached();
        marks.extend(reached);
        let due = self.unasked || self.reader.tailing.is_due(self.asked);
        if self.look_up.is_none() && due && !self.partitions.is_empty() {
            marks.push(self.ask_for_ends()?);
        }
        self.look_for_partitions()?;
        if self.committed.elapsed() > COMMIT {
            self.commit();
        }
        let go_on = marks.is_empty() || each(self.piece(Packed::default(), marks));
        Ok(go_on && !(self.reader.to_the_end && reached.is_some()))
    }

    fn piece(&self, records: Packed, marks: Vec<Mark>) -> Piece {
        Piece::Records { records, bytes_read: self.bytes_read, marks }
    }

    /// The next records.
    fn poll(&mut self) -> Result<Packed, KafkaError> {
        let Kafka { poll_records_max, poll_bytes_max, .. } = self.reader.kafka;
        let asked = self.looking || self.look_up.as_ref().is_some_and(|look_up| look_up.ends.is_none());
        let mut wait = if asked { WAIT_WITH_QUESTION } else { WAIT };
        let consumer = Arc::clone(&self.consumer);
        let mut records = Packed::default();
        let mut table = (String::new(), None);
        while records.len() < poll_records_max.max(1) && records.bytes() < poll_bytes_max {
            let record = match consumer.poll(wait) {
                None => break,
                Some(Err(error)) => {
                    self.trouble(&error)?;
                    break;
                }
                Some(Ok(record)) => record,
            };
            wait = Duration::ZERO;
            if table.0 != record.topic() {
                let topic = record.topic();
                table = (topic.to_owned(), Catalog::partition(self.reader.catalog.topic(topic), 0));
            }
            let Some(of_topic) = table.1 else { continue };
            let partition = Partition { number: record.partition().max(0) as u32, ..of_topic };
            let offset = record.offset().max(0) as u64;
            let Some(read) = self.partitions.get_mut(&partition) else { continue };
            (read.next, read.moved) = (offset + 1, Instant::now());
            let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
            let headers = headers.map(|header| (header.key, header.value.unwrap_or_default()));
            let before = records.bytes();
            records.push(record.topic(), (partition.number, offset), record.key(), record.payload(), headers);
            self.bytes_read += (records.bytes() - before) as u64;
        }
        if !records.is_empty() {
            self.reader.status.source_waits(None);
        }
        Ok(records)
    }

    fn take(&mut self, answer: Answer, marks: &mut Vec<Mark>) -> Result<(), KafkaError> {
        match answer {
            Answer::Partitions { new, missing } => {
                self.looking = false;
                if self.missing != missing {
                    let names: Vec<&str> = missing.iter().map(|table| self.reader.catalog.topic_name(*table)).collect();
                    let names = names.join(", ");
                    if !names.is_empty() {
                        tracing::warn!(topics = names, "topics are missing, and waited for");
                    }
                    self.reader.status.topics_missing(names);
                    self.missing = missing;
                }
                marks.extend(self.assign(&new)?);
            }
            Answer::Ends(ends) => {
                let Some(look_up) = &mut self.look_up else { return Ok(()) };
                let read = |partition| look_up.read.get(partition).copied().unwrap_or_default();
                if let Some((partition, end)) = ends.iter().find(|(partition, end)| *end < read(partition)) {
                    let read = read(partition);
                    return Err(self.recreated(*partition, read, *end));
                }
                look_up.ends = Some(ends);
            }
            Answer::Tail { partition, from, upto } => {
                self.tail_asked = false;
                if let Some(read) = self.partitions.get_mut(&partition).filter(|read| read.next == from) {
                    (read.next, read.moved) = (upto.max(from), Instant::now());
                }
            }
        }
        Ok(())
    }

    fn recreated(&self, partition: Partition, position: u64, end: u64) -> KafkaError {
        let topic = self.reader.catalog.topic_name(partition.table).to_owned();
        KafkaError::Recreated { topic, partition: partition.number, position, end }
    }

    /// Reads these partitions too.
    fn assign(&mut self, new: &[Begins]) -> Result<Vec<Mark>, KafkaError> {
        let mut assigned = TopicPartitionList::with_capacity(new.len());
        let client = |error: ClientError| KafkaError::Client(error.to_string());
        for begins in new {
            let Begins { partition, first, start } = *begins;
            let topic = self.reader.catalog.topic_name(partition.table);
            if first > 0 && !self.reader.may_be_beheaded && partition.table != Catalog::TRANSACTIONS {
                let (topic, partition) = (topic.to_owned(), partition.number);
                return Err(KafkaError::Beheaded { topic, partition, first });
            }
            assigned
                .add_partition_offset(topic, partition.number as i32, Offset::Offset(start as i64))
                .map_err(client)?;
            self.partitions.insert(partition, Read { next: start, committed: start, moved: Instant::now() });
        }
        if !new.is_empty() {
            tracing::info!(partitions = new.len(), "partitions are read");
            self.consumer.incremental_assign(&assigned).map_err(client)?;
            self.unasked = true;
        }
        let of_tables = new.iter().filter(|begins| begins.partition.table != Catalog::TRANSACTIONS);
        Ok(of_tables.map(|begins| Mark::Partition { partition: begins.partition, first: begins.start }).collect())
    }

    fn ask_for_ends(&mut self) -> Result<Mark, KafkaError> {
        (self.unasked, self.asked) = (false, Instant::now());
        self.look_ups += 1;
        let read = self.partitions.iter().map(|(partition, read)| (*partition, read.next)).collect();
        self.look_up = Some(LookUp { number: self.look_ups, read, ends: None });
        self.asking.ask(Question::Ends(self.partitions.keys().copied().collect()))?;
        Ok(Mark::Asked { look_up: self.look_ups })
    }

    /// Whether all is read up to the ends that were looked up.
    fn reached(&mut self) -> Option<Mark> {
        let LookUp { number, ends: Some(ends), .. } = self.look_up.as_ref()? else { return None };
        let short =
            |(partition, end): &&(Partition, u64)| self.partitions.get(partition).is_some_and(|read| read.next < *end);
        let Some(&(partition, end)) = ends.iter().find(short) else {
            let mark = Mark::Reached { look_up: *number, ms: self.begun.elapsed().as_millis() as u64 };
            self.look_up = None;
            return Some(mark);
        };
        let read = self.partitions.get(&partition)?;
        if !self.tail_asked && read.moved.elapsed() > STILL {
            self.tail_asked = self.asking.ask(Question::Tail { partition, from: read.next, end }).is_ok();
        }
        None
    }

    fn look_for_partitions(&mut self) -> Result<(), KafkaError> {
        let every = if self.missing.is_empty() { LOOK } else { LOOK_WHILE_MISSING };
        if self.looking || self.looked.is_some_and(|looked| looked.elapsed() < every) {
            return Ok(());
        }
        (self.looking, self.looked) = (true, Some(Instant::now()));
        let tables = (0..self.reader.catalog.codecs.len() as u16).chain([Catalog::TRANSACTIONS]);
        let known = |table| self.partitions.keys().filter(|partition| partition.table == table).count() as u32;
        self.asking.ask(Question::Partitions(tables.map(|table| (table, known(table))).collect()))
    }

    /// What an error of the client's comes to.
    fn trouble(&mut self, error: &ClientError) -> Result<(), KafkaError> {
        match trouble(error) {
            Trouble::Denied => Err(KafkaError::Denied { reason: error.to_string() }),
            Trouble::Fatal => Err(KafkaError::Client(error.to_string())),
            Trouble::OutOfRange => self.out_of_range(),
            Trouble::Passing | Trouble::NoTopic => {
                tracing::debug!(?error, code = ?code(error), "the client has trouble");
                self.reader.status.source_waits(Some(format!("Kafka: {error}")));
                Ok(())
            }
        }
    }

    /// A position is not in its partition. The client does not say which.
    fn out_of_range(&mut self) -> Result<(), KafkaError> {
        for (partition, read) in &self.partitions {
            let topic = self.reader.catalog.topic_name(partition.table);
            let marks = self.consumer.fetch_watermarks(topic, partition.number as i32, Duration::from_secs(5));
            let Ok((first, end)) = marks else { continue };
            let (first, end) = (first.max(0) as u64, end.max(0) as u64);
            if read.next > end {
                return Err(self.recreated(*partition, read.next, end));
            }
            if read.next < first {
                let topic = topic.to_owned();
                return Err(KafkaError::Expired { topic, partition: partition.number, position: read.next, first });
            }
        }
        // By now all are in range, but the client has stopped reading one of them.
        let mut assigned = TopicPartitionList::with_capacity(self.partitions.len());
        let client = |error: ClientError| KafkaError::Client(error.to_string());
        for (partition, read) in &self.partitions {
            let topic = self.reader.catalog.topic_name(partition.table);
            let offset = Offset::Offset(read.next as i64);
            assigned.add_partition_offset(topic, partition.number as i32, offset).map_err(client)?;
        }
        self.consumer.assign(&assigned).map_err(client)
    }

    /// Commits how far was read, for those who watch the lag: nothing is read from there.
    fn commit(&mut self) {
        self.committed = Instant::now();
        let mut offsets = TopicPartitionList::new();
        for (partition, read) in self.partitions.iter_mut().filter(|(_, read)| read.next > read.committed) {
            let topic = self.reader.catalog.topic_name(partition.table);
            let added = offsets.add_partition_offset(topic, partition.number as i32, Offset::Offset(read.next as i64));
            if added.is_ok() {
                read.committed = read.next;
            }
        }
        if offsets.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.commit(&offsets, CommitMode::Async)
            && !std::mem::replace(&mut self.commit_failed, true)
        {
            tracing::warn!(%error, "offsets cannot be committed; nothing but the display of the lag needs them");
        }
    }
}
