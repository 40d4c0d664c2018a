//! The keys of the configuration, all of them, each once. The parser, `--set`, the options of `deltaic run`, its help,
//! the man page and `deltaic config` follow from this table.

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
pub(crate) const DEFINITIONS: &[Definition] = &[
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
    key(
        Section::Sink,
        "kind",
        Kind::Choice(&[TANTIVY, JSONL, ELASTICSEARCH, OPENSEARCH]),
        Fallback::Required,
        "Where documents go: an embedded search index, JSON lines, or a search server. The last two are one kind: which \
         server it is, is asked.",
    ),
    Definition {
        only: &[TANTIVY, JSONL],
        ..key(
            Section::Sink,
            "path",
            Kind::Path,
            Fallback::Required,
            "The index's folder, or the file of JSON lines, which is written anew (\"-\" for standard output).",
        )
    },
    Definition {
        only: &[JSONL],
        ..key(
            Section::Sink,
            "changes",
            Kind::Boolean,
            Fallback::Is("false"),
            "Write every change of a document with its LSN, instead of the documents at the end.",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        only: &[TANTIVY],
        ..key(
            Section::Sink,
            "commit_interval_ms",
            from(0),
            Fallback::Is("50"),
            "How soon a change is to be found: its commit begins earlier than that by what commits take. 0 commits each \
             batch. Whichever of this and the two limits is reached first counts.",
        )
    },
    Definition {
        unit: Some("changed documents"),
        only: &[TANTIVY],
        ..key(
            Section::Sink,
            "commit_changes_max",
            from(1),
            Fallback::Is("20000"),
            "A commit as soon as it has so many changes. A batch is never split, so a commit may have more.",
        )
    },
    Definition {
        unit: Some("bytes"),
        only: &[TANTIVY],
        ..key(
            Section::Sink,
            "commit_bytes_max",
            from(1),
            Fallback::Is("33554432"),
            "A commit as soon as its documents have so many bytes of JSON. A batch is never split.",
        )
    },
    Definition {
        unit: Some("threads"),
        only: &[TANTIVY],
        ..key(
            Section::Sink,
            "threads",
            Kind::Integer { min: 1, max: 8 },
            Fallback::Is("1"),
            "Threads that index documents. More of them make more, smaller segments.",
        )
    },
    Definition {
        unit: Some("bytes"),
        only: &[TANTIVY],
        ..key(
            Section::Sink,
            "thread_bytes",
            // What Tantivy takes for a thread of its writer.
            Kind::Integer { min: 15_000_000, max: 4_000_000_000 },
            Fallback::Is("64000000"),
            "The memory in which each of those threads gathers documents before it writes them out.",
        )
    },
    Definition {
        only: SEARCH,
        aliases: &[Alias { name: "connection.url", values: &[] }],
        ..key(
            Section::Sink,
            "url",
            Kind::Addresses,
            Fallback::Required,
            "The nodes of the cluster, as http://HOST:PORT or https://HOST:PORT. One that does not answer is passed over for the next.",
        )
    },
    Definition {
        only: SEARCH,
        ..key(
            Section::Sink,
            "index",
            Kind::Text,
            Fallback::Required,
            "The alias that documents are read through. They lie in an index that is made for it, called ALIAS-000001.",
        )
    },
    Definition {
        only: SEARCH,
        aliases: &[Alias { name: "connection.username", values: &[] }],
        ..key(
            Section::Sink,
            "username",
            Kind::Text,
            Fallback::Unset("none"),
            "The user that asks, with password. Without it, api_key and bearer_token nobody in particular asks.",
        )
    },
    Definition {
        only: SEARCH,
        aliases: &[Alias { name: "connection.password", values: &[] }],
        secret: true,
        ..key(Section::Sink, "password", Kind::Secret, Fallback::Unset("none"), "The user's password.")
    },
    Definition {
        only: SEARCH,
        secret: true,
        ..key(Section::Sink, "api_key", Kind::Secret, Fallback::Unset("none"), "An API key, as Base64 of ID:KEY.")
    },
    Definition {
        only: SEARCH,
        secret: true,
        ..key(Section::Sink, "bearer_token", Kind::Secret, Fallback::Unset("none"), "A token.")
    },
    Definition {
        only: SEARCH,
        ..key(
            Section::Sink,
            "ca_file",
            Kind::Path,
            Fallback::Unset("the well-known authorities"),
            "Who vouches for the servers, as PEM, in place of the well-known authorities.",
        )
    },
    Definition {
        only: SEARCH,
        ..key(
            Section::Sink,
            "client_certificate_file",
            Kind::Path,
            Fallback::Unset("none"),
            "The certificates that this client shows, as PEM, with client_key_file.",
        )
    },
    Definition {
        only: SEARCH,
        ..key(
            Section::Sink,
            "client_key_file",
            Kind::Path,
            Fallback::Unset("none"),
            "The private key of the first of them, as PEM.",
        )
    },
    Definition {
        unit: Some("documents"),
        only: SEARCH,
        aliases: &[Alias { name: "batch.size", values: &[] }],
        ..key(
            Section::Sink,
            "bulk_documents_max",
            from(1),
            Fallback::Is("2000"),
            "The most documents in a bulk. Whichever of this and bulk_bytes_max is reached first counts.",
        )
    },
    Definition {
        unit: Some("bytes"),
        only: SEARCH,
        aliases: &[Alias { name: "bulk.size.bytes", values: &[] }],
        ..key(
            Section::Sink,
            "bulk_bytes_max",
            from(1),
            Fallback::Is("5242880"),
            "The most bytes in a bulk, unless it is one document.",
        )
    },
    Definition {
        unit: Some("bulks"),
        only: SEARCH,
        aliases: &[Alias { name: "max.in.flight.requests", values: &[] }],
        ..key(
            Section::Sink,
            "bulks_in_flight",
            Kind::Integer { min: 1, max: 64 },
            Fallback::Is("4"),
            "How many bulks are on their way at once, no two of them with one document.",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        only: SEARCH,
        aliases: &[Alias { name: "linger.ms", values: &[] }],
        ..key(
            Section::Sink,
            "linger_ms",
            from(0),
            Fallback::Is("1"),
            "How long a bulk that is not full waits for more.",
        )
    },
    Definition {
        unit: Some("bytes"),
        only: SEARCH,
        ..key(
            Section::Sink,
            "pending_bytes_max",
            from(1),
            Fallback::Is("67108864"),
            "The most bytes of documents that wait for an answer; then reading waits.",
        )
    },
    Definition {
        only: SEARCH,
        aliases: &[Alias { name: "connection.compression", values: &[] }],
        ..key(Section::Sink, "compress", Kind::Boolean, Fallback::Is("false"), "Whether bulks are compressed by gzip.")
    },
    Definition {
        unit: Some("milliseconds"),
        only: SEARCH,
        aliases: &[Alias { name: "connection.timeout.ms", values: &[] }],
        ..key(Section::Sink, "connect_timeout_ms", from(1), Fallback::Is("5000"), "How long a connection may take.")
    },
    Definition {
        unit: Some("milliseconds"),
        only: SEARCH,
        aliases: &[Alias { name: "read.timeout.ms", values: &[] }],
        ..key(
            Section::Sink,
            "request_timeout_ms",
            from(1),
            Fallback::Is("60000"),
            "How long an answer may take. What it was for is then sent again.",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        only: SEARCH,
        aliases: &[Alias { name: "retry.backoff.ms", values: &[] }],
        ..key(
            Section::Sink,
            "retry_backoff_ms",
            from(0),
            Fallback::Is("100"),
            "The first pause before something is sent again. Each further one may be twice as long, and every one is a random share of that.",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        only: SEARCH,
        ..key(Section::Sink, "retry_backoff_max_ms", from(0), Fallback::Is("10000"), "The longest such pause.")
    },
    Definition {
        unit: Some("tries"),
        only: SEARCH,
        aliases: &[Alias { name: "max.retries", values: &[] }],
        ..key(
            Section::Sink,
            "retries_max",
            Kind::Integer { min: 0, max: u32::MAX as i64 },
            Fallback::Unset("for ever"),
            "How often something is sent again that failed, before the run ends. A server that is busy or blocked does not count: it is waited for.",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        only: SEARCH,
        aliases: &[Alias { name: "flush.timeout.ms", values: &[] }],
        ..key(
            Section::Sink,
            "flush_timeout_ms",
            from(1),
            Fallback::Is("180000"),
            "How long the end of a run waits while no answer comes.",
        )
    },
    Definition {
        unit: Some("milliseconds"),
        only: SEARCH,
        ..key(
            Section::Sink,
            "gc_deletes_ms",
            from(0),
            Fallback::Is("3600000"),
            "How long the server keeps versions of deleted documents: index.gc_deletes of an index that is made. Longer than a bulk may be on its way whose sender died.",
        )
    },
    Definition {
        only: SEARCH,
        ..key(
            Section::Sink,
            "definition",
            Kind::Path,
            Fallback::Unset("strict mapping by the view's fields"),
            "A file of JSON with settings and mappings for an index that is made. {} leaves both to the cluster's templates.",
        )
    },
    Definition {
        only: SEARCH,
        aliases: &[Alias {
            name: "behavior.on.malformed.documents",
            values: &[("fail", STOP), ("warn", DEAD_LETTER), ("ignore", DEAD_LETTER)],
        }],
        ..key(
            Section::Sink,
            "on_bad_document",
            Kind::Choice(&[STOP, DEAD_LETTER]),
            Fallback::Is("\"stop\""),
            "What to do with a document that the server refuses for what is in it: end the run, or append it to dead_letters and go on; the index keeps its last good state.",
        )
    },
    Definition {
        only: SEARCH,
        ..key(
            Section::Sink,
            "dead_letters",
            Kind::Path,
            Fallback::Unset("none"),
            "The file of those documents, a JSON line each. on_bad_document = \"dead-letter\" needs it.",
        )
    },
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
