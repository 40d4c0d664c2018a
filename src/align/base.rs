//! The initial snapshot: loaded in pieces, shown as one.
//!
//! A connector killed inside its snapshot takes a new one. Attempts are told apart by their LSN, and only the greatest is
//! ever shown. Rows are let into the dataflow while they arrive, at internal times, so that state builds without holding
//! the snapshot twice; a later attempt resets what an earlier one loaded.

use super::{AlignError, AlignOptions, Closing};
use crate::mutant::Mutant;
use crate::time::{HYDRATION_END, Lsn, Time};

#[derive(Default)]
pub(super) struct Base {
    published: Option<Lsn>,
    /// The greatest attempt seen.
    attempt: Option<Lsn>,
    /// Whether the marker `last` of that attempt was read.
    last: bool,
    /// Whether any change of the stream was read: then an attempt was completed.
    stream: bool,
    /// Whether a change was read that nothing was committed before: the log starts where the snapshot ended.
    from_the_start: bool,
    /// The least END that a change of the stream was read to come after.
    begins_behind: Option<Lsn>,
    rows: u64,
    loads: Time,
    /// The attempt of which rows were let in.
    loaded: Option<Lsn>,
    /// Rows of attempts that were read, in all.
    read: u64,
    /// When all there was had been read, in milliseconds, with so many rows read: the first such moment with that number.
    rest: Option<(u64, u64)>,
    rests: bool,
}

impl Base {
    /// The LSN of the snapshot that was shown.
    pub(super) fn published(&self) -> Option<Lsn> {
        self.published
    }

    /// The last internal time used.
    pub(super) fn loads(&self) -> Time {
        self.loads
    }

    pub(super) fn streamed(&mut self, previous: Lsn) {
        self.stream = true;
        self.from_the_start |= previous == Lsn(0);
        self.begins_behind = Some(self.begins_behind.map_or(previous, |least| least.min(previous)));
    }

    /// Notes a row of an attempt; answers with a load when enough rows wait.
    pub(super) fn row(&mut self, attempt: Lsn, last: bool, load_rows: u64) -> Result<Option<Closing>, AlignError> {
        if let Some(base) = self.published {
            return if attempt > base { Err(AlignError::NewBase { base, snapshot: attempt }) } else { Ok(None) };
        }
        self.read += 1;
        if self.attempt < Some(attempt) && !(Mutant::FirstSnapshot.lives() && self.attempt.is_some()) {
            (self.attempt, self.last, self.rows) = (Some(attempt), false, 0);
        }
        if self.attempt == Some(attempt) {
            self.last |= last;
            self.rows += 1;
        }
        if self.rows < load_rows || self.loads + 2 >= HYDRATION_END {
            return Ok(None);
        }
        self.rows = 0;
        self.loads += 1;
        let reset = self.reset(attempt);
        Ok(Some(Closing::Load { snapshot: attempt, reset }))
    }

    /// All there is was read. Rows of the snapshot may stand behind its last one, in other partitions, and come later than it;
    /// but not `settle_ms` after it and all others (unless that is zero, and they may for ever).
    pub(super) fn rest(&mut self, ms: u64, settle_ms: u64) {
        if !(self.last || self.stream) {
            return;
        }
        let (since, read) = self.rest.unwrap_or((ms, self.read));
        if read != self.read {
            self.rest = Some((ms, self.read));
            return;
        }
        self.rest = Some((since, read));
        self.rests |= settle_ms > 0 && ms.saturating_sub(since) >= settle_ms;
    }

    /// Whether the snapshot is complete as far as time can tell.
    pub(super) fn rests(&self) -> bool {
        self.rests
    }

    fn reset(&mut self, attempt: Lsn) -> bool {
        self.loaded.replace(attempt).is_some_and(|loaded| loaded != attempt)
    }

    /// Whether rows of an initial snapshot were read.
    pub(super) fn attempted(&self) -> bool {
        self.attempt.is_some()
    }

    /// Whether the user says that nothing is missing of the base, and all that is there of it was read. Time alone proves
    /// nothing: where there may always be more, so may rows of the snapshot, from a partition that is silent. But when a
    /// transaction behind the snapshot has settled, so has the snapshot.
    pub(super) fn vouched(&self, options: &AlignOptions, whole: bool, settled: Option<Lsn>) -> bool {
        let said = options.snapshot_complete || (options.allow_partial_base && (self.attempt.is_none() || !whole));
        said && settled > Some(self.attempt.unwrap_or_default())
    }

    /// Where the base lies and whether it is partial, once all partitions have shown changes (`proven`) or the log has
    /// ended. `whole` says that no partition lacks its first records. `None` means that the snapshot may go on.
    pub(super) fn decide(
        &self,
        options: &AlignOptions,
        proven: bool,
        whole: bool,
    ) -> Option<Result<(Lsn, bool), AlignError>> {
        match self.attempt {
            Some(attempt) if options.snapshot_complete => Some(Ok((attempt, false))),
            Some(attempt) if proven && (self.last || self.stream) => Some(Ok((attempt, !whole))),
            // What is gone does not come: what is left of it, and what comes behind, is all there will be.
            Some(attempt) if !whole && options.allow_partial_base => Some(Ok((attempt, true))),
            Some(_) => None,
            None if self.from_the_start && (whole || options.snapshot_complete) => Some(Ok((Lsn(0), false))),
            None if options.allow_partial_base => Some(Ok((Lsn(0), true))),
            None => Some(Err(AlignError::NoSnapshot)),
        }
    }

    pub(super) fn publish(&mut self, lsn: Lsn, partial: bool) -> Closing {
        self.published = Some(lsn);
        let snapshot = self.attempt;
        let reset = snapshot.is_some_and(|attempt| self.reset(attempt));
        let partial_from = partial.then(|| self.begins_behind.unwrap_or(lsn));
        Closing::Base { snapshot, reset, partial_from }
    }
}
