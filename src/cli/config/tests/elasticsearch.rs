//! A sink of kind `elasticsearch`: its keys, the names that Confluent's sink has for them, and what does not go together.

use super::super::meaning::{Config, ElasticsearchConfig, SinkConfig};
use super::*;
use deltaic::{ClientCertificate, Credentials, ElasticsearchOptions, OnBadDocument};

/// A configuration with this sink.
fn with(sink: &str) -> String {
    let source = LEAST.split("[[sink]]").next().unwrap();
    format!("{source}[[sink]]\n{sink}")
}

fn sink(text: &str, set: &[&str]) -> ElasticsearchConfig {
    let settings = settle(&with(text), set, &[]).unwrap();
    let SinkConfig::Elasticsearch(sink) = Config::of(&settings).sink else { panic!("another sink") };
    *sink
}

const LEAST_SINK: &str = "kind = \"elasticsearch\"\nurl = \"http://localhost:9200\"\nindex = \"things\"\n";

#[test]
fn what_is_not_said_is_as_the_library_has_it() {
    let expected = ElasticsearchOptions::new("http://localhost:9200", "things");
    assert_eq!(sink(LEAST_SINK, &[]), ElasticsearchConfig { options: expected.clone(), definition: None });
    let other = LEAST_SINK.replace("elasticsearch", "opensearch");
    assert_eq!(sink(&other, &[]).options, expected);
}

#[test]
fn every_key_is_read() {
    let text = r#"
kind = "elasticsearch"
url = ["http://a:9200", "http://b:9200"]
index = "things"
username = "ada"
password = "${PASSWORD}"
ca_file = "ca.pem"
client_certificate_file = "client.crt"
client_key_file = "client.key"
bulk_documents_max = 1
bulk_bytes_max = 2
bulks_in_flight = 3
linger_ms = 4
pending_bytes_max = 5
compress = true
connect_timeout_ms = 6
request_timeout_ms = 7
retry_backoff_ms = 8
retry_backoff_max_ms = 9
retries_max = 10
flush_timeout_ms = 11
gc_deletes_ms = 12
definition = "index.json"
on_bad_document = "dead-letter"
dead_letters = "letters.jsonl"
"#;
    let expected = ElasticsearchOptions {
        urls: vec!["http://a:9200".to_owned(), "http://b:9200".to_owned()],
        alias: "things".to_owned(),
        credentials: Credentials::Basic { user: "ada".to_owned(), password: HIDDEN.to_owned() },
        ca_file: Some("dir/ca.pem".into()),
        client_certificate: Some(ClientCertificate {
            certificates: "dir/client.crt".into(),
            key: "dir/client.key".into(),
        }),
        bulk_documents_max: 1,
        bulk_bytes_max: 2,
        bulks_in_flight: 3,
        linger_ms: 4,
        pending_bytes_max: 5,
        compress: true,
        connect_timeout_ms: 6,
        request_timeout_ms: 7,
        retry_backoff_ms: 8,
        retry_backoff_max_ms: 9,
        retries_max: Some(10),
        flush_timeout_ms: 11,
        gc_deletes_ms: 12,
        definition: None,
        on_bad_document: OnBadDocument::DeadLetter("dir/letters.jsonl".into()),
    };
    assert_eq!(sink(text, &[]), ElasticsearchConfig { options: expected, definition: Some("dir/index.json".into()) });
    let left = ["path", "api_key", "bearer_token"];
    let named = DEFINITIONS.iter().filter(|key| key.section == Section::Sink && key.is_of("elasticsearch"));
    assert!(named.into_iter().all(|key| left.contains(&key.name) || text.contains(&format!("{} = ", key.name))));
}

#[test]
fn others_may_ask() {
    let of = |line: &str| sink(&format!("{LEAST_SINK}{line}"), &[]).options.credentials;
    assert_eq!(of("api_key = \"${PASSWORD}\""), Credentials::ApiKey(HIDDEN.to_owned()));
    assert_eq!(of("bearer_token = \"${PASSWORD}\""), Credentials::Bearer(HIDDEN.to_owned()));
}

#[test]
fn keys_have_the_names_that_confluent_s_sink_has_for_them() {
    let theirs = r#"
kind = "elasticsearch"
connection.url = "http://a:9200,http://b:9200"
index = "things"
connection.username = "ada"
connection.password = "${PASSWORD}"
batch.size = 1
"bulk.size.bytes" = 2
max.in.flight.requests = 3
linger.ms = 4
connection.compression = true
connection.timeout.ms = 6
read.timeout.ms = 7
retry.backoff.ms = 8
max.retries = 10
flush.timeout.ms = 11
behavior.on.malformed.documents = "IGNORE"
dead_letters = "letters.jsonl"
"#;
    let read = sink(theirs, &["sink.linger.ms=40", "sink.0.batch.size=100"]).options;
    assert_eq!(read.urls, ["http://a:9200", "http://b:9200"]);
    assert_eq!(read.credentials, Credentials::Basic { user: "ada".to_owned(), password: HIDDEN.to_owned() });
    assert_eq!((read.bulk_documents_max, read.bulk_bytes_max, read.bulks_in_flight, read.linger_ms), (100, 2, 3, 40));
    assert_eq!((read.connect_timeout_ms, read.request_timeout_ms, read.retry_backoff_ms), (6, 7, 8));
    assert_eq!((read.retries_max, read.flush_timeout_ms, read.compress), (Some(10), 11, true));
    assert_eq!(read.on_bad_document, OnBadDocument::DeadLetter("dir/letters.jsonl".into()));
    let stops = format!("{LEAST_SINK}behavior.on.malformed.documents = \"fail\"\n");
    assert_eq!(sink(&stops, &[]).options.on_bad_document, OnBadDocument::Stop);
}

#[test]
fn what_does_not_go_together_is_told() {
    for (lines, expected) in [
        ("username = \"ada\"", "missing key `sink.0.password`: `sink.0.username` at dir/podium.toml:10 needs it"),
        ("password = \"xyzzy\"", "missing key `sink.0.username`: `sink.0.password` at dir/podium.toml:10 needs it"),
        (
            "client_key_file = \"k\"",
            "missing key `sink.0.client_certificate_file`: `sink.0.client_key_file` at dir/podium.toml:10 needs it",
        ),
        (
            "api_key = \"xyzzy\"\nbearer_token = \"xyzzy\"",
            "`sink.0.bearer_token` at dir/podium.toml:11: there is `sink.0.api_key`, too; one of them asks",
        ),
        (
            "on_bad_document = \"dead-letter\"",
            "missing key `sink.0.dead_letters`: `sink.0.on_bad_document` = \"dead-letter\" at dir/podium.toml:10 needs it",
        ),
        ("definition = \"-\"", "`sink.0.definition` at dir/podium.toml:10: expected a file"),
        ("path = \"x\"", "a sink of kind \"elasticsearch\" has no such key; one of kind \"tantivy\" has"),
        (
            "batch.size = 1\nbulk_documents_max = 2",
            "`sink.0.bulk_documents_max` at dir/podium.toml:11: is there at dir/podium.toml:10 already, under another of its names",
        ),
        (
            "key.ignore = true",
            "`sink.0.key.ignore` at dir/podium.toml:10: no such key: a document's id is its key in the view",
        ),
        (
            "connection.url = \"http://ada:xyzzy@localhost\"",
            "is there at dir/podium.toml:8 already, under another of its names",
        ),
        ("batch.sise = 1", "batch.sise"),
        ("batch_size = 1", "batch_size"),
    ] {
        let told = mistakes(&with(&format!("{LEAST_SINK}{lines}\n")), &[], &[]);
        assert_eq!(told.len(), 1, "{lines}: {told:?}");
        assert!(told[0].contains(expected), "{lines}: {told:?}");
        assert!(!told[0].contains(HIDDEN), "{told:?}");
    }
    let unaligned = with(LEAST_SINK).replace("[view]", "alignment = \"none\"\n[view]");
    let told = mistakes(&unaligned, &[], &[]);
    assert!(told.iter().any(|told| told.contains("a server's index is continued")), "{told:?}");
}
