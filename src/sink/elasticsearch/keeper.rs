//! The thread that writes the progress document: what will be sent before it is, and what is in once it is.

use super::error::ElasticsearchError;
use super::outbox::{Outbox, State};
use super::progress::{At, Progress};
use super::sender::bulk_max;
use super::server::Server;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the progress document follows what has arrived while more is sent.
const EVERY: Duration = Duration::from_millis(100);
/// The longest sleep of a thread that is woken when there is something to do.
const SLEEP: Duration = Duration::from_secs(60);

pub(super) struct Keeper {
    pub(super) index: String,
    pub(super) server: Server,
    pub(super) outbox: Arc<Outbox>,
    /// As it was written last, and where that stands.
    pub(super) progress: Progress,
    pub(super) at: At,
}

impl Keeper {
    /// Writes until it is over.
    pub(super) fn run(mut self) {
        let mut written = Instant::now();
        while let Some(progress) = self.next(written) {
            let wrote = progress.write(&self.server, &self.index, Some(self.at));
            written = Instant::now();
            self.outbox.change(|state| match wrote {
                Ok(at) => {
                    self.at = at;
                    state.durable = progress.durable;
                    state.lanes.announce(progress.attempted_upper);
                    state.went_well();
                    self.progress = progress;
                }
                Err(error) => state.fail(error),
            });
        }
    }

    /// What is to be written next, once there is something; `None` if it is over.
    fn next(&self, written: Instant) -> Option<Progress> {
        let mut state = self.outbox.lock();
        while !state.is_over() {
            let left = self.patience(&state, written);
            if left.is_zero() {
                return Some(self.made_of(&state));
            }
            state = self.outbox.wait(state, left);
        }
        None
    }

    /// How long the next write can wait.
    fn patience(&self, state: &State, written: Instant) -> Duration {
        let is_last = state.claim() == state.lanes.accepted();
        if state.lanes.wants_more(bulk_max(&self.server)) {
            Duration::ZERO
        } else if state.claim() == state.durable {
            SLEEP
        } else if is_last {
            Duration::ZERO
        } else {
            EVERY.saturating_sub(written.elapsed())
        }
    }

    fn made_of(&self, state: &State) -> Progress {
        Progress {
            durable: state.claim(),
            attempted_upper: state.attempted().max(state.lanes.accepted()),
            partial_from: state.partial_from,
            documents: state.documents,
            turn: self.progress.turn + 1,
            ..self.progress.clone()
        }
    }
}

/// Waits until all is in, and the progress document says so; no longer than `patience` without an answer.
pub(super) fn flush(outbox: &Outbox, patience: Duration) -> Result<(), ElasticsearchError> {
    outbox.change(|state| {
        state.moved = Instant::now();
        state.hurry = true;
    });
    let mut state = outbox.lock();
    loop {
        if let Some(error) = state.failed.take() {
            state.closed = true;
            return Err(error);
        }
        if state.is_idle() || state.closed {
            state.hurry = false;
            return Ok(());
        }
        if state.moved.elapsed() > patience {
            return Err(ElasticsearchError::NotFlushed { seconds: patience.as_secs(), reason: state.trouble.clone() });
        }
        state = outbox.wait(state, Duration::from_millis(100));
    }
}
