//! The changes of one key inside one time, applied in rank order.

use crate::envelope::{Body, Op};
use crate::hold::Rank;
use crate::mutant::Mutant;
use crate::time::Lsn;
use dataflows::Row;
use std::collections::VecDeque;

/// A row on its way from the key it had to the key it has now.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(bound = "")]
pub(super) struct Forward<R: Row> {
    pub(super) to: R::Key,
    pub(super) from: R::Key,
    /// The LSN that the two halves of the key change share.
    pub(super) lsn: Lsn,
    /// `None` if there was no row.
    pub(super) row: Option<R>,
}

/// What happens to a key, once.
enum Step<R: Row> {
    Put { row: R, from: Option<R::Key>, create: bool },
    Delete { to: Option<R::Key> },
    Truncate,
}

/// The folding of one key's changes; it can stop to wait for a forwarded row and go on later.
pub(super) struct Fold<R: Row> {
    /// The row as it was before this time.
    pub(super) before: Option<R>,
    /// The row as it is now.
    pub(super) current: Option<R>,
    /// The row that stood when a create took its key: in a swap of keys by one statement the create of a key comes before
    /// the delete of the row that had it.
    older: Option<R>,
    steps: VecDeque<(Rank, Step<R>)>,
    /// Copies of changes that were left out.
    pub(super) copies: u64,
}

/// How far a fold came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// All changes are applied.
    Done,
    /// A forwarded row is needed that has not come.
    Waits,
}

impl<R: Row> Fold<R> {
    /// Sorts the changes of a key, drops copies of one change, and puts rows of incremental snapshots, which have no LSN,
    /// behind the last change of a smaller offset.
    pub(super) fn new(before: Option<R>, mut changes: Vec<(Rank, Body<R>)>, incremental: Vec<(u64, R)>) -> Fold<R> {
        changes.sort_by_key(|change| change.0);
        let all = changes.len();
        // Late rows have no LSN; each is a change of its own.
        changes.dedup_by(|copy, kept| (copy.0.lsn, copy.0.op) == (kept.0.lsn, kept.0.op) && copy.0.lsn != Lsn(0));
        let copies = (all - changes.len()) as u64;
        let mut steps: VecDeque<(Rank, Step<R>)> = changes
            .into_iter()
            .map(|(rank, body)| {
                let step = match body {
                    Body::Put { row, from } => Step::Put { row, from, create: rank.op == Op::Create },
                    Body::Delete { to } => Step::Delete { to },
                    Body::Truncate => Step::Truncate,
                };
                (rank, step)
            })
            .collect();
        for (offset, row) in incremental {
            let at = steps.iter().rposition(|(rank, _)| rank.offset < offset).map_or(0, |at| at + 1);
            let rank = Rank { lsn: Lsn(0), op: Op::Read, offset };
            steps.insert(at, (rank, Step::Put { row, from: None, create: false }));
        }
        Fold { current: before.clone(), before, older: None, steps, copies }
    }

    /// Whether values are unknown now that were not before, wherever they should have come from: no row, or one that was
    /// itself not whole.
    pub(super) fn lost_values(&self) -> bool {
        let whole = |row: &Option<R>| row.as_ref().is_none_or(R::is_whole);
        whole(&self.before) && !whole(&self.current)
    }

    /// Applies changes until one needs a row that is not there. `forwarded` is asked once for each row needed; what it
    /// answers with `None` is waited for. Rows that leave for another key go to `forward`.
    pub(super) fn run(
        &mut self,
        mut forwarded: impl FnMut(&R::Key, Lsn) -> Option<Option<R>>,
        mut forward: impl FnMut(R::Key, Lsn, Option<R>),
    ) -> Folded {
        while let Some((rank, step)) = self.steps.front_mut() {
            if let Step::Put { row, from: Some(from), .. } = step
                && !row.is_whole()
            {
                match forwarded(from, rank.lsn) {
                    Some(Some(_)) if Mutant::ForgetOldKey.lives() => {}
                    Some(Some(old)) => row.fill(&old),
                    // There was no row: what is unknown stays so.
                    Some(None) => {}
                    None => return Folded::Waits,
                }
            }
            let Some((rank, step)) = self.steps.pop_front() else { break };
            self.apply(rank.lsn, step, &mut forward);
        }
        Folded::Done
    }

    fn apply(&mut self, lsn: Lsn, step: Step<R>, forward: &mut impl FnMut(R::Key, Lsn, Option<R>)) {
        match step {
            Step::Put { mut row, from, create } => {
                if let Some(stored) = self.current.as_ref().filter(|_| from.is_none() && !row.is_whole()) {
                    row.fill(stored);
                }
                if Mutant::GreatestInsteadOfLast.lives()
                    && let Some(greater) = self.current.clone().filter(|stored| *stored > row)
                {
                    row = greater;
                }
                let stood = self.current.replace(row);
                if create {
                    self.older = stood;
                }
            }
            Step::Delete { to: Some(to) } => {
                let left = self.older.take().or_else(|| self.current.take());
                forward(to, lsn, left);
            }
            Step::Delete { to: None } | Step::Truncate => {
                self.current = None;
                self.older = None;
            }
        }
    }
}
