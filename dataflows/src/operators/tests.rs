//! The operators against their differential form: random changes, at 1, 2 and 4 workers, compared at every time.

use super::*;
use crate::Time;
use differential_dataflow::VecCollection;
use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::input::InputSession;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Small, so that rows meet.
type Small = u8;

/// What a row is, by the side it is on: a member of a key, or the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Comes if it is not there, goes if it is.
    Member(Small, Small),
    /// The key's value is now this.
    Value(Small, Option<Small>),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..4u8, 0..48u8).prop_map(|(key, member)| Change::Member(key, member)),
        (0..4u8, proptest::option::of(0..3u8)).prop_map(|(key, value)| Change::Value(key, value)),
    ]
}

/// The changes of each time.
fn history() -> impl Strategy<Value = Vec<Vec<Change>>> {
    proptest::collection::vec(proptest::collection::vec(change(), 0..40), 1..8)
}

/// As differences: `(key, member)` and `(key, value)`, each with its time.
type Differences = (Vec<((Small, Small), Time, isize)>, Vec<((Small, Small), Time, isize)>);

fn differences(history: &[Vec<Change>]) -> Differences {
    let (mut members, mut values) = (BTreeSet::new(), [None; 4]);
    let (mut many, mut one) = (Vec::new(), Vec::new());
    for (time, changes) in history.iter().enumerate() {
        let time = time as Time;
        for change in changes {
            match *change {
                Change::Member(key, member) => {
                    let goes = members.remove(&(key, member));
                    if !goes {
                        members.insert((key, member));
                    }
                    many.push(((key, member), time, if goes { -1 } else { 1 }));
                }
                Change::Value(key, value) => {
                    let before = std::mem::replace(&mut values[usize::from(key)], value);
                    one.extend(before.map(|before| ((key, before), time, -1)));
                    one.extend(value.map(|value| ((key, value), time, 1)));
                }
            }
        }
    }
    (many, one)
}

type Seen<T> = Vec<(T, Time, isize)>;

/// Members or values by key.
type Pairs<'scope> = VecCollection<'scope, Time, (Small, Small)>;

/// A dataflow over members and values.
type Build<T> = for<'scope> fn(Pairs<'scope>, Pairs<'scope>) -> VecCollection<'scope, Time, T>;

/// Runs `build` over the differences; several times are complete at once where `together` says so.
fn run<T: ExchangeData>(differences: &Differences, workers: usize, together: usize, build: Build<T>) -> Seen<T> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (sink, differences) = (Arc::clone(&seen), differences.clone());
    timely::execute(timely::Config::process(workers), move |worker| {
        let mut many = InputSession::<Time, (Small, Small), isize>::new();
        let mut one = InputSession::<Time, (Small, Small), isize>::new();
        let sink = Arc::clone(&sink);
        worker.dataflow::<Time, _, _>(|scope| {
            build(many.to_collection(scope), one.to_collection(scope))
                .inspect(move |difference| sink.lock().unwrap().push(difference.clone()));
        });
        let (index, peers) = (worker.index(), worker.peers());
        let mine = |at: &usize| at % peers == index;
        for time in 0..8 {
            let of = |all: &[((Small, Small), Time, isize)], to: &mut InputSession<Time, (Small, Small), isize>| {
                for (at, (row, _, diff)) in all.iter().filter(|(_, t, _)| *t == time).enumerate() {
                    if mine(&at) {
                        to.update_at(*row, time, *diff);
                    }
                }
            };
            of(&differences.0, &mut many);
            of(&differences.1, &mut one);
            if (time as usize + 1).is_multiple_of(together) {
                for input in [&mut many, &mut one] {
                    input.advance_to(time + 1);
                    input.flush();
                }
                worker.step();
            }
        }
    })
    .unwrap();
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    consolidate_updates(&mut seen);
    seen
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn attach_is_a_join(history in history(), together in 1..4usize) {
        let differences = differences(&history);
        let expected = run(&differences, 1, 1, |many, one| many.join_map(one, |key, member, value| (*key, *member, *value)));
        for workers in [1, 2, 4] {
            let found = run(&differences, workers, together, |many, one| attach("test", many, one));
            prop_assert_eq!(&found, &expected, "{} workers", workers);
        }
    }

    #[test]
    fn fold_is_a_reduce(history in history(), together in 1..4usize) {
        let differences = differences(&history);
        let expected = run(&differences, 1, 1, |many, _| {
            many.reduce(|_, rows, shown| {
                let mut group = Greatest::default();
                rows.iter().for_each(|(row, _)| group.update(**row, 1));
                shown.extend(group.view().map(|view| (view, 1)));
            })
        });
        for workers in [1, 2, 4] {
            let found = run(&differences, workers, together, |many, _| fold::<Small, Greatest>("test", many));
            prop_assert_eq!(&found, &expected, "{} workers", workers);
        }
    }
}
