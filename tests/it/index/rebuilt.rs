//! An index that another takes the place of: whole, in one step, and however often that is broken off.

use super::*;
use deltaic::{Rebuild, SinkError};
use std::collections::BTreeSet;

fn rebuild(dir: &Path) -> Rebuild<TantivySink> {
    TantivySink::rebuild(dir, IndexOptions::default()).unwrap()
}

/// Rebuilds from the whole log.
fn rebuilt(view: ConversationSearch, dir: &Path) {
    let mut sink = rebuild(dir);
    Replay::of(&podium()).engine(view).run(&mut sink).unwrap();
    sink.complete().unwrap();
}

fn names(dir: &Path) -> BTreeSet<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_index_is_replaced_by_one_that_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    fill(wide(), Replay::of(&podium()).until(Some(Lsn(121_000_000))), dir.path(), EACH).unwrap();
    let before = Index::open(dir.path()).unwrap().snapshot();
    let (documents, shown) = (dumped(&before), before.lsn());
    rebuilt(wide(), dir.path());

    let after = Index::open(dir.path()).unwrap().snapshot();
    assert_eq!(dumped(&after), lines(wide(), Replay::of(&podium())));
    assert!(after.lsn() > shown);
    assert_eq!(names(dir.path()), ["CURRENT", "LOCK", "generation-2"].map(str::to_owned).into());
    assert_eq!(dumped(&before), documents, "who reads the one before still can");

    // It is continued as any other.
    let report = fill(wide(), Replay::of(&podium()), dir.path(), EACH).unwrap();
    assert!(report.nothing_new);
}

#[test]
fn an_index_of_something_else_or_a_damaged_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let plain = ConversationSearch::default();
    fill(plain.clone(), Replay::of(&podium()), dir.path(), EACH).unwrap();
    assert!(fill(wide(), Replay::of(&podium()), dir.path(), EACH).is_err());
    rebuilt(wide(), dir.path());
    let expected = lines(wide(), Replay::of(&podium()));
    assert_eq!(dumped(&Index::open(dir.path()).unwrap().snapshot()), expected);

    std::fs::write(dir.path().join("generation-2/meta.json"), "{").unwrap();
    assert!(TantivySink::open(dir.path(), EACH).is_err());
    rebuilt(wide(), dir.path());
    assert_eq!(dumped(&Index::open(dir.path()).unwrap().snapshot()), expected);

    std::fs::write(dir.path().join("CURRENT"), "nonsense").unwrap();
    rebuilt(wide(), dir.path());
    assert_eq!(dumped(&Index::open(dir.path()).unwrap().snapshot()), expected);
}

#[test]
fn a_rebuild_that_is_broken_off_leaves_the_index_and_can_be_run_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(wide(), Replay::of(&podium()), dir.path(), EACH).unwrap();
    let before = dumped(&Index::open(dir.path()).unwrap().snapshot());
    for until in [None, Some(Lsn(121_000_000))] {
        let mut sink = rebuild(dir.path());
        Replay::of(&podium()).until(until).engine(wide()).run(&mut sink).unwrap();
        if until.is_some() {
            let told = sink.complete();
            assert!(matches!(told, Err(SinkError::Behind { .. })), "{told:?}");
        }
        drop(sink);
        assert!(names(dir.path()).contains("generation-2.new"), "{:?}", names(dir.path()));
        assert_eq!(dumped(&Index::open(dir.path()).unwrap().snapshot()), before);
    }
    rebuilt(wide(), dir.path());
    assert_eq!(names(dir.path()), ["CURRENT", "LOCK", "generation-2"].map(str::to_owned).into());
    assert_eq!(dumped(&Index::open(dir.path()).unwrap().snapshot()), before);
}

#[test]
fn one_process_rebuilds() {
    let dir = tempfile::tempdir().unwrap();
    let _first = rebuild(dir.path());
    assert!(TantivySink::rebuild(dir.path(), EACH).is_err());
}
