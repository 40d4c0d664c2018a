//! A source of kind `kafka`: what was asked for, and what the engine is given. Neither shows a secret, also not one that only
//! the configuration knows to be one, as what a file holds or what the environment gives.

use super::super::schema::Home;
use super::super::value::Value;
use super::read::{SETTLED, Values, number};
use deltaic::{Kafka, KafkaStart};
use std::collections::BTreeMap;

/// `[source]` of kind `kafka`, and `[source.kafka]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KafkaConfig {
    /// Texts, of which some are secret.
    pub(crate) properties: BTreeMap<String, Value>,
    pub(crate) transaction_topic: Option<String>,
    pub(crate) start: KafkaStart,
    pub(crate) poll_records_max: usize,
    pub(crate) poll_bytes_max: usize,
}

impl KafkaConfig {
    pub(super) fn of(source: &Values<'_>) -> KafkaConfig {
        let properties = source.settings.all(&Home::Kafka);
        let count = |name| number(source.integer(name).expect(SETTLED)) as usize;
        KafkaConfig {
            properties: properties.map(|(name, setting)| (name.to_owned(), setting.value.clone())).collect(),
            transaction_topic: source.text("transaction_topic"),
            start: source.integer("start").map_or(KafkaStart::Beginning, KafkaStart::Timestamp),
            poll_records_max: count("poll_records_max"),
            poll_bytes_max: count("poll_bytes_max"),
        }
    }

    /// Makes it what the engine is given. `topics` are by the tables' names with their schemas.
    pub(super) fn plan(self, topics: BTreeMap<String, String>) -> Kafka {
        let KafkaConfig { properties, transaction_topic, start, poll_records_max, poll_bytes_max } = self;
        let is_secret = |value: &Value| matches!(value, Value::Secret(_));
        let secrets = properties.iter().filter(|(_, value)| is_secret(value)).map(|(name, _)| name.clone()).collect();
        let properties = properties.into_iter().filter_map(|(name, value)| Some((name, value.into_text()?))).collect();
        let to_the_end = false;
        Kafka { properties, secrets, topics, transaction_topic, start, poll_records_max, poll_bytes_max, to_the_end }
    }
}
