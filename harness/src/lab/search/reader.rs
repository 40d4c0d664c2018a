//! What a search server shows to whoever reads it: the documents behind an alias with their versions, and what an index says of
//! itself.

use super::oracle::{Between, Found, text};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;

/// Documents that come at once.
const PAGE: u64 = 5_000;

/// Asks one server.
pub(super) struct Reader {
    agent: Agent,
    url: String,
}

/// What an index says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) between: Between,
    pub(super) documents: u64,
}

/// An answer: its status, and what it says.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// A server that may answer later.
#[derive(Debug, thiserror::Error)]
#[error("the server is busy: {status} {body}")]
pub(super) struct Busy {
    status: u16,
    body: Value,
}

impl Reader {
    pub(super) fn at(url: String) -> Reader {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
        Reader { agent: Agent::new_with_config(config.build()), url }
    }

    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        let mut answer = match body {
            None => self.agent.run(request.body(())?)?,
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string())?)?
            }
        };
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(256 << 20).read_to_vec()?;
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Asks, and fails unless it is granted.
    pub(super) fn must(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let Answer { status, body } = self.ask(method, path, body)?;
        match status {
            200 | 201 => Ok(body),
            429 | 503 => Err(Busy { status, body }.into()),
            _ => bail!("{method} {path}: {status} {body}"),
        }
    }

    /// The index behind an alias.
    pub(super) fn index_of(&self, alias: &str) -> Result<String> {
        let found = self.must("GET", &format!("/_alias/{alias}"), None)?;
        let mut indexes = found.as_object().into_iter().flatten().map(|(index, _)| index.clone());
        match (indexes.next(), indexes.next()) {
            (Some(index), None) => Ok(index),
            _ => bail!("{alias} should be on one index: {found}"),
        }
    }

    /// Deletes all indexes that were ever behind an alias, or were to be.
    pub(super) fn delete_all(&self, alias: &str) -> Result<()> {
        // A server may refuse to delete what is not named in full.
        let found = self.must("GET", &format!("/{alias}-0*"), None)?;
        let mut indexes = found.as_object().into_iter().flatten().map(|(index, _)| index);
        indexes.try_for_each(|index| self.must("DELETE", &format!("/{index}"), None).map(drop))
    }

    /// What an index says of itself; `None` before it is there.
    pub(super) fn said(&self, index: &str) -> Result<Option<Said>> {
        let path = format!("/{index}/_doc/deltaic-progress");
        let Answer { status, body } = self.ask("GET", &path, None)?;
        match status {
            404 => return Ok(None),
            429 | 503 => return Err(Busy { status, body }.into()),
            _ => {}
        }
        let number = |name: &str| body.pointer(&format!("/_source/deltaic/{name}")).and_then(Value::as_u64);
        let said = || {
            let between = Between { durable: number("durable")?, attempted: number("attempted_upper")? };
            Some(Said { between, documents: number("documents")? })
        };
        said().with_context(|| format!("the progress document of {index}: {status} {body}")).map(Some)
    }

    /// All documents that an alias shows at one moment.
    pub(super) fn documents(&self, alias: &str) -> Result<Found> {
        self.must("POST", &format!("/{alias}/_refresh"), None)?;
        let query = json!({ "size": PAGE, "version": true, "sort": ["_doc"], "query": { "match_all": {} } });
        let mut page = self.must("POST", &format!("/{alias}/_search?scroll=1m"), Some(&query))?;
        let mut found = Found::new();
        loop {
            whole(&page)?;
            let hits = page.pointer("/hits/hits").and_then(Value::as_array).context("hits")?;
            for hit in hits {
                let (id, version, source) = (hit.get("_id"), hit.get("_version"), hit.get("_source"));
                let id = id.and_then(Value::as_str).context("an id")?;
                let version = version.and_then(Value::as_u64).context("a version")?;
                found.insert(id.to_owned(), (version, text(source.context("a document")?)));
            }
            let scroll = page.get("_scroll_id").and_then(Value::as_str).context("a scroll")?;
            if (hits.len() as u64) < PAGE {
                self.must("DELETE", "/_search/scroll", Some(&json!({ "scroll_id": scroll })))?;
                return Ok(found);
            }
            let more = json!({ "scroll": "1m", "scroll_id": scroll });
            page = self.must("POST", "/_search/scroll", Some(&more))?;
        }
    }
}

/// Fails unless a search was answered by all shards.
fn whole(page: &Value) -> Result<()> {
    let shards = |name: &str| page.pointer(&format!("/_shards/{name}")).and_then(Value::as_u64);
    let is_whole = shards("failed") == Some(0) && shards("total") == shards("successful");
    if is_whole { Ok(()) } else { bail!("not all shards answered: {:?}", page.get("_shards")) }
}
