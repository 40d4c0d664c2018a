//! The client: librdkafka with the user's properties, ours, and a word for what it reports.

use super::{Kafka, KafkaError};
use crate::source::clients::Alive;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError as ClientError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::TopicPartitionList;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

pub(super) type Consumer = BaseConsumer<Context>;

/// What holds unless the user says otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "deltaic"),
    // What waits in the client, of all partitions together: what it reads ahead is bounded as all else is.
    ("queued.max.messages.kbytes", "16384"),
    // A client that has read far enough ahead looks again soon.
    ("fetch.queue.backoff.ms", "10"),
    ("check.crcs", "true"),
    ("reconnect.backoff.max.ms", "2000"),
    ("socket.keepalive.enable", "true"),
];

/// What holds in any case: see [`Kafka::OWN`].
const FIXED: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("allow.auto.create.topics", "false"),
];

/// A consumer of these properties, which holds on to `alive` until it is closed. `ends` asks for a word at the end of each
/// partition.
pub(super) fn consumer(kafka: &Kafka, prefix: &str, ends: bool, alive: &Alive) -> Result<Consumer, KafkaError> {
    let mut config = ClientConfig::new();
    // Only for those who watch the lag; and the client wants one.
    config.set("group.id", format!("deltaic-{prefix}"));
    for (name, value) in DEFAULTS {
        config.set(*name, *value);
    }
    for (name, value) in &kafka.properties {
        if let Some((name, why)) = Kafka::OWN.iter().find(|(own, _)| own == name) {
            return Err(KafkaError::Property {
                name: (*name).to_owned(),
                problem: format!("it is set by deltaic: {why}"),
            });
        }
        config.set(name, value);
    }
    for (name, value) in FIXED {
        config.set(*name, *value);
    }
    config.set("enable.partition.eof", if ends { "true" } else { "false" });
    if !kafka.properties.contains_key("bootstrap.servers") {
        let problem = "expected HOST:PORT of a broker, several with commas between".to_owned();
        return Err(KafkaError::Property { name: "bootstrap.servers".to_owned(), problem });
    }
    config.create_with_context(Context { alive: alive.clone(), commit_failed: AtomicBool::new(false) }).map_err(
        |error| match error {
            // Its words may hold the value, which may be a secret.
            ClientError::ClientConfig(_, problem, name, value) => {
                let told = value.is_empty() || !kafka.is_secret(&name);
                let problem = if told { problem } else { "it is not accepted".into() };
                KafkaError::Property { name, problem }
            }
            other => KafkaError::Client(other.to_string()),
        },
    )
}

/// The most that is taken at a time of what a client has to say.
const SAID: usize = 32;

/// What a client has to say beside records: the errors of it, the rest is done by then.
pub(super) fn said(consumer: &Consumer) -> Result<Vec<ClientError>, KafkaError> {
    let mut errors = Vec::new();
    for _ in 0..SAID {
        match consumer.poll(Duration::ZERO) {
            // Nothing, or something that is done.
            None => {}
            Some(Err(error)) => errors.push(error),
            Some(Ok(record)) => {
                let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
                return Err(KafkaError::Client(format!("a record came unasked for: {topic}/{partition} at {offset}")));
            }
        }
    }
    Ok(errors)
}

/// Hands what the client reports to the log. The client drops it when it is closed and its threads have ended.
pub(super) struct Context {
    #[expect(dead_code, reason = "it is held")]
    alive: Alive,
    /// Offsets could not be committed, the last time it was tried.
    commit_failed: AtomicBool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "{text}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::warn!(facility, "{text}"),
            _ => tracing::debug!(facility, "{text}"),
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        tracing::warn!("Kafka: {reason} ({error})");
    }

    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Context {
    fn commit_callback(&self, outcome: KafkaResult<()>, _: &TopicPartitionList) {
        match outcome {
            // Nothing but the display of the lag needs it.
            Err(error) if !self.commit_failed.swap(true, Relaxed) => {
                tracing::warn!(%error, "offsets cannot be committed for those who watch the lag");
            }
            Err(error) => tracing::debug!(%error, "offsets cannot be committed"),
            Ok(()) => self.commit_failed.store(false, Relaxed),
        }
    }
}

/// What an error of the client's means to who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It passes, perhaps when a broker is back.
    Passing,
    /// The brokers refuse us.
    Denied,
    /// There is no such topic, or none any more.
    NoTopic,
    /// A position lies outside of what its partition has.
    OutOfRange,
    /// Records are passed over that cannot be read.
    Unreadable,
    /// The client gave up.
    Fatal,
}

/// What went wrong with a partition that is read.
pub(super) fn trouble_of_partition(code: Code) -> Trouble {
    match code {
        // The client goes on with the next batch of records.
        Code::BadMessage | Code::BadCompression => Trouble::Unreadable,
        code => trouble(&ClientError::MessageConsumption(code)),
    }
}

/// The code of an error, if it has one.
pub(super) fn code(error: &ClientError) -> Option<Code> {
    match error {
        ClientError::MessageConsumptionFatal(code) | ClientError::MessageConsumption(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

pub(super) fn trouble(error: &ClientError) -> Trouble {
    if matches!(error, ClientError::MessageConsumptionFatal(_)) {
        return Trouble::Fatal;
    }
    match code(error) {
        Some(
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnsupportedSASLMechanism,
        ) => Trouble::Denied,
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => Trouble::NoTopic,
        Some(Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::NoOffset) => Trouble::OutOfRange,
        // Asking again does not help.
        Some(
            Code::Fatal
            | Code::InvalidTopic
            | Code::InvalidArgument
            | Code::NotImplemented
            | Code::UnsupportedFeature
            | Code::UnsupportedVersion,
        )
        | None => Trouble::Fatal,
        Some(_) => Trouble::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::clients::clients;

    #[test]
    fn a_property_that_is_ours_or_wrong_is_told_and_no_secret_with_it() {
        let (_clients, alive) = clients();
        let told = |kafka: Kafka| consumer(&kafka, "podium", false, &alive).err().unwrap().to_string();
        let told_own = told(Kafka::new("b:9").property("isolation.level", "read_uncommitted"));
        assert_eq!(
            told_own,
            "Kafka property `isolation.level`: it is set by deltaic: what a transaction of Kafka's has not committed is not there"
        );
        let unknown = told(Kafka::new("b:9").property("fetch.wait", "1"));
        assert!(unknown.starts_with("Kafka property `fetch.wait`: "), "{unknown}");
        let missing = told(Kafka::default());
        assert!(missing.starts_with("Kafka property `bootstrap.servers`: "), "{missing}");
        let secret = told(Kafka::new("b:9").property("sasl.passwordd", "hunter2"));
        assert!(!secret.contains("hunter2"), "{secret}");
    }

    #[test]
    fn what_passes_is_no_end() {
        for (code, expected) in [
            (Code::BrokerTransportFailure, Trouble::Passing),
            (Code::AllBrokersDown, Trouble::Passing),
            (Code::NotLeaderForPartition, Trouble::Passing),
            // Nothing but the display of the lag needs the group.
            (Code::GroupAuthorizationFailed, Trouble::Passing),
            (Code::TopicAuthorizationFailed, Trouble::Denied),
            (Code::Authentication, Trouble::Denied),
            (Code::UnknownTopicOrPartition, Trouble::NoTopic),
            (Code::AutoOffsetReset, Trouble::OutOfRange),
        ] {
            assert_eq!(trouble(&ClientError::MessageConsumption(code)), expected, "{code:?}");
        }
        assert_eq!(trouble(&ClientError::MessageConsumptionFatal(Code::Fenced)), Trouble::Fatal);
        assert_eq!(trouble_of_partition(Code::BadMessage), Trouble::Unreadable, "records are passed over");
        assert_eq!(trouble_of_partition(Code::BrokerTransportFailure), Trouble::Passing);
    }
}
