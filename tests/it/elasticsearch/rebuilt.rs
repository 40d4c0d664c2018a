//! An index behind an alias that another takes the place of.

use super::*;
use crate::support::search_server::Index;
use deltaic::Rebuild;

fn rebuild(server: &SearchServer, identity: &Identity) -> Rebuild<ElasticsearchSink> {
    let mut rebuild = ElasticsearchSink::rebuild(options(server)).unwrap();
    rebuild.start(identity).unwrap();
    rebuild
}

/// An index with two documents, up to 20.
fn filled(server: &SearchServer) -> ElasticsearchSink {
    let mut sink = started(options(server)).unwrap();
    sink.apply(batch(0, 21, vec![touch(10, "a", Some(1)), touch(20, "b", Some(2))])).unwrap();
    sink.finish().unwrap();
    sink
}

fn alias_is_on(server: &SearchServer) -> Vec<String> {
    let model = server.model();
    let on = model.indexes.iter().filter(|(_, index)| index.aliases.contains_key(ALIAS));
    on.map(|(name, _)| name.clone()).collect()
}

#[test]
fn changes_go_to_both_until_the_alias_moves() {
    let server = SearchServer::start(no_faults());
    filled(&server);
    let mut sink = rebuild(&server, &identity());
    assert_eq!(sink.frontier(), 0);
    sink.apply(batch(0, 31, vec![touch(10, "a", Some(1)), touch(20, "b", Some(2)), touch(30, "c", Some(3))])).unwrap();
    sink.finish().unwrap();
    assert_eq!(alias_is_on(&server), ["things-000001"]);
    assert_eq!(seen(&server).len(), 3, "the one that is read has what is new");
    sink.complete().unwrap();
    assert_eq!(alias_is_on(&server), ["things-000002"]);
    assert_eq!(
        seen(&server),
        [("a", (10, 1)), ("b", (20, 2)), ("c", (30, 3))].map(|(id, of)| (id.to_owned(), of)).into()
    );
    assert!(server.model().indexes.contains_key("things-000001"), "the other stays, without the alias");

    let mut sink = started(options(&server)).unwrap();
    assert_eq!(sink.frontier(), 31);
    sink.apply(batch(31, 41, vec![touch(40, "a", None)])).unwrap();
    sink.finish().unwrap();
    assert_eq!(seen(&server).len(), 2);
    // And once more.
    let mut sink = rebuild(&server, &identity());
    sink.apply(batch(0, 41, vec![touch(30, "c", Some(3))])).unwrap();
    sink.finish().unwrap();
    sink.complete().unwrap();
    assert_eq!(alias_is_on(&server), ["things-000003"]);
}

#[test]
fn an_index_that_cannot_be_continued_stays_until_then() {
    let server = SearchServer::start(no_faults());
    filled(&server);
    let mut other = identity();
    other.prefix = "other".to_owned();
    let mut sink = rebuild(&server, &other);
    sink.apply(batch(0, 6, vec![touch(5, "z", Some(9))])).unwrap();
    sink.finish().unwrap();
    assert_eq!(seen(&server).len(), 2);
    // Its LSNs are another source's: it is not asked how far it was.
    sink.complete().unwrap();
    assert_eq!(seen(&server).into_keys().collect::<Vec<_>>(), ["z"]);

    server.model().indexes.get_mut("things-000002").unwrap().uuid = "restored".to_owned();
    let mut sink = rebuild(&server, &other);
    sink.apply(batch(0, 6, vec![touch(5, "y", Some(9))])).unwrap();
    sink.finish().unwrap();
    sink.complete().unwrap();
    assert_eq!(seen(&server).into_keys().collect::<Vec<_>>(), ["y"]);
}

#[test]
fn a_rebuild_that_is_broken_off_can_be_run_again() {
    let server = SearchServer::start(no_faults());
    filled(&server);
    for upto in [10, 20] {
        let mut sink = rebuild(&server, &identity());
        sink.apply(batch(0, upto, vec![touch(9, "a", Some(1))])).unwrap();
        sink.finish().unwrap();
        let told = sink.complete();
        assert!(matches!(told, Err(SinkError::Behind { .. })), "{told:?}");
        assert_eq!(alias_is_on(&server), ["things-000001"]);
        drop(sink);
        assert_eq!(server.model().indexes.len(), 2);
    }
    // Somebody else's is left alone.
    let foreign = server.model().indexes.remove("things-000002").map(|mut index| {
        index.documents.clear();
        index
    });
    server.model().indexes.insert("things-000007".to_owned(), foreign.unwrap());
    let mut sink = rebuild(&server, &identity());
    sink.apply(batch(0, 21, vec![touch(10, "a", Some(1)), touch(20, "b", Some(2))])).unwrap();
    sink.finish().unwrap();
    sink.complete().unwrap();
    assert_eq!(alias_is_on(&server), ["things-000008"]);
    assert_eq!(seen(&server).len(), 2);
}

#[test]
fn who_writes_to_the_index_that_was_read_notices() {
    let server = SearchServer::start(no_faults());
    let mut live = filled(&server);
    let mut sink = rebuild(&server, &identity());
    sink.apply(batch(0, 21, vec![touch(10, "a", Some(1)), touch(20, "b", Some(2))])).unwrap();
    sink.finish().unwrap();
    sink.complete().unwrap();
    live.apply(batch(21, 31, vec![touch(30, "c", Some(3))])).unwrap();
    let told = refused(live.finish());
    assert!(matches!(told, ElasticsearchError::OtherWriter { .. }), "{told}");
}

#[test]
fn an_index_that_went_on_meanwhile_stays() {
    let server = SearchServer::start(no_faults());
    let mut live = filled(&server);
    let mut sink = rebuild(&server, &identity());
    sink.apply(batch(0, 21, vec![touch(10, "a", Some(1)), touch(20, "b", Some(2))])).unwrap();
    sink.finish().unwrap();
    live.apply(batch(21, 31, vec![touch(30, "c", Some(3))])).unwrap();
    live.finish().unwrap();
    let told = sink.complete();
    assert!(matches!(told, Err(SinkError::Behind { .. })), "{told:?}");
    assert_eq!(alias_is_on(&server), ["things-000001"]);
}

/// All of what is in [`filled`], and one more.
fn three() -> Batch {
    batch(0, 31, vec![touch(10, "a", Some(1)), touch(20, "b", Some(2)), touch(30, "c", Some(3))])
}

#[test]
fn an_index_that_is_closed_or_refuses_a_document_is_left_for_the_other() {
    for closed in [true, false] {
        // GIVEN a rebuild, and an index that takes nothing more while it goes on
        let server = SearchServer::start(no_faults());
        filled(&server);
        let mut sink = rebuild(&server, &identity());
        let spoil = |index: &mut Index| (index.closed, index.refuses) = (closed, (!closed).then(|| "c".to_owned()));
        server.model().indexes.get_mut("things-000001").map(spoil).unwrap();
        // WHEN it is given all there is
        sink.apply(three()).unwrap();
        sink.finish().unwrap();
        assert_eq!(alias_is_on(&server), ["things-000001"]);
        // THEN the other takes its place
        sink.complete().unwrap();
        assert_eq!(alias_is_on(&server), ["things-000002"]);
        assert_eq!(seen(&server).into_keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}

#[test]
fn a_document_that_the_index_refuses_which_is_filled_ends_the_rebuild() {
    let server = SearchServer::start(no_faults());
    filled(&server);
    let mut sink = rebuild(&server, &identity());
    server.model().indexes.get_mut("things-000002").unwrap().refuses = Some("c".to_owned());
    let given = sink.apply(three()).and_then(|_| sink.finish());
    let told = refused(given);
    assert!(matches!(&told, ElasticsearchError::BadDocument { id, .. } if id == "c"), "{told}");
    drop(sink);
    assert_eq!(alias_is_on(&server), ["things-000001"]);
    assert_eq!(seen(&server).into_keys().collect::<Vec<_>>(), ["a", "b", "c"], "it is no older than without");

    // And it can be run again.
    let mut sink = rebuild(&server, &identity());
    sink.apply(three()).unwrap();
    sink.finish().unwrap();
    sink.complete().unwrap();
    assert_eq!(alias_is_on(&server), ["things-000002"]);
}

#[test]
fn an_alias_that_is_nowhere_is_put_on_the_first_index() {
    let server = SearchServer::start(no_faults());
    let mut sink = ElasticsearchSink::rebuild(options(&server)).unwrap();
    Engine::replay(ConversationSearch::default(), Log::file(LOG)).run(&mut sink).unwrap();
    sink.complete().unwrap();
    assert_eq!(server.model().seen(ALIAS).len(), 884);
}
