//! Records that cannot be used: a clean stop, or a file of dead letters in which nothing of them is lost.

use crate::envelope::BadRecord;
use crate::error::Error;
use crate::source::Location;
use serde::Serialize;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// What to do with a record that cannot be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnBadRecord {
    /// End the run with an error that names it.
    #[default]
    Stop,
    /// Append it to a file, as a JSON line with reason and record, and go on: its key keeps its last good row.
    DeadLetter(PathBuf),
}

/// Takes bad records as [`OnBadRecord`] says.
#[derive(Default)]
pub(crate) struct DeadLetters {
    to: OnBadRecord,
    file: Option<File>,
}

#[derive(Serialize)]
struct Letter<'a> {
    reason: String,
    topic: &'a str,
    partition: u32,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    record: std::borrow::Cow<'a, str>,
}

impl DeadLetters {
    pub(crate) fn new(to: OnBadRecord) -> DeadLetters {
        DeadLetters { to, file: None }
    }

    /// Writes the record away, or gives it back as the error that ends the run.
    pub(crate) fn take(&mut self, bad: Box<BadRecord>) -> Result<(), Error> {
        let OnBadRecord::DeadLetter(path) = &self.to else { return Err(Error::BadRecord(bad)) };
        let failed = |error| Error::DeadLetters { path: path.display().to_string(), error };
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::options().create(true).append(true).open(path).map_err(failed)?),
        };
        let location = &bad.location;
        let letter = Letter {
            reason: bad.reason.to_string(),
            topic: &location.topic,
            partition: location.partition,
            offset: location.offset,
            file: location.line.as_ref().map(|(file, _)| file.as_str()),
            line: location.line.as_ref().map(|(_, line)| *line),
            record: String::from_utf8_lossy(&bad.line),
        };
        let mut line = serde_json::to_vec(&letter).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(failed)?;
        // The reason may hold a piece of the record.
        let &Location { ref topic, partition, offset, .. } = location;
        tracing::warn!(%topic, partition, offset, "a record that cannot be used was written to the dead letters");
        Ok(())
    }
}
