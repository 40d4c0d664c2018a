//! Reads an index while it is written: each [`Snapshot`] is of one commit, so its documents and its LSN are of one instant.
//!
//! ```text
//!   DIR/
//!     LOCK             held by the one process that writes
//!     CURRENT          names the generation that is read and written: a rebuild fills another one and swaps
//!     generation-1/    a tantivy index; each of its commits carries the LSN, the identity and counts (`payload`)
//! ```
//!
//! # Notes
//! Tantivy loads a searcher from `meta.json` and gives no way to ask of which commit it is; `meta.json` may be replaced
//! between its reading by the searcher and ours. But what a searcher reads is wholly named by its segments: files of a
//! segment are written once, and deletes of a segment are a file of their own that is named by the operation it goes up
//! to. So a payload read *after* the searcher was loaded, out of a `meta.json` with exactly the searcher's segments and
//! deletes, describes exactly the searcher's documents: if a commit came between, it changed no document. Where the
//! segments differ, both are read again. A reader needs another turn only when a commit has got through in between.

mod dump;
pub(crate) mod error;
pub(crate) mod fields;
pub(crate) mod folder;
pub(crate) mod payload;
mod snapshot;
mod unlocked;

pub use dump::Dump;
pub use error::IndexError;
pub use snapshot::{Found, Hit, Hits, IndexStats, Snapshot, Stored};

use error::failed;
use folder::Folder;
use payload::Payload;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tantivy::directory::error::OpenReadError;
use tantivy::{IndexReader, ReloadPolicy, TantivyError};

/// How often a reader tries to load a commit before the next one is there.
const TURNS: u32 = 100;

/// An index that is read. It may be written meanwhile, by this process or another.
pub struct Index {
    folder: Folder,
    loader: Mutex<Loader>,
    snapshot: RwLock<Arc<Snapshot>>,
}

/// A file of the commit was removed while it was opened without a lock: there is a newer commit.
fn is_gone(error: &TantivyError) -> bool {
    matches!(error, TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_)))
}

/// Loads snapshots of one generation.
struct Loader {
    generation: String,
    index: tantivy::Index,
    reader: IndexReader,
}

impl Index {
    /// Opens the index in `dir`.
    ///
    /// # Errors
    /// There is none, or it is not one of ours, or it cannot be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Index, IndexError> {
        let folder = Folder::new(dir.as_ref());
        let loader = Loader::open_current(&folder)?;
        let snapshot = RwLock::new(Arc::new(loader.load(&folder)?));
        Ok(Index { folder, loader: Mutex::new(loader), snapshot })
    }

    /// The snapshot loaded last. It stays as it is, however long it is held.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Loads the newest commit, and answers with its snapshot. Never goes back: where what is on disk is older than what
    /// was loaded, as while a rebuild is young, what was loaded stays.
    ///
    /// # Errors
    /// The index cannot be read; the snapshot loaded last stays.
    pub fn reload(&self) -> Result<Arc<Snapshot>, IndexError> {
        let mut loader = self.loader.lock().unwrap_or_else(PoisonError::into_inner);
        if self.folder.current()?.as_ref() != Some(&loader.generation) {
            *loader = Loader::open_current(&self.folder)?;
        }
        let loaded = loop {
            match loader.load(&self.folder) {
                // Another generation has taken its place meanwhile, and this one may be gone.
                Err(_) if self.folder.current()?.as_ref() != Some(&loader.generation) => {
                    *loader = Loader::open_current(&self.folder)?;
                }
                loaded => break Arc::new(loaded?),
            }
        };
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        if loaded.upper() >= snapshot.upper() {
            *snapshot = loaded;
        }
        Ok(Arc::clone(&snapshot))
    }
}

impl Loader {
    /// Opens the generation that `CURRENT` names.
    fn open_current(folder: &Folder) -> Result<Loader, IndexError> {
        let named = || folder.current()?.ok_or_else(|| IndexError::Missing { dir: folder.path().to_owned() });
        let mut generation = named()?;
        loop {
            let opened = Loader::open(folder, generation.clone());
            // One that is replaced while it is opened is gone; the other is there.
            match named()? {
                other if opened.is_err() && other != generation => generation = other,
                _ => return opened,
            }
        }
    }

    fn open(folder: &Folder, generation: String) -> Result<Loader, IndexError> {
        let index = folder.open(&generation, unlocked::directory)?;
        let mut turns = 0..TURNS;
        let reader = loop {
            match index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into() {
                Err(error) if is_gone(&error) && turns.next().is_some() => {}
                opened => break opened.map_err(|error| failed(folder.path(), error))?,
            }
        };
        Ok(Loader { generation, index, reader })
    }

    fn load(&self, folder: &Folder) -> Result<Snapshot, IndexError> {
        let failed = |error| failed(folder.path(), error);
        let mut turns = 0..TURNS;
        loop {
            let last = turns.next().is_none();
            match self.reader.reload() {
                Err(error) if is_gone(&error) && !last => continue,
                loaded => loaded.map_err(failed)?,
            }
            let searcher = self.reader.searcher();
            let meta = self.index.load_metas().map_err(failed)?;
            let segments = meta.segments.iter().map(|segment| (segment.id(), segment.delete_opstamp()));
            if segments.collect::<std::collections::BTreeMap<_, _>>() == *searcher.generation().segments() {
                let payload = Payload::read(folder.path(), meta.payload.as_deref())?;
                return Snapshot::new(folder.path(), searcher, payload, meta.opstamp);
            }
            if last {
                return Err(IndexError::Restless { dir: folder.path().to_owned() });
            }
        }
    }
}
