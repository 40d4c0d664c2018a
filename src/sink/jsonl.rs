//! JSON lines, for pipes and people.

use super::{Ack, Action, Batch, DocumentJson, History, Sink, SinkError};
use crate::time::Lsn;
use dataflows::{Document, DocumentId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Keeps all documents and writes them at the end, a line each, sorted by id.
#[derive(Debug)]
pub struct FinalLines<W> {
    out: W,
    documents: BTreeMap<DocumentId, Document>,
}

impl<W: Write> FinalLines<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> FinalLines<W> {
        FinalLines { out, documents: BTreeMap::new() }
    }

    /// The documents there are now.
    pub fn documents(&self) -> &BTreeMap<DocumentId, Document> {
        &self.documents
    }
}

impl<W: Write> Sink for FinalLines<W> {
    fn history(&self) -> History {
        History::Latest
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        for touch in batch.touched {
            match touch.action {
                Action::Upsert(document) => self.documents.insert(touch.id, document),
                Action::Delete => self.documents.remove(&touch.id),
            };
        }
        Ok(Ack::Accepted)
    }

    fn finish(&mut self) -> Result<Ack, SinkError> {
        for document in self.documents.values() {
            write_line(&mut self.out, &DocumentJson(document))?;
        }
        self.out.flush().map_err(SinkError::Write)?;
        Ok(Ack::Durable)
    }
}

/// Writes every change of a document with its time, a line each, in order:
/// `{"lsn":...,"op":"upsert","id":"...","document":{...}}` or `{"lsn":...,"op":"delete","id":"..."}`.
#[derive(Debug)]
pub struct ChangeLines<W> {
    out: W,
    documents: BTreeMap<DocumentId, Document>,
}

impl<W: Write> ChangeLines<W> {
    /// A sink that writes to `out`.
    pub fn new(out: W) -> ChangeLines<W> {
        ChangeLines { out, documents: BTreeMap::new() }
    }

    /// The documents there are now.
    pub fn documents(&self) -> &BTreeMap<DocumentId, Document> {
        &self.documents
    }
}

#[derive(Serialize)]
struct ChangeLine<'a> {
    lsn: u64,
    op: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<DocumentJson<'a>>,
}

impl<W: Write> Sink for ChangeLines<W> {
    fn history(&self) -> History {
        History::Every
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        for touch in batch.touched {
            let (op, document) = match &touch.action {
                Action::Upsert(document) => ("upsert", Some(DocumentJson(document))),
                Action::Delete => ("delete", None),
            };
            let lsn = Lsn::of_time(touch.time).0;
            write_line(&mut self.out, &ChangeLine { lsn, op, id: &touch.id.0, document })?;
            match touch.action {
                Action::Upsert(document) => self.documents.insert(touch.id, document),
                Action::Delete => self.documents.remove(&touch.id),
            };
        }
        self.out.flush().map_err(SinkError::Write)?;
        Ok(Ack::Accepted)
    }
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> Result<(), SinkError> {
    serde_json::to_writer(&mut *out, line).map_err(|error| SinkError::Write(error.into()))?;
    out.write_all(b"\n").map_err(SinkError::Write)
}
