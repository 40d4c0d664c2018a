//! What an answer of a server means: pure, and tested with answers that real servers gave.
//!
//! | of a document | meaning |
//! |---|---|
//! | 200, 201; 404 on a delete | done |
//! | 409 `version_conflict_engine_exception` | the index has a newer state: done |
//! | 429; 503; a cluster block | the server is busy, or somebody must unblock it: the same again, for as long as it takes |
//! | 500, 502, 504 | nobody knows what became of it: the same again |
//! | 401, 403; an index that is missing or closed | nothing will go: the run ends |
//! | any other 4xx | the document cannot be taken: to the dead letters, or the run ends |
//!
//! | of a whole bulk | meaning |
//! |---|---|
//! | 413 | too large: in two halves |
//! | 400 | one of its documents spoils it for all: in two halves, down to the one |
//! | an answer that is cut, or that tells of other documents | nobody knows what became of it: the same again |
//!
//! A line for each document costs the server more than anything else of its answer, and mostly says that it went well. So a bulk
//! asks whether anything failed, and only if something did, the same is sent again to be told of [each document](Detail::Each).
//! An answer that nothing failed names no document: it is believed by its status and its words alone.

use super::bulk::Operation;
use serde::Deserialize;
use std::borrow::Cow;

/// What a server answers, or what stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// How much is to be said of a bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Whether anything in it failed.
    Whether,
    /// What became of each document.
    Each,
}

impl Detail {
    /// The part of an answer that says so, as a query. Errors are whole, since it matters what they say.
    pub(super) fn query(self) -> &'static str {
        match self {
            Detail::Whether => "filter_path=error,status,errors",
            Detail::Each => "filter_path=error,status,items.*._id,items.*.status,items.*.error",
        }
    }
}

/// What became of a bulk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// The index has all of it.
    Done,
    /// Something in it failed: ask what.
    Failures,
    /// Of each document by itself, in their order.
    Items(Vec<Item>),
    /// In smaller pieces.
    TooLarge(String),
    /// Something in it cannot be read, and nothing of it was applied.
    Malformed(String),
    /// The same again.
    Again(Again),
    /// Never.
    Refused(Refusal),
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The index has it.
    Done,
    /// The index has a newer state.
    Newer,
    /// The same again.
    Again(Again),
    /// The document cannot be taken.
    Bad(String),
    /// Nothing will go.
    Refused(Refusal),
}

/// Why something is to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Again {
    /// The server lives, and says that it cannot now.
    pub(super) busy: bool,
    pub(super) reason: String,
}

/// Why nothing will go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The credentials, or their rights.
    Forbidden { status: u16, reason: String },
    /// The index is missing or closed.
    Gone(String),
    /// Anything else.
    Other { status: u16, reason: String },
}

/// A server's error: a sentence, or a type with a reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Said<'a> {
    Typed {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        reason: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        caused_by: Option<Box<Said<'a>>>,
    },
    Sentence(#[serde(borrow)] Cow<'a, str>),
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    error: Said<'a>,
}

#[derive(Deserialize)]
struct Errors {
    errors: bool,
}

#[derive(Deserialize)]
struct Bulk<'a> {
    #[serde(borrow)]
    items: Vec<Action<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action<'a> {
    #[serde(borrow)]
    Index(Outcome<'a>),
    #[serde(borrow)]
    Delete(Outcome<'a>),
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow)]
    _id: Cow<'a, str>,
    status: u16,
    #[serde(borrow, default)]
    error: Option<Said<'a>>,
}

/// What became of a bulk of `operations`, of which so much was asked.
pub(super) fn bulk(response: &Response, operations: &[Operation], detail: Detail) -> Whole {
    let Response { status, body } = response;
    if *status == 200 {
        let told = match detail {
            Detail::Whether => whether(body),
            Detail::Each => items(body, operations).map(Whole::Items),
        };
        return told.unwrap_or_else(|| {
            Whole::Again(Again { busy: false, reason: "an answer that is cut or of something else".to_owned() })
        });
    }
    let said = said(body);
    match *status {
        413 => Whole::TooLarge(words(said.as_ref(), "the body is too large for the server")),
        // Of the server itself, and not of somebody in between.
        400 if said.as_ref().and_then(Said::kind).is_some_and(|kind| !is_gone(kind)) => {
            Whole::Malformed(words(said.as_ref(), "no reason is given"))
        }
        status => match failed(status, said.as_ref()) {
            Ok(again) => Whole::Again(again),
            Err(refusal) => Whole::Refused(refusal),
        },
    }
}

/// Whether anything else but a bulk, that was answered so, is to be tried again.
pub(super) fn again(response: &Response) -> Option<Again> {
    failed(response.status, said(&response.body).as_ref()).ok()
}

/// What a server says of a request that it does not fulfil.
pub(super) fn refusal(response: &Response) -> Refusal {
    let said = said(&response.body);
    failed(response.status, said.as_ref())
        .map_or_else(|refusal| refusal, |again| Refusal::Other { status: response.status, reason: again.reason })
}

/// The type of the error in an answer.
pub(super) fn kind(response: &Response) -> Option<String> {
    said(&response.body).and_then(|said| said.kind().map(str::to_owned))
}

fn said(body: &[u8]) -> Option<Said<'_>> {
    serde_json::from_slice::<Failure<'_>>(body).ok().map(|failure| failure.error)
}

/// `None` if the answer is not a whole answer.
fn whether(body: &[u8]) -> Option<Whole> {
    let Errors { errors } = serde_json::from_slice(body).ok()?;
    Some(if errors { Whole::Failures } else { Whole::Done })
}

/// `None` if the answer is not a whole answer to these operations.
fn items(body: &[u8], operations: &[Operation]) -> Option<Vec<Item>> {
    let bulk: Bulk<'_> = serde_json::from_slice(body).ok()?;
    if bulk.items.len() != operations.len() {
        return None;
    }
    bulk.items.iter().zip(operations).map(|(action, operation)| item(action, operation)).collect()
}

fn item(action: &Action<'_>, operation: &Operation) -> Option<Item> {
    let (outcome, deletes) = match action {
        Action::Index(outcome) => (outcome, false),
        Action::Delete(outcome) => (outcome, true),
    };
    if outcome._id != *operation.id.0 || deletes != operation.deletes {
        return None;
    }
    let said = outcome.error.as_ref();
    Some(match (outcome.status, said) {
        (200 | 201, None) => Item::Done,
        (404, None) if deletes => Item::Done,
        (409, Some(said)) if said.kind() == Some("version_conflict_engine_exception") => Item::Newer,
        (400..=499, Some(said)) if is_of_the_document(outcome.status, said) => Item::Bad(words(Some(said), "")),
        (status, said) => match failed(status, said) {
            Ok(again) => Item::Again(again),
            Err(refusal) => Item::Refused(refusal),
        },
    })
}

fn is_of_the_document(status: u16, said: &Said<'_>) -> bool {
    !matches!(status, 401 | 403 | 404 | 408 | 409 | 429) && said.kind().is_none_or(|kind| !is_gone(kind))
}

fn is_gone(kind: &str) -> bool {
    matches!(kind, "index_not_found_exception" | "index_closed_exception")
}

/// What a failure means, whatever was asked.
fn failed(status: u16, said: Option<&Said<'_>>) -> Result<Again, Refusal> {
    let reason = words(said, "no reason is given");
    let kind = said.and_then(Said::kind);
    match (status, kind) {
        (_, Some(kind)) if is_gone(kind) => Err(Refusal::Gone(reason)),
        (_, Some("cluster_block_exception")) => Ok(Again { busy: true, reason: blocked(reason) }),
        (429 | 503, _) => Ok(Again { busy: true, reason }),
        (408 | 500 | 502 | 504, _) => Ok(Again { busy: false, reason }),
        (401 | 403, _) => Err(Refusal::Forbidden { status, reason }),
        _ => Err(Refusal::Other { status, reason }),
    }
}

/// What somebody must do about a block.
fn blocked(reason: String) -> String {
    let what = if reason.contains("disk usage") || reason.contains("read-only-allow-delete") {
        "make room on the server's disk"
    } else {
        "lift the block, as `index.blocks.write`"
    };
    format!("{reason}; {what}")
}

fn words(said: Option<&Said<'_>>, none: &str) -> String {
    said.map_or_else(|| none.to_owned(), Said::words)
}

impl Said<'_> {
    fn kind(&self) -> Option<&str> {
        match self {
            Said::Typed { kind, .. } => Some(kind),
            Said::Sentence(_) => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Said::Sentence(sentence) => sentence.to_string(),
            Said::Typed { kind, reason, caused_by } => {
                let reason = reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
                let cause = caused_by.as_ref().map_or(String::new(), |cause| format!(" ({})", cause.words()));
                format!("{kind}{reason}{cause}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
