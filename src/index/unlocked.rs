//! Reading an index where nothing may be written: in a backup, on a read-only disk, as another user.
//!
//! A reader of tantivy's takes a lock while it opens the files of a commit, so that the writer does not remove them
//! meanwhile; the lock is a file that it makes. Where that is not allowed, the commit is opened without: should the writer
//! remove a file just then, opening fails, and is tried again with the newer commit.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, META_LOCK, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

/// The directory to read the index in `path` from.
pub(super) fn directory(path: &Path) -> Result<Box<dyn Directory>, OpenDirectoryError> {
    let directory = MmapDirectory::open(path)?;
    match directory.acquire_lock(&META_LOCK) {
        Err(LockError::IoError(error)) if not_allowed(&error) => Ok(Box::new(Unlocked(directory))),
        // It is free again, and another failure will come again where it can be told.
        _ => Ok(Box::new(directory)),
    }
}

fn not_allowed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// A directory without locks.
#[derive(Clone, Debug)]
struct Unlocked(MmapDirectory);

impl Directory for Unlocked {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.0.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.0.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.0.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.0.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.0.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.0.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.0.sync_directory()
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.0.watch(callback)
    }
}
