//! Documents to a search server: against one in memory, which does to bulks what a script says. What real servers do is proven in
//! `harness lab`.

mod command;
mod faults;
mod rebuilt;
mod refusals;
mod tls;

use crate::support::search_server::{Script, SearchServer, Stored};
use deltaic::dataflows::{ConversationSearch, DocumentId, Field, Kind, Schema, Value};
use deltaic::{
    Ack, Action, Batch, Document, DocumentJson, ElasticsearchError, ElasticsearchOptions, ElasticsearchSink, Engine,
    Identity, Log, Sink, SinkError, Time, Touch,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ALIAS: &str = "things";
const LOG: &str = "examples/podium/log.jsonl.zst";

fn no_faults() -> Script {
    Box::new(|| None)
}

fn options(server: &SearchServer) -> ElasticsearchOptions {
    ElasticsearchOptions {
        retry_backoff_ms: 1,
        retry_backoff_max_ms: 20,
        ..ElasticsearchOptions::new(server.url(), ALIAS)
    }
}

/// Of documents with a number.
fn identity() -> Identity {
    let mut identity = Identity::new(&ConversationSearch::default(), "podium");
    identity.schema = schema();
    identity
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema { fields: vec![Field { name: "number".into(), kind: Kind::Integer }] })
}

/// A state of a document: its number, or none if it is deleted.
fn touch(time: Time, id: &str, number: Option<i64>) -> Touch {
    let action = match number {
        Some(number) => Action::Upsert(Document { schema: schema(), values: [Value::Integer(number)].into() }),
        None => Action::Delete,
    };
    Touch { time, id: DocumentId(id.into()), action }
}

fn batch(lower: Time, upper: Time, touched: Vec<Touch>) -> Batch {
    Batch { lower, upper, touched, base: 1, documents: 0, ..Batch::default() }
}

/// A sink that has been started.
fn started(options: ElasticsearchOptions) -> Result<ElasticsearchSink, SinkError> {
    let mut sink = ElasticsearchSink::new(options)?;
    sink.start(&identity())?;
    Ok(sink)
}

/// Waits for what must come, for less than threads sleep that nobody wakes.
fn until(is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_there() {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn refused(result: Result<impl Sized, SinkError>) -> ElasticsearchError {
    match result {
        Err(SinkError::Elasticsearch(error)) => error,
        Err(other) => panic!("refused otherwise: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// Versions and numbers of what an alias shows.
fn seen(server: &SearchServer) -> BTreeMap<String, (u64, i64)> {
    let seen = server.model().seen(ALIAS);
    let number = |stored: &Stored| (stored.version, stored.source["number"].as_i64().unwrap());
    seen.iter().map(|(id, stored)| (id.clone(), number(stored))).collect()
}

#[test]
fn the_index_is_what_the_log_says_with_the_times_of_the_last_changes_as_versions() {
    let server = SearchServer::start(no_faults());
    let mut expected = BTreeMap::new();
    let engine = Engine::replay(ConversationSearch::default(), Log::file(LOG));
    let keep = |Touch { time, id, action }| {
        match action {
            Action::Upsert(document) => {
                drop(expected.insert(id.0.to_string(), (time, serde_json::to_value(DocumentJson(&document)).unwrap())));
            }
            Action::Delete => drop(expected.remove(&*id.0)),
        }
        Ok(())
    };
    engine.for_each(keep).unwrap();

    for workers in [1, 2] {
        let alias = format!("things-{workers}");
        let options = ElasticsearchOptions { alias: alias.clone(), ..options(&server) };
        let mut sink = ElasticsearchSink::new(options.clone()).unwrap();
        let engine = Engine::replay(ConversationSearch::default(), Log::file(LOG)).workers(workers);
        let report = engine.run(&mut sink).unwrap();
        let status = sink.status();
        assert_eq!((status.lsn, status.attempted), (report.exact_at, report.exact_at));
        assert_eq!((status.documents, status.trouble), (expected.len() as u64, None));
        let seen = server.model().seen(&alias);
        let seen: BTreeMap<_, _> = seen.into_iter().map(|(id, stored)| (id, (stored.version, stored.source))).collect();
        assert_eq!(seen, expected);

        // Nothing new, and nothing touched.
        let bulks = server.model().bulks;
        let mut again = ElasticsearchSink::new(options).unwrap();
        let report = Engine::replay(ConversationSearch::default(), Log::file(LOG)).run(&mut again).unwrap();
        assert!(report.nothing_new);
        assert_eq!(server.model().bulks, bulks);
    }
    assert_eq!(server.model().wrong, [""; 0]);
}

#[test]
fn the_index_is_made_by_the_schema_and_read_through_an_alias() {
    let server = SearchServer::start(no_faults());
    let mut sink = started(options(&server)).unwrap();
    sink.apply(batch(0, 11, vec![touch(10, "a", Some(1))])).unwrap();
    assert_eq!(sink.finish().unwrap(), Ack::DurableBelow(11));
    let model = server.model();
    let index = &model.indexes["things-000001"];
    assert_eq!(index.mappings["dynamic"], "strict");
    assert_eq!(index.mappings["properties"]["number"], json!({ "type": "long" }));
    assert_eq!(index.settings["index.gc_deletes"], "3600000ms");
    assert_eq!(index.settings["index.translog.durability"], "request");
    assert_eq!(index.documents.len(), 2, "the progress document lies in it");
    assert_eq!(model.seen(ALIAS).len(), 1, "and is not shown");
    let progress = model.progress(ALIAS);
    assert_eq!((&progress["durable"], &progress["attempted_upper"]), (&json!(11), &json!(11)));
    assert_eq!(progress["index_uuid"], "uuid-1");
}

#[test]
fn documents_go_in_as_many_bulks_as_may_be_and_compressed_if_so_said() {
    let server =
        SearchServer::start(Box::new(|| Some(crate::support::search_server::Fault::Slow(Duration::from_millis(20)))));
    let options =
        ElasticsearchOptions { bulk_documents_max: 10, bulks_in_flight: 3, compress: true, ..options(&server) };
    let mut sink = started(options).unwrap();
    let touched = (0..100).map(|n| touch(10, &format!("id {n}"), Some(n))).collect();
    sink.apply(batch(0, 11, touched)).unwrap();
    sink.finish().unwrap();
    assert_eq!(seen(&server).len(), 100);
    let model = server.model();
    assert!((10..=13).contains(&model.bulks), "{}", model.bulks);
    assert_eq!(model.most_at_once, 3);
    assert_eq!(model.wrong, [""; 0]);
}

#[test]
fn what_may_be_in_is_announced_before_it_is_sent() {
    // GIVEN a server that takes no bulk
    let server = SearchServer::start(Box::new(|| Some(crate::support::search_server::Fault::Refuse(503))));
    let mut sink = started(options(&server)).unwrap();
    sink.apply(batch(0, 11, vec![touch(10, "a", Some(1))])).unwrap();
    until(|| sink.status().trouble.is_some());
    // THEN the progress document says what will be sent, and nothing is durable
    let progress = server.model().progress(ALIAS);
    assert_eq!((&progress["durable"], &progress["attempted_upper"]), (&json!(0), &json!(11)));
    assert_eq!(sink.due().unwrap(), Ack::DurableBelow(0));
    assert!(sink.status().trouble.is_some_and(|trouble| trouble.contains("as the script says")));
    drop(sink);

    // WHEN another run goes on
    let sink = started(options(&server)).unwrap();
    assert_eq!(sink.frontier(), 0);
    let status = sink.status();
    assert_eq!((status.lsn, status.attempted.map(|lsn| lsn.0)), (None, Some(10)));
}
