//! The lab's broker, asked and written to by its own client: topics with what is in them.

use crate::{Log, Record, TRANSACTION_TOPIC};
use anyhow::{Context, Result, bail};
use deltaic::Kafka;
use pollster::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long anything may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// The broker, and those who write to it.
pub(super) struct Broker {
    address: String,
    pub(super) admin: AdminClient<DefaultClientContext>,
}

impl Broker {
    pub(super) fn at(port: u16) -> Result<Broker> {
        let address = format!("127.0.0.1:{port}");
        let admin = ClientConfig::new().set("bootstrap.servers", &address).create()?;
        Ok(Broker { address, admin })
    }

    pub(super) fn kafka(&self) -> Kafka {
        Kafka::new(&self.address)
    }

    pub(super) fn producer(&self, properties: &[(&str, &str)]) -> Result<BaseProducer> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("linger.ms", "0");
        properties.iter().for_each(|(name, value)| {
            config.set(*name, *value);
        });
        Ok(config.create()?)
    }

    /// Makes the topics of a log, those of tables with a configuration.
    pub(super) fn create(&self, prefix: &str, log: &Log, config: &[(&str, &str)]) -> Result<()> {
        log.partitions.iter().try_for_each(|(topic, count)| {
            let config = if topic == TRANSACTION_TOPIC { &[] } else { config };
            self.create_one(prefix, topic, *count, config)
        })
    }

    pub(super) fn create_one(&self, prefix: &str, topic: &str, partitions: i32, config: &[(&str, &str)]) -> Result<()> {
        let name = named(prefix, topic);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
            let new = config.iter().fold(new, |new, (name, value)| new.set(name, value));
            let made = block_on(self.admin.create_topics([&new], &AdminOptions::new()))?;
            match made.into_iter().next().context("no answer for a topic")? {
                Ok(_) => return Ok(()),
                // It is being deleted.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err((name, error)) => bail!("topic {name} cannot be made: {error}"),
            }
        }
    }

    pub(super) fn write<'a>(&self, prefix: &str, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        let writer = self.writer()?;
        writer.write(prefix, records)?;
        writer.flush()
    }

    /// Writes records as they are made.
    pub(super) fn write_all(&self, prefix: &str, records: impl Iterator<Item = Result<Record>>) -> Result<()> {
        let writer = self.writer()?;
        for record in records {
            writer.write(prefix, [&record?])?;
        }
        writer.flush()
    }

    /// Somebody who writes, again and again.
    pub(super) fn writer(&self) -> Result<Writer> {
        // As soon as may be, but not each record by itself.
        Ok(Writer(self.producer(&[("linger.ms", "2")])?))
    }

    /// Makes the topics of a large log, whose records have the time at which the broker took them.
    pub(super) fn create_large(&self, prefix: &str) -> Result<()> {
        let tables =
            ["users", "conversations", "conversation_items"].map(|table| (format!("podium.public.{table}"), 3));
        let topics = tables.into_iter().chain([(TRANSACTION_TOPIC.to_owned(), 1)]);
        topics.into_iter().try_for_each(|(topic, count)| {
            self.create_one(prefix, &topic, count, &[("message.timestamp.type", "LogAppendTime")])
        })
    }

    /// Deletes the records of a partition before an offset.
    pub(super) fn delete_before(&self, topic: &str, partition: i32, offset: Offset) -> Result<()> {
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(topic, partition, offset)?;
        let deleted = block_on(self.admin.delete_records(&before, &AdminOptions::new()))?;
        deleted.elements().iter().try_for_each(|partition| Ok(partition.error()?))
    }

    /// How many records a topic holds; none if it is not there.
    pub(super) fn records(&self, topic: &str, partitions: i32) -> Result<u64> {
        let held = (0..partitions).map(|partition| {
            match self.admin.inner().fetch_watermarks(topic, partition, Duration::from_secs(10)) {
                Ok((first, end)) => Ok((end - first).max(0) as u64),
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(0),
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition) => Ok(0),
                Err(error) => Err(error.into()),
            }
        });
        held.sum()
    }

    /// Deletes all records of a topic.
    pub(super) fn empty(&self, topic: &str, partitions: i32) -> Result<()> {
        (0..partitions).try_for_each(|partition| {
            let (first, end) = self.admin.inner().fetch_watermarks(topic, partition, Duration::from_secs(10))?;
            if first == end {
                return Ok(());
            }
            let deleted = self.delete_before(topic, partition, Offset::Offset(end));
            deleted.with_context(|| format!("records {first} to {end} of {topic}/{partition}"))
        })
    }
}

/// Writes to the broker's topics.
pub(super) struct Writer(BaseProducer);

impl Writer {
    pub(super) fn write<'a>(&self, prefix: &str, records: impl IntoIterator<Item = &'a Record>) -> Result<()> {
        records.into_iter().try_for_each(|record| send(&self.0, prefix, record))
    }

    pub(super) fn flush(&self) -> Result<()> {
        Ok(self.0.flush(PATIENCE)?)
    }
}

/// The topic of a generated record under another prefix.
pub(super) fn named(prefix: &str, topic: &str) -> String {
    topic.replacen("podium", prefix, 1)
}

/// Writes a record; waits while too many are on their way.
pub(super) fn send(producer: &BaseProducer, prefix: &str, record: &Record) -> Result<()> {
    let topic = named(prefix, &record.topic);
    let headers = record
        .headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_str()) }));
    let mut written = BaseRecord::<str, str>::to(&topic).partition(record.partition).headers(headers);
    (written.key, written.payload) = (record.key.as_deref(), record.payload.as_deref());
    let mut unsent = Some(written);
    while let Some(written) = unsent.take() {
        match producer.send(written) {
            // It is written as fast as it goes.
            Err((error, written)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                producer.poll(Duration::from_millis(10));
                unsent = Some(written);
            }
            sent => sent.map_err(|(error, _)| error)?,
        }
    }
    producer.poll(Duration::ZERO);
    Ok(())
}
