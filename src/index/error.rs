//! Why an index cannot be read or written, by what the reader must do next.

use crate::sink::Difference;
use crate::time::Lsn;
use std::path::{Path, PathBuf};

/// An index cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Fill one first, or name the right directory.
    #[error("there is no index in {dir}")]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// Name another directory.
    #[error("{dir} holds {found}, and no index; name an empty directory, or one that does not exist yet")]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
        /// Something in it.
        found: String,
    },
    /// Stop the other process, or name another directory.
    #[error("another process is writing to the index in {dir}; stop it first, or name another directory")]
    Busy {
        /// The directory.
        dir: PathBuf,
    },
    /// Read again, or have commits come less often.
    #[error("the index in {dir} is committed so often that no commit could be loaded before the next; try again")]
    Restless {
        /// The directory.
        dir: PathBuf,
    },
    /// Put the file right, or fill the index anew.
    #[error(
        "{path} should name a generation, as `generation-1`, and is {found}; write the name of the folder that holds the index into it, or fill the index anew in another directory"
    )]
    BadCurrent {
        /// The file `CURRENT`.
        path: PathBuf,
        /// What stands in it.
        found: String,
    },
    /// Put the file back, or fill the index anew.
    #[error(
        "{dir} holds documents in {generation}, but no file CURRENT that says so; write `{generation}` into {dir}/CURRENT if it is whole, or fill the index anew in another directory"
    )]
    NoCurrent {
        /// The directory.
        dir: PathBuf,
        /// A generation in it.
        generation: String,
    },
    /// Bring the folder back, or fill the index anew.
    #[error(
        "{dir}/CURRENT names {generation}, which is not there; bring the folder back, or fill the index anew in another directory"
    )]
    NoGeneration {
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        generation: String,
    },
    /// Use the index that this program made.
    #[error("the index in {dir} was not written by deltaic: {reason}")]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// Use the version that wrote it, or fill the index anew.
    #[error(
        "the index in {dir} has format {found}, this version writes format {expected}; use the version that wrote it, or fill the index anew in another directory"
    )]
    Format {
        /// The directory.
        dir: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        expected: u64,
    },
    /// Run what the index is of, or name another directory.
    #[error(
        "the index in {dir} is of something else: {}; run with what the index is of, or name another directory to fill",
        differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Identity {
        /// The directory.
        dir: PathBuf,
        /// All of them.
        differences: Vec<Difference>,
    },
    /// Use a log that begins where the one did that filled it, or name another directory.
    #[error(
        "the index in {dir} was filled without an initial snapshot, from a log that begins {}; this one begins {}, so rows that the index knows are missing; run with a log that begins where that one did, or name another directory to fill",
        behind(*.index), behind(*.run)
    )]
    OtherBeginning {
        /// The directory.
        dir: PathBuf,
        /// The END that the log of the index begins behind; `None` if it has a snapshot.
        index: Option<Lsn>,
        /// The same of the run's log.
        run: Option<Lsn>,
    },
    /// Name the column otherwise in the view.
    #[error("a document's field cannot be called `{name}`: {reason}")]
    Field {
        /// The field.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// Mend the query.
    #[error("cannot search for `{query}`: {reason}")]
    Query {
        /// The query.
        query: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Fill the index anew.
    #[error("the index in {dir} is damaged: {reason}; fill it anew in another directory")]
    Damaged {
        /// The directory.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Look at the directory: its place, its rights, its disk.
    #[error("cannot {doing} {path}: {error}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What went wrong.
        #[source]
        error: std::io::Error,
    },
    /// The search library failed: a full disk, a damaged file.
    #[error("the index in {dir} failed: {error}")]
    Tantivy {
        /// The directory.
        dir: PathBuf,
        /// Its own words.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn behind(beginning: Option<Lsn>) -> String {
    beginning.map_or("with a snapshot".to_owned(), |lsn| format!("behind LSN {lsn}"))
}

/// For `map_err`: a failure of the search library.
pub(crate) fn failed(dir: &Path, error: tantivy::TantivyError) -> IndexError {
    IndexError::Tantivy { dir: dir.to_owned(), error: Box::new(error) }
}

/// For `map_err`: an operation on a path that failed.
pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> IndexError {
    move |error| IndexError::Io { doing, path: path.to_owned(), error }
}
