//! What a reader in the writer's own process sees: the last commit, loaded right after it.

use crate::index::{Index, IndexError, Snapshot};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The snapshot of the last commit of a sink. Clones show the same.
#[derive(Clone, Default)]
pub struct LatestSnapshot {
    index: Arc<Mutex<Option<Arc<Index>>>>,
}

impl LatestSnapshot {
    /// The snapshot; `None` before the first commit.
    pub fn get(&self) -> Option<Arc<Snapshot>> {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner).clone();
        index.map(|index| index.snapshot())
    }

    /// Loads the last commit of the index in `dir`.
    pub(super) fn load(&self, dir: &Path) -> Result<(), IndexError> {
        // Readers are not kept waiting while it loads.
        let known = self.index.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(index) => index.reload().map(drop),
            None => {
                let opened = Arc::new(Index::open(dir)?);
                *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
                Ok(())
            }
        }
    }
}
