//! The topics of a source: which carries which table, which carries the transactions.

use crate::envelope::Codec;
#[cfg(feature = "kafka")]
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a topic is to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The changes of a consumed table, by its index in the view.
    Table(usize),
    /// BEGIN and END of transactions.
    Transactions,
    /// Anything else.
    Other,
}

/// One partition of a consumed topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub(crate) struct Partition {
    /// The table's index, or [`Catalog::TRANSACTIONS`].
    pub(crate) table: u16,
    /// The partition's number in its topic.
    pub(crate) number: u32,
}

impl Partition {
    /// The worker that reads this partition, of `workers`.
    pub(crate) fn worker(self, workers: usize) -> usize {
        (usize::from(self.table) + self.number as usize) % workers
    }
}

/// Topics by name.
#[derive(Clone)]
pub(crate) struct Catalog {
    pub(crate) codecs: Arc<[Codec]>,
    topics: Arc<[String]>,
    transactions: Arc<str>,
}

impl Catalog {
    /// The `table` of the transaction topic's partitions.
    pub(crate) const TRANSACTIONS: u16 = u16::MAX;

    /// The topics of `codecs`' tables under `prefix`.
    pub(crate) fn new(prefix: &str, codecs: Vec<Codec>) -> Catalog {
        let topics = codecs.iter().map(|codec| format!("{prefix}.{}", codec.table.name)).collect();
        Catalog { codecs: codecs.into(), topics, transactions: format!("{prefix}.transaction").into() }
    }

    /// The same, but for the topics that have another name, by their tables' names, and that of transactions.
    #[cfg(feature = "kafka")]
    pub(crate) fn renamed(self, topics: &BTreeMap<String, String>, transactions: Option<&str>) -> Catalog {
        let named = self.codecs.iter().zip(self.topics.iter());
        let topics = named.map(|(codec, topic)| topics.get(&codec.table.name).unwrap_or(topic).clone()).collect();
        let transactions = transactions.map_or(self.transactions, Arc::from);
        Catalog { codecs: self.codecs, topics, transactions }
    }

    /// What the topic called `name` is.
    pub(crate) fn topic(&self, name: &str) -> Topic {
        if let Some(table) = self.topics.iter().position(|topic| topic == name) {
            Topic::Table(table)
        } else if *name == *self.transactions {
            Topic::Transactions
        } else {
            Topic::Other
        }
    }

    /// The name of the topic of a table, by its index, or of the transaction topic.
    pub(crate) fn topic_name(&self, table: u16) -> &str {
        self.topics.get(usize::from(table)).map_or(&self.transactions, String::as_str)
    }

    /// The index of the table that Debezium calls `name` (`schema.table`), if it is consumed.
    pub(crate) fn table(&self, name: &str) -> Option<usize> {
        self.codecs.iter().position(|codec| codec.table.name == name)
    }

    /// The partition a record of topic `topic` is in, if the topic is consumed.
    pub(crate) fn partition(topic: Topic, number: u32) -> Option<Partition> {
        match topic {
            Topic::Table(table) => Some(Partition { table: u16::try_from(table).ok()?, number }),
            Topic::Transactions => Some(Partition { table: Catalog::TRANSACTIONS, number }),
            Topic::Other => None,
        }
    }
}
