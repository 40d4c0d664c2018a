//! The operators against their differential form: random changes, at 1, 2 and 4 workers, compared at every time. And each
//! by itself, change by change.

use super::*;
use crate::Time;
use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::input::InputSession;
use differential_dataflow::operators::arrange::upsert::arrange_from_upsert;
use differential_dataflow::trace::implementations::{ValBuilder, ValSpine};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use timely::dataflow::Stream;
use timely::dataflow::operators::vec::Map;

/// Small, so that rows meet.
type Small = u8;

/// So many keys at most; where there are few, rows meet more often.
const KEYS: Small = 80;

/// What a row is, by the side it is on: a member of a key, or the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Comes if it is not there, goes if it is.
    Member(Small, Small),
    /// The key's value is now this.
    Value(Small, Option<Small>),
}

fn change(keys: Small) -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..keys, 0..48u8).prop_map(|(key, member)| Change::Member(key, member)),
        (0..keys, proptest::option::of(0..3u8)).prop_map(|(key, value)| Change::Value(key, value)),
    ]
}

/// The changes of each time.
fn history() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let of_keys = |(keys, most)| proptest::collection::vec(proptest::collection::vec(change(keys), 0..most), 1..8);
    prop_oneof![Just((4, 40)), Just((KEYS, 200))].prop_flat_map(of_keys)
}

/// As differences, each with its time: `(key, member)` and `(key, value)`; and as what values become.
#[derive(Clone, Default)]
struct Rows {
    many: Seen<(Small, Small)>,
    one: Seen<(Small, Small)>,
    becomes: Seen<(Small, Option<Small>)>,
}

fn differences(history: &[Vec<Change>]) -> Rows {
    let (mut members, mut values) = (BTreeSet::new(), [None; KEYS as usize]);
    let mut rows = Rows::default();
    for (time, changes) in history.iter().enumerate() {
        let time = time as Time;
        for change in changes {
            match *change {
                Change::Member(key, member) => {
                    let goes = members.remove(&(key, member));
                    if !goes {
                        members.insert((key, member));
                    }
                    rows.many.push(((key, member), time, if goes { -1 } else { 1 }));
                }
                Change::Value(key, value) => {
                    let before = std::mem::replace(&mut values[usize::from(key)], value);
                    rows.one.extend(before.map(|before| ((key, before), time, -1)));
                    rows.one.extend(value.map(|value| ((key, value), time, 1)));
                    rows.becomes.push(((key, value), time, 1));
                }
            }
        }
    }
    rows
}

type Seen<T> = Vec<(T, Time, isize)>;

/// Rows of one kind by key.
type Pairs<'scope, T> = VecCollection<'scope, Time, (Small, T)>;

/// A dataflow over members, values and what values become.
type Build<T> = for<'scope> fn(
    Pairs<'scope, Small>,
    Pairs<'scope, Small>,
    Pairs<'scope, Option<Small>>,
) -> VecCollection<'scope, Time, T>;

/// Runs `build` over the rows; several times are complete at once where `together` says so.
fn run<T: ExchangeData>(rows: &Rows, workers: usize, together: usize, build: Build<T>) -> Seen<T> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sink, rows) = (Arc::clone(&seen), rows.clone());
    timely::execute(timely::Config::process(workers), move |worker| {
        let (mut many, mut one, mut becomes) = (InputSession::new(), InputSession::new(), InputSession::new());
        let sink = Arc::clone(&sink);
        worker.dataflow::<Time, _, _>(|scope| {
            build(many.to_collection(scope), one.to_collection(scope), becomes.to_collection(scope))
                .inspect(move |difference| sink.lock().unwrap().push(difference.clone()));
        });
        let (index, peers) = (worker.index(), worker.peers());
        for time in 0..8 {
            feed(&rows.many, &mut many, time, index, peers);
            feed(&rows.one, &mut one, time, index, peers);
            feed(&rows.becomes, &mut becomes, time, index, peers);
            if (time as usize + 1).is_multiple_of(together) {
                for input in [&mut many, &mut one] {
                    input.advance_to(time + 1);
                    input.flush();
                }
                becomes.advance_to(time + 1);
                becomes.flush();
                worker.step();
            }
        }
    })
    .unwrap();
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    consolidate_updates(&mut seen);
    seen
}

/// Hands in a worker's share of the rows of `time`.
fn feed<T: ExchangeData>(
    rows: &Seen<T>,
    to: &mut InputSession<Time, T, isize>,
    time: Time,
    index: usize,
    peers: usize,
) {
    let of_time = rows.iter().filter(|(_, other, _)| *other == time).enumerate();
    for (_, (row, _, diff)) in of_time.filter(|(at, _)| at % peers == index) {
        to.update_at(row.clone(), time, *diff);
    }
}

/// Rows in a state of their own, of which the greatest two and their number are shown.
#[derive(Default)]
struct Greatest(BTreeSet<Small>);

type Shown = (Small, Option<Small>, u64);

impl Group for Greatest {
    type Row = Small;
    type View = Shown;

    fn update(&mut self, row: Small, diff: isize) {
        let changed = if diff > 0 { self.0.insert(row) } else { self.0.remove(&row) };
        assert!(changed, "a row stands at most once");
    }

    fn view(&self) -> Option<Shown> {
        let mut greatest = self.0.iter().rev().copied();
        Some((greatest.next()?, greatest.next(), self.0.len() as u64))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As [`upsert`] takes them.
fn changes(becomes: Pairs<'_, Option<Small>>) -> Stream<'_, Time, Vec<KeyChange<Small, Small>>> {
    becomes.inner.map(|(change, time, _)| (change, time))
}

/// [`upsert`] in differential dataflow.
fn arranged(becomes: Pairs<'_, Option<Small>>) -> Pairs<'_, Small> {
    let changes = becomes.inner.map(|((key, value), time, _)| (key, value, time));
    arrange_from_upsert::<ValBuilder<Small, Small, Time, isize>, ValSpine<Small, Small, Time, isize>, _, _>(
        changes, "test",
    )
    .as_collection(|key, value| (*key, *value))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn upsert_is_an_arrangement_of_upserts(history in history(), together in 1..4usize) {
        let rows = differences(&history);
        let expected = run(&rows, 1, 1, |_, _, becomes| arranged(becomes));
        for workers in [1, 2, 4] {
            let found = run(&rows, workers, together, |_, _, becomes| upsert("test", changes(becomes)));
            prop_assert_eq!(&found, &expected, "{} workers", workers);
        }
    }

    #[test]
    fn attach_is_a_join(history in history(), together in 1..4usize) {
        let rows = differences(&history);
        let expected = run(&rows, 1, 1, |many, one, _| many.join_map(one, |key, member, value| (*key, *member, *value)));
        for workers in [1, 2, 4] {
            let found = run(&rows, workers, together, |many, one, _| attach("test", many, one));
            prop_assert_eq!(&found, &expected, "{} workers", workers);
        }
    }

    #[test]
    fn fold_is_a_reduce(history in history(), together in 1..4usize) {
        let rows = differences(&history);
        let expected = run(&rows, 1, 1, |many, _, _| {
            many.reduce(|_, rows, shown| {
                let mut group = Greatest::default();
                rows.iter().for_each(|(row, _)| group.update(**row, 1));
                shown.extend(group.view().map(|view| (view, 1)));
            })
        });
        for workers in [1, 2, 4] {
            let found = run(&rows, workers, together, |many, _, _| {
                let even = many.clone().filter(|(_, member)| member % 2 == 0);
                let odd = many.filter(|(_, member)| member % 2 != 0);
                fold::<Small, Greatest, _>("test", [even, odd])
            });
            prop_assert_eq!(&found, &expected, "{} workers", workers);
        }
    }
}

/// Checks the differences of each time, given as `(time, row, diff)`, at 1, 2 and 4 workers.
fn check<T: ExchangeData>(history: &[Vec<Change>], build: Build<T>, expected: &[(Time, T, isize)]) {
    let mut expected: Seen<T> = expected.iter().map(|(time, row, diff)| (row.clone(), *time, *diff)).collect();
    expected.sort();
    for workers in [1, 2, 4] {
        assert_eq!(run(&differences(history), workers, 1, build), expected, "{workers} workers");
    }
}

use self::Change::{Member, Value};

#[test]
fn a_key_has_the_row_that_it_became() {
    let history = [
        vec![Value(1, Some(7)), Value(2, Some(7))],
        // The same again; another.
        vec![Value(1, Some(7)), Value(2, Some(8))],
        // Gone; gone without having been there.
        vec![Value(1, None), Value(3, None)],
        // Of several the greatest.
        vec![Value(2, None), Value(2, Some(6)), Value(2, Some(5))],
    ];
    let expected = [
        (0, (1, 7), 1),
        (0, (2, 7), 1),
        (1, (2, 7), -1),
        (1, (2, 8), 1),
        (2, (1, 7), -1),
        (3, (2, 8), -1),
        (3, (2, 6), 1),
    ];
    check(&history, |_, _, becomes| upsert("test", changes(becomes)), &expected);
}

#[test]
fn members_come_and_go_with_the_value_of_their_key() {
    let history = [
        // No value yet.
        vec![Member(1, 10), Member(1, 11)],
        vec![Value(1, Some(5))],
        // A member goes and the value changes, in one time.
        vec![Member(1, 10), Value(1, Some(6)), Member(1, 12)],
        vec![Value(1, None)],
        vec![Member(1, 11)],
    ];
    let expected = [
        (1, (1, 10, 5), 1),
        (1, (1, 11, 5), 1),
        (2, (1, 10, 5), -1),
        (2, (1, 11, 5), -1),
        (2, (1, 11, 6), 1),
        (2, (1, 12, 6), 1),
        (3, (1, 11, 6), -1),
        (3, (1, 12, 6), -1),
    ];
    check(&history, |many, one, _| attach("test", many, one), &expected);
}

#[test]
fn a_group_shows_what_its_rows_make_of_it() {
    let history = [
        vec![Member(1, 10), Member(1, 12), Member(2, 1)],
        // Comes and goes in one time; nothing is to be seen of it.
        vec![Member(1, 11), Member(1, 11)],
        vec![Member(1, 12), Member(1, 11)],
        vec![Member(1, 10), Member(1, 11), Member(2, 1)],
    ];
    let (both, after) = ((1, (12, Some(10), 2)), (1, (11, Some(10), 2)));
    let alone = (2, (1, None, 1));
    let expected = [(0, both, 1), (0, alone, 1), (2, both, -1), (2, after, 1), (3, after, -1), (3, alone, -1)];
    check(&history, |many, _, _| fold::<Small, Greatest, _>("test", [many]), &expected);
}
