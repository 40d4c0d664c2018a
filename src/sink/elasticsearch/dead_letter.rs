//! Documents that the server cannot take: a clean stop, or a file in which nothing of them is lost.

use super::bulk::Operation;
use super::error::ElasticsearchError;
use super::options::OnBadDocument;
use crate::time::{Lsn, Time};
use serde::Serialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use tracing::warn;

/// Takes bad documents as [`OnBadDocument`] says.
pub(super) struct DeadLetters {
    to: OnBadDocument,
    file: Mutex<Option<File>>,
}

#[derive(Serialize)]
struct Letter<'a> {
    reason: &'a str,
    id: &'a str,
    version: Time,
    lsn: Lsn,
    /// Missing where it was to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a RawValue>,
}

impl DeadLetters {
    pub(super) fn new(to: OnBadDocument) -> DeadLetters {
        DeadLetters { to, file: Mutex::new(None) }
    }

    /// Writes the document away, or gives it back as the error that ends the run.
    pub(super) fn take(
        &self,
        operation: &Operation,
        document: Option<&[u8]>,
        reason: String,
    ) -> Result<(), ElasticsearchError> {
        let (id, lsn) = (operation.id.0.to_string(), Lsn::of_time(operation.time));
        let OnBadDocument::DeadLetter(path) = &self.to else {
            return Err(ElasticsearchError::BadDocument { id, lsn, reason });
        };
        let failed = |error| ElasticsearchError::DeadLetters { path: path.clone(), error };
        let document = document.map(serde_json::from_slice).transpose();
        let document: Option<&RawValue> = document.map_err(|error| failed(error.into()))?;
        let letter = Letter { reason: &reason, id: &id, version: operation.time, lsn, document };
        let mut line = serde_json::to_vec(&letter).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match file.as_mut() {
            Some(file) => file,
            None => file.insert(File::options().create(true).append(true).open(path).map_err(failed)?),
        };
        // It is safe before the index is said to be past it.
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)?;
        // The reason may hold a piece of the document.
        warn!(id, lsn = lsn.0, "a document that the server refuses was written to the dead letters");
        Ok(())
    }
}
