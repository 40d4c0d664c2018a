//! A reader beside the writer.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Reads until `done`, and at least once after; the LSNs that were seen.
fn follow(dir: &Path, states: &BTreeMap<u64, Documents>, done: &AtomicBool) -> BTreeSet<u64> {
    let index = loop {
        match Index::open(dir) {
            Ok(index) => break index,
            Err(deltaic::IndexError::Missing { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    };
    let (mut seen, mut last) = (BTreeSet::new(), None);
    loop {
        let ended = done.load(Relaxed);
        let snapshot = index.reload().unwrap();
        assert!(snapshot.lsn() >= last, "{:?} after {last:?}", snapshot.lsn());
        last = snapshot.lsn();
        if let Some(lsn) = last {
            let (_, expected) = states.range(..=lsn.0).next_back().expect("nothing is shown before the base");
            assert_eq!(documents(&snapshot), *expected, "at LSN {lsn}");
            assert_eq!(snapshot.documents(), expected.len() as u64);
            seen.insert(lsn.0);
        }
        if ended {
            return seen;
        }
    }
}

#[test]
fn a_reader_sees_only_what_was_true_and_never_goes_back() {
    let mut seen = 0;
    for seed in 3400..3403 {
        let (scenario, _file, options) = generated(seed, 150);
        let include = ["users.name", "users.bio", "conversations.subject"].map(str::to_owned).to_vec();
        let oracle = harness::Oracle::with_options(
            &scenario.history,
            harness::OracleOptions { include, ..harness::OracleOptions::default() },
        );
        let mut states: BTreeMap<u64, Documents> = oracle.states().collect();
        // The index names no LSN below Postgres's first.
        states.insert(0, oracle.at(0));
        let dir = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let readers = [(); 2].map(|()| scope.spawn(|| follow(dir.path(), &states, &done)));
            let report = fill(wide(), options.in_blocks(1_000).but(|options| options.workers = 2), dir.path(), EACH);
            done.store(true, Relaxed);
            let last = report.unwrap().exact_at.unwrap().0;
            for reader in readers {
                let lsns = reader.join().unwrap();
                assert_eq!(lsns.last(), Some(&last));
                seen += lsns.len();
            }
        });
    }
    assert!(seen > 60, "only {seen} states were seen");
}

/// A reader in the writer's own process need not ask when to load.
#[test]
fn the_sink_shows_its_last_commit() {
    let (scenario, _file, options) = generated(3510, 60);
    let dir = tempfile::tempdir().unwrap();
    for until in [Some(Lsn(scenario.history.commits[20].end_lsn)), None] {
        let mut sink = TantivySink::open(dir.path(), EACH).unwrap();
        let latest = sink.latest().unwrap();
        let before = latest.get().and_then(|snapshot| snapshot.lsn());
        assert_eq!(before.is_some(), until.is_none(), "the second run finds what the first left");
        let report = options.until(until).engine(wide()).run(&mut sink).unwrap();
        let snapshot = latest.get().unwrap();
        assert_eq!(snapshot.lsn(), report.exact_at);
        assert!(snapshot.lsn() > before);
    }
}

#[test]
fn a_reader_goes_where_current_names_and_never_back() {
    let (scenario, _file, options) = generated(3520, 60);
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let until = Some(Lsn(scenario.history.commits[20].end_lsn));
    fill(wide(), options.until(until), dir.path(), EACH).unwrap();
    let report = fill(wide(), options, other.path(), EACH).unwrap();
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.snapshot().lsn(), until);

    std::fs::rename(other.path().join("generation-1"), dir.path().join("generation-2")).unwrap();
    assert_eq!(index.reload().unwrap().lsn(), until, "nothing names it yet");
    let name = |generation: &str| std::fs::write(dir.path().join("CURRENT"), format!("{generation}\n")).unwrap();
    name("generation-2");
    assert_eq!(index.reload().unwrap().lsn(), report.exact_at);
    name("generation-1");
    assert_eq!(index.reload().unwrap().lsn(), report.exact_at, "never back");
    assert_eq!(Index::open(dir.path()).unwrap().snapshot().lsn(), until);
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let (_scenario, _file, options) = generated(3500, 60);
    let dir = tempfile::tempdir().unwrap();
    let until = Some(Lsn(_scenario.history.commits[20].end_lsn));
    fill(wide(), options.until(until), dir.path(), EACH).unwrap();
    let index = Index::open(dir.path()).unwrap();
    let held = index.snapshot();
    let before = documents(&held);
    fill(wide(), options, dir.path(), EACH).unwrap();
    let newest = index.reload().unwrap();
    assert_eq!((documents(&held), held.lsn()), (before, until));
    assert!(newest.lsn() > held.lsn() && newest.commit() > held.commit());
}
