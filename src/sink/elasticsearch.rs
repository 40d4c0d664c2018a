//! Elasticsearch and OpenSearch: documents by `_bulk`, each under the time of its last change as its version.
//!
//! ```text
//!   batches ──by id──> lanes ──> bulks, several on their way ──> the index <── alias <── readers
//!                        ↑                    │ every bulk answered
//!                        └── attempted ── progress document ── durable ──> the run may forget what lies below
//! ```
//!
//! A search server has no transactions: while documents change, some are at a later state than others, and each is exact at a
//! state between the progress document's two times. At rest both are the same, and the index is the query at that LSN.
//!
//! # Notes
//! - What is sent may be sent again, in whatever order: a server refuses what is older than what it has. But it forgets
//!   the versions of documents that are deleted, when it is restarted and after `index.gc_deletes`: from then on it would take an
//!   older state, and the document were back. So nothing is ever sent that lies below what is durable; of one document only one
//!   operation is on its way; and what an answer did not come for is sent again until one does.
//! - After a crash the first run goes on at `durable`, and does not say that the index is exact before it has come to
//!   `attempted_upper`: what was sent before the crash may be in.
//! - A document whose id is that of the progress document cannot be.

mod answer;
mod bulk;
mod client;
mod dead_letter;
mod error;
mod index;
mod keeper;
mod lanes;
mod options;
mod outbox;
mod patience;
mod progress;
mod rebuild;
mod sender;
mod server;

pub use error::ElasticsearchError;
pub use options::{ClientCertificate, Credentials, ElasticsearchOptions, OnBadDocument};

use super::{Ack, Batch, History, Identity, Rebuild, Sink, SinkError};
use crate::time::{Lsn, Time};
use dead_letter::DeadLetters;
use index::Index;
use keeper::Keeper;
use lanes::Lanes;
use outbox::Outbox;
use progress::{At, Found, Progress};
use sender::Sender;
use server::Server;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How often it is looked at how far the senders have come.
const LOOK: Duration = Duration::from_millis(5);

/// Writes to an index of Elasticsearch or OpenSearch.
///
/// Its threads send while the run goes on; a run waits for them when more is pending than
/// [`pending_bytes_max`](ElasticsearchOptions::pending_bytes_max), and at its end.
pub struct ElasticsearchSink {
    server: Server,
    opened: Option<Opened>,
    /// Started with the first batch: an index that already holds everything is not touched.
    outbox: Option<Arc<Outbox>>,
    /// It is filled beside the one that the alias is on.
    beside: bool,
}

/// The index that is written.
struct Opened {
    index: Index,
    /// As it was found.
    progress: Progress,
    at: At,
}

/// How an index stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElasticsearchStatus {
    /// The index behind the alias.
    pub index: String,
    /// Everything up to this LSN is in.
    pub lsn: Option<Lsn>,
    /// Later states up to this LSN may be in: where it is not the same as `lsn`, each document is exact at a state
    /// between the two.
    pub attempted: Option<Lsn>,
    /// Documents at `lsn`.
    pub documents: u64,
    /// Bulks that were sent by this run.
    pub bulks: u64,
    /// Documents of which a server took the state that was sent.
    pub operations: u64,
    /// Documents of which it had a newer one.
    pub newer: u64,
    /// Documents that were sent again: those of which a server said so or did not answer, and, where something in a bulk
    /// failed, all of the bulk, to be told of each.
    pub again: u64,
    /// Documents that went to the dead letters, of all runs: the index has an earlier state of them, or none.
    pub bad: u64,
    /// What is waited for, where something goes wrong.
    pub trouble: Option<String>,
}

impl ElasticsearchSink {
    /// A sink to the servers that the options name; none is asked before the run starts.
    ///
    /// # Errors
    /// The options do not go together, or a file that they name cannot be read.
    pub fn new(options: ElasticsearchOptions) -> Result<ElasticsearchSink, ElasticsearchError> {
        index::check_alias(&options.alias)?;
        Ok(ElasticsearchSink { server: Server::new(options)?, opened: None, outbox: None, beside: false })
    }

    /// What fills another index, beside the one that the alias is on until then. The one that was read stays, without the
    /// alias.
    ///
    /// # Errors
    /// As of [`ElasticsearchSink::new`].
    pub fn rebuild(options: ElasticsearchOptions) -> Result<Rebuild<ElasticsearchSink>, ElasticsearchError> {
        let mut filled = ElasticsearchSink::new(options.clone())?;
        filled.beside = true;
        Ok(Rebuild::new(Some(ElasticsearchSink::new(options)?), filled))
    }

    /// How the index stands, as far as this sink knows.
    pub fn status(&self) -> ElasticsearchStatus {
        let Some(Opened { index, progress, .. }) = &self.opened else { return ElasticsearchStatus::default() };
        let lsn = |upper: Time| upper.checked_sub(1).map(Lsn::of_time);
        let mut status = ElasticsearchStatus {
            index: index.name.clone(),
            lsn: lsn(progress.durable),
            attempted: lsn(progress.attempted_upper),
            documents: progress.documents,
            bad: progress.bad,
            ..ElasticsearchStatus::default()
        };
        if let Some(outbox) = &self.outbox {
            let state = outbox.lock();
            let counts = state.counts;
            status.lsn = lsn(state.durable);
            status.attempted = lsn(state.attempted());
            status.documents = state.documents;
            (status.bulks, status.operations, status.newer) = (counts.bulks, counts.operations, counts.newer);
            (status.again, status.trouble) = (counts.again, state.trouble.clone());
            status.bad += counts.bad;
        }
        status
    }

    /// The index behind the alias, with its progress; `None` where there is none yet.
    fn find(&self, identity: &Identity) -> Result<Option<Opened>, ElasticsearchError> {
        let server = &self.server;
        let Some(index) = index::find(server)? else { return Ok(None) };
        let rebuild = |reason: String| ElasticsearchError::Rebuild {
            index: index.name.clone(),
            alias: server.options.alias.clone(),
            reason,
        };
        let (progress, at) = match Progress::find(server, &index.name)? {
            Found::Progress(progress, at) => (*progress, at),
            Found::Unusable(reason) => return Err(rebuild(reason)),
            // It was made just before a crash, or it is somebody else's.
            Found::Nothing if index::count(server, &index.name)? == 0 => {
                index::check(server, &index, &identity.schema)?;
                return self.begin(index, identity).map(Some);
            }
            Found::Nothing => return Err(rebuild("it holds documents, and no progress document".to_owned())),
        };
        if progress.index_uuid != index.uuid {
            return Err(rebuild(
                "its progress document was written for another index, of which it is a copy".to_owned(),
            ));
        }
        let differences = progress.of.differences(identity);
        if differences.is_empty() {
            index::check(server, &index, &identity.schema)?;
            return Ok(Some(Opened { index, progress, at }));
        }
        if progress.attempted_upper > 0 {
            return Err(ElasticsearchError::Identity { index: index.name, differences });
        }
        // A run that put nothing into it does not say what the next one may put into it.
        index::delete(server, &index.name)?;
        Ok(None)
    }

    /// Writes the first progress document.
    fn begin(&self, index: Index, identity: &Identity) -> Result<Opened, ElasticsearchError> {
        let progress = Progress::new(identity, &index.uuid, self.beside);
        let at = progress.write(&self.server, &index.name, None)?;
        Ok(Opened { index, progress, at })
    }

    /// Starts the threads.
    fn outbox(&mut self, batch: &Batch) -> Result<Arc<Outbox>, ElasticsearchError> {
        if let Some(outbox) = &self.outbox {
            return Ok(Arc::clone(outbox));
        }
        let Opened { index, progress, at } =
            self.opened.as_ref().expect("a sink is started before it is given batches");
        let (kept, run) = (progress.partial_from.map(Lsn), batch.partial_from);
        if progress.attempted_upper > 0 && kept != run {
            return Err(ElasticsearchError::OtherBeginning { index: index.name.clone(), kept, run });
        }
        let options = &self.server.options;
        let lanes = Lanes::new(options.bulks_in_flight, progress.durable);
        let outbox = Arc::new(Outbox::new(lanes, progress.durable, progress.attempted_upper));
        let server = self.server.patient(&outbox);
        let dead_letters = Arc::new(DeadLetters::new(options.on_bad_document.clone()));
        for lane in 0..options.bulks_in_flight.max(1) {
            let sender = Sender {
                lane,
                index: index.name.clone(),
                server: server.clone(),
                outbox: Arc::clone(&outbox),
                dead_letters: Arc::clone(&dead_letters),
                warned: None,
                wary: 0,
                buffer: Vec::new(),
            };
            spawn(format!("bulks {lane}"), &outbox, || sender.run())?;
        }
        let keeper = Keeper {
            index: index.name.clone(),
            server,
            outbox: Arc::clone(&outbox),
            // Whoever wrote before is not who writes now.
            progress: Progress { writer: format!("{:016x}", fastrand::u64(..)), turn: 0, ..progress.clone() },
            at: *at,
            bad_before: progress.bad,
            has_written: false,
        };
        spawn("progress".to_owned(), &outbox, || keeper.run())?;
        self.outbox = Some(Arc::clone(&outbox));
        Ok(outbox)
    }
}

/// Starts a thread, and has a panic of it end the run.
fn spawn(name: String, outbox: &Arc<Outbox>, work: impl FnOnce() + Send + 'static) -> Result<(), ElasticsearchError> {
    struct Died(Arc<Outbox>);
    impl Drop for Died {
        fn drop(&mut self) {
            if thread::panicking() {
                let name = thread::current().name().unwrap_or_default().to_owned();
                self.0.change(|state| state.fail(ElasticsearchError::Thread(name)));
            }
        }
    }
    let died = Died(Arc::clone(outbox));
    let started = thread::Builder::new().name(name).spawn(move || {
        let _died = died;
        work();
    });
    started.map(drop).map_err(|error| ElasticsearchError::Thread(format!("it cannot be started: {error}")))
}

impl Sink for ElasticsearchSink {
    fn history(&self) -> History {
        History::Latest
    }

    fn start(&mut self, identity: &Identity) -> Result<(), SinkError> {
        if !identity.is_aligned() {
            let reason =
                "\"none\" is for an embedded index or JSON lines: a search server's index is continued".to_owned();
            return Err(ElasticsearchError::Option { option: "alignment", reason }.into());
        }
        self.server = self.server.starting();
        let kind = self.server.kind()?;
        let found = if self.beside { rebuild::clear(&self.server).map(|()| None)? } else { self.find(identity)? };
        let opened = match found {
            Some(opened) => opened,
            None => self.begin(index::create(&self.server, &identity.schema, !self.beside)?, identity)?,
        };
        let (durable, attempted) = (opened.progress.durable, opened.progress.attempted_upper);
        let lsn = |upper: Time| upper.checked_sub(1).map(|time| Lsn::of_time(time).0);
        info!(%kind, index = opened.index.name, lsn = lsn(durable), documents = opened.progress.documents, "search server found");
        if attempted > durable {
            warn!(
                lsn = lsn(durable),
                attempted = lsn(attempted),
                "an earlier run has not ended: documents stand between these LSNs until this one is past them"
            );
        }
        self.opened = Some(opened);
        Ok(())
    }

    fn frontier(&self) -> Time {
        self.opened.as_ref().map_or(0, |opened| opened.progress.durable)
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        let outbox = self.outbox(&batch)?;
        let most = self.server.options.pending_bytes_max;
        let mut state = outbox.lock();
        loop {
            if let Some(error) = state.failed.take() {
                state.closed = true;
                return Err(error.into());
            }
            if state.lanes.bytes() <= most {
                break;
            }
            state = outbox.wait(state, Duration::from_secs(60));
        }
        drop(state);
        Ok(Ack::DurableBelow(outbox.accept(batch)))
    }

    fn deadline(&self) -> Option<Instant> {
        let state = self.outbox.as_ref()?.lock();
        (!state.is_idle()).then(|| Instant::now() + LOOK)
    }

    fn due(&mut self) -> Result<Ack, SinkError> {
        let Some(outbox) = &self.outbox else { return Ok(Ack::Accepted) };
        let mut state = outbox.lock();
        match state.failed.take() {
            Some(error) => {
                state.closed = true;
                Err(error.into())
            }
            None => Ok(Ack::DurableBelow(state.durable)),
        }
    }

    fn flush(&mut self) -> Result<Ack, SinkError> {
        let Some(outbox) = &self.outbox else { return Ok(Ack::Durable) };
        keeper::flush(outbox, Duration::from_millis(self.server.options.flush_timeout_ms))?;
        Ok(Ack::DurableBelow(outbox.lock().durable))
    }

    /// All is in; and found at once, not only at the next refresh.
    fn finish(&mut self) -> Result<Ack, SinkError> {
        let ack = self.flush()?;
        if let (Some(opened), Some(_)) = (&self.opened, &self.outbox)
            && let Err(error) = index::refresh(&self.server.starting(), &opened.index.name)
        {
            warn!(%error, "what was written last is found only after the index has refreshed itself");
        }
        Ok(ack)
    }
}

impl Drop for ElasticsearchSink {
    fn drop(&mut self) {
        if let Some(outbox) = &self.outbox {
            outbox.change(|state| state.closed = true);
        }
    }
}
