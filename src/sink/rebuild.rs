//! A rebuild: another index is filled beside the one that is read, and takes its place when it is whole.
//!
//! ```text
//!   batches ──from S on──> kept     the index that is read, S ahead at first
//!       └─────from 0 on──> filled   the one that nobody sees
//!                             │ both at the same frontier
//!                             └──> takes its place, in one step
//! ```
//!
//! Whatever comes is given to both, so that the one that is read is no older than without a rebuild. A rebuild that is broken off
//! leaves the index as it was; the next one begins anew.

use super::drive::above;
use super::{Ack, Batch, History, Identity, Sink, SinkError};
use crate::time::{Lsn, Time};
use std::time::Instant;
use tracing::{info, warn};

/// A sink that can be filled beside another, to take its place.
pub trait Successor: Sink {
    /// Takes the place of the index that is read, in one step for its readers. Called once, when everything is in for good.
    ///
    /// # Errors
    /// The index that is read is the one that it was.
    fn take_place(&mut self) -> Result<(), SinkError>;

    /// Whether an index that cannot be continued for this reason may be left behind: that is what a rebuild is for.
    fn may_be_left(error: &SinkError) -> bool;
}

/// Fills an index beside the one that is read, which then goes.
///
/// Run over everything there is, to its end: of Kafka, [`Kafka::to_the_end`](crate::Kafka::to_the_end). Then
/// [`Rebuild::complete`].
pub struct Rebuild<S> {
    kept: Option<S>,
    filled: S,
    /// Everything below was given.
    reached: Time,
}

impl<S: Successor> Rebuild<S> {
    /// `filled` is to take the place of `kept`, if there is such.
    pub fn new(kept: Option<S>, filled: S) -> Rebuild<S> {
        Rebuild { kept, filled, reached: 0 }
    }

    /// The index that is filled.
    pub fn filled(&self) -> &S {
        &self.filled
    }

    /// Has it take its place. To be called after a run over everything that there is: one that was stopped before
    /// ([`Report::interrupted`](crate::Report::interrupted)) has filled it in part.
    ///
    /// # Errors
    /// [`SinkError::Behind`]: the source ended before the index that is read. Whatever the error, that one stays.
    pub fn complete(&mut self) -> Result<(), SinkError> {
        let (held, reached) = (self.kept_frontier(), self.reached);
        let lsn = |upper: Time| upper.checked_sub(1).map(Lsn::of_time);
        if reached < held {
            return Err(SinkError::Behind { kept: lsn(held), filled: lsn(reached) });
        }
        self.filled.take_place()?;
        info!(lsn = lsn(reached).map(|lsn| lsn.0), "the index has taken its place");
        Ok(())
    }

    /// Where the index that is read stood at first.
    fn kept_frontier(&self) -> Time {
        self.kept.as_ref().map_or(0, Sink::frontier)
    }
}

/// The less safe of two.
fn least(one: Ack, other: Ack) -> Ack {
    match (one, other) {
        (Ack::Accepted, _) | (_, Ack::Accepted) => Ack::Accepted,
        (Ack::DurableBelow(one), Ack::DurableBelow(other)) => Ack::DurableBelow(one.min(other)),
        (Ack::DurableBelow(below), Ack::Durable) | (Ack::Durable, Ack::DurableBelow(below)) => Ack::DurableBelow(below),
        (Ack::Durable, Ack::Durable) => Ack::Durable,
    }
}

impl<S: Successor> Rebuild<S> {
    /// Does something with the index that is read, if it is still continued: what a rebuild is for ends that.
    fn with_kept(&mut self, does: impl FnOnce(&mut S) -> Result<Ack, SinkError>) -> Result<Ack, SinkError> {
        let Some(kept) = &mut self.kept else { return Ok(Ack::Durable) };
        match does(kept) {
            Err(error) if S::may_be_left(&error) => {
                self.leave(&error);
                Ok(Ack::Durable)
            }
            done => done,
        }
    }

    fn leave(&mut self, why: &dyn std::fmt::Display) {
        warn!(%why, "the index that is read stays as it is until the other takes its place");
        self.kept = None;
    }
}

impl<S: Successor> Sink for Rebuild<S> {
    fn history(&self) -> History {
        self.filled.history()
    }

    fn start(&mut self, identity: &Identity) -> Result<(), SinkError> {
        if !identity.is_aligned() {
            // It would be emptied, and filled as the other is.
            self.kept = None;
        }
        self.with_kept(|kept| kept.start(identity).map(|()| Ack::Durable))?;
        self.filled.start(identity)
    }

    fn frontier(&self) -> Time {
        self.filled.frontier()
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        let held = self.kept_frontier();
        self.reached = batch.upper;
        if held > 0 && batch.base >= held {
            self.leave(&"what was deleted before the source's snapshot, nobody tells");
        }
        let kept =
            self.with_kept(|kept| above(batch.clone(), held).map_or(Ok(Ack::Durable), |batch| kept.apply(batch)))?;
        Ok(least(kept, self.filled.apply(batch)?))
    }

    fn deadline(&self) -> Option<Instant> {
        let kept = self.kept.as_ref().and_then(Sink::deadline);
        [kept, self.filled.deadline()].into_iter().flatten().min()
    }

    fn due(&mut self) -> Result<Ack, SinkError> {
        let kept = self.with_kept(Sink::due)?;
        Ok(least(kept, self.filled.due()?))
    }

    fn flush(&mut self) -> Result<Ack, SinkError> {
        let kept = self.with_kept(Sink::flush)?;
        Ok(least(kept, self.filled.flush()?))
    }

    fn finish(&mut self) -> Result<Ack, SinkError> {
        let kept = self.with_kept(Sink::finish)?;
        Ok(least(kept, self.filled.finish()?))
    }
}

#[cfg(test)]
mod tests;
