//! The operator that lets held rows go: closings in, changes out, on every worker.
//!
//! Large transactions go in pieces, so that what comes behind has worked off one before it gets the next. A closing that
//! has not let go all of its rows keeps its capability, and those behind it wait. Between the workers nothing stops a fast
//! one from burying a slow one, which may be waiting for the sink; so changes on their way are counted, and bounded, and no
//! holder runs ahead of another that is in the middle of an earlier time (`pace`).

use super::{Change, Held};
use crate::align::Closing;
use crate::time::Time;
use dataflows::Row;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

/// Bytes of changes that may be on their way to the owners of their keys, of all workers and tables.
const CHANGES_MAX: i64 = 8 << 20;
/// How long to wait when there are too many.
const PAUSE: Duration = Duration::from_millis(1);

/// Closings that were not taken note of.
type Closings = std::vec::IntoIter<(Closing, Time)>;

/// The changes of one table that `closings` let go, each with its time.
pub(crate) fn release<'scope, R: Row>(
    closings: Stream<'scope, Time, Vec<(Closing, Time)>>,
    held: Rc<RefCell<Held<R>>>,
    name: &str,
) -> Stream<'scope, Time, Vec<(Change<R>, Time)>> {
    let scope = closings.scope();
    let (workers, leader) = (scope.peers(), scope.index() == 0);
    let mut builder = OperatorBuilder::new(format!("Release: {name}"), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut input = builder.new_input(closings, Pipeline);
    let (output, changes) = builder.new_output();
    let mut output = OutputBuilder::<Time, CapacityContainerBuilder<Vec<(Change<R>, Time)>>>::from(output);
    builder.build(move |_| {
        let mut waiting: VecDeque<(Capability<Time>, Closings)> = VecDeque::new();
        let mut out = Vec::new();
        move |frontiers| {
            let mut output = output.activate();
            input.for_each(|capability, closings| {
                // Many messages may come under one early time: what was let go before can be shown, while they wait.
                if let Some(first) = closings.iter().map(|(_, time)| time).min() {
                    waiting.push_back((capability.delayed(first, 0), std::mem::take(closings).into_iter()));
                }
            });
            let mut held = held.borrow_mut();
            let counters = Arc::clone(&held.counters);
            let mut room = held.piece_bytes();
            while let Some((capability, closings)) = waiting.front_mut() {
                let time = held.going_at().unwrap_or(*capability.time());
                if counters.changes() > CHANGES_MAX || held.is_ahead_at(time) {
                    held.keep_waiting(Some(time));
                    return activator.activate_after(PAUSE);
                }
                let went = go(&mut held, closings, (workers, leader), &mut room, &mut out);
                let Some(went) = went else { return };
                // What has gone is free for others.
                held.shrink();
                if !out.is_empty() {
                    counters.changes_sent(out.iter().map(|(change, _)| change.bytes()).sum());
                    output.session(capability).give_container(&mut out);
                    out.clear();
                }
                match went {
                    Went::All => drop(waiting.pop_front()),
                    Went::UpTo(time) => {
                        if capability.time() < &time {
                            capability.downgrade(&time);
                        }
                        held.keep_waiting(Some(time));
                        return activator.activate();
                    }
                }
            }
            held.keep_waiting(None);
            if frontiers.iter().all(|frontier| frontier.is_empty())
                && let Err(error) = held.end()
            {
                held.lost("transactions that closed without them".to_owned(), error);
            }
        }
    });
    changes
}

/// How far closings were followed.
enum Went {
    /// To the end.
    All,
    /// There is more, of this time and later ones.
    UpTo(Time),
}

/// Lets rows go until there are enough for once, which is when no `room` is left; `None` if rows are lost, and with them
/// the run.
fn go<R: Row>(
    held: &mut Held<R>,
    closings: &mut Closings,
    (workers, leader): (usize, bool),
    room: &mut u64,
    out: &mut Vec<(Change<R>, Time)>,
) -> Option<Went> {
    loop {
        while let Some(time) = held.going_at() {
            if *room == 0 {
                return Some(Went::UpTo(time));
            }
            match held.let_go(workers, leader, out) {
                Ok(bytes) => *room = room.saturating_sub(bytes),
                Err((rows_of, error)) => {
                    held.lost(rows_of, error);
                    return None;
                }
            }
        }
        if *room == 0
            && let Some((_, time)) = closings.as_slice().first()
        {
            return Some(Went::UpTo(*time));
        }
        let Some((closing, time)) = closings.next() else { return Some(Went::All) };
        *room = room.saturating_sub(held.close(closing, time, workers, leader, out));
    }
}
