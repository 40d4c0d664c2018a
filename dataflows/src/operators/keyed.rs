//! The one operator below the others: rows by key, held until their time is complete, then all rows of a key at once.

use super::Key;
use super::hash::{Keys, route};
use crate::Time;
use differential_dataflow::{AsCollection, ExchangeData, VecCollection};
use std::collections::HashMap;
use timely::container::CapacityContainerBuilder;
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

    /// Takes all changes of `key` in one time: no two are of one row, and none is zero.
    fn change(
        &mut self,
        key: &K,
        state: &mut Self::State,
        changes: impl Iterator<Item = (D, isize)> + Clone,
        out: &mut impl FnMut(Self::Out, isize),
    );

    /// Whether nothing is kept of the key.
    fn is_idle(state: &Self::State) -> bool;
}

/// Runs `logic` over the rows of `inputs`, which may be several.
pub(super) fn keyed<'scope, K: Key, D: ExchangeData, L: Logic<K, D>>(
    name: String,
    rows: VecCollection<'scope, Time, (K, D)>,
    mut logic: L,
) -> VecCollection<'scope, Time, L::Out> {
    let mut builder = OperatorBuilder::new(name, rows.inner.scope());
    let by_key = Exchange::new(|((key, _), _, _): &((K, D), Time, isize)| route(key));
    let mut input = builder.new_input(rows.inner, by_key);
    builder.set_notify_for(0, FrontierInterest::IfCapability);
    let (output, stream) = builder.new_output();
    let mut output = OutputBuilder::<Time, CapacityContainerBuilder<Vec<(L::Out, Time, isize)>>>::from(output);
    builder.build(move |_| {
        let mut states: HashMap<K, L::State, Keys> = HashMap::default();
        let mut staged: Vec<((K, D), Time, isize)> = Vec::new();
        let mut held: Option<Capability<Time>> = None;
        move |frontiers| {
            input.for_each(|capability, data| {
                if let Some(capability) = capability.retain_least(0)
                    && held.as_ref().is_none_or(|held| capability.time() < held.time())
                {
                    held = Some(capability);
                }
                staged.append(data);
            });
            let Some(capability) = &mut held else { return };
            let frontier = frontiers.iter().filter_map(|frontier| frontier.frontier().first().copied()).min();
            let complete = |time: Time| frontier.is_none_or(|frontier| time < frontier);
            // Nothing is earlier than what is held.
            if !complete(*capability.time()) {
                return;
            }
            let mut ready: Vec<_> = staged.extract_if(.., |(_, time, _)| complete(*time)).collect();
            if !ready.is_empty() {
                coalesce(&mut ready);
                let mut active = output.activate();
                let mut session = active.session(&*capability);
                for group in ready.chunk_by(|((a, _), s, _), ((b, _), t, _)| s == t && a == b) {
                    let Some(((key, _), time, _)) = group.first() else { continue };
                    let changes = group.iter().map(|((_, row), _, diff)| (row.clone(), *diff));
                    let mut give = |out, diff| session.give((out, *time, diff));
                    // Most keys stay: one search for them.
                    match states.get_mut(key) {
                        Some(state) => {
                            logic.change(key, state, changes, &mut give);
                            if L::is_idle(state) {
                                states.remove(key);
                            }
                        }
                        None => {
                            let mut state = L::State::default();
                            logic.change(key, &mut state, changes, &mut give);
                            if !L::is_idle(&state) {
                                states.insert(key.clone(), state);
                            }
                        }
                    }
                }
            }
            match staged.iter().map(|(_, time, _)| *time).min() {
                None => held = None,
                Some(first) if first > *capability.time() => capability.downgrade(&first),
                Some(_) => {}
            }
        }
    });
    stream.as_collection()
}

/// Sorts by time, key and row, and makes one change of those of one row.
fn coalesce<K: Ord, D: Ord>(changes: &mut Vec<((K, D), Time, isize)>) {
    changes.sort_unstable_by(|(a, s, _), (b, t, _)| s.cmp(t).then_with(|| a.cmp(b)));
    changes.dedup_by(|(later, t, diff), (earlier, s, sum)| {
        let same = s == t && later == earlier;
        if same {
            *sum += *diff;
        }
        same
    });
    changes.retain(|(_, _, diff)| *diff != 0);
}
