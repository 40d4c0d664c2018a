//! What ends a run that reads from Kafka, by what its user must do.

/// Why topics in Kafka cannot be read, or not any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// Correct or leave out the property.
    #[error("Kafka property `{name}`: {problem}")]
    Property {
        /// The property.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The brokers refuse us.
    #[error("Kafka refuses access: {reason}; see to the credentials (`sasl.*`, `ssl.*`) and to what they may read")]
    Denied {
        /// What the brokers say.
        reason: String,
    },
    /// Make a topic of one partition, by `topic.creation.*` in the connector.
    #[error(
        "topic {topic} has {partitions} partitions: it must have exactly one, or the order of transactions is lost; make it anew with one (topic.creation.GROUP.partitions=1 in the connector)"
    )]
    TransactionPartitions {
        /// The transaction topic.
        topic: String,
        /// How many partitions it has.
        partitions: u32,
    },
    /// The first records are gone, and rows of the initial snapshot with them.
    #[error(
        "topic {topic}, partition {partition} begins at offset {first}: what stood before it is gone, rows of the initial snapshot most likely. Have Debezium take another one: insert ('deltaic-1', 'execute-snapshot', '{{\"data-collections\": [\"SCHEMA.TABLE\", ...], \"type\": \"incremental\"}}') with all tables of the view into its signal table (signal.data.collection), and start with source.allow_partial_base = true: rows that the stream does not bring are then taken from that snapshot. Or make the connector anew under another topic.prefix"
    )]
    Beheaded {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// The first offset there is.
        first: u64,
    },
    /// Records were removed before they were read.
    #[error(
        "topic {topic}, partition {partition}: offset {position}, to go on from, is gone; the first there is is {first}. Retention has removed records that were not read yet: start again, with a snapshot by a signal if the first one is gone too, and keep records for longer (retention.ms)"
    )]
    Expired {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Where reading was to go on.
        position: u64,
        /// The first offset there is.
        first: u64,
    },
    /// Records cannot be read, and the client would go on behind them.
    #[error(
        "topic {topic}, partition {partition} cannot be read at offset {offset}: {reason}. What the broker keeps is damaged, or came damaged: start again; if it stays so, have another replica lead the partition, or a snapshot taken by a signal"
    )]
    Unreadable {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// Where in it.
        offset: u64,
        /// What the client says.
        reason: String,
    },
    /// The topic is another one than before.
    #[error(
        "topic {topic} was deleted and made anew while it was read; start again, so that it is read from its beginning"
    )]
    Recreated {
        /// The topic.
        topic: String,
    },
    /// The topic is not there any more.
    #[error("topic {topic} was deleted while it was read; where the connector makes it anew, start again")]
    Deleted {
        /// The topic.
        topic: String,
    },
    /// The brokers have lost records that were read.
    #[error(
        "topic {topic}, partition {partition} was read up to offset {position} and ends at {end} now: the brokers have lost records, as an unclean election of a leader does (unclean.leader.election.enable); start again from a new index"
    )]
    FellBack {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// How far it had been read.
        position: u64,
        /// Where it ends now.
        end: u64,
    },
    /// The topic does not keep every record.
    #[error(
        "topic {topic} has cleanup.policy={policy}: compaction removes changes that later ones of their key have overtaken, and no transaction can be whole without them; set cleanup.policy=delete (in the connector topic.creation.GROUP.cleanup.policy=delete), and have a snapshot taken again if records may be gone already"
    )]
    Compacted {
        /// The topic.
        topic: String,
        /// Its policy.
        policy: String,
    },
    /// The client gave up.
    #[error("the Kafka client failed: {0}")]
    Client(String),
}
