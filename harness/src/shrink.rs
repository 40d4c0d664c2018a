//! From a case that fails to the smallest that still does, for someone to look at.
//!
//! ```text
//!  case ──> one thing smaller ──> fails still? ──yes──> that is the case now ──┐
//!    ^            │                    └────no────> the next smaller thing     │
//!    └────────────┴──────────── until nothing smaller fails, or 200 attempts ──┘
//! ```
//!
//! Greedy: it goes down one dimension after the other (fewer transactions, fewer partitions, one oddity off, one worker)
//! and comes back to those before, as one may only shrink once another has. What it ends with is a minimum, not the only
//! one: nothing that is smaller in one dimension fails.
//!
//! # Notes
//! Other options make another history of the same seed. A smaller case may so fail by another fault; that it fails in the
//! same words, up to the first number, is all that is asked.

use crate::case::Case;
use crate::check::Divergence;
use crate::connector::{ConnectorOptions, Resume, Schemas, SnapshotField};
use crate::delivery::Delivery;
use crate::workload::Weights;

/// Cases that are tried for one that fails.
pub const ATTEMPTS_MAX: usize = 200;

/// What became of a case that fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Shrunk {
    /// The smallest case found that still fails.
    pub case: Case,
    /// Cases tried.
    pub attempts: usize,
    /// Whether every smaller one was tried.
    pub smallest: bool,
}

/// Makes `case` smaller as long as `fails` says that it still does, trying `attempts_max` cases at most.
pub fn shrink(case: Case, attempts_max: usize, mut fails: impl FnMut(&Case) -> bool) -> Shrunk {
    let mut shrunk = Shrunk { case, attempts: 0, smallest: false };
    loop {
        let before = shrunk.case.clone();
        for dimension in DIMENSIONS {
            if !go_down(dimension, &mut shrunk, attempts_max, &mut fails) {
                return shrunk;
            }
        }
        if shrunk.case == before {
            return Shrunk { smallest: true, ..shrunk };
        }
    }
}

/// Goes down one dimension as far as the case fails; false when there are no attempts left.
fn go_down(
    dimension: &Dimension,
    shrunk: &mut Shrunk,
    attempts_max: usize,
    fails: &mut impl FnMut(&Case) -> bool,
) -> bool {
    loop {
        let mut found = None;
        for smaller in dimension(&shrunk.case) {
            if shrunk.attempts == attempts_max {
                return false;
            }
            shrunk.attempts += 1;
            if fails(&smaller) {
                found = Some(smaller);
                break;
            }
        }
        match found {
            Some(smaller) => shrunk.case = smaller,
            None => return true,
        }
    }
}

/// Shrinks a case that [`Case::check`] says is wrong, and writes both down for whoever is to mend it.
pub fn smallest_failure(case: &Case, divergence: &Divergence) -> String {
    let same = |problem: &str| kind(problem) == kind(&divergence.problem);
    let shrunk = shrink(case.clone(), ATTEMPTS_MAX, |case| case.check().is_err_and(|found| same(&found.problem)));
    let problem = match shrunk.case.check() {
        Err(found) => found.problem.clone(),
        Ok(_) => "it fails now and then only".to_owned(),
    };
    let smallest = if shrunk.smallest { "nothing smaller fails" } else { "there may be smaller ones" };
    format!(
        "{divergence}\n\nafter {} attempts, {smallest}; for the list in tests/it/regressions.rs:\n\n// {problem}\n{},",
        shrunk.attempts, shrunk.case
    )
}

/// A problem up to the first number: LSNs and counts differ between cases.
fn kind(problem: &str) -> &str {
    problem.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default()
}

/// The cases that are smaller in one way, the smallest first.
type Dimension = fn(&Case) -> Vec<Case>;

/// A number that may go down to a least.
macro_rules! fewer {
    ($($part:ident).+ $([$at:literal])?, least $least:literal) => {
        |case: &Case| {
            let now = case.$($part).+$([$at])?;
            let mut numbers = vec![$least, now / 2, now - now / 4, now.saturating_sub(1)];
            numbers.retain(|number| ($least..now).contains(number));
            numbers.dedup();
            let with = |number| {
                let mut smaller = case.clone();
                smaller.$($part).+$([$at])? = number;
                smaller
            };
            numbers.into_iter().map(with).collect()
        }
    };
}

/// Something that is plain or not.
macro_rules! plain {
    ($($part:ident).+, $plain:expr) => {
        |case: &Case| {
            let mut smaller = case.clone();
            smaller.$($part).+ = $plain;
            if smaller == *case { Vec::new() } else { vec![smaller] }
        }
    };
}

/// Everything of the connector at once, but for its partitions.
fn plain_connector(case: &Case) -> Vec<Case> {
    let mut smaller = case.clone();
    smaller.connector = ConnectorOptions { partitions: case.connector.partitions, ..ConnectorOptions::default() };
    if smaller == *case { Vec::new() } else { vec![smaller] }
}

/// Every kind of transaction at once, but for the plainest.
fn only_singles(case: &Case) -> Vec<Case> {
    let mut smaller = case.clone();
    smaller.workload.weights = Weights { single: case.workload.weights.single, ..Weights::NONE };
    if smaller == *case { Vec::new() } else { vec![smaller] }
}

/// The dimensions, those first that save most of the time or of the reading.
const DIMENSIONS: &[Dimension] = &[
    fewer!(workload.transactions, least 1),
    plain_connector,
    only_singles,
    fewer!(passage.workers, least 1),
    plain!(passage.delivery, Delivery::Production),
    plain!(passage.cut, None),
    plain!(passage.include, Vec::new()),
    plain!(passage.block_bytes, 256 << 10),
    plain!(passage.memory_budget, 256 << 20),
    fewer!(connector.restarts, least 0),
    fewer!(connector.lose_rows, least 0),
    fewer!(connector.aborted_snapshots, least 0),
    fewer!(connector.overlap, least 0),
    fewer!(workload.earlier_transactions, least 0),
    fewer!(workload.big_transactions, least 0),
    fewer!(workload.initial_items, least 0),
    fewer!(workload.initial_conversations, least 0),
    fewer!(workload.initial_users, least 0),
    fewer!(connector.partitions[0], least 1),
    fewer!(connector.partitions[1], least 1),
    fewer!(connector.partitions[2], least 1),
    fewer!(connector.partitions[3], least 1),
    plain!(connector.duplicate_percent, 0),
    plain!(connector.incremental, false),
    plain!(connector.blocking, false),
    plain!(connector.replica_identity_full, false),
    plain!(connector.schemas, Schemas::Off),
    plain!(connector.snapshot_field, SnapshotField::Null),
    plain!(connector.tombstone_spellings, false),
    plain!(connector.tombstones, true),
    plain!(connector.extra_fields, false),
    plain!(connector.sparse_fields, false),
    plain!(connector.shuffle_fields, false),
    plain!(connector.heartbeats, false),
    plain!(connector.resume, Resume::FirstRow),
    plain!(connector.second_begin, true),
    plain!(connector.flush_every, 50),
    plain!(connector.in_flight_max, 100),
    plain!(workload.finale, false),
    plain!(workload.allow_key_changes, false),
    plain!(workload.allow_truncate, false),
    plain!(workload.reuse_txids, false),
    plain!(workload.xid_start, 700),
    plain!(workload.weights.copy, 0),
    plain!(workload.weights.big, 0),
    plain!(workload.weights.family, 0),
    plain!(workload.weights.same_row, 0),
    plain!(workload.weights.key_change, 0),
    plain!(workload.weights.key_chain, 0),
    plain!(workload.weights.chain_across, 0),
    plain!(workload.weights.swap, 0),
    plain!(workload.weights.cycle, 0),
    plain!(workload.weights.truncate, 0),
    plain!(workload.weights.reparent, 0),
    plain!(workload.weights.close_reopen, 0),
    plain!(workload.weights.user, 0),
    plain!(workload.weights.hot, 0),
    plain!(workload.weights.signal, 0),
    plain!(workload.weights.empty, 0),
    plain!(workload.weights.single, 0),
];

#[cfg(test)]
mod tests;
