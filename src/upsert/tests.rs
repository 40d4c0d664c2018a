//! The operator by itself, at several workers, with keys pinned to workers of their own.

use super::*;
use crate::envelope::{Body, Op};
use crate::hold::{Change, Rank};
use crate::time::{Lsn, Time};
use dataflows::operators::route;
use dataflows::{BadValue, Row, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use timely::dataflow::operators::vec::UnorderedInput;

/// A row with one value that a record may omit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Note(pub(super) Value);

impl Row for Note {
    type Key = u64;

    fn read_key(values: &mut [Value]) -> Result<u64, BadValue> {
        values[0].take_integer("id").map(|id| id as u64)
    }

    fn read(values: &mut [Value]) -> Result<Note, BadValue> {
        Ok(Note(std::mem::take(&mut values[0])))
    }

    fn is_whole(&self) -> bool {
        self.0 != Value::Unknown
    }

    fn fill(&mut self, stored: &Note) {
        if !self.is_whole() {
            *self = stored.clone();
        }
    }
}

#[derive(Clone, Default)]
struct Seen {
    unresolved: Arc<Mutex<Vec<(String, Time)>>>,
    copies: Arc<Mutex<u64>>,
}

impl UpsertMonitor for Seen {
    fn copies(&self, count: u64) {
        *self.copies.lock().unwrap() += count;
    }

    fn unresolved(&self, key: String, time: Time) {
        self.unresolved.lock().unwrap().push((key, time));
    }
}

pub(super) fn note(text: &str) -> Note {
    Note(Value::Text(text.into()))
}

/// Changes come here in any order, which compaction does not take.
const COMPACT_FROM: usize = usize::MAX;

pub(super) const OMITTED: Note = Note(Value::Unknown);

fn change(key: u64, lsn: u64, op: Op, body: Body<Note>) -> Change<Note> {
    Change::Row { key, rank: Rank { lsn: Lsn(lsn), op, offset: lsn }, body }
}

fn create(key: u64, lsn: u64, row: Note) -> Change<Note> {
    change(key, lsn, Op::Create, Body::Put { row, from: None })
}

fn update(key: u64, lsn: u64, row: Note) -> Change<Note> {
    change(key, lsn, Op::Update, Body::Put { row, from: None })
}

fn delete(key: u64, lsn: u64) -> Change<Note> {
    change(key, lsn, Op::Delete, Body::Delete { to: None })
}

/// The two halves of a key change that leaves the value out.
fn rekey(from: u64, to: u64, lsn: u64) -> [Change<Note>; 2] {
    [
        change(from, lsn, Op::Delete, Body::Delete { to: Some(to) }),
        change(to, lsn, Op::Create, Body::Put { row: OMITTED, from: Some(from) }),
    ]
}

/// Runs the operator over changes per time; answers with the rows after each time.
fn run(times: &[Vec<Change<Note>>], workers: usize, may_omit: bool, seen: &Seen) -> Vec<BTreeMap<u64, String>> {
    let diffs = Arc::new(Mutex::new(Vec::new()));
    let (times, count, out, seen) = (times.to_vec(), times.len(), Arc::clone(&diffs), seen.clone());
    timely::execute(timely::Config::process(workers), move |worker| {
        let (out, seen) = (Arc::clone(&out), seen.clone());
        let ((mut input, mut capability), probe) = worker.dataflow::<Time, _, _>(|scope| {
            let (input, changes) = scope.new_unordered_input::<(Change<Note>, Time)>();
            let rows = upsert(changes, "notes", may_omit, COMPACT_FROM, seen);
            let (probe, _) =
                rows.inspect(move |(row, time, diff)| out.lock().unwrap().push((row.clone(), *time, *diff))).probe();
            (input, probe)
        });
        // Every worker hands in its share, in an order of its own, all times at once.
        let (index, peers) = (worker.index(), worker.peers());
        for (time, changes) in times.iter().enumerate().rev() {
            let own = changes.iter().enumerate().filter(|(at, _)| at % peers == index);
            let now = capability.delayed(&(time as Time));
            let mut activated = input.activate();
            activated.session(&now).give_iterator(own.map(|(_, change)| (change.clone(), time as Time)));
        }
        capability.downgrade(&(times.len() as Time));
        drop(capability);
        drop(input);
        while !probe.done() {
            worker.step();
        }
    })
    .unwrap();
    let mut diffs = diffs.lock().unwrap().clone();
    differential_dataflow::consolidation::consolidate_updates(&mut diffs);
    (0..count as Time).map(|last| rows_at(&diffs, last)).collect()
}

fn rows_at(diffs: &[((u64, Note), Time, isize)], last: Time) -> BTreeMap<u64, String> {
    let mut rows: BTreeMap<(u64, Note), isize> = BTreeMap::new();
    for (row, _, diff) in diffs.iter().filter(|(_, time, _)| *time <= last) {
        *rows.entry(row.clone()).or_default() += diff;
    }
    let mut standing = BTreeMap::new();
    for ((key, row), count) in rows.into_iter().filter(|(_, count)| *count != 0) {
        assert_eq!(count, 1, "a key has one row");
        let text = match row.0 {
            Value::Text(text) => text.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(standing.insert(key, text), None, "a key has one row");
    }
    standing
}

/// Three keys that live on different workers, of 2 (as far as there are) and of 4.
fn keys_apart() -> [u64; 3] {
    let a = 1u64;
    let b = (2..).find(|key: &u64| route(key) % 2 != route(&a) % 2).unwrap();
    let apart = |key: &u64| route(key) % 2 == route(&a) % 2 && route(key) % 4 != route(&a) % 4;
    let c = (2..).find(apart).unwrap();
    assert!(route(&a) % 4 != route(&b) % 4 && route(&b) % 4 != route(&c) % 4);
    [a, b, c]
}

fn check(times: &[Vec<Change<Note>>], expected: &[&[(u64, &str)]]) {
    for workers in [1, 2, 4] {
        let seen = Seen::default();
        let found = run(times, workers, true, &seen);
        let expected: Vec<BTreeMap<u64, String>> =
            expected.iter().map(|rows| rows.iter().map(|(key, text)| (*key, (*text).to_owned())).collect()).collect();
        assert_eq!(found, expected, "{workers} workers");
        assert_eq!(*seen.unresolved.lock().unwrap(), [], "{workers} workers");
    }
}

/// Whether the same changes give the same rows when no row is ever forwarded.
fn forwarding_is_needed(times: &[Vec<Change<Note>>]) {
    for workers in [2, 4] {
        let (with, without) = (Seen::default(), Seen::default());
        let right = run(times, workers, true, &with);
        assert_ne!(run(times, workers, false, &without), right, "{workers} workers");
        assert!(!without.unresolved.lock().unwrap().is_empty());
    }
}

#[test]
fn a_changed_key_keeps_its_omitted_value() {
    let [a, b, _] = keys_apart();
    let times = [vec![create(a, 1, note("one"))], rekey(a, b, 2).to_vec()];
    check(&times, &[&[(a, "one")], &[(b, "one")]]);
    forwarding_is_needed(&times);
}

#[test]
fn a_chain_inside_one_transaction_hands_the_value_on() {
    let [a, b, c] = keys_apart();
    let chain: Vec<_> = rekey(a, b, 2).into_iter().chain(rekey(b, c, 3)).collect();
    let times = [vec![create(a, 1, note("one"))], chain.into_iter().rev().collect()];
    check(&times, &[&[(a, "one")], &[(c, "one")]]);
    forwarding_is_needed(&times);
}

#[test]
fn a_chain_over_consecutive_transactions_hands_the_value_on() {
    let [a, b, c] = keys_apart();
    let times =
        [vec![create(a, 1, note("one"))], rekey(a, b, 2).to_vec(), rekey(b, c, 3).to_vec(), rekey(c, a, 4).to_vec()];
    check(&times, &[&[(a, "one")], &[(b, "one")], &[(c, "one")], &[(a, "one")]]);
    forwarding_is_needed(&times);
}

#[test]
fn a_swap_in_one_statement_exchanges_the_values() {
    // GIVEN rows under two keys, WHEN one statement swaps the keys, so that B is created while its older row still stands
    let [a, b, _] = keys_apart();
    let swap: Vec<_> = rekey(a, b, 3).into_iter().chain(rekey(b, a, 4)).collect();
    let times = [vec![create(a, 1, note("one")), create(b, 2, note("two"))], swap];
    // THEN each value stands under the other key.
    check(&times, &[&[(a, "one"), (b, "two")], &[(a, "two"), (b, "one")]]);
    forwarding_is_needed(&times);
}

#[test]
fn a_cycle_of_three_turns_all_values() {
    let [a, b, c] = keys_apart();
    let cycle: Vec<_> = rekey(a, b, 4).into_iter().chain(rekey(b, c, 5)).chain(rekey(c, a, 6)).collect();
    let rows = vec![create(a, 1, note("one")), create(b, 2, note("two")), create(c, 3, note("three"))];
    check(&[rows, cycle], &[&[(a, "one"), (b, "two"), (c, "three")], &[(a, "three"), (b, "one"), (c, "two")]]);
}

#[test]
fn changes_around_a_key_change_are_seen_by_it() {
    let [a, b, _] = keys_apart();
    let mut changes = vec![update(a, 2, note("new"))];
    changes.extend(rekey(a, b, 3));
    changes.push(update(b, 4, OMITTED));
    check(&[vec![create(a, 1, note("old"))], changes], &[&[(a, "old")], &[(b, "new")]]);
}

#[test]
fn the_last_change_of_a_key_wins_whatever_arrives_last() {
    check(
        &[vec![delete(1, 3), create(1, 4, note("again")), create(1, 1, note("first")), update(1, 2, note("second"))]],
        &[&[(1, "again")]],
    );
    check(&[vec![create(1, 1, note("x"))], vec![update(1, 2, note("y")), delete(1, 3)]], &[&[(1, "x")], &[]]);
}

#[test]
fn many_keys_at_once_are_each_changed() {
    // GIVEN rows of many keys, WHEN one time changes some, takes others, and one of them twice
    let rows = (0..80).map(|key| create(key, key, note("old"))).collect();
    let changed = (0..80).step_by(2).map(|key| update(key, 100 + key, note("new")));
    let gone = (0..80).skip(1).step_by(4).map(|key| delete(key, 100 + key));
    let changes = changed.chain(gone).chain([update(4, 300, note("newest"))]).collect();
    // THEN each stands as the last change of its own key left it.
    let text = |key| match key {
        4 => "newest",
        key if key % 2 == 0 => "new",
        _ => "old",
    };
    let before: Vec<(u64, &str)> = (0..80).map(|key| (key, "old")).collect();
    let after: Vec<(u64, &str)> = (0..80).filter(|key| key % 4 != 1).map(|key| (key, text(key))).collect();
    check(&[rows, changes], &[&before, &after]);
}

#[test]
fn rows_forwarded_for_a_time_are_forgotten_with_it() {
    let mut upsert = owned::Upsert::<Note, _>::new(Seen::default(), COMPACT_FROM);
    for (time, from, to) in [(0, 1, 2), (1, 3, 4)] {
        // A whole row needs nothing of what is sent to it.
        let create = change(to, 5, Op::Create, Body::Put { row: note("whole"), from: Some(from) });
        upsert.stage(&mut vec![(create, time)]);
        upsert.keep(fold::Forward { to, from, lsn: Lsn(5), row: None });
        upsert.start(time, &mut owned::Out::default());
        assert!(upsert.keeps_nothing());
    }
}

#[test]
fn copies_of_a_change_fold_to_one() {
    let seen = Seen::default();
    run(&[vec![create(1, 1, note("x")), create(1, 1, note("x")), create(1, 1, note("x"))]], 2, true, &seen);
    assert_eq!(*seen.copies.lock().unwrap(), 2);
}

#[test]
fn a_truncate_takes_what_came_before_it_and_not_what_comes_after() {
    let truncate = |worker| Change::Truncate { worker, rank: Rank { lsn: Lsn(5), op: Op::Truncate, offset: 0 } };
    let mut second = vec![update(1, 4, note("before")), create(3, 6, note("after")), create(4, 4, note("before"))];
    second.extend((0..4).map(truncate));
    check(&[vec![create(1, 1, note("x")), create(2, 2, note("y"))], second], &[&[(1, "x"), (2, "y")], &[(3, "after")]]);
}

#[test]
fn an_incremental_row_ranks_by_its_offset() {
    let incremental = |offset| Change::Incremental { key: 1, offset, row: note("snapshot") };
    // The change at offset 7 stands behind the row of the snapshot, the one at offset 3 before it.
    check(&[vec![incremental(5), update(1, 7, note("stream"))]], &[&[(1, "stream")]]);
    check(&[vec![incremental(5), update(1, 3, note("stream"))]], &[&[(1, "snapshot")]]);
}

#[test]
fn a_repair_waits_and_gives_way_to_the_stream() {
    let repair = |key, text: &str| Change::Repair { key, offset: 1, row: note(text), ts_ms: 100 };
    let due = |commit_ms| (0..4).map(move |worker| Change::Due { worker, commit_ms }).collect::<Vec<_>>();
    let times = [
        vec![create(1, 1, note("stream")), create(2, 2, note("same"))],
        vec![repair(1, "ahead"), repair(2, "same"), repair(3, "lost")],
        [vec![update(1, 3, note("newer"))], due(100)].concat(),
        due(101),
    ];
    let before: &[(u64, &str)] = &[(1, "stream"), (2, "same")];
    check(&times, &[before, before, &[(1, "newer"), (2, "same")], &[(1, "newer"), (2, "same"), (3, "lost")]]);
}

#[test]
fn a_value_that_is_nowhere_stays_unknown_and_is_told() {
    let seen = Seen::default();
    let rows = run(&[vec![update(1, 1, OMITTED)], rekey(7, 8, 2).to_vec()], 2, true, &seen);
    assert_eq!(rows[1].values().collect::<Vec<_>>(), ["Unknown", "Unknown"]);
    let mut unresolved = seen.unresolved.lock().unwrap().clone();
    unresolved.sort();
    assert_eq!(unresolved, [("1".to_owned(), 0), ("8".to_owned(), 1)]);
}

/// What is told of rows whose values are unknown, in the order of times.
fn told(times: &[Vec<Change<Note>>], workers: usize) -> Vec<(u64, Time)> {
    let seen = Seen::default();
    run(times, workers, true, &seen);
    let mut told: Vec<(u64, Time)> =
        seen.unresolved.lock().unwrap().iter().map(|(key, time)| (key.parse().unwrap(), *time)).collect();
    told.sort_by_key(|(key, time)| (*time, *key));
    told
}

#[test]
fn a_key_that_takes_over_an_unknown_value_is_told_too() {
    let [a, b, c] = keys_apart();
    // GIVEN a key whose value is nowhere, WHEN its row moves on to other keys, alone and in one transaction
    let chain = [rekey(b, c, 3), rekey(c, a, 4)].concat();
    for workers in [1, 2, 4] {
        let told = told(&[vec![update(a, 1, OMITTED)], rekey(a, b, 2).to_vec(), chain.clone()], workers);
        // THEN each key at which it then stands is told: nothing else says that they are not exact.
        assert_eq!(told, [(a, 0), (b, 1), (a, 2)], "{workers} workers");
    }
}

#[test]
fn an_unknown_value_is_told_once_until_it_was_known_again() {
    let missing_again = change(1, 3, Op::Create, Body::Put { row: OMITTED, from: Some(9) });
    let times = [
        vec![update(1, 1, OMITTED)],
        vec![update(1, 2, OMITTED)],
        // Another row, which is not there either, takes the key.
        vec![missing_again],
        vec![update(1, 4, note("known"))],
        vec![update(1, 5, OMITTED)],
        vec![delete(1, 6)],
        vec![update(1, 7, OMITTED)],
    ];
    for workers in [1, 2, 4] {
        assert_eq!(told(&times, workers), [(1, 0), (1, 6)], "{workers} workers");
    }
}
