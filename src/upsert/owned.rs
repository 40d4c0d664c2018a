//! The rows of the keys that one worker owns, and how changes are applied to them.
//!
//! Nearly every change is the only one of its key in its time and needs nothing but the key's own row: it is applied at
//! once, in large times in the order of the table's places. The changes of other keys are folded, and some wait for forwarded
//! rows.

use super::UpsertMonitor;
use super::compact::Compaction;
use super::fold::{Fold, Folded, Forward};
use crate::envelope::Body;
use crate::hold::{Change, Rank};
use crate::mutant::Mutant;
use crate::time::{Lsn, Time};
use dataflows::Row;
use dataflows::operators::{Ahead, ByPlace, Staged, States, clear, place};
use std::collections::HashMap;

/// For how many differences there is place beforehand, at most.
const DIFFS: usize = 1 << 12;

/// The rows of the keys that one worker owns, and the changes it has not applied yet.
pub(super) struct Upsert<R: Row, M> {
    monitor: M,
    rows: States<R::Key, R>,
    staged: Staged<(Change<R>, Time)>,
    compaction: Compaction,
    ahead: Ahead,
    /// The changes of the time that is being started, and their order.
    changes: Vec<Option<(Change<R>, Time)>>,
    order: ByPlace,
    /// The time that waits for forwarded rows, if one does.
    open: Option<Open<R>>,
    /// Rows forwarded for the time that is being applied.
    forwarded: HashMap<(R::Key, R::Key, Lsn), Option<R>>,
    /// Rows of blocking snapshots that differ from what the stream says, with the time they were read.
    repairs: HashMap<R::Key, Repair<R>>,
}

/// A time in which keys wait for forwarded rows.
struct Open<R: Row> {
    time: Time,
    folds: HashMap<R::Key, Fold<R>>,
    then: AfterKeys<R>,
}

/// A row of a blocking snapshot.
struct Repair<R> {
    /// Of two of one key the one with the greater offset is the later one, in whatever order they come.
    offset: u64,
    /// When it was read.
    ts_ms: i64,
    row: R,
}

/// What is done in a time once all its keys are folded.
struct AfterKeys<R: Row> {
    repairs: Vec<(R::Key, Repair<R>)>,
    due_ms: Option<i64>,
}

impl<R: Row> Default for AfterKeys<R> {
    fn default() -> Self {
        AfterKeys { repairs: Vec::new(), due_ms: None }
    }
}

/// What comes of changes: differences of rows, and rows that leave for another key.
pub(super) struct Out<R: Row> {
    pub(super) diffs: Vec<((R::Key, R), Time, isize)>,
    pub(super) forwards: Vec<(Forward<R>, Time)>,
}

impl<R: Row> Default for Out<R> {
    fn default() -> Self {
        Out { diffs: Vec::new(), forwards: Vec::new() }
    }
}

impl<R: Row, M: UpsertMonitor> Upsert<R, M> {
    pub(super) fn new(monitor: M, compact_from: usize) -> Self {
        Upsert {
            monitor,
            rows: States::default(),
            staged: Staged::default(),
            compaction: Compaction::new(compact_from),
            ahead: Ahead::default(),
            changes: Vec::new(),
            order: ByPlace::default(),
            open: None,
            forwarded: HashMap::new(),
            repairs: HashMap::new(),
        }
    }

    pub(super) fn monitor(&self) -> &M {
        &self.monitor
    }

    /// Keeps changes for their times, and says how many bytes they have.
    pub(super) fn stage(&mut self, changes: &mut Vec<(Change<R>, Time)>) -> usize {
        let bytes = changes.iter().map(|(change, _)| change.bytes()).sum();
        self.staged.append(changes);
        if self.compaction.is_due(bytes) {
            let copies = self.compaction.compact(&mut self.staged);
            if copies > 0 {
                self.monitor.copies(copies);
            }
        }
        bytes
    }

    /// Whether no forwarded row is kept.
    #[cfg(test)]
    pub(super) fn keeps_nothing(&self) -> bool {
        self.forwarded.is_empty()
    }

    pub(super) fn next_staged(&self) -> Option<Time> {
        self.staged.first()
    }

    /// The time that waits for forwarded rows.
    pub(super) fn waiting(&self) -> Option<Time> {
        self.open.as_ref().map(|open| open.time)
    }

    /// Whether a row forwarded in `time` may still be of use.
    pub(super) fn awaits(&mut self, time: Time, complete: Option<Time>) -> bool {
        complete.is_some_and(|frontier| time >= frontier) || self.staged.has(time)
    }

    /// Keeps a forwarded row for the time that is about to be applied.
    pub(super) fn keep(&mut self, forward: Forward<R>) {
        self.forwarded.insert((forward.to, forward.from, forward.lsn), forward.row);
    }

    /// Applies all changes of `time`, the first that is staged, as far as they need no forwarded row that has not come.
    pub(super) fn start(&mut self, time: Time, out: &mut Out<R>) {
        let place_of = |(change, _): &(Change<R>, Time)| place_of(change);
        self.ahead.prefetch(&self.staged, &self.rows, place_of, |_| {});
        if out.diffs.capacity() == 0 {
            out.diffs.reserve(self.staged.len().min(DIFFS));
        }
        let mut changes = std::mem::take(&mut self.changes);
        self.ahead.took(self.staged.take_first(&mut changes));
        self.order.extend(changes.iter().flatten().map(place_of));
        if self.order.any_will_do() && changes.iter().flatten().all(|(change, _)| is_simple(change)) {
            let order = std::mem::take(&mut self.order);
            for ((change, _), place) in changes.drain(..).flatten().zip(order.places()) {
                if let Change::Row { key, rank, body } = change {
                    self.apply((place, key), rank.lsn, body, time, out);
                }
            }
            self.order = order;
            self.order.clear();
            self.changes = changes;
            self.forwarded.clear();
            return;
        }
        let mut folds = HashMap::new();
        let then = if changes.iter().flatten().all(|(change, _)| key_of(change).is_some()) {
            self.start_each(&mut changes, time, out, &mut folds);
            AfterKeys::default()
        } else {
            self.start_all(changes.drain(..).flatten().map(|(change, _)| change).collect(), time, out, &mut folds)
        };
        clear(&mut changes);
        self.changes = changes;
        self.order.clear();
        self.open = Some(Open { time, folds, then });
        self.close_if_done(out);
    }

    /// Starts a time whose changes are each of one key: key by key, in the order of places.
    fn start_each(
        &mut self,
        changes: &mut [Option<(Change<R>, Time)>],
        time: Time,
        out: &mut Out<R>,
        waiting: &mut HashMap<R::Key, Fold<R>>,
    ) {
        let mut order = std::mem::take(&mut self.order);
        order.sort();
        let mut number = 0;
        for (place, mut group) in order.groups() {
            order.prefetch(number, changes, &self.rows, |_| {});
            while let Some(at) = group.next() {
                number += 1;
                // What is not there was taken along with an earlier change of its key.
                let Some((first, _)) = changes.get_mut(at).and_then(Option::take) else { continue };
                let Some(key) = key_of(&first).cloned() else { continue };
                let mut rest = Vec::new();
                for other in group.clone() {
                    let same = changes.get_mut(other).and_then(|c| c.take_if(|(c, _)| key_of(c) == Some(&key)));
                    rest.extend(same.map(|(change, _)| change));
                }
                match first {
                    Change::Row { rank, body, .. } if rest.is_empty() && needs_no_other(&body) => {
                        self.apply((place, key), rank.lsn, body, time, out);
                    }
                    first => {
                        let mut of_key = OfKey::default();
                        [first].into_iter().chain(rest).for_each(|change| of_key.add(change));
                        self.fold(key, of_key, time, out, waiting);
                    }
                }
            }
        }
        self.order = order;
    }

    /// Starts a time of which some changes are of the whole table.
    fn start_all(
        &mut self,
        changes: Vec<Change<R>>,
        time: Time,
        out: &mut Out<R>,
        waiting: &mut HashMap<R::Key, Fold<R>>,
    ) -> AfterKeys<R> {
        let (keys, truncates, then) = by_key(changes);
        if !truncates.is_empty() {
            self.repairs.clear();
            let gone = self.rows.remove_where(|key, _| !keys.contains_key(key));
            out.diffs.extend(gone.into_iter().map(|row| (row, time, -1)));
        }
        for (key, mut changes) in keys {
            changes.ranked.extend(truncates.iter().map(|rank| (*rank, Body::Truncate)));
            self.fold(key, changes, time, out, waiting);
        }
        then
    }

    /// Applies the only change of a key in a time, if it needs nothing but the key's own row. Means what a [`Fold`] of this
    /// one change means.
    fn apply(&mut self, (place, key): (u32, R::Key), lsn: Lsn, body: Body<R>, time: Time, out: &mut Out<R>) {
        if !self.repairs.is_empty() {
            self.repairs.remove(&key);
        }
        let (mut row, from) = match body {
            Body::Put { row, from } => (row, from),
            Body::Delete { .. } | Body::Truncate => {
                let row = self.rows.remove(place, &key).map(|(_, row)| row);
                if let Body::Delete { to: Some(to) } = body {
                    out.forwards.push((Forward { to, from: key.clone(), lsn, row: row.clone() }, time));
                }
                out.diffs.extend(row.map(|row| ((key, row), time, -1)));
                return;
            }
        };
        let stored = self.rows.get_mut(place, &key);
        if let Some(stored) = stored.as_ref().filter(|_| from.is_none() && !row.is_whole()) {
            row.fill(stored);
        }
        if !row.is_whole() && stored.as_ref().is_none_or(|stored| stored.is_whole()) {
            self.monitor.unresolved(format!("{key:?}"), time);
        }
        match stored {
            Some(stored) if *stored == row => {}
            Some(stored) => {
                let before = std::mem::replace(stored, row.clone());
                if !Mutant::DropRetraction.lives() {
                    out.diffs.push(((key.clone(), before), time, -1));
                }
                out.diffs.push(((key, row), time, 1));
            }
            None => {
                out.diffs.push(((key.clone(), row.clone()), time, 1));
                self.rows.insert(place, key, row);
            }
        }
    }

    /// Folds the changes of a key, as far as they need no forwarded row that has not come.
    fn fold(
        &mut self,
        key: R::Key,
        changes: OfKey<R>,
        time: Time,
        out: &mut Out<R>,
        waiting: &mut HashMap<R::Key, Fold<R>>,
    ) {
        let before = self.row(&key).cloned();
        let mut fold = Fold::new(before, changes.ranked, changes.incremental);
        if self.run(&key, &mut fold, time, out) {
            self.settle(key, fold, time, out);
        } else {
            waiting.insert(key, fold);
        }
    }

    /// Goes on with what waited for a forwarded row; false if the row is for a time that has not been started.
    pub(super) fn receive(&mut self, forward: Forward<R>, time: Time, out: &mut Out<R>) -> bool {
        if self.waiting() != Some(time) {
            return false;
        }
        let key = forward.to.clone();
        self.keep(forward);
        let waited = self.open.as_mut().and_then(|open| open.folds.remove(&key));
        if let Some(mut fold) = waited {
            if self.run(&key, &mut fold, time, out) {
                self.settle(key, fold, time, out);
            } else if let Some(open) = &mut self.open {
                open.folds.insert(key, fold);
            }
        }
        self.close_if_done(out);
        true
    }

    /// No forwarded row comes any more in the time that waits: what needed one stays unknown.
    pub(super) fn give_up(&mut self, out: &mut Out<R>) {
        let Some(open) = &mut self.open else { return };
        let time = open.time;
        for (key, mut fold) in std::mem::take(&mut open.folds) {
            let forwarded = &mut self.forwarded;
            // Rows that leave are for creates that have given up too: nobody waits for them.
            fold.run(|from, lsn| Some(forwarded.remove(&(key.clone(), from.clone(), lsn)).flatten()), |_, _, _| {});
            self.settle(key, fold, time, out);
        }
        self.close_if_done(out);
    }

    fn run(&mut self, key: &R::Key, fold: &mut Fold<R>, time: Time, out: &mut Out<R>) -> bool {
        let forwarded = &mut self.forwarded;
        let folded = fold.run(
            |from, lsn| forwarded.remove(&(key.clone(), from.clone(), lsn)),
            |to, lsn, row| out.forwards.push((Forward { to, from: key.clone(), lsn, row }, time)),
        );
        folded == Folded::Done
    }

    fn settle(&mut self, key: R::Key, fold: Fold<R>, time: Time, out: &mut Out<R>) {
        if fold.copies > 0 {
            self.monitor.copies(fold.copies);
        }
        if fold.lost_values() {
            self.monitor.unresolved(format!("{key:?}"), time);
        }
        // The stream has spoken of this key since the snapshot: it knows better.
        self.repairs.remove(&key);
        self.change(key, fold.before, fold.current, time, out);
    }

    fn change(&mut self, key: R::Key, before: Option<R>, after: Option<R>, time: Time, out: &mut Out<R>) {
        if before == after {
            return;
        }
        let place = place(&key);
        let stood = before.is_some();
        out.diffs.extend(before.map(|before| ((key.clone(), before), time, -1)));
        out.diffs.extend(after.clone().map(|after| ((key.clone(), after), time, 1)));
        match after {
            None => {
                self.rows.remove(place, &key);
            }
            Some(after) if stood => {
                if let Some(row) = self.rows.get_mut(place, &key) {
                    *row = after;
                }
            }
            Some(after) => self.rows.insert(place, key, after),
        }
    }

    fn row(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(place(key), key)
    }

    fn close_if_done(&mut self, out: &mut Out<R>) {
        let Some(open) = self.open.take_if(|open| open.folds.is_empty()) else { return };
        self.forwarded.clear();
        for (key, repair) in open.then.repairs {
            if self.repairs.get(&key).is_some_and(|later| later.offset > repair.offset) {
                continue;
            }
            self.repairs.remove(&key);
            if self.row(&key) != Some(&repair.row) {
                self.repairs.insert(key, repair);
            }
        }
        if let Some(due_ms) = open.then.due_ms {
            let due: Vec<_> = self.repairs.extract_if(|_, repair| repair.ts_ms < due_ms).collect();
            for (key, Repair { row, .. }) in due {
                let before = self.row(&key).cloned();
                self.change(key, before, Some(row), open.time, out);
            }
        }
    }
}

/// The changes of one key in one time: those with a rank, and rows of incremental snapshots with their offsets.
struct OfKey<R: Row> {
    ranked: Vec<(Rank, Body<R>)>,
    incremental: Vec<(u64, R)>,
}

impl<R: Row> Default for OfKey<R> {
    fn default() -> Self {
        OfKey { ranked: Vec::new(), incremental: Vec::new() }
    }
}

impl<R: Row> OfKey<R> {
    fn add(&mut self, change: Change<R>) {
        match change {
            Change::Row { rank, body, .. } => self.ranked.push((rank, body)),
            Change::Incremental { offset, row, .. } => self.incremental.push((offset, row)),
            Change::Truncate { .. } | Change::Repair { .. } | Change::Due { .. } => {}
        }
    }
}

/// The place of the key that a change is of; zero where it is of all.
fn place_of<R: Row>(change: &Change<R>) -> u32 {
    key_of(change).map_or(0, place)
}

/// The key of a change of one key.
fn key_of<R: Row>(change: &Change<R>) -> Option<&R::Key> {
    match change {
        Change::Row { key, .. } | Change::Incremental { key, .. } => Some(key),
        Change::Truncate { .. } | Change::Repair { .. } | Change::Due { .. } => None,
    }
}

/// Whether a change, if it is the only one of its key, is applied at once.
fn is_simple<R: Row>(change: &Change<R>) -> bool {
    matches!(change, Change::Row { body, .. } if needs_no_other(body))
}

/// Whether a change never waits for the row of another key.
fn needs_no_other<R: Row>(body: &Body<R>) -> bool {
    match body {
        Body::Put { row, from } => from.is_none() || row.is_whole(),
        Body::Delete { .. } | Body::Truncate => true,
    }
}

/// The changes of each key.
type Keys<R> = HashMap<<R as Row>::Key, OfKey<R>>;

/// Sorts out the changes of one time. A repair of a key that the stream touches in the same time is dropped.
fn by_key<R: Row>(changes: Vec<Change<R>>) -> (Keys<R>, Vec<Rank>, AfterKeys<R>) {
    let mut keys: Keys<R> = HashMap::new();
    let mut truncates = Vec::new();
    let mut then = AfterKeys::default();
    for change in changes {
        match change {
            Change::Truncate { .. } if Mutant::SkipTruncate.lives() => {}
            Change::Truncate { rank, .. } => truncates.push(rank),
            Change::Repair { key, offset, row, ts_ms } => then.repairs.push((key, Repair { offset, ts_ms, row })),
            Change::Due { commit_ms, .. } => then.due_ms = then.due_ms.max(Some(commit_ms)),
            change => {
                if let Some(key) = key_of(&change).cloned() {
                    keys.entry(key).or_default().add(change);
                }
            }
        }
    }
    if !truncates.is_empty() {
        then.repairs.clear();
    }
    then.repairs.retain(|(key, _)| !keys.contains_key(key));
    (keys, truncates, then)
}
