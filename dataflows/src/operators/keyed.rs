//! The one operator below the others: rows by key, held until their time is complete, then all rows of a key at once.

use super::Key;
use super::hash::{place, route};
use super::prefetch::Ahead;
use super::staged::{ByPlace, Staged, clear};
use super::states::States;
use crate::Time;
use differential_dataflow::ExchangeData;
use differential_dataflow::consolidation::consolidate;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

/// What the changes of a key in one time do to its state.
pub(super) trait Logic<K, D>: 'static {
    /// What is kept of a key. A key of which the default is kept is forgotten.
    type State: Default + 'static;
    /// What comes of it.
    type Out: ExchangeData;

    /// Takes all changes of `key` in one time: no two are of one row, none is zero, and those that go stand first.
    fn change(
        &mut self,
        key: &K,
        state: &mut Self::State,
        changes: impl Iterator<Item = (D, isize)>,
        out: &mut impl FnMut(Self::Out, isize),
    );

    /// Whether nothing is kept of the key.
    fn is_idle(state: &Self::State) -> bool;

    /// Asks for what a change of this state will read: see [`prefetch`](super::prefetch()).
    fn prefetch(_state: &Self::State) {}
}

/// A difference of a row.
type Difference<T> = (T, Time, isize);

/// Differences of rows, each row with its key.
type KeyedRows<'scope, K, D> = Stream<'scope, Time, Vec<Difference<(K, D)>>>;

/// Runs `logic` over the rows of all `inputs`.
pub(super) fn keyed<'scope, K: Key, D: ExchangeData, L: Logic<K, D>, const N: usize>(
    name: String,
    inputs: [KeyedRows<'scope, K, D>; N],
    logic: L,
) -> Stream<'scope, Time, Vec<Difference<L::Out>>> {
    const { assert!(N > 0, "an operator has an input") };
    let scope = inputs.first().map(Stream::scope).expect("an operator has an input");
    let mut builder = OperatorBuilder::new(name, scope);
    let mut inputs =
        inputs.map(|rows| builder.new_input(rows, Exchange::new(|((key, _), _, _): &Difference<(K, D)>| route(key))));
    (0..N).for_each(|input| builder.set_notify_for(input, FrontierInterest::IfCapability));
    let (output, stream) = builder.new_output();
    let mut output = OutputBuilder::<Time, CapacityContainerBuilder<Vec<Difference<L::Out>>>>::from(output);
    builder.build(move |_| {
        let mut keys = Keyed::new(logic);
        // Each input by itself is mostly in order, and all of them together are not.
        let mut waiting: [Input<Difference<(K, D)>>; N] = std::array::from_fn(|_| Input::default());
        let mut held: Option<Capability<Time>> = None;
        move |frontiers| {
            for (input, Input { staged, .. }) in inputs.iter_mut().zip(&mut waiting) {
                input.for_each(|capability, data| {
                    if let Some(capability) = capability.retain_least(0)
                        && held.as_ref().is_none_or(|held| capability.time() < held.time())
                    {
                        held = Some(capability);
                    }
                    staged.append(data);
                });
            }
            let Some(capability) = &mut held else { return };
            let frontier = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            let complete = |time: &Time| frontier.is_none_or(|frontier| *time < frontier);
            // Nothing is earlier than what is held.
            if !complete(capability.time()) {
                return;
            }
            let mut active = output.activate();
            let mut session = active.session(&*capability);
            let first = |waiting: &[Input<_>; N]| waiting.iter().filter_map(|waiting| waiting.staged.first()).min();
            while let Some(time) = first(&waiting).filter(complete) {
                waiting.iter_mut().for_each(|waiting| keys.take(waiting, time));
                keys.apply(|out, diff| session.give((out, time, diff)));
            }
            drop(session);
            match first(&waiting) {
                None => held = None,
                Some(first) if first > *capability.time() => capability.downgrade(&first),
                Some(_) => {}
            }
        }
    });
    stream
}

/// Rows of one input, and how far memory was asked for them.
struct Input<T> {
    staged: Staged<T>,
    ahead: Ahead,
}

impl<T> Default for Input<T> {
    fn default() -> Self {
        Input { staged: Staged::default(), ahead: Ahead::default() }
    }
}

/// Where the key of a row stands in the table.
fn place_of<K: Key, D>(((key, _), _, _): &Difference<(K, D)>) -> u32 {
    place(key)
}

/// The states of all keys, and the rows of the time that is being applied.
struct Keyed<K, D, L: Logic<K, D>> {
    logic: L,
    states: States<K, L::State>,
    rows: Vec<Option<Difference<(K, D)>>>,
    order: ByPlace,
    /// The changes of one key.
    changes: Vec<(D, isize)>,
}

impl<K: Key, D: ExchangeData, L: Logic<K, D>> Keyed<K, D, L> {
    fn new(logic: L) -> Self {
        Keyed { logic, states: States::default(), rows: Vec::new(), order: ByPlace::default(), changes: Vec::new() }
    }

    /// Takes the rows of `time`, before which none waits, to be applied.
    fn take(&mut self, Input { staged, ahead }: &mut Input<Difference<(K, D)>>, time: Time) {
        if staged.first() == Some(time) {
            ahead.prefetch(staged, &self.states, place_of, L::prefetch);
            let before = self.rows.len();
            ahead.took(staged.take_first(&mut self.rows));
            self.order.extend(self.rows.iter().skip(before).flatten().map(place_of));
        }
    }

    /// Applies `rows`, all of one time, and leaves none.
    fn apply(&mut self, mut out: impl FnMut(L::Out, isize)) {
        let Keyed { logic, states, rows, order, changes } = self;
        if order.any_will_do() {
            for (((key, row), _, diff), place) in rows.drain(..).flatten().zip(order.places()) {
                change(logic, states, place, key, std::iter::once((row, diff)), &mut out);
            }
            return order.clear();
        }
        order.sort();
        let mut number = 0;
        for (place, mut group) in order.groups() {
            order.prefetch(number, rows, states, L::prefetch);
            while let Some(at) = group.next() {
                number += 1;
                // What is not there was taken along with an earlier row of its key.
                let Some(((key, row), _, diff)) = rows.get_mut(at).and_then(Option::take) else { continue };
                changes.push((row, diff));
                for other in group.clone() {
                    let same = rows.get_mut(other).and_then(|row| row.take_if(|((other, _), _, _)| *other == key));
                    changes.extend(same.map(|((_, row), _, diff)| (row, diff)));
                }
                if changes.len() > 1 {
                    consolidate(changes);
                    changes.sort_by_key(|(_, diff)| *diff > 0);
                }
                change(logic, states, place, key, changes.drain(..), &mut out);
            }
        }
        clear(rows);
        order.clear();
    }
}

fn change<K: Key, D, L: Logic<K, D>>(
    logic: &mut L,
    states: &mut States<K, L::State>,
    place: u32,
    key: K,
    changes: impl Iterator<Item = (D, isize)>,
    out: &mut impl FnMut(L::Out, isize),
) {
    // Most keys stay: one search for them.
    match states.get_mut(place, &key) {
        Some(state) => {
            logic.change(&key, state, changes, out);
            if L::is_idle(state) {
                states.remove(place, &key);
            }
        }
        None => {
            let mut state = L::State::default();
            logic.change(&key, &mut state, changes, out);
            if !L::is_idle(&state) {
                states.insert(place, key, state);
            }
        }
    }
}
