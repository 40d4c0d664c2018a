//! Runs a view over a log, or over a source of records, into a sink.

mod handle;
mod look;
mod options;

pub use handle::{NotReached, Progress, Run, RunHandle};
pub use options::{Alignment, EngineOptions, Log};

use crate::align::AlignOptions;
use crate::dead_letter::OnBadRecord;
use crate::error::Error;
use crate::hold::Pace;
use crate::queue::{Bound, queue};
use crate::render::Plan;
use crate::report::Report;
use crate::sink::drive::{Driven, drive};
use crate::sink::{ForEach, Identity, Sink, SinkError, Touch};
use crate::source::catalog::Catalog;
use crate::source::clients::Clients;
#[cfg(feature = "kafka")]
use crate::source::clients::clients;
use crate::source::feed;
use crate::source::input::Input;
#[cfg(feature = "kafka")]
use crate::source::kafka::{Kafka, KafkaReader};
use crate::source::log::{self, LogReader, Tailing};
use crate::source::records::Source;
use crate::spill::{Spill, SpillOptions};
use crate::status::{Status, StopOnDrop};
use crate::time::{Epoch, Lsn};
use crate::worker;
use dataflows::View;
use look::{Known, look};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// What may wait on its way to the sink.
pub(crate) const BATCHES: Bound = Bound { items: 4, bytes: 64 << 20 };

/// What a run reads.
enum Reads {
    Log(Log),
    Source(Box<dyn Source>),
    #[cfg(feature = "kafka")]
    Kafka(Kafka),
}

/// A view over its input, ready to run.
///
/// What it is told is an [`EngineOptions`]; each method that is named like one of its fields sets that field.
///
/// # What a run does
/// It starts a thread that reads, and as many that decode and that work as there are [`workers`](Self::workers). The sink
/// runs on the thread that called [`Engine::run`]. Whatever goes wrong is an [`Error`]; nothing is printed, no signal is
/// caught. The threads end with the run; the one that reads may ask its source once more before it sees that. Clients of Kafka
/// are gone when the run returns, unless a broker that does not answer holds one up for more than five seconds.
pub struct Engine<V> {
    view: V,
    reads: Reads,
    options: EngineOptions,
    status: RunStatus,
}

impl<V: View> Engine<V> {
    /// `view` over a log: to its end, or for ever if it is followed.
    pub fn replay(view: V, log: Log) -> Engine<V> {
        Engine::new(view, Reads::Log(log))
    }

    /// `view` over the records of a source, such as those that [`record_channel`](crate::record_channel) hands over: to
    /// its end, or until the run is stopped. Needs a [`prefix`](Self::prefix), and the [`partitions`](Self::partitions) of
    /// every table's topic: nothing is proven complete without them, and nothing is shown unless the user says that the
    /// snapshot is whole ([`snapshot_complete`](Self::snapshot_complete)). What no later change proves complete closes
    /// [settled](Report::settled).
    pub fn live(view: V, source: impl Source + 'static) -> Engine<V> {
        Engine::new(view, Reads::Source(Box::new(source)))
    }

    /// `view` over the topics of a Debezium connector in Kafka, until the run is stopped. Needs a [`prefix`](Self::prefix).
    #[cfg(feature = "kafka")]
    pub fn kafka(view: V, kafka: Kafka) -> Engine<V> {
        Engine::new(view, Reads::Kafka(kafka))
    }

    fn new(view: V, reads: Reads) -> Engine<V> {
        Engine { view, reads, options: EngineOptions::default(), status: RunStatus::default() }
    }

    /// Sets all options at once.
    #[must_use]
    pub fn options(self, options: EngineOptions) -> Self {
        Engine { options, ..self }
    }

    fn with(mut self, set: impl FnOnce(&mut EngineOptions)) -> Self {
        set(&mut self.options);
        self
    }

    /// See [`EngineOptions::workers`].
    #[must_use]
    pub fn workers(self, workers: usize) -> Self {
        self.with(|options| options.workers = workers)
    }

    /// See [`EngineOptions::prefix`].
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(|options| options.prefix = Some(prefix.into()))
    }

    /// Says how many partitions a topic has: see [`EngineOptions::partitions`].
    #[must_use]
    pub fn partitions(self, topic: impl Into<String>, partitions: u32) -> Self {
        self.with(|options| {
            options.partitions.insert(topic.into(), partitions);
        })
    }

    /// See [`EngineOptions::alignment`].
    #[must_use]
    pub fn alignment(self, alignment: Alignment) -> Self {
        self.with(|options| options.alignment = alignment)
    }

    /// See [`EngineOptions::until`].
    #[must_use]
    pub fn until(self, until: Lsn) -> Self {
        self.with(|options| options.until = Some(until))
    }

    /// See [`EngineOptions::snapshot_complete`].
    #[must_use]
    pub fn snapshot_complete(self, complete: bool) -> Self {
        self.with(|options| options.snapshot_complete = complete)
    }

    /// See [`EngineOptions::allow_partial_base`].
    #[must_use]
    pub fn allow_partial_base(self, allow: bool) -> Self {
        self.with(|options| options.allow_partial_base = allow)
    }

    /// See [`EngineOptions::on_bad_record`].
    #[must_use]
    pub fn on_bad_record(self, what: OnBadRecord) -> Self {
        self.with(|options| options.on_bad_record = what)
    }

    /// See [`EngineOptions::repair_delay_ms`].
    #[must_use]
    pub fn repair_delay_ms(self, ms: i64) -> Self {
        self.with(|options| options.repair_delay_ms = ms)
    }

    /// See [`EngineOptions::settle_ms`].
    #[must_use]
    pub fn settle_ms(self, ms: u64) -> Self {
        self.with(|options| options.settle_ms = ms)
    }

    /// See [`EngineOptions::memory_budget`].
    #[must_use]
    pub fn memory_budget(self, bytes: u64) -> Self {
        self.with(|options| options.memory_budget = bytes)
    }

    /// See [`EngineOptions::spill_dir`].
    #[must_use]
    pub fn spill_dir(self, dir: impl Into<PathBuf>) -> Self {
        self.with(|options| options.spill_dir = Some(dir.into()))
    }

    /// See [`EngineOptions::spill_budget`].
    #[must_use]
    pub fn spill_budget(self, bytes: u64) -> Self {
        self.with(|options| options.spill_budget = bytes)
    }

    /// A hand on the run, before it starts and while it lasts.
    pub fn handle(&self) -> RunHandle {
        let bytes = match &self.reads {
            Reads::Log(log) if !log.follow => log::total_bytes(&log.inputs),
            _ => None,
        };
        RunHandle::new(Arc::clone(&self.status.0), bytes)
    }

    /// Runs to the end of the input, or until told to stop; the sink runs on the calling thread.
    ///
    /// # Errors
    /// See [`Error`]. What the sink was given before is exact, but the run is not finished.
    pub fn run<S: Sink + ?Sized>(self, sink: &mut S) -> Result<Report, Error> {
        let started = Instant::now();
        // Dropped last: whoever waits for the run hears of its end before its clients are waited for.
        let (input, _clients);
        let Engine { view, reads, options, status: ended_on_drop } = self;
        let status = &ended_on_drop.0;
        status.refuse_by(options.on_bad_record.clone());
        info!(view = view.name(), workers = options.workers, input = reads.words(), "run starts");
        // A sink that is of something else is told before the whole log is looked at, if the source is named.
        if let Some(prefix) = &options.prefix {
            start(sink, &view, prefix, &options)?;
        }
        let Known { prefix, catalog, partitions, restarts } = look(&view, &reads, &options)?;
        info!(transactions = catalog.topic_name(Catalog::TRANSACTIONS), ?partitions, "source found");
        if options.prefix.is_none() {
            start(sink, &view, &prefix, &options)?;
        }
        let workers = options.workers.max(1);
        let spill = Spill::new(&spill_options(&options), workers * catalog.codecs.len());
        let plan = Plan {
            view,
            catalog: catalog.clone(),
            status: Arc::clone(status),
            align: AlignOptions {
                epoch: Epoch::default(),
                alignment: options.alignment,
                until: options.until,
                snapshot_complete: options.snapshot_complete,
                allow_partial_base: options.allow_partial_base,
                load_rows: load_rows(options.memory_budget),
                repair_delay_ms: options.repair_delay_ms,
                settle_ms: options.settle_ms,
                looks_up: reads.looks_up(),
            },
            partitions,
            restarts,
            history: sink.history(),
            spill: Arc::clone(&spill),
            pace: Pace::new(workers * catalog.codecs.len()),
            compact_from: compact_from(options.memory_budget),
        };
        status.hold(sink.frontier().checked_sub(1).map(Lsn::of_time));
        (input, _clients) = reads.input(&options, &prefix, &catalog, status);
        // However it ends, by a panic of the sink too, the threads then find that it is over and stop: before the clients are
        // waited for.
        let over = StopOnDrop(status);
        let inlets = feed::start(input, &catalog, workers, workers)?;
        let (batches_in, batches) = queue(BATCHES);
        let guards = worker::start(plan, inlets, batches_in)?;
        // A panic drops the guards, which wait for the workers: these must have been told before.
        let told = StopOnDrop(status);
        let driven = drive(batches, sink, &status.given);
        drop((told, over));
        worker::join(guards, status)?;
        let driven = driven?;
        match status.take_error() {
            Some(error) => {
                // What was given before the error is exact: it is kept, and the next run goes on from there. Should that
                // fail, the sink is where it was, and the first error is the one to tell.
                if let Ok(ack) = sink.flush() {
                    status.given.acknowledged(ack);
                }
                Err(error)
            }
            None => {
                status.given.acknowledged(sink.finish()?);
                let report = report(status, driven, &spill, started);
                log_end(&report);
                Ok(report)
            }
        }
    }

    /// Runs, and calls `each` with every change of a document, in the order of their transactions.
    ///
    /// # Errors
    /// As of [`Engine::run`]; and what `each` answers.
    pub fn for_each(self, each: impl FnMut(Touch) -> Result<(), SinkError>) -> Result<Report, Error> {
        self.run(&mut ForEach::new(each))
    }

    /// Runs on a thread of its own, which the sink goes to.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start<S: Sink + Send + 'static>(self, mut sink: S) -> Result<Run<S>, Error> {
        let handle = self.handle();
        let run = move || (self.run(&mut sink), sink);
        let started = thread::Builder::new().name("deltaic".to_owned()).spawn(run);
        let thread = started.map_err(Error::Thread)?;
        Ok(Run::new(handle, thread))
    }
}

impl<V: View> fmt::Debug for Engine<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Engine");
        shown.field("view", &self.view.name()).field("reads", &self.reads.words());
        shown.field("options", &self.options).finish_non_exhaustive()
    }
}

/// Starts the sink, unless it holds something else, or more than was asked for.
fn start<S: Sink + ?Sized>(sink: &mut S, view: &impl View, prefix: &str, options: &EngineOptions) -> Result<(), Error> {
    sink.start(&identity(view, prefix, options))?;
    match (options.until, sink.frontier().checked_sub(1)) {
        (Some(until), Some(last)) if until.time(Epoch::default()) < last => {
            Err(Error::UntilBeforeSink { until, sink: Lsn::of_time(last) })
        }
        _ => Ok(()),
    }
}

impl Reads {
    /// What it is, for a log line.
    fn words(&self) -> String {
        match self {
            Reads::Log(log) => format!("{:?}", log.inputs),
            Reads::Source(_) => "records of a source".to_owned(),
            #[cfg(feature = "kafka")]
            // Of the properties no more than this: any other may be a secret.
            Reads::Kafka(kafka) => {
                format!("Kafka at {}", kafka.properties.get("bootstrap.servers").map_or("no broker", String::as_str))
            }
        }
    }

    /// Whether it is looked up where partitions end, and which there are.
    fn looks_up(&self) -> bool {
        match self {
            Reads::Log(_) | Reads::Source(_) => false,
            #[cfg(feature = "kafka")]
            Reads::Kafka(_) => true,
        }
    }

    /// The same, as it is to be read; and the clients that it is read with.
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables, reason = "the source's name is asked of Kafka alone"))]
    fn input(
        self,
        options: &EngineOptions,
        prefix: &str,
        catalog: &Catalog,
        status: &Arc<Status>,
    ) -> (Input, Option<Clients>) {
        let stopped = Arc::clone(status);
        let settle = Some(Duration::from_millis(options.settle_ms)).filter(|settle| !settle.is_zero());
        let tailing = Tailing { settle, goes_on: Box::new(move || !stopped.is_stopped()) };
        match self {
            Reads::Log(Log { inputs, follow, block_bytes }) => {
                let tailing = Some(tailing).filter(|_| follow);
                (Input::Log(LogReader { inputs, block_bytes: block_bytes.max(1), tailing }), None)
            }
            Reads::Source(source) => (Input::Source { source, tailing }, None),
            #[cfg(feature = "kafka")]
            Reads::Kafka(kafka) => {
                let (clients, alive) = clients();
                let reader = KafkaReader {
                    kafka,
                    prefix: prefix.to_owned(),
                    catalog: catalog.clone(),
                    tailing,
                    status: Arc::clone(status),
                    may_be_beheaded: options.allow_partial_base || options.snapshot_complete,
                    // Where each row stands for itself, the last of a key is all there need be.
                    may_be_compacted: options.alignment == Alignment::None,
                    alive,
                };
                (Input::Kafka(Box::new(reader)), Some(clients))
            }
        }
    }
}

pub(crate) fn spill_options(options: &EngineOptions) -> SpillOptions {
    let EngineOptions { memory_budget, spill_budget, spill_dir, .. } = options;
    SpillOptions { memory: *memory_budget, disk: *spill_budget, dir: spill_dir.clone() }
}

/// From how many bytes of changes of one time on the upsert looks for those that others have overtaken: it takes some
/// time, which is well spent only where there are many.
pub(crate) fn compact_from(memory_budget: u64) -> usize {
    (memory_budget / 16).clamp(1 << 10, 16 << 20) as usize
}

/// How many rows of the initial snapshot are let in at once: they wait in memory until then. More than that would cost more,
/// not less: they would have left the processor's cache.
pub(crate) fn load_rows(memory_budget: u64) -> u64 {
    (memory_budget / 4_096).clamp(1, 1 << 13)
}

/// What the documents of a run are of.
fn identity(view: &impl View, prefix: &str, options: &EngineOptions) -> Identity {
    let mut identity = Identity::new(view, prefix);
    if options.alignment == Alignment::None {
        identity.options.push((Identity::UNALIGNED.to_owned(), "true".to_owned()));
    }
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
    if let Some(lsn) = report.unaligned_at {
        warn!(lsn = lsn.0, "documents are unaligned: each row was shown by itself");
    }
    let exact_at = report.exact_at.map(|lsn| lsn.0);
    let (transactions, open) = (report.transactions(), report.open.len());
    info!(exact_at, transactions, open, records = report.records, interrupted = report.interrupted, "run ends");
}

/// The status of a run. When the run is over, or never was, nobody waits for it any longer.
#[derive(Default)]
struct RunStatus(Arc<Status>);

impl Drop for RunStatus {
    fn drop(&mut self) {
        self.0.given.end();
    }
}

fn report(status: &Status, driven: Driven, spill: &Spill, started: Instant) -> Report {
    let align = status.align();
    let counters = &status.counters;
    let (mut inexact, inexact_more) = status.take_inexact();
    inexact.sort_by(|a, b| (a.after, &a.table, &a.key).cmp(&(b.after, &b.table, &b.key)));
    Report {
        exact_at: align.exact_at(),
        unaligned_at: align.unaligned_at(),
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
