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

/// Bytes of a line that says what to do, without the id: about.
pub(super) const LINE: usize = 96;

/// One document, as it goes to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) id: DocumentId,
    pub(super) time: Time,
    /// The document as JSON; `None` where it is deleted.
    pub(super) document: Option<Box<str>>,
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

impl Operation {
    pub(super) fn of(touch: Touch) -> Operation {
        let document = match &touch.action {
            Action::Upsert(document) => {
                let json = serde_json::to_string(&DocumentJson(document)).expect("a document has a JSON form");
                Some(json.into_boxed_str())
            }
            Action::Delete => None,
        };
        Operation { id: touch.id, time: touch.time, document }
    }

    /// Bytes that it takes in a body, about.
    pub(super) fn bytes(&self) -> usize {
        LINE + self.id.0.len() + self.document.as_ref().map_or(0, |document| document.len())
    }

    fn write(&self, out: &mut Vec<u8>) {
        let target = Target { _id: &self.id.0, version: self.time, version_type: "external_gte" };
        let line = if self.document.is_some() { Line::Index(target) } else { Line::Delete(target) };
        serde_json::to_writer(&mut *out, &line).expect("texts and numbers have a JSON form, and memory takes them");
        out.push(b'\n');
        if let Some(document) = &self.document {
            out.extend_from_slice(document.as_bytes());
            out.push(b'\n');
        }
    }
}

/// The body of a bulk of `operations`.
pub(super) fn body(operations: &[Operation]) -> Vec<u8> {
    let mut body = Vec::with_capacity(operations.iter().map(Operation::bytes).sum::<usize>() + 64);
    operations.iter().for_each(|operation| operation.write(&mut body));
    body
}

/// What was taken, in its order, in as many bulks as it takes for none to be larger than `bytes_max`, unless it is one document.
pub(super) fn bulks(taken: Vec<Touch>, bytes_max: usize) -> Vec<Vec<Operation>> {
    let mut bulks: Vec<Vec<Operation>> = vec![Vec::with_capacity(taken.len())];
    let mut bytes = 0;
    for operation in taken.into_iter().map(Operation::of) {
        bytes += operation.bytes();
        match bulks.last_mut() {
            Some(bulk) if bulk.is_empty() || bytes <= bytes_max => bulk.push(operation),
            _ => {
                bytes = operation.bytes();
                bulks.push(vec![operation]);
            }
        }
    }
    bulks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bulk_is_larger_than_it_may_be_unless_it_is_one_document() {
        let touch = |bytes: usize| Touch { time: 1, id: DocumentId("x".repeat(bytes).into()), action: Action::Delete };
        let taken = [4, 4, 800, 4, 4, 4].map(touch);
        let sizes = |max| bulks(taken.to_vec(), max).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(200), [2, 1, 2, 1]);
        assert_eq!(sizes(1), [1; 6]);
        assert_eq!(sizes(10_000), [6]);
    }

    #[test]
    fn a_body_has_a_line_for_what_to_do_and_one_for_the_document() {
        let id = |id: &str| DocumentId(id.into());
        let operations = [
            Operation { id: id("a\"b"), time: 7, document: Some(r#"{"x":1}"#.into()) },
            Operation { id: id("c"), time: 9, document: None },
        ];
        let expected = concat!(
            r#"{"index":{"_id":"a\"b","version":7,"version_type":"external_gte"}}"#,
            "\n",
            r#"{"x":1}"#,
            "\n",
            r#"{"delete":{"_id":"c","version":9,"version_type":"external_gte"}}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(body(&operations)).unwrap(), expected);
    }
}
