//! One cluster: which server it is, and what is asked of it beside bulks, again and again until it answers.

use super::answer::{self, Refusal, Response};
use super::client::{Client, JSON, NoAnswer};
use super::error::ElasticsearchError;
use super::options::ElasticsearchOptions;
use super::outbox::Outbox;
use super::patience::Backoff;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;
use ureq::http::Method;

/// How long a server is waited for that does not answer what a run must know first.
const START: Duration = Duration::from_secs(30);

/// Asks a cluster.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Arc<Client>,
    pub(super) options: Arc<ElasticsearchOptions>,
    patience: Patience,
}

/// How long an answer is waited for.
#[derive(Clone)]
enum Patience {
    /// Until then: nothing has begun.
    Until(Instant),
    /// Until the sink is over.
    While(Arc<Outbox>),
}

/// Which server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) opensearch: bool,
    pub(super) version: String,
}

#[derive(Deserialize)]
struct Greeting {
    version: Version,
}

#[derive(Deserialize)]
struct Version {
    number: String,
    #[serde(default)]
    distribution: Option<String>,
}

impl Server {
    pub(super) fn new(options: ElasticsearchOptions) -> Result<Server, ElasticsearchError> {
        let client = Arc::new(Client::new(&options)?);
        Ok(Server { client, options: Arc::new(options), patience: Patience::Until(Instant::now() + START) })
    }

    /// The same, waited for from now on as at a start.
    pub(super) fn starting(&self) -> Server {
        Server { patience: Patience::Until(Instant::now() + START), ..self.clone() }
    }

    /// The same, waited for however long it takes, unless the sink is over.
    pub(super) fn patient(&self, outbox: &Arc<Outbox>) -> Server {
        Server { patience: Patience::While(Arc::clone(outbox)), ..self.clone() }
    }

    /// Asks which server it is, and refuses one that is not known.
    pub(super) fn kind(&self) -> Result<Kind, ElasticsearchError> {
        let greeting: Greeting = self.get("ask which server it is", "/")?;
        let Version { number, distribution } = greeting.version;
        let kind = Kind { opensearch: distribution.as_deref() == Some("opensearch"), version: number };
        let major = kind.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match (kind.opensearch, major) {
            (false, Some(8 | 9)) | (true, Some(2 | 3)) => Ok(kind),
            _ => Err(ElasticsearchError::Unsupported { found: kind.to_string() }),
        }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, doing: &str, path: &str) -> Result<T, ElasticsearchError> {
        let response = self.ask(doing, &Method::GET, path, None)?;
        if response.status != 200 {
            return Err(self.refused(doing, answer::refusal(&response)));
        }
        self.read(doing, &response)
    }

    /// `None` where the server says that there is no such thing.
    pub(super) fn find<T: DeserializeOwned>(&self, doing: &str, path: &str) -> Result<Option<T>, ElasticsearchError> {
        let response = self.ask(doing, &Method::GET, path, None)?;
        match response.status {
            200 => self.read(doing, &response).map(Some),
            404 => Ok(None),
            _ => Err(self.refused(doing, answer::refusal(&response))),
        }
    }

    /// Deletes what may not be there.
    pub(super) fn delete(&self, doing: &str, path: &str) -> Result<(), ElasticsearchError> {
        let response = self.ask(doing, &Method::DELETE, path, None)?;
        match response.status {
            200 | 404 => Ok(()),
            _ => Err(self.refused(doing, answer::refusal(&response))),
        }
    }

    /// Sends JSON. The answer is whatever it is: refusals are the caller's.
    pub(super) fn send(
        &self,
        doing: &str,
        method: &Method,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Response, ElasticsearchError> {
        self.ask(doing, method, path, Some(body.to_string().as_bytes()))
    }

    /// Sends JSON, or nothing where nothing may be sent, to what must take it.
    pub(super) fn must(
        &self,
        doing: &str,
        method: &Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<(), ElasticsearchError> {
        let body = body.map(ToString::to_string);
        let response = self.ask(doing, method, path, body.as_deref().map(str::as_bytes))?;
        if matches!(response.status, 200 | 201) { Ok(()) } else { Err(self.refused(doing, answer::refusal(&response))) }
    }

    pub(super) fn read<T: DeserializeOwned>(&self, doing: &str, response: &Response) -> Result<T, ElasticsearchError> {
        serde_json::from_slice(&response.body).map_err(|error| ElasticsearchError::Answer {
            doing: doing.to_owned(),
            status: response.status,
            reason: format!("an answer that cannot be read: {error}"),
        })
    }

    pub(super) fn refused(&self, doing: &str, refusal: Refusal) -> ElasticsearchError {
        let (doing, index) = (doing.to_owned(), self.options.alias.clone());
        match refusal {
            Refusal::Forbidden { status, reason } => ElasticsearchError::Forbidden { doing, status, reason, index },
            Refusal::Gone(reason) => ElasticsearchError::Gone { index, reason },
            Refusal::Other { status, reason } => ElasticsearchError::Answer { doing, status, reason },
        }
    }

    /// Asks until an answer comes that is none of those to be tried again.
    fn ask(
        &self,
        doing: &str,
        method: &Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Response, ElasticsearchError> {
        let mut backoff = Backoff::new(&self.options);
        loop {
            let (reason, busy) = match self.client.ask(method, path, body.map(|body| (JSON, body))) {
                Ok(response) => match answer::again(&response) {
                    None => return Ok(response),
                    Some(again) => (again.reason, again.busy),
                },
                Err(NoAnswer { reason, .. }) => (reason, false),
            };
            let tries = backoff.failed(busy);
            let is_over = match &self.patience {
                // One that says that it is busy is there, and is waited for.
                Patience::Until(deadline) => !busy && Instant::now() > *deadline,
                Patience::While(outbox) => outbox.change(|state| {
                    state.waits(&reason, busy);
                    state.is_over()
                }),
            };
            if is_over {
                return Err(ElasticsearchError::NoAnswer { urls: self.client.urls(), reason });
            }
            if self.options.retries_max.is_some_and(|max| tries > max) {
                return Err(ElasticsearchError::GaveUp { doing: doing.to_owned(), tries, reason });
            }
            let pause = backoff.pause();
            warn!(doing, reason, milliseconds = pause.as_millis() as u64, "the search server is asked again");
            match &self.patience {
                Patience::Until(_) => std::thread::sleep(pause),
                Patience::While(outbox) => outbox.pause(pause),
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.opensearch { "OpenSearch" } else { "Elasticsearch" }, self.version)
    }
}
