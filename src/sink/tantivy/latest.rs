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
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        match &*index {
            Some(index) => index.reload().map(|_| ()),
            None => {
                *index = Some(Arc::new(Index::open(dir)?));
                Ok(())
            }
        }
    }
}
