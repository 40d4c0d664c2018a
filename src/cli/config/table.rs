//! The keys of the configuration, all of them, each once. The parser, `--set`, the options of `deltaic run`, its help,
//! the man page and `deltaic config` follow from this table.

mod sink;

use super::definition::{Alias, Definition, Fallback, Kind, Section};

/// The kinds of sources.
pub(crate) const LOG: &str = "log";
pub(crate) const KAFKA: &str = "kafka";

/// What `source.start` may be, beside a moment.
pub(crate) const BEGINNING: &str = "beginning";

/// The brokers to begin with: the one property of librdkafka that there is no going without.
pub(crate) const BROKERS: &str = "bootstrap.servers";

/// The kinds of sinks.
pub(crate) const TANTIVY: &str = "tantivy";
pub(crate) const JSONL: &str = "jsonl";
pub(crate) const ELASTICSEARCH: &str = "elasticsearch";
pub(crate) const OPENSEARCH: &str = "opensearch";

/// Those that have a server, which are one.
const SEARCH: &[&str] = &[ELASTICSEARCH, OPENSEARCH];

/// What `source.on_bad_record` may be.
pub(crate) const STOP: &str = "stop";
pub(crate) const DEAD_LETTER: &str = "dead-letter";

/// What `source.alignment` may be.
pub(crate) const TRANSACTIONS: &str = "transactions";
pub(crate) const NONE: &str = "none";

/// Stands for the name of every other property.
pub(crate) const PROPERTY: &str = "PROPERTY";

const fn key(section: Section, name: &'static str, kind: Kind, fallback: Fallback, about: &'static str) -> Definition {
    Definition { section, name, kind, unit: None, fallback, flag: None, only: &[], aliases: &[], secret: false, about }
}

const fn from(min: i64) -> Kind {
    Kind::Integer { min, max: i64::MAX }
}

/// In the order in which they are explained and printed.
pub(crate) const DEFINITIONS: &[Definition] = &joined::<{ SOURCES.len() + sink::KEYS.len() + ENGINE.len() }>();

/// All sections, one behind the other.
#[expect(clippy::indexing_slicing, reason = "a constant is made before anything runs")]
const fn joined<const N: usize>() -> [Definition; N] {
    let parts = [SOURCES, sink::KEYS, ENGINE];
    let mut all = [SOURCES[0]; N];
    let (mut part, mut at, mut next) = (0, 0, 0);
    // A constant knows no iterators.
    while part < parts.len() {
        if at < parts[part].len() {
            all[next] = parts[part][at];
            (at, next) = (at + 1, next + 1);
        } else {
            (part, at) = (part + 1, 0);
        }
    }
    all
}

/// Where records come from, and the view.
const SOURCES: &[Definition] = &[
    key(
        Section::Source,
        "kind",
        Kind::Choice(&[LOG, KAFKA]),
        Fallback::Required,
        "Where records come from: a log, which is what `kcat -C -J` prints, or Kafka itself.",
    ),
    Definition {
        only: &[LOG],
        ..key(
            Section::Source,
            "files",
            Kind::Paths,
            Fallback::Required,
            "The log's files in order, plain, gzip or zstd; or \"-\" alone for standard input.",
        )
    },
    Definition {
        flag: Some("prefix"),
        ..key(
            Section::Source,
            "prefix",
            Kind::Text,
            Fallback::Unset("the one in the log"),
            "The connector's topic.prefix. Kafka, standard input and [tables.NAME] need it.",
        )
    },
    Definition {
        only: &[KAFKA],
        ..key(
            Section::Source,
            "transaction_topic",
            Kind::Text,
            Fallback::Unset("PREFIX.transaction"),
            "The topic of the connector's transactions: its topic.transaction, behind the prefix.",
        )
    },
    Definition {
        only: &[KAFKA],
        ..key(
            Section::Source,
            "start",
            Kind::Start,
            Fallback::Is("\"beginning\""),
            "Where a run begins: with the first record there is, or with those that were written at or after a moment. What \
             was before is then missing, so that a moment needs allow_partial_base = true.",
        )
    },
    Definition {
        unit: Some("records"),
        only: &[KAFKA],
        ..key(
            Section::Source,
            "poll_records_max",
            from(1),
            Fallback::Is("4096"),
            "The most records that go on together. Whichever of this and poll_bytes_max is reached first counts.",
        )
    },
    Definition {
        unit: Some("bytes"),
        only: &[KAFKA],
        ..key(
            Section::Source,
            "poll_bytes_max",
            from(1),
            Fallback::Is("1048576"),
            "The most bytes that go on together, unless it is one record.",
        )
    },
    Definition {
        flag: Some("follow"),
        only: &[LOG],
        ..key(
            Section::Source,
            "follow",
            Kind::Boolean,
            Fallback::Is("false"),
            "Wait for more at the end of the last file, a plain one that grows, until a signal comes. Needs prefix and the \
             partitions of each table.",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        ..key(
            Section::Source,
            "settle_ms",
            from(0),
            Fallback::Is("30000"),
            "A transaction of Kafka or of a followed log that has been there for so long, with all that was there read, \
             closes when its rows are counted, though nothing proves that the counts are right. 0 waits for a proof for ever.",
        )
    },
    Definition {
        flag: Some("snapshot-complete"),
        ..key(
            Section::Source,
            "snapshot_complete",
            Kind::Boolean,
            Fallback::Is("false"),
            "You know that the source holds all of the initial snapshot, though some partition shows no change after it.",
        )
    },
    Definition {
        flag: Some("allow-partial-base"),
        ..key(
            Section::Source,
            "allow_partial_base",
            Kind::Boolean,
            Fallback::Is("false"),
            "Go on without an initial snapshot. Rows from before the source's first are then missing, and the summary says so.",
        )
    },
    Definition {
        flag: Some("alignment"),
        ..key(
            Section::Source,
            "alignment",
            Kind::Choice(&[TRANSACTIONS, NONE]),
            Fallback::Is("\"transactions\""),
            "Where a row's time comes from: its transaction, so that every state is that of one commit; or none, which shows each \
             row by itself and needs no provide.transaction.metadata. Documents are then unaligned, as every status says, and an \
             index is emptied and filled anew by each run.",
        )
    },
    key(
        Section::Source,
        "on_bad_record",
        Kind::Choice(&[STOP, DEAD_LETTER]),
        Fallback::Is("\"stop\""),
        "What to do with a record that cannot be used: end the run, or append it to dead_letters and go on.",
    ),
    key(
        Section::Source,
        "dead_letters",
        Kind::Path,
        Fallback::Unset("none"),
        "The file of the records that cannot be used, a JSON line each. on_bad_record = \"dead-letter\" needs it.",
    ),
    Definition {
        only: &[KAFKA],
        ..key(
            Section::Kafka,
            BROKERS,
            Kind::Property,
            Fallback::Required,
            "The brokers to begin with: HOST:PORT, several with commas between.",
        )
    },
    Definition {
        only: &[KAFKA],
        ..key(
            Section::Kafka,
            PROPERTY,
            Kind::Property,
            Fallback::Unset("librdkafka's own"),
            "Any other property of librdkafka by its own name, passed on as it is: those of TLS and SASL, fetch.wait.max.ms, \
             group.id. A dot in a name may be one of TOML: sasl.username = \"ada\" is the same as \"sasl.username\" = \"ada\", \
             and as username = \"ada\" in a section [source.kafka.sasl]. { file = \"PATH\" } is what the file holds, without \
             the newline at its end. It is shown to nobody, and neither are passwords and keys.",
        )
    },
    Definition {
        only: &[KAFKA],
        ..key(Section::Tables, "topic", Kind::Text, Fallback::Unset("PREFIX.SCHEMA.NAME"), "The table's topic.")
    },
    Definition {
        unit: Some("partitions"),
        only: &[LOG],
        ..key(
            Section::Tables,
            "partitions",
            Kind::Integer { min: 1, max: u32::MAX as i64 },
            Fallback::Unset("what the log shows"),
            "How many partitions the table's topic has, for standard input and for a log that lacks a partition.",
        )
    },
    key(
        Section::View,
        "name",
        Kind::Choice(&["conversation_search"]),
        Fallback::Required,
        "Which view of the tables the documents are.",
    ),
    key(
        Section::View,
        "zero_items",
        Kind::Choice(&["absent", "needs_review_invite"]),
        Fallback::Is("\"absent\""),
        "What becomes of an open conversation without items: no document, or one at this step.",
    ),
    key(
        Section::View,
        "include",
        Kind::Texts,
        Fallback::Is("[]"),
        "Columns that documents carry beyond their own, as \"users.COLUMN\" or \"conversations.COLUMN\".",
    ),
];

/// How it is run.
const ENGINE: &[Definition] = &[
    Definition {
        unit: Some("threads"),
        flag: Some("workers"),
        ..key(
            Section::Engine,
            "workers",
            Kind::Integer { min: 1, max: 256 },
            Fallback::Is("1"),
            "Worker threads. The output does not depend on it.",
        )
    },
    Definition {
        unit: Some("LSN"),
        flag: Some("until"),
        ..key(
            Section::Engine,
            "until",
            from(0),
            Fallback::Unset("the end of the source"),
            "Stop at the last transaction that ends at or before this LSN (a number, as in Debezium's records).",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        ..key(
            Section::Engine,
            "repair_delay_ms",
            from(0),
            Fallback::Is("10000"),
            "How far the stream must be past the reading of a blocking snapshot's row before the row may repair.",
        )
    },
    Definition {
        unit: Some("bytes"),
        ..key(
            Section::Engine,
            "memory_budget_bytes",
            from(0),
            Fallback::Is("268435456"),
            "The memory in which rows wait until their transactions are complete, all workers together. What is more waits \
             in files.",
        )
    },
    key(
        Section::Engine,
        "spill_dir",
        Kind::Path,
        Fallback::Unset("the system's folder for temporary files"),
        "The folder in which a run makes one of its own for those files, if it needs it, and removes it at the end. What \
         killed runs left there is removed by the next.",
    ),
    Definition {
        unit: Some("bytes"),
        ..key(
            Section::Engine,
            "spill_budget_bytes",
            from(0),
            Fallback::Is("17179869184"),
            "How large those files may be. Where that is not enough the run ends with an error.",
        )
    },
];
