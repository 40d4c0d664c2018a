//! A sink of kind `elasticsearch`: what was asked for, and what the sink is given.

use super::super::table::DEAD_LETTER;
use super::super::value::Secret;
use super::read::{SETTLED, Values, number};
use anyhow::{Context, Result};
use deltaic::{ClientCertificate, Credentials, ElasticsearchOptions, OnBadDocument};
use std::path::PathBuf;

/// `[[sink]]` of kind `elasticsearch` or `opensearch`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ElasticsearchConfig {
    /// All but the definition, which is in a file.
    pub(crate) options: ElasticsearchOptions,
    pub(crate) definition: Option<PathBuf>,
}

impl ElasticsearchConfig {
    pub(super) fn of(sink: &Values<'_>) -> ElasticsearchConfig {
        let count = |name| number(sink.integer(name).expect(SETTLED));
        let size = |name| usize::try_from(count(name)).unwrap_or(usize::MAX);
        let secret = |name| sink.secret(name).map(|Secret(text)| text);
        let user = sink.text("username").zip(secret("password"));
        let client = sink.path("client_certificate_file").zip(sink.path("client_key_file"));
        let options = ElasticsearchOptions {
            urls: sink.texts("url"),
            alias: sink.text("index").expect(SETTLED),
            credentials: match (user, secret("api_key"), secret("bearer_token")) {
                (Some((user, password)), ..) => Credentials::Basic { user, password },
                (_, Some(key), _) => Credentials::ApiKey(key),
                (.., Some(token)) => Credentials::Bearer(token),
                (None, None, None) => Credentials::None,
            },
            ca_file: sink.path("ca_file"),
            client_certificate: client.map(|(certificates, key)| ClientCertificate { certificates, key }),
            bulk_documents_max: size("bulk_documents_max"),
            bulk_bytes_max: size("bulk_bytes_max"),
            bulks_in_flight: size("bulks_in_flight"),
            linger_ms: count("linger_ms"),
            pending_bytes_max: size("pending_bytes_max"),
            compress: sink.boolean("compress"),
            connect_timeout_ms: count("connect_timeout_ms"),
            request_timeout_ms: count("request_timeout_ms"),
            retry_backoff_ms: count("retry_backoff_ms"),
            retry_backoff_max_ms: count("retry_backoff_max_ms"),
            retries_max: sink.integer("retries_max").map(|max| number(max) as u32),
            flush_timeout_ms: count("flush_timeout_ms"),
            gc_deletes_ms: count("gc_deletes_ms"),
            definition: None,
            on_bad_document: match sink.text("on_bad_document").expect(SETTLED).as_str() {
                DEAD_LETTER => OnBadDocument::DeadLetter(sink.path("dead_letters").expect(SETTLED)),
                _ => OnBadDocument::Stop,
            },
        };
        ElasticsearchConfig { options, definition: sink.path("definition") }
    }

    /// What the sink is given.
    pub(crate) fn read(&self) -> Result<ElasticsearchOptions> {
        let Some(path) = &self.definition else { return Ok(self.options.clone()) };
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let definition = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
        Ok(ElasticsearchOptions { definition: Some(definition), ..self.options.clone() })
    }
}
