//! Why documents cannot go to a search server, by what the reader must do next.

use crate::sink::Difference;
use crate::time::Lsn;
use std::path::PathBuf;

/// Documents cannot go to a search server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElasticsearchError {
    /// Mend the option.
    #[error("{option}: {reason}")]
    Option {
        /// Which.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Put the file there, or name another.
    #[error("cannot read {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Start the server, or look at the address, the certificates and what lies between.
    #[error("no answer from {urls}: {reason}")]
    NoAnswer {
        /// The nodes that were tried.
        urls: String,
        /// What the last one met with.
        reason: String,
    },
    /// Use a server that is supported.
    #[error("{found} is not supported; use Elasticsearch 8 or 9, or OpenSearch 2 or 3")]
    Unsupported {
        /// What answers there.
        found: String,
    },
    /// Give credentials, or rights to the one who has these.
    #[error(
        "{doing}: {reason} ({status}); give the sink credentials that may read and write {index}, its settings, mappings and aliases"
    )]
    Forbidden {
        /// What was tried.
        doing: String,
        /// 401 or 403.
        status: u16,
        /// The server's words.
        reason: String,
        /// What it was tried on.
        index: String,
    },
    /// Name another alias, or remove the index of that name.
    #[error(
        "`{alias}` is an index; the sink writes to an index of its own and has it read through an alias: name another, or remove the index if nobody needs it"
    )]
    NotAnAlias {
        /// The name.
        alias: String,
    },
    /// Leave the alias on one index.
    #[error("the alias `{alias}` is of several indexes: {indexes}; leave it on the one that the sink fills")]
    SeveralIndexes {
        /// The alias.
        alias: String,
        /// Them.
        indexes: String,
    },
    /// Rebuild, or name another alias.
    #[error(
        "the index {index} cannot be continued: {reason}; `deltaic rebuild` fills another and moves the alias `{alias}` to it, or name another alias"
    )]
    Rebuild {
        /// The index.
        index: String,
        /// The alias that is on it.
        alias: String,
        /// Why.
        reason: String,
    },
    /// Run what the index is of, or name another alias.
    #[error(
        "the index {index} is of something else: {}; run with what the index is of, name another alias, or let `deltaic rebuild` fill another index",
        differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Identity {
        /// The index.
        index: String,
        /// All of them.
        differences: Vec<Difference>,
    },
    /// Use a log that begins where the one did that filled it, or name another alias.
    #[error(
        "the index {index} was filled without an initial snapshot, from a log that begins {}; this one begins {}, so rows that the index knows are missing; run with a log that begins where that one did, or name another alias",
        behind(*.kept), behind(*.run)
    )]
    OtherBeginning {
        /// The index.
        index: String,
        /// The END that the log of the index begins behind; `None` if it has a snapshot.
        kept: Option<Lsn>,
        /// The same of the run's log.
        run: Option<Lsn>,
    },
    /// Mend the index's settings or mapping.
    #[error("the index {index} cannot take the documents: {}", differences.join("; "))]
    Mapping {
        /// The index.
        index: String,
        /// What does not fit, each with what would.
        differences: Vec<String>,
    },
    /// Set `index.translog.durability` to `request`.
    #[error(
        "the index {index} has index.translog.durability `{found}`: what it acknowledges it may lose; set it to `request`"
    )]
    NotDurable {
        /// The index.
        index: String,
        /// The setting.
        found: String,
    },
    /// Name the column otherwise in the view.
    #[error("a document's field cannot be called `{name}`: {reason}")]
    Field {
        /// The field.
        name: String,
        /// Why.
        reason: String,
    },
    /// Stop the other process, or name another alias.
    #[error("another process writes to the index {index}; stop it first, or name another alias")]
    OtherWriter {
        /// The index.
        index: String,
    },
    /// Bring the index back, or rebuild.
    #[error(
        "the index {index} is gone or closed: {reason}; open it, restore it, or let `deltaic rebuild` fill another"
    )]
    Gone {
        /// The index.
        index: String,
        /// The server's words.
        reason: String,
    },
    /// Mend the document, its mapping, or the limit; or let it go to the dead letters.
    #[error(
        "the server refuses document {id} at LSN {lsn}: {reason}; mend the mapping or the limit, or set on_bad_document = \"dead-letter\""
    )]
    BadDocument {
        /// Its id.
        id: String,
        /// Of which state of it.
        lsn: Lsn,
        /// The server's words.
        reason: String,
    },
    /// Make room for the file of dead letters.
    #[error("cannot write the dead letters to {path}: {error}")]
    DeadLetters {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        error: std::io::Error,
    },
    /// Look at the server.
    #[error("{doing}: the server answers {status}: {reason}")]
    Answer {
        /// What was tried.
        doing: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// Look at the server, and run again: what was not acknowledged is sent again.
    #[error("gave up on {doing} after {tries} tries: {reason}")]
    GaveUp {
        /// What was tried.
        doing: String,
        /// How often.
        tries: u32,
        /// What the last one met with.
        reason: String,
    },
    /// Look at the server, and run again: what was not acknowledged is sent again.
    #[error("the run ends, and the server has not acknowledged everything in {seconds} s{}", reason.as_ref().map_or(String::new(), |reason| format!(": {reason}")))]
    NotFlushed {
        /// For how long no answer came.
        seconds: u64,
        /// What is waited for.
        reason: Option<String>,
    },
    /// A fault of this program.
    #[error("a thread of the sink has died: {0}")]
    Thread(String),
}

fn behind(beginning: Option<Lsn>) -> String {
    beginning.map_or("with a snapshot".to_owned(), |lsn| format!("behind LSN {lsn}"))
}
