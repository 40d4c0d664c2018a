//! What cannot be sent, or must not be, and what is said about it.

use super::*;
use crate::support::search_server::Fault;
use deltaic::{Credentials, OnBadDocument};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Sends a batch of three documents to the end.
fn send(options: ElasticsearchOptions) -> Result<ElasticsearchSink, SinkError> {
    let mut sink = started(options)?;
    sink.apply(batch(0, 13, vec![touch(10, "a", Some(1)), touch(11, "b", Some(2)), touch(12, "c", Some(3))]))?;
    sink.finish()?;
    Ok(sink)
}

#[test]
fn a_bulk_that_cannot_be_read_loses_nothing_but_what_spoils_it() {
    for (spoil, reason) in [(400, "Malformed action/metadata line"), (413, "too large")] {
        let server = SearchServer::start(no_faults());
        let dir = tempfile::tempdir().unwrap();
        let letters = dir.path().join("letters.jsonl");
        let wide = "b".repeat(400);
        if spoil == 400 {
            server.model().unreadable = Some(wide.clone());
        } else {
            server.model().body_max = Some(300);
        }
        let of = |on_bad_document| ElasticsearchOptions { bulks_in_flight: 1, on_bad_document, ..options(&server) };
        let touched =
            || vec![touch(10, "a", Some(1)), touch(11, &wide, Some(2)), touch(12, "c", Some(3)), touch(12, "d", None)];

        let mut sink = started(of(OnBadDocument::Stop)).unwrap();
        sink.apply(batch(0, 13, touched())).unwrap();
        let told = refused(sink.finish());
        assert!(
            matches!(&told, ElasticsearchError::BadDocument { id, lsn, .. } if *id == wide && lsn.0 == 11),
            "{told}"
        );
        assert!(told.to_string().contains(reason), "{told}");

        let mut sink = started(of(OnBadDocument::DeadLetter(letters.clone()))).unwrap();
        sink.apply(batch(0, 13, touched())).unwrap();
        sink.finish().unwrap();
        assert_eq!(sink.status().bad, 1);
        assert_eq!(seen(&server).into_keys().collect::<Vec<_>>(), ["a", "c"]);
        let letter: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(letters).unwrap()).unwrap();
        assert_eq!((&letter["id"], &letter["version"]), (&json!(wide), &json!(11)));
        assert_eq!(letter["document"], json!({ "number": 2 }));
        assert!(letter["reason"].as_str().unwrap().contains(reason), "{letter}");
    }
}

#[test]
fn what_is_tried_too_often_ends_the_run_but_a_busy_server_does_not() {
    let of = |server: &SearchServer| ElasticsearchOptions { retries_max: Some(3), ..options(server) };
    let server = SearchServer::start(Box::new(|| Some(Fault::Refuse(500))));
    let told = refused(send(of(&server)));
    assert!(matches!(told, ElasticsearchError::GaveUp { tries: 4, .. }), "{told}");

    let (rejected, count) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&rejected);
    let server = SearchServer::start(Box::new(move || {
        (count.fetch_add(1, SeqCst) < 20).then(|| {
            counted.fetch_add(1, SeqCst);
            Fault::Refuse(429)
        })
    }));
    send(of(&server)).unwrap();
    assert_eq!((seen(&server).len(), rejected.load(SeqCst)), (3, 20));
}

#[test]
fn credentials_go_into_a_header_and_nowhere_else() {
    for (credentials, header) in [
        (Credentials::Basic { user: "ada".to_owned(), password: "secret".to_owned() }, "Basic YWRhOnNlY3JldA=="),
        (Credentials::ApiKey("secret".to_owned()), "ApiKey secret"),
        (Credentials::Bearer("secret".to_owned()), "Bearer secret"),
    ] {
        let server = SearchServer::start(no_faults());
        server.model().authorization = Some(header.to_owned());
        let options = ElasticsearchOptions { credentials, ..options(&server) };
        assert!(!format!("{options:?}").contains("secret"), "{options:?}");
        send(options.clone()).unwrap();

        server.model().authorization = Some("other".to_owned());
        let told = refused(send(options));
        assert!(matches!(told, ElasticsearchError::Forbidden { status: 401, .. }), "{told}");
        assert!(!told.to_string().contains("secret"), "{told}");
    }
}

#[test]
fn a_node_that_does_not_answer_is_passed_over() {
    let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let server = SearchServer::start(no_faults());
    let urls = vec![format!("http://{gone}"), server.url()];
    send(ElasticsearchOptions { urls, ..options(&server) }).unwrap();
    assert_eq!(seen(&server).len(), 3);
}

#[test]
fn an_index_that_is_something_else_is_refused() {
    let server = SearchServer::start(no_faults());
    send(options(&server)).unwrap();
    let mut sink = ElasticsearchSink::new(options(&server)).unwrap();
    let mut other = identity();
    other.prefix = "other".to_owned();
    let told = refused(sink.start(&other));
    assert!(
        told.to_string().contains("the source's prefix is `podium` in the index and `other` in this run"),
        "{told}"
    );

    // A copy: its uuid is another.
    server.model().indexes.get_mut("things-000001").unwrap().uuid = "restored".to_owned();
    let told = refused(started(options(&server)));
    assert!(matches!(&told, ElasticsearchError::Rebuild { reason, .. } if reason.contains("copy")), "{told}");

    // Without a progress document, and not empty.
    server.model().indexes.get_mut("things-000001").unwrap().documents.remove("deltaic-progress");
    let told = refused(started(options(&server)));
    assert!(matches!(&told, ElasticsearchError::Rebuild { reason, .. } if reason.contains("no progress")), "{told}");

    // Empty: made just before a crash.
    server.model().indexes.get_mut("things-000001").unwrap().documents.clear();
    send(options(&server)).unwrap();
    assert_eq!(seen(&server).len(), 3);

    // The name is an index's.
    let mut model = server.model();
    let index = model.indexes.remove("things-000001").unwrap();
    model.indexes.insert(ALIAS.to_owned(), deltaic_index(index));
    drop(model);
    let told = refused(started(options(&server)));
    assert!(matches!(told, ElasticsearchError::NotAnAlias { .. }), "{told}");
}

/// The same index, with no alias on it.
fn deltaic_index(mut index: crate::support::search_server::Index) -> crate::support::search_server::Index {
    index.aliases.clear();
    index
}

#[test]
fn an_empty_index_of_another_run_gives_way() {
    let server = SearchServer::start(no_faults());
    let mut other = identity();
    other.prefix = "other".to_owned();
    ElasticsearchSink::new(options(&server)).unwrap().start(&other).unwrap();
    send(options(&server)).unwrap();
    assert_eq!(seen(&server).len(), 3);
    assert_eq!(server.model().progress(ALIAS)["prefix"], "podium");
}

#[test]
fn settings_and_mappings_that_do_not_fit_are_told() {
    let server = SearchServer::start(no_faults());
    send(options(&server)).unwrap();
    let change = |change: &dyn Fn(&mut crate::support::search_server::Index)| {
        change(server.model().indexes.get_mut("things-000001").unwrap());
        refused(started(options(&server)))
    };
    let told = change(&|index| {
        index.settings.insert("index.translog.durability".to_owned(), json!("async"));
    });
    assert!(matches!(&told, ElasticsearchError::NotDurable { found, .. } if found == "async"), "{told}");
    let told = change(&|index| {
        index.settings.remove("index.translog.durability");
        index.mappings["properties"]["number"] = json!({ "type": "date" });
    });
    assert!(told.to_string().contains("`number` is mapped as `date`"), "{told}");

    // One's own, that does not fit: what was made goes again.
    let definition =
        Some(json!({ "mappings": { "dynamic": "strict", "properties": { "other": { "type": "long" } } } }));
    let own = ElasticsearchOptions { alias: "own".to_owned(), definition, ..options(&server) };
    let told = refused(started(own.clone()));
    assert!(told.to_string().contains("`number` is not mapped, and the mapping is strict"), "{told}");
    assert!(!server.model().indexes.contains_key("own-000001"));
    // One that fits.
    let definition = Some(json!({
        "settings": { "index": { "gc_deletes": "2h" } },
        "mappings": { "dynamic": "strict", "properties": { "number": { "type": "keyword" } } }
    }));
    send(ElasticsearchOptions { definition, ..own }).unwrap();
    let model = server.model();
    let index = &model.indexes["own-000001"];
    assert!(index.mappings["properties"]["deltaic"].is_object(), "the progress document is mapped");
    assert_eq!(index.settings["index"]["gc_deletes"], "2h");
    assert!(!index.settings.contains_key("index.gc_deletes"));
}

#[test]
fn two_writers_notice_each_other() {
    let server = SearchServer::start(no_faults());
    let mut first = send(options(&server)).unwrap();
    let mut second = started(options(&server)).unwrap();
    second.apply(batch(13, 15, vec![touch(14, "d", Some(4))])).unwrap();
    second.finish().unwrap();
    first.apply(batch(13, 16, vec![touch(14, "d", Some(4)), touch(15, "e", None)])).unwrap();
    let told = refused(first.finish());
    assert!(matches!(told, ElasticsearchError::OtherWriter { .. }), "{told}");
}

#[test]
fn other_servers_are_refused() {
    for (version, told) in [
        (json!({ "number": "7.17.0" }), "Elasticsearch 7.17.0 is not supported"),
        (json!({ "number": "1.3.0", "distribution": "opensearch" }), "OpenSearch 1.3.0 is not supported"),
    ] {
        let server = SearchServer::start(no_faults());
        server.model().version = Some(version);
        let error = refused(started(options(&server)));
        assert!(error.to_string().contains(told), "{error}");
    }
    for number in ["8.19.21", "9.5.3"] {
        let server = SearchServer::start(no_faults());
        server.model().version = Some(json!({ "number": number }));
        send(options(&server)).unwrap();
    }
}

#[test]
fn an_index_that_goes_ends_the_run() {
    let server = SearchServer::start(no_faults());
    let mut sink = send(options(&server)).unwrap();
    server.model().indexes.clear();
    sink.apply(batch(13, 15, vec![touch(14, "d", Some(4))])).unwrap();
    let told = refused(sink.finish());
    assert!(matches!(told, ElasticsearchError::Gone { .. }), "{told}");
}

#[test]
fn options_that_cannot_be_are_told() {
    let server = SearchServer::start(no_faults());
    for (options, told) in [
        (ElasticsearchOptions { urls: Vec::new(), ..options(&server) }, "url: no server is named"),
        (
            ElasticsearchOptions { urls: vec!["localhost:9200".to_owned()], ..options(&server) },
            "url: localhost:9200 should begin with http:// or https://",
        ),
        (
            ElasticsearchOptions { urls: vec!["http://ada:secret@localhost".to_owned()], ..options(&server) },
            "url: http://…@localhost has a user in it",
        ),
        (ElasticsearchOptions { alias: "A".to_owned(), ..options(&server) }, "index: `A` has an upper-case letter"),
        (
            ElasticsearchOptions { ca_file: Some("no/such.pem".into()), ..options(&server) },
            "cannot read no/such.pem: No such file",
        ),
    ] {
        let error = ElasticsearchSink::new(options).err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
    }
}
