//! Reads topics: on the reader thread, in the order in which the client gives records, and says what else is known.
//!
//! ```text
//!   poll ──> records of a piece          END read
//!                                        │ Asked n: it is looked up which partitions there are, and where they end
//!            more pieces ...             │ Known n: partitions that were not known are read too
//!            every partition at its end ─┴> Reached n: whatever was written before END n was read is read
//! ```

mod outside;

use super::client::{Consumer, Trouble, code, consumer, said, trouble, trouble_of_partition};
use super::ends::{Answer, Asking, Begins, Question, Tail};
use super::fetched::{Fetched, FetchedRecords};
use super::{Kafka, KafkaError};
use crate::source::Mark;
use crate::source::catalog::{Catalog, Partition};
use crate::source::clients::Alive;
use crate::source::input::{Piece, Records};
use crate::source::log::Tailing;
use crate::source::packed::Packed;
use crate::status::{Status, Waiting};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a record is waited for.
const WAIT: Duration = Duration::from_millis(20);
/// The same while an answer is waited for too, which comes soon unless brokers are away.
const WAIT_WITH_QUESTION: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_millis(100);
/// How often it is looked up where partitions end though nothing was read; and while a topic is missing.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_WHILE_MISSING: Duration = Duration::from_millis(500);
/// The same while what was there at the last look-up is read.
const LOOK_WHILE_BEHIND: Duration = Duration::from_millis(200);
/// How long a partition that has not come to its end may give nothing before it is looked whether that is all.
const STILL: Duration = Duration::from_millis(30);
/// How long who leads a topic is waited for.
const LEADERS: Duration = Duration::from_millis(500);
/// How long a client is kept before it is made anew once more.
const ANEW: Duration = Duration::from_secs(1);
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
    /// Whether topics may lack records that later ones of their keys have overtaken.
    pub(crate) may_be_compacted: bool,
    /// What its clients hold.
    pub(crate) alive: Alive,
}

impl KafkaReader {
    /// Reads until it is told to stop, or until `each` answers false. True if it came to the end that it was to read to.
    pub(crate) fn read(self, each: &mut dyn FnMut(Piece) -> bool) -> Result<bool, KafkaError> {
        let client = Arc::new(self.consumer()?);
        let fetched = Fetched::new(Arc::clone(&client)).map_err(failed)?;
        let asking = Asking::start(&self)?;
        let now = Instant::now();
        let mut reading = Reading {
            reader: &self,
            fetched,
            consumer: client,
            asking,
            partitions: BTreeMap::new(),
            missing: Vec::new(),
            question: None,
            look_up: None,
            look_ups: 0,
            unasked: true,
            tails_asked: false,
            outside: BTreeSet::new(),
            ranges_asked: None,
            made_anew: None,
            ended: None,
            at_the_end: false,
            bytes_read: 0,
            begun: now,
            asked: now,
            committed: now,
        };
        while (self.tailing.goes_on)() && !reading.at_the_end {
            if !reading.step(each)? {
                break;
            }
        }
        reading.commit();
        Ok(reading.at_the_end)
    }

    fn consumer(&self) -> Result<Consumer, KafkaError> {
        consumer(&self.kafka, &self.prefix, false, &self.alive)
    }
}

/// What the client refuses.
fn failed(error: ClientError) -> KafkaError {
    KafkaError::Client(error.to_string())
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

/// A look-up that was asked for.
struct Asked {
    number: u64,
    /// How far each partition was read by then.
    read: BTreeMap<Partition, u64>,
}

/// Ends that were looked up, and must be reached.
struct LookUp {
    number: u64,
    ends: Vec<(Partition, u64)>,
}

struct Reading<'r> {
    reader: &'r KafkaReader,
    // First: its thread lets go of its own client while the others are closed.
    asking: Asking,
    fetched: Fetched,
    consumer: Arc<Consumer>,
    partitions: BTreeMap<Partition, Read>,
    /// Tables whose topics are missing.
    missing: Vec<u16>,
    /// The look-up that is not answered yet.
    question: Option<Asked>,
    /// The first that is answered, and whose ends are not reached.
    look_up: Option<LookUp>,
    look_ups: u64,
    /// Records were read since ends were last asked for.
    unasked: bool,
    tails_asked: bool,
    /// Partitions that are read no more: a position is said to be outside of what they have.
    outside: BTreeSet<Partition>,
    /// How far each of them was read when it was asked where they begin and end.
    ranges_asked: Option<BTreeMap<Partition, u64>>,
    /// When the client was made anew for their sake.
    made_anew: Option<Instant>,
    /// When everything was read that was there at first.
    ended: Option<Instant>,
    at_the_end: bool,
    bytes_read: u64,
    begun: Instant,
    /// When ends were last asked for.
    asked: Instant,
    committed: Instant,
}

impl Reading<'_> {
    /// Reads a piece and does what is due; false if there is nothing more to do.
    fn step(&mut self, each: &mut dyn FnMut(Piece) -> bool) -> Result<bool, KafkaError> {
        let records = self.poll()?;
        let nothing = records.is_empty();
        let mut marks = Vec::new();
        while let Some(answer) = self.asking.answer()? {
            self.take(answer, &mut marks)?;
        }
        if !nothing {
            self.unasked = true;
            if !each(self.piece(Records::Fetched(records), Vec::new())) {
                return Ok(false);
            }
        }
        let reached = self.reached();
        marks.extend(reached);
        if reached.is_none() {
            self.ask_for_tails()?;
        }
        self.ask_for_ranges()?;
        if self.question.is_none() && self.look_up_is_due() {
            marks.push(self.ask_for_ends()?);
        }
        if self.committed.elapsed() > COMMIT {
            self.commit();
        }
        let go_on = marks.is_empty() || each(self.piece(Packed::default().into(), marks));
        self.at_the_end = go_on && reached.is_some() && self.is_the_end();
        Ok(go_on)
    }

    /// Whether what was there at first was read, and has been there for so long that all of it that settles has.
    fn is_the_end(&mut self) -> bool {
        let settle = self.reader.tailing.settle.unwrap_or_default();
        self.reader.kafka.to_the_end && self.ended.get_or_insert_with(Instant::now).elapsed() >= settle
    }

    fn look_up_is_due(&self) -> bool {
        if self.look_up.is_some() {
            // There is much to read yet; but what closes meanwhile must know which partitions there are.
            return self.unasked && self.asked.elapsed() > LOOK_WHILE_BEHIND;
        }
        let every = if self.missing.is_empty() { LOOK } else { LOOK_WHILE_MISSING };
        self.unasked || self.asked.elapsed() > every || self.reader.tailing.is_due(self.asked)
    }

    fn piece(&self, records: Records, marks: Vec<Mark>) -> Piece {
        Piece::Records { records, bytes_read: self.bytes_read, marks }
    }

    /// The next records.
    fn poll(&mut self) -> Result<FetchedRecords, KafkaError> {
        for error in said(&self.consumer)? {
            self.trouble(&error)?;
        }
        let Kafka { poll_records_max, poll_bytes_max, .. } = self.reader.kafka;
        let mut wait = if self.question.is_some() && self.asked.elapsed() < SOON { WAIT_WITH_QUESTION } else { WAIT };
        let mut records = self.fetched.records();
        let (mut topic, mut of_topic) = (0, None);
        let mut moved = Instant::now();
        while records.len() < poll_records_max.max(1) && records.bytes() < poll_bytes_max {
            let Some(message) = self.fetched.next(wait) else { break };
            if !wait.is_zero() {
                (wait, moved) = (Duration::ZERO, Instant::now());
            }
            if topic != message.topic_id() {
                topic = message.topic_id();
                of_topic = Catalog::partition(self.reader.catalog.topic(message.topic()), 0);
            }
            let partition = of_topic.map(|of_topic| Partition { number: message.partition(), ..of_topic });
            let offset = message.offset();
            if let Some((code, words)) = message.error() {
                self.fetched.pass();
                self.trouble_of(partition, offset, code, words)?;
                break;
            }
            let Some(read) = partition.and_then(|partition| self.partitions.get_mut(&partition)) else {
                self.fetched.pass();
                continue;
            };
            (read.next, read.moved) = (offset + 1, moved);
            self.fetched.move_to(&mut records);
        }
        self.bytes_read += records.text_bytes() as u64;
        if !records.is_empty() {
            self.reader.status.source_waits(Waiting::Records, None);
        }
        Ok(records)
    }

    fn take(&mut self, answer: Answer, marks: &mut Vec<Mark>) -> Result<(), KafkaError> {
        match answer {
            Answer::LookUp { new, missing, ends } => {
                self.missing(missing);
                marks.extend(self.assign(&new)?);
                let Some(Asked { number, read }) = self.question.take() else { return Ok(()) };
                let read = |partition| read.get(partition).copied().unwrap_or_default();
                if let Some((partition, end)) = ends.iter().find(|(partition, end)| *end < read(partition)) {
                    return Err(self.fell_back(*partition, read(partition), *end));
                }
                marks.push(Mark::Known { look_up: number });
                // Ends are reached one look-up after the other. Where others are waited for, these are asked for again.
                match &self.look_up {
                    Some(_) => self.unasked = true,
                    None => self.look_up = Some(LookUp { number, ends }),
                }
                Ok(())
            }
            Answer::Tails(tails) => {
                self.tails_asked = false;
                for Tail { partition, from, end } in tails {
                    if let Some(read) = self.partitions.get_mut(&partition).filter(|read| read.next == from) {
                        (read.next, read.moved) = (end, Instant::now());
                    }
                }
                Ok(())
            }
            Answer::Ranges(ranges) => {
                let read = self.ranges_asked.take().unwrap_or_default();
                self.go_on_within(&ranges, &read)
            }
        }
    }

    fn missing(&mut self, missing: Vec<u16>) {
        if self.missing == missing {
            return;
        }
        let names: Vec<&str> = missing.iter().map(|table| self.reader.catalog.topic_name(*table)).collect();
        let mut names = names.join(", ");
        if missing == [Catalog::TRANSACTIONS] {
            names.push_str(" (the connector writes it with provide.transaction.metadata=true)");
        }
        if !names.is_empty() {
            tracing::warn!(topics = names, "topics are missing, and waited for");
        }
        self.reader.status.topics_missing(names);
        self.missing = missing;
    }

    fn fell_back(&self, partition: Partition, position: u64, end: u64) -> KafkaError {
        let topic = self.reader.catalog.topic_name(partition.table).to_owned();
        KafkaError::FellBack { topic, partition: partition.number, position, end }
    }

    /// Reads these partitions too.
    fn assign(&mut self, new: &[Begins]) -> Result<Vec<Mark>, KafkaError> {
        for begins in new {
            let Begins { partition, first, start, .. } = *begins;
            if first > 0 && !self.reader.may_be_beheaded {
                let topic = self.reader.catalog.topic_name(partition.table).to_owned();
                return Err(KafkaError::Beheaded { topic, partition: partition.number, first });
            }
            self.partitions.insert(partition, Read { next: start, committed: start, moved: Instant::now() });
        }
        if !new.is_empty() {
            tracing::info!(partitions = new.len(), "partitions are read");
            let assigned = self.forwarded(new.iter().map(|begins| begins.partition))?;
            self.find_leaders(new.iter().map(|begins| begins.partition.table).collect());
            self.consumer.incremental_assign(&assigned).map_err(failed)?;
            self.unasked = true;
        }
        let of_tables = new.iter().filter(|begins| begins.partition.table != Catalog::TRANSACTIONS);
        let mark =
            |&Begins { partition, start, added, .. }: &Begins| Mark::Partition { partition, first: start, added };
        Ok(of_tables.map(mark).collect())
    }

    /// Partitions from where they are read on, forwarded to where records are taken.
    fn forwarded(&self, partitions: impl Iterator<Item = Partition>) -> Result<TopicPartitionList, KafkaError> {
        let mut forwarded = TopicPartitionList::new();
        for partition in partitions {
            let Some(read) = self.partitions.get(&partition) else { continue };
            let (topic, number) = (self.reader.catalog.topic_name(partition.table), partition.number as i32);
            self.fetched.forward(topic, number).map_err(failed)?;
            forwarded.add_partition_offset(topic, number, Offset::Offset(read.next as i64)).map_err(failed)?;
        }
        Ok(forwarded)
    }

    /// Lets the client know who leads the partitions of these tables: by itself it asks once a second only.
    fn find_leaders(&self, tables: BTreeSet<u16>) {
        for table in tables {
            let topic = self.reader.catalog.topic_name(table);
            if let Err(error) = self.consumer.fetch_metadata(Some(topic), LEADERS) {
                tracing::debug!(topic, %error, "the client does not know yet who leads the topic");
            }
        }
    }

    /// How far each partition is read.
    fn positions(&self) -> BTreeMap<Partition, u64> {
        self.partitions.iter().map(|(partition, read)| (*partition, read.next)).collect()
    }

    fn ask_for_ends(&mut self) -> Result<Mark, KafkaError> {
        (self.unasked, self.asked) = (false, Instant::now());
        self.look_ups += 1;
        let read = self.positions();
        self.question = Some(Asked { number: self.look_ups, read });
        self.asking.ask(Question::LookUp)?;
        Ok(Mark::Asked { look_up: self.look_ups })
    }

    /// Partitions that are not read up to the ends that were looked up, with those.
    fn short(&self) -> impl Iterator<Item = (Tail, &Read)> {
        let ends = self.look_up.iter().flat_map(|look_up| &look_up.ends);
        ends.filter_map(|&(partition, end)| {
            let read = self.partitions.get(&partition).filter(|read| read.next < end)?;
            Some((Tail { partition, from: read.next, end }, read))
        })
    }

    /// Whether all is read up to the ends that were looked up.
    fn reached(&mut self) -> Option<Mark> {
        let LookUp { number, ends } = self.look_up.as_ref()?;
        if self.short().next().is_some() {
            return None;
        }
        let mark = Mark::Reached { look_up: *number, ms: self.begun.elapsed().as_millis() as u64 };
        // Where there is no partition, there is nothing that could have been read.
        let any = !ends.is_empty();
        self.look_up = None;
        // All is read, whatever a connection has gone through.
        self.reader.status.source_waits(Waiting::Records, None);
        any.then_some(mark)
    }

    /// Asks of partitions that give nothing though they end later.
    fn ask_for_tails(&mut self) -> Result<(), KafkaError> {
        if self.tails_asked {
            return Ok(());
        }
        let still = self.short().filter(|(_, read)| read.moved.elapsed() > STILL);
        let tails: Vec<Tail> = still.map(|(tail, _)| tail).collect();
        if tails.is_empty() {
            return Ok(());
        }
        self.tails_asked = true;
        self.asking.ask(Question::Tails(tails))
    }

    /// What an error of the client's comes to.
    fn trouble(&mut self, error: &ClientError) -> Result<(), KafkaError> {
        match trouble(error) {
            Trouble::Denied => Err(KafkaError::Denied { reason: error.to_string() }),
            Trouble::Fatal => Err(KafkaError::Client(error.to_string())),
            Trouble::Passing | Trouble::NoTopic | Trouble::OutOfRange | Trouble::Unreadable => {
                tracing::debug!(?error, code = ?code(error), "the client has trouble");
                self.reader.status.source_waits(Waiting::Records, Some(format!("Kafka: {error}")));
                Ok(())
            }
        }
    }

    /// What it comes to that something is wrong with a partition.
    fn trouble_of(
        &mut self,
        partition: Option<Partition>,
        offset: u64,
        code: Code,
        words: String,
    ) -> Result<(), KafkaError> {
        // Nothing else is forwarded to where it came from.
        let Some(partition) = partition else { return Err(KafkaError::Client(words)) };
        let topic = self.reader.catalog.topic_name(partition.table).to_owned();
        match trouble_of_partition(code) {
            Trouble::Denied => Err(KafkaError::Denied { reason: format!("topic {topic}: {words}") }),
            Trouble::Fatal => Err(KafkaError::Client(format!("topic {topic}/{}: {words}", partition.number))),
            Trouble::Unreadable => {
                Err(KafkaError::Unreadable { topic, partition: partition.number, offset, reason: words })
            }
            Trouble::OutOfRange => {
                self.outside.insert(partition);
                Ok(())
            }
            Trouble::Passing | Trouble::NoTopic => {
                tracing::debug!(topic, partition = partition.number, offset, ?code, words, "a partition has trouble");
                self.reader.status.source_waits(Waiting::Records, Some(format!("Kafka: {words}")));
                Ok(())
            }
        }
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
        // What comes of it the client tells its context.
        if let Err(error) = self.consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(%error, "offsets cannot be committed");
        }
    }
}
