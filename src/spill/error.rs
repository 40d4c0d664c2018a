//! Why what waits could not go to disk, or did not come back.

use std::path::PathBuf;

/// Why what waits could not go to disk, or did not come back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpillError {
    /// Allow more.
    #[error(
        "what waits on disk is at its limit of {budget} bytes; raise the spill budget (engine.spill_budget_bytes) or the memory budget (engine.memory_budget_bytes)"
    )]
    Budget {
        /// The bytes that may be there.
        budget: u64,
    },
    /// Make room or give another folder.
    #[error(
        "cannot {action} {}: {error}; name a folder with room that can be written (engine.spill_dir), or raise the memory budget (engine.memory_budget_bytes)",
        path.display()
    )]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it was not.
        #[source]
        error: std::io::Error,
    },
    /// The disk, or somebody who writes to it, has changed what was written.
    #[error(
        "{} does not hold at byte {at} what was written there; see that nothing else writes there and that the disk is sound, and start again",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// A bug of the view's rows: they cannot be written, or not be read again.
    #[error("a value does not go through serde: {0}; its type must be one that a format without field names can hold")]
    Value(String),
}
