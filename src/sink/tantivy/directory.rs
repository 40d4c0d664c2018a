//! Where the writer's files are: made safe together when a commit needs them, not one by one as they are written.
//!
//! ```text
//!   segment files, deletes ──written──┐                    sync_directory: all of them at once ──> the names in the
//!   .managed.json          ──kept─────┘──> a commit asks ──> directory ──> meta.json, written and synced as ever
//! ```
//!
//! A commit makes some ten to thirty small files, and tantivy syncs each, and its list of files once for each. But nothing
//! names them before `meta.json` does, and tantivy syncs the directory before it writes that: it is enough that all of
//! them are safe then.
//!
//! # Notes
//! - The list of files (`.managed.json`) is only for removing what nobody needs. It is written at the same time; so a crash
//!   may leave files that it does not list, and [`remove_leftovers`] goes by the directory itself.
//! - What could not be synced once may be gone, whatever a second try says: from then on every commit fails.

use crate::index::error::{IndexError, io as io_failed};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tantivy::IndexMeta;
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite, WatchCallback,
    WatchHandle, WritePtr,
};

/// Tantivy's list of the files it made.
const MANAGED: &str = ".managed.json";
/// The same, while it is written.
const MANAGED_NEW: &str = ".managed.json.new";
/// The name of a segment's file begins with so many hexadecimal digits.
const SEGMENT_ID: usize = 32;
/// So many files are kept open for their commit; a commit that has more syncs them as they are written. A process may have
/// some thousand open, and a commit of many segments has ten times as many files.
const OPEN_MAX: usize = 128;
/// Threads that sync files: a journal writes what is asked for together in one go.
const SYNCING: usize = 8;

/// A generation's folder, for its writer.
#[derive(Clone, Debug)]
pub(super) struct CommitDirectory {
    path: PathBuf,
    inner: MmapDirectory,
    unsynced: Arc<Mutex<Unsynced>>,
}

/// What the next commit has to make safe.
#[derive(Debug, Default)]
struct Unsynced {
    files: Vec<File>,
    managed: Option<Vec<u8>>,
    /// Something could not be made safe.
    lost: bool,
}

impl CommitDirectory {
    pub(super) fn open(path: &Path) -> Result<Box<dyn Directory>, OpenDirectoryError> {
        let inner = MmapDirectory::open(path)?;
        Ok(Box::new(CommitDirectory { path: path.to_owned(), inner, unsynced: Arc::default() }))
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync(&self) -> io::Result<()> {
        let Unsynced { mut files, managed, lost } = std::mem::take(&mut *self.unsynced());
        if lost {
            return Err(io::Error::other("files of an earlier commit could not be synced"));
        }
        let new = self.path.join(MANAGED_NEW);
        let listed = managed.is_some();
        if let Some(managed) = managed {
            let mut file = File::create(&new)?;
            file.write_all(&managed)?;
            files.push(file);
        }
        sync_all(&files)?;
        if listed {
            fs::rename(&new, self.path.join(MANAGED))?;
        }
        self.inner.sync_directory()
    }
}

fn sync_all(files: &[File]) -> io::Result<()> {
    std::thread::scope(|scope| {
        let some = files.len().div_ceil(SYNCING).max(1);
        let syncing: Vec<_> =
            files.chunks(some).map(|files| scope.spawn(|| files.iter().try_for_each(File::sync_data))).collect();
        let mut joined = syncing.into_iter().map(|thread| thread.join());
        joined
            .try_for_each(|synced| synced.unwrap_or_else(|_| Err(io::Error::other("a thread that syncs files failed"))))
    })
}

impl Directory for CommitDirectory {
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = OpenOptions::new().write(true).create_new(true).open(self.path.join(path));
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
        })?;
        Ok(BufWriter::new(Box::new(CommitFile { file: Some(file), unsynced: Arc::clone(&self.unsynced) })))
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if path == Path::new(MANAGED) {
            self.unsynced().managed = Some(data.to_owned());
            return Ok(());
        }
        // Tantivy's own way makes a file that nobody but its owner may read.
        let (path, new) = (self.path.join(path), self.path.join(path).with_extension("new"));
        let mut file = File::create(&new)?;
        file.write_all(data)?;
        file.sync_data()?;
        fs::rename(new, path)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let synced = self.sync();
        if synced.is_err() {
            self.unsynced().lost = true;
        }
        synced
    }

    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.inner.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

/// A file that is written once, and synced with the others.
struct CommitFile {
    file: Option<File>,
    unsynced: Arc<Mutex<Unsynced>>,
}

impl CommitFile {
    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or_else(|| io::Error::other("the file was written to its end before"))
    }
}

impl Write for CommitFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file()?.flush()
    }
}

impl TerminatingWrite for CommitFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.files.extend(self.file.take());
        if unsynced.files.len() < OPEN_MAX {
            return Ok(());
        }
        let synced = sync_all(&std::mem::take(&mut unsynced.files));
        unsynced.lost |= synced.is_err();
        synced
    }
}

/// Removes what a crash left in the generation in `path`: files that its last commit does not name. A later commit may
/// want to make one of the same name.
pub(super) fn remove_leftovers(path: &Path, meta: &IndexMeta) -> Result<(), IndexError> {
    let named: HashSet<PathBuf> = meta.list_segment_files();
    for entry in fs::read_dir(path).map_err(io_failed("read", path))? {
        let name = entry.map_err(io_failed("read", path))?.file_name();
        let text = name.to_string_lossy();
        let of_segment = text.len() > SEGMENT_ID && text.bytes().take(SEGMENT_ID).all(|byte| byte.is_ascii_hexdigit());
        if of_segment && !named.contains(Path::new(&name)) {
            let path = path.join(&name);
            fs::remove_file(&path).map_err(io_failed("remove", &path))?;
        }
    }
    Ok(())
}
