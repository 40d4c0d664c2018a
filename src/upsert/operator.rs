//! The upsert operator: changes in, differences of rows out.

use super::compact::Staged;
use super::fold::{Fold, Folded, Forward};
use crate::envelope::Body;
use crate::hold::{Change, Rank};
use crate::time::{Lsn, Time};
use dataflows::{Row, Rows};
use differential_dataflow::{AsCollection, Hashable};
use std::collections::{BTreeMap, HashMap};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Stream;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, ConnectLoop, Enter, Feedback, Leave};

/// A time, and how many hops of a chain of key changes were made in it. Ordered as a pair: all rounds of a time come
/// before the next time.
type Round = (Time, u32);

/// What the operator tells those who run it.
pub(crate) trait UpsertMonitor: 'static {
    /// Copies of changes were left out.
    fn copies(&self, count: u64);
    /// So many changes have come to the owner of their keys.
    fn staged(&self, _changes: usize) {}
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
    outer
        .scoped::<Round, _, _>(&name.clone(), |scope| {
            let (handle, forwarded) = scope.feedback::<Vec<(Forward<R>, Time)>>((0, 1));
            let mut builder = OperatorBuilder::new(name, scope);
            let changes = changes.enter(scope);
            let mut changes =
                builder.new_input(changes, Exchange::new(|(change, _): &(Change<R>, Time)| route(change)));
            let mut forwarded =
                builder.new_input(forwarded, Exchange::new(|(forward, _): &(Forward<R>, Time)| forward.to.hashed()));
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
                        lower(&mut forward_capability, capability.retain_least(1).filter(|_| may_omit));
                        upsert.monitor.staged(data.len());
                        data.drain(..).for_each(|(change, time)| upsert.stage(change, time));
                    });
                    forwarded.for_each(|capability, data| {
                        let capability = capability.retain_least(1);
                        arrived.extend(data.drain(..).map(|(forward, time)| (forward, time, capability.clone())));
                    });
                    let first = |at: usize| {
                        frontiers.get(at).and_then(|frontier| frontier.frontier().first().map(|round| round.0))
                    };
                    let (complete, no_forwards) = (first(0), first(1));

                    let mut rows_out = Vec::new();
                    let mut forwards = forwards.activate();
                    let mut send = |capability: Option<&Capability<Round>>, out: &mut Vec<(Forward<R>, Time)>| {
                        if let Some(capability) = capability.filter(|_| may_omit && !out.is_empty()) {
                            forwards.session(capability).give_iterator(out.drain(..));
                        }
                        out.clear();
                    };
                    let mut out = Vec::new();
                    let mut early = Vec::new();
                    for (forward, time, capability) in arrived.drain(..) {
                        if upsert.receive(forward.clone(), time, &mut rows_out, &mut out) {
                            send(capability.as_ref(), &mut out);
                        } else {
                            early.push((forward, time, capability));
                        }
                    }
                    loop {
                        if let Some(waiting) = upsert.waiting() {
                            // While this time waits for forwarded rows, the operator must not hold the loop itself.
                            advance(&mut forward_capability, upsert.next_staged());
                            if no_forwards.is_some_and(|time| time <= waiting) {
                                break;
                            }
                            upsert.give_up(&mut rows_out);
                        }
                        let Some(time) =
                            upsert.next_staged().filter(|time| complete.is_none_or(|frontier| *time < frontier))
                        else {
                            break;
                        };
                        for (forward, _, _) in early.extract_if(.., |(_, forwarded, _)| *forwarded == time) {
                            upsert.keep(forward);
                        }
                        upsert.start(time, &mut rows_out, &mut out);
                        send(forward_capability.as_ref(), &mut out);
                    }
                    // What is for a time that is over, or that needs nothing, is let go with its capability.
                    arrived.extend(early.into_iter().filter(|(_, time, _)| upsert.awaits(*time, complete)));

                    if let Some(capability) = row_capability.as_ref().filter(|_| !rows_out.is_empty()) {
                        rows.activate().session(capability).give_iterator(rows_out.into_iter());
                    }
                    advance(&mut row_capability, upsert.waiting().or(upsert.next_staged()));
                    advance(&mut forward_capability, upsert.next_staged());
                }
            });
            forwards_stream.connect_loop(handle);
            rows_stream.leave(outer)
        })
        .as_collection()
}

fn route<R: Row>(change: &Change<R>) -> u64 {
    match change {
        Change::Row { key, .. } | Change::Incremental { key, .. } | Change::Repair { key, .. } => key.hashed(),
        Change::Truncate { worker, .. } | Change::Due { worker, .. } => *worker,
    }
}

fn lower(held: &mut Option<Capability<Round>>, other: Option<Capability<Round>>) {
    if let Some(other) = other.filter(|other| held.as_ref().is_none_or(|held| other.time() < held.time())) {
        *held = Some(other);
    }
}

fn advance(held: &mut Option<Capability<Round>>, to: Option<Time>) {
    match (held.as_mut(), to) {
        (Some(capability), Some(time)) if capability.time().0 < time => capability.downgrade(&(time, 0)),
        (Some(_), None) => *held = None,
        _ => {}
    }
}

/// The rows of the keys that one worker owns, and the changes it has not applied yet.
struct Upsert<R: Row, M> {
    monitor: M,
    rows: HashMap<R::Key, R>,
    staged: BTreeMap<Time, Staged<R>>,
    compact_from: usize,
    /// The time that waits for forwarded rows, if one does.
    open: Option<Open<R>>,
    /// Rows forwarded for the time that is being applied.
    forwarded: HashMap<(R::Key, R::Key, Lsn), Option<R>>,
    /// Rows of blocking snapshots that differ from what the stream says, with the time they were read.
    repairs: HashMap<R::Key, (i64, R)>,
}

/// A time in which keys wait for forwarded rows.
struct Open<R: Row> {
    time: Time,
    folds: HashMap<R::Key, Fold<R>>,
    then: AfterKeys<R>,
}

/// What is done in a time once all its keys are folded.
struct AfterKeys<R: Row> {
    repairs: Vec<(R::Key, i64, R)>,
    due_ms: Option<i64>,
}

type RowDiffs<R> = Vec<((<R as Row>::Key, R), Time, isize)>;

impl<R: Row, M: UpsertMonitor> Upsert<R, M> {
    fn new(monitor: M, compact_from: usize) -> Self {
        Upsert {
            monitor,
            rows: HashMap::new(),
            staged: BTreeMap::new(),
            compact_from,
            open: None,
            forwarded: HashMap::new(),
            repairs: HashMap::new(),
        }
    }

    fn stage(&mut self, change: Change<R>, time: Time) {
        let copies = self.staged.entry(time).or_default().push(change, self.compact_from);
        if copies > 0 {
            self.monitor.copies(copies);
        }
    }

    fn next_staged(&self) -> Option<Time> {
        self.staged.first_key_value().map(|(time, _)| *time)
    }

    /// The time that waits for forwarded rows.
    fn waiting(&self) -> Option<Time> {
        self.open.as_ref().map(|open| open.time)
    }

    /// Whether a row forwarded in `time` may still be of use.
    fn awaits(&self, time: Time, complete: Option<Time>) -> bool {
        self.staged.contains_key(&time) || complete.is_some_and(|frontier| time >= frontier)
    }

    /// Keeps a forwarded row for the time that is about to be applied.
    fn keep(&mut self, forward: Forward<R>) {
        self.forwarded.insert((forward.to, forward.from, forward.lsn), forward.row);
    }

    /// Applies all changes of `time`, as far as they need no forwarded row that has not come.
    fn start(&mut self, time: Time, diffs: &mut RowDiffs<R>, out: &mut Vec<(Forward<R>, Time)>) {
        let changes = self.staged.remove(&time).unwrap_or_default().into_changes();
        let (keys, truncates, then) = by_key(changes);
        if !truncates.is_empty() {
            self.repairs.clear();
            self.truncate(&keys, time, diffs);
        }
        let mut open = HashMap::new();
        for (key, (mut changes, incremental)) in keys {
            changes.extend(truncates.iter().map(|rank| (*rank, Body::Truncate)));
            let mut fold = Fold::new(self.rows.get(&key).cloned(), changes, incremental);
            if self.run(&key, &mut fold, time, out) {
                self.settle(key, fold, time, diffs);
            } else {
                open.insert(key, fold);
            }
        }
        self.open = Some(Open { time, folds: open, then });
        self.close_if_done(diffs);
    }

    /// Goes on with what waited for a forwarded row; false if the row is for a time that has not been started.
    fn receive(
        &mut self,
        forward: Forward<R>,
        time: Time,
        diffs: &mut RowDiffs<R>,
        out: &mut Vec<(Forward<R>, Time)>,
    ) -> bool {
        if self.waiting() != Some(time) {
            return false;
        }
        let key = forward.to.clone();
        self.keep(forward);
        let waited = self.open.as_mut().and_then(|open| open.folds.remove(&key));
        if let Some(mut fold) = waited {
            if self.run(&key, &mut fold, time, out) {
                self.settle(key, fold, time, diffs);
            } else if let Some(open) = &mut self.open {
                open.folds.insert(key, fold);
            }
        }
        self.close_if_done(diffs);
        true
    }

    /// No forwarded row comes any more in the time that waits: what needed one stays unknown.
    fn give_up(&mut self, diffs: &mut RowDiffs<R>) {
        let Some(open) = &mut self.open else { return };
        let time = open.time;
        for (key, mut fold) in std::mem::take(&mut open.folds) {
            let forwarded = &mut self.forwarded;
            // Rows that leave are for creates that have given up too: nobody waits for them.
            fold.run(|from, lsn| Some(forwarded.remove(&(key.clone(), from.clone(), lsn)).flatten()), |_, _, _| {});
            self.settle(key, fold, time, diffs);
        }
        self.close_if_done(diffs);
    }

    fn run(&mut self, key: &R::Key, fold: &mut Fold<R>, time: Time, out: &mut Vec<(Forward<R>, Time)>) -> bool {
        let forwarded = &mut self.forwarded;
        let folded = fold.run(
            |from, lsn| forwarded.remove(&(key.clone(), from.clone(), lsn)),
            |to, lsn, row| out.push((Forward { to, from: key.clone(), lsn, row }, time)),
        );
        folded == Folded::Done
    }

    fn settle(&mut self, key: R::Key, fold: Fold<R>, time: Time, diffs: &mut RowDiffs<R>) {
        if fold.copies > 0 {
            self.monitor.copies(fold.copies);
        }
        if fold.lost_values() {
            self.monitor.unresolved(format!("{key:?}"), time);
        }
        // The stream has spoken of this key since the snapshot: it knows better.
        self.repairs.remove(&key);
        self.change(key, fold.before, fold.current, time, diffs);
    }

    fn change(&mut self, key: R::Key, before: Option<R>, after: Option<R>, time: Time, diffs: &mut RowDiffs<R>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            diffs.push(((key.clone(), before), time, -1));
        }
        match after {
            Some(after) => {
                diffs.push(((key.clone(), after.clone()), time, 1));
                self.rows.insert(key, after);
            }
            None => {
                self.rows.remove(&key);
            }
        }
    }

    fn truncate(&mut self, keys: &Keys<R>, time: Time, diffs: &mut RowDiffs<R>) {
        let gone = self.rows.extract_if(|key, _| !keys.contains_key(key));
        diffs.extend(gone.map(|row| (row, time, -1)));
    }

    fn close_if_done(&mut self, diffs: &mut RowDiffs<R>) {
        let Some(open) = self.open.take_if(|open| open.folds.is_empty()) else { return };
        self.forwarded.clear();
        for (key, ts_ms, row) in open.then.repairs {
            if self.rows.get(&key) != Some(&row) {
                self.repairs.insert(key, (ts_ms, row));
            }
        }
        if let Some(due_ms) = open.then.due_ms {
            let due: Vec<_> = self.repairs.extract_if(|_, (ts_ms, _)| *ts_ms < due_ms).collect();
            for (key, (_, row)) in due {
                let before = self.rows.get(&key).cloned();
                self.change(key, before, Some(row), open.time, diffs);
            }
        }
    }
}

type Keys<R> = HashMap<<R as Row>::Key, (Vec<(Rank, Body<R>)>, Vec<(u64, R)>)>;

/// Sorts out the changes of one time. A repair of a key that the stream touches in the same time is dropped.
fn by_key<R: Row>(changes: Vec<Change<R>>) -> (Keys<R>, Vec<Rank>, AfterKeys<R>) {
    let mut keys: Keys<R> = HashMap::new();
    let mut truncates = Vec::new();
    let mut then = AfterKeys { repairs: Vec::new(), due_ms: None };
    for change in changes {
        match change {
            Change::Row { key, rank, body } => keys.entry(key).or_default().0.push((rank, body)),
            Change::Incremental { key, offset, row } => keys.entry(key).or_default().1.push((offset, row)),
            Change::Truncate { rank, .. } => truncates.push(rank),
            Change::Repair { key, row, ts_ms, .. } => then.repairs.push((key, ts_ms, row)),
            Change::Due { commit_ms, .. } => then.due_ms = then.due_ms.max(Some(commit_ms)),
        }
    }
    if !truncates.is_empty() {
        then.repairs.clear();
    }
    then.repairs.retain(|(key, _, _)| !keys.contains_key(key));
    (keys, truncates, then)
}
