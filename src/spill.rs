//! What waits and no longer fits the memory budget, on disk.
//!
//! ```text
//!   Held: public.users, worker 0 ──Share──┐                 ┌── Store ──> DIR/deltaic-spill-PID-START-N/
//!   Held: public.users, worker 1 ──Share──┼──> Budget ──────┼── Store ──>   LOCK
//!   ...                                   │    of the run   └── Store ──>   public.users-1.0, ...   segments
//!                                         └ memory in use
//! ```
//!
//! Each holder says how much it has in memory ([`Share`]). When all together have too much, the holders that have most
//! write what they hold as blocks into files of their own ([`Store`]) and keep only where the blocks are. Nothing on disk
//! outlives the run: where blocks are, and what their checksums must be, is known in memory alone.
//!
//! # Notes
//! This folder knows neither rows nor transactions, only bytes. Files are made when the first block is written, so a run
//! that stays within its memory touches no disk.

mod budget;
mod error;
mod folder;
mod store;

pub(crate) use budget::Share;
pub use error::SpillError;
pub(crate) use store::{Block, Store};

use budget::Budget;
use folder::Folder;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How much of what waits may be where.
#[derive(Clone, Debug)]
pub(crate) struct SpillOptions {
    /// In memory, in bytes.
    pub(crate) memory: u64,
    /// On disk, in bytes.
    pub(crate) disk: u64,
    /// The folder in which the run makes its own; the system's for temporary files if it is `None`.
    pub(crate) dir: Option<PathBuf>,
}

/// The budgets of a run and its folder, shared by all that hold something.
pub(crate) struct Spill {
    budget: Arc<Budget>,
    dir: PathBuf,
    folder: Mutex<Option<Folder>>,
}

impl Spill {
    /// Prepares for `holders` places where something waits, and removes what dead processes left in the same place.
    pub(crate) fn new(options: &SpillOptions, holders: usize) -> Arc<Spill> {
        let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        folder::remove_dead(&dir);
        let budget = Arc::new(Budget::new(options.memory, options.disk, holders));
        Arc::new(Spill { budget, dir, folder: Mutex::new(None) })
    }

    /// The share of one holder.
    pub(crate) fn share(&self) -> Share {
        Share::new(&self.budget)
    }

    /// The files of one holder, which no other has by this name.
    pub(crate) fn store(self: &Arc<Self>, name: String) -> Store {
        Store::new(Arc::clone(self), name)
    }

    /// Bytes that were written in the course of the run.
    pub(crate) fn written(&self) -> u64 {
        self.budget.written()
    }

    fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The run's folder, made when it is first asked for.
    fn folder(&self) -> Result<PathBuf, SpillError> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let made = match &mut *folder {
            Some(folder) => folder,
            none => none.insert(Folder::create(&self.dir)?),
        };
        Ok(made.path().to_owned())
    }
}

/// What is done with a file, for its error.
fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> SpillError {
    let path = path.to_owned();
    move |error| SpillError::Io { action, path, error }
}

#[cfg(test)]
mod tests;
