//! The thread that writes the progress document: what will be sent before it is, and what is in once it is.

use super::error::ElasticsearchError;
use super::outbox::{Outbox, State};
use super::progress::{At, Found, Progress};
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
    /// Documents that earlier runs have put among the dead letters.
    pub(super) bad_before: u64,
    /// It is this run that wrote it.
    pub(super) has_written: bool,
}

impl Keeper {
    /// Writes until it is over.
    pub(super) fn run(mut self) {
        let mut written = Instant::now();
        while let Some(progress) = self.next(written) {
            let wrote = self.write(&progress);
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

    /// Writes it, the first time also over what others have written since this run has looked: perhaps the dead have sent it.
    /// Whoever is not dead notices at the next write.
    fn write(&mut self, progress: &Progress) -> Result<At, ElasticsearchError> {
        loop {
            let wrote = progress.write(&self.server, &self.index, Some(self.at));
            if self.has_written || !matches!(wrote, Err(ElasticsearchError::OtherWriter { .. })) {
                self.has_written = true;
                return wrote;
            }
            let Found::Progress(found, at) = Progress::find(&self.server, &self.index)? else { return wrote };
            self.at = at;
            if found.attempted_upper > progress.attempted_upper {
                let attempted_upper = found.attempted_upper;
                self.outbox.change(|state| state.settled_from = state.settled_from.max(attempted_upper));
                return self.write(&Progress { attempted_upper, ..progress.clone() });
            }
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
            // Of what lies between, nobody counts.
            documents: if state.claim() == state.lanes.accepted() { state.documents } else { self.progress.documents },
            bad: self.bad_before + state.counts.bad,
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
