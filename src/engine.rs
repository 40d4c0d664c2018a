//! Runs a view over a replay log into a sink.

use crate::align::AlignOptions;
use crate::dead_letter::OnBadRecord;
use crate::envelope::codecs;
use crate::error::Error;
use crate::render::Plan;
use crate::report::Report;
use crate::sink::drive::{Driven, drive};
use crate::sink::{Identity, Sink};
use crate::source::catalog::Catalog;
use crate::source::feed;
use crate::source::log::{self, Follow, Log, LogInput};
use crate::source::survey::{Heads, Restarts};
use crate::spill::{Spill, SpillOptions};
use crate::status::Status;
use crate::time::{Epoch, Lsn};
use crate::worker;
use dataflows::View;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// Batches on their way to the sink.
const BATCHES: usize = 4;

/// How a log is replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOptions {
    /// The log's parts, in order.
    pub inputs: Vec<LogInput>,
    /// Worker threads. Default 1.
    pub workers: usize,
    /// The topic prefix of the source; found in the log if it is `None`, which standard input does not allow.
    pub prefix: Option<String>,
    /// How many partitions topics have, by topic name. Needed where the log cannot tell: for standard input, and for a
    /// dump that lacks a partition.
    pub partitions: BTreeMap<String, u32>,
    /// Stop at the last transaction that ends at or before this LSN.
    pub until: Option<Lsn>,
    /// The log holds all of the initial snapshot, even if a partition shows no change after it.
    pub snapshot_complete: bool,
    /// Go on without an initial snapshot.
    pub allow_partial_base: bool,
    /// What to do with records that cannot be used.
    pub on_bad_record: OnBadRecord,
    /// A row of a blocking snapshot repairs what the stream has lost only after the stream is this many milliseconds past
    /// the moment it was read. Default 10,000.
    pub repair_delay_ms: i64,
    /// How much of the log is decoded at once, in bytes. Default 256 KiB.
    pub block_bytes: usize,
    /// Wait for more at the end of the last input, which is a plain file that grows, until the run is stopped. What such a
    /// log will hold cannot be known before, so [`prefix`](Self::prefix) and the [`partitions`](Self::partitions) of every
    /// table must be given. Default false.
    pub follow: bool,
    /// A transaction of a followed log that has been there for this many milliseconds, with all that was there read, closes
    /// when its rows are all counted, [`settled`](Report::settled) and not proven. 0 waits for a proof for ever. Default
    /// 30,000.
    pub settle_ms: u64,
    /// How many bytes of rows may wait in memory for their transactions to be complete, all workers and tables together.
    /// What is more waits in files. Default 256 MiB.
    pub memory_budget: u64,
    /// The folder in which the run makes one of its own for those files, when it needs it; it goes with the run. Default:
    /// the system's folder for temporary files.
    pub spill_dir: Option<PathBuf>,
    /// How many bytes those files may have. Where that is not enough the run ends with [`Error::Spill`]. Default 16 GiB.
    pub spill_budget: u64,
}

impl ReplayOptions {
    /// Replays `inputs` with one worker and every default.
    pub fn new(inputs: Vec<LogInput>) -> ReplayOptions {
        ReplayOptions {
            inputs,
            workers: 1,
            prefix: None,
            partitions: BTreeMap::new(),
            until: None,
            snapshot_complete: false,
            allow_partial_base: false,
            on_bad_record: OnBadRecord::Stop,
            repair_delay_ms: 10_000,
            block_bytes: log::BLOCK_BYTES,
            follow: false,
            settle_ms: 30_000,
            memory_budget: 256 << 20,
            spill_dir: None,
            spill_budget: 16 << 30,
        }
    }
}

/// Stops a run, and tells how far it is, from any thread.
#[derive(Clone)]
pub struct RunHandle {
    status: Arc<Status>,
    bytes: Option<u64>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Records read.
    pub records: u64,
    /// The share of the log that was read, from 0 to 1, if its size is known.
    pub share: Option<f64>,
    /// Transactions that wait to close.
    pub open_transactions: usize,
    /// Transactions closed.
    pub transactions: u64,
    /// Of those, how many closed without a proof: see [`Report::settled`].
    pub settled: u64,
    /// Documents that stand.
    pub documents: u64,
    /// What the run has read is exact at this LSN.
    pub exact_at: Option<Lsn>,
    /// The sink holds everything up to this LSN from an earlier run: until `exact_at` is there, the sink stays as it is.
    pub held: Option<Lsn>,
}

impl RunHandle {
    /// Asks the run to end at a transaction boundary.
    pub fn stop(&self) {
        self.status.interrupt();
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        let align = self.status.align();
        let read = self.status.counters.bytes_read() as f64;
        Progress {
            records: self.status.counters.records_read(),
            share: self.bytes.filter(|bytes| *bytes > 0).map(|bytes| read / bytes as f64),
            open_transactions: align.pending,
            transactions: align.closed(),
            settled: align.settled,
            documents: self.status.counters.documents(),
            exact_at: align.exact_at,
            held: self.status.held(),
        }
    }
}

/// A view over a log, ready to run.
pub struct Engine<V> {
    view: V,
    options: ReplayOptions,
    status: Arc<Status>,
}

impl<V: View> Engine<V> {
    /// Prepares `view` over the log that `options` name.
    pub fn replay(view: V, options: ReplayOptions) -> Engine<V> {
        let status = Arc::new(Status::new(options.on_bad_record.clone()));
        Engine { view, options, status }
    }

    /// A hand on the run.
    pub fn handle(&self) -> RunHandle {
        let bytes = if self.options.follow { None } else { log::total_bytes(&self.options.inputs) };
        RunHandle { status: Arc::clone(&self.status), bytes }
    }

    /// Runs to the end of the log, or until told to stop, on threads of its own; the sink runs on the calling thread.
    ///
    /// # Errors
    /// See [`Error`]. What the sink was given before is exact, but the run is not finished.
    pub fn run(self, sink: &mut impl Sink) -> Result<Report, Error> {
        let started = Instant::now();
        let Engine { view, options, status } = self;
        info!(view = view.name(), workers = options.workers, inputs = ?options.inputs, "run starts");
        // A sink that is of something else is told before the whole log is looked at, if the source is named.
        if let Some(prefix) = &options.prefix {
            start(sink, &view, prefix, &options)?;
        }
        let Known { prefix, catalog, partitions, restarts } = look(&view, &options)?;
        info!(transactions = catalog.topic_name(Catalog::TRANSACTIONS), ?partitions, "source found");
        if options.prefix.is_none() {
            start(sink, &view, &prefix, &options)?;
        }
        let workers = options.workers.max(1);
        let spill = Spill::new(&spill_options(&options), workers * catalog.codecs.len());
        let plan = Plan {
            view,
            catalog: catalog.clone(),
            status: Arc::clone(&status),
            align: AlignOptions {
                epoch: Epoch::default(),
                until: options.until,
                snapshot_complete: options.snapshot_complete,
                allow_partial_base: options.allow_partial_base,
                repair_delay_ms: options.repair_delay_ms,
                settle_ms: options.settle_ms,
            },
            partitions,
            restarts,
            history: sink.history(),
            spill: Arc::clone(&spill),
            compact_from: compact_from(options.memory_budget),
        };
        status.hold(sink.frontier().checked_sub(1).map(Lsn::of_time));
        // However it ends, by a panic of the sink too, the threads then find that it is over and stop.
        let over = StopOnDrop(&status);
        let inlets = feed::start(log(options, &status), &catalog, workers, workers);
        let (batches_in, batches) = sync_channel(BATCHES);
        let guards = worker::start(plan, inlets, batches_in)?;
        let driven = drive(batches, sink);
        drop(over);
        worker::join(guards, &status)?;
        let driven = driven?;
        match status.take_error() {
            Some(error) => {
                // What was given before the error is exact: it is kept, and the next run goes on from there. Should that
                // fail, the sink is where it was, and the first error is the one to tell.
                let _kept = sink.flush();
                Err(error)
            }
            None => {
                sink.finish()?;
                let report = report(&status, driven, &spill, started);
                log_end(&report);
                Ok(report)
            }
        }
    }
}

/// Starts the sink, unless it holds something else, or more than was asked for.
fn start(sink: &mut impl Sink, view: &impl View, prefix: &str, options: &ReplayOptions) -> Result<(), Error> {
    sink.start(&identity(view, prefix, options))?;
    match (options.until, sink.frontier().checked_sub(1)) {
        (Some(until), Some(last)) if until.time(Epoch::default()) < last => {
            Err(Error::UntilBeforeSink { until, sink: Lsn::of_time(last) })
        }
        _ => Ok(()),
    }
}

/// The log, as it is to be read.
fn log(options: ReplayOptions, status: &Arc<Status>) -> Log {
    let ReplayOptions { inputs, block_bytes, follow, settle_ms, .. } = options;
    let status = Arc::clone(status);
    let follow = follow.then(|| Follow {
        settle: Some(Duration::from_millis(settle_ms)).filter(|settle| !settle.is_zero()),
        goes_on: Box::new(move || !status.is_stopped()),
    });
    Log { inputs, block_bytes, follow }
}

fn spill_options(options: &ReplayOptions) -> SpillOptions {
    let ReplayOptions { memory_budget, spill_budget, spill_dir, .. } = options;
    SpillOptions { memory: *memory_budget, disk: *spill_budget, dir: spill_dir.clone() }
}

/// From how many bytes of changes of one time on the upsert looks for those that others have overtaken: it takes some
/// time, which is well spent only where there are many.
fn compact_from(memory_budget: u64) -> usize {
    (memory_budget / 16).clamp(1 << 10, 16 << 20) as usize
}

/// What the documents of a run are of.
fn identity(view: &impl View, prefix: &str, options: &ReplayOptions) -> Identity {
    let mut identity = Identity::new(view, prefix);
    if options.allow_partial_base {
        // Such documents lack what was before the log. They are never mixed with whole ones.
        identity.options.push(("allow_partial_base".to_owned(), "true".to_owned()));
    }
    identity
}

fn log_end(report: &Report) {
    if report.late > 0 {
        warn!(rows = report.late, "rows came after their transaction had closed without them");
    }
    if !report.inexact.is_empty() {
        let keys = report.inexact.len() as u64 + report.inexact_more;
        warn!(keys, "keys are inexact");
    }
    let exact_at = report.exact_at.map(|lsn| lsn.0);
    let (transactions, open) = (report.transactions(), report.open.len());
    info!(exact_at, transactions, open, records = report.records, interrupted = report.interrupted, "run ends");
}

struct StopOnDrop<'a>(&'a Status);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What is known of a log before it is replayed.
struct Known {
    prefix: String,
    catalog: Catalog,
    /// How many partitions each table's topic has, if that is known.
    partitions: Option<Vec<u32>>,
    restarts: Restarts,
}

/// Learns of the log what must be known before it is replayed.
fn look<V: View>(view: &V, options: &ReplayOptions) -> Result<Known, Error> {
    let codecs = codecs(view);
    let given = |catalog: &Catalog, found: &dyn Fn(&str) -> u32| {
        let of = |table: usize| {
            let topic = catalog.topic_name(table as u16);
            options.partitions.get(topic).copied().unwrap_or_default().max(found(topic))
        };
        (0..catalog.codecs.len()).map(of).collect::<Vec<_>>()
    };
    if options.follow || options.inputs.contains(&LogInput::Stdin) {
        let what = if options.follow { "a log that is followed" } else { "standard input" };
        let prefix = options
            .prefix
            .as_deref()
            .ok_or_else(|| Error::Prefix { found: format!("{what} cannot be searched for its source") })?;
        let catalog = Catalog::new(prefix, codecs);
        let topics = (0..catalog.codecs.len()).map(|table| catalog.topic_name(table as u16));
        let unknown: Vec<&str> = topics.filter(|topic| !options.partitions.contains_key(*topic)).collect();
        if options.follow && !unknown.is_empty() {
            return Err(Error::FollowPartitions { topics: unknown.join(", ") });
        }
        let partitions = unknown.is_empty().then(|| given(&catalog, &|_| 0));
        return Ok(Known { prefix: prefix.to_owned(), catalog, partitions, restarts: Restarts::Unknown });
    }
    let heads = Heads::read(&options.inputs).map_err(Arc::new)?;
    let prefix = match &options.prefix {
        Some(prefix) => prefix.clone(),
        None => only_prefix(&heads)?,
    };
    let catalog = Catalog::new(&prefix, codecs);
    let transactions = catalog.topic_name(Catalog::TRANSACTIONS).to_owned();
    if !heads.has(&transactions) {
        return Err(Error::NoTransactionTopic { topic: transactions });
    }
    let count = heads.partitions(&transactions);
    if count != 1 {
        return Err(Error::TransactionPartitions { topic: transactions, partitions: count });
    }
    let restarts = heads.restarts(&options.inputs).map_err(Arc::new)?;
    let partitions = given(&catalog, &|topic| heads.partitions(topic));
    Ok(Known { prefix, catalog, partitions: Some(partitions), restarts })
}

fn only_prefix(heads: &Heads) -> Result<String, Error> {
    let mut prefixes = heads.prefixes();
    match (prefixes.pop(), prefixes.is_empty()) {
        (Some(prefix), true) => Ok(prefix),
        (Some(last), false) => {
            Err(Error::Prefix { found: format!("the log holds several sources: {}, {last}", prefixes.join(", ")) })
        }
        (None, _) => Err(Error::Prefix {
            found: "the log has no transaction topic (set provide.transaction.metadata=true in the connector)"
                .to_owned(),
        }),
    }
}

fn report(status: &Status, driven: Driven, spill: &Spill, started: Instant) -> Report {
    let align = status.align();
    let counters = &status.counters;
    let (mut inexact, inexact_more) = status.take_inexact();
    inexact.sort_by(|a, b| (a.after, &a.table, &a.key).cmp(&(b.after, &b.table, &b.key)));
    Report {
        exact_at: align.exact_at,
        base: align.base,
        partial_base: align.partial_base,
        closed_by_counts: align.closed_by_counts,
        closed_by_progress: align.closed_by_progress,
        settled: align.settled,
        open: align.open,
        unended: align.unended,
        resumed_at: driven.held.checked_sub(1).map(Lsn::of_time),
        touched: driven.touched,
        nothing_new: driven.held > 0 && driven.batches == 0,
        records: counters.records_read(),
        redelivered: counters.rows_redelivered(),
        late: counters.rows_late(),
        unapplied: counters.rows_unapplied(),
        bad: counters.records_bad(),
        spilled_bytes: spill.written(),
        inexact,
        inexact_more,
        cut: status.is_cut(),
        interrupted: status.is_interrupted(),
        elapsed: started.elapsed(),
    }
}
