//! HTTP to the nodes of a cluster: who asks, over which TLS, to which node, and how long it may take.
//!
//! A node that does not answer is passed over for the next; nothing is sent again here. A request whose answer did not come
//! may have been fulfilled: whoever sent it knows whether it may be sent again.

use super::answer::Response;
use super::error::ElasticsearchError;
use super::options::{Credentials, ElasticsearchOptions};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use ureq::http::{HeaderValue, Method, Request, header};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Error};

/// The longest answer that is read: that of a bulk may tell of each of its documents.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Bodies from this size on may be what made the server break off in the midst of them.
const LARGE: usize = 1 << 20;

/// What is sent as a body.
pub(super) const JSON: &str = "application/json";
pub(super) const NDJSON: &str = "application/x-ndjson";

/// Asks the nodes of one cluster.
pub(super) struct Client {
    agent: Agent,
    urls: Vec<String>,
    /// The node that is asked, modulo their number.
    node: AtomicUsize,
    authorization: Option<HeaderValue>,
    compress: bool,
}

/// No answer came.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) reason: String,
    /// The server broke off while much was sent to it: perhaps it was too much.
    pub(super) perhaps_too_large: bool,
}

impl Client {
    pub(super) fn new(options: &ElasticsearchOptions) -> Result<Client, ElasticsearchError> {
        let urls: Vec<String> =
            options.urls.iter().map(|url| checked(url)).collect::<Result<_, ElasticsearchError>>()?;
        if urls.is_empty() {
            return Err(ElasticsearchError::Option { option: "url", reason: "no server is named".to_owned() });
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("deltaic/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_millis(options.connect_timeout_ms)))
            .timeout_per_call(Some(Duration::from_millis(options.request_timeout_ms)))
            .max_idle_connections_per_host(options.bulks_in_flight + 2)
            .tls_config(tls(options)?)
            // What is in the environment for others is not for a server of one's own.
            .proxy(None)
            .build()
            .new_agent();
        let authorization = authorization(&options.credentials)?;
        Ok(Client { agent, urls, node: AtomicUsize::new(0), authorization, compress: options.compress })
    }

    /// The nodes, for messages.
    pub(super) fn urls(&self) -> String {
        self.urls.join(", ")
    }

    /// Asks one node once, with a body of a type or without any.
    pub(super) fn ask(&self, method: &Method, path: &str, body: Option<(&str, &[u8])>) -> Result<Response, NoAnswer> {
        let at = self.node.load(Relaxed);
        let node = self.urls.get(at % self.urls.len()).map_or("", String::as_str);
        let mut request = Request::builder().method(method).uri(format!("{node}{path}"));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let length = body.map_or(0, |(_, body)| body.len());
        let answer = match body {
            None => request.body(()).map_err(Error::Http).and_then(|request| self.agent.run(request)),
            Some((kind, body)) => {
                let request = request.header(header::CONTENT_TYPE, kind);
                if self.compress {
                    let packed = pack(body).map_err(Error::Io);
                    let request = request.header(header::CONTENT_ENCODING, "gzip");
                    packed
                        .and_then(|packed| request.body(packed).map_err(Error::Http))
                        .and_then(|request| self.agent.run(request))
                } else {
                    request.body(body).map_err(Error::Http).and_then(|request| self.agent.run(request))
                }
            }
        };
        let read = answer.and_then(|mut answer| {
            let status = answer.status().as_u16();
            let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
            Ok(Response { status, body })
        });
        if read.as_ref().map_or(true, |answer| matches!(answer.status, 502..=504)) {
            // Whoever comes first moves on; the others, who met with the same, have then moved too.
            let _moved = self.node.compare_exchange(at, at + 1, Relaxed, Relaxed);
        }
        read.map_err(|error| NoAnswer {
            perhaps_too_large: length >= LARGE && broke_off(&error),
            reason: error.to_string(),
        })
    }
}

fn broke_off(error: &Error) -> bool {
    let Error::Io(error) = error else { return false };
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}

fn pack(body: &[u8]) -> io::Result<Vec<u8>> {
    // Bulks are alike throughout: the fastest level leaves a tenth of them.
    let mut packed = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    packed.write_all(body)?;
    packed.finish()
}

/// A node's address without what it cannot have.
fn checked(url: &str) -> Result<String, ElasticsearchError> {
    let refused =
        |reason: &str| ElasticsearchError::Option { option: "url", reason: format!("{} {reason}", without_user(url)) };
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest else { return Err(refused("should begin with http:// or https://")) };
    if rest.contains('@') {
        return Err(refused("has a user in it: give `username` and `password` instead"));
    }
    if rest.is_empty() || rest.contains(['?', '#', ' ']) {
        return Err(refused("should be http://HOST:PORT or https://HOST:PORT"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// What of an address may be shown.
fn without_user(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://…{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, ElasticsearchError> {
    let (option, text) = match credentials {
        Credentials::None => return Ok(None),
        Credentials::Basic { user, password } => {
            ("username", format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
        }
        Credentials::ApiKey(key) => ("api_key", format!("ApiKey {key}")),
        Credentials::Bearer(token) => ("bearer_token", format!("Bearer {token}")),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| ElasticsearchError::Option {
        option,
        reason: "it has a character that cannot go into a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn tls(options: &ElasticsearchOptions) -> Result<TlsConfig, ElasticsearchError> {
    let roots = match &options.ca_file {
        None => RootCerts::WebPki,
        Some(path) => RootCerts::Specific(Arc::new(certificates(path)?)),
    };
    let client = match &options.client_certificate {
        None => None,
        Some(own) => {
            let key = read(&own.key)?;
            let key = PrivateKey::from_pem(&key)
                .map_err(|_| unreadable(&own.key, "there is no private key in it, as PEM".to_owned()))?;
            Some(ClientCert::new_with_certs(&certificates(&own.certificates)?, key))
        }
    };
    Ok(TlsConfig::builder().root_certs(roots).client_cert(client).build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, ElasticsearchError> {
    let text = read(path)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(unreadable(path, error.to_string())),
        }
    }
    if certificates.is_empty() {
        return Err(unreadable(path, "there is no certificate in it, as PEM".to_owned()));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, ElasticsearchError> {
    std::fs::read(path).map_err(|error| unreadable(path, error.to_string()))
}

fn unreadable(path: &Path, reason: String) -> ElasticsearchError {
    ElasticsearchError::File { path: path.to_owned(), reason }
}
