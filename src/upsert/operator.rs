//! The upsert operator: changes in, differences of rows out.

use super::fold::Forward;
use super::owned::{Out, Upsert};
use crate::hold::Change;
use crate::time::Time;
use dataflows::operators::route;
use dataflows::{Row, Rows};
use differential_dataflow::AsCollection;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, ConnectLoop, Enter, Feedback, Leave};
use timely::progress::Timestamp;
use timely::progress::operate::FrontierInterest;

/// A time, and how many hops of a chain of key changes were made in it. Ordered as a pair: all rounds of a time come
/// before the next time.
type Round = (Time, u32);

/// What the operator tells those who run it.
pub(crate) trait UpsertMonitor: 'static {
    /// Copies of changes were left out.
    fn copies(&self, count: u64);
    /// So many bytes of changes have come to the owner of their keys.
    fn staged(&self, _bytes: usize) {}
    /// A value that Postgres did not send could not be found in a stored row. Told once, until the row is whole again.
    fn unresolved(&self, key: String, time: Time);
}

/// The rows that `changes` make.
///
/// `may_omit` says whether records may leave values out, so that a changed key's row is needed. From `compact_from` bytes of
/// changes of one time on, those that others have overtaken are left out while they wait for the rest.
pub(crate) fn upsert<'scope, R: Row>(
    changes: Stream<'scope, Time, Vec<(Change<R>, Time)>>,
    name: &str,
    may_omit: bool,
    compact_from: usize,
    monitor: impl UpsertMonitor,
) -> Rows<'scope, R> {
    let outer = changes.scope();
    let name = format!("Upsert: {name}");
    if !may_omit {
        return upsert_whole(changes, name, compact_from, monitor);
    }
    outer
        .scoped::<Round, _, _>(&name.clone(), |scope| {
            let (handle, forwarded) = scope.feedback::<Vec<(Forward<R>, Time)>>((0, 1));
            let mut builder = OperatorBuilder::new(name, scope);
            let changes = changes.enter(scope);
            let mut changes =
                builder.new_input(changes, Exchange::new(|(change, _): &(Change<R>, Time)| owner(change)));
            let mut forwarded =
                builder.new_input(forwarded, Exchange::new(|(forward, _): &(Forward<R>, Time)| route(&forward.to)));
            let (rows, rows_stream) = builder.new_output();
            let mut rows =
                OutputBuilder::<Round, CapacityContainerBuilder<Vec<((R::Key, R), Time, isize)>>>::from(rows);
            let (forwards, forwards_stream) = builder.new_output();
            let mut forwards =
                OutputBuilder::<Round, CapacityContainerBuilder<Vec<(Forward<R>, Time)>>>::from(forwards);

            builder.build(move |_| {
                let mut upsert = Upsert::<R, _>::new(monitor, compact_from);
                let mut row_capability: Option<Capability<Round>> = None;
                let mut forward_capability: Option<Capability<Round>> = None;
                let mut arrived: Vec<(Forward<R>, Time, Option<Capability<Round>>)> = Vec::new();
                move |frontiers| {
                    changes.for_each(|capability, data| {
                        lower(&mut row_capability, capability.retain_least(0));
                        lower(&mut forward_capability, capability.retain_least(1));
                        let bytes = upsert.stage(data);
                        upsert.monitor().staged(bytes);
                    });
                    forwarded.for_each(|capability, data| {
                        let capability = capability.retain_least(1);
                        arrived.extend(data.drain(..).map(|(forward, time)| (forward, time, capability.clone())));
                    });
                    let first = |at: usize| {
                        frontiers.get(at).and_then(|frontier| frontier.frontier().first().map(|round| round.0))
                    };
                    let (complete, no_forwards) = (first(0), first(1));

                    let mut out = Out::default();
                    let mut forwards = forwards.activate();
                    let mut send = |capability: Option<&Capability<Round>>, out: &mut Vec<(Forward<R>, Time)>| {
                        if let Some(capability) = capability.filter(|_| !out.is_empty()) {
                            forwards.session(capability).give_iterator(out.drain(..));
                        }
                        out.clear();
                    };
                    let mut early = Vec::new();
                    for (forward, time, capability) in arrived.drain(..) {
                        if upsert.receive(forward.clone(), time, &mut out) {
                            send(capability.as_ref(), &mut out.forwards);
                        } else {
                            early.push((forward, time, capability));
                        }
                    }
                    loop {
                        if let Some(waiting) = upsert.waiting() {
                            // While this time waits for forwarded rows, the operator must not hold the loop itself.
                            advance(&mut forward_capability, upsert.next_staged().map(first_round));
                            if no_forwards.is_some_and(|time| time <= waiting) {
                                break;
                            }
                            upsert.give_up(&mut out);
                        }
                        let Some(time) =
                            upsert.next_staged().filter(|time| complete.is_none_or(|frontier| *time < frontier))
                        else {
                            break;
                        };
                        for (forward, _, _) in early.extract_if(.., |(_, forwarded, _)| *forwarded == time) {
                            upsert.keep(forward);
                        }
                        upsert.start(time, &mut out);
                        send(forward_capability.as_ref(), &mut out.forwards);
                    }
                    // What is for a time that is over, or that needs nothing, is let go with its capability.
                    arrived.extend(early.into_iter().filter(|(_, time, _)| upsert.awaits(*time, complete)));

                    if let Some(capability) = row_capability.as_ref().filter(|_| !out.diffs.is_empty()) {
                        rows.activate().session(capability).give_container(&mut out.diffs);
                    }
                    advance(&mut row_capability, upsert.waiting().or(upsert.next_staged()).map(first_round));
                    advance(&mut forward_capability, upsert.next_staged().map(first_round));
                }
            });
            forwards_stream.connect_loop(handle);
            rows_stream.leave(outer)
        })
        .as_collection()
}

/// The same where no record leaves values out: no row is forwarded, so there is neither a loop nor anything to wait for.
fn upsert_whole<'scope, R: Row>(
    changes: Stream<'scope, Time, Vec<(Change<R>, Time)>>,
    name: String,
    compact_from: usize,
    monitor: impl UpsertMonitor,
) -> Rows<'scope, R> {
    let mut builder = OperatorBuilder::new(name, changes.scope());
    let mut changes = builder.new_input(changes, Exchange::new(|(change, _): &(Change<R>, Time)| owner(change)));
    builder.set_notify_for(0, FrontierInterest::IfCapability);
    let (rows, stream) = builder.new_output();
    let mut rows = OutputBuilder::<Time, CapacityContainerBuilder<Vec<((R::Key, R), Time, isize)>>>::from(rows);
    builder.build(move |_| {
        let mut upsert = Upsert::<R, _>::new(monitor, compact_from);
        let mut held: Option<Capability<Time>> = None;
        move |frontiers| {
            changes.for_each(|capability, data| {
                lower(&mut held, capability.retain_least(0));
                let bytes = upsert.stage(data);
                upsert.monitor().staged(bytes);
            });
            let complete = frontiers.first().and_then(|frontier| frontier.frontier().first().copied());
            let mut out = Out::default();
            while let Some(time) = upsert.next_staged().filter(|time| complete.is_none_or(|frontier| *time < frontier))
            {
                upsert.start(time, &mut out);
                // The row of another key never comes: what needs one stays unknown.
                upsert.give_up(&mut out);
                out.forwards.clear();
            }
            if let Some(capability) = held.as_ref().filter(|_| !out.diffs.is_empty()) {
                rows.activate().session(capability).give_container(&mut out.diffs);
            }
            advance(&mut held, upsert.next_staged());
        }
    });
    stream.as_collection()
}

/// What chooses the worker that owns the change's key.
fn owner<R: Row>(change: &Change<R>) -> u64 {
    match change {
        Change::Row { key, .. } | Change::Incremental { key, .. } | Change::Repair { key, .. } => route(key),
        Change::Truncate { worker, .. } | Change::Due { worker, .. } => *worker,
    }
}

fn first_round(time: Time) -> Round {
    (time, 0)
}

fn lower<T: Timestamp>(held: &mut Option<Capability<T>>, other: Option<Capability<T>>) {
    if let Some(other) = other.filter(|other| held.as_ref().is_none_or(|held| other.time() < held.time())) {
        *held = Some(other);
    }
}

fn advance<T: Timestamp>(held: &mut Option<Capability<T>>, to: Option<T>) {
    match (held.as_mut(), to) {
        (Some(capability), Some(time)) if *capability.time() < time => capability.downgrade(&time),
        (Some(_), None) => *held = None,
        _ => {}
    }
}
