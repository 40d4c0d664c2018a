//! The proof of the sink to search servers, on real ones: indexes that are compared with every state that they may have while the
//! server, its disk and the runs that fill them go wrong.
//!
//! ```text
//!   logs, which grow ──> deltaic run, one for each ──> aliases of one server ── progress document, documents, versions
//!       │                      × killed                    × killed, restarted, frozen,             │ at random moments,
//!       │                                                    full, blocked                          │ and at the end
//!       └── oracle: the engine over the whole log, every state of each document ══ must hold that ══┘
//! ```
//!
//! # Notes
//! - A clean restart is worse than a kill: the server forgets the versions of documents that are deleted.
//! - Some indexes are then rebuilt by runs that are killed: what is read is exact before, between and after.
//! - At the end there is one answer. Before, a document may be at the state that is durable, or at any that was attempted since.

mod follower;
mod growth;
mod load;
mod logs;
mod node;
mod oracle;
mod reader;
mod round;

use super::LabOptions;
use super::install::run_folder;
use super::search_server::SearchKind;
use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use follower::{Follower, SinkWords};
use logs::GivenLog;
use node::Node;
use round::Round;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// What was seen of search servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchSummary {
    /// Of each server.
    pub servers: Vec<SearchServerSummary>,
    /// Those that were left out, and why.
    pub skipped: Vec<String>,
}

/// What was seen of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchServerSummary {
    /// Its name and version.
    pub server: String,
    /// The seed of the first round; each takes the next.
    pub seed: u64,
    /// Rounds that were gone through.
    pub rounds: u64,
    /// What went wrong in them, how often.
    pub faults: BTreeMap<SearchFault, u64>,
    /// Runs that were killed.
    pub kills: u64,
    /// Indexes that were blocked for a while.
    pub blocked: u64,
    /// How often all documents of an index were compared while it was written.
    pub compared: u64,
    /// Of those: while documents stood between two LSNs.
    pub between: u64,
    /// Looks that the server was too busy for.
    pub not_answered: u64,
    /// Indexes that were exact at the end: documents, versions, and what they say of themselves.
    pub exact: u64,
    /// Documents in them.
    pub documents: u64,
    /// Indexes that were rebuilt from their logs at the end, each exact before, between and after.
    pub rebuilds: u64,
    /// Rebuilds that were killed.
    pub rebuild_kills: u64,
    /// How often documents were deleted on the way.
    pub deletes: u64,
    /// How often some of those came again.
    pub returns: u64,
    /// Bulks of another writer that were refused for now (429).
    pub load_refused: u64,
    /// Times that a run told of bulks that were refused for now (429); of many it tells of one.
    pub refused: u64,
    /// Documents that were sent again, by those runs that were not killed.
    pub again: u64,
    /// Documents of which the index had a newer state already, by the same.
    pub newer: u64,
    /// How long it took, in seconds.
    pub seconds: u64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SearchFault {
    /// The server is killed, and started again.
    KillServer,
    /// The server is stopped cleanly, and started again.
    RestartServer,
    /// The server stands still for longer than an answer is waited for.
    FreezeServer,
    /// Runs are killed, and started again.
    KillDeltaic,
    /// Indexes take no writes.
    BlockWrites,
    /// Indexes take deletes of indexes only, as when the disk is full.
    BlockReadOnly,
    /// Somebody else writes as much as he can.
    Overload,
}

/// What goes wrong in a round.
const FAULTS: [SearchFault; 9] = [
    SearchFault::KillServer,
    SearchFault::RestartServer,
    SearchFault::FreezeServer,
    SearchFault::KillDeltaic,
    SearchFault::KillDeltaic,
    SearchFault::BlockWrites,
    SearchFault::BlockReadOnly,
    SearchFault::Overload,
    SearchFault::Overload,
];

/// Without those that hold requests back: where deletes are forgotten at once, nothing that is late may come.
const FAULTS_WITHOUT_VERSIONS: [SearchFault; 7] = [
    SearchFault::KillServer,
    SearchFault::RestartServer,
    SearchFault::KillDeltaic,
    SearchFault::KillDeltaic,
    SearchFault::BlockWrites,
    SearchFault::BlockReadOnly,
    SearchFault::Overload,
];

/// Fills indexes of each server that is asked for.
pub(super) fn search(options: &LabOptions) -> Result<SearchSummary> {
    let (dir, run) = run_folder(&options.dir, "run-search")?;
    let (kinds, skipped) = chosen(&options.servers);
    let mut summary = SearchSummary { skipped, ..SearchSummary::default() };
    let captures = logs::captures(&run)?;
    for kind in kinds {
        let of = server(kind, options, &dir, &run, &captures);
        summary.servers.push(of.with_context(|| format!("{}, seed {}", kind.label(), options.seed))?);
    }
    Ok(summary)
}

/// The servers that are asked; and those that are left out, each with the reason.
pub(super) fn chosen(wanted: &str) -> (Vec<SearchKind>, Vec<String>) {
    let (mut kinds, mut skipped) = (Vec::new(), Vec::new());
    for kind in SearchKind::ALL {
        match left_out(kind, wanted) {
            Some(why) => skipped.push(format!("{}: {why}", kind.label())),
            None => kinds.push(kind),
        }
    }
    (kinds, skipped)
}

/// Why a server is not asked.
fn left_out(kind: SearchKind, wanted: &str) -> Option<&'static str> {
    let is_usual = matches!(kind, SearchKind::OpenSearch2 | SearchKind::Elasticsearch8);
    match wanted {
        "" if !is_usual => Some("only with --servers all"),
        "" | "all" if !kind.runs_here() => Some("no JDK that it runs on"),
        "" | "all" => None,
        wanted if !kind.label().starts_with(wanted) => Some("not asked for"),
        _ => None,
    }
}

fn server(
    kind: SearchKind,
    options: &LabOptions,
    dir: &Path,
    run: &Path,
    captures: &[GivenLog],
) -> Result<SearchServerSummary> {
    let begun = Instant::now();
    let folder = run.join(kind.label());
    let mut summary =
        SearchServerSummary { server: kind.label(), seed: options.seed, ..SearchServerSummary::default() };
    let mut node = Node::new(kind, dir, &folder.join("server"))?;
    load::prepare(&node.reader)?;
    for number in 0..options.rounds {
        let seed = options.seed + number;
        let generated = logs::generated(seed, run)?;
        // Every second round has little to go by: the server forgets deletes at once.
        let (gc, faults): (_, &[SearchFault]) =
            if number % 2 == 0 { (None, &FAULTS) } else { (Some(0), &FAULTS_WITHOUT_VERSIONS) };
        let logs: &[&[GivenLog]] = if number == 0 { &[captures, &generated] } else { &[&generated] };
        let logs: Vec<&GivenLog> = logs.iter().copied().flatten().collect();
        let mut rng = Rng::with_seed(seed ^ 0x5ea7c4);
        let words = SinkWords { kind: kind.name(), url: node.url(), gc_deletes_ms: gc };
        let follower = |given| Follower::new(given, number, &folder, &options.program, &words, &mut rng);
        let followers = logs.into_iter().map(follower).collect::<Result<_>>()?;
        let round = Round { node: &mut node, followers, faults: faults.to_vec(), summary: &mut summary, rng };
        round.run().with_context(|| format!("round {number}; see {}", folder.display()))?;
        summary.rounds += 1;
    }
    node.stop()?;
    summary.seconds = begun.elapsed().as_secs();
    let SearchServerSummary { load_refused, refused, .. } = summary;
    ensure!(load_refused > 0 && refused > 0, "nothing was refused for now: {load_refused}, {refused}");
    ensure!(summary.deletes > 1_000 && summary.returns > 1_000, "few documents came and went: {summary:?}");
    ensure!(summary.between > 0, "no index was seen between two LSNs");
    ensure!(summary.rebuild_kills > 0, "no rebuild was killed");
    Ok(summary)
}
