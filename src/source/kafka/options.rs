//! What is read from Kafka, from where on, and with which of librdkafka's properties.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Topics of one Debezium connector in Kafka.
#[derive(Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Properties of librdkafka by their own names: `bootstrap.servers` and whatever else. Those that the reader decides by
    /// itself are refused: see [`Kafka::OWN`].
    pub properties: BTreeMap<String, String>,
    /// Properties whose values are shown to nobody, beside those that are [secret](Kafka::is_secret) by their names.
    pub secrets: BTreeSet<String>,
    /// The topics of tables, by the table's name with its schema, where they are not `PREFIX.SCHEMA.TABLE`.
    pub topics: BTreeMap<String, String>,
    /// The topic of transactions, where it is not `PREFIX.transaction`.
    pub transaction_topic: Option<String>,
    /// Where a run begins.
    pub start: KafkaStart,
    /// The most records that go on together.
    pub poll_records_max: usize,
    /// The most bytes that go on together, unless it is one record.
    pub poll_bytes_max: usize,
    /// End when everything was read that was there when the run began, and [`settle_ms`](crate::EngineOptions::settle_ms) later,
    /// so that what nothing proves settles. Default: go on until the run is stopped.
    pub to_the_end: bool,
}

/// Where a run begins to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KafkaStart {
    /// With the first record there is.
    #[default]
    Beginning,
    /// With the first record of each partition that was written at or after this moment, in milliseconds since 1970. What was
    /// before is missing: needs `allow_partial_base`.
    Timestamp(i64),
}

impl Kafka {
    /// The properties that the reader sets itself, each with why.
    pub const OWN: &[(&str, &str)] = &[
        ("enable.auto.commit", "offsets are committed for those who watch the lag, by the reader itself"),
        ("auto.commit.enable", "offsets are committed for those who watch the lag, by the reader itself"),
        ("enable.auto.offset.store", "offsets are committed for those who watch the lag, by the reader itself"),
        ("auto.offset.reset", "a position that is gone must be told, not passed over"),
        ("isolation.level", "what a transaction of Kafka's has not committed is not there"),
        ("allow.auto.create.topics", "a topic that is missing is waited for, not made"),
        ("enable.partition.eof", "the ends of partitions are looked up"),
        ("partition.assignment.strategy", "partitions are assigned by the reader itself"),
        ("group.instance.id", "partitions are assigned by the reader itself"),
    ];

    /// The topics of the connector whose records these brokers hold: `HOST:PORT`, several with commas between.
    pub fn new(brokers: impl Into<String>) -> Kafka {
        Kafka::default().property("bootstrap.servers", brokers)
    }

    /// Sets a property of librdkafka.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Kafka {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Sets a property whose value is shown to nobody, whatever its name.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Kafka {
        let name = name.into();
        self.secrets.insert(name.clone());
        self.property(name, value)
    }

    /// Whether the value of a property is shown to nobody: by its name, or because it was set as a [secret](Kafka::secret).
    /// Of what has to do with authentication only what is known to be harmless is shown, so that a name that is misspelt
    /// shows nothing.
    pub fn is_secret(&self, name: &str) -> bool {
        self.secrets.contains(name) || Kafka::is_secret_by_name(name)
    }

    /// Whether the value of a property is a secret by its name.
    pub fn is_secret_by_name(name: &str) -> bool {
        let authenticates = name.starts_with("sasl.") || name.starts_with("ssl.");
        let tells =
            ["password", "secret", "token", "key.pem", "private.key", "jaas"].iter().any(|part| name.contains(part));
        tells || (authenticates && !Kafka::HARMLESS.contains(&name))
    }

    /// Properties of authentication whose values are no secrets.
    const HARMLESS: &[&str] = &[
        "sasl.mechanism",
        "sasl.mechanisms",
        "sasl.username",
        "sasl.kerberos.service.name",
        "sasl.kerberos.principal",
        "sasl.kerberos.keytab",
        "sasl.kerberos.min.time.before.relogin",
        "sasl.oauthbearer.method",
        "sasl.oauthbearer.client.id",
        "sasl.oauthbearer.scope",
        "sasl.oauthbearer.token.endpoint.url",
        "ssl.cipher.suites",
        "ssl.curves.list",
        "ssl.sigalgs.list",
        "ssl.key.location",
        "ssl.certificate.location",
        "ssl.ca.location",
        "ssl.ca.certificate.stores",
        "ssl.crl.location",
        "ssl.keystore.location",
        "ssl.providers",
        "ssl.engine.id",
        "ssl.endpoint.identification.algorithm",
    ];
}

impl Default for Kafka {
    fn default() -> Kafka {
        Kafka {
            properties: BTreeMap::new(),
            secrets: BTreeSet::new(),
            topics: BTreeMap::new(),
            transaction_topic: None,
            start: KafkaStart::default(),
            poll_records_max: 4_096,
            poll_bytes_max: 1 << 20,
            to_the_end: false,
        }
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| (name, if self.is_secret(name) { "<secret>" } else { value });
        let properties: BTreeMap<&str, &str> =
            self.properties.iter().map(|(name, value)| shown((name.as_str(), value.as_str()))).collect();
        let Kafka { topics, transaction_topic, start, poll_records_max, poll_bytes_max, .. } = self;
        f.debug_struct("Kafka")
            .field("properties", &properties)
            .field("topics", topics)
            .field("transaction_topic", transaction_topic)
            .field("start", start)
            .field("poll_records_max", poll_records_max)
            .field("poll_bytes_max", poll_bytes_max)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_to_nobody() {
        let kafka = Kafka::new("broker:9092")
            .property("sasl.username", "deltaic")
            .property("sasl.password", "hunter2")
            .property("sasl.pasword", "hunter2")
            .property("sasl.kerberos.kinit.cmd", "kinit -w hunter2")
            .property("ssl.key.pem", "hunter2")
            .secret("client.rack", "hunter2");
        let shown = format!("{kafka:?}");
        assert!(
            shown.contains("broker:9092") && shown.contains("\"deltaic\"") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
