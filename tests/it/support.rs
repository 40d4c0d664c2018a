//! What the tests share: a sink that remembers, a view that mirrors its tables, digests.

#[cfg(feature = "elasticsearch")]
pub mod http;
pub mod mirror;
#[cfg(feature = "elasticsearch")]
pub mod search_server;

use deltaic::dataflows::{DocumentId, Value};
use deltaic::{Ack, Action, Batch, Document, History, Sink, SinkError, Time};
use harness::{Case, Checked, smallest_failure};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// All documents at one time.
pub type Documents = BTreeMap<DocumentId, Document>;

/// Calls `seen` with each time that something changes at and the documents as they are before it, from the first state
/// shown on.
pub struct EveryState<F> {
    pub documents: Documents,
    pub seen: F,
}

impl<F: FnMut(Time, &Documents)> EveryState<F> {
    pub fn new(seen: F) -> Self {
        EveryState { documents: BTreeMap::new(), seen }
    }
}

impl<F: FnMut(Time, &Documents)> Sink for EveryState<F> {
    fn history(&self) -> History {
        History::Every
    }

    fn apply(&mut self, batch: Batch) -> Result<Ack, SinkError> {
        let mut time = None;
        for touch in batch.touched {
            assert!((batch.lower..batch.upper).contains(&touch.time), "a touch lies in its batch");
            let shown_before = batch.lower > 0 || time.is_some();
            if shown_before && time != Some(touch.time) {
                (self.seen)(touch.time, &self.documents);
            }
            time = Some(touch.time);
            match touch.action {
                Action::Upsert(document) => {
                    let before = self.documents.insert(touch.id, document.clone());
                    assert_ne!(before, Some(document), "only differences leave");
                }
                Action::Delete => assert!(self.documents.remove(&touch.id).is_some(), "only what stood is deleted"),
            }
        }
        (self.seen)(batch.upper, &self.documents);
        Ok(Ack::Accepted)
    }
}

/// Checks a case. One that fails is made as small as it still fails, and printed.
pub fn checked(case: &Case) -> Checked {
    case.check().unwrap_or_else(|divergence| panic!("{}", smallest_failure(case, &divergence)))
}

/// The text of a field, as the truth of a capture has it.
pub fn text(document: &Document, field: &str) -> String {
    match document.get(field) {
        Some(Value::Text(text)) => text.to_string(),
        Some(Value::Uuid(uuid)) => uuid.to_string(),
        other => panic!("field {field} is {other:?}"),
    }
}

/// The digest of documents: sha256 of the sorted lines `field|field|...\n`, in hex.
pub fn digest(documents: &Documents, fields: &[&str]) -> String {
    digest_of(documents.values().map(|document| fields.iter().map(|field| text(document, field)).collect::<Vec<_>>()))
}

/// The same, of the fields' texts.
pub fn digest_of<T: AsRef<[String]>>(documents: impl Iterator<Item = T>) -> String {
    let mut lines: Vec<String> = documents.map(|fields| fields.as_ref().join("|") + "\n").collect();
    lines.sort();
    let mut sha = Sha256::new();
    lines.iter().for_each(|line| sha.update(line));
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
