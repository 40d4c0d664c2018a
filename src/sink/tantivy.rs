//! The embedded index: batches appear whole, each commit says up to which LSN it goes, and nothing else is remembered.
//!
//! ```text
//!   batches ──> delete by id, add ──> ... ──> commit { documents, deletes, LSN } ──> directory synced ──> Durable
//!               (in the writer's memory)  `commit_interval_ms`, or a limit
//! ```
//!
//! Several batches may share a commit; a batch is never split over two. So at every commit the index is the query at the
//! LSN in its payload, and after a crash the last commit is all there is: the log is read again, and what lies at or
//! below that LSN is not given again.
//!
//! # Notes
//! - Tantivy has no primary key: an upsert is a delete of the id's term and an add after it. Only the very first batch
//!   goes without deletes, since nothing is there yet.
//! - A crash between the writing of a deletes file and the renaming of `meta.json` leaves a file whose name a later
//!   commit may want, and tantivy would refuse to write over it. So whatever no commit names is removed before the first
//!   write.
//! - Tantivy syncs its files and the directory before it renames `meta.json`, not after: the commit itself is durable
//!   only when the directory has been synced once more.

mod directory;
mod latest;
mod merges;

pub use latest::LatestSnapshot;

use super::{Ack, Action, Batch, DocumentJson, History, Identity, Rebuild, Sink, SinkError, Successor};
use crate::index::error::{IndexError, failed};
use crate::index::fields::{self, Fields};
use crate::index::folder::{self, Folder};
use crate::index::payload::Payload;
use crate::time::{Lsn, Time};
use directory::{CommitDirectory, remove_leftovers};
use merges::Merges;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tantivy::directory::DirectoryLock;
use tantivy::{IndexWriter, TantivyDocument};
use tracing::{debug, info, warn};

/// When an index commits, and what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// How soon what a batch changed is to be found, in milliseconds: its commit begins at most this long after it, and
    /// earlier by what commits take. 0: a commit for each batch. Default 50. Whichever of this and the two limits comes
    /// first.
    pub commit_interval_ms: u64,
    /// A commit as soon as it has so many changes of documents. A batch is never split, so a commit may have more.
    /// Default 20,000.
    pub commit_changes_max: usize,
    /// A commit as soon as its documents have so many bytes of JSON. Default 32 MiB.
    pub commit_bytes_max: usize,
    /// Threads that index documents, 1 to 8. Default 1: a commit of few documents makes a segment for each of them.
    pub threads: usize,
    /// Memory of each of those threads, in bytes, from 15,000,000 on. Default 64,000,000.
    pub thread_bytes: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        IndexOptions {
            commit_interval_ms: 50,
            commit_changes_max: 20_000,
            commit_bytes_max: 32 << 20,
            threads: 1,
            thread_bytes: 64_000_000,
        }
    }
}

/// Writes a tantivy index.
pub struct TantivySink {
    folder: Folder,
    options: IndexOptions,
    opened: Option<Opened>,
    pending: Option<Pending>,
    /// What is there goes when the first documents come, and an index of this takes its place.
    anew: Option<Identity>,
    /// How long commits have taken, the last ones most.
    commit_time: Duration,
    latest: Option<LatestSnapshot>,
    /// It is filled beside the generation that is read, and nobody sees it yet.
    beside: bool,
    /// Keeps other writers out; the last to go.
    _lock: Arc<DirectoryLock>,
}

/// A generation that is written.
struct Opened {
    path: PathBuf,
    index: tantivy::Index,
    fields: Fields,
    /// As of the last commit.
    payload: Payload,
    /// Made when there is something to write: an index that already holds everything is not touched.
    writer: Option<IndexWriter>,
}

/// What the next commit will have.
struct Pending {
    since: Instant,
    changes: usize,
    bytes: usize,
    payload: Payload,
}

impl TantivySink {
    /// Opens the index in `dir` to write it. Where none is, one is made when the run starts.
    ///
    /// # Errors
    /// Another process writes to it; the directory holds something else; it cannot be read or written.
    pub fn open(dir: impl AsRef<Path>, options: IndexOptions) -> Result<TantivySink, IndexError> {
        let folder = Folder::new(dir.as_ref());
        let lock = folder.lock()?;
        let opened = match folder.current()? {
            Some(generation) => Some(Opened::open(&folder, &generation)?),
            None => None,
        };
        Ok(TantivySink::with(folder, options, opened, Arc::new(lock)))
    }

    /// What fills another index in `dir`, beside the one that is read until then.
    ///
    /// # Errors
    /// Another process writes to it; the directory holds something else; it cannot be read or written.
    pub fn rebuild(dir: impl AsRef<Path>, options: IndexOptions) -> Result<Rebuild<TantivySink>, IndexError> {
        let folder = Folder::new(dir.as_ref());
        let lock = Arc::new(folder.lock()?);
        let kept = match folder.current().and_then(|current| match current {
            Some(generation) => Opened::open(&folder, &generation).map(Some),
            None => Ok(None),
        }) {
            Ok(opened) => {
                opened.map(|opened| TantivySink::with(folder.clone(), options, Some(opened), Arc::clone(&lock)))
            }
            Err(error) => {
                warn!(%error, "the index that is there cannot be continued: another takes its place");
                None
            }
        };
        let filled = TantivySink { beside: true, ..TantivySink::with(folder, options, None, lock) };
        Ok(Rebuild::new(kept, filled))
    }

    fn with(folder: Folder, options: IndexOptions, opened: Option<Opened>, lock: Arc<DirectoryLock>) -> TantivySink {
        TantivySink {
            folder,
            options,
            opened,
            pending: None,
            anew: None,
            commit_time: Duration::ZERO,
            latest: None,
            beside: false,
            _lock: lock,
        }
    }

    /// What a reader in the same process looks at: loaded anew right after each commit from now on.
    ///
    /// # Errors
    /// The index that is there already cannot be read.
    pub fn latest(&mut self) -> Result<LatestSnapshot, IndexError> {
        if let Some(latest) = &self.latest {
            return Ok(latest.clone());
        }
        let latest = LatestSnapshot::default();
        if self.opened.is_some() {
            latest.load(self.folder.path())?;
        }
        Ok(self.latest.insert(latest).clone())
    }

    /// What the index holds for good is the query at this LSN; `None` if it holds nothing yet.
    pub fn lsn(&self) -> Option<Lsn> {
        self.opened.as_ref().and_then(|opened| opened.payload.lsn())
    }

    /// How many documents it holds for good.
    pub fn documents(&self) -> u64 {
        self.opened.as_ref().map_or(0, |opened| opened.payload.documents)
    }

    /// Makes an empty index, in the place of one that is there.
    fn create(&mut self, identity: &Identity) -> Result<(), SinkError> {
        self.opened = None;
        let schema = fields::schema(&identity.schema)?;
        let payload = Payload::new(identity);
        let generation = if self.beside {
            self.folder.begin(schema, &payload, CommitDirectory::open)?
        } else {
            self.folder.create(schema, &payload, CommitDirectory::open)?
        };
        self.opened = Some(Opened::open(&self.folder, &generation)?);
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| {
            self.options.commit_interval_ms == 0
                || pending.changes >= self.options.commit_changes_max
                || pending.bytes >= self.options.commit_bytes_max
        })
    }

    fn write(&mut self, batch: Batch) -> Result<(), IndexError> {
        let dir = self.folder.path();
        let opened = self.opened.as_mut().expect("a sink is started before it is given batches");
        let nothing_yet = opened.payload.upper() == 0;
        let (index, run) = (opened.payload.partial_from.map(Lsn), batch.partial_from);
        if !nothing_yet && index != run {
            return Err(IndexError::OtherBeginning { dir: dir.to_owned(), index, run });
        }
        let first = nothing_yet && self.pending.is_none();
        let pending = self.pending.get_or_insert_with(|| Pending {
            since: Instant::now(),
            changes: 0,
            bytes: 0,
            payload: opened.payload.clone(),
        });
        let fields = opened.fields.clone();
        let writer = opened.writer(dir, &self.options)?;
        for touch in batch.touched {
            if !first {
                writer.delete_term(fields.term(&touch.id));
            }
            pending.changes += 1;
            if let Action::Upsert(document) = &touch.action {
                let json = serde_json::to_string(&DocumentJson(document)).expect("a document has a JSON form");
                pending.bytes += json.len();
                let document = fields.document(&touch.id, document, &json);
                add(writer, document).map_err(|error| failed(dir, error))?;
            }
        }
        pending.payload.set_upper(batch.upper);
        pending.payload.partial_from = run.map(|lsn| lsn.0);
        pending.payload.commits = opened.payload.commits + 1;
        (pending.payload.documents, pending.payload.records) = (batch.documents, batch.records);
        Ok(())
    }

    /// Checks that the index holds as many documents as it was told.
    fn count(&self) -> Result<(), IndexError> {
        let Some(Opened { index, payload, .. }) = &self.opened else { return Ok(()) };
        let dir = self.folder.path();
        let meta = index.load_metas().map_err(|error| failed(dir, error))?;
        payload.check_count(dir, meta.segments.iter().map(|segment| u64::from(segment.num_docs())).sum())
    }

    fn commit(&mut self) -> Result<(), IndexError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let begun = Instant::now();
        let dir = self.folder.path();
        let opened = self.opened.as_mut().expect("what is pending was given to an opened index");
        let writer = opened.writer(dir, &self.options)?;
        commit(writer, &pending.payload).map_err(|error| failed(dir, error))?;
        folder::sync(&opened.path)?;
        opened.payload = pending.payload;
        if let Some(Err(error)) = self.latest.as_ref().map(|latest| latest.load(dir)) {
            // What is committed is safe whoever can read it; the next commit is tried again.
            warn!(%error, "the commit could not be loaded for readers of this process");
        }
        let took = begun.elapsed();
        self.commit_time = (self.commit_time * 3 + took) / 4;
        let (lsn, documents, changes) =
            (opened.payload.lsn().map(|lsn| lsn.0), opened.payload.documents, pending.changes);
        debug!(lsn, documents, changes, milliseconds = took.as_millis() as u64, "committed");
        Ok(())
    }
}

impl Opened {
    fn open(folder: &Folder, generation: &str) -> Result<Opened, IndexError> {
        let failed = |error| failed(folder.path(), error);
        let path = folder.generation(generation);
        let index = folder.open(generation, CommitDirectory::open)?;
        let meta = index.load_metas().map_err(failed)?;
        let payload = Payload::read(folder.path(), meta.payload.as_deref())?;
        let fields = Fields::of(&index.schema())
            .ok_or_else(|| IndexError::Foreign { dir: folder.path().to_owned(), reason: "it has no ids".to_owned() })?;
        Ok(Opened { path, index, fields, payload, writer: None })
    }

    fn writer(&mut self, dir: &Path, options: &IndexOptions) -> Result<&mut IndexWriter, IndexError> {
        if self.writer.is_none() {
            let meta = self.index.load_metas().map_err(|error| failed(dir, error))?;
            remove_leftovers(&self.path, &meta)?;
            self.writer = Some(writer(&self.index, options).map_err(|error| failed(dir, error))?);
        }
        Ok(self.writer.as_mut().expect("it was made just now"))
    }
}

fn writer(index: &tantivy::Index, options: &IndexOptions) -> tantivy::Result<IndexWriter> {
    let threads = options.threads.clamp(1, 8);
    let writer: IndexWriter = index.writer_with_num_threads(threads, threads * options.thread_bytes)?;
    writer.set_merge_policy(Box::new(Merges::new()));
    Ok(writer)
}

/// A thread of the writer that has died, of a full disk for one, says why only when it is joined.
fn add(writer: &mut IndexWriter, document: TantivyDocument) -> tantivy::Result<()> {
    match writer.add_document(document) {
        Ok(_) => Ok(()),
        Err(error) => Err(writer.prepare_commit().err().unwrap_or(error)),
    }
}

fn commit(writer: &mut IndexWriter, payload: &Payload) -> tantivy::Result<()> {
    let mut commit = writer.prepare_commit()?;
    commit.set_payload(&payload.write());
    commit.commit()?;
    Ok(())
}

impl Sink for TantivySink {
    fn history(&self) -> History {
        History::Latest
    }

    fn start(&mut self, identity: &Identity) -> Result<(), SinkError> {
        if let Some(opened) = &self.opened {
            match opened.payload.check(self.folder.path(), identity) {
                // A run that put nothing into it does not say what the next one may put into it.
                Err(_) if opened.payload.upper() == 0 => return self.create(identity),
                checked => checked?,
            }
            if !identity.is_aligned() {
                self.anew = Some(identity.clone()).filter(|_| opened.payload.upper() > 0);
                return Ok(());
            }
            info!(
                lsn = opened.payload.lsn().map(|lsn| lsn.0),
                documents = opened.payload.documents,
                "index is continued"
            );
            return Ok(());
        }
        self.create(identity)
    }

    fn frontier(&self) -> Time {
        let goes_on = self.opened.as_ref().filter(|_| self.anew.is_none());
        goes_on.map_or(0, |opened| opened.payload.upper())
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        if let Some(identity) = self.anew.take_if(|_| !batch.touched.is_empty()) {
            let (lsn, documents) = (self.lsn().map(|lsn| lsn.0), self.documents());
            warn!(lsn, documents, "the index is unaligned: it is emptied, and filled anew");
            self.create(&identity)?;
        }
        if self.anew.is_some() {
            return Ok(Ack::Accepted);
        }
        self.write(batch)?;
        if self.is_due() { self.flush() } else { Ok(Ack::Accepted) }
    }

    fn deadline(&self) -> Option<Instant> {
        let interval = Duration::from_millis(self.options.commit_interval_ms);
        // As early as makes up for the commit, be it one of those that take three times as long as most; but not so early
        // that commits are all that is done.
        let early = interval.saturating_sub(self.commit_time * 3).max(self.commit_time.min(interval));
        self.pending.as_ref().map(|pending| pending.since + early)
    }

    fn flush(&mut self) -> Result<Ack, SinkError> {
        self.commit()?;
        Ok(Ack::Durable)
    }

    /// Commits, lets merges end, and counts.
    fn finish(&mut self) -> Result<Ack, SinkError> {
        self.commit()?;
        if let Some(writer) = self.opened.as_mut().and_then(|opened| opened.writer.take()) {
            writer.wait_merging_threads().map_err(|error| failed(self.folder.path(), error))?;
            self.count()?;
        }
        Ok(Ack::Durable)
    }
}

impl Successor for TantivySink {
    fn take_place(&mut self) -> Result<(), SinkError> {
        // Files that are open would keep what they are written to.
        let Some(opened) = self.opened.take() else { return Ok(()) };
        let generation = self.folder.name_of(&opened.path);
        drop(opened);
        let generation = self.folder.adopt(&generation)?;
        self.opened = Some(Opened::open(&self.folder, &generation)?);
        self.beside = false;
        Ok(())
    }

    fn may_be_left(error: &SinkError) -> bool {
        matches!(error, SinkError::Index(IndexError::Identity { .. } | IndexError::OtherBeginning { .. }))
    }
}
