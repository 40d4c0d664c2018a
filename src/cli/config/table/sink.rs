//! The keys of a sink, of every kind.

use super::*;

/// In the order in which they are explained and printed.
pub(super) const KEYS: &[Definition] = &[
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
];
