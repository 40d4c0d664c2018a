//! What is asked of the brokers beside reading: which partitions there are, where they begin, where they end now. On a thread
//! of its own, so that reading waits for no answer.

use super::client::{Consumer, Trouble, consumer, trouble};
use super::{Kafka, KafkaError, KafkaStart};
use crate::source::catalog::{Catalog, Partition};
use crate::status::Status;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the brokers may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long to wait before they are asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// What is asked.
pub(super) enum Question {
    /// The partitions of each topic beyond those that are known, and where each begins.
    Partitions(BTreeMap<u16, u32>),
    /// Where these partitions end.
    Ends(Vec<Partition>),
    /// Whether there is a record between this offset and an end that was looked up before.
    Tail { partition: Partition, from: u64, end: u64 },
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// The partitions that were not known; and the topics that are missing.
    Partitions { new: Vec<Begins>, missing: Vec<u16> },
    /// Where each ends: the offset of the next record.
    Ends(Vec<(Partition, u64)>),
    /// From `from` up to `upto` there is no record.
    Tail { partition: Partition, from: u64, upto: u64 },
}

/// Where a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begins {
    pub(super) partition: Partition,
    /// The first record there is.
    pub(super) first: u64,
    /// The first record to read.
    pub(super) start: u64,
}

/// The thread that asks. It ends when this is dropped, at the latest when the answer it waits for has come.
pub(super) struct Asking {
    questions: SyncSender<Question>,
    answers: Receiver<Result<Answer, KafkaError>>,
}

/// So many questions may wait: one of each kind.
const WAITING: usize = 3;

impl Asking {
    /// Starts the thread.
    pub(super) fn start(
        consumer: Arc<Consumer>,
        kafka: &Kafka,
        prefix: &str,
        catalog: &Catalog,
        status: &Arc<Status>,
    ) -> Result<Asking, KafkaError> {
        let (questions, asked) = sync_channel(WAITING);
        let (answer, answers) = sync_channel(WAITING);
        let brokers = Brokers {
            consumer,
            kafka: kafka.clone(),
            prefix: prefix.to_owned(),
            catalog: catalog.clone(),
            status: Arc::clone(status),
        };
        let ask = move || {
            for question in asked {
                let Some(answered) = brokers.answer(&question) else { return };
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

struct Brokers {
    consumer: Arc<Consumer>,
    kafka: Kafka,
    prefix: String,
    catalog: Catalog,
    status: Arc<Status>,
}

impl Brokers {
    /// Asks until there is an answer; `None` if the run ends before.
    fn answer(&self, question: &Question) -> Option<Result<Answer, KafkaError>> {
        loop {
            let answered = match question {
                Question::Partitions(known) => self.partitions(known),
                Question::Ends(partitions) => self.ends(partitions),
                Question::Tail { partition, from, end } => self.tail(*partition, *from, *end),
            };
            let error = match answered {
                Ok(answer) => {
                    self.status.source_waits(None);
                    return Some(Ok(answer));
                }
                Err(Failed::For(error)) => return Some(Err(error)),
                Err(Failed::Client(error)) => error,
            };
            match trouble(&error) {
                Trouble::Denied => return Some(Err(KafkaError::Denied { reason: error.to_string() })),
                Trouble::Fatal => return Some(Err(KafkaError::Client(error.to_string()))),
                Trouble::Passing | Trouble::NoTopic | Trouble::OutOfRange => {
                    self.status.source_waits(Some(format!("the brokers do not answer: {error}")));
                }
            }
            if self.status.is_stopped() {
                return None;
            }
            thread::sleep(AGAIN);
        }
    }

    fn partitions(&self, known: &BTreeMap<u16, u32>) -> Result<Answer, Failed> {
        let mut missing = Vec::new();
        let mut new = Vec::new();
        for (&table, &known) in known {
            let topic = self.catalog.topic_name(table);
            let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let error = found.and_then(|found| found.error()).map(|code| ClientError::MetadataFetch(code.into()));
            let count = match error {
                Some(error) if trouble(&error) == Trouble::NoTopic => 0,
                Some(error) => return Err(error.into()),
                None => found.map_or(0, |found| found.partitions().len() as u32),
            };
            if count == 0 {
                missing.push(table);
            }
            if table == Catalog::TRANSACTIONS && count > 1 {
                let topic = topic.to_owned();
                return Err(Failed::For(KafkaError::TransactionPartitions { topic, partitions: count }));
            }
            new.extend((known..count).map(|number| Partition { table, number }));
        }
        if new.is_empty() {
            return Ok(Answer::Partitions { new: Vec::new(), missing });
        }
        let first = self.offsets(&new, Offset::Beginning)?;
        let start = match self.kafka.start {
            KafkaStart::Beginning => first.clone(),
            KafkaStart::Timestamp(ms) => {
                // Behind the last record the answer is the end.
                let ends = self.offsets(&new, Offset::End)?;
                let at = self.offsets(&new, Offset::Offset(ms.max(0)))?;
                at.into_iter().zip(ends).map(|(at, end)| at.or(end)).collect()
            }
        };
        let begins = |((partition, first), start): ((Partition, Option<u64>), Option<u64>)| {
            let first = first.unwrap_or_default();
            Begins { partition, first, start: start.unwrap_or(first).max(first) }
        };
        Ok(Answer::Partitions { new: new.into_iter().zip(first).zip(start).map(begins).collect(), missing })
    }

    fn ends(&self, partitions: &[Partition]) -> Result<Answer, Failed> {
        let ends = self.offsets(partitions, Offset::End)?;
        let ends = partitions.iter().zip(ends).map(|(partition, end)| (*partition, end.unwrap_or_default()));
        Ok(Answer::Ends(ends.collect()))
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
            let elem =
                elem.ok_or_else(|| ClientError::MetadataFetch(rdkafka::types::RDKafkaErrorCode::UnknownPartition))?;
            elem.error()?;
            offsets.push(match elem.offset() {
                Offset::Offset(offset) => Some(offset.max(0) as u64),
                _ => None,
            });
        }
        Ok(offsets)
    }

    /// What Kafka's own transactions leave is no record: where a partition ends with it, only reading up to the end tells.
    fn tail(&self, partition: Partition, from: u64, end: u64) -> Result<Answer, Failed> {
        let reading = consumer(&self.kafka, &self.prefix, true).map_err(Failed::For)?;
        let topic = self.catalog.topic_name(partition.table);
        let number = partition.number as i32;
        let mut assigned = TopicPartitionList::with_capacity(1);
        assigned.add_partition_offset(topic, number, Offset::Offset(from as i64))?;
        reading.assign(&assigned)?;
        let until = Instant::now() + ANSWER;
        while Instant::now() < until && !self.status.is_stopped() {
            match reading.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(record)) => return Ok(Answer::Tail { partition, from, upto: record.offset().max(0) as u64 }),
                // It was read to where it ends by now, which is no earlier.
                Some(Err(ClientError::PartitionEOF(_))) => return Ok(Answer::Tail { partition, from, upto: end }),
                Some(Err(error)) if trouble(&error) == Trouble::Passing => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Ok(Answer::Tail { partition, from, upto: from })
    }
}

/// Why there is no answer.
enum Failed {
    Client(ClientError),
    For(KafkaError),
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Failed {
        Failed::Client(error)
    }
}
