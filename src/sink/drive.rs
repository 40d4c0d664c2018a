//! Gives a sink its batches: what it does not hold yet, and a call when its time has come.
//!
//! ```text
//!   batches      0────────a────────b────────c────────d
//!   sink holds   0────────────────F
//!   given                          F─b──────c────────d     the first is cut at F, what lies below is not given
//! ```
//!
//! A batch that straddles `F` is cut by dropping its touches below `F`. For [`History::Latest`](super::History) a touch
//! carries the time of the document's *last* change in the batch: if that is below `F`, nothing happened to the document
//! since, and the sink has it.

use super::{Ack, Batch, Sink};
use crate::error::Error;
use crate::mutant::Mutant;
use crate::queue::{Empty, Receiver};
use crate::status::Given;
use crate::time::{Lsn, Time};
use std::time::Instant;
use tracing::debug;

/// What a sink was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Driven {
    /// Everything below was in the sink before.
    pub(crate) held: Time,
    /// Batches given.
    pub(crate) batches: u64,
    /// Touches given, all batches together.
    pub(crate) touched: u64,
}

/// Gives `sink` its batches until there are no more.
pub(crate) fn drive<S: Sink + ?Sized>(
    batches: Receiver<Batch>,
    sink: &mut S,
    to_date: &Given,
) -> Result<Driven, Error> {
    let mut driven = Driven { held: sink.frontier(), batches: 0, touched: 0 };
    let (mut made, mut given) = (0, driven.held);
    to_date.accepted(given, Ack::Durable);
    while let Some(batch) = next(&batches, sink, to_date)? {
        assert_eq!(batch.lower, made, "batches tile time");
        made = batch.upper;
        if driven.held > 0 && batch.base >= driven.held {
            return Err(Error::BaseAfterSink { base: Lsn::of_time(batch.base), sink: Lsn::of_time(driven.held - 1) });
        }
        if let Some(batch) = above(batch, driven.held) {
            assert_eq!(batch.lower, given, "a sink's batches tile time from its frontier on");
            given = batch.upper;
            driven.batches += 1;
            driven.touched += batch.touched.len() as u64;
            let (lower, upper, touched) = (batch.lower, batch.upper, batch.touched.len());
            let ack = sink.apply(batch)?;
            to_date.accepted(upper, ack);
            debug!(lower, upper, touched, ?ack, "batch applied");
        }
    }
    Ok(driven)
}

/// The next batch, or `None` after the last. A deadline that has passed comes first: a batch may always be there.
fn next<S: Sink + ?Sized>(batches: &Receiver<Batch>, sink: &mut S, to_date: &Given) -> Result<Option<Batch>, Error> {
    loop {
        let Some(deadline) = sink.deadline() else { return Ok(batches.recv()) };
        if deadline > Instant::now() {
            match batches.recv_until(Some(deadline)) {
                Ok(batch) => return Ok(Some(batch)),
                Err(Empty::Ended) => return Ok(None),
                Err(Empty::Nothing) => {}
            }
        }
        to_date.acknowledged(sink.due()?);
    }
}

/// What of a batch a sink that holds everything below `held` has yet to be given.
pub(super) fn above(mut batch: Batch, held: Time) -> Option<Batch> {
    if batch.upper <= held {
        return None;
    }
    if batch.lower < held {
        batch.lower = held;
        if Mutant::GiveWhatIsHeld.lives() {
            return Some(batch);
        }
        batch.touched.retain(|touch| touch.time >= held);
    }
    Some(batch)
}

#[cfg(test)]
mod tests;
