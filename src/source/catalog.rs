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
    /// `None` where rows stand for themselves, and nobody asks for transactions.
    transactions: Option<Arc<str>>,
}

impl Catalog {
    /// The `table` of the transaction topic's partitions.
    pub(crate) const TRANSACTIONS: u16 = u16::MAX;

    /// The topics of `codecs`' tables under `prefix`.
    pub(crate) fn new(prefix: &str, codecs: Vec<Codec>) -> Catalog {
        let topics = codecs.iter().map(|codec| format!("{prefix}.{}", codec.table.name)).collect();
        Catalog { codecs: codecs.into(), topics, transactions: Some(format!("{prefix}.transaction").into()) }
    }

    /// The same, but for the topics that have another name, by their tables' names, and that of transactions.
    #[cfg(feature = "kafka")]
    pub(crate) fn renamed(self, topics: &BTreeMap<String, String>, transactions: Option<&str>) -> Catalog {
        let named = self.codecs.iter().zip(self.topics.iter());
        let topics = named.map(|(codec, topic)| topics.get(&codec.table.name).unwrap_or(topic).clone()).collect();
        let transactions = transactions.map(Arc::from).or(self.transactions);
        Catalog { codecs: self.codecs, topics, transactions }
    }

    /// The same without transactions.
    pub(crate) fn unaligned(self) -> Catalog {
        Catalog { transactions: None, ..self }
    }

    /// Whether rows belong to transactions.
    pub(crate) fn is_aligned(&self) -> bool {
        self.transactions.is_some()
    }

    /// All topics that are read: of tables, and of transactions.
    #[cfg(feature = "kafka")]
    pub(crate) fn tables(&self) -> impl Iterator<Item = u16> {
        let transactions = self.transactions.iter().map(|_| Catalog::TRANSACTIONS);
        (0..self.codecs.len() as u16).chain(transactions)
    }

    /// What the topic called `name` is.
    pub(crate) fn topic(&self, name: &str) -> Topic {
        if let Some(table) = self.topics.iter().position(|topic| topic == name) {
            Topic::Table(table)
        } else if self.transactions.as_deref() == Some(name) {
            Topic::Transactions
        } else {
            Topic::Other
        }
    }

    /// The name of the topic of a table, by its index, or of the transaction topic, which is empty if there is none.
    pub(crate) fn topic_name(&self, table: u16) -> &str {
        let of_table = self.topics.get(usize::from(table)).map(String::as_str);
        of_table.or(self.transactions.as_deref()).unwrap_or_default()
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
