//! What the threads of the sink share: who gives, who sends, who writes the progress document.
//!
//! ```text
//!   apply ──> lanes ──> senders, one for each lane ──> bulks
//!               ↑ announced          │ arrived
//!               └── keeper ──────────┴──> progress document
//! ```

use super::error::ElasticsearchError;
use super::lanes::Lanes;
use crate::sink::Batch;
use crate::time::Time;
use std::ops::AddAssign;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by the threads of one sink.
///
/// Senders are woken for what they may send, and not whenever something is given or arrives: batches are many and small, and
/// whoever wakes takes time from the server beside it.
pub(super) struct Outbox {
    state: Mutex<State>,
    /// Senders wait for it that have nothing to send.
    sendable: Condvar,
    /// Everybody else does.
    changed: Condvar,
}

pub(super) struct State {
    pub(super) lanes: Lanes,
    /// The progress document says that everything below is in the index.
    pub(super) durable: Time,
    /// Before everything below this is in, nobody knows what is: an earlier run may have sent up to here.
    pub(super) settled_from: Time,
    /// Documents after the last batch.
    pub(super) documents: u64,
    /// The log has no initial snapshot and begins behind this END.
    pub(super) partial_from: Option<u64>,
    /// Somebody waits for all of it.
    pub(super) hurry: bool,
    /// The sink has gone.
    pub(super) closed: bool,
    pub(super) failed: Option<ElasticsearchError>,
    pub(super) counts: Counts,
    /// What is waited for, where something goes wrong.
    pub(super) trouble: Option<String>,
    /// When an answer came last that was no failure.
    pub(super) moved: Instant,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) bulks: u64,
    pub(super) operations: u64,
    pub(super) newer: u64,
    pub(super) again: u64,
    pub(super) bad: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.bulks += more.bulks;
        self.operations += more.operations;
        self.newer += more.newer;
        self.again += more.again;
        self.bad += more.bad;
    }
}

impl State {
    /// Nothing more is to be done.
    pub(super) fn is_over(&self) -> bool {
        self.closed || self.failed.is_some()
    }

    /// Up to where the progress document may say that everything is in.
    pub(super) fn claim(&self) -> Time {
        let frontier = self.lanes.frontier();
        if frontier < self.settled_from { self.durable } else { frontier }
    }

    /// Nothing waits or is on its way, and the progress document says so.
    pub(super) fn is_idle(&self) -> bool {
        self.lanes.frontier() == self.lanes.accepted() && self.durable == self.claim()
    }

    /// From this time on, nothing is in the index.
    pub(super) fn attempted(&self) -> Time {
        self.lanes.attempted().max(self.settled_from)
    }

    /// Takes note that something went well.
    pub(super) fn went_well(&mut self) {
        self.moved = Instant::now();
        self.trouble = None;
    }

    /// Takes note of what is waited for. A server that says that it is busy is alive.
    pub(super) fn waits(&mut self, reason: &str, busy: bool) {
        if busy {
            self.moved = Instant::now();
        }
        self.trouble = Some(reason.to_owned());
    }

    pub(super) fn fail(&mut self, error: ElasticsearchError) {
        self.failed.get_or_insert(error);
    }
}

impl Outbox {
    pub(super) fn new(lanes: Lanes, durable: Time, settled_from: Time) -> Outbox {
        let state = State {
            lanes,
            durable,
            settled_from,
            documents: 0,
            partial_from: None,
            hurry: false,
            closed: false,
            failed: None,
            counts: Counts::default(),
            trouble: None,
            moved: Instant::now(),
        };
        Outbox { state: Mutex::new(state), sendable: Condvar::new(), changed: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panics while it holds this leaves counts, each of which is right by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes whoever waits.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.sendable.notify_all();
        self.changed.notify_all();
        changed
    }

    /// Takes what is given. It is mostly announced before it can be sent, and nobody is woken while that need not be thought of.
    pub(super) fn accept(&self, batch: Batch) -> Time {
        let mut state = self.lock();
        // After a crash, what an earlier run may have sent is announced before it is given.
        if batch.lower < state.lanes.attempted() {
            self.sendable.notify_all();
        }
        state.documents = batch.documents;
        state.partial_from = batch.partial_from.map(|lsn| lsn.0);
        if state.lanes.accept(batch.lower, batch.upper, batch.touched) {
            self.changed.notify_all();
        }
        state.durable
    }

    /// A bulk has arrived: nothing that other senders wait for.
    pub(super) fn arrived(&self, lane: usize) {
        let mut state = self.lock();
        state.lanes.arrived(lane);
        state.went_well();
        self.changed.notify_all();
    }

    /// Waits for something to send, at most so long.
    pub(super) fn wait_to_send<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        self.sendable.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for any other change, at most so long.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sleeps, unless it is over before.
    pub(super) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.lock();
        while !state.is_over() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return;
            };
            state = self.wait(state, left);
        }
    }
}
