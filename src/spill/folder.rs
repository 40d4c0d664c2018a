//! The folder of a run: its own while the process lives, and nobody's afterwards.
//!
//! A folder is of a living run as long as its file `LOCK` is locked. The system lets go of the lock when the process ends,
//! however it ends, and the lock is seen across containers that share the folder, where process ids mean nothing. `LOCK`
//! gets its name only once it is locked, so a folder that is being made is never taken for a dead one.

use super::{SpillError, io};
use fs4::fs_std::FileExt;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::{info, warn};

const PREFIX: &str = "deltaic-spill-";
const LOCK: &str = "LOCK";
/// What `LOCK` holds: a folder of that name that somebody else made is left alone.
const MARKER: &[u8] = b"deltaic: rows that wait, of a run; it can be removed when the process has ended\n";
/// How names of segments end.
pub(super) const SEGMENT: &str = ".rows";

/// A run's folder; it goes with the run, by whatever the run ends.
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl Folder {
    /// Makes a folder with a name that nobody else has, and locks it.
    pub(super) fn create(dir: &Path) -> Result<Folder, SpillError> {
        fs::create_dir_all(dir).map_err(io("create", dir))?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut attempt = 0;
        let path = loop {
            let path = dir.join(format!("{PREFIX}{}-{since}-{attempt}", process::id()));
            match private().create(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(io("create", &path)(error)),
            }
        };
        let lock = locked(&path).inspect_err(|_| remove(&path))?;
        info!(folder = %path.display(), "rows that wait go to disk");
        Ok(Folder { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Others have no business with rows.
fn private() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has a mode"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn locked(folder: &Path) -> Result<File, SpillError> {
    let (new, path) = (folder.join("LOCK.new"), folder.join(LOCK));
    let mut file = File::create_new(&new).map_err(io("create", &new))?;
    let lock = |file: &File| match file.try_lock_exclusive()? {
        true => Ok(()),
        false => Err(std::io::Error::new(ErrorKind::WouldBlock, "somebody else has locked it")),
    };
    lock(&file).map_err(io("lock", &new))?;
    file.write_all(MARKER).map_err(io("write", &new))?;
    fs::rename(&new, &path).map_err(io("name", &path))?;
    Ok(file)
}

/// Removes the folders that dead runs left in `dir`. What cannot be looked at is somebody else's.
pub(super) fn remove_dead(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || !entry.file_name().to_str().is_some_and(is_name) {
            continue;
        }
        let path = entry.path();
        // The lock is kept until the folder has gone: of two runs that start at once only one removes it.
        if let Some(_lock) = dead(&path) {
            info!(folder = %path.display(), "removing what a process that has died left");
            remove(&path);
        }
    }
}

/// Whether a name is one that [`Folder::create`] gives.
fn is_name(name: &str) -> bool {
    let Some(numbers) = name.strip_prefix(PREFIX) else { return false };
    let numbers: Vec<&str> = numbers.split('-').collect();
    numbers.len() == 3 && numbers.iter().all(|n| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit()))
}

/// The lock of a folder whose run has ended.
fn dead(path: &Path) -> Option<File> {
    let lock = path.join(LOCK);
    if !fs::symlink_metadata(&lock).is_ok_and(|meta| meta.is_file()) {
        return None;
    }
    let mut file = File::options().read(true).write(true).open(&lock).ok()?;
    let mut marker = Vec::new();
    Read::by_ref(&mut file).take(MARKER.len() as u64 + 1).read_to_end(&mut marker).ok()?;
    (marker == MARKER && matches!(file.try_lock_exclusive(), Ok(true))).then_some(file)
}

/// Removes a folder with the files that a run makes, and with no others: where there are some, it stays.
fn remove(path: &Path) {
    let own = |name: &str| name.ends_with(SEGMENT) || name == "LOCK.new";
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(own) {
            // What stays is told with the folder.
            let _told_below = fs::remove_file(entry.path());
        }
    }
    // Last, so that a removal that is broken off is taken up by the next run.
    let _may_be_missing = fs::remove_file(path.join(LOCK));
    if let Err(error) = fs::remove_dir(path) {
        warn!(folder = %path.display(), %error, "cannot remove a folder of rows that waited");
    }
}
