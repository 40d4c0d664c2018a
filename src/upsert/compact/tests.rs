//! What is left folds to the same rows, and hands on the same rows, as all changes do.

use super::super::fold::{Fold, Folded};
use super::super::tests::{Note, OMITTED, note};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What is done to a key, before it has a rank.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Update,
    /// An update that leaves its value out.
    Omitting,
    Delete,
    /// The first half of a key change.
    Leave,
    /// The second half of one, with or without its value.
    Arrive(bool),
    /// A row that came too late for its transaction.
    Late(bool),
    Truncate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Create),
        5 => Just(Step::Update),
        2 => Just(Step::Omitting),
        2 => Just(Step::Delete),
        1 => Just(Step::Leave),
        1 => any::<bool>().prop_map(Step::Arrive),
        1 => any::<bool>().prop_map(Step::Late),
        1 => Just(Step::Truncate),
    ]
}

/// Steps of three keys in the order of their partitions; which of them come again and how much later; and keys with a row
/// of an incremental snapshot, at some offset.
type Time = (Vec<(u64, Step)>, Vec<(usize, usize)>, Vec<(u64, u64)>);

fn time() -> impl Strategy<Value = Time> {
    let steps = proptest::collection::vec((0..3u64, step()), 1..60);
    let again = proptest::collection::vec((0..60usize, 0..20usize), 0..6);
    let incremental = prop_oneof![2 => Just(Vec::new()), 1 => proptest::collection::vec((0..3u64, 0..120u64), 1..3)];
    (steps, again, incremental)
}

/// The changes as they come to the owner of the keys.
fn changes((steps, again, incremental): &Time) -> Vec<Change<Note>> {
    let mut late = Vec::new();
    let mut changes: Vec<(usize, Change<Note>)> = Vec::new();
    for (at, (key, step)) in steps.iter().enumerate() {
        let (key, lsn) = (*key, at as u64 + 1);
        let text = note(&format!("{at}"));
        let value = |whole: bool| if whole { text.clone() } else { OMITTED };
        let (op, body) = match step {
            Step::Create => (Op::Create, Body::Put { row: value(true), from: None }),
            Step::Update => (Op::Update, Body::Put { row: value(true), from: None }),
            Step::Omitting => (Op::Update, Body::Put { row: OMITTED, from: None }),
            Step::Delete => (Op::Delete, Body::Delete { to: None }),
            Step::Leave => (Op::Delete, Body::Delete { to: Some(key + 10) }),
            Step::Arrive(whole) => (Op::Create, Body::Put { row: value(*whole), from: Some(key + 10) }),
            Step::Late(whole) => {
                let rank = Rank { lsn: Lsn(0), op: Op::Truncate, offset: lsn };
                late.push(Change::Row { key, rank, body: Body::Put { row: value(*whole), from: None } });
                continue;
            }
            Step::Truncate => {
                let rank = Rank { lsn: Lsn(lsn), op: Op::Truncate, offset: lsn };
                changes.push((at, Change::Truncate { worker: 0, rank }));
                continue;
            }
        };
        let rank = Rank { lsn: Lsn(lsn), op, offset: lsn * 2 };
        let change = Change::Row { key, rank, body };
        if let Some((_, later)) = again.iter().find(|(which, _)| *which == at) {
            let mut copy = change.clone();
            if let Change::Row { rank, .. } = &mut copy {
                rank.offset += 1_000;
            }
            changes.push((at + later, copy));
        }
        changes.push((at, change));
    }
    // Truncates are of other partitions, but a change is never behind one that comes after it in its own.
    changes.sort_by_key(|(at, _)| *at);
    let snapshot = incremental.iter().map(|(key, offset)| Change::Incremental {
        key: *key,
        offset: offset * 2 + 1,
        row: note(&format!("incremental {offset}")),
    });
    late.into_iter().chain(snapshot).chain(changes.into_iter().map(|(_, change)| change)).collect()
}

/// What a fold of each key comes to: its row, and the rows that it hands on and asks for.
type Outcome = BTreeMap<u64, (Option<Note>, Vec<String>)>;

fn fold(changes: Vec<Change<Note>>) -> (Outcome, u64) {
    type OfKey = (Vec<(Rank, Body<Note>)>, Vec<(u64, Note)>);
    let mut keys: BTreeMap<u64, OfKey> = BTreeMap::new();
    let mut truncates = Vec::new();
    for change in changes {
        match change {
            Change::Row { key, rank, body } => keys.entry(key).or_default().0.push((rank, body)),
            Change::Incremental { key, offset, row } => keys.entry(key).or_default().1.push((offset, row)),
            Change::Truncate { rank, .. } => truncates.push(rank),
            Change::Repair { .. } | Change::Due { .. } => {}
        }
    }
    let mut copies = 0;
    let outcome = keys.into_iter().map(|(key, (mut changes, incremental))| {
        changes.extend(truncates.iter().map(|rank| (*rank, Body::Truncate)));
        let mut fold = Fold::new(Some(note("before")), changes, incremental);
        let (mut handed_on, mut asked) = (Vec::new(), Vec::new());
        let folded = fold.run(
            |from, lsn| {
                asked.push(format!("asks {from} at {lsn}"));
                Some(Some(note(&format!("{from} at {lsn}"))))
            },
            |to, lsn, row| handed_on.push(format!("{to} at {lsn}: {row:?}")),
        );
        assert_eq!(folded, Folded::Done);
        copies += fold.copies;
        handed_on.extend(asked);
        (key, (fold.current, handed_on))
    });
    (outcome.collect(), copies)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_left_folds_like_all(time in time(), from in 0..2_000usize) {
        let changes = changes(&time);
        let (all, copies_of_all) = fold(changes.clone());
        let (mut staged, mut compaction, mut copies) = (Staged::default(), Compaction::new(from), 0);
        for change in changes {
            let due = compaction.is_due(change.bytes());
            staged.append(&mut vec![(change, 1)]);
            if due {
                copies += compaction.compact(&mut staged);
            }
        }
        let (left, copies_left) = fold(into_changes(staged));
        prop_assert_eq!(left, all);
        prop_assert!(copies + copies_left <= copies_of_all);
    }
}

fn into_changes(staged: Staged<(Change<Note>, crate::time::Time)>) -> Vec<Change<Note>> {
    staged.iter().map(|(change, _)| change.clone()).collect()
}

fn update(key: u64, lsn: u64) -> Change<Note> {
    let rank = Rank { lsn: Lsn(lsn), op: Op::Update, offset: lsn };
    Change::Row { key, rank, body: Body::Put { row: note("value"), from: None } }
}

#[test]
fn rows_that_are_written_over_and_over_take_no_more_room() {
    let (mut staged, mut compaction) = (Staged::default(), Compaction::new(10_000));
    for lsn in 1..100_000 {
        let change = update(lsn % 10, lsn);
        let due = compaction.is_due(change.bytes());
        staged.append(&mut vec![(change, lsn % 3)]);
        if due {
            compaction.compact(&mut staged);
        }
        assert!(staged.len() <= 10_000 / size_of::<Change<Note>>() + 1, "{} changes", staged.len());
    }
    let mut changes = into_changes(staged);
    compact(&mut changes);
    assert_eq!(changes.len(), 10);
}

#[test]
fn a_row_that_came_and_went_leaves_its_delete() {
    let create = Rank { lsn: Lsn(1), op: Op::Create, offset: 1 };
    let delete = Rank { lsn: Lsn(3), op: Op::Delete, offset: 3 };
    let mut changes = vec![
        Change::Row { key: 7, rank: create, body: Body::Put { row: note("value"), from: None } },
        update(7, 2),
        Change::Row { key: 7, rank: delete, body: Body::Delete { to: None } },
    ];
    assert_eq!(compact(&mut changes), 0);
    assert!(matches!(changes.as_slice(), [Change::Row { body: Body::Delete { to: None }, .. }]), "{changes:?}");
}
