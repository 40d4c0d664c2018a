//! What a run tells those who watch it: counts, where the aligner stands, what went wrong, and whether to stop.

mod given;
mod inexact;

pub(crate) use given::Given;

use crate::align::{AlignError, AlignMonitor, AlignReport};
use crate::dead_letter::{DeadLetters, OnBadRecord};
use crate::envelope::BadRecord;
use crate::error::Error;
use crate::report::{Inexact, InexactCause};
use crate::source::catalog::Catalog;
use crate::time::{Lsn, Time};
use crate::upsert::UpsertMonitor;
use inexact::InexactKeys;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Counts of a run, from every thread.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    records: AtomicU64,
    bytes_read: AtomicU64,
    redelivered: AtomicU64,
    late: AtomicU64,
    unapplied: AtomicU64,
    bad: AtomicU64,
    facts: AtomicU64,
    changes: AtomicI64,
    documents: AtomicI64,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $get:ident;)+) => {
        impl Counters {
            $($(#[$doc])*
            pub(crate) fn $name(&self, count: u64) {
                self.$name.fetch_add(count, Relaxed);
            }

            pub(crate) fn $get(&self) -> u64 {
                self.$name.load(Relaxed)
            })+
        }
    };
}

counters! {
    /// Records of the log that were read.
    records, records_read;
    /// Rows that had been delivered before.
    redelivered, rows_redelivered;
    /// Rows that came after their transaction had closed without them.
    late, rows_late;
    /// Rows of incremental snapshots that waited for their partition to the end.
    unapplied, rows_unapplied;
    /// Records that could not be used.
    bad, records_bad;
}

impl Counters {
    /// Documents that stand.
    pub(crate) fn documents(&self) -> u64 {
        self.documents.load(Relaxed).max(0) as u64
    }

    pub(crate) fn documents_changed(&self, by: i64) {
        self.documents.fetch_add(by, Relaxed);
    }

    /// Facts on their way to the aligner.
    pub(crate) fn facts(&self) -> u64 {
        self.facts.load(Relaxed)
    }

    pub(crate) fn facts_sent(&self, count: u64) {
        self.facts.fetch_add(count, Relaxed);
    }

    pub(crate) fn facts_noted(&self, count: u64) {
        self.facts.fetch_sub(count, Relaxed);
    }

    /// Bytes of changes on their way to the owners of their keys.
    pub(crate) fn changes(&self) -> i64 {
        self.changes.load(Relaxed)
    }

    pub(crate) fn changes_sent(&self, bytes: usize) {
        self.changes.fetch_add(bytes as i64, Relaxed);
    }

    pub(crate) fn changes_staged(&self, bytes: usize) {
        self.changes.fetch_sub(bytes as i64, Relaxed);
    }

    /// Bytes of the log read so far.
    pub(crate) fn set_bytes_read(&self, bytes: u64) {
        self.bytes_read.fetch_max(bytes, Relaxed);
    }

    /// Bytes of the log read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }
}

/// The state of a run, shared by its threads.
#[derive(Default)]
pub(crate) struct Status {
    pub(crate) counters: Arc<Counters>,
    stop: AtomicBool,
    /// The message of the first worker that panicked.
    broken: OnceLock<String>,
    /// Rows are lost: what the workers have is not to be shown.
    lost: AtomicBool,
    cut: AtomicBool,
    error: Mutex<Option<Error>>,
    align: Mutex<AlignReport>,
    inexact: Mutex<InexactKeys>,
    dead_letters: Mutex<DeadLetters>,
    interrupted: AtomicBool,
    /// What the sink held before the run.
    held: OnceLock<Lsn>,
    /// What the sink was given.
    pub(crate) given: Given,
    /// Why nothing is read for the moment, and which topics are missing.
    waits: Mutex<Waits>,
}

/// Tells the threads of a run that it is over, however it ends.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a Status);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What a source waits for.
#[derive(Default)]
struct Waits {
    records: Option<String>,
    answers: Option<String>,
    topics: String,
}

/// In which of its doings a source pauses.
#[cfg(feature = "kafka")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    /// Records are waited for.
    Records,
    /// Brokers are asked for something else.
    Answers,
}

/// A poisoned lock is a panic of another thread, which ends the run by itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Status {
    /// Says what is done with bad records.
    pub(crate) fn refuse_by(&self, on_bad_record: OnBadRecord) {
        *lock(&self.dead_letters) = DeadLetters::new(on_bad_record);
    }

    /// Says why the source gives nothing for the moment, or that it does again.
    #[cfg(feature = "kafka")]
    pub(crate) fn source_waits(&self, for_what: Waiting, why: Option<String>) {
        let mut waits = lock(&self.waits);
        let slot = match for_what {
            Waiting::Records => &mut waits.records,
            Waiting::Answers => &mut waits.answers,
        };
        match (&slot, &why) {
            (None, Some(why)) => tracing::warn!("the source pauses: {why}"),
            (Some(_), None) => tracing::info!("the source goes on"),
            _ => {}
        }
        *slot = why;
    }

    /// Says which topics are missing.
    #[cfg(feature = "kafka")]
    pub(crate) fn topics_missing(&self, topics: String) {
        lock(&self.waits).topics = topics;
    }

    /// What the source waits for, if it does.
    pub(crate) fn waits_for(&self) -> Option<String> {
        let waits = lock(&self.waits);
        let topics = (!waits.topics.is_empty()).then(|| format!("missing topics: {}", waits.topics));
        waits.answers.clone().or_else(|| waits.records.clone()).or(topics)
    }

    /// Nothing more is to be read.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Asks the run to end at a transaction boundary, before its log does.
    pub(crate) fn interrupt(&self) {
        self.interrupted.store(true, Relaxed);
        self.stop();
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// The sink holds everything up to this LSN.
    pub(crate) fn hold(&self, lsn: Option<Lsn>) {
        let _set_once = lsn.map(|lsn| self.held.set(lsn));
    }

    /// What the sink held before the run.
    pub(crate) fn held(&self) -> Option<Lsn> {
        self.held.get().copied()
    }

    /// Writes a bad record away, or says that it ends the run.
    pub(crate) fn refuse(&self, bad: Box<BadRecord>) -> Result<(), Error> {
        lock(&self.dead_letters).take(bad)
    }

    /// Whether the run is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Ends the run by an error; the first one counts.
    pub(crate) fn fail(&self, error: Error) {
        match &mut *lock(&self.error) {
            Some(_) => log_another(&error),
            none => *none = Some(error),
        }
        self.stop();
    }

    /// A worker panicked: no worker is to go on, not even to a transaction boundary.
    pub(crate) fn break_off(&self, panic: String) {
        let _first_counts = self.broken.set(panic);
        self.stop();
    }

    /// Ends the run by an error that leaves the workers without rows they need: none is to go on, as after a panic.
    pub(crate) fn break_off_with(&self, error: Error) {
        self.fail(error);
        self.lost.store(true, Relaxed);
    }

    /// Whether no worker is to go on.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get().is_some() || self.lost.load(Relaxed)
    }

    /// What the first worker that panicked said.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// The error that ended the run.
    pub(crate) fn take_error(&self) -> Option<Error> {
        lock(&self.error).take()
    }

    /// Notes that the log stops inside a line.
    pub(crate) fn cut(&self) {
        if !self.cut.swap(true, Relaxed) {
            tracing::warn!("the log stops inside a line or a compressed frame");
        }
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    pub(crate) fn align(&self) -> AlignReport {
        lock(&self.align).clone()
    }

    pub(crate) fn inexact(&self, inexact: Inexact) {
        lock(&self.inexact).note(inexact);
    }

    /// The inexact keys, as many as are kept, and how many there were besides.
    pub(crate) fn take_inexact(&self) -> (Vec<Inexact>, u64) {
        lock(&self.inexact).take()
    }

    /// A record that always ends the run.
    pub(crate) fn fail_record(&self, bad: Box<BadRecord>) {
        self.fail(Error::BadRecord(bad));
    }
}

impl AlignMonitor for Arc<Status> {
    fn stopped(&self) -> bool {
        self.is_stopped()
    }

    fn failed(&self, error: AlignError) {
        self.fail(Error::Align(error));
    }

    fn noted(&self, facts: usize) {
        self.counters.facts_noted(facts as u64);
    }

    fn report(&self, report: AlignReport, done: bool) {
        if done {
            self.stop();
        }
        *lock(&self.align) = report;
    }
}

/// The status as the operators of one table see it.
pub(crate) struct TableStatus {
    pub(crate) status: Arc<Status>,
    table: String,
}

impl TableStatus {
    /// For the table with this index in `catalog`.
    pub(crate) fn of(status: &Arc<Status>, catalog: &Catalog, table: usize) -> TableStatus {
        let table = catalog.codecs.get(table).map_or_else(String::new, |codec| codec.table.name.clone());
        TableStatus { status: Arc::clone(status), table }
    }

    /// The table's name.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// A row came after its transaction had closed without it, and the log ended before it could be applied.
    pub(crate) fn never_applied(&self, key: Option<String>, after: Lsn) {
        self.status.inexact(Inexact { table: Some(self.table.clone()), key, after, cause: InexactCause::LateRow });
    }
}

impl UpsertMonitor for TableStatus {
    fn copies(&self, count: u64) {
        self.status.counters.redelivered(count);
    }

    fn staged(&self, bytes: usize) {
        self.status.counters.changes_staged(bytes);
    }

    fn unresolved(&self, key: String, time: Time) {
        let after = Lsn(Lsn::of_time(time).0.saturating_sub(1));
        self.status.inexact(Inexact {
            table: Some(self.table.clone()),
            key: Some(key),
            after,
            cause: InexactCause::ValueNeverSeen,
        });
    }
}

fn log_another(error: &Error) {
    match error {
        // Its reason may hold a piece of the record.
        Error::BadRecord(bad) => tracing::error!(location = %bad.location, "another record that cannot be used"),
        error => tracing::error!(%error, "another error after the one that ends the run"),
    }
}
