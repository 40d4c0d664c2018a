//! What the index says of itself: one document in it, outside of what the alias shows.
//!
//! ```text
//!   durable          attempted_upper
//!      S ───────────────── U            S = U: the index is exact at S
//!   everything below   anything          S < U: each document is at S, or at a later state up to U
//!   is in              may be in
//! ```
//!
//! `attempted_upper` is written before what it announces is sent. So whoever finds the index, after a crash too, knows what may be
//! in it. Each write names the one before (`if_seq_no`): two processes that write to one index notice each other.

use super::answer;
use super::error::ElasticsearchError;
use super::server::Server;
use crate::sink::{Identity, KeptIdentity};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use ureq::http::Method;

/// The progress document's id.
pub(super) const ID: &str = "deltaic-progress";
/// Its only field, whose insides are not indexed.
pub(super) const FIELD: &str = "deltaic";

/// The format of what this version writes.
const FORMAT: u64 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) format: u64,
    #[serde(flatten)]
    pub(super) of: KeptIdentity,
    /// The index that it was written for: a copy under another name, or one that was restored, has another.
    pub(super) index_uuid: String,
    /// Everything below this time is in.
    pub(super) durable: Time,
    /// Nothing from this time on is in.
    pub(super) attempted_upper: Time,
    /// The log that fills it has no initial snapshot and begins behind this END.
    pub(super) partial_from: Option<u64>,
    /// Documents at `durable`.
    pub(super) documents: u64,
    /// Documents that went to the dead letters, so far.
    #[serde(default)]
    pub(super) bad: u64,
    /// It was filled by a rebuild: without the alias, it is what one has left that was broken off.
    #[serde(default)]
    pub(super) beside: bool,
    /// Which process wrote it, and for the how-manyeth time.
    pub(super) writer: String,
    pub(super) turn: u64,
}

/// Which write of it a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct At {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
}

/// What stands in the place of a progress document.
pub(super) enum Found {
    Nothing,
    /// This, which cannot be used.
    Unusable(String),
    Progress(Box<Progress>, At),
}

#[derive(Deserialize)]
struct Got {
    #[serde(flatten)]
    at: At,
    _source: Source,
}

#[derive(Deserialize)]
struct Source {
    deltaic: serde_json::Value,
}

#[derive(Deserialize)]
struct Head {
    format: u64,
}

impl Progress {
    /// Of an index that holds nothing yet.
    pub(super) fn new(identity: &Identity, index_uuid: &str, beside: bool) -> Progress {
        Progress {
            format: FORMAT,
            of: KeptIdentity::of(identity),
            index_uuid: index_uuid.to_owned(),
            durable: 0,
            attempted_upper: 0,
            partial_from: None,
            documents: 0,
            bad: 0,
            beside,
            writer: String::new(),
            turn: 0,
        }
    }

    /// That of `index`.
    pub(super) fn find(server: &Server, index: &str) -> Result<Found, ElasticsearchError> {
        let got: Option<Got> = server.find("read the progress document", &format!("/{index}/_doc/{ID}"))?;
        Ok(got.map_or(Found::Nothing, |got| match Progress::read(got._source.deltaic) {
            Ok(progress) => Found::Progress(Box::new(progress), got.at),
            Err(reason) => Found::Unusable(reason),
        }))
    }

    fn read(value: serde_json::Value) -> Result<Progress, String> {
        let not_ours = |error: serde_json::Error| format!("its progress document cannot be read: {error}");
        let head: Head = serde_json::from_value(value.clone()).map_err(not_ours)?;
        if head.format != FORMAT {
            return Err(format!("it has format {}, and this version writes format {FORMAT}", head.format));
        }
        serde_json::from_value(value).map_err(not_ours)
    }

    /// Writes it over the one that stood at `after`, or as the first.
    pub(super) fn write(&self, server: &Server, index: &str, after: Option<At>) -> Result<At, ElasticsearchError> {
        const DOING: &str = "write the progress document";
        let path = match after {
            None => format!("/{index}/_create/{ID}"),
            Some(At { seq_no, primary_term }) => {
                format!("/{index}/_doc/{ID}?if_seq_no={seq_no}&if_primary_term={primary_term}")
            }
        };
        let response = server.send(DOING, &Method::PUT, &path, &json!({ FIELD: self }))?;
        match response.status {
            200 | 201 => server.read(DOING, &response),
            // Perhaps by ourselves, and the answer was lost.
            409 => match Progress::find(server, index)? {
                Found::Progress(found, at) if *found == *self => Ok(at),
                Found::Nothing if after.is_some() => {
                    let reason = "it has lost its progress document: it was deleted, or made anew".to_owned();
                    Err(ElasticsearchError::Gone { index: index.to_owned(), reason })
                }
                _ => Err(ElasticsearchError::OtherWriter { index: index.to_owned() }),
            },
            _ => Err(server.refused(DOING, answer::refusal(&response))),
        }
    }
}
