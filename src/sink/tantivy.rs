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

use super::{Ack, Action, Batch, DocumentJson, History, Identity, Sink, SinkError};
use crate::index::error::{IndexError, damaged};
use crate::index::fields::{self, Fields};
use crate::index::folder::{self, Folder};
use crate::index::payload::Payload;
use crate::time::{Lsn, Time};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tantivy::directory::DirectoryLock;
use tantivy::indexer::LogMergePolicy;
use tantivy::{IndexWriter, TantivyDocument};

/// Segments with fewer documents than this are all of one size to the merges.
const SMALL_SEGMENT_DOCUMENTS: u32 = 10_000;
/// So many segments of one size are merged into one.
const SEGMENTS_OF_A_SIZE: usize = 8;
/// Larger segments are not merged with others for their size.
const LARGE_SEGMENT_DOCUMENTS: usize = 10_000_000;
/// A segment with this share of deleted documents is merged for that alone: else deletes would never be.
const DELETED_SHARE: f32 = 0.25;

/// When an index commits, and what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// At most this long after the first batch of a commit, in milliseconds. 0: a commit for each batch. Default 50.
    /// Whichever of this and the two limits comes first.
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
    /// Keeps other writers out; the last to go.
    _lock: DirectoryLock,
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
        Ok(TantivySink { folder, options, opened, pending: None, _lock: lock })
    }

    /// What the index holds for good is the query at this LSN; `None` if it holds nothing yet.
    pub fn lsn(&self) -> Option<Lsn> {
        self.opened.as_ref().and_then(|opened| opened.payload.lsn())
    }

    /// How many documents it holds for good.
    pub fn documents(&self) -> u64 {
        self.opened.as_ref().map_or(0, |opened| opened.payload.documents)
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
        let first = opened.payload.upper() == 0 && self.pending.is_none();
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
                let json = serde_json::to_string(&DocumentJson(document))
                    .map_err(|error| IndexError::Tantivy { dir: dir.to_owned(), error: Box::new(error) })?;
                pending.bytes += json.len();
                let document = fields.document(&touch.id, document, &json);
                add(writer, document).map_err(|error| damaged(dir, error))?;
            }
        }
        pending.payload.set_upper(batch.upper);
        pending.payload.commits = opened.payload.commits + 1;
        (pending.payload.documents, pending.payload.records) = (batch.documents, batch.records);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), IndexError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let dir = self.folder.path();
        let opened = self.opened.as_mut().expect("what is pending was given to an opened index");
        let writer = opened.writer(dir, &self.options)?;
        commit(writer, &pending.payload).map_err(|error| damaged(dir, error))?;
        folder::sync(&opened.path)?;
        opened.payload = pending.payload;
        Ok(())
    }
}

impl Opened {
    fn open(folder: &Folder, generation: &str) -> Result<Opened, IndexError> {
        let failed = |error| damaged(folder.path(), error);
        let index = folder.open(generation)?;
        let meta = index.load_metas().map_err(failed)?;
        let payload = Payload::read(folder.path(), meta.payload.as_deref())?;
        let fields = Fields::of(&index.schema())
            .ok_or_else(|| IndexError::Foreign { dir: folder.path().to_owned(), reason: "it has no ids".to_owned() })?;
        Ok(Opened { path: folder.generation(generation), index, fields, payload, writer: None })
    }

    fn writer(&mut self, dir: &Path, options: &IndexOptions) -> Result<&mut IndexWriter, IndexError> {
        if self.writer.is_none() {
            self.writer = Some(writer(&self.index, options).map_err(|error| damaged(dir, error))?);
        }
        Ok(self.writer.as_mut().expect("it was made just now"))
    }
}

fn writer(index: &tantivy::Index, options: &IndexOptions) -> tantivy::Result<IndexWriter> {
    let threads = options.threads.clamp(1, 8);
    let writer: IndexWriter = index.writer_with_num_threads(threads, threads * options.thread_bytes)?;
    let mut merges = LogMergePolicy::default();
    merges.set_min_num_segments(SEGMENTS_OF_A_SIZE);
    merges.set_min_layer_size(SMALL_SEGMENT_DOCUMENTS);
    merges.set_max_docs_before_merge(LARGE_SEGMENT_DOCUMENTS);
    merges.set_del_docs_ratio_before_merge(DELETED_SHARE);
    writer.set_merge_policy(Box::new(merges));
    writer.garbage_collect_files().wait()?;
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
            return Ok(opened.payload.check(self.folder.path(), identity)?);
        }
        let schema = fields::schema(&identity.schema)?;
        let generation = self.folder.create(schema, &Payload::new(identity))?;
        self.opened = Some(Opened::open(&self.folder, &generation)?);
        Ok(())
    }

    fn frontier(&self) -> Time {
        self.opened.as_ref().map_or(0, |opened| opened.payload.upper())
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        self.write(batch)?;
        if self.is_due() { self.flush() } else { Ok(Ack::Accepted) }
    }

    fn deadline(&self) -> Option<Instant> {
        let interval = Duration::from_millis(self.options.commit_interval_ms);
        self.pending.as_ref().map(|pending| pending.since + interval)
    }

    fn flush(&mut self) -> Result<Ack, SinkError> {
        self.commit()?;
        Ok(Ack::Durable)
    }

    /// Commits, and lets merges end.
    fn finish(&mut self) -> Result<(), SinkError> {
        self.commit()?;
        if let Some(writer) = self.opened.as_mut().and_then(|opened| opened.writer.take()) {
            writer.wait_merging_threads().map_err(|error| damaged(self.folder.path(), error))?;
        }
        Ok(())
    }
}
