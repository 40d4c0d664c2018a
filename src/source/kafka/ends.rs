//! What is asked of the brokers beside reading: which partitions there are, where they begin, where they end now. On a thread
//! of its own, so that reading waits for no answer.
//!
//! ```text
//!   Question                    Answer
//!   LookUp ──> topics ──> ends  partitions that were not known, topics that are missing, where each partition ends
//!   Ranges ──> firsts, ends     where each partition begins and ends: a position is in none of them
//!   Tails  ──> reads on         whether there is a record before an end, or only what a transaction of Kafka's leaves
//! ```

use super::admin::{TopicId, topic_configs};
use super::client::{Consumer, Trouble, consumer, said, trouble};
use super::reader::KafkaReader;
use super::topics::Topics;
use super::{Kafka, KafkaError, KafkaStart};
use crate::source::catalog::{Catalog, Partition};
use crate::source::clients::Alive;
use crate::status::{Status, Waiting};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the brokers may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait before they are asked again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a topic that was read may be missing before it counts as deleted: brokers that start may not know it yet.
const GONE: Duration = Duration::from_secs(30);
/// How often it is heard what the client has to say while nothing is asked.
const LISTEN: Duration = Duration::from_millis(500);
/// How often it is asked how long topics keep what.
const POLICY: Duration = Duration::from_secs(60);

/// What is asked.
pub(super) enum Question {
    /// Which partitions there are, and where each ends.
    LookUp,
    /// Where these partitions begin and end.
    Ranges(Vec<Partition>),
    /// Whether there is a record before an end that was looked up before.
    Tails(Vec<Tail>),
}

/// A partition that was read up to the offset `from`, and ends at `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub(super) partition: Partition,
    pub(super) from: u64,
    pub(super) end: u64,
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// The partitions that were not known, the topics that are missing, and where each partition ends: the offset of the
    /// next record.
    LookUp { new: Vec<Begins>, missing: Vec<u16>, ends: Vec<(Partition, u64)> },
    /// The first offset of each, and its end.
    Ranges(Vec<(Partition, u64, u64)>),
    /// From `from` up to `end` there is no record: where `end` is `from`, that is not known, or there is one.
    Tails(Vec<Tail>),
}

/// Where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begins {
    pub(super) partition: Partition,
    /// The first record there is.
    pub(super) first: u64,
    /// The first record to read.
    pub(super) start: u64,
    /// Others of its topic were known before.
    pub(super) added: bool,
}

/// The thread that asks. It ends when this is dropped, at the latest when the answer it waits for has come.
pub(super) struct Asking {
    questions: SyncSender<Question>,
    answers: Receiver<Result<Answer, KafkaError>>,
}

/// So many questions may wait: one of each kind.
const WAITING: usize = 3;

impl Asking {
    /// Starts the thread, with a client of its own: an answer would wait until a broker has something to read, and what one
    /// that lags knows would decide what is read.
    pub(super) fn start(reader: &KafkaReader) -> Result<Asking, KafkaError> {
        let KafkaReader { kafka, prefix, catalog, status, may_be_compacted, alive, .. } = reader;
        let consumer = Arc::new(consumer(kafka, prefix, false, alive)?);
        let (questions, asked) = sync_channel(WAITING);
        let (answer, answers) = sync_channel(WAITING);
        let mut brokers = Brokers {
            topics: Topics::new(Arc::clone(&consumer), ANSWER),
            consumer,
            kafka: kafka.clone(),
            prefix: prefix.clone(),
            catalog: catalog.clone(),
            status: Arc::clone(status),
            may_be_compacted: *may_be_compacted,
            alive: alive.clone(),
            known: BTreeMap::new(),
            policies: Policies::default(),
            tails: None,
        };
        let ask = move || {
            loop {
                let answered = match asked.recv_timeout(LISTEN) {
                    Ok(question) => match brokers.answer(&question) {
                        Some(answered) => answered,
                        None => return,
                    },
                    Err(RecvTimeoutError::Timeout) => match brokers.listen() {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    },
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                if answer.send(answered).is_err() {
                    return;
                }
            }
        };
        let started = thread::Builder::new().name("kafka-ends".to_owned()).spawn(ask);
        started.map_err(|error| KafkaError::Client(format!("no thread can be started: {error}")))?;
        Ok(Asking { questions, answers })
    }

    /// Asks; at most one question of each kind waits for its answer.
    pub(super) fn ask(&self, question: Question) -> Result<(), KafkaError> {
        self.questions.try_send(question).map_err(|_| gone())
    }

    /// The next answer, if it is there.
    pub(super) fn answer(&self) -> Result<Option<Answer>, KafkaError> {
        match self.answers.try_recv() {
            Ok(answer) => answer.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(gone()),
        }
    }
}

fn gone() -> KafkaError {
    KafkaError::Client("the thread that asks the brokers has ended".to_owned())
}

/// A topic that is read.
#[derive(Clone, Debug, Default)]
struct Known {
    id: TopicId,
    partitions: u32,
    /// Since when it is missing.
    missing: Option<Instant>,
}

/// How long topics keep what.
#[derive(Default)]
struct Policies {
    asked: Option<Instant>,
    /// It was said that this cannot be seen.
    unseen: bool,
}

struct Brokers {
    consumer: Arc<Consumer>,
    kafka: Kafka,
    prefix: String,
    catalog: Catalog,
    status: Arc<Status>,
    may_be_compacted: bool,
    alive: Alive,
    topics: Topics,
    known: BTreeMap<u16, Known>,
    policies: Policies,
    /// A client that is told of the ends of partitions, once there was a tail.
    tails: Option<Arc<Consumer>>,
}

impl Brokers {
    /// Hears what the client has to say. What passes, the client has written into the log.
    fn listen(&self) -> Result<(), KafkaError> {
        let denied = |error: &ClientError| trouble(error) == Trouble::Denied;
        match said(&self.consumer)?.into_iter().find(denied) {
            Some(error) => Err(KafkaError::Denied { reason: error.to_string() }),
            None => Ok(()),
        }
    }

    /// Asks until there is an answer; `None` if the run ends before.
    fn answer(&mut self, question: &Question) -> Option<Result<Answer, KafkaError>> {
        loop {
            if let Err(error) = self.listen() {
                return Some(Err(error));
            }
            let answered = match question {
                Question::LookUp => self.look_up(),
                Question::Ranges(partitions) => self.ranges(partitions),
                Question::Tails(tails) => self.tails(tails),
            };
            let waits = match answered {
                Ok(answer) => {
                    self.status.source_waits(Waiting::Answers, None);
                    return Some(Ok(answer));
                }
                Err(Failed::For(error)) => return Some(Err(error)),
                Err(Failed::Passing(why)) => why,
                Err(Failed::Client(error)) => match trouble(&error) {
                    Trouble::Denied => return Some(Err(KafkaError::Denied { reason: error.to_string() })),
                    Trouble::Fatal => return Some(Err(KafkaError::Client(error.to_string()))),
                    Trouble::Passing | Trouble::NoTopic | Trouble::OutOfRange | Trouble::Unreadable => {
                        format!("the brokers do not answer: {error}")
                    }
                },
            };
            self.topics.forget_brokers();
            self.status.source_waits(Waiting::Answers, Some(waits));
            if self.status.is_stopped() {
                return None;
            }
            thread::sleep(AGAIN);
        }
    }

    fn look_up(&mut self) -> Result<Answer, Failed> {
        let tables: Vec<u16> = self.catalog.tables().collect();
        let names: Vec<&str> = tables.iter().map(|table| self.catalog.topic_name(*table)).collect();
        let topics = self.topics.look_up(&names)?;
        let mut known = self.known.clone();
        let (mut missing, mut new, mut leaderless) = (Vec::new(), Vec::new(), Vec::new());
        for ((&table, name), topic) in tables.iter().zip(&names).zip(topics) {
            let topic = match topic {
                Ok(topic) => topic,
                Err(code) if trouble(&ClientError::Global(code)) == Trouble::NoTopic => {
                    if let Some(known) = self.known.get_mut(&table) {
                        return Err(missing_now(known, name));
                    }
                    missing.push(table);
                    continue;
                }
                Err(code) => return Err(ClientError::Global(code).into()),
            };
            if table == Catalog::TRANSACTIONS && topic.partitions > 1 {
                let (topic, partitions) = ((*name).to_owned(), topic.partitions);
                return Err(Failed::For(KafkaError::TransactionPartitions { topic, partitions }));
            }
            let before = known.entry(table).or_default();
            if before.id.zip(topic.id).is_some_and(|(before, now)| before != now) {
                return Err(Failed::For(KafkaError::Recreated { topic: (*name).to_owned() }));
            }
            let added = before.partitions > 0;
            new.extend((before.partitions..topic.partitions).map(|number| (Partition { table, number }, added)));
            leaderless.extend(topic.leaderless.iter().map(|number| format!("{name}/{number}")));
            let partitions = topic.partitions.max(before.partitions);
            *before = Known { id: topic.id.or(before.id), partitions, missing: None };
        }
        if !leaderless.is_empty() {
            return Err(Failed::Passing(format!("there is no leader of {}", leaderless.join(", "))));
        }
        self.policies(&known)?;
        let all =
            |(&table, known): (&u16, &Known)| (0..known.partitions).map(move |number| Partition { table, number });
        let partitions: Vec<Partition> = known.iter().flat_map(all).collect();
        let new = self.begins(&new)?;
        let ends = self.ends(&partitions)?;
        self.known = known;
        Ok(Answer::LookUp { new, missing, ends })
    }

    /// Where partitions begin; of a topic that was known already they are read from their first record on.
    fn begins(&self, new: &[(Partition, bool)]) -> Result<Vec<Begins>, Failed> {
        let partitions: Vec<Partition> = new.iter().map(|(partition, _)| *partition).collect();
        let first = self.offsets(&partitions, Offset::Beginning)?;
        let start = match self.kafka.start {
            KafkaStart::Beginning => first.clone(),
            KafkaStart::Timestamp(ms) => {
                // Behind the last record the answer is the end.
                let ends = self.offsets(&partitions, Offset::End)?;
                let at = self.offsets(&partitions, Offset::Offset(ms.max(0)))?;
                at.into_iter().zip(ends).map(|(at, end)| at.or(end)).collect()
            }
        };
        let begins = new.iter().zip(first.into_iter().zip(start)).map(|(&(partition, added), (first, start))| {
            let first = first.unwrap_or_default();
            let start = start.filter(|_| !added).unwrap_or(first).max(first);
            Begins { partition, first, start, added }
        });
        Ok(begins.collect())
    }

    /// Refuses topics that do not keep every record until it expires.
    fn policies(&mut self, known: &BTreeMap<u16, Known>) -> Result<(), Failed> {
        let more = known.len() > self.known.len();
        let due = self.policies.asked.is_none_or(|asked| asked.elapsed() > POLICY);
        let Some(broker) = self.topics.any_broker() else { return Ok(()) };
        if self.may_be_compacted || known.is_empty() || !(more || due) {
            return Ok(());
        }
        self.policies.asked = Some(Instant::now());
        let names: Vec<&str> = known.keys().map(|table| self.catalog.topic_name(*table)).collect();
        let policies = match topic_configs(&self.consumer, broker, &names, "cleanup.policy", ANSWER) {
            Ok(policies) => policies,
            Err(error) => vec![Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)); 1],
        };
        for (name, policy) in names.iter().zip(policies) {
            match policy {
                Ok(Some(policy)) if policy.contains("compact") => {
                    return Err(Failed::For(KafkaError::Compacted { topic: (*name).to_owned(), policy }));
                }
                Ok(_) => {}
                Err(error) if !std::mem::replace(&mut self.policies.unseen, true) => {
                    tracing::warn!(
                        topic = *name,
                        %error,
                        "it cannot be seen whether topics are compacted (needs DescribeConfigs): records that compaction removes are missed by nobody"
                    );
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn ends(&self, partitions: &[Partition]) -> Result<Vec<(Partition, u64)>, Failed> {
        let ends = self.offsets(partitions, Offset::End)?;
        Ok(partitions.iter().zip(ends).map(|(partition, end)| (*partition, end.unwrap_or_default())).collect())
    }

    fn ranges(&self, partitions: &[Partition]) -> Result<Answer, Failed> {
        let first = self.offsets(partitions, Offset::Beginning)?;
        let ranges = self.ends(partitions)?.into_iter().zip(first);
        Ok(Answer::Ranges(
            ranges.map(|((partition, end), first)| (partition, first.unwrap_or_default(), end)).collect(),
        ))
    }

    /// What `what` is in each partition: one request to each broker. `None` where the answer is the end of the partition.
    fn offsets(&self, partitions: &[Partition], what: Offset) -> Result<Vec<Option<u64>>, Failed> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            asked.add_partition_offset(self.catalog.topic_name(partition.table), partition.number as i32, what)?;
        }
        let found = self.consumer.offsets_for_times(asked, ANSWER)?;
        let mut offsets = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let topic = self.catalog.topic_name(partition.table);
            let elem = found.find_partition(topic, partition.number as i32);
            let elem = elem.ok_or(ClientError::MetadataFetch(Code::UnknownPartition))?;
            elem.error()?;
            offsets.push(match elem.offset() {
                Offset::Offset(offset) => Some(offset.max(0) as u64),
                _ => None,
            });
        }
        Ok(offsets)
    }

    /// What Kafka's own transactions leave is no record: where a partition ends with it, only reading up to the end tells.
    fn tails(&mut self, tails: &[Tail]) -> Result<Answer, Failed> {
        let reading = match &self.tails {
            Some(reading) => Arc::clone(reading),
            None => {
                let reading = Arc::new(consumer(&self.kafka, &self.prefix, true, &self.alive).map_err(Failed::For)?);
                Arc::clone(self.tails.insert(reading))
            }
        };
        let mut assigned = TopicPartitionList::with_capacity(tails.len());
        for Tail { partition, from, .. } in tails {
            let topic = self.catalog.topic_name(partition.table);
            assigned.add_partition_offset(topic, partition.number as i32, Offset::Offset(*from as i64))?;
        }
        reading.assign(&assigned)?;
        let queue_of = |partition: Partition| {
            reading.split_partition_queue(self.catalog.topic_name(partition.table), partition.number as i32)
        };
        let mut open: Vec<_> =
            tails.iter().filter_map(|tail| queue_of(tail.partition).map(|queue| (*tail, queue))).collect();
        let mut known = Vec::new();
        let until = Instant::now() + ANSWER;
        let mut failed = None;
        // Whatever else goes wrong with a partition, the reader finds out by itself.
        let ends_all = |error: &ClientError| matches!(trouble(error), Trouble::Denied | Trouble::Fatal);
        while !open.is_empty() && Instant::now() < until && !self.status.is_stopped() && failed.is_none() {
            if let Some(Err(error)) = reading.poll(Duration::ZERO)
                && ends_all(&error)
            {
                failed = Some(error);
            }
            open.retain(|(tail, queue)| match queue.poll(Duration::from_millis(5)) {
                None => true,
                // There is a record, which the reader reads in time.
                Some(Ok(record)) => {
                    known.push(Tail { end: (record.offset().max(0) as u64).min(tail.end), ..*tail });
                    false
                }
                // It was read to where it ends by now, which is no earlier.
                Some(Err(ClientError::PartitionEOF(_))) => {
                    known.push(*tail);
                    false
                }
                Some(Err(error)) if ends_all(&error) => {
                    failed = Some(error);
                    false
                }
                Some(Err(error)) => trouble(&error) == Trouble::Passing,
            });
        }
        drop(open);
        reading.unassign()?;
        failed.map_or(Ok(Answer::Tails(known)), |error| Err(error.into()))
    }
}

/// What it means that a topic that is read is missing.
fn missing_now(known: &mut Known, name: &str) -> Failed {
    let since = *known.missing.get_or_insert_with(Instant::now);
    if since.elapsed() > GONE {
        return Failed::For(KafkaError::Deleted { topic: name.to_owned() });
    }
    Failed::Passing(format!("the brokers do not know topic {name} any more"))
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    Client(ClientError),
    For(KafkaError),
    /// Something that passes, in words.
    Passing(String),
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Failed {
        Failed::Client(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_is_missing_for_long_is_deleted() {
        let mut known = Known::default();
        let just_now = missing_now(&mut known, "a");
        assert!(matches!(&just_now, Failed::Passing(why) if why.contains("topic a ")), "{just_now:?}");
        let since = known.missing.unwrap();
        known.missing = since.checked_sub(GONE);
        let long_ago = missing_now(&mut known, "a");
        assert!(matches!(&long_ago, Failed::For(KafkaError::Deleted { topic }) if topic == "a"), "{long_ago:?}");
    }
}
