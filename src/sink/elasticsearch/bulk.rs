//! The body of a bulk: one line of what to do for each document, and the document behind it.
//!
//! ```text
//!   {"index":{"_id":"72…","version":53195832,"version_type":"external_gte"}}
//!   {"user_uid":"…","conversation_uid":"72…","step":"needs_review"}
//!   {"delete":{"_id":"73…","version":53195840,"version_type":"external_gte"}}
//! ```
//!
//! The version is the time of the document's last change. A server takes an operation whose version is not below the one it
//! has, so the same may be sent again, and what comes late changes nothing.

use crate::sink::{Action, DocumentJson, Touch};
use crate::time::Time;
use dataflows::DocumentId;
use serde::Serialize;
use std::mem;
use std::ops::Range;

/// Bytes of a line that says what to do, without the id: about.
pub(super) const LINE: usize = 96;

/// Documents as they go to the server: the lines of all of them are one text, and each knows its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bulk {
    body: Vec<u8>,
    operations: Vec<Operation>,
}

/// What is done with one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) id: DocumentId,
    pub(super) time: Time,
    pub(super) deletes: bool,
    /// Of its lines in the body.
    pub(super) lines: Range<usize>,
}

#[derive(Serialize)]
enum Line<'a> {
    #[serde(rename = "index")]
    Index(Target<'a>),
    #[serde(rename = "delete")]
    Delete(Target<'a>),
}

#[derive(Serialize)]
struct Target<'a> {
    _id: &'a str,
    version: Time,
    version_type: &'static str,
}

impl Bulk {
    /// What was taken, in its order, in as many bulks as it takes for none to be larger than `bytes_max`, unless it is one document.
    /// The first is written into `buffer`.
    pub(super) fn of(taken: Vec<Touch>, bytes_max: usize, mut buffer: Vec<u8>) -> Vec<Bulk> {
        buffer.clear();
        let mut bulks = Vec::new();
        let mut open = Bulk { body: buffer, operations: Vec::with_capacity(taken.len()) };
        for touch in taken {
            let before = open.body.len();
            open.write(touch);
            if before > 0 && open.body.len() > bytes_max {
                let last = open.split_off(open.len() - 1);
                bulks.push(mem::replace(&mut open, last));
            }
        }
        if open.len() > 0 {
            bulks.push(open);
        }
        bulks
    }

    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// For the next one.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.body
    }

    /// In the order of their lines.
    pub(super) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The document of an operation, as JSON; `None` where it is deleted.
    pub(super) fn document(&self, operation: &Operation) -> Option<&[u8]> {
        let lines = self.body.get(operation.lines.clone())?;
        let (_, document) = lines.split_at_checked(lines.iter().position(|byte| *byte == b'\n')? + 1)?;
        document.strip_suffix(b"\n")
    }

    /// Those of its operations.
    pub(super) fn only(&self, operations: impl IntoIterator<Item = Operation>) -> Bulk {
        let mut only = Bulk::default();
        for operation in operations {
            let begins = only.body.len();
            only.body.extend_from_slice(self.body.get(operation.lines).unwrap_or_default());
            only.operations.push(Operation { lines: begins..only.body.len(), ..operation });
        }
        only
    }

    /// Keeps the first so many operations; the others are another bulk.
    pub(super) fn split_off(&mut self, at: usize) -> Bulk {
        let operations = self.operations.split_off(at);
        let others = self.only(operations);
        self.body.truncate(self.operations.last().map_or(0, |last| last.lines.end));
        others
    }

    fn write(&mut self, Touch { id, time, action }: Touch) {
        const WRITES: &str = "texts and numbers have a JSON form, and memory takes them";
        let begins = self.body.len();
        let target = Target { _id: &id.0, version: time, version_type: "external_gte" };
        let (line, document) = match &action {
            Action::Upsert(document) => (Line::Index(target), Some(document)),
            Action::Delete => (Line::Delete(target), None),
        };
        serde_json::to_writer(&mut self.body, &line).expect(WRITES);
        self.body.push(b'\n');
        if let Some(document) = document {
            serde_json::to_writer(&mut self.body, &DocumentJson(document)).expect(WRITES);
            self.body.push(b'\n');
        }
        self.operations.push(Operation { id, time, deletes: document.is_none(), lines: begins..self.body.len() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dataflows::{Document, Kind, Schema, Value};
    use std::sync::Arc;

    fn touch(time: Time, id: &str, action: Action) -> Touch {
        Touch { time, id: DocumentId(id.into()), action }
    }

    fn document(number: i64) -> Action {
        let schema = Arc::new(Schema::from([("x", Kind::Integer)]));
        Action::Upsert(Document { schema, values: [Value::Integer(number)].into() })
    }

    fn text(bulk: &Bulk) -> &str {
        std::str::from_utf8(bulk.body()).unwrap()
    }

    #[test]
    fn no_bulk_is_larger_than_it_may_be_unless_it_is_one_document() {
        let taken = [4, 4, 800, 4, 4, 4].map(|bytes| touch(1, &"x".repeat(bytes), Action::Delete));
        let sizes = |max| {
            let bulks = Bulk::of(taken.to_vec(), max, b"as it was".to_vec());
            assert!(bulks.iter().all(|bulk| bulk.len() == 1 || bulk.body().len() <= max));
            assert_eq!(
                bulks.iter().map(text).collect::<String>(),
                text(&Bulk::of(taken.to_vec(), 10_000, Vec::new())[0])
            );
            bulks.iter().map(Bulk::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(200), [2, 1, 2, 1]);
        assert_eq!(sizes(1), [1; 6]);
        assert_eq!(sizes(10_000), [6]);
        assert!(Bulk::of(Vec::new(), 200, Vec::new()).is_empty());
    }

    #[test]
    fn a_body_has_a_line_for_what_to_do_and_one_for_the_document() {
        let bulks = Bulk::of(vec![touch(7, "a\"b", document(1)), touch(9, "c", Action::Delete)], 10_000, Vec::new());
        let expected = concat!(
            r#"{"index":{"_id":"a\"b","version":7,"version_type":"external_gte"}}"#,
            "\n",
            r#"{"x":1}"#,
            "\n",
            r#"{"delete":{"_id":"c","version":9,"version_type":"external_gte"}}"#,
            "\n"
        );
        assert_eq!(text(&bulks[0]), expected);
        let documents = bulks[0].operations().iter().map(|operation| bulks[0].document(operation));
        assert_eq!(documents.collect::<Vec<_>>(), [Some(&b"{\"x\":1}"[..]), None]);
    }

    #[test]
    fn a_part_of_a_bulk_is_a_bulk() {
        let touches: Vec<Touch> = (0..7).map(|n| touch(n, &format!("{n}"), document(n as i64))).collect();
        let of = |chosen: &[usize]| {
            Bulk::of(chosen.iter().map(|at| touches[*at].clone()).collect(), 10_000, Vec::new())
                .pop()
                .unwrap_or_default()
        };
        let whole = of(&[0, 1, 2, 3, 4, 5, 6]);
        let only = |bulk: &Bulk, at: &[usize]| bulk.only(at.iter().map(|at| bulk.operations()[*at].clone()));
        let part = only(&whole, &[1, 4, 6]);
        assert_eq!(part, of(&[1, 4, 6]));
        assert_eq!(only(&part, &[0, 2]), of(&[1, 6]), "its lines are where it says");
        for at in 0..=7 {
            let mut first = only(&whole, &[0, 1, 2, 3, 4, 5, 6]);
            let second = first.split_off(at);
            let all: Vec<usize> = (0..7).collect();
            assert_eq!((first, second), (of(&all[..at]), of(&all[at..])));
        }
    }
}
